"""Code of the old ImageKit (1.x to 2.0): its names, its file names and its image cache backends."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.db import transaction
from django.template import Context, Template
from PIL import Image

from imagekit_registry import models
from imagekit_registry.admin import AdminThumbnail
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.backends import (
    DatabaseImageCacheBackend,
    ImageCacheBackendAdapter,
    InvalidFileBackendError,
)
from imagekit_registry.exceptions import InvalidArgumentType
from imagekit_registry.models import CacheFileRecordRow, ImageSpecField
from imagekit_registry.models.fields import ProcessedImageField
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import StoredFile
from imagekit_registry.state import Status
from imagekit_registry.testing import forget_state
from tests.storages import CountingStorage, content_of
from tests.testapp.models import OldPhoto, RecordingImageCacheBackend, Thumbnail, Watermark

pytestmark = pytest.mark.django_db(transaction=True)

NAMER = "imagekit_registry.cachefiles.namers.source_name_and_field"


@pytest.fixture
def photo(photos: Path) -> OldPhoto:
    """Return a photograph in TIFF, as the old documentation has it."""
    with Image.open(photos / "rocket.jpg") as image:
        buffer = BytesIO()
        image.save(buffer, "TIFF")
    upload = ContentFile(buffer.getvalue(), "birthday.tiff")
    made = OldPhoto.objects.create(name="party", original_image=upload)
    OldPhoto.recording.calls.clear()
    return OldPhoto.objects.get(pk=made.pk)


@pytest.fixture
def overwriting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the storage put a new file in the place of an old one of the same name."""
    field = OldPhoto._meta.get_field("original_image")
    monkeypatch.setattr(field, "storage", FileSystemStorage(allow_overwrite=True))


def calls(method: str) -> list[str]:
    """Return the names for which the recording backend was told *method*."""
    return [name for called, name in OldPhoto.recording.calls if called == method]


class TestDocumentation:
    """What the old documentation promises."""

    def test_thumbnail_has_the_size_it_was_given(self, photo: OldPhoto) -> None:
        """``photo.thumbnail.width`` is 50."""
        assert photo.thumbnail.width == 50
        assert (photo.thumbnail.height, photo.thumbnail.url[-4:]) == (50, ".jpg")

    def test_original_is_unchanged(self, photo: OldPhoto) -> None:
        """A spec makes another file."""
        before = Path(photo.original_image.path).read_bytes()
        assert photo.thumbnail.url
        assert Path(photo.original_image.path).read_bytes() == before

    def test_an_old_spec_converts_the_format_and_names_the_file_after_its_field(
        self, photo: OldPhoto, settings: Any
    ) -> None:
        """The format is converted, and the file is named after source and field."""
        settings.IMAGEKIT_SPEC_CACHEFILE_NAMER = NAMER
        settings.IMAGEKIT_CACHEFILE_DIR = "cache"
        assert photo.formatted_image.url == "/media/cache/photos/birthday_formatted_image.jpg"
        with Image.open(photo.formatted_image.path) as image:
            assert (image.format, image.size) == ("JPEG", (640, 427))

    def test_a_processor_is_any_object_with_process(self, photo: OldPhoto) -> None:
        """Nothing has to be inherited from."""
        with Image.open(photo.watermarked.path) as image:
            assert image.getpixel((5, 5)) == (255, 0, 0)
            assert image.getpixel((600, 400)) != (255, 0, 0)
        assert not hasattr(Watermark, "required_size")

    def test_processors_may_come_first_and_by_position(self, photo: OldPhoto) -> None:
        """With or without a name."""
        first = ImageSpecField([ResizeToFill(5, 5)], image_field="a", id="tests:old-first")
        second = ImageSpecField(
            processors=[ResizeToFill(5, 5)], image_field="a", id="tests:old-second"
        )
        name = photo.original_image.name
        digests = {field.get_spec(name).get_hash() for field in (first, second)}
        assert len(digests) == 1

    def test_processed_image_field_is_where_it_was(self) -> None:
        """``from imagekit_registry.models.fields import ProcessedImageField``."""
        assert ProcessedImageField is models.ProcessedImageField

    def test_an_old_spec_is_shown_in_a_template(self, photo: OldPhoto) -> None:
        """As ``{{ photo.thumbnail.url }}``."""
        html = Template("{{ photo.thumbnail.url }} {{ photo.thumbnail.width }}").render(
            Context({"photo": photo})
        )
        assert html == f"{photo.thumbnail.url} 50"

    def test_an_old_spec_is_shown_in_the_admin(self, photo: OldPhoto) -> None:
        """`AdminThumbnail` with an image field's name."""
        assert photo.thumbnail.url in AdminThumbnail(image_field="thumbnail")(photo)

    def test_old_and_new_name_of_an_argument_exclude_each_other(self) -> None:
        """It would be left to chance which of them holds."""
        with pytest.raises(InvalidArgumentType, match="'image_field' is the old name of 'source'"):
            ImageSpecField(source="a", image_field="b")


