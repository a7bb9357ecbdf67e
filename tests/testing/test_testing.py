"""What test suites of projects are offered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest
from django.core.cache import caches

from imagekit_registry import ImageSpec, get_image, register, unregister
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.exceptions import PublishError
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.state import CacheFileRecord, get_state_access, state_scope
from imagekit_registry.testing import forget_state, wait_for_images
from tests.storages import RemoteStorage


class Small(ImageSpec):
    """A recipe."""

    processors = [ResizeToFill(30, 20)]
    format = "JPEG"


@pytest.fixture
def spec_id() -> Iterator[str]:
    """Register the spec while the test runs."""
    register.generator("tests:testing", Small)
    yield "tests:testing"
    unregister.generator("tests:testing")


def test_forgotten_state_is_asked_of_the_store() -> None:
    """Neither the process nor the block remembers what was in a cache that is empty."""
    access = get_state_access()
    access.put("a", CacheFileRecord(name="a.jpg", status="exists"))
    with state_scope():
        access.put("b", CacheFileRecord(name="b.jpg", status="exists"))
        assert access.get("absent") is None
        caches["default"].clear()
        assert access.knows(["a", "b", "absent"])
        forget_state()
        assert access.get_many("ab") == {}


def test_a_storage_that_took_long_to_fail_is_asked_again_once_state_is_forgotten(
    spec_id: str, stored_photo: Callable[[], str]
) -> None:
    """A test of an outage leaves nothing behind for the next."""

    class Slow(RemoteStorage):
        fails = True

        def exists(self, name: str) -> bool:
            if self.fails:
                time.sleep(0.5)
                raise ConnectionError("no route")
            return super().exists(name)

    storage, name = Slow(), stored_photo()

    def file() -> ImageCacheFile:
        return ImageCacheFile(Small(name), storage=storage)

    with pytest.raises(PublishError, match="no route"):
        file().generate()
    storage.fails = False
    with pytest.raises(PublishError, match="no route"):
        file().generate()
    forget_state()
    file().generate()
    assert storage.contents


def test_images_that_a_loop_asked_for_are_there_after_waiting(
    spec_id: str, stored_photo: Callable[[], str]
) -> None:
    """Threads make them, beside the view."""

    async def view() -> str:
        return get_image(spec_id, source=name).url

    name = stored_photo()
    assert asyncio.run(view())
    wait_for_images()
    file = get_image(spec_id, source=name)
    assert file.storage.exists(file.name or "")
