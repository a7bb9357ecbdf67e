"""Storages that are slow, or hang: pages render in bounded time, and nothing wrong is believed."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import caches
from django.core.files.storage import FileSystemStorage, storages
from django.db import connections
from PIL import Image

from imagekit_registry import ImageSpec, _storage_calls, get_image
from imagekit_registry.cachefiles import ImageCacheFile, _atomic, _leases, _ledger
from imagekit_registry.cachefiles.backends import base as backend_base
from imagekit_registry.cachefiles.publishing import publish
from imagekit_registry.exceptions import (
    GenerationError,
    LimitExceeded,
    PublishError,
    SourceUnavailable,
)
from imagekit_registry.imaging import _limits
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.signals import generated
from imagekit_registry.specs import StoredFile
from imagekit_registry.state import Status
from tests.conftest import PHOTOS
from tests.pages import elements, registered, render
from tests.storages import HangingStorage, RemoteStorage

SPEC = "tests:slow"
PLACEHOLDER = "data:image/svg+xml,"
PHOTO = (PHOTOS / "rocket.jpg").read_bytes()
CAUSE = "the storage has not answered in 5 seconds"


class Thumbnail(ImageSpec):
    """A recipe whose images lie in a storage that may hang."""

    processors = [ResizeToFill(60, 40)]
    format = "JPEG"
    cachefile_storage = "slow"


class Clock:
    """A clock that a test sets."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Patience(threading.Event):
    """What waits for a storage, however slow the machine is, until the storage hangs."""

    def __init__(self) -> None:
        super().__init__()
        self._before = HangingStorage.hung

    def wait(self, timeout: float | None = None) -> bool:
        """Return as after 5 seconds, without waiting for so long."""
        while not super().wait(0.01):
            if HangingStorage.hung > self._before:
                return super().wait(0)
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Clock:
    """Have a clock that stands still, for states and for pauses."""
    clock = Clock()
    monkeypatch.setattr("time.time", clock)
    monkeypatch.setattr(_storage_calls, "time", SimpleNamespace(monotonic=clock))
    settings.IMAGEKIT_LOCAL_STATE_TTL = 0
    return clock


@pytest.fixture
def unhurried(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HangingStorage]:
    """Return the storage of the cache files, which is waited for as long as it likes."""
    # A storage without paths has the same locks in every process that runs these tests.
    locks = tmp_path / "locks"
    locks.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(locks))
    settings.STORAGES = {**settings.STORAGES, "slow": {"BACKEND": "tests.storages.HangingStorage"}}
    storage = storages["slow"]
    assert isinstance(storage, HangingStorage)
    with registered(slow=Thumbnail):
        yield storage
        storage.answer()


@pytest.fixture
def slow(
    unhurried: HangingStorage, settings: Any, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> Iterator[HangingStorage]:
    """Return the storage of the cache files, which is waited for 5 seconds."""
    settings.IMAGEKIT_STORAGE_TIMEOUT = 5
    monkeypatch.setattr(_storage_calls, "Event", Patience)
    yield unhurried
    unhurried.answer()
    settings.IMAGEKIT_STORAGE_TIMEOUT = None
    for thread in _threads():
        thread.join(60)
    assert _threads() == []


@pytest.fixture
def name(stored_photo: Any) -> str:
    """Return the name of a photograph in a storage that is well."""
    return str(stored_photo())


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "imagekit-storage"]


def _settle() -> None:
    """Wait until the calls that were given up have ended."""
    ends_at = time.monotonic() + 60
    while any(line._hanging for line in _storage_calls._lines.values()):
        assert time.monotonic() < ends_at, "a call has not ended"
        time.sleep(0.005)


def _later(clock: Clock) -> None:
    """Let pauses, and what is remembered of failures, be over."""
    clock.now += 1000


def _heal(storage: HangingStorage, clock: Clock) -> None:
    storage.answer()
    _settle()
    _later(clock)


def _is_whole(file: ImageCacheFile) -> bool:
    with file.storage.open(file.published_name) as stored, Image.open(stored) as image:
        image.load()
        return image.size == (60, 40) == (file.width, file.height)


def _claims_to_exist(file: ImageCacheFile) -> bool:
    try:
        return file.exists()
    except PublishError:
        return False


def _stored(storage: RemoteStorage, name: str = "photos/far.jpg") -> StoredFile:
    storage.contents[name] = PHOTO
    return StoredFile(name, storage)


