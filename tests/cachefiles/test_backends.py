"""Backends: each image made once, announced, and shown under the name that it got."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import override_settings
from PIL import Image

from imagekit_registry import ImageSpec, get_image, register, unregister
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.backends import BaseAsync
from imagekit_registry.cachefiles.existence import lock_of, look_up
from imagekit_registry.exceptions import GenerationError, LockTimeout, UnreadableImage
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.signals import generated, generation_failed
from imagekit_registry.state import Status
from imagekit_registry.testing import forget_state
from tests.pages import forget_everything, render
from tests.storages import RemoteStorage


class Thumbnail(ImageSpec):
    """A recipe."""

    processors = [ResizeToFill(60, 40)]
    format = "JPEG"


@pytest.fixture(autouse=True)
def spec_id() -> Iterator[str]:
    """Register the spec while the test runs."""
    register.generator("tests:backend", Thumbnail)
    yield "tests:backend"
    unregister.generator("tests:backend")


@pytest.fixture
def heard() -> Iterator[list[dict[str, Any]]]:
    """Return what the signals have said, in order."""
    found: list[dict[str, Any]] = []

    def hear(**kwargs: Any) -> None:
        found.append(kwargs)

    for signal in (generated, generation_failed):
        signal.connect(hear)
    yield found
    for signal in (generated, generation_failed):
        signal.disconnect(hear)


class TestSignals:
    """What logs and metrics are told."""

    def test_a_signal_is_sent_once_when_an_image_was_made(
        self, name: str, spec_id: str, heard: list[dict[str, Any]]
    ) -> None:
        """Once: spec, source, seconds and bytes."""
        file = get_image(spec_id, source=name)
        for _ in range(2):
            file.generate()
        (news,) = heard
        assert news["signal"] is generated
        assert news["sender"] is Thumbnail
        assert news["file"] is file
        assert (news["spec_id"], news["source"]) == (spec_id, name)
        assert news["bytes"] == storages["default"].size(str(file.name))
        assert news["seconds"] > 0

    def test_a_signal_is_sent_once_a_try_when_an_image_cannot_be_made(
        self, spec_id: str, heard: list[dict[str, Any]]
    ) -> None:
        """Once a try, not once a request: spec, source, seconds and cause."""
        name = storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        for _ in range(3):
            assert get_image(spec_id, source=name).url.startswith("data:")
        (news,) = heard
        assert news["signal"] is generation_failed
        assert (news["spec_id"], news["source"]) == (spec_id, name)
        assert news["cause"] == "the file is not an image, or is damaged"
        assert isinstance(news["error"], UnreadableImage)
        assert news["seconds"] > 0

    def test_a_receiver_that_fails_costs_no_image(self, name: str, spec_id: str) -> None:
        """Metrics that are down are no reason for a page to be."""

        def fail(**kwargs: Any) -> None:
            raise ConnectionError("no metrics")

        bad = storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        for signal in (generated, generation_failed):
            signal.connect(fail)
        try:
            assert get_image(spec_id, source=name).url.startswith("/media/")
            assert get_image(spec_id, source=bad).url.startswith("data:")
        finally:
            for signal in (generated, generation_failed):
                signal.disconnect(fail)
        assert get_image(spec_id, source=name).state.width == 60
        assert get_image(spec_id, source=bad).state.status == Status.FAILED


class TestNames:
    """A storage that gives a new file another name if one is taken."""

    def test_the_record_holds_the_name_that_it_got(self, name: str) -> None:
        """However often the image is made anew there is one file, and its URL leads to it."""
        storage = RemoteStorage()
        file = ImageCacheFile(Thumbnail(name), storage=storage)
        for _ in range(4):
            file.generate(force=True)
            (stored,) = storage.contents
            fresh = ImageCacheFile(Thumbnail(name), storage=storage)
            assert fresh.url == f"/remote/{stored}"
            assert fresh.published_name == stored
            assert fresh.read(3) == b"\xff\xd8\xff"
            fresh.close()

    def test_a_name_that_it_got_is_deleted_with_the_file(self, name: str) -> None:
        """Nothing is left of it."""
        storage = RemoteStorage()
        file = ImageCacheFile(Thumbnail(name), storage=storage)
        for _ in range(2):
            file.generate(force=True)
        assert list(storage.contents) != [file.name]
        file.delete()
        assert storage.contents == {}
        assert not file.exists()

    def test_a_file_has_the_wanted_name_where_nothing_is_known_of_a_former_one(
        self, name: str
    ) -> None:
        """The first file of all is exact in its name, also when the cache was flushed."""
        storage = RemoteStorage()
        file = ImageCacheFile(Thumbnail(name), storage=storage)
        file.generate()
        forget_everything()
        file.generate()
        assert list(storage.contents) == [file.name]


class TestWaiting:
    """Somebody else makes the image."""

    @pytest.fixture
    def elsewhere(self, name: str, spec_id: str, settings: Any) -> Iterator[threading.Event]:
        """Let another thread hold the lock of the image until the event."""
        settings.IMAGEKIT_LOCK_WAIT = 0.05
        held, done = threading.Event(), threading.Event()
        file = get_image(spec_id, source=name)

        def hold() -> None:
            with lock_of(file, wait=0):
                held.set()
                done.wait(60)

        holder = threading.Thread(target=hold)
        holder.start()
        assert held.wait(60)
        yield done
        done.set()
        holder.join()

    def test_a_page_shows_what_stands_in_when_it_has_waited_in_vain(
        self, name: str, spec_id: str, elsewhere: threading.Event, heard: list[dict[str, Any]]
    ) -> None:
        """Of the right size, and for this page alone: it is no failure of the image."""
        tag = "{% generateimage 'tests:backend' source=photo %}"
        html = render(tag, photo=name)
        assert "data:image/svg+xml," in html
        assert 'width="60" height="40"' in html
        assert heard == []
        assert get_image(spec_id, source=name).state.status == Status.MISSING
        elsewhere.set()
        with override_settings(IMAGEKIT_LOCK_WAIT=60):
            assert "/media/CACHE/" in render(tag, photo=name)

    def test_waiting_in_vain_raises_where_failures_are_to_be_raised(
        self, name: str, spec_id: str, elsewhere: threading.Event, settings: Any
    ) -> None:
        """It says what to set."""
        settings.IMAGEKIT_ON_ERROR = "raise"
        with pytest.raises(LockTimeout, match="IMAGEKIT_LOCK_WAIT") as caught:
            _ = get_image(spec_id, source=name).url
        assert (caught.value.spec_id, caught.value.source) == (spec_id, name)


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


class TestStates:
    """State as code written for django-imagekit sets it."""

    @pytest.mark.parametrize(
        ("status", "seconds"),
        [(Status.GENERATING, 30), (Status.FAILED, 60), (Status.MISSING, 5), (Status.EXISTS, None)],
    )
    def test_a_status_set_by_old_code_ends_by_itself(
        self, name: str, status: str, seconds: int | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All but that a file exists."""
        file = ImageCacheFile(Thumbnail(name))
        backend = file.cachefile_backend
        now = time.time()
        monkeypatch.setattr("time.time", lambda: now)
        backend.set_state(file, status)
        assert backend.get_state(file, check_if_unknown=False) == status
        monkeypatch.setattr("time.time", lambda: now + (seconds or 10**8) + 1)
        forget_state()
        expected = None if seconds else status
        assert backend.get_state(file, check_if_unknown=False) == expected
