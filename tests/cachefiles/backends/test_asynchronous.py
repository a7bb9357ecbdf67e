"""Backends whose files are made by a worker, later; those with queues are in `test_queues`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from PIL import Image

from imagekit_registry import ImageSpec
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.backends import BaseAsync
from imagekit_registry.cachefiles.existence import look_up
from imagekit_registry.exceptions import GenerationError, UnreadableImage
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.state import Status
from imagekit_registry.testing import forget_state
from tests.cachefiles.conftest import Thumbnail as Large
from tests.storages import RemoteStorage


class Thumbnail(ImageSpec):
    """A recipe."""

    processors = [ResizeToFill(60, 40)]
    format = "JPEG"


class Queue(BaseAsync):
    """A backend whose worker comes when it is called."""

    def __init__(self) -> None:
        self.messages: list[tuple[Any, bool]] = []
        self.error: Exception | None = None
        self.is_eager = False

    def schedule_generation(self, file: Any, force: bool = False) -> None:
        """Put the file into the queue."""
        if self.error is not None:
            raise self.error
        self.messages.append((file, force))
        if self.is_eager:
            self.generate_now(file, force=force)


class TestWorkers:
    """Images that a worker makes."""

    @pytest.fixture
    def queue(self) -> Queue:
        """Return the backend."""
        return Queue()

    @pytest.fixture
    def ask(self, name: str, queue: Queue) -> Callable[..., ImageCacheFile]:
        """Return a function that asks for the image as another request does."""

        def look() -> ImageCacheFile:
            forget_state()
            file = ImageCacheFile(Thumbnail(name), cachefile_backend=queue)
            assert file.url.startswith("/media/CACHE/")
            assert file.width == 60
            return file

        return look

    def test_an_image_of_a_worker_is_asked_for_once(self, ask: Any, queue: Queue) -> None:
        """However many requests come while it is on its way, or being made."""
        for _ in range(3):
            file = ask()
            assert not file
        assert len(queue.messages) == 1
        assert file.state.status == Status.GENERATING
        (record,) = look_up([file], ask_storage=True, fresh=True)
        assert record is not None
        assert record.status != Status.EXISTS
        ask()
        assert len(queue.messages) == 1
        queue.generate_now(*queue.messages[0])
        assert ask()
        assert len(queue.messages) == 1

    def test_an_image_of_a_worker_is_asked_for_again_when_nothing_has_come_of_it(
        self, ask: Any, queue: Queue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A worker that died, or a message that was lost, is not waited for for ever."""
        ask()
        now = time.time()
        monkeypatch.setattr("time.time", lambda: now + 29)
        ask()
        assert len(queue.messages) == 1
        monkeypatch.setattr("time.time", lambda: now + 60)
        ask()
        assert len(queue.messages) == 2

    def test_images_of_a_worker_that_fail_are_asked_for_less_and_less_often(
        self, ask: Any, name: str, queue: Queue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """That a worker was told once more does not begin the count anew."""
        now = time.time()
        monkeypatch.setattr("time.time", lambda: now)
        storages["default"].delete(name)
        storages["default"].save(name, ContentFile(b"no image"))
        delays = []
        for number in range(3):
            forget_state()
            file = ImageCacheFile(Thumbnail(name), cachefile_backend=queue)
            file.generate()
            assert len(queue.messages) == number + 1
            with pytest.raises(UnreadableImage):
                queue.generate_now(file)
            assert file.state.retry_at is not None
            delays.append(round(file.state.retry_at - now))
            now = file.state.retry_at + 1
        assert delays == [60, 120, 240]

    def test_a_worker_makes_images_of_an_overwritten_source_anew(
        self, name: str, queue: Queue
    ) -> None:
        """That the worker was told does not make the former image a good one."""
        # One without times: the record alone can tell.
        storage = RemoteStorage()
        file = ImageCacheFile(Thumbnail(name), storage=storage, cachefile_backend=queue)
        queue.generate_now(file)
        Image.new("RGB", (90, 90), "white").save(storages["default"].path(name))
        # Somebody has looked, and found that the source is another one.
        queue.states.put(queue.get_key(file), attrs.evolve(file.state, status=Status.MISSING))
        file.generate()
        assert len(queue.messages) == 1
        queue.generate_now(*queue.messages[0])
        with file.open() as opened, Image.open(opened) as image:
            assert image.getpixel((30, 20)) == (255, 255, 255)

    def test_an_eager_queue_may_make_images_within_the_call(self, ask: Any, queue: Queue) -> None:
        """A queue may be eager: it exists then, and is not said to be on its way."""
        queue.is_eager = True
        assert ask()
        assert ask().state.status == Status.EXISTS

    def test_an_image_is_there_while_a_worker_makes_it_anew(self, ask: Any, queue: Queue) -> None:
        """Who forces it goes on showing the image that is there."""
        queue.is_eager = True
        ask()
        queue.is_eager = False
        ask().generate(force=True)
        assert [force for _, force in queue.messages] == [False, True]
        assert ask()

    def test_a_queue_that_is_down_breaks_no_page(
        self, ask: Any, name: str, queue: Queue, settings: Any
    ) -> None:
        """The error is ours, and the next request tries again."""
        queue.error = ConnectionError("no broker")
        file = ImageCacheFile(Thumbnail(name), cachefile_backend=queue)
        assert file.url.startswith("data:")
        settings.IMAGEKIT_ON_ERROR = "raise"
        with pytest.raises(GenerationError, match="no broker") as caught:
            _ = file.url
        assert caught.value.source == name
        queue.error = None
        ask()
        assert len(queue.messages) == 1


class Later(BaseAsync):
    """A backend whose worker never comes."""

    def schedule_generation(self, file: Any, force: bool = False) -> None:
        """Do nothing."""


class TestLater:
    """Images of a worker do not exist at once."""

    def test_an_image_of_a_worker_has_its_dimensions_before_it_exists(self, name: str) -> None:
        """The page keeps its layout while the image is being made."""
        file = ImageCacheFile(Large(name), cachefile_backend=Later())
        assert not file
        assert (file.width, file.height) == (100, 60)
        assert file.url.endswith(".jpg")

    def test_an_image_of_a_worker_shows_its_fallback_until_it_exists(self, name: str) -> None:
        """A spec with a fallback has something to show at any time."""

        class WithSource(Large):
            fallback = "source"

        backend = Later()
        assert ImageCacheFile(WithSource(name), cachefile_backend=backend).url == f"/media/{name}"
        backend.generate_now(ImageCacheFile(WithSource(name), cachefile_backend=backend))
        assert "CACHE" in ImageCacheFile(WithSource(name), cachefile_backend=backend).url
