"""`{% load imagekit %}`: the tags as pages see them."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.template import Template

from imagekit_registry import ImageSpec
from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.generatorlibrary import THUMBNAIL_ID
from imagekit_registry.processors import ResizeToFill
from tests.pages import elements, registered, render, served
from tests.storages import CountingStorage


@contextmanager
def forbidden(target: Any, *methods: str) -> Iterator[None]:
    """Fail if one of the methods of an object is called."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError(f"{methods} must not be called")

    for method in methods:
        setattr(target, method, refuse)
    try:
        yield
    finally:
        for method in methods:
            delattr(target, method)


class TestGenerateImage:
    """``{% generateimage %}``."""

    def test_generateimage_shows_the_image_with_its_size(self, name: str) -> None:
        """URL, width and height of a file that is there."""
        (img,) = elements(render("{% generateimage 'tests:banner' source=name %}", name=name))
        assert set(img) == {"src", "width", "height"}
        assert (img["width"], img["height"]) == ("120", "40")
        assert served(img["src"]).size == (120, 40)

    def test_generateimage_takes_attributes(self, name: str) -> None:
        """What comes after two dashes, with any name that HTML has."""
        html = render(
            "{% generateimage 'tests:banner' source=name -- alt=alt data-id=7 hidden=yes %}",
            name=name,
            alt='a "cat" <b>',
            yes=True,
        )
        (img,) = elements(html)
        assert (img["alt"], img["data-id"], img["hidden"]) == ('a "cat" <b>', "7", None)
        assert "<b>" not in html

    @pytest.mark.parametrize("given", ["width", "height"])
    def test_generateimage_leaves_proportions_to_the_browser_if_one_side_is_given(
        self, given: str, name: str
    ) -> None:
        """Only the side that was given is there."""
        html = render(f"{{% generateimage 'tests:banner' source=n -- {given}=50 %}}", n=name)
        (img,) = elements(html)
        assert set(img) == {"src", given}

    def test_generateimage_gives_a_variable(self, name: str) -> None:
        """The cache file, with URL and size."""
        html = render(
            "{% generateimage 'tests:banner' source=name as im %}"
            "{{ im.url }} {{ im.width }}x{{ im.height }}",
            name=name,
        )
        assert re.fullmatch(r"/media/CACHE/images/photos/rocket/\w{32}\.jpg 120x40", html)


