"""Names of sources that lead elsewhere, and names that file systems take for the same."""

from __future__ import annotations

import posixpath
import unicodedata
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage, storages
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit_registry.cachefiles import namers
from imagekit_registry.specs import StoredFile
from tests.cachefiles.test_namers import ALL, HOSTILE, Source, Thumbnail
from tests.imaging.conftest import encode, sample
from tests.pages import elements, render, served

SOURCES_THAT_LOOK_ALIKE = [
    ("a/b.jpg", "a\\b.jpg"),
    ("a/b.jpg", "A/b.jpg"),
    ("ä.jpg", "a\u0308.jpg"),
    ("a.jpg", "a.jpg "),
    ("a.jpg", "./a.jpg"),
    ("a.jpg", "a.png"),
    ("a%2fb.jpg", "a/b.jpg"),
    ("x" * 300 + "1.jpg", "x" * 300 + "2.jpg"),
]
PARTS = st.sampled_from(
    ["..", ".", "", "a", "A", "ä", "a\u0308", "con", "COM¹", "NUL ", "x" * 149, "x" * 256, "é" * 80]
    + ["%2e%2e", "%", "🐕", "\u202egpj", "a\0", "a\n", "a ", "a.", "C:", "\\", "~", "$(id)", "-rf"]
)
NAMES = st.one_of(
    st.builds("/".join, st.lists(PARTS, min_size=1, max_size=6)),
    st.text(min_size=1, max_size=60),
).flatmap(lambda stem: st.sampled_from([stem or "a", f"{stem}.jpg", f"{stem}.PNG", f"{stem}..jpg"]))
QUICK = settings(max_examples=300, deadline=None, derandomize=True)


def folded(name: str) -> str:
    """Return what a file system that knows no case, and normalises, makes of a name."""
    return unicodedata.normalize("NFC", name).casefold()


@QUICK
@given(one=NAMES, other=NAMES)
def test_two_sources_are_two_files_on_every_file_system(one: str, other: str) -> None:
    """Also where case and composition of letters do not count, and blanks at the end are cut."""
    if one == other:
        return
    for namer in ALL:
        names = [namer(Thumbnail(Source(name))) for name in (one, other)]
        assert folded(names[0]) != folded(names[1])


@pytest.mark.parametrize(("one", "other"), SOURCES_THAT_LOOK_ALIKE)
def test_names_that_look_alike_are_two_files(one: str, other: str) -> None:
    """What is made safe for a name, or cut off, still counts in the digest."""
    for namer in ALL:
        names = [namer(Thumbnail(Source(name))) for name in (one, other)]
        assert folded(names[0]) != folded(names[1])


def test_a_name_that_looks_like_a_reference_is_another_source() -> None:
    """A colon in a name does not make it that of a file in another storage, or outside of any."""
    static = StoredFile("a.jpg", storages["staticfiles"])
    sources: list[Any] = ["a.jpg", "staticfiles:a.jpg", static, "file:a.jpg", Source("a.jpg")]
    assert len({namers.hash(Thumbnail(source)) for source in sources}) == len(sources)


@QUICK
@given(name=NAMES)
def test_a_name_is_a_plain_path_in_the_cache_folder(name: str) -> None:
    """For every shipped namer, on the file systems of POSIX and Windows."""
    storage = FileSystemStorage("/srv/media")
    for namer in (*ALL, namers.source_name_and_field):
        result = namer(Thumbnail(Source(name)))
        assert storage.path(result).startswith("/srv/media/CACHE/images/")
        assert posixpath.normpath(result) == result
        assert result.isprintable()
        assert len(result.encode()) < 2000
        for part in result.split("/"):
            assert 0 < len(part.encode()) <= 255
            assert not part.startswith(".")
            assert part == part.rstrip(". ")
            assert part.split(".")[0].rstrip().upper() not in {"CON", "NUL", "COM¹", "PRN", "AUX"}
            assert not set(part) & set('<>:"|?*\\')


@pytest.mark.parametrize("name", [str(param.values[0]) for param in HOSTILE], ids=repr)
def test_a_page_with_such_a_source_writes_nothing_elsewhere(
    name: str, media: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source is not found, or refused by its storage: that is a placeholder, and no file."""
    settings.IMAGEKIT_ON_ERROR = "placeholder"
    (media.parent / "x.jpg").write_bytes(b"")
    before = sorted(media.parent.rglob("*"))
    html = render("{% thumbnail '20x10' photo %}", photo=name)
    (img,) = elements(html)
    assert img["src"].startswith("data:image/svg+xml,")
    assert sorted(media.parent.rglob("*")) == before


@pytest.mark.parametrize("name", ["50% off.png", "ä 🐕.png", "a'b.png", "a&amp;b.png", "a#b?c.png"])
def test_a_friendly_name_is_shown(name: str) -> None:
    """Its URL is quoted for the address and escaped for the page; a browser gets the picture."""
    stored = default_storage.save(name, ContentFile(encode(sample(), "PNG").getvalue()))
    html = render("{% thumbnail '20x10' photo %}", photo=stored)
    (img,) = elements(html)
    assert not set(img["src"]) & set(' "<>#?ä')
    assert served(unquote(img["src"])).size == (20, 10)
