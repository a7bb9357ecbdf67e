"""Images in the event loop of async views: it waits for no storage."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.base import ContentFile

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.specs import ImageSpec, StoredFile
from imagekit_registry.testing import forget_state, wait_for_images
from tests.pages import Banner, Wide
from tests.storages import RemoteStorage


class FarStorage(RemoteStorage):
    """A storage on another machine, which notes in which thread it is asked for what."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[tuple[str, str]] = set()

    def __getattribute__(self, name: str) -> Any:
        if name in {"open", "exists", "size", "save", "delete", "get_modified_time"}:
            self.asked.add((name, threading.current_thread().name))
        return super().__getattribute__(name)


@pytest.fixture
def far(photos: Any) -> FarStorage:
    """Return a storage with one photograph."""
    storage = FarStorage()
    storage.save("a.jpg", ContentFile((photos / "rocket.jpg").read_bytes()))
    storage.asked.clear()
    return storage


@pytest.fixture
def image_of(far: FarStorage) -> Callable[[type[ImageSpec]], ImageCacheFile]:
    """Return a function that gives the image of the photograph, as a new process sees it."""

    def look(spec: type[ImageSpec]) -> ImageCacheFile:
        forget_state()
        return ImageCacheFile(spec(StoredFile("a.jpg", far)), storage=far)

    return look


def in_the_loop(look: Callable[[], Any]) -> Any:
    """Call a function in an event loop, in this thread."""

    async def view() -> Any:
        return look()

    return asyncio.run(view())


@pytest.mark.parametrize("what", ["url", "size of both", "truth", "shown"])
def test_no_storage_is_asked_in_the_loop(what: str, far: FarStorage, image_of: Any) -> None:
    """Whatever a page asks for, a thread of its own asks the storage."""
    looks: dict[str, Callable[[ImageCacheFile], Any]] = {
        "url": lambda file: file.url,
        "size of both": lambda file: (file.width, file.height),
        "truth": bool,
        "shown": lambda file: file.shown(),
    }
    in_the_loop(lambda: looks[what](image_of(Banner)))
    wait_for_images()
    threads = {thread for _, thread in far.asked}
    assert far.exists(image_of(Banner).name)
    assert threads
    assert threading.current_thread().name not in threads


def test_sizes_that_hang_on_no_source_are_known(image_of: Any) -> None:
    """A page has the width and height of what is cropped before it is made."""
    file = in_the_loop(lambda: image_of(Banner).shown())
    assert (file.width, file.height) == (120, 40)
    wait_for_images()


def test_other_sizes_are_known_when_the_image_is_made(image_of: Any) -> None:
    """What keeps the proportions of its source has no size before that is read."""
    file = in_the_loop(lambda: image_of(Wide).shown())
    assert (file.width, file.height) == (None, None)
    wait_for_images()
    file = in_the_loop(lambda: image_of(Wide).shown())
    assert file.width is not None
    assert max(file.width, file.height) == 600


def test_who_awaits_an_image_gets_all_of_it(image_of: Any) -> None:
    """The awaitable form asks in a thread."""

    async def view() -> Any:
        return await image_of(Wide).ashown()

    assert asyncio.run(view()).width is not None


def test_an_image_that_is_there_is_not_made_again(far: FarStorage, image_of: Any) -> None:
    """Losing the cache costs a look, which a thread takes."""
    image_of(Banner).generate()
    from django.core.cache import caches

    caches["default"].clear()
    far.asked.clear()
    assert in_the_loop(lambda: image_of(Banner).url)
    wait_for_images()
    assert "exists" in {name for name, _ in far.asked}
    assert "save" not in {name for name, _ in far.asked}