class TestThumbnail:
    """``{% thumbnail %}``."""

    @pytest.mark.parametrize(
        ("tag", "size"),
        [
            ("{% thumbnail '100x80' name %}", (100, 80)),
            ("{% thumbnail '100x' name %}", (100, 67)),
            ("{% thumbnail 'x100' name %}", (150, 100)),
            ("{% thumbnail '100x100' name crop=0 %}", (100, 67)),
            ("{% thumbnail '100x80' name anchor='tr' %}", (100, 80)),
            ("{% thumbnail '100x80' name anchor='c' crop=1 upscale=0 %}", (100, 80)),
            ("{% thumbnail '900x900' name crop=0 %}", (640, 427)),
            ("{% thumbnail '1280x' name upscale=1 %}", (1280, 854)),
            ("{% thumbnail 'imagekit:thumbnail' '50x50' name %}", (50, 50)),
            ("{% thumbnail size name %}", (33, 22)),
        ],
    )
    def test_a_thumbnail_has_the_size_that_was_asked_for(
        self, tag: str, size: tuple[int, int], name: str
    ) -> None:
        """In the element and in the file."""
        (img,) = elements(render(tag, name=name, size="33x22"))
        assert (int(img["width"]), int(img["height"])) == size
        assert served(img["src"]).size == size

    def test_a_thumbnail_has_the_format_that_was_asked_for(self, name: str) -> None:
        """However it is written."""
        (img,) = elements(render("{% thumbnail '50x50' name format='webp' %}", name=name))
        assert img["src"].endswith(".webp")
        assert served(img["src"]).format == "WEBP"

    def test_a_thumbnail_has_larger_ones_for_denser_screens(self, name: str) -> None:
        """One for each density, of one decode, and the plain one."""
        (img,) = elements(render("{% thumbnail '100x' name srcset='1.5 2' %}", name=name))
        assert re.fullmatch(r"\S+ 1x , \S+ 1\.5x , \S+ 2\.0x", img["srcset"])
        urls = [part.split()[0] for part in img["srcset"].split(" , ")]
        assert [served(url).width for url in urls] == [100, 150, 200]

    def test_a_thumbnail_takes_densities_from_the_settings(self, name: str, settings: Any) -> None:
        """Unless the tag says otherwise; and settings are read when the page is rendered."""
        settings.IMAGEKIT_DEFAULT_THUMBNAIL_SRCSET_SCALES = [2]
        settings.IMAGEKIT_DEFAULT_THUMBNAIL_FORMAT = "PNG"
        (img,) = elements(render("{% thumbnail '100x' name %}", name=name))
        assert "2" in img["srcset"]
        assert img["src"].endswith(".png")
        (img,) = elements(render("{% thumbnail '100x' name srcset=none %}", name=name, none=None))
        assert "srcset" not in img

    def test_a_thumbnail_gives_a_variable(self, name: str) -> None:
        """The cache file."""
        html = render("{% thumbnail '100x' name srcset='2' as im %}{{ im.width }}", name=name)
        assert html == "100"

    @pytest.mark.parametrize(
        "tag",
        [
            "{% thumbnail '100x' name crop=flag %}",
            "{% thumbnail size name %}",
            "{% thumbnail '100x100' name srcset=junk %}",
            "{% thumbnail '100x100' name anchor=junk %}",
            "{% thumbnail '100x100' name -- alt=junk %}",
        ],
    )
    @pytest.mark.parametrize(
        "value",
        ["-5", "axb", "999999999x1", "0x0", "x", "<script>", "100x100; DROP", "٣x٣", "1e9x1"],
    )
    def test_a_size_from_a_query_string_breaks_no_page(
        self, tag: str, value: str, name: str, settings: Any
    ) -> None:
        """It shows something right or nothing; under "raise" it is one of our exceptions."""
        context = {"name": name, "size": value, "flag": value, "junk": value}
        html = render(tag, **context)
        assert "<script>" not in html
        settings.IMAGEKIT_ON_ERROR = "raise"
        with suppress(InvalidArgument):
            assert "<script>" not in render(tag, **context)


class TestPicture:
    """``{% picture %}``."""

    def test_a_picture_offers_formats_and_widths(self, name: str) -> None:
        """Each once, never wider than the source's 640, with the media type of the format."""
        html = render(
            "{% picture 'tests:wide' source=name formats='WEBP' widths='160 320 2000'"
            " sizes='50vw' -- alt='' %}",
            name=name,
        )
        (source,) = elements(html, "source")
        (img,) = elements(html)
        assert (source["type"], source["sizes"], img["sizes"]) == ("image/webp", "50vw", "50vw")
        for srcset in (source["srcset"], img["srcset"]):
            parts = [part.split() for part in srcset.split(", ")]
            assert [width for _, width in parts] == ["160w", "320w", "640w"]
            assert [served(url).width for url, _ in parts] == [160, 320, 640]
        assert (img["width"], img["height"]) == ("600", "400")
        assert html.startswith("<picture>")

    def test_a_picture_without_widths_offers_those_that_suit_its_image(self, name: str) -> None:
        """Up to twice its own, for dense screens."""
        html = render("{% picture 'tests:banner' source=name formats='WEBP' %}", name=name)
        (source,) = elements(html, "source")
        (img,) = elements(html)
        for srcset, format in ((source["srcset"], "WEBP"), (img["srcset"], "JPEG")):
            files = [served(part.split()[0]) for part in srcset.split(", ")]
            assert [file.size for file in files] == [(120, 40), (170, 57), (240, 80)]
            assert {file.format for file in files} == {format}
        assert img["sizes"] == "auto, (min-width: 120px) 120px, 100vw"

    def test_a_picture_of_a_bad_source_is_what_stands_in(self) -> None:
        """No dead links."""
        bad = storages["default"].save("bad.jpg", ContentFile(b"no image"))
        html = render("{% picture 'tests:banner' source=n formats='WEBP' widths='9 99' %}", n=bad)
        (img,) = elements(html)
        assert img["src"].startswith("data:image/svg+xml")
        assert elements(html, "source") == []

    def test_a_picture_of_a_thumbnail_has_its_proportions_in_each_width(self, name: str) -> None:
        """Dimensions and source, as the thumbnail tag has them."""
        html = render(
            "{% picture '120x60' name anchor='t' formats='WEBP' widths='60 120 240' -- alt='' %}",
            name=name,
        )
        (webp,) = elements(html, "source")
        (img,) = elements(html)
        assert webp["type"] == "image/webp"
        for element in (webp, img):
            files = [served(part.split()[0]) for part in element["srcset"].split(", ")]
            assert [file.size for file in files] == [(60, 30), (120, 60), (240, 120)]
            assert element["sizes"] == "auto, (min-width: 120px) 120px, 100vw"
        assert (img["width"], img["height"], img["alt"]) == ("120", "60", "")

    def test_a_picture_of_a_thumbnail_takes_densities(self, name: str, settings: Any) -> None:
        """In every format, the image's own density among them."""
        settings.IMAGEKIT_DEFAULT_THUMBNAIL_SRCSET_SCALES = [2]
        html = render("{% picture '50x' name formats='WEBP' %}", name=name)
        (source,) = elements(html, "source")
        (img,) = elements(html)
        assert re.fullmatch(r"\S+\.webp 1x, \S+\.webp 2x", source["srcset"])
        assert re.fullmatch(r"\S+\.jpg 1x, \S+\.jpg 2x", img["srcset"])

    def test_a_picture_offers_no_format_that_the_spec_has(self, name: str) -> None:
        """The ``<img>`` offers that."""
        html = render("{% picture 'tests:banner' source=n formats='jpg WEBP webp' %}", n=name)
        assert [source["type"] for source in elements(html, "source")] == ["image/webp"]


