"""HTML of images: attributes, dimensions, choices of images."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.template import engines
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe
from hypothesis import given
from hypothesis import strategies as st

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.html import (
    ImgMarkup,
    build_attributes,
    is_attribute_name,
    parse_dimensions,
    plan_picture,
    show,
)
from imagekit_registry.html._arguments import parse_formats, parse_numbers
from imagekit_registry.html._elements import settle_attributes
from imagekit_registry.specs import StoredFile
from tests.pages import Banner, Wide, elements, registered
from tests.storages import StrictStorage

HOSTILE = [
    '"><script>alert(1)</script>',
    "' onload='x",
    "{{ x }}",
    "%s%n",
    "{0}",
    "&amp;",
    "\x00\n",
]


class TestAttributes:
    """What stands in an element."""

    @given(st.text())
    def test_any_text_comes_back_as_it_was(self, text: str) -> None:
        """A browser reads the value that was given, and nothing beside it."""
        text = text.replace("\r", "")
        (found,) = elements(f"<img{build_attributes({'alt': text})}>")
        assert list(found) == ["alt"]
        if "\x00" not in text:
            assert found["alt"] == text

    @pytest.mark.parametrize("value", HOSTILE, ids=repr)
    def test_text_that_was_marked_safe_is_escaped_too(self, value: str) -> None:
        """What is safe between tags may end an attribute."""
        (found,) = elements(f"<img{build_attributes({'alt': mark_safe(value)})}>")
        assert set(found) == {"alt"}

    @pytest.mark.parametrize(
        ("name", "is_one"),
        [
            ("alt", True),
            ("data-id", True),
            ("@click.once", True),
            (":src", True),
            ("x-on:load", True),
            ("größe", True),
            ("", False),
            ("a b", False),
            ("a\n", False),
            ("a\tb", False),
            ("a\x00", False),
            ("a/b", False),
            ("a=b", False),
            ('a"', False),
            ("a'", False),
            ("a>", False),
            ("<a", False),
            ("a\u0085", False),
            ("a\ufdd0", False),
        ],
        ids=repr,
    )
    def test_a_name_is_one_by_the_standard(self, name: str, is_one: bool) -> None:
        """Whatever frameworks use is allowed, whatever ends a name is not."""
        assert is_attribute_name(name) is is_one
        if not is_one:
            for build in (build_attributes, settle_attributes):
                with pytest.raises(InvalidArgument, match="no name of an HTML attribute"):
                    build({name: "x"})

    def test_none_and_false_leave_an_attribute_out_and_true_has_no_value(self) -> None:
        """As the boolean attributes of HTML."""
        built = build_attributes({"a": None, "b": False, "c": True, "d": "", "e": 0})
        assert built == ' c d="" e="0"'

    def test_a_lazy_text_is_settled_when_the_tag_stands(self) -> None:
        """Another language may be active when a batch fills it in."""
        settled = settle_attributes({"alt": lazystr("now"), "hidden": True, "x": None})
        assert settled == {"alt": "now", "hidden": True, "x": False}
        assert type(settled["alt"]) is str

    @pytest.mark.parametrize("name", ["src", "SRC"])
    def test_the_attribute_src_is_the_tags_own(self, name: str) -> None:
        """A second one would win over ours in a browser, or not."""
        with pytest.raises(InvalidArgument, match="'src' is written by the tag"):
            settle_attributes({name: "x"})

    def test_an_element_of_python_code_has_checked_attributes(self, stored_photo: Any) -> None:
        """They are escaped; a name that is none is refused when the element is made."""
        file = ImageCacheFile(Banner(stored_photo()))
        (img,) = elements(ImgMarkup(file, {"alt": '"<b>', "title": None}).render())
        assert set(img) == {"alt", "width", "height", "src"}
        with pytest.raises(InvalidArgument, match="no name of an HTML attribute"):
            ImgMarkup(file, {"a b": "x"})


class TestArguments:
    """What templates write, and what query strings bring."""

    @pytest.mark.parametrize(
        ("text", "sides"),
        [
            ("100x80", (100, 80)),
            ("100x", (100, None)),
            ("x80", (None, 80)),
            (" 100 x 80 ", (100, 80)),
            ("99999x1", (99999, 1)),
        ],
    )
    def test_dimensions_are_both_sides_or_one(
        self, text: str, sides: tuple[int | None, int | None]
    ) -> None:
        """Both sides, or one that leaves the other free."""
        assert parse_dimensions(text) == sides

    @pytest.mark.parametrize(
        "value",
        ["", "x", "0x0", "axb", "-1x5", "1e9x1", "100000x1", "1x1x1", "1.5x2", "٣x٣"]
        + ["1" * 10_000, 0, "0", None, [1, 2], {}, object()],
        ids=lambda value: repr(value)[:20],
    )
    def test_wrong_dimensions_are_one_of_our_errors(self, value: Any) -> None:
        """One of our errors, with an excerpt and what to write."""
        with pytest.raises(InvalidArgument, match="write '100x80', '100x' or 'x80'") as caught:
            parse_dimensions(value)
        assert len(str(caught.value)) < 200

    @pytest.mark.parametrize(
        ("value", "hint"),
        [
            (100, "write '100x' for a width, 'x100' for a height"),
            (" 100 ", "write '100x' for a width, 'x100' for a height"),
            ("100x0", "leave a side out to leave it free: '100x'"),
            ("0x80", "leave a side out to leave it free: 'x80'"),
        ],
    )
    def test_what_may_be_meant_by_wrong_dimensions_is_told(self, value: Any, hint: str) -> None:
        """A single number may be either side."""
        with pytest.raises(InvalidArgument, match=f"are none: {hint}"):
            parse_dimensions(value)

    @pytest.mark.parametrize(
        ("value", "numbers"),
        [
            (None, []),
            ("", []),
            ("2 3", [2, 3]),
            ("1.5, 2", [1.5, 2]),
            ([2, "3"], [2, 3]),
            (2, [2]),
        ],
        ids=repr,
    )
    def test_numbers_are_a_text_a_list_or_a_single_one(
        self, value: Any, numbers: list[float]
    ) -> None:
        """A text of them, a list or a single one."""
        assert parse_numbers(value, "srcset", 10) == numbers

    @pytest.mark.parametrize(
        "value",
        [
            "0",
            "-1",
            "11",
            "nan",
            "inf",
            "2x",
            "2 " * 21,
            object(),
            [None],
            [[2]],
            itertools.count(1),
        ]
        + ["1" * 400],
        ids=lambda value: repr(value)[:20],
    )
    def test_wrong_numbers_are_one_of_our_errors(self, value: Any) -> None:
        """One of our errors, in bounded time, that names the argument."""
        with pytest.raises(InvalidArgument, match="'srcset' must be up to 20 numbers"):
            parse_numbers(value, "srcset", 10)

    @pytest.mark.parametrize(
        ("value", "formats"),
        [
            (None, ()),
            ("", ()),
            ("webp", ("WEBP",)),
            (["PNG", "jpg", "PNG"], ("PNG", "JPEG")),
            ("GIF, WEBP", ("GIF", "WEBP")),
        ],
        ids=repr,
    )
    def test_formats_are_in_the_order_given(self, value: Any, formats: tuple[str, ...]) -> None:
        """Each once, by Pillow's name."""
        assert parse_formats(value) == formats

    @pytest.mark.parametrize(
        "value", ["XYZ", "EPS", "PDF", "../x", 5, [None], Ellipsis, "PNG " * 11], ids=repr
    )
    def test_wrong_formats_are_refused(self, value: Any) -> None:
        """What no browser shows is refused."""
        with pytest.raises(InvalidArgument, match="'formats' must be up to 10 of AVIF, GIF"):
            parse_formats(value)


