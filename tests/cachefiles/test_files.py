"""Cache files: images that may not exist yet, and act as Django's files do."""

from __future__ import annotations

import errno
import gc
import json
import pickle
from pathlib import Path
from typing import Any
from weakref import WeakSet

import attrs
import pytest
from django.core.files.base import ContentFile, File
from django.core.files.images import ImageFile
from django.core.files.storage import FileSystemStorage, storages
from PIL import Image
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer

from imagekit_registry import ImageSpec, get_image, register, unregister
from imagekit_registry.cachefiles import ImageCacheFile, LazyImageCacheFile
from imagekit_registry.cachefiles.backends import Simple, Threads
from imagekit_registry.cachefiles.strategies import Frozen, JustInTime, OnDemand, Optimistic
from imagekit_registry.exceptions import (
    GenerationError,
    MissingSource,
    ProcessingError,
    PublishError,
    RetryLater,
    SourceUnavailable,
    UnreadableImage,
)
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.specs import StoredFile
from imagekit_registry.state import Status, get_state_access
from imagekit_registry.testing import forget_state
from tests.cachefiles.conftest import Thumbnail
from tests.storages import BrokenStorage, RemoteStorage, StrictStorage
from tests.testapp.models import Photo


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

    def test_a_serializer_that_names_a_spec_field_writes_its_url_or_null(
        self, name: str, db: None
    ) -> None:
        """Without declaring a field for it."""

        class PhotoSerializer(serializers.ModelSerializer):  # type: ignore[misc]
            class Meta:
                model = Photo
                fields = ("thumbnail",)

        photos = [Photo(original_image=source) for source in (name, "", "photos/gone.jpg")]
        data = PhotoSerializer(photos, many=True).data
        shown, empty, gone = json.loads(JSONRenderer().render(data))
        assert shown == {"thumbnail": photos[0].thumbnail.url}
        assert empty == {"thumbnail": None}
        assert str(gone["thumbnail"]).startswith("data:image/svg+xml")

    def test_a_path_is_as_good_a_name_as_its_text(self, name: str) -> None:
        """It made the state store fail, which all other images share."""
        named = type("Named", (Thumbnail,), {"namer": lambda spec: Path("own", "a.jpg")})
        for file in (ImageCacheFile(named(name)), ImageCacheFile(Thumbnail(name), Path("b.jpg"))):  # type: ignore[arg-type]
            assert file.url == f"/media/{file.name}"
            forget_state()
            assert get_state_access().get(file.identity.key) is not None

    @pytest.mark.parametrize("strategy", [JustInTime, Optimistic, Frozen, OnDemand])
    @pytest.mark.parametrize("asked", ["url", "width", "height"])
    def test_an_image_of_an_empty_field_is_refused_by_every_strategy(
        self, strategy: Any, asked: str
    ) -> None:
        """Some showed a fallback, as if there were an image to come, or had a record written."""
        spec = Thumbnail(Photo().original_image)
        file = ImageCacheFile(spec, cachefile_strategy=strategy)
        assert not file
        with pytest.raises(MissingSource):
            getattr(file, asked)
        assert get_state_access().get(file.identity.key) is None


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

    @pytest.mark.parametrize(
        ("content", "builtin"),
        [
            pytest.param(b"no image", OSError, id="unreadable"),
            pytest.param(None, FileNotFoundError, id="missing"),
        ],
    )
    @pytest.mark.parametrize("attribute", ["url", "width", "size"])
    def test_a_bad_source_raises_what_projects_catch_each_time(
        self,
        attribute: str,
        content: bytes | None,
        builtin: type[OSError],
        spec_id: str,
        settings: Any,
    ) -> None:
        """``except OSError``, or ``FileNotFoundError``; also while it is not tried again."""
        settings.IMAGEKIT_ON_ERROR = "raise"
        if content is not None:
            storages["default"].save("photos/bad.jpg", ContentFile(content))
        for _ in range(2):
            with pytest.raises(builtin) as caught:
                getattr(get_image(spec_id, source="photos/bad.jpg"), attribute)
            assert isinstance(caught.value, GenerationError)
            assert isinstance(pickle.loads(pickle.dumps(caught.value)), builtin)

    @pytest.mark.parametrize(
        "attribute",
        ["cachefile_name", "format", "namer", "processors", "cachefile_storage", "fallback"],
    )
    def test_a_specs_own_code_that_fails_is_a_failure_of_its_images(
        self, attribute: str, name: str, settings: Any
    ) -> None:
        """Nobody takes an AttributeError of a property for one that says that it is not there."""

        def fail(spec: Any) -> Any:
            raise AttributeError("the row has no shop")

        spec = type("Failing", (Thumbnail,), {attribute: property(fail)})
        file = ImageCacheFile(spec(name))
        settings.IMAGEKIT_ON_ERROR = "raise"
        with pytest.raises(ProcessingError, match="AttributeError: the row has no shop") as caught:
            str(file.url)
        assert caught.value.spec_id == file.spec_id
        assert caught.value.spec_id.endswith("Failing")
        assert caught.value.source == name
        settings.IMAGEKIT_ON_ERROR = "placeholder"
        shown = ImageCacheFile(spec(name)).shown()
        assert shown.url.startswith("data:image/svg+xml")
        empty = ImageCacheFile(spec(None))
        assert (bool(empty), empty.name) == (False, None)

    def test_an_argument_that_fails_is_no_failure_of_the_spec(self, name: str) -> None:
        """Whoever gives a storage that cannot be made is told what it raises."""

        def fail() -> Any:
            raise KeyError("bucket")

        with pytest.raises(KeyError, match="bucket"):
            ImageCacheFile(Thumbnail(name), storage=fail)

    @pytest.mark.parametrize("method", ["exists", "url"])
    def test_a_storage_that_fails_raises_what_projects_catch(
        self, method: str, name: str, settings: Any
    ) -> None:
        """``except OSError``, whatever its client raises."""
        settings.IMAGEKIT_ON_ERROR = "raise"
        storage = BrokenStorage()
        storage.failures = {method: RuntimeError("the client has no connection")}
        with pytest.raises(OSError, match="no connection") as caught:
            str(ImageCacheFile(Thumbnail(name), storage=storage).url)
        assert isinstance(caught.value, PublishError)
        assert not isinstance(caught.value, FileNotFoundError)

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

    def test_a_backend_that_the_spec_names_is_found_again(
        self, duplicate: Any, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One with threads could not be copied."""
        monkeypatch.setattr(Thumbnail, "cachefile_backend", Threads(workers=1))
        file = ImageCacheFile(Thumbnail(name))
        assert duplicate(file).cachefile_backend is Thumbnail.cachefile_backend
        own = ImageCacheFile(Thumbnail(name), cachefile_backend=Simple())
        assert type(duplicate(own).cachefile_backend) is Simple

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

    def test_the_side_that_is_left_free_follows_the_proportions_of_the_source(
        self, name: str
    ) -> None:
        """The side that is left free follows the photograph's own."""

        class Wide(ImageSpec):
            processors = [ResizeToFit(320)]

        assert (ImageCacheFile(Wide(name)).width, ImageCacheFile(Wide(name)).height) == (320, 214)