class TestWarm:
    """A page that was rendered before."""

    @pytest.mark.parametrize(
        ("tag", "urls"),
        [
            ("{% generateimage 'tests:stored' source=name %}", 1),
            ("{% thumbnail 'tests:stored' '9x9' name %}", 1),
            ("{% thumbnail 'tests:stored' '9x9' name srcset='2 3' %}", 3),
            ("{% generateimage 'tests:stored' source=name as im %}{{ im.url }}{{ im.width }}", 1),
            ("{% picture 'tests:stored' source=name formats='WEBP' widths='5 9' %}", 5),
        ],
    )
    def test_a_warm_page_asks_nobody_but_the_storage_for_urls(
        self,
        tag: str,
        urls: int,
        name: str,
        cache_calls: Counter[str],
        tmp_path: Path,
    ) -> None:
        """No cache, no file; a database would be refused to a test without one."""
        files = CountingStorage(location=str(tmp_path / "files"))

        class Stored(ImageSpec):
            cachefile_storage = files
            format = "JPEG"

            def __init__(self, source: Any, width: int = 30, height: int = 20) -> None:
                self.processors = [ResizeToFill(width, height)]
                super().__init__(source)

        source = storages["default"]
        with registered(stored=Stored):
            expected = render(tag, name=name)
            cache_calls.clear()
            files.calls.clear()
            with forbidden(source, "open", "exists", "size"):
                assert render(tag, name=name) == expected
        assert dict(cache_calls) == {}
        assert dict(files.calls) == {"url": urls}

    def test_a_warm_page_reads_the_settings_each_time(self, name: str, settings: Any) -> None:
        """A changed setting needs no new process."""
        tag = "{% thumbnail '9x9' name %}"
        (before,) = elements(render(tag, name=name))
        settings.IMAGEKIT_CACHEFILE_DIR = "elsewhere"
        settings.IMAGEKIT_SPEC_CACHEFILE_NAMER = "imagekit_registry.cachefiles.namers.hash"
        settings.IMAGEKIT_DEFAULT_THUMBNAIL_FORMAT = "PNG"
        settings.MEDIA_URL = "/m/"
        (after,) = elements(render(tag, name=name))
        assert before["src"].startswith("/media/CACHE/images/photos/")
        assert re.fullmatch(r"/m/elsewhere/\w{32}\.png", after["src"])


def test_there_is_one_library_of_tags() -> None:
    """The folder at the top is not imported a second time under another name."""
    Template("{% load imagekit %}")
    loaded = [name for name in sys.modules if name.endswith("templatetags.imagekit")]
    assert loaded == ["imagekit_registry.templatetags.imagekit"]


def test_code_finds_the_id_of_the_tags_generator_where_django_imagekit_has_it() -> None:
    """Projects register a generator of their own under it."""
    module = import_module("imagekit_registry.templatetags.imagekit")
    assert module.DEFAULT_THUMBNAIL_GENERATOR == THUMBNAIL_ID
