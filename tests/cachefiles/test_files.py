"""Cache files: images that may not exist yet, and act as Django's files do."""

from __future__ import annotations

import errno
import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakSet

import attrs
import pytest
from django.core.cache import caches
from django.core.files.base import ContentFile, File
from django.core.files.images import ImageFile
from django.core.files.storage import FileSystemStorage, storages
from PIL import Image

from imagekit_registry import ImageSpec, get_image, register, unregister
from imagekit_registry.cachefiles import (
    ImageCacheFile,
    LazyImageCacheFile,
    generate_many,
    namers,
)
from imagekit_registry.cachefiles.backends import BaseAsync, Simple
from imagekit_registry.exceptions import (
    GenerationError,
    MissingSource,
    PublishError,
    RetryLater,
    SourceUnavailable,
    UnreadableImage,
)
from imagekit_registry.processors import ResizeToFill, ResizeToFit
from imagekit_registry.specs import StoredFile
from imagekit_registry.state import Status, get_state_access
from tests.storages import BrokenStorage, CountingStorage, RemoteStorage, StrictStorage


class Thumbnail(ImageSpec):
    """A spec as in the documentation."""

    processors = [ResizeToFill(100, 60)]
    format = "JPEG"
    options = {"quality": 60}


class Later(BaseAsync):
    """A backend whose worker never comes."""

    def schedule_generation(self, file: Any, force: bool = False) -> None:
        """Do nothing."""


@pytest.fixture
def spec_id() -> Iterator[str]:
    """Register the spec while the test runs."""
    register.generator("tests:file", Thumbnail)
    yield "tests:file"
    unregister.generator("tests:file")


class TestAnswers:
    """What a cache file says of itself."""

    def test_a_cache_file_is_an_image_of_the_recipes_size_and_format(self, name: str) -> None:
        """URL, dimensions and size describe a real JPEG."""
        file = ImageCacheFile(Thumbnail(name))
        assert file.url == f"/media/{file.name}"
        assert (file.width, file.height) == (100, 60)
        assert file.size == Path(file.path).stat().st_size
        assert file.media_type == "image/jpeg"
        with Image.open(file.path) as image:
            assert (image.format, image.size) == ("JPEG", (100, 60))

    def test_a_cache_file_is_a_django_image_file(self, name: str) -> None:
        """What takes Django's image files takes these."""
        file = ImageCacheFile(Thumbnail(name))
        assert isinstance(file, ImageFile)
        assert file.read(3) == b"\xff\xd8\xff"
        assert b"".join(file.chunks())[:3] == b"\xff\xd8\xff"
        with file.open() as opened:
            assert len(opened.read()) == file.size
        assert file.closed

    def test_a_cache_file_leaves_the_original_unchanged(self, name: str, photos: Path) -> None:
        """A spec makes another file; its source stays as it was uploaded."""
        ImageCacheFile(Thumbnail(name)).generate()
        with storages["default"].open(name) as file:
            assert file.read() == (photos / "rocket.jpg").read_bytes()

    @pytest.mark.parametrize(
        "make",
        [
            pytest.param(lambda path, name: name, id="a name in the default storage"),
            pytest.param(lambda path, name: File(path.open("rb"), name=str(path)), id="File"),
            pytest.param(lambda path, name: ContentFile(path.read_bytes()), id="without a name"),
            pytest.param(lambda path, name: path.open("rb"), id="an open file of Python"),
        ],
    )
    def test_a_cache_file_takes_any_source(self, make: Any, photos: Path, name: str) -> None:
        """A source may be a name, a Django file or an open file."""
        source = make(photos / "rocket.jpg", name)
        file = ImageCacheFile(Thumbnail(source))
        assert (file.width, file.height) == (100, 60)
        if hasattr(source, "close"):
            source.close()

    def test_a_cache_file_of_no_source_is_false_and_silent_in_templates(self) -> None:
        """An empty image field is no error until its image is asked for."""
        file = ImageCacheFile(Thumbnail(None))
        assert not file
        assert file.name is None
        assert repr(file) == "<ImageCacheFile: None>"
        with pytest.raises(MissingSource, match="no source") as caught:
            _ = file.url
        assert caught.value.silent_variable_failure
        with pytest.raises(ValueError, match="no source"):
            file.generate()

    def test_files_in_two_storages_are_two_files(
        self, settings: Any, tmp_path: Path, photos: Path
    ) -> None:
        """Sources of the same name in different storages never share a cache file."""
        backend = "django.core.files.storage.FileSystemStorage"
        settings.STORAGES = {
            **settings.STORAGES,
            "private": {"BACKEND": backend, "OPTIONS": {"location": str(tmp_path / "private")}},
        }
        for alias, photo in (("default", "rocket.jpg"), ("private", "coffee.png")):
            storages[alias].save("a.png", ContentFile((photos / photo).read_bytes()))
        sources = [StoredFile("a.png", storages[alias]) for alias in ("default", "private")]
        files = [ImageCacheFile(Thumbnail(source)) for source in [*sources, "a.png"]]
        assert files[0].name == files[2].name != files[1].name
        assert files[0].read() != files[1].read()
        for file in files:
            file.close()


