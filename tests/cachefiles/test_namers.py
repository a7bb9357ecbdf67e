"""Namers: names that tell two images apart, and lead nowhere else."""

from __future__ import annotations

import posixpath
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit_registry import ImageSpec
from imagekit_registry.cachefiles import namers
from imagekit_registry.processors import ColorOverlay, ResizeToFill


class Source:
    """A source that is nothing but a name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __bool__(self) -> bool:
        return True


class Thumbnail(ImageSpec):
    """A recipe."""

    processors = [ResizeToFill(50, 50)]
    format = "JPEG"


ALL = [
    namers.hash,
    namers.source_name_as_path,
    namers.source_name_dot_hash,
]

HOSTILE = [
    pytest.param("../../etc/passwd.jpg", id="parent"),
    pytest.param("photos/../../x.jpg", id="parent inside"),
    pytest.param("/etc/passwd", id="absolute"),
    pytest.param("..\\..\\windows\\x.jpg", id="backslash"),
    pytest.param("C:\\x.jpg", id="drive"),
    pytest.param("a\x00b.jpg", id="NUL"),
    pytest.param("a\nb.jpg", id="newline"),
    pytest.param("con.jpg", id="reserved"),
    pytest.param("photos/NUL", id="reserved in a folder"),
    pytest.param(".htaccess", id="hidden"),
    pytest.param("a/./b.jpg", id="dot"),
    pytest.param("a//b.jpg", id="two slashes"),
    pytest.param("a/b.jpg/", id="ends in a slash"),
    pytest.param("x" * 255 + ".jpg", id="255 bytes"),
    pytest.param("ä" * 200 + ".jpg", id="200 characters of two bytes"),
    pytest.param("/".join(["deep"] * 300) + "/a.jpg", id="deep"),
    pytest.param("trailing. ", id="dot and space at the end"),
    pytest.param("a.j\x1bpg", id="control character in the extension"),
    pytest.param("\ud800.jpg", id="half a surrogate pair"),
]

FRIENDLY = ["photos/bulldog.jpg", "photos/50% off.png", "photos/🐕.jpg", "photos/a.b.c.webp"]


class TestNames:
    """What names look like."""

    @pytest.mark.parametrize(
        ("namer", "expected"),
        [
            (namers.source_name_as_path, r"CACHE/images/photos/bulldog/[0-9a-f]{32}\.jpg"),
            (namers.source_name_dot_hash, r"CACHE/images/photos/bulldog\.[0-9a-f]{12}\.jpg"),
            (namers.hash, r"CACHE/images/[0-9a-f]{32}\.jpg"),
        ],
    )
    def test_names_are_as_documented(self, namer: Any, expected: str) -> None:
        """Folder, source and digest, as the documentation shows them."""
        assert re.fullmatch(expected, namer(Thumbnail(Source("photos/bulldog.png"))))

    def test_names_of_the_old_namer_end_in_the_fields_name(self, settings: Any) -> None:
        """As the first ImageKit named its files."""
        settings.IMAGEKIT_CACHEFILE_DIR = "cache"
        spec = Thumbnail(Source("photos/birthday.tiff"))
        spec.spec_id = "app:photo:formatted_image"
        assert namers.source_name_and_field(spec) == "cache/photos/birthday_formatted_image.jpg"

    @pytest.mark.parametrize("name", FRIENDLY)
    def test_names_keep_what_is_no_trouble(self, name: str) -> None:
        """Blanks, percent signs and pictures are part of a name."""
        stem = posixpath.splitext(name)[0]
        assert namers.source_name_as_path(Thumbnail(Source(name))).startswith(
            f"CACHE/images/{stem}/"
        )

    def test_extensions_of_names_follow_the_format(self) -> None:
        """The extension is that of the format; of the source where the spec gives none."""

        class Same(ImageSpec):
            pass

        assert namers.hash(Thumbnail(Source("a.png"))).endswith(".jpg")
        assert namers.source_name_as_path(Same(Source("a.png"))).endswith(".png")
        assert namers.source_name_as_path(Thumbnail(Source("a.jpeg"))).endswith(".jpeg")

    def test_names_show_nothing_of_the_recipe(self) -> None:
        """Whoever sees a URL learns no argument of a processor."""

        class Secret(Thumbnail):
            processors = [ColorOverlay("#c0ffee", 0.25)]
            options = {"quality": 87}

        for namer in ALL:
            name = namer(Secret(Source("photos/a.jpg")))
            rest = re.sub(r"[0-9a-f]{12,}", "", name)
            assert not re.search(r"c0ffee|0\.25|87|overlay", rest, re.IGNORECASE)


class TestHostileNames:
    """Where names of sources cannot lead."""

    @pytest.mark.parametrize("namer", [*ALL, namers.source_name_and_field])
    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_names_stay_in_the_cache_folder(self, namer: Any, name: str) -> None:
        """Not outside, not hidden, not longer than a file system takes."""
        result = namer(Thumbnail(Source(name)))
        assert posixpath.normpath(result) == result
        assert result.startswith("CACHE/images/")
        assert result.isprintable()
        assert not set(result) & set('\\:*?"<>|')
        assert max(len(part.encode()) for part in result.split("/")) <= 255

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(st.text(min_size=1, max_size=300))
    def test_any_text_stays_in_the_cache_folder(self, name: str) -> None:
        """Whatever an upload is called."""
        for namer in ALL:
            result = namer(Thumbnail(Source(name)))
            assert posixpath.normpath(result) == result
            assert result.startswith("CACHE/images/")

    def test_two_sources_never_share_a_file(self) -> None:
        """Names that look alike once they are made safe are still told apart."""
        names = [*FRIENDLY, "a.jpg", "a.png", "./a.jpg", "../a.jpg", "/a.jpg", "A.jpg", "a.jpg "]
        names += [str(param.values[0]) for param in HOSTILE]
        for namer in ALL:
            assert len({namer(Thumbnail(Source(name))) for name in names}) == len(names)