class TestTimeForASource:
    """`IMAGEKIT_MAX_SECONDS` is for reading the source as well."""

    class Dripping(RemoteStorage):
        """A storage whose files come 100 bytes a second."""

        def __init__(self, clock: Clock, seeks: bool, opens_in: float = 0) -> None:
            super().__init__()
            self.clock, self.seeks, self.opens_in, self.reads = clock, seeks, opens_in, 0

        def _open(self, name: str, mode: str = "rb") -> Any:
            self.clock.now += self.opens_in
            storage, data = self, self.contents[name]

            class Drops(io.BytesIO):
                def read(self, size: int | None = -1, /) -> bytes:
                    storage.reads += 1
                    storage.clock.now += 1
                    return super().read(100 if size is None or size < 0 else min(size, 100))

                def seekable(self) -> bool:
                    return storage.seeks

            return Drops(data)

    @pytest.fixture(autouse=True)
    def time_of_reading(self, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the time for a source be told by the same clock."""
        monkeypatch.setattr(_limits, "time", SimpleNamespace(monotonic=clock))

    @pytest.fixture(params=["pillow", "vips"])
    def decoder(self, request: Any, settings: Any) -> str:
        """Use each decoder."""
        if request.param == "vips":
            pytest.importorskip("pyvips", reason="pyvips is not installed", exc_type=ImportError)
        settings.IMAGEKIT_DECODER = request.param
        return str(request.param)

    @pytest.mark.parametrize("seeks", [True, False], ids=["file", "stream"])
    def test_ends_in_the_middle_of_a_file(
        self, seeks: bool, clock: Clock, unhurried: HangingStorage, decoder: str, caplog: Any
    ) -> None:
        """Ten seconds are eleven reads, and no more; the page says so in the log."""
        storage = self.Dripping(clock, seeks)
        file = get_image(SPEC, source=_stored(storage))
        with pytest.raises(LimitExceeded, match=r"took longer than the 10\.0 seconds") as caught:
            file.generate()
        assert caught.value.limit == "seconds"
        assert (caught.value.spec_id, caught.value.source) == (SPEC, "photos/far.jpg")
        assert storage.reads <= 11
        assert "tests:slow of 'photos/far.jpg': the work took longer" in caplog.text
        assert file.url.startswith(PLACEHOLDER)
        assert not file.exists()

    def test_begins_before_the_file_is_opened(
        self, clock: Clock, unhurried: HangingStorage, decoder: str
    ) -> None:
        """What the storage takes to open it is time as well."""
        storage = self.Dripping(clock, True, opens_in=11)
        with pytest.raises(LimitExceeded, match="took longer"):
            get_image(SPEC, source=_stored(storage)).generate()
        assert storage.reads == 0

    def test_holds_for_the_header_alone(self, clock: Clock, unhurried: HangingStorage) -> None:
        """The size of an image to come is not waited for either."""
        storage = self.Dripping(clock, True, opens_in=11)
        with pytest.raises(LimitExceeded, match="took longer"):
            Thumbnail(_stored(storage)).expected_size()
        assert storage.reads == 0

    def test_is_not_used_up_by_a_file_that_comes_in_time(
        self, clock: Clock, unhurried: HangingStorage, settings: Any, decoder: str
    ) -> None:
        """A stream that comes in small pieces is read to its end."""
        settings.IMAGEKIT_MAX_SECONDS = None
        file = get_image(SPEC, source=_stored(self.Dripping(clock, False)))
        file.generate()
        assert _is_whole(file)


class TestNoTimeout:
    """Without `IMAGEKIT_STORAGE_TIMEOUT`."""

    def test_the_caller_asks_the_storage(self, unhurried: HangingStorage, name: str) -> None:
        """There are no threads, and so no other connections than before."""
        get_image(SPEC, source=name).generate()
        assert unhurried.begun["save"] == 1
        assert _threads() == []

    def test_a_lease_lasts_as_long_as_the_save(
        self,
        unhurried: HangingStorage,
        name: str,
        settings: Any,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A slow save is made once, however long it takes; other hosts wait, or show a stand-in."""
        settings.CACHES = {
            "default": {
                "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
                "LOCATION": str(tmp_path / "cache"),
            }
        }
        settings.IMAGEKIT_LOCAL_STATE_TTL = 0
        settings.IMAGEKIT_LOCK_TIMEOUT = 1
        renewals: list[None] = []
        refusals: list[None] = []
        renew, try_acquire = _leases.CacheLease.renew, _leases.CacheLease.try_acquire

        def count_renewals(lease: Any) -> None:
            renew(lease)
            renewals.append(None)

        def count_refusals(lease: Any, domain: str) -> bool | None:
            outcome = try_acquire(lease, domain)
            refusals.extend([None] if outcome is False else [])
            return outcome

        monkeypatch.setattr(_leases.CacheLease, "renew", count_renewals)
        monkeypatch.setattr(_leases.CacheLease, "try_acquire", count_refusals)
        made: list[str] = []
        urls: list[str] = []

        def note(file: Any, **kwargs: Any) -> None:
            made.append(file.name)

        def ask() -> None:
            urls.append(get_image(SPEC, source=name).url)

        def on_host(host: str) -> threading.Thread:
            # What keeps the threads and processes of one host apart is not the same on another.
            folder = tmp_path / host
            folder.mkdir()
            monkeypatch.setattr(tempfile, "tempdir", str(folder))
            monkeypatch.setattr(backend_base, "_place_of", lambda file: host)
            thread = threading.Thread(target=ask, daemon=True)
            thread.start()
            return thread

        def wait_until(condition: Callable[[], bool]) -> None:
            ends_at = time.monotonic() + 60
            while not condition():
                assert time.monotonic() < ends_at
                time.sleep(0.01)

        generated.connect(note)
        unhurried.hangs = {"save"}
        threads = []
        try:
            threads.append(on_host("first"))
            # Renewed each third of a second: after four times, it would have ended.
            wait_until(lambda: len(renewals) >= 4)
            settings.IMAGEKIT_LOCK_WAIT = 0
            threads.append(on_host("second"))
            threads[1].join(60)
            assert [url[: len(PLACEHOLDER)] for url in urls] == [PLACEHOLDER]
            assert get_image(SPEC, source=name).state.status != Status.EXISTS
            settings.IMAGEKIT_LOCK_WAIT = 60
            refusals.clear()
            threads.append(on_host("third"))
            wait_until(lambda: len(refusals) >= 1)
        finally:
            unhurried.answer()
            for thread in threads:
                thread.join(60)
            generated.disconnect(note)
        file = get_image(SPEC, source=name)
        assert urls[1:] == [f"/remote/{file.name}"] * 2
        assert made == [file.name]
        assert unhurried.begun["save"] == 1
        assert _is_whole(file)


class TestTimeout:
    """With `IMAGEKIT_STORAGE_TIMEOUT`: nobody waits longer for a storage."""

    def test_is_measured_in_seconds(
        self, slow: HangingStorage, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A call that does not end is given up by a real clock."""
        waits: list[float | None] = []

        class Event(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                waits.append(timeout)
                return super().wait(timeout)

        settings.IMAGEKIT_STORAGE_TIMEOUT = 0.05
        monkeypatch.setattr(_storage_calls, "Event", Event)
        slow.hangs = {"exists"}
        with pytest.raises(TimeoutError, match=r"has not answered in 0\.05 seconds"):
            _storage_calls.ask(slow, lambda: slow.exists("a.jpg"))
        assert waits == [0.05]

    def test_changes_nothing_where_the_storage_answers(
        self, slow: HangingStorage, name: str
    ) -> None:
        """Images are made, shown, read and removed as ever, and few threads do all of it."""
        for number in range(5):
            file = get_image("imagekit:thumbnail", source=name, width=60, height=40 + number)
            assert file.url == f"/media/{file.name}"
        file = get_image(SPEC, source=_stored(slow))
        assert file.url == f"/remote/{file.name}"
        assert _is_whole(file)
        assert file.read()[:2] == b"\xff\xd8"
        file.delete()
        assert list(slow.contents) == ["photos/far.jpg"]
        assert all(handle.closed for handle in slow.handles[:1])
        assert len(_threads()) <= 4

    def test_errors_of_the_storage_are_its_own(self, slow: HangingStorage) -> None:
        """A source that is not there is missing, not late."""
        file = get_image(SPEC, source=StoredFile("photos/none.jpg", storages["default"]))
        with pytest.raises(SourceUnavailable, match="does not exist in its storage"):
            file.generate()

    @pytest.mark.parametrize("method", ["exists", "save"])
    def test_cache_files_are_refused_and_heal(
        self, method: str, slow: HangingStorage, name: str, clock: Clock, caplog: Any
    ) -> None:
        """One of our exceptions with spec, source and cause; a stand-in; later, the image."""
        slow.hangs = {method}
        file = get_image(SPEC, source=name)
        with pytest.raises(PublishError, match=CAUSE) as caught:
            file.generate()
        assert (caught.value.spec_id, caught.value.source) == (SPEC, name)
        assert "Check that the storage" in caught.value.hint
        with caplog.at_level(logging.WARNING, "imagekit_registry"):
            assert get_image(SPEC, source=name).url.startswith(PLACEHOLDER)
        assert f"{SPEC} of {name!r}: " in caplog.text
        assert CAUSE in caplog.text
        assert not _claims_to_exist(get_image(SPEC, source=name))
        _heal(slow, clock)
        healed = get_image(SPEC, source=name)
        assert healed.url == f"/remote/{file.name}"
        assert _is_whole(healed)
        assert list(slow.contents) == [file.name]

    @pytest.mark.parametrize("method", ["size", "get_modified_time", "open", "read"])
    def test_sources_are_unavailable_and_heal(
        self, method: str, slow: HangingStorage, clock: Clock, caplog: Any
    ) -> None:
        """The same, for a source that its storage does not give."""
        source = _stored(slow)
        slow.hangs = {method}
        file = ImageCacheFile(Thumbnail(source), storage="default")
        with pytest.raises(SourceUnavailable, match=CAUSE) as caught:
            file.generate()
        assert (caught.value.spec_id, caught.value.source) == (file.spec_id, "photos/far.jpg")
        assert caught.value.hint
        assert f"{file.spec_id} of 'photos/far.jpg': " in caplog.text
        assert file.url.startswith(PLACEHOLDER)
        assert not file.exists()
        _heal(slow, clock)
        assert file.url == f"/media/{file.name}"
        assert _is_whole(file)

    def test_many_files_of_a_source_share_the_failure(self, slow: HangingStorage) -> None:
        """A tag that makes several images of one source asks for it once."""
        slow.hangs = {"size"}
        html = render("{% thumbnail '50x50' photo srcset='2 3' %}", photo=_stored(slow))
        (image,) = elements(html)
        assert image["src"].startswith(PLACEHOLDER)
        assert slow.begun == {"size": 1}

    @pytest.mark.parametrize("mode", ["raise", "placeholder", "source", "empty", "callable"])
    @pytest.mark.parametrize("method", ["exists", "save"])
    def test_pages_show_what_is_wanted(
        self, mode: str, method: str, slow: HangingStorage, name: str, settings: Any
    ) -> None:
        """`IMAGEKIT_ON_ERROR` holds for a storage that hangs as for any failure."""
        settings.IMAGEKIT_ON_ERROR = (
            (lambda file, error: "/sorry.png") if mode == "callable" else mode
        )
        slow.hangs = {method}
        if mode == "raise":
            with pytest.raises(PublishError, match=CAUSE):
                render("{% generateimage 'tests:slow' source=name %}", name=name)
            return
        html = render("{% generateimage 'tests:slow' source=name %}", name=name)
        shown = [image["src"][: len(PLACEHOLDER)] for image in elements(html)]
        expected = {
            "placeholder": [PLACEHOLDER],
            "source": ["/media/photos/rocket.j"[: len(PLACEHOLDER)]],
            "empty": [],
            "callable": ["/sorry.png"],
        }
        assert shown == expected[mode]

    def test_a_source_without_a_url_shows_nothing(
        self, slow: HangingStorage, settings: Any, caplog: Any
    ) -> None:
        """A URL of the source that hangs as well is given up like the rest."""
        settings.IMAGEKIT_ON_ERROR = "source"
        slow.hangs = {"exists", "url"}
        assert get_image(SPEC, source=_stored(slow)).url == ""
        assert f"its source has no URL either ({CAUSE})" in caplog.text

    def test_dimensions_that_are_not_told_are_left_out(
        self, slow: HangingStorage, name: str, caplog: Any
    ) -> None:
        """An image of which nothing is known, and that cannot be opened, is shown without them."""
        file = get_image(SPEC, source=name)
        file.generate()
        caches["default"].clear()
        slow.hangs = {"open"}
        html = render("{% generateimage 'tests:slow' source=name %}", name=name)
        assert elements(html) == [{"src": f"/remote/{file.name}"}]
        assert f"{file.name!r} cannot be measured: {CAUSE}" in caplog.text

    @pytest.mark.parametrize("method", ["size", "open"])
    def test_an_image_of_an_earlier_source_is_not_taken_for_the_present_one(
        self, method: str, slow: HangingStorage, clock: Clock, settings: Any
    ) -> None:
        """A file that is there counts as nothing while its source does not tell what it is."""
        source = _stored(slow)
        get_image(SPEC, source=source).generate()
        slow.contents["photos/far.jpg"] = (PHOTOS / "chelsea.png").read_bytes()
        settings.IMAGEKIT_VERIFY_SAMPLE = 1
        assert get_image(SPEC, source=source).state.status == Status.MISSING
        slow.hangs = {method}
        with pytest.raises(SourceUnavailable, match=CAUSE) as caught:
            get_image(SPEC, source=source).generate()
        assert (caught.value.spec_id, caught.value.source) == (SPEC, "photos/far.jpg")
        slow.answer()
        clock.now += 6
        former = dict(slow.contents)
        file = get_image(SPEC, source=source)
        file.generate()
        assert slow.contents[file.published_name] not in former.values()

    def test_what_a_check_would_find_is_not_missed_by_pages(
        self, slow: HangingStorage, name: str, settings: Any, caplog: Any
    ) -> None:
        """A known image is shown though the storage does not say whether it is still there."""
        file = get_image(SPEC, source=name)
        file.generate()
        settings.IMAGEKIT_VERIFY_SAMPLE = 1
        slow.hangs = {"exists"}
        assert get_image(SPEC, source=name).url == f"/remote/{file.name}"
        assert CAUSE in caplog.text


class TestPause:
    """A storage that has not answered is left alone for some seconds."""

    @pytest.mark.parametrize("method", ["exists", "save"])
    def test_a_page_waits_once(
        self, method: str, slow: HangingStorage, stored_photo: Any, clock: Clock
    ) -> None:
        """Twenty missing images are one call that hangs; so they are on the next page."""
        names = [stored_photo(name=f"photos/{number}.jpg") for number in range(20)]
        page = (
            "{% imagebatch %}{% for name in names %}"
            "{% generateimage 'tests:slow' source=name %}{% endfor %}{% endimagebatch %}"
        )
        slow.hangs = {method}
        html = render(page, names=names)
        assert [image["src"][: len(PLACEHOLDER)] for image in elements(html)] == [PLACEHOLDER] * 20
        assert slow.begun[method] == 1
        render(page, names=names)
        assert slow.begun[method] == 1
        _later(clock)
        slow.hangs = {"exists"}
        before = slow.begun["exists"]
        render(page, names=names)
        assert slow.begun["exists"] == before + 1
        _heal(slow, clock)
        shown = [image["src"] for image in elements(render(page, names=names))]
        assert shown == [f"/remote/{get_image(SPEC, source=name).name}" for name in names]
        assert len(slow.contents) == 20

    def test_sources_are_opened_once(self, slow: HangingStorage) -> None:
        """The same, where it is the sources that their storage does not give."""
        sources = [_stored(slow, f"photos/{number}.jpg") for number in range(20)]
        slow.hangs = {"open"}
        page = "{% for source in sources %}{% thumbnail '50x50' source %}{% endfor %}"
        html = render(page, sources=sources)
        assert [image["src"][: len(PLACEHOLDER)] for image in elements(html)] == [PLACEHOLDER] * 20
        assert slow.begun["open"] == 1

    def test_one_call_finds_out_whether_it_is_over(
        self, slow: HangingStorage, clock: Clock
    ) -> None:
        """When the pause is over, one waits again, and the others do not wait for that one."""
        slow.hangs = {"exists"}
        ask = partial(_storage_calls.ask, slow, lambda: slow.exists("a.jpg"))
        with pytest.raises(TimeoutError):
            ask()
        clock.now += 5.5
        threads = [threading.Thread(target=_swallow, args=[ask]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert slow.begun["exists"] == 2
        clock.now += 5.5
        slow.answer()
        assert [ask(), ask()] == [False, False]

    def test_threads_are_bounded(self, slow: HangingStorage, clock: Clock) -> None:
        """When all of them hang, nobody waits until one of them is back."""
        slow.hangs = {"exists"}
        ask = partial(_storage_calls.ask, slow, lambda: slow.exists("a.jpg"))
        for _ in range(30):
            _swallow(ask)
            _later(clock)
        assert slow.begun["exists"] == _storage_calls.THREADS == len(_threads())
        _heal(slow, clock)
        assert ask() is False

    def test_calls_that_are_slow_wait_in_line(
        self, slow: HangingStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """More calls than threads are answered one after the other."""
        monkeypatch.setattr(_storage_calls, "THREADS", 2)
        gate, begun, answers = threading.Event(), threading.Semaphore(0), list[int]()

        def call(number: int) -> int:
            begun.release()
            assert gate.wait(60)
            return number

        def ask(number: int) -> None:
            answers.append(_storage_calls.ask(slow, lambda: call(number)))

        callers = [threading.Thread(target=ask, args=[number]) for number in range(6)]
        for caller in callers:
            caller.start()
        assert begun.acquire(timeout=60)
        assert begun.acquire(timeout=60)
        assert not begun.acquire(timeout=0.05)
        assert len(_threads()) == 2
        gate.set()
        for caller in callers:
            caller.join(60)
        assert sorted(answers) == list(range(6))

    def test_other_storages_are_asked(self, slow: HangingStorage, name: str) -> None:
        """One storage that hangs does not stop those that are well."""
        slow.hangs = {"exists"}
        assert get_image(SPEC, source=name).url.startswith(PLACEHOLDER)
        file = get_image("imagekit:thumbnail", source=name, width=60, height=40)
        assert file.url == f"/media/{file.name}"

    def test_images_that_are_known_are_shown(
        self, slow: HangingStorage, name: str, stored_photo: Any
    ) -> None:
        """URLs are not a matter of the storage's answers: most storages ask nobody for them."""
        known = get_image(SPEC, source=name)
        known.generate()
        slow.hangs = {"exists"}
        missing = get_image(SPEC, source=stored_photo(name="photos/other.jpg"))
        assert missing.url.startswith(PLACEHOLDER)
        assert get_image(SPEC, source=name).url == f"/remote/{known.name}"

    def test_urls_that_hang_are_waited_for_once(self, slow: HangingStorage, name: str) -> None:
        """A storage that has its URLs signed elsewhere is given up as well, and its images are not."""
        file = get_image(SPEC, source=name)
        file.generate()
        slow.hangs = {"url"}
        html = render("{% generateimage 'tests:slow' source=name %}" * 5, name=name)
        assert [image["src"][: len(PLACEHOLDER)] for image in elements(html)] == [PLACEHOLDER] * 5
        assert slow.begun["url"] == 1
        assert get_image(SPEC, source=name).exists()


def _swallow(ask: Callable[[], Any]) -> None:
    with contextlib.suppress(TimeoutError):
        ask()


class NeverOverwriting(HangingStorage):
    """A storage that gives a new name to what would overwrite a file, when it has all of it."""

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        self._begin("save")
        assert name is not None
        free = name if name not in self.contents else f"{name}_second"
        self.contents[free] = content.read()
        return free


class InPlace(HangingStorage):
    """A storage that shows a file while it is being written, and may fail in the middle."""

    fails = False

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        data = content.read()
        self.contents[str(name)] = data[: len(data) // 2]
        self._begin("save")
        if self.fails:
            raise ConnectionError("lost in the middle")
        self.contents[str(name)] = data
        return str(name)


class TestGivenUp:
    """What was given up goes on, and does no harm when it ends."""

    def test_a_save_holds_no_lock(
        self, slow: HangingStorage, name: str, clock: Clock, settings: Any
    ) -> None:
        """Who comes next does not wait for it."""
        settings.IMAGEKIT_LOCK_WAIT = 0
        slow.hangs = {"save"}
        file = get_image(SPEC, source=name)
        with pytest.raises(PublishError, match=CAUSE):
            file.generate()
        with lock_of(file, wait=0) as lease:
            assert lease.acquired

    def test_a_save_ends_in_the_whole_file(
        self, slow: HangingStorage, name: str, clock: Clock
    ) -> None:
        """Nobody makes the image a second time meanwhile; at the end it is there."""
        slow.hangs = {"save"}
        file = get_image(SPEC, source=name)
        with pytest.raises(PublishError, match=CAUSE):
            file.generate()
        slow.hangs.clear()
        _later(clock)
        with pytest.raises(PublishError, match="has not ended an earlier change"):
            get_image(SPEC, source=name).generate()
        with pytest.raises(PublishError, match="has not ended an earlier change"):
            get_image(SPEC, source=name).generate(force=True)
        assert not _claims_to_exist(get_image(SPEC, source=name))
        _heal(slow, clock)
        assert _is_whole(get_image(SPEC, source=name))
        assert (slow.begun["save"], list(slow.contents)) == (1, [file.name])

    def test_a_save_leaves_no_second_file(
        self, slow: HangingStorage, name: str, clock: Clock, settings: Any
    ) -> None:
        """What a storage has saved under a name of its own, too late, is removed."""
        storage = NeverOverwriting()
        storage.hangs = {"save"}
        try:
            with pytest.raises(PublishError, match=CAUSE):
                publish(storage, "a.jpg", io.BytesIO(b"image"), replace=True)
            storage.contents["a.jpg"] = b"image"  # another process was faster
            storage.answer()
            _settle()
            assert storage.contents == {"a.jpg": b"image"}
        finally:
            storage.answer()

    def test_a_hidden_file_is_removed(
        self, slow: HangingStorage, media: Path, clock: Clock
    ) -> None:
        """A file system storage with a save of its own saves a hidden file, and that alone."""

        class OwnWay(FileSystemStorage):
            def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
                saved = super().save(name, content, max_length)
                slow._begin("save")
                return saved

        slow.hangs = {"save"}
        with pytest.raises(PublishError, match=CAUSE):
            publish(OwnWay(media), "a.jpg", io.BytesIO(b"image"))
        assert not (media / "a.jpg").exists()
        slow.answer()
        _settle()
        assert list(media.iterdir()) == []

    def test_a_write_ends_in_the_whole_file(
        self, slow: HangingStorage, media: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A file system that comes back has all of it under its name, whatever we do meanwhile."""
        write = _atomic.write

        def hang(*args: Any, **kwargs: Any) -> None:
            slow._begin("write")
            write(*args, **kwargs)

        monkeypatch.setattr(_atomic, "write", hang)
        slow.hangs = {"write"}
        content = io.BytesIO(b"image")
        with pytest.raises(PublishError, match=CAUSE):
            publish(storages["default"], "a.jpg", content)
        assert list(media.iterdir()) == []
        content.close()
        slow.answer()
        _settle()
        assert [path.name for path in media.iterdir()] == ["a.jpg"]
        assert (media / "a.jpg").read_bytes() == b"image"

    @pytest.mark.parametrize("fails", [False, True], ids=["ends", "fails"])
    def test_half_a_file_is_no_image(
        self, fails: bool, slow: HangingStorage, name: str, clock: Clock
    ) -> None:
        """A file that is being written does not exist, nor does what is left if that fails."""
        storage = InPlace()
        storage.hangs = {"save"}
        storage.fails = fails
        generator = Thumbnail(name)
        try:
            with pytest.raises(PublishError, match=CAUSE):
                ImageCacheFile(generator, storage=storage).generate()
            assert list(storage.contents) == [ImageCacheFile(generator).name]
            _later(clock)
            assert not _claims_to_exist(ImageCacheFile(generator, storage=storage))
            storage.answer()
            _settle()
            assert len(storage.contents) == (0 if fails else 1)
            _later(clock)
            storage.fails = False
            file = ImageCacheFile(generator, storage=storage)
            assert file.url == f"/remote/{file.name}"
            assert _is_whole(file)
        finally:
            storage.answer()

    def test_a_removal_that_ends_late_is_noticed(
        self, slow: HangingStorage, name: str, clock: Clock
    ) -> None:
        """What was made meanwhile, by another process, does not count as existing afterwards."""
        file = get_image(SPEC, source=name)
        file.generate()
        slow.hangs = {"delete"}
        with pytest.raises(PublishError, match=f"does not remove the file .*{CAUSE}"):
            file.delete()
        slow.hangs.clear()
        _later(clock)
        with pytest.raises(PublishError, match="has not ended an earlier change"):
            get_image(SPEC, source=name).generate()
        made_by_another = get_image(SPEC, source=name)
        made_by_another.cachefile_backend.set_state(made_by_another, Status.EXISTS)
        _heal(slow, clock)
        assert slow.contents == {}
        assert not get_image(SPEC, source=name).exists()
        _later(clock)
        assert get_image(SPEC, source=name).url == f"/remote/{file.name}"
        assert list(slow.contents) == [file.name]

    def test_a_leftover_is_forgotten_when_it_is_gone_at_last(
        self, slow: HangingStorage, name: str, clock: Clock, caplog: Any
    ) -> None:
        """What template tags made of a former image is removed by its record, late or not."""
        file = get_image(SPEC, source=name)
        file.generate()
        slow.hangs = {"delete"}
        _ledger.remove(file.state)
        assert f"{file.name!r} is left over: {CAUSE}" in caplog.text
        assert file.exists()
        _heal(slow, clock)
        assert slow.contents == {}
        assert not file.exists()

    def test_a_file_that_is_opened_late_is_closed(self, slow: HangingStorage, clock: Clock) -> None:
        """Nobody is there to close what the storage gives at last."""
        slow.hangs = {"open"}
        with pytest.raises(SourceUnavailable):
            ImageCacheFile(Thumbnail(_stored(slow)), storage="default").generate()
        assert slow.handles == []
        slow.answer()
        _settle()
        assert [handle.closed for handle in slow.handles] == [True]

    def test_a_file_is_not_closed_while_it_is_read(
        self, slow: HangingStorage, clock: Clock
    ) -> None:
        """Closing it would wait for the read; so the read closes it when it ends."""
        slow.hangs = {"read"}
        with pytest.raises(SourceUnavailable):
            ImageCacheFile(Thumbnail(_stored(slow)), storage="default").generate()
        assert [handle.closed for handle in slow.handles] == [False]
        assert slow.begun["read"] == 1
        slow.answer()
        _settle()
        assert [handle.closed for handle in slow.handles] == [True]

    def test_who_reads_already_goes_on(self, slow: HangingStorage, clock: Clock) -> None:
        """A pause keeps new calls away, and not those in the middle of a file."""
        with _storage_calls.open_watched(slow, _stored(slow).name or "") as file:
            slow.hangs = {"exists"}
            with pytest.raises(TimeoutError):
                _storage_calls.ask(slow, lambda: slow.exists("a.jpg"))
            assert file.read() == PHOTO

    def test_a_time_that_is_not_told_claims_nothing(
        self, slow: HangingStorage, clock: Clock
    ) -> None:
        """Whether an image is older than its source is not guessed."""
        file = get_image(SPEC, source=_stored(slow))
        slow.contents[file.name or ""] = b"made of an earlier image"
        slow.hangs = {"get_modified_time"}
        with pytest.raises(PublishError, match=CAUSE):
            _ = file.state
        assert file.cachefile_known(file) is None


class TestThreads:
    """The threads that call storages."""

    def test_have_the_callers_context(self, slow: HangingStorage) -> None:
        """What is in context variables, a tenant or the id of a request, is there."""
        tenant: ContextVar[str] = ContextVar("tenant")
        tenant.set("acme")
        assert _storage_calls.ask(slow, tenant.get) == "acme"
        assert _storage_calls.ask(slow, threading.current_thread) is not threading.current_thread()

    def test_ask_others_themselves(self, slow: HangingStorage) -> None:
        """A storage that asks another one does so in one thread, and cannot run out of them."""

        def ask_again() -> list[threading.Thread]:
            inner = _storage_calls.ask(storages["default"], threading.current_thread)
            return [threading.current_thread(), inner]

        outer, inner = _storage_calls.ask(slow, ask_again)
        assert outer is inner

    def test_leave_no_connection_open(
        self, slow: HangingStorage, tmp_path: Path, django_db_blocker: Any
    ) -> None:
        """A storage in a database opens one for each thread, which nobody else would close."""
        name = str(tmp_path / "files.sqlite3")
        connections.settings["files"] = {**connections.settings["default"], "NAME": name}
        opened: list[Any] = []

        def query() -> None:
            with connections["files"].cursor() as cursor:
                cursor.execute("SELECT 1")
            opened.append(connections["files"])

        try:
            with django_db_blocker.unblock():
                _storage_calls.ask(slow, query)
            assert opened[0] is not connections["files"]
            assert opened[0].connection is None
        finally:
            del connections["files"]
            del connections.settings["files"]

    def test_do_not_keep_the_process_alive(self, slow: HangingStorage) -> None:
        """A process ends while a storage hangs."""
        _storage_calls.ask(slow, lambda: None)
        assert all(thread.daemon for thread in _threads())

    @pytest.mark.skipif(sys.platform == "win32", reason="forks")
    def test_are_new_in_a_fork(self, slow: HangingStorage) -> None:
        """A child of a process whose threads hang asks the storage with threads of its own."""
        slow.hangs = {"exists"}
        with pytest.raises(TimeoutError):
            _storage_calls.ask(slow, lambda: slow.exists("a.jpg"))
        slow.hangs.clear()
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            child = os.fork()  # with threads running, which is the point
        if child == 0:
            status = 1
            try:
                status = int(_storage_calls.ask(slow, lambda: slow.exists("a.jpg")))
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0


USES: dict[str, Callable[[Any], Any]] = {
    "generate": lambda file: file.generate(force=True),
    "url": lambda file: file.url,
    "width": lambda file: file.width,
    "size": lambda file: file.size,
    "read": lambda file: file.read(),
    "bool": bool,
    "delete": lambda file: file.delete(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("is_there", [False, True], ids=["missing", "made"])
@pytest.mark.parametrize("method", ["exists", "size", "get_modified_time", "open", "save", "url"])
def test_nothing_but_our_own_exceptions_comes_out(
    method: str, is_there: bool, use: Callable[[Any], Any], slow: HangingStorage, clock: Clock
) -> None:
    """Whatever hangs, whatever is done with an image, and whether it was made before or not."""
    source = _stored(slow)
    if is_there:
        get_image(SPEC, source=source).generate()
    slow.hangs = {method, "delete"}
    file = get_image(SPEC, source=source)
    try:
        use(file)
    except GenerationError as error:
        located = error.spec_id, error.source
    else:
        located = SPEC, "photos/far.jpg"
    assert located == (SPEC, "photos/far.jpg")
    _heal(slow, clock)
    again = get_image(SPEC, source=source)
    assert again.url == f"/remote/{again.published_name}"
    assert _is_whole(again)