class TestWarm:
    """A page that was rendered before costs nothing."""

    def test_a_warm_file_asks_no_storage_but_for_urls(self, name: str, tmp_path: Path) -> None:
        """URL, width, height, size and truth come from the state record."""
        storage = CountingStorage(location=str(tmp_path))
        for _ in range(2):
            storage.calls.clear()
            file = ImageCacheFile(Thumbnail(name), storage=storage)
            assert file
            assert (file.width, file.height) == (100, 60)
            assert file.size > 0
            assert file.url
        assert dict(storage.calls) == {"url": 1}

    def test_an_existing_file_with_an_empty_cache_asks_the_storage_once(
        self, name: str, tmp_path: Path
    ) -> None:
        """An existing file without a record is found by one look, and measured by its header."""
        storage = CountingStorage(location=str(tmp_path))
        ImageCacheFile(Thumbnail(name), storage=storage).generate()
        _forget_everything()
        storage.calls.clear()
        for _ in range(3):
            file = ImageCacheFile(Thumbnail(name), storage=storage)
            assert (bool(file), file.width, file.height) == (True, 100, 60)
        assert dict(storage.calls) == {"exists": 1, "open": 1}

    def test_a_file_finds_that_its_source_was_overwritten(self, name: str, photos: Path) -> None:
        """When a record is verified, not before: a warm page asks nobody."""
        with ImageCacheFile(Thumbnail(name)).open() as file:
            first = file.read()
        path = Path(storages["default"].path(name))
        path.write_bytes((photos / "hubble_deep_field.jpg").read_bytes())
        os.utime(path, (time.time() + 60, time.time() + 60))
        with ImageCacheFile(Thumbnail(name)).open() as warm:
            assert warm.read() == first
        _forget_everything()
        with ImageCacheFile(Thumbnail(name)).open() as verified:
            assert verified.read() != first

    @pytest.mark.parametrize("together", [False, True], ids=["alone", "with others"])
    def test_a_file_finds_that_its_source_was_overwritten_while_it_was_made(
        self, name: str, together: bool
    ) -> None:
        """What was made of the former image is not believed, whoever deleted what and when."""
        path = Path(storages["default"].path(name))

        class Meanwhile(Thumbnail):
            def generate(self) -> Any:
                made = super().generate()
                Image.new("RGB", (100, 60), "white").save(path)
                Meanwhile.generate = Thumbnail.generate  # type: ignore[method-assign]
                return made

        file = ImageCacheFile(Meanwhile(name), name="CACHE/images/a.jpg")
        if together:
            generate_many([file])
        else:
            file.generate()
        assert file.url == "/media/CACHE/images/a.jpg"
        with ImageCacheFile(Meanwhile(name), name=file.name).open() as opened:
            assert Image.open(opened).getpixel((50, 30)) == (255, 255, 255)

    def test_a_file_is_not_made_for_ever_where_times_are_of_no_use(
        self, name: str, media: Path
    ) -> None:
        """A storage may tell another time at each question."""

        class Restless(FileSystemStorage):
            times = 0.0

            def get_modified_time(self, name: str) -> Any:
                self.times += 1
                return self.times

        made: list[str] = []

        class Counted(Thumbnail):
            def generate(self) -> Any:
                made.append(str(self.source))
                return super().generate()

        source = StoredFile(name, Restless(location=str(media)))
        for _ in range(5):
            assert ImageCacheFile(Counted(source), name="CACHE/images/a.jpg").width == 100
        assert len(made) <= 2

    @pytest.mark.parametrize("attribute", ["size", "file"])
    def test_an_image_is_made_again_after_its_file_has_gone_unrecorded(
        self, name: str, attribute: str
    ) -> None:
        """Also where another process knows nothing but that it exists."""
        file = ImageCacheFile(Thumbnail(name))
        path = Path(file.path)
        file.cachefile_backend.set_state(file, Status.EXISTS)
        path.unlink()
        assert getattr(file, attribute)
        assert path.exists()
        file.close()

    def test_an_image_is_made_again_after_its_file_has_gone(self, name: str) -> None:
        """The state is a hint, the storage is the truth: reading finds it out."""
        Path(ImageCacheFile(Thumbnail(name)).path).unlink()
        file = ImageCacheFile(Thumbnail(name))
        assert file.read(3) == b"\xff\xd8\xff"
        file.close()


