"""Images without pixels, for the tests of projects."""

from __future__ import annotations

import asyncio
import unittest
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import TestCase, override_settings
from PIL import Image

from imagekit_registry import ImageSpec, get_image
from imagekit_registry.exceptions import LimitExceeded, UnreadableImage
from imagekit_registry.imaging.formats import can_write
from imagekit_registry.processors import Grayscale, ResizeToFill, ResizeToFit
from imagekit_registry.testing import (
    fake_images,
    forget_state,
    generated,
    make_image,
    wait_for_images,
)
from tests.pages import Banner, elements, registered, render
from tests.storages import content_of
from tests.testapp.models import Photo, Profile

CASES = {
    "jpeg": ([ResizeToFill(120, 40)], "JPEG"),
    "webp": ([ResizeToFit(300, 300)], "WEBP"),
    "avif": ([ResizeToFit(90, 900)], "AVIF"),
    "png": ([Grayscale()], "PNG"),
    "of the source": ([ResizeToFit(100, 100)], None),
}


class Colours:
    """Fails where it is given pixels."""

    def process(self, image: Image.Image) -> Image.Image:
        """Fail."""
        raise AssertionError("pixels were processed")


class Untold(ImageSpec):
    """A spec whose size nobody can tell beforehand."""

    processors = [Colours()]
    format = "JPEG"


def is_of_one_colour(image: Image.Image) -> bool:
    """Return whether an image is, but for what lossy formats make of that."""
    low, high = image.convert("L").getextrema()
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    return high - low < 6


def spec_of(case: str) -> type[ImageSpec]:
    """Return the spec of one of the cases."""
    processors, format = CASES[case]
    if format and not can_write(format):
        pytest.skip(f"Pillow was built without {format}")
    return type("Spec", (ImageSpec,), {"processors": processors, "format": format})


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("case", CASES)
def test_a_fake_has_url_format_and_size_of_the_real_image(case: str, orientation: int) -> None:
    """And its content is an image that has them too, of one colour."""
    upload = make_image(exif={"Orientation": orientation}, size=(640, 427))
    name = storages["default"].save("photos/a.jpg", upload)

    def told(file: Any) -> Any:
        return file.url, file.width, file.height, file.media_type, file.name

    with registered(case=spec_of(case)):
        with fake_images():
            fake = get_image("tests:case", source=name)
            expected = told(fake)
            with fake.open() as content, Image.open(content) as image:
                assert image.size == (fake.width, fake.height)
                assert is_of_one_colour(image)
        real = get_image("tests:case", source=name)
        assert told(real) == expected
        with real.open() as content, Image.open(content) as picture:
            assert not is_of_one_colour(picture)


def test_fakes_process_no_pixels_and_store_nothing(name: str, media: Path) -> None:
    """If nobody can tell the size, it is that of the source; the disk has the source alone."""
    before = sorted(media.rglob("*"))
    with registered(untold=Untold), fake_images():
        file = get_image("tests:untold", source=name)
        assert (file.url[:7], file.width, file.height) == ("/media/", 640, 427)
        assert file.exists()
    assert sorted(media.rglob("*")) == before


@pytest.mark.django_db
def test_a_spec_with_a_storage_of_its_own_is_kept_in_memory_too(name: str, media: Path) -> None:
    """Whether that is a folder here or a bucket that tests must not write to."""

    class Elsewhere(Banner):
        cachefile_storage = "tests.storages.CountingStorage"

    before = sorted(media.rglob("*"))
    with registered(elsewhere=Elsewhere), fake_images():
        assert get_image("tests:elsewhere", source=name).width == 120
    assert sorted(media.rglob("*")) == before


def test_a_fake_has_the_placeholders_that_its_spec_asks_for(name: str) -> None:
    """Of its one colour."""

    class Shown(Banner):
        placeholder = ("color", "css")

    with registered(shown=Shown), fake_images():
        file = get_image("tests:shown", source=name)
        assert file.url
        assert (file.placeholder.color, bool(file.placeholder.css)) == ("#808080", True)


def test_what_is_made_is_told_in_its_order(name: str) -> None:
    """Once each, in pages too; a new block begins with nothing."""
    with registered(banner=Banner):
        with fake_images() as made:
            page = "{% generateimage 'tests:banner' source=n %}{% thumbnail '9x9' n srcset='2' %}"
            (banner, _) = elements(render(page + page, n=name))[:2]
            told = [(file.spec_id, file.width, file.height, file.source.name) for file in made]
            assert told[0] == ("tests:banner", 120, 40, name)
            assert sorted(told[1:]) == [
                ("imagekit:thumbnail", 9, 9, name),
                ("imagekit:thumbnail", 18, 18, name),
            ]
            assert made is generated
            assert banner["src"] == made[0].url
        with fake_images():
            assert generated == []


