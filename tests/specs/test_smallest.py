"""The format "smallest": that in which an image has the fewest bytes, whichever it is."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from PIL import Image

from imagekit_registry import ImageSpec, get_image, register
from imagekit_registry.cachefiles.namers import source_name_and_field
from imagekit_registry.checks import check_all
from imagekit_registry.forms import ProcessedImageField
from imagekit_registry.imaging.formats import can_write
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.testing import forget_state
from tests.pages import elements, registered, render, served
from tests.storages import CountingStorage

FORMATS = {"AVIF": ".avif", "JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}


class Small(ImageSpec):
    """An image of as few bytes as possible."""

    processors = [ResizeToFit(200, upscale=False)]
    format = "smallest"


class Sources:
    """A source group of one image."""

    def __init__(self, name: str) -> None:
        self.name = name

    def files(self) -> list[str]:
        """Return the source."""
        return [self.name]


@pytest.fixture(autouse=True)
def specs(settings: Any) -> Any:
    """Register the spec, with formats that every Pillow writes."""
    settings.IMAGEKIT_SMALLEST = ["WEBP", "JPEG", "PNG"]
    with registered(small=Small):
        yield


def flat() -> bytes:
    """Return an image that PNG holds in fewer bytes than any other format."""
    file = io.BytesIO()
    Image.effect_noise((200, 200), 90).quantize(2).save(file, "PNG")
    return file.getvalue()


def sizes_of(name: str) -> dict[str, int]:
    """Return the bytes of the image in each format."""
    found = {}
    for format in FORMATS:
        if can_write(format):
            with registered(one=type("One", (Small,), {"format": format})):
                found[format] = get_image("tests:one", source=name).size
    return found


@pytest.fixture(params=["photo", "flat"])
def source(request: pytest.FixtureRequest, name: str) -> str:
    """Return a source for which WebP is the smallest, and one for which it is PNG."""
    if request.param == "photo":
        return name
    return storages["default"].save("flat.png", ContentFile(flat()))


class TestFormat:
    """Which format it is."""

    def test_the_format_with_the_fewest_bytes_is_written(self, source: str) -> None:
        """Under a name that says so, with its media type."""
        file = get_image("tests:small", source=source)
        sizes = {each: size for each, size in sizes_of(source).items() if each != "AVIF"}
        smallest = min(sizes, key=lambda each: sizes[each])
        assert smallest == ("PNG" if source == "flat.png" else "WEBP")
        assert (file.size, file.state.format) == (sizes[smallest], smallest)
        assert file.url.endswith(FORMATS[smallest])
        assert file.media_type == f"image/{smallest.lower()}"
        assert served(file.url).format == smallest

    def test_the_setting_says_which_formats_are_tried(self, name: str, settings: Any) -> None:
        """And is a part of the recipe."""
        first = get_image("tests:small", source=name)
        settings.IMAGEKIT_SMALLEST = ["PNG", "JPEG"]
        second = get_image("tests:small", source=name)
        assert first.name != second.name
        assert second.url.endswith(".jpg")

    def test_a_format_that_this_pillow_lacks_is_left_out(self, name: str, settings: Any) -> None:
        """As AVIF is by Pillow 11.0."""
        settings.IMAGEKIT_SMALLEST = ["JXL", "XYZ", "WEBP"]
        assert get_image("tests:small", source=name).url.endswith(".webp")

    def test_a_transparent_image_stays_transparent(self, settings: Any) -> None:
        """JPEG does not count then."""
        settings.IMAGEKIT_SMALLEST = ["JPEG", "PNG"]
        file = io.BytesIO()
        image = Image.effect_noise((200, 200), 90).convert("RGBA")
        image.paste(0, (0, 0, 100, 200))
        image.save(file, "PNG")
        name = storages["default"].save("a.png", ContentFile(file.getvalue()))
        made = served(get_image("tests:small", source=name).url)
        assert (made.format, made.convert("RGBA").getpixel((0, 0))) == ("PNG", (0, 0, 0, 0))

    def test_an_animation_is_in_the_first_of_the_formats(self, settings: Any) -> None:
        """It would take long to try."""
        file = io.BytesIO()
        frames = [Image.new("RGB", (40, 30), color) for color in ("teal", "red", "blue")]
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
        name = storages["default"].save("a.gif", ContentFile(file.getvalue()))
        made = served(get_image("tests:small", source=name).url)
        assert (made.format, made.n_frames) == ("WEBP", 3)  # type: ignore[attr-defined]

    def test_an_upload_is_written_in_the_smallest_format(self, photos: Path) -> None:
        """And named after it."""
        field = ProcessedImageField(
            [ResizeToFit(200)], format="smallest", spec_id="tests:smallest-upload"
        )
        found = field.clean(ContentFile((photos / "rocket.jpg").read_bytes(), name="a.jpg"))
        assert found.name == "a.webp"


class TestState:
    """Its name shows only when it is made: what is known of it, and what is found."""

    def test_pages_link_to_the_smallest_format_before_and_after_the_state_is_lost(
        self, source: str
    ) -> None:
        """It is found under the name of its format, and not made again."""
        tag = "{% generateimage 'tests:small' source=name %}"
        first = elements(render(tag, name=source))[0]["src"]
        made_at = get_image("tests:small", source=source).state.made_at
        assert made_at is not None
        for _ in range(2):
            caches["default"].clear()
            forget_state()
            assert elements(render(tag, name=source))[0]["src"] == first
            assert get_image("tests:small", source=source).state.made_at is None

    def test_a_warm_page_asks_no_storage(self, name: str, settings: Any) -> None:
        """However many names there could be."""
        settings.STORAGES = {
            **settings.STORAGES,
            "counting": {"BACKEND": "tests.storages.CountingStorage"},
        }
        with registered(own=type("Own", (Small,), {"cachefile_storage": "counting"})):
            storage = get_image("tests:own", source=name).storage
            assert isinstance(storage, CountingStorage)
            url = get_image("tests:own", source=name).url
            storage.calls = Counter()
            assert get_image("tests:own", source=name).url == url
            assert storage.calls == Counter(url=1)

    @pytest.mark.django_db(databases="__all__")
    def test_cleaning_and_checking_know_an_image_in_the_smallest_format(self, source: str) -> None:
        """With its record and without."""
        register.source_group("tests:small", Sources(source))
        call_command("generateimages", "tests:small", verbosity=0)
        url = get_image("tests:small", source=source).url
        for is_lost in (False, True):
            if is_lost:
                caches["default"].clear()
            forget_state()
            call_command("cleanimages", verbosity=0)
            served(url)
            call_command("checkimages", "tests:small", "--repair", verbosity=0)
            assert get_image("tests:small", source=source).url == url
            call_command("generateimages", "tests:small", "--missing", verbosity=0)
            assert get_image("tests:small", source=source).url == url

    def test_an_image_in_another_format_takes_the_place_of_the_one_before(
        self, name: str, media: Path
    ) -> None:
        """A new source looks different."""
        file = get_image("tests:small", source=name)
        first = file.url
        (media / name).write_bytes(flat())
        file.generate(force=True)
        second = get_image("tests:small", source=name).url
        assert (first[-5:], second[-4:]) == (".webp", ".png")
        assert not storages["default"].exists(first.removeprefix("/media/"))

    def test_deleting_an_image_in_the_smallest_format_leaves_nothing(
        self, source: str, media: Path
    ) -> None:
        """Of any name."""
        file = get_image("tests:small", source=source)
        assert file.url
        file.delete()
        assert not [path for path in (media / "CACHE").rglob("*") if path.is_file()]

    def test_a_name_that_another_image_may_have_says_no_format(self, name: str) -> None:
        """Under it, another spec's could lie."""
        named = type("Named", (Small,), {"namer": staticmethod(source_name_and_field)})
        with registered(named=named):
            file = get_image("tests:named", source=name)
            assert (file.url.rpartition("/")[2], file.state.format) == ("rocket_named.jpg", "WEBP")


def test_checks_know_the_format_smallest(settings: Any) -> None:
    """And tell of a setting of which nothing can be written."""
    assert not [each for each in check_all(None) if "tests:small" in each.msg]
    settings.IMAGEKIT_SMALLEST = ["XYZ"]
    (found,) = [each for each in check_all(None) if "IMAGEKIT_SMALLEST" in each.msg]
    assert (found.id, "Pillow can write none of 'XYZ'" in found.msg) == ("imagekit.E011", True)