def _forget_everything() -> None:
    from django.core.signals import setting_changed

    caches["default"].clear()
    setting_changed.send(sender=None, setting="IMAGEKIT_STATE_STORE", value=None, enter=True)


class TestHandles:
    """Who opens, closes."""

    def test_a_closed_source_is_closed_afterwards(self, tmp_path: Path, photos: Path) -> None:
        """Nothing is left open, closed twice or read after it was closed."""
        storage = StrictStorage(location=str(tmp_path))
        storage.save("a.jpg", ContentFile((photos / "rocket.jpg").read_bytes()))
        file = ImageCacheFile(Thumbnail(StoredFile("a.jpg", storage)), storage=storage)
        assert file.width == 100
        with file.open():
            file.read()
        storage.assert_clean()

    def test_an_open_source_stays_open_where_it_was(self, photos: Path) -> None:
        """A view that has read half of an upload can go on reading."""
        with (photos / "rocket.jpg").open("rb") as source:
            source.seek(7)
            ImageCacheFile(Thumbnail(source)).generate()
            assert not source.closed
            assert source.tell() == 7

    def test_a_source_that_is_no_image_is_closed_too(self, tmp_path: Path) -> None:
        """A failure leaks no handle."""
        storage = StrictStorage(location=str(tmp_path))
        storage.save("a.jpg", ContentFile(b"not an image"))
        with pytest.raises(UnreadableImage):
            Thumbnail(StoredFile("a.jpg", storage)).generate()
        storage.assert_clean()


class TestRecipes:
    """Names that do not change with the recipe."""

    def test_a_changed_recipe_counts_as_missing(self, name: str) -> None:
        """The state record keeps the digest; the new image takes the old one's place."""

        class Before(Thumbnail):
            namer = namers.source_name_and_field

        class After(Before):
            processors = [ResizeToFill(40, 30)]

        before, after = Before(name), After(name)
        before.spec_id = after.spec_id = "tests:file:banner"
        assert ImageCacheFile(before).width == 100
        assert ImageCacheFile(before).name == ImageCacheFile(after).name
        assert not ImageCacheFile(after).exists()
        assert ImageCacheFile(after).width == 40
        with Image.open(ImageCacheFile(after).path) as image:
            assert image.size == (40, 30)


