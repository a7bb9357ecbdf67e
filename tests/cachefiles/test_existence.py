"""Is it there, and of this recipe and source? The record is asked first, the storage second."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.files.storage import FileSystemStorage, storages
from PIL import Image

from imagekit_registry.cachefiles import ImageCacheFile, generate_many
from imagekit_registry.exceptions import PublishError
from imagekit_registry.specs import StoredFile
from imagekit_registry.state import Status
from imagekit_registry.testing import forget_state
from tests.cachefiles.conftest import Thumbnail
from tests.storages import BrokenStorage, CountingStorage


def _forget_everything() -> None:
    from django.core.signals import setting_changed

    caches["default"].clear()
    setting_changed.send(sender=None, setting="IMAGEKIT_STATE_STORE", value=None, enter=True)


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
        assert file.size == file.state.size == (tmp_path / str(file.name)).stat().st_size
        assert dict(storage.calls) == {"exists": 1, "open": 1}

    def test_the_bytes_of_a_file_that_was_found_are_asked_for_once(
        self, name: str, tmp_path: Path
    ) -> None:
        """Also where nobody wants to know how wide it is."""
        storage = CountingStorage(location=str(tmp_path))
        ImageCacheFile(Thumbnail(name), storage=storage).generate()
        _forget_everything()
        storage.calls.clear()
        sizes = {ImageCacheFile(Thumbnail(name), storage=storage).size for _ in range(3)}
        assert sizes == {next((tmp_path / "CACHE").rglob("*.jpg")).stat().st_size}
        assert dict(storage.calls) == {"exists": 1, "size": 1}

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


class TestDown:
    """A storage that does not answer."""

    def test_a_storage_that_fails_is_no_existing_file(self, name: str) -> None:
        """No false "exists": the error is ours, and the image is there when the storage is."""
        storage = BrokenStorage()
        storage.failures["exists"] = ConnectionError("no route to host")
        file = ImageCacheFile(Thumbnail(name), storage=storage)
        assert file.url.startswith("data:")
        with pytest.raises(PublishError, match="no route to host"):
            file.generate()
        storage.failures.clear()
        forget_state()
        assert ImageCacheFile(Thumbnail(name), storage=storage).read(3) == b"\xff\xd8\xff"
