"""What users of a site see is there in each language that we have, and says the same."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.utils import translation
from django.utils.translation.template import templatize

import imagekit_registry
from imagekit_registry.forms.fields import ERROR_MESSAGES

PACKAGE = Path(imagekit_registry.__file__).parent
LANGUAGES = ("de", "es", "fr", "ja", "pt_BR", "zh_Hans")
_CALLS = frozenset(["_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"])
_PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[sd%]")
_ENTRY = re.compile(
    r'^msgid (?P<one>(?:"[^\n]*"\n)+)(?:msgid_plural (?P<many>(?:"[^\n]*"\n)+))?'
    r'(?P<texts>(?:msgstr(?:\[\d\])? (?:"[^\n]*"\n?)+)+)',
    re.MULTILINE,
)


def _texts_in(code: str) -> Iterator[tuple[str, ...]]:
    """Yield what calls of gettext's functions are given: a text, or the two of a plural."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in _CALLS:
            count = 2 if "ngettext" in ast.unparse(node.func) else 1
            values = [each.value for each in node.args[:count] if isinstance(each, ast.Constant)]
            yield tuple(map(str, values))


def _shown() -> set[tuple[str, ...]]:
    """Return all texts of the package that are to be translated."""
    found: set[tuple[str, ...]] = set()
    for path in PACKAGE.rglob("*.py"):
        found.update(_texts_in(path.read_text("utf-8")))
    for path in PACKAGE.rglob("*.html"):
        # Django writes a template as calls, between signs that are no Python.
        code = templatize(path.read_text("utf-8"), str(path))
        for call in re.findall(r"\bn?gettext\(.*?\) ", code):
            found.update(
                _texts_in(
                    call.strip().replace("(u'", "('").replace(",u'", ",'").replace(",count)", ",1)")
                )
            )
    return found


def _catalog(language: str) -> gettext.GNUTranslations:
    with (PACKAGE / "locale" / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        return gettext.GNUTranslations(file)


def _translations(language: str) -> dict[tuple[str, ...], list[str]]:
    """Return what the compiled catalog has: translations by text, or by both texts of a plural."""
    found: dict[tuple[str, ...], list[str]] = {}
    for key, text in _catalog(language)._catalog.items():  # type: ignore[attr-defined]
        if key:
            message = key[0] if isinstance(key, tuple) else key
            found.setdefault((message,), []).append(text)
    return found


def test_the_texts_of_the_package_are_in_the_catalogs() -> None:
    """Of modules and templates, with their plurals."""
    shown = _shown()
    assert ("The image could not be processed. Upload another one.",) in shown
    assert ("No image waits for a worker.",) in shown
    assert ("%d image was made anew.", "%d images were made anew.") in shown
    assert ("%(number)s message waits", "%(number)s messages wait") in shown


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_has_a_translation_with_its_placeholders(language: str) -> None:
    """And nothing is translated that is shown nowhere."""
    known, shown = _translations(language), {texts[:1]: texts for texts in _shown()}
    assert known.keys() == shown.keys()
    for key, texts in shown.items():
        wanted = sorted(set(_PLACEHOLDER.findall(texts[-1])))
        for translated in known[key]:
            assert translated.strip(), texts
            assert sorted(set(_PLACEHOLDER.findall(translated))) == wanted, (texts, translated)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_translations_are_those_that_were_written(language: str) -> None:
    """The program that compiles is not needed where the library runs, nor in its tests."""
    text = (PACKAGE / "locale" / language / "LC_MESSAGES" / "django.po").read_text("utf-8")
    written = {}
    for entry in _ENTRY.finditer(text):
        parts = re.split(r"^msgstr(?:\[\d\])? ", entry["texts"], flags=re.MULTILINE)[1:]
        written[(_unquoted(entry["one"]),)] = [_unquoted(part) for part in parts]
    written.pop(("",))
    assert "#, fuzzy" not in text
    assert {key: sorted(texts) for key, texts in _translations(language).items()} == {
        key: sorted(texts) for key, texts in written.items()
    }


def _unquoted(lines: str) -> str:
    return "".join(ast.literal_eval(line) for line in lines.strip().splitlines())


@pytest.mark.parametrize(
    ("language", "message", "app"),
    [
        ("de", "Laden Sie ein anderes hoch.", "Bildvarianten"),
        ("fr", "Envoyez-en une autre.", "Variantes d'images"),
        ("es", "Suba otra.", "Variantes de imágenes"),
        ("pt-br", "Envie outra.", "Variações de imagens"),
        ("ja", "別の画像をアップロードしてください。", "画像のバリエーション"),
        ("zh-hans", "请上传其他图片。", "图片变体"),
    ],
    ids=["de", "fr", "es", "pt-br", "ja", "zh-hans"],
)
def test_forms_and_the_admin_speak_the_readers_language(
    language: str, message: str, app: str
) -> None:
    """Of whoever asks for the page."""
    with translation.override(language):
        assert message in str(ERROR_MESSAGES["unprocessable"])
        assert str(apps.get_app_config("imagekit_registry").verbose_name) == app
        one = translation.ngettext("%d image was made anew.", "%d images were made anew.", 1)
        assert one % 1 != "1 image was made anew."