class TestFailures:
    """A bad input gets one of our exceptions, with spec, source and cause."""

    @pytest.mark.parametrize(
        ("content", "error"),
        [
            pytest.param(b"", UnreadableImage, id="empty"),
            pytest.param(b"plain text, no image", UnreadableImage, id="text named jpg"),
            pytest.param(None, SourceUnavailable, id="missing"),
        ],
    )
    def test_a_failure_names_spec_source_and_cause(
        self, content: bytes | None, error: type[GenerationError], spec_id: str
    ) -> None:
        """The message says where to look."""
        if content is not None:
            storages["default"].save("photos/bad.jpg", ContentFile(content))
        with pytest.raises(error, match=r"tests:file of 'photos/bad\.jpg': ") as caught:
            get_image(spec_id, source="photos/bad.jpg").generate()
        assert caught.value.spec_id == spec_id
        assert caught.value.source == "photos/bad.jpg"
        assert not storages["default"].exists("CACHE")

    def test_a_failure_is_remembered_and_not_tried_at_each_request(self, spec_id: str) -> None:
        """A corrupt upload costs one try, until the back-off is over or somebody insists."""
        name = storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        with pytest.raises(UnreadableImage):
            get_image(spec_id, source=name).generate()
        file = get_image(spec_id, source=name)
        with pytest.raises(RetryLater, match="failed once"):
            file.generate()
        assert file.state.status == Status.FAILED
        assert file.state.error
        with pytest.raises(UnreadableImage):
            file.generate(force=True)

    def test_a_failure_to_make_an_image_anew_leaves_the_image_that_is_there(
        self, name: str
    ) -> None:
        """It is what would have been made; once it is gone, or out of date, it is no more."""
        storage = BrokenStorage()
        file = ImageCacheFile(Thumbnail(name), storage=storage)
        file.generate()
        storage.failures["save"] = OSError(errno.ENOSPC, "No space left on device")
        for _ in range(2):
            with pytest.raises(PublishError, match="No space left"):
                file.generate(force=True)
            assert file.state.status == Status.EXISTS
            assert file.url.startswith("/remote/")
        storage.contents.clear()
        with pytest.raises(PublishError, match="No space left"):
            file.generate(force=True)
        assert file.state.status == Status.FAILED
        assert file.url.startswith("data:")

    def test_a_failure_to_make_an_image_of_another_content_shows_no_former_image(
        self, name: str
    ) -> None:
        """The former image must not be shown in place of the new one."""
        storage = BrokenStorage()
        file = ImageCacheFile(Thumbnail(name), storage=storage)
        file.generate()
        Path(storages["default"].path(name)).write_bytes(b"no image")
        with pytest.raises(UnreadableImage):
            file.generate(force=True)
        assert file.url.startswith("data:")

    def test_a_failure_is_over_when_somebody_else_has_made_the_image(self, spec_id: str) -> None:
        """A process that still believes in the failure does not bring it back."""
        path = Path(storages["default"].path("photos/bad.jpg"))
        path.parent.mkdir()
        path.write_bytes(b"no image")
        file = get_image(spec_id, source="photos/bad.jpg")
        with pytest.raises(UnreadableImage):
            file.generate()
        key = file.cachefile_backend.get_key(file)
        made = attrs.evolve(file.state, status=Status.EXISTS, error="", retry_at=None)
        get_state_access().store.set_many({key: made})
        assert file.url.startswith("data:")
        assert get_state_access().store.get_many([key])[key] == made

    def test_a_failure_is_logged_once(self, spec_id: str, caplog: Any) -> None:
        """Who makes the image and who shows what stands in are one page."""
        name = storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        file = get_image(spec_id, source=name)
        assert file.url.startswith("data:")
        assert file.width == 100
        assert len(caplog.messages) == 1

    def test_a_failure_is_shown_as_the_settings_say(self, settings: Any, spec_id: str) -> None:
        """A placeholder of the right size, the source, nothing, the error, or one's own answer."""
        name = storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        file = get_image(spec_id, source=name)
        settings.IMAGEKIT_ON_ERROR = "placeholder"
        assert file.url.startswith("data:image/svg+xml")
        assert (file.width, file.height) == (100, 60)
        settings.IMAGEKIT_ON_ERROR = "source"
        assert file.url == f"/media/{name}"
        settings.IMAGEKIT_ON_ERROR = "empty"
        assert file.url == ""
        settings.IMAGEKIT_ON_ERROR = lambda file, error: f"/broken.png?{error.spec_id}"
        assert file.url == "/broken.png?tests:file"
        settings.IMAGEKIT_ON_ERROR = "raise"
        with pytest.raises(GenerationError):
            _ = file.url

    def test_the_specs_own_fallback_comes_first(self, settings: Any) -> None:
        """A spec knows better than the settings what stands in for its images."""

        class WithSource(Thumbnail):
            fallback = "source"

        name = storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        settings.IMAGEKIT_ON_ERROR = "raise"
        assert ImageCacheFile(WithSource(name)).url == f"/media/{name}"

    def test_a_storage_that_fails_is_no_existing_file(self, name: str) -> None:
        """No false "exists": the error is ours, and the image is there when the storage is."""
        storage = BrokenStorage()
        storage.failures["exists"] = ConnectionError("no route to host")
        file = ImageCacheFile(Thumbnail(name), storage=storage)
        assert file.url.startswith("data:")
        with pytest.raises(PublishError, match="no route to host"):
            file.generate()
        storage.failures.clear()
        assert ImageCacheFile(Thumbnail(name), storage=storage).read(3) == b"\xff\xd8\xff"