def test_blocks_and_what_follows_them_know_nothing_of_each_other(name: str) -> None:
    """No record of a fake is believed when there is none any more, whatever cache keeps it."""
    with registered(banner=Banner):
        for _ in range(2):
            with fake_images() as made:
                assert get_image("tests:banner", source=name).url
                assert len(made) == 1
        file = get_image("tests:banner", source=name)
        with file.open() as content, Image.open(content) as image:
            assert not is_of_one_colour(image)
        assert len(made) == 1


def test_errors_of_sources_are_the_real_ones(settings: Any) -> None:
    """What is no image fails, as do too many pixels; a page shows its placeholder."""
    bad = storages["default"].save("bad.jpg", ContentFile(b"no image"))
    large = storages["default"].save("large.png", make_image(size=(900, 900), format="PNG"))
    with registered(banner=Banner), fake_images() as made:
        html = render("{% generateimage 'tests:banner' source=n %}", n=bad)
        assert elements(html)[0]["src"].startswith("data:image/svg+xml")
        with pytest.raises(UnreadableImage):
            get_image("tests:banner", source=bad).generate(force=True)
        with override_settings(IMAGEKIT_MAX_PIXELS=1000), pytest.raises(LimitExceeded):
            get_image("tests:banner", source=large).generate(force=True)
        with override_settings(IMAGEKIT_MAX_OUTPUT_PIXELS=1000), pytest.raises(LimitExceeded):
            get_image("tests:banner", source=large).generate(force=True)
        assert made == []


def test_a_default_backend_that_needs_workers_needs_none(name: str, settings: Any) -> None:
    """The images are there at once."""
    settings.IMAGEKIT_DEFAULT_CACHEFILE_BACKEND = "imagekit_registry.cachefiles.backends.Celery"
    with registered(banner=Banner), fake_images():
        assert get_image("tests:banner", source=name).as_dict()["pending"] is False


@pytest.mark.django_db
def test_uploads_that_a_field_processes_are_fakes_of_the_right_size() -> None:
    """They are stored where the field says."""
    with fake_images() as made:
        profile = Profile.objects.create(avatar=make_image(size=(900, 600)))
        profile.refresh_from_db()
        with profile.avatar.open() as content, Image.open(content) as image:
            size = image.size
            assert is_of_one_colour(image)
        assert made == []
    real = Profile.objects.create(avatar=make_image(size=(900, 600)))
    assert size == (real.avatar.width, real.avatar.height) == (64, 48)


@pytest.mark.parametrize(("format", "found"), [("auto", "JPEG"), ("smallest", "WEBP")])
def test_a_format_that_the_pixels_choose_is_the_first(
    format: str, found: str, name: str, settings: Any
) -> None:
    """No pixels choose another one."""
    settings.IMAGEKIT_SMALLEST = ["WEBP", "JPEG"]
    spec = type("Chosen", (ImageSpec,), {"processors": [ResizeToFit(90)], "format": format})
    with registered(chosen=spec), fake_images():
        file = get_image("tests:chosen", source=name)
        assert (file.width, file.state.format, file.state.error) == (90, found, "")
        with file.storage.open(file.state.published_name or str(file.name)) as opened:
            assert Image.open(opened).format == found


def test_images_that_an_event_loop_asks_for_are_fakes_too(name: str) -> None:
    """Threads make them, beside the loop."""

    async def view() -> None:
        _ = get_image("tests:banner", source=name).url

    with registered(banner=Banner), fake_images() as made:
        asyncio.run(view())
        wait_for_images()
        assert [file.width for file in made] == [120]


@pytest.mark.django_db
def test_fakes_are_a_decorator_of_functions_and_of_test_cases(photos: Path) -> None:
    """Of coroutines as well; each test begins with nothing made."""

    @fake_images()
    def decorated() -> int:
        photo = Photo.objects.create(original_image=content_of(photos / "rocket.jpg"))
        assert photo.thumbnail.url
        return len(generated)

    @fake_images()
    async def awaited() -> int:
        return len(generated)

    @fake_images()
    class PhotoTests(TestCase):
        def test_one(self) -> None:
            photo = Photo.objects.create(original_image=make_image())
            assert (photo.thumbnail.width, photo.thumbnail.height) == (50, 50)
            assert [file.spec_id for file in generated] == ["testapp:photo:thumbnail"]

        test_two = test_one

    assert decorated() == 1
    assert asyncio.run(awaited()) == 0
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(PhotoTests)
    result = suite.run(unittest.TestResult())
    assert (result.testsRun, result.errors, result.failures) == (2, [], [])


def test_changed_settings_do_not_end_the_block(name: str) -> None:
    """What was made stays made, and is opened where it lies."""
    with registered(banner=Banner), fake_images() as made:
        assert get_image("tests:banner", source=name).url
        with override_settings(IMAGEKIT_ON_ERROR="raise"):
            forget_state()
            file = get_image("tests:banner", source=name)
            assert file.exists()
            assert file.open().read()
        assert len(made) == 1