class OddNames(StrictStorage):
    """A storage whose URLs are not quoted."""

    def url(self, name: str | None) -> str:
        return f",/a b/{name},"


class TestSrcset:
    """A choice of images."""

    @pytest.fixture
    def source(self, photos: Path, tmp_path: Path) -> StoredFile:
        """Return a photograph in a storage that counts."""
        storage = StrictStorage(location=str(tmp_path / "sources"))
        storage.save("a.jpg", ContentFile((photos / "rocket.jpg").read_bytes()))
        return StoredFile("a.jpg", storage)

    def test_urls_with_blanks_and_commas_are_one_word_each(
        self, source: StoredFile, tmp_path: Path
    ) -> None:
        """A blank or a comma at an end would cut the URL off."""
        storage = OddNames(location=str(tmp_path / "cache"))
        file = ImageCacheFile(Banner(source), storage=storage)
        html = show(lambda: ImgMarkup(file, {}, ((2.0, file),)))
        (img,) = elements(html)
        assert img["srcset"] == (f"%2C/a%20b/{file.name}%2C 1x , %2C/a%20b/{file.name}%2C 2.0x")

    def test_many_files_of_one_tag_open_their_source_once(self, source: StoredFile) -> None:
        """Eight formats and sizes, one decode."""
        widths = {"formats": "WEBP", "widths": "50 100 200 600"}
        storage: Any = source.storage
        with registered(wide=Wide):
            storage.calls.clear()
            html = show(plan_picture, ["tests:wide"], {"source": source, **widths})
        (found,) = elements(html)
        assert found["srcset"].count("w") == 4
        # Its header is read before, to know in which sizes it can be had.
        assert storage.calls["open"] == 2
        storage.assert_clean()


def test_a_mark_of_a_batch_cannot_be_guessed() -> None:
    """A text that looks like a mark stays a text, and text of users cannot place images."""
    template = engines["django"].from_string(
        "{% load imagekit %}{% imagebatch %}{% for n in numbers %}\ue000{{ n }}:0\ue001"
        "{% endfor %}{% thumbnail '9x9' source %}{% endimagebatch %}"
    )
    html = template.render({"numbers": range(3), "source": "missing.jpg"})
    assert html.count("\ue000") == 3
    assert len(elements(html)) == 1