class TestStorages:
    """Cache files lie in any storage."""

    def test_a_storage_without_paths_will_do(self, name: str) -> None:
        """What lies in a cloud has no path, and needs none."""
        file = ImageCacheFile(Thumbnail(name), storage=RemoteStorage(base_url="/remote/"))
        assert file.url.startswith("/remote/CACHE/images/photos/rocket/")
        assert (file.width, file.height) == (100, 60)

    def test_a_storage_for_each_file_is_not_kept(self, name: str) -> None:
        """A callable may give a new one each time; a process must not grow by them."""
        given: WeakSet[RemoteStorage] = WeakSet()

        def give() -> RemoteStorage:
            storage = RemoteStorage()
            given.add(storage)
            return storage

        for _ in range(1000):
            assert not ImageCacheFile(Thumbnail(source=name), storage=give).exists()
        gc.collect()
        assert len(given) < 500

    def test_delete_removes_file_and_state(self, name: str) -> None:
        """What is deleted is made again when it is asked for."""
        file = ImageCacheFile(Thumbnail(name))
        path = Path(file.path)
        file.delete()
        assert not path.exists()
        assert not file.exists()
        assert file.width == 100
        assert path.exists()


class TestLater:
    """Images of a worker do not exist at once."""

    def test_an_image_of_a_worker_has_its_dimensions_before_it_exists(self, name: str) -> None:
        """The page keeps its layout while the image is being made."""
        file = ImageCacheFile(Thumbnail(name), cachefile_backend=Later())
        assert not file
        assert (file.width, file.height) == (100, 60)
        assert file.url.endswith(".jpg")

    def test_an_image_of_a_worker_shows_its_fallback_until_it_exists(self, name: str) -> None:
        """A spec with a fallback has something to show at any time."""

        class WithSource(Thumbnail):
            fallback = "source"

        backend = Later()
        assert ImageCacheFile(WithSource(name), cachefile_backend=backend).url == f"/media/{name}"
        backend.generate_now(ImageCacheFile(WithSource(name), cachefile_backend=backend))
        assert "CACHE" in ImageCacheFile(WithSource(name), cachefile_backend=backend).url


