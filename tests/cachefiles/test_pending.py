"""What a page shows of an image that is not there yet, and that others make."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from imagekit_registry import ImageSpec, get_image, register, unregister
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.backends import BaseAsync
from imagekit_registry.cachefiles.fallbacks import Fallback
from imagekit_registry.cachefiles.pending import parse_pending
from imagekit_registry.cachefiles.strategies import Frozen
from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.registry import generator_registry
from imagekit_registry.state import state_scope
from imagekit_registry.testing import forget_state
from tests.cachefiles.conftest import Gate
from tests.pages import elements, render

SPEC = "pending:square"
GREY = "data:image/svg+xml,"


class Workers(BaseAsync):
    """A backend whose workers come when they are called."""

    def __init__(self) -> None:
        self.files: list[Any] = []

    def schedule_generation(self, file: Any, force: bool = False) -> None:
        """Keep the file."""
        self.files.append(file)

    def work(self) -> None:
        """Make what was asked for."""
        while self.files:
            self.generate_now(self.files.pop())


@pytest.fixture
def workers() -> Workers:
    """Return the backend."""
    return Workers()


@pytest.fixture
def square(workers: Workers, name: str) -> Callable[..., ImageCacheFile]:
    """Return a function that registers a spec, and gives the file of the photograph anew."""

    def look(**attributes: Any) -> ImageCacheFile:
        own = {"processors": [ResizeToFill(50, 50)], "format": "JPEG", "cachefile_backend": workers}
        if attributes:
            if SPEC in generator_registry.get_ids():
                unregister.generator(SPEC)
            register.generator(SPEC, type("Square", (ImageSpec,), {**own, **attributes}))
        forget_state()
        return get_image(SPEC, source=name)

    return look


@pytest.mark.parametrize(
    ("attributes", "start"),
    [
        ({"pending": "source"}, "/media/photos/rocket.jpg"),
        ({"pending": "source", "fallback": "empty"}, "/media/photos/rocket.jpg"),
        ({"pending": "placeholder", "fallback": "source"}, GREY),
        ({"pending": "demand"}, "/images/"),
        ({"pending": "wait:5ms"}, GREY),
        ({"pending": "wait:5ms", "fallback": "source"}, "/media/photos/rocket.jpg"),
        ({"fallback": "source"}, "/media/photos/rocket.jpg"),
        ({"pending": "demand", "cachefile_strategy": Frozen}, "/images/"),
        ({"pending": "source", "cachefile_strategy": Frozen}, "/media/photos/rocket.jpg"),
        ({}, "/media/CACHE/"),
    ],
)
class TestShown:
    """What a spec declares."""

    def test_what_is_pending_has_the_size_of_the_image_to_come(
        self, square: Any, workers: Workers, attributes: Any, start: str, name: str
    ) -> None:
        """In HTML as from Python; nothing moves when the image takes its place."""
        file = square(**attributes, id=None)
        assert file.url.startswith(start)
        assert (file.width, file.height) == (50, 50)
        assert file.shown() == Fallback(file.url, 50, 50)
        html = render("{% generateimage id source=name %}", id=SPEC, name=name)
        assert elements(html) == [{"src": file.url, "width": "50", "height": "50"}]

    def test_what_is_pending_gives_way_to_the_image(
        self, square: Any, workers: Workers, attributes: Any, start: str
    ) -> None:
        """As soon as the workers have made it."""
        file = square(**attributes, id=None)
        assert file.url
        workers.files = workers.files or [file]
        workers.work()
        assert square().url == file.storage.url(file.name)


def test_a_pending_url_on_demand_makes_the_image(square: Any, client: Client) -> None:
    """Who asks for it need not wait for a worker."""
    file = square(pending="demand")
    assert client.get(file.url)["Content-Type"] == "image/jpeg"
    assert square().url == file.storage.url(file.name)


def test_an_event_loop_shows_what_is_pending(square: Any, gate: Gate) -> None:
    """A thread makes the image; the loop does not wait for it, whatever the spec says."""
    attributes = {"processors": [ResizeToFill(50, 50), gate], "cachefile_backend": None}

    async def view() -> list[str]:
        here = square(pending="source", **attributes).url
        started = time.monotonic()
        there = square(pending="wait:30s", fallback="source", format="PNG", **attributes).url
        return [here, there, "late" if time.monotonic() - started > 25 else "soon"]

    assert asyncio.run(view()) == ["/media/photos/rocket.jpg"] * 2 + ["soon"]


class TestWaiting:
    """``pending = "wait:..."``."""

    def test_an_image_that_comes_in_time_is_shown(self, square: Any, workers: Workers) -> None:
        """The page waits for the worker, and no longer."""
        file = square(pending="wait:30s")
        started = time.monotonic()
        worker = threading.Timer(0.1, workers.work)
        worker.start()
        assert file.url == file.storage.url(file.name)
        assert time.monotonic() - started < 25
        worker.join()

    def test_images_of_a_page_are_waited_for_together(
        self, square: Any, workers: Workers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When the first has been waited for in vain the others add nothing."""
        slept: list[float] = []
        sleep = time.sleep

        def note(seconds: float) -> None:
            slept.append(seconds)
            sleep(seconds)

        square(pending="wait:60ms")
        monkeypatch.setattr("imagekit_registry.cachefiles.pending.time.sleep", note)
        with state_scope():
            assert square().url.startswith(GREY)
            count = len(slept)
            assert count
            for _ in range(10):
                assert square().url.startswith(GREY)
        assert len(slept) == count

    @pytest.mark.parametrize(
        ("text", "seconds"), [("wait:250ms", 0.25), ("wait:2s", 2), ("source", 0), (None, 0)]
    )
    def test_times_to_wait_may_be_milliseconds_or_seconds(self, text: Any, seconds: float) -> None:
        """In milliseconds or seconds."""
        assert parse_pending(text) == seconds

    @pytest.mark.parametrize("text", ["wait", "wait:", "wait:-1s", "wait:250", "empty", 5, ""])
    def test_a_pending_option_that_says_nothing_is_refused(self, text: Any) -> None:
        """The message shows what may be written."""
        with pytest.raises(InvalidConfiguration, match="'demand', 'placeholder', 'source'"):
            parse_pending(text)
