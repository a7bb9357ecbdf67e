"""Namers: names that tell two images apart, and lead nowhere else."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from django.core.cache import caches
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage, storages
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit_registry import ImageSpec
from imagekit_registry.cachefiles import ImageCacheFile, namers
from imagekit_registry.processors import ColorOverlay, ResizeToFill
from imagekit_registry.signals import retired
from imagekit_registry.specs import StoredFile
from imagekit_registry.testing import forget_state
from tests.imaging.conftest import encode, sample
from tests.pages import elements, render, served
from tests.storages import CountingStorage
from tests.testapp.models import Photo


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

    def test_the_dotted_namer_keeps_the_base_name_of_a_source_with_an_absolute_path(self) -> None:
        """Its folders stay unsaid; the whole digest keeps two of one name apart."""
        one, other = (
            namers.source_name_dot_hash(Thumbnail(Source(f"/srv/{folder}/bulldog.png")))
            for folder in "ab"
        )
        assert re.fullmatch(r"CACHE/images/bulldog\.[0-9a-f]{32}\.jpg", one)
        assert one != other

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


# -- names of sources that lead elsewhere, and names that file systems take for the same

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
def test_a_page_with_a_hostile_source_writes_nothing_elsewhere(
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


class TestContentHash:
    """The namer that tells contents apart."""

    NAMER = "imagekit_registry.cachefiles.namers.content_hash"

    @pytest.fixture
    def overwriting(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Use a storage that counts and keeps the names that it is given, and the namer for a spec."""
        path = f"{CountingStorage.__module__}.{CountingStorage.__qualname__}"
        options = {"BACKEND": path, "OPTIONS": {"allow_overwrite": True}}
        settings.STORAGES = {**settings.STORAGES, "default": options}
        forget_state()
        monkeypatch.setattr(Thumbnail, "namer", self.NAMER)
        monkeypatch.setattr(type(Photo(original_image="a").banner.spec), "namer", self.NAMER)
        return storages["default"]

    def name_of(self, name: str) -> str:
        """Return what the image of a source is called."""
        return str(ImageCacheFile(Thumbnail(name)).name)

    def test_contents_tell_names_apart_and_sources_are_read_once(
        self, overwriting: Any, stored_photo: Any
    ) -> None:
        """By all processes together; later pages ask the storage for nothing but its URLs."""
        name = stored_photo(name="a/b.jpg")
        found = self.name_of(name)
        assert re.fullmatch(r"CACHE/images/a/b/[0-9a-f]{32}\.jpg", found)
        assert ImageCacheFile(Thumbnail(name)).url == f"/media/{found}"
        overwriting.calls.clear()
        assert ImageCacheFile(Thumbnail(name)).url == f"/media/{found}"
        forget_state()
        assert self.name_of(name) == found
        assert overwriting.calls["open"] == 0
        assert self.name_of(stored_photo("coffee.png", name="a/c.jpg")) != found

    @pytest.mark.parametrize("seconds", [0, None])
    def test_a_source_that_is_overwritten_behind_our_back_gets_another_name(
        self, overwriting: Any, stored_photo: Any, settings: Any, seconds: int | None
    ) -> None:
        """As soon as somebody looks."""
        settings.IMAGEKIT_LOCAL_STATE_TTL = seconds
        before = self.name_of(stored_photo(name="a.jpg"))
        assert self.name_of(stored_photo("coffee.png", name="a.jpg")) != before
        assert self.name_of(stored_photo(name="a.jpg")) == before

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("store", ["cache", "database"])
    def test_an_overwritten_upload_has_a_new_url_and_its_former_image_is_gone(
        self, overwriting: Any, photos: Path, settings: Any, store: str
    ) -> None:
        """Its URL is retired, once."""
        settings.IMAGEKIT_STATE_STORE = store
        urls: list[str] = []
        retired.connect(note := lambda **told: urls.extend(told["urls"]))
        try:
            photo = Photo.objects.create(
                original_image=ContentFile((photos / "rocket.jpg").read_bytes(), "same.jpg")
            )
            first = photo.banner.url
            assert served(first).size == (300, 100)
            content = ContentFile((photos / "coffee.png").read_bytes(), "same.jpg")
            photo.original_image.save("same.jpg", content)
            second = Photo.objects.get().banner.url
        finally:
            retired.disconnect(note)
        assert (second != first, urls) == (True, [first])
        assert served(second).size == (300, 100)
        assert not overwriting.exists(first.removeprefix("/media/"))

    def test_a_source_that_cannot_be_read_breaks_no_page(self, overwriting: Any) -> None:
        """Its image fails as others do."""
        assert ImageCacheFile(Thumbnail("gone.jpg")).url.startswith("data:")

    def test_a_cache_that_is_down_costs_reading_and_no_page(
        self, overwriting: Any, stored_photo: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The name is what it was."""
        name = stored_photo(name="a.jpg")
        found = self.name_of(name)
        forget_state()

        def fail(*_: Any) -> None:
            raise ConnectionError

        monkeypatch.setattr(type(caches["default"]), "get", fail)
        assert self.name_of(name) == found