class TestCopies:
    """Cache files survive pickling and copying."""

    def test_a_copy_is_the_same_image(self, duplicate: Any, name: str, spec_id: str) -> None:
        """Without its storage or content, which it finds again."""
        file = get_image(spec_id, source=name)
        file.open()
        other = duplicate(file)
        assert other.closed
        assert other.storage is file.storage
        assert (other.url, other.width) == (file.url, file.width)
        assert other == file
        file.close()

    def test_a_source_in_a_storage_without_an_alias_is_copied_too(
        self, duplicate: Any, name: str, spec_id: str, media: Path
    ) -> None:
        """It goes with its storage, which no setting names."""
        private = FileSystemStorage(location=str(media), base_url="/private/")
        file = get_image(spec_id, source=StoredFile(name, private))
        other = duplicate(file)
        assert (other.url, other.source.url) == (file.url, f"/private/{name}")

    def test_a_lazy_file_is_built_when_it_is_used(self, name: str) -> None:
        """A lazy file may name a generator that is registered later."""
        file = LazyImageCacheFile("tests:lazy", source=name)
        register.generator("tests:lazy", Thumbnail)
        try:
            assert file.width == 100
        finally:
            unregister.generator("tests:lazy")


class TestBackends:
    """Backends and what they remember."""

    def test_the_record_says_all(self, name: str, spec_id: str) -> None:
        """Status, dimensions, size, format, digest, spec and source."""
        file = get_image(spec_id, source=name)
        file.generate()
        record = file.state
        assert (record.status, record.width, record.height) == (Status.EXISTS, 100, 60)
        assert (record.size, record.format, record.spec_id) == (file.size, "JPEG", spec_id)
        assert (record.source, record.digest) == (name, file.digest)

    def test_a_backend_of_two_methods_will_do(self, name: str) -> None:
        """A third-party backend needs no state of ours."""

        class Least:
            def generate(self, file: Any, force: bool = False) -> None:
                content = file.generator.generate()
                file.storage.save(file.name, File(content))

            def exists(self, file: Any) -> bool:
                return bool(file.storage.exists(file.name))

        file = ImageCacheFile(Thumbnail(name), cachefile_backend=Least())
        assert (file.width, file.height) == (100, 60)
        assert file.state.status == Status.EXISTS

    def test_forced_files_are_replaced(self, name: str) -> None:
        """Overwriting ends with one file, at the same name."""
        file = ImageCacheFile(Thumbnail(name))
        file.generate()
        first = Path(file.path).read_bytes()
        ImageCacheFile(Thumbnail(name)).generate(force=True)
        assert Path(file.path).read_bytes() == first
        assert [path.name for path in Path(file.path).parent.iterdir()] == [Path(file.path).name]

    def test_simple_is_the_default(self, name: str) -> None:
        """Files are made at once unless the settings say otherwise."""
        assert type(ImageCacheFile(Thumbnail(name)).cachefile_backend) is Simple

    def test_a_limit_of_the_spec_holds(self, name: str) -> None:
        """A spec may be stricter than the settings."""
        from imagekit_registry.exceptions import LimitExceeded
        from imagekit_registry.imaging import Limits

        class Strict(Thumbnail):
            limits = Limits(max_pixels=1000)

        with pytest.raises(LimitExceeded, match="pixels"):
            Strict(name).generate()

    def test_the_side_that_is_left_free_follows_the_proportions_of_the_source(
        self, name: str
    ) -> None:
        """The side that is left free follows the photograph's own."""

        class Wide(ImageSpec):
            processors = [ResizeToFit(320)]

        assert (ImageCacheFile(Wide(name)).width, ImageCacheFile(Wide(name)).height) == (320, 214)


class RenamingStorage(RemoteStorage):
    """A storage that gives every file a name of its own choice."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return a name that is not the one that was asked for."""
        stem, dot, extension = name.rpartition(".")
        return f"{stem}_{len(self.contents)}{dot}{extension}"


class TestRenamingStorages:
    """Storages that insist on a name of their own."""

    def test_the_record_holds_the_name_that_the_file_got(self, name: str) -> None:
        """One file, found under the name it has, and no litter after it is made again."""
        storage = RenamingStorage()
        for force in (False, True, True):
            file = ImageCacheFile(Thumbnail(name), storage=storage)
            file.generate(force=force)
            assert len(storage.contents) == 1
            assert file.url == f"/remote/{next(iter(storage.contents))}"
            assert file.size == len(next(iter(storage.contents.values())))
        file.delete()
        assert storage.contents == {}
