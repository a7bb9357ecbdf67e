"""Arguments from a query string, and texts of users, in the tags."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from imagekit_registry.cachefiles import ImageCacheFile, get_image
from imagekit_registry.exceptions import ImageKitError
from tests.imaging.conftest import encode, sample
from tests.pages import elements, render

SIZES = [
    "99999x99999",
    "65536x1",
    "1e9x1",
    "-1x5",
    "NaN",
    "nanxnan",
    "",
    "x",
    "0x0",
    "1x1x1",
    "\u0661x\u0662",
]
SIZES += ["100", "9" * 5000 + "x1", "100x100\0", "{{ 7|add:7 }}", "%s", "{0}", "../../x"]
TEXTS = ['"><script>alert(1)</script>', "' onerror='alert(1)", "{{ request }}", "{% now 'Y' %}"]
TEXTS += ["%(name)s%n", "{0.__class__}", "&quot;", "a\r\nX: y", "\u202e", "javascript:alert(1)"]
ARGUMENTS = ("anchor", "crop", "upscale", "format", "srcset")


@pytest.fixture
def photo() -> str:
    """Return the name of a stored picture."""
    return default_storage.save("p.png", ContentFile(encode(sample(), "PNG").getvalue()))


@pytest.fixture(autouse=True)
def production(settings: Any) -> None:
    """Let pages show a placeholder, as by default without DEBUG."""
    settings.IMAGEKIT_ON_ERROR = "placeholder"


def only_images(html: str) -> list[dict[str, Any]]:
    """Return the page's images; there must be nothing else on it that a user brought in."""
    assert not elements(html, "script")
    images = elements(html)
    for image in images:
        assert set(image) <= {"src", "width", "height", "srcset", "alt"}
    return images


@pytest.mark.parametrize("size", SIZES, ids=lambda size: repr(size[:20]))
def test_a_size_from_outside_breaks_no_page(size: str, photo: str, caplog: Any) -> None:
    """What is no size, or a giant one, is left out or a placeholder, and logged."""
    html = render("<p>{% thumbnail size photo %}</p>", size=size, photo=photo)
    for image in only_images(html):
        assert image["src"].startswith("data:image/svg+xml,")
    assert [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]
    assert all(len(record.getMessage()) < 500 for record in caplog.records)


@pytest.mark.parametrize("value", [*TEXTS, "-1", "1e9", "nan", "inf", "EPS", "PDF", "0" * 400])
@pytest.mark.parametrize("argument", ARGUMENTS)
def test_an_argument_from_outside_breaks_no_page(argument: str, value: str, photo: str) -> None:
    """Each argument of the tag may come out of a query string."""
    template = "<p>{% thumbnail '20x10' photo " + argument + "=value %}</p>"
    html = render(template, value=value, photo=photo)
    only_images(html)
    assert html.startswith("<p>")
    assert html.endswith("</p>")


@pytest.mark.parametrize("text", TEXTS, ids=repr)
def test_text_of_a_user_is_a_value_and_nothing_else(text: str, photo: str) -> None:
    """No text ends an attribute, is a template, or formats another."""
    html = render("{% thumbnail '20x10' photo -- alt=text %}", text=text, photo=photo)
    (image,) = only_images(html)
    assert image["alt"] is not None
    assert image["alt"].replace("\r\n", "\n") == text.replace("\r\n", "\n")


@pytest.mark.parametrize("text", TEXTS, ids=repr)
def test_a_source_of_a_user_cannot_inject(text: str, settings: Any) -> None:
    """Its name shows in no page but as the quoted address of the source."""
    for kind in ("placeholder", "source", "empty"):
        settings.IMAGEKIT_ON_ERROR = kind
        for image in only_images(render("{% thumbnail '20x10' photo %}", photo=text)):
            assert not set(image["src"]) & set('"<>{}\r\n\u202e')
            assert image["src"].startswith(("data:image/svg+xml,", "/media/"))


@pytest.mark.parametrize("text", TEXTS, ids=repr)
def test_an_id_of_a_user_is_unknown(text: str, photo: str) -> None:
    """An id names a registered generator, and nothing that could be imported or evaluated."""
    with pytest.raises(ImageKitError, match="No generator has the id"):
        render("{% generateimage id source=photo %}", id=text, photo=photo)


def test_no_argument_shows_in_a_name_or_url(photo: str) -> None:
    """Of what a thumbnail is made with, whoever sees its address learns the digest alone."""
    arguments = {"width": 4321, "height": 1234, "anchor": (0.375, 0.625), "crop": True}
    file = get_image("imagekit:thumbnail", source=photo, format="PNG", **arguments)
    assert isinstance(file, ImageCacheFile)
    html = render("{% thumbnail '4321x1234' photo anchor=anchor %}", photo=photo, anchor="tl")
    digest = re.compile(r"[0-9a-f]{32}")
    for text in (file.name, elements(html)[0]["src"]):
        assert text is not None
        bare = digest.sub("", text)
        assert re.fullmatch(r"(/media/)?CACHE/images/p/\.png", bare), bare
