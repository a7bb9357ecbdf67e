"""Who opens a file closes it: the whole way, on a storage that holds every slip against its users."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.template import Context, Template
from django.utils.datastructures import MultiValueDict

from imagekit_registry import get_image, prefetch_images
from imagekit_registry.admin import AdminThumbnail
from imagekit_registry.cachefiles import existence, generate_many
from imagekit_registry.exceptions import ImageKitError
from imagekit_registry.forms import ProcessedImageField
from imagekit_registry.processors import ResizeToFill
from tests.storages import StrictStorage, content_of
from tests.testapp.models import Cover, OldPhoto, Photo, Profile

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

BROKEN = {"cut.jpg": 5000, "empty.jpg": 0}


@pytest.fixture
def strict(settings: Any, media: Path) -> Iterator[StrictStorage]:
    """Make the strict storage the default one, for sources and cache files; judge it at the end."""
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "tests.storages.StrictStorage"},
    }
    storage = storages["default"]
    assert isinstance(storage, StrictStorage)
    yield storage
    assert storage.calls["open"] > 0
    storage.assert_clean()


@pytest.fixture
def photo(strict: StrictStorage, photos: Path) -> Photo:
    """Return a photograph, fresh from the database."""
    made = Photo.objects.create(original_image=content_of(photos / "rocket.jpg"))
    return Photo.objects.get(pk=made.pk)


@pytest.fixture
def broken(strict: StrictStorage, photos: Path, settings: Any) -> list[Photo]:
    """Return rows whose images are damaged, empty, no image, and gone."""
    settings.IMAGEKIT_ON_ERROR = "placeholder"
    data = (photos / "rocket.jpg").read_bytes()
    for name, length in BROKEN.items():
        strict.save(name, ContentFile(data[:length]))
    strict.save("text.jpg", ContentFile(b"no image"))
    names = [*BROKEN, "text.jpg", "gone.jpg"]
    return [Photo.objects.create(original_image=name) for name in names]


def render(template: str, **context: Any) -> str:
    """Return what *template* shows."""
    return Template("{% load imagekit %}" + template).render(Context(context))


class UploadForm(forms.Form):
    """A form with a processed field."""

    image = ProcessedImageField([ResizeToFill(9, 9)], format="PNG", spec_id="tests:handles")


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form of a model with one."""

    class Meta:
        model = Profile
        fields = ("avatar", "name")


class TestImages:
    """Images of sources in the storage."""

    @pytest.mark.parametrize(
        "ask",
        [
            lambda file: (file.url, file.width, file.height, file.size),
            lambda file: (bool(file), file.exists(), file.state, file.path),
            lambda file: (file.generate(force=True), file.generate()),
            lambda file: (file.read(), file.close()),
            lambda file: (list(file.chunks()), file.close()),
            lambda file: (file.open(), file.open(), file.close(), file.close()),
            lambda file: (file.read(), file.delete()),
            lambda file: (existence.known(file), file.width, file.height),
        ],
        ids=["answers", "state", "made", "read", "chunks", "opened", "deleted", "measured"],
    )
    @pytest.mark.parametrize("spec", ["thumbnail", "banner", "with_spec"])
    def test_an_image_of_a_field_leaves_no_file_open(
        self, ask: Callable[[Any], Any], spec: str, photo: Photo
    ) -> None:
        """Whatever is asked of it, cold and warm."""
        ask(getattr(photo, spec))
        ask(getattr(Photo.objects.get(pk=photo.pk), spec))

    def test_an_image_in_a_with_block_is_closed_at_its_end(self, photo: Photo) -> None:
        """It is closed at its end."""
        with photo.thumbnail.open() as file:
            assert file.read(2) == b"\xff\xd8"
        assert photo.thumbnail.closed

    @pytest.mark.parametrize(
        "template",
        [
            "{% generateimage 'testapp:photo:thumbnail' source=photo.original_image %}",
            "{% generateimage 'testapp:photo:thumbnail' source=photo.original_image.name %}",
            "{% thumbnail '20x20' photo.original_image srcset='2' %}",
            "{% thumbnail 'x20' photo.original_image as im %}{{ im.url }}{{ im.width }}",
            "{% picture 'testapp:photo:banner' source=photo.original_image %}",
            "{% imagebatch %}{% thumbnail '20x20' photo.original_image %}{% endimagebatch %}",
        ],
    )
    def test_a_tag_leaves_no_file_open(self, template: str, photo: Photo) -> None:
        """Each form of each tag."""
        assert render(template, photo=photo)
        assert render(template, photo=photo)

    def test_several_specs_together_leave_no_file_open(self, photo: Photo) -> None:
        """One handle serves them all."""
        outcome = generate_many([photo.thumbnail, photo.banner, photo.with_spec], force=True)
        assert not outcome.failures
        prefetch_images([photo], "thumbnail", "banner")
        assert AdminThumbnail("thumbnail")(photo)

    def test_commands_leave_no_file_open(self, photo: Photo, broken: list[Photo]) -> None:
        """Making, checking and cleaning."""
        quiet = {"stdout": io.StringIO(), "stderr": io.StringIO()}
        for command in ("generateimages", "checkimages", "cleanimages"):
            with suppress(CommandError):
                call_command(command, **quiet)

    def test_a_source_that_is_open_stays_open(self, photo: Photo) -> None:
        """A source that somebody has open stays open where it was, and is closed by them."""
        with photo.original_image.open() as source:
            source.seek(100)
            assert photo.thumbnail.width == 50
            assert render("{% thumbnail '20x20' photo.original_image %}", photo=photo)
            assert get_image("imagekit:thumbnail", source=source, width=7).width == 7
            assert not source.closed
            assert source.tell() == 100

    def test_a_broken_source_is_closed(self, broken: list[Photo]) -> None:
        """A failure closes what it had opened."""
        for photo in broken:
            assert "<img" in render("{% thumbnail '20x20' image %}", image=photo.original_image)
            assert photo.thumbnail.url
            with pytest.raises(ImageKitError):
                photo.banner.generate()
        files = [photo.with_spec for photo in broken]
        assert len(generate_many(files).failures) == len(files)

    def test_an_old_backend_leaves_no_file_open(self, strict: StrictStorage, photos: Path) -> None:
        """With a namer, a folder and a strategy of the old kind."""
        photo = OldPhoto.objects.create(
            name="a", original_image=content_of(photos / "rocket.jpg", "birthday.jpg")
        )
        for name in ("recorded", "in_table", "elsewhere", "in_folder", "early", "watermarked"):
            assert getattr(photo, name).url
        photo.original_image.save("other.jpg", content_of(photos / "coffee.png"))
        photo.delete()