class TestFileNames:
    """The old file names, which do not change with the recipe."""

    def test_a_changed_recipe_counts_as_missing(
        self, photo: OldPhoto, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The record has the digest of the recipe that the file was made by."""
        settings.IMAGEKIT_SPEC_CACHEFILE_NAMER = NAMER
        before = photo.thumbnail
        assert before.width == 50
        spec = generator_registry.lookup("testapp:oldphoto:thumbnail")
        monkeypatch.setattr(spec, "processors", [ResizeToFill(33, 33)])
        del photo.thumbnail
        assert photo.thumbnail.name == before.name
        assert photo.thumbnail.width == 33
        with Image.open(photo.thumbnail.path) as image:
            assert image.size == (33, 33)

    @pytest.mark.parametrize("store", ["cache", "database"])
    def test_two_rows_never_share_an_image(
        self, photo: OldPhoto, photos: Path, settings: Any, store: str
    ) -> None:
        """Two uploads that differ in their extension: the second one waits until the first goes."""
        settings.IMAGEKIT_SPEC_CACHEFILE_NAMER = NAMER
        settings.IMAGEKIT_STATE_STORE = store
        first = photo.thumbnail
        assert first.url == "/media/CACHE/images/photos/birthday_thumbnail.jpg"
        content = Path(first.path).read_bytes()
        upload = content_of(photos / "coffee.png", "birthday.png")
        other = OldPhoto.objects.create(name="other", original_image=upload)
        assert other.thumbnail.name == first.name
        assert other.thumbnail.url.startswith("data:")
        other.original_image.save("birthday.jpg", content_of(photos / "chelsea.png"))
        assert OldPhoto.objects.get(pk=other.pk).thumbnail.url.startswith("data:")
        assert Path(first.path).read_bytes() == content
        photo.delete()
        other = OldPhoto.objects.get(pk=other.pk)
        assert other.thumbnail.url == "/media/CACHE/images/photos/birthday_thumbnail.jpg"
        assert Path(other.thumbnail.path).read_bytes() != content

    def test_a_spec_that_is_no_field_gives_the_end_of_its_id(
        self, photo: OldPhoto, settings: Any
    ) -> None:
        """Or the name of its class."""
        settings.IMAGEKIT_SPEC_CACHEFILE_NAMER = NAMER
        spec = Thumbnail(photo.original_image)
        spec.spec_id = "shop:product:banner"
        name = ImageCacheFile(spec).name
        assert name == "CACHE/images/photos/birthday_banner.jpg"

    def test_a_source_in_another_storage_has_a_file_of_its_own(
        self, photo: OldPhoto, settings: Any, tmp_path: Path
    ) -> None:
        """Where only the storage tells two sources from each other."""
        settings.IMAGEKIT_SPEC_CACHEFILE_NAMER = NAMER
        elsewhere = StoredFile(str(photo.original_image.name), FileSystemStorage(tmp_path))
        spec = generator_registry.get("testapp:oldphoto:thumbnail", source=elsewhere)
        name = ImageCacheFile(spec).name
        assert name != photo.thumbnail.name == "CACHE/images/photos/birthday_thumbnail.jpg"
        assert re.fullmatch(r"CACHE/images/photos/birthday_thumbnail\.[0-9a-f]{8}\.jpg", str(name))

    def test_cache_to_is_asked_for_the_name(self, photo: OldPhoto) -> None:
        """With the instance, the source's name, the field's name and an extension."""
        assert photo.elsewhere.name == "elsewhere/party/elsewhere.jpg"
        assert photo.elsewhere.url == "/media/elsewhere/party/elsewhere.jpg"
        assert photo.elsewhere.width == 40

    def test_cache_to_may_be_a_folder(self, photo: OldPhoto) -> None:
        """The files in it have the old names, and stay apart as their sources do."""
        assert photo.in_folder.url == "/media/folder/small/photos/birthday_in_folder.jpg"

    def test_cache_to_must_be_one_or_the_other(self) -> None:
        """Anything else is told at once."""
        with pytest.raises(InvalidArgumentType, match="cache_to"):
            ImageSpecField(image_field="a", cache_to=5)  # type: ignore[arg-type]

    def test_storage_is_that_of_the_cache_file(self, photo: OldPhoto, tmp_path: Path) -> None:
        """The old name of ``cachefile_storage``."""
        storage = FileSystemStorage(location=tmp_path / "elsewhere", base_url="/elsewhere/")
        field = ImageSpecField(
            [ResizeToFill(5, 5)], image_field="original_image", storage=storage, id="tests:stored"
        )
        file = ImageCacheFile(field.get_spec(photo.original_image))
        assert file.url.startswith("/elsewhere/")
        assert Path(file.path).is_relative_to(tmp_path / "elsewhere")


class TestPreCache:
    """``pre_cache=True``."""

    def test_pre_cache_makes_the_file_when_the_source_is_saved(self, photo: OldPhoto) -> None:
        """Other fields wait until they are asked for."""
        storage = storages["default"]
        assert storage.exists(str(photo.early.name))
        assert not storage.exists(str(photo.thumbnail.name))

    def test_pre_cache_makes_the_file_again_if_it_is_missing(self, photo: OldPhoto) -> None:
        """As without it."""
        photo.early.delete()
        assert photo.early.width == 60

    def test_pre_cache_of_false_is_the_usual_strategy(self) -> None:
        """``pre_cache=False`` was the default."""
        field = ImageSpecField(image_field="a", pre_cache=False, format="PNG", id="tests:pre")
        assert field.get_spec(None).cachefile_strategy is None


class TestThreeMethods:
    """An image cache backend of one's own: validate, invalidate, clear."""

    @pytest.mark.parametrize("attribute", ["url", "width", "height"])
    def test_validate_is_called_when_a_file_is_asked_for(
        self, photo: OldPhoto, attribute: str
    ) -> None:
        """Once for each question; the backend decides whether to make the file."""
        assert getattr(photo.recorded, attribute)
        assert OldPhoto.recording.calls == [("validate", photo.recorded.name)]
        assert getattr(photo.recorded, attribute)
        assert len(calls("validate")) == 2

    def test_nothing_is_called_when_rows_are_loaded_and_saved(self, photo: OldPhoto) -> None:
        """A page that does not show the image does not ask the backend."""
        again = OldPhoto.objects.get(pk=photo.pk)
        assert again.recorded.name
        again.save()
        assert OldPhoto.recording.calls == []

    def test_invalidate_is_called_when_an_image_is_saved(
        self, photo: OldPhoto, photos: Path
    ) -> None:
        """For the file that is made of the new image."""
        photo.original_image = content_of(photos / "coffee.png", "other.png")
        photo.save()
        assert OldPhoto.recording.calls == [("invalidate", photo.recorded.name)]

    def test_invalidate_is_called_when_an_image_is_saved_under_the_same_name(
        self, photo: OldPhoto, photos: Path, overwriting: None
    ) -> None:
        """And what is shown then is the new image."""
        with Image.open(photo.recorded.path) as image:
            before = image.convert("RGB").tobytes()
        OldPhoto.recording.calls.clear()
        name = photo.recorded.name
        photo.original_image.save("birthday.tiff", content_of(photos / "chelsea.png"))
        assert photo.original_image.name == "photos/birthday.tiff"
        assert OldPhoto.recording.calls == [("invalidate", name)]
        with Image.open(photo.recorded.path) as image:
            assert image.convert("RGB").tobytes() != before

    def test_clear_is_called_when_the_row_is_deleted(self, photo: OldPhoto) -> None:
        """Also by a queryset; never after a rollback."""
        assert photo.recorded.url
        name, path = photo.recorded.name, Path(photo.recorded.path)
        OldPhoto.recording.calls.clear()
        with transaction.atomic():
            OldPhoto.objects.all().delete()
            transaction.set_rollback(True)
        assert OldPhoto.recording.calls == []
        OldPhoto.objects.all().delete()
        assert OldPhoto.recording.calls == [("clear", name)]
        assert not path.exists()

    def test_clear_is_for_rows_alone(self, photo: OldPhoto, photos: Path) -> None:
        """A file of an image that was replaced is swept, without a word to the backend."""
        assert photo.recorded.url
        path = Path(photo.recorded.path)
        OldPhoto.recording.calls.clear()
        photo.original_image = content_of(photos / "coffee.png", "other.png")
        photo.save()
        assert calls("clear") == []
        assert not path.exists()

    def test_an_old_backend_gets_a_file_with_what_old_backends_use(self, photo: OldPhoto) -> None:
        """Its name, storage, ``generate`` and ``delete``."""
        file = photo.recorded
        assert (file.storage, file.name) == (storages["default"], photo.recorded.name)
        file.generate()
        assert file.storage.exists(str(file.name))
        file.generate(force=True)
        file.delete()
        assert not file.storage.exists(str(file.name))

    def test_an_old_backend_is_accepted_as_the_default(
        self, photo: OldPhoto, settings: Any
    ) -> None:
        """``IMAGEKIT_DEFAULT_IMAGE_CACHE_BACKEND`` takes the place of the backend's setting."""
        path = "tests.testapp.models.RecordingImageCacheBackend"
        settings.IMAGEKIT_DEFAULT_IMAGE_CACHE_BACKEND = path
        photo = OldPhoto.objects.get(pk=photo.pk)
        adapter = photo.thumbnail.cachefile_backend
        assert isinstance(adapter, ImageCacheBackendAdapter)
        backend = adapter.image_cache_backend
        assert isinstance(backend, RecordingImageCacheBackend)
        assert photo.thumbnail.width == 50
        assert backend.calls == [("validate", photo.thumbnail.name)]
        name = photo.thumbnail.name
        photo.delete()
        assert ("clear", name) in backend.calls
        assert OldPhoto.recording.calls[-1][0] == "clear"

    def test_an_old_backend_is_accepted_wherever_a_backend_is(self, photo: OldPhoto) -> None:
        """As class, instance or dotted path, by the field or by the file."""
        path = "tests.testapp.models.RecordingImageCacheBackend"
        for backend in (path, RecordingImageCacheBackend, RecordingImageCacheBackend()):
            spec = Thumbnail(photo.original_image)
            file = ImageCacheFile(spec, cachefile_backend=backend)
            assert file.width == 100
            assert isinstance(file.cachefile_backend, ImageCacheBackendAdapter)
            (call,) = file.cachefile_backend.image_cache_backend.calls[-1:]
            assert call == ("validate", file.name)

    def test_an_old_backend_with_a_method_missing_is_refused(self, photo: OldPhoto) -> None:
        """The message says what a backend needs."""

        class Half:
            def validate(self, file: Any) -> None: ...

        with pytest.raises(InvalidFileBackendError, match=r"validate.*invalidate.*clear"):
            ImageCacheFile(Thumbnail(photo.original_image), cachefile_backend=Half())


class TestDatabaseBackend:
    """The three-method backend that keeps the state in a table."""

    def test_the_database_backend_makes_the_file_and_keeps_a_row(self, photo: OldPhoto) -> None:
        """The table is the one of all cache file records."""
        assert photo.in_table.width == 30
        row = CacheFileRecordRow.objects.get(name=photo.in_table.name)
        assert (row.status, row.width, row.source) == (
            Status.EXISTS,
            30,
            photo.original_image.name,
        )

    def test_the_database_backend_asks_no_storage(self, photo: OldPhoto, tmp_path: Path) -> None:
        """Neither when the file is there, nor when it is not."""
        storage = CountingStorage(location=str(tmp_path))
        backend = DatabaseImageCacheBackend()

        def shown() -> tuple[Any, ...]:
            forget_state()
            spec = Thumbnail(photo.original_image)
            file = ImageCacheFile(spec, storage=storage, cachefile_backend=backend)
            return file.url, file.width, file.height

        assert shown()[1:] == (100, 60)
        storage.calls.clear()
        assert shown()[1:] == (100, 60)
        assert dict(storage.calls) == {"url": 1}

    def test_the_database_backend_trusts_its_row_alone(self, photo: OldPhoto) -> None:
        """A file without a row is not valid: it is made again."""
        path = Path(photo.in_table.path)
        path.write_bytes(b"something else")
        CacheFileRecordRow.objects.all().delete()
        forget_state()
        assert photo.in_table.url
        assert path.read_bytes()[:3] == b"\xff\xd8\xff"

    def test_the_database_backend_makes_a_new_file_of_a_new_image(
        self, photo: OldPhoto, photos: Path, overwriting: None
    ) -> None:
        """Under the same name, when it is asked for next."""
        before = Path(photo.in_table.path).read_bytes()
        photo.original_image.save("birthday.tiff", content_of(photos / "chelsea.png"))
        row = CacheFileRecordRow.objects.get(name=photo.in_table.name)
        assert row.status == Status.MISSING
        assert Path(photo.in_table.path).read_bytes() != before

    def test_the_database_backend_removes_file_and_row_with_the_model(
        self, photo: OldPhoto
    ) -> None:
        """Nothing is left behind."""
        path = Path(photo.in_table.path)
        photo.delete()
        assert not path.exists()
        assert not CacheFileRecordRow.objects.filter(name__contains="birthday").exists()

    def test_the_database_backend_makes_one_file_for_one_question(self, photo: OldPhoto) -> None:
        """A second look finds it valid."""
        photo.in_table.generate()
        before = Path(photo.in_table.path).stat()
        forget_state()
        assert OldPhoto.objects.get(pk=photo.pk).in_table.url
        after = Path(photo.in_table.path).stat()
        assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