class TestUploads:
    """Uploads that are processed before they are stored."""

    @pytest.mark.parametrize("name", ["rocket.jpg", "chelsea.png"])
    def test_an_upload_to_a_model_leaves_no_file_open(
        self, name: str, strict: StrictStorage, photos: Path
    ) -> None:
        """Stored, replaced, read, made into another image, and deleted."""
        upload = content_of(photos / name)
        cover = Cover.objects.create(image=upload)
        assert not upload.closed
        assert (cover.image.width, cover.small.width) == (100, 16)
        cover.image.save("again.png", content_of(photos / "coffee.png"))
        cover.image = content_of(photos / "astronaut.png")
        cover.save()
        with cover.image.open() as file:
            assert file.read(2) == b"\xff\xd8"
        cover.delete()

    @pytest.mark.parametrize("content", [b"", b"no image"])
    def test_an_upload_that_is_no_image_leaves_no_file_open(
        self, content: bytes, photo: Photo
    ) -> None:
        """Nothing is stored, and nothing is left open."""
        before = photo.original_image.storage.calls["open"]  # type: ignore[attr-defined]
        with pytest.raises(ImageKitError):
            Cover.objects.create(image=ContentFile(content, "a.jpg"))
        assert photo.original_image.storage.calls["open"] == before  # type: ignore[attr-defined]
        assert photo.thumbnail.url

    def test_an_upload_to_a_form_leaves_no_file_open(
        self, strict: StrictStorage, photos: Path
    ) -> None:
        """Of their own, and of a model; new, unchanged, replaced, cleared and refused."""
        data = (photos / "rocket.jpg").read_bytes()

        def files(content: bytes, name: str = "a.jpg") -> MultiValueDict[str, Any]:
            return MultiValueDict({"image": [SimpleUploadedFile(name, content)]})

        assert UploadForm({}, files(data)).is_valid()
        assert not UploadForm({}, files(data[:5000])).is_valid()
        upload = SimpleUploadedFile("a.jpg", data)
        form = ProfileForm({"name": "a"}, MultiValueDict({"avatar": [upload]}))
        profile = form.save()
        assert profile.avatar.width == 64
        for given in ({"name": "b"}, {"name": "b", "avatar-clear": "on"}):
            ProfileForm(given, MultiValueDict(), instance=Profile.objects.get(pk=profile.pk)).save()
        strict.open(strict.save("touched.txt", ContentFile(b"x"))).close()
