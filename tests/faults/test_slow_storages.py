"""Storages that are slow, or hang: pages render all the same, and nothing wrong is recorded."""

from __future__ import annotations

import io
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import caches
from django.core.cache.backends.filebased import FileBasedCache
from django.core.files.storage import storages
from PIL import Image

from imagekit_registry import ImageSpec, get_image
from imagekit_registry.cachefiles import ImageCacheFile, locks
from imagekit_registry.cachefiles.locks import lock_of
from imagekit_registry.exceptions import (
    GenerationError,
    LimitExceeded,
    PublishError,
    SourceUnavailable,
)
from imagekit_registry.imaging import _source
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.signals import generated
from imagekit_registry.specs import StoredFile
from imagekit_registry.state import Status
from imagekit_registry.testing import forget_state
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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Clock:
    """Have a clock that stands still, for states."""
    clock = Clock()
    monkeypatch.setattr("time.time", clock)
    settings.IMAGEKIT_LOCAL_STATE_TTL = 0
    return clock


@pytest.fixture
def unhurried(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HangingStorage]:
    """Return the storage of the cache files, whose client has no timeout."""
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
def slow(unhurried: HangingStorage, clock: Clock) -> HangingStorage:
    """Return the storage of the cache files, whose client has a timeout of 5 seconds."""
    unhurried.gives_up = True
    return unhurried


@pytest.fixture
def name(stored_photo: Any) -> str:
    """Return the name of a photograph in a storage that is well."""
    return str(stored_photo())


def _later(clock: Clock) -> None:
    """Let pauses, and what is remembered of failures, be over."""
    forget_state()
    clock.now += 1000


def _heal(storage: HangingStorage, clock: Clock) -> None:
    storage.answer()
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
        monkeypatch.setattr(_source, "time", SimpleNamespace(monotonic=clock))

    @pytest.fixture(params=["pillow", "vips"])
    def decoder(self, request: Any, settings: Any) -> str:
        """Use each decoder."""
        if request.param == "vips":
            pytest.importorskip("pyvips", reason="pyvips is not installed", exc_type=ImportError)
        settings.IMAGEKIT_DECODER = request.param
        return str(request.param)

    @pytest.mark.parametrize("seeks", [True, False], ids=["file", "stream"])
    def test_the_time_for_a_source_ends_in_the_middle_of_a_file(
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

    def test_the_time_for_a_source_begins_before_the_file_is_opened(
        self, clock: Clock, unhurried: HangingStorage, decoder: str
    ) -> None:
        """What the storage takes to open it is time as well."""
        storage = self.Dripping(clock, True, opens_in=11)
        with pytest.raises(LimitExceeded, match="took longer"):
            get_image(SPEC, source=_stored(storage)).generate()
        assert storage.reads == 0

    def test_the_time_for_a_source_holds_for_the_header_alone(
        self, clock: Clock, unhurried: HangingStorage
    ) -> None:
        """The size of an image to come is not waited for either."""
        storage = self.Dripping(clock, True, opens_in=11)
        with pytest.raises(LimitExceeded, match="took longer"):
            Thumbnail(_stored(storage)).expected_size()
        assert storage.reads == 0

    def test_the_time_for_a_source_is_enough_for_a_file_that_comes_in_time(
        self, clock: Clock, unhurried: HangingStorage, settings: Any, decoder: str
    ) -> None:
        """A stream that comes in small pieces is read to its end."""
        settings.IMAGEKIT_MAX_SECONDS = None
        file = get_image(SPEC, source=_stored(self.Dripping(clock, False)))
        file.generate()
        assert _is_whole(file)


class TestNoTimeout:
    """The client of the storage waits as long as it takes."""

    def test_a_save_that_hangs_is_made_once(
        self,
        unhurried: HangingStorage,
        name: str,
        settings: Any,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Other hosts wait for it, or show a stand-in."""
        settings.CACHES = {
            "default": {
                "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
                "LOCATION": str(tmp_path / "cache"),
            }
        }
        settings.IMAGEKIT_LOCAL_STATE_TTL = 0
        made: list[str] = []
        urls: list[str] = []
        refusals: list[str] = []
        add = FileBasedCache.add

        def count_refusals(cache: Any, key: str, *args: Any, **kwargs: Any) -> bool:
            added = add(cache, key, *args, **kwargs)
            refusals.extend([] if added else [key])
            return added

        def note(file: Any, **kwargs: Any) -> None:
            made.append(file.name)

        def ask() -> None:
            urls.append(get_image(SPEC, source=name).url)

        lock = locks.generation_lock

        def on_host(host: str) -> threading.Thread:
            # What keeps the threads and processes of one host apart is not the same on another.
            folder = tmp_path / host
            folder.mkdir()
            monkeypatch.setattr(tempfile, "tempdir", str(folder))
            monkeypatch.setattr(
                locks, "generation_lock", lambda key, **kw: lock(key, **{**kw, "place": host})
            )
            thread = threading.Thread(target=ask, daemon=True)
            thread.start()
            return thread

        def wait_until(condition: Callable[[], bool]) -> None:
            ends_at = time.monotonic() + 60
            while not condition():
                assert time.monotonic() < ends_at
                time.sleep(0.01)

        monkeypatch.setattr(FileBasedCache, "add", count_refusals)
        generated.connect(note)
        unhurried.hangs = {"save"}
        threads = []
        try:
            threads.append(on_host("first"))
            wait_until(lambda: unhurried.begun["save"] == 1)
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


class InPlace(HangingStorage):
    """A storage that shows a file while it is being written, and may fail in the middle."""

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        data = content.read()
        self.contents[str(name)] = data[: len(data) // 2]
        self._begin("save")
        self.contents[str(name)] = data
        return str(name)


class TestTimeout:
    """The client of the storage gives up after a while, as clients should."""

    def test_errors_of_the_storage_are_its_own(self, slow: HangingStorage) -> None:
        """A source that is not there is missing, not late."""
        file = get_image(SPEC, source=StoredFile("photos/none.jpg", storages["default"]))
        with pytest.raises(SourceUnavailable, match="does not exist in its storage"):
            file.generate()

    @pytest.mark.parametrize("method", ["exists", "save"])
    def test_cache_files_of_a_storage_that_hangs_are_refused_and_heal(
        self, method: str, slow: HangingStorage, name: str, clock: Clock, caplog: Any
    ) -> None:
        """One of our exceptions with spec, source and cause; a stand-in; later, the image."""
        slow.hangs = {method}
        file = get_image(SPEC, source=name)
        with pytest.raises(PublishError, match=CAUSE) as caught:
            file.generate()
        assert (caught.value.spec_id, caught.value.source) == (SPEC, name)
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

    @pytest.mark.parametrize("method", ["open", "read"])
    def test_sources_in_a_storage_that_hangs_are_unavailable_and_heal(
        self, method: str, slow: HangingStorage, clock: Clock, caplog: Any
    ) -> None:
        """The same, for a source that its storage does not give."""
        source = _stored(slow)
        slow.hangs = {method}
        file = ImageCacheFile(Thumbnail(source), storage="default")
        with pytest.raises(SourceUnavailable, match=CAUSE) as caught:
            file.generate()
        assert (caught.value.spec_id, caught.value.source) == (file.spec_id, "photos/far.jpg")
        assert f"{file.spec_id} of 'photos/far.jpg': " in caplog.text
        assert file.url.startswith(PLACEHOLDER)
        assert not file.exists()
        _heal(slow, clock)
        assert file.url == f"/media/{file.name}"
        assert _is_whole(file)

    def test_many_files_of_a_source_share_the_failure(self, slow: HangingStorage) -> None:
        """A tag that makes several images of one source asks for it once, and once for its size."""
        slow.hangs = {"open"}
        html = render("{% thumbnail '50x50' photo srcset='2 3' %}", photo=_stored(slow))
        (image,) = elements(html)
        assert image["src"].startswith(PLACEHOLDER)
        assert slow.begun["open"] <= 2

    @pytest.mark.parametrize("mode", ["raise", "placeholder", "source", "empty", "callable"])
    @pytest.mark.parametrize("method", ["exists", "save"])
    def test_pages_show_what_is_wanted_while_a_storage_hangs(
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
        assert f"its source has no URL either: {CAUSE}" in caplog.text

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

    def test_pages_ask_once_for_each_image_that_fails(
        self, slow: HangingStorage, stored_photo: Any, clock: Clock, caplog: Any
    ) -> None:
        """The next pages leave alone what has failed a moment ago, and there is one line for each."""
        names = [stored_photo(name=f"photos/{number}.jpg") for number in range(5)]
        page = "{% for name in names %}{% generateimage 'tests:slow' source=name %}{% endfor %}"
        slow.hangs = {"save"}
        for _ in range(3):
            shown = elements(render(page, names=names))
            assert [image["src"][: len(PLACEHOLDER)] for image in shown] == [PLACEHOLDER] * 5
        assert slow.begun["save"] == 5
        assert caplog.text.count(CAUSE) == 5
        _heal(slow, clock)
        shown = elements(render(page, names=names))
        assert [image["src"] for image in shown] == [
            f"/remote/{get_image(SPEC, source=name).name}" for name in names
        ]

    def test_other_storages_are_asked_while_one_hangs(
        self, slow: HangingStorage, name: str
    ) -> None:
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

    def test_a_save_that_fails_holds_no_lock(
        self, slow: HangingStorage, name: str, clock: Clock, settings: Any
    ) -> None:
        """Who comes next does not wait."""
        settings.IMAGEKIT_LOCK_WAIT = 0
        slow.hangs = {"save"}
        file = get_image(SPEC, source=name)
        with pytest.raises(PublishError, match=CAUSE):
            file.generate()
        with lock_of(file, wait=0) as lease:
            assert lease.acquired

    def test_half_a_file_is_no_image(self, slow: HangingStorage, name: str, clock: Clock) -> None:
        """What a storage that writes in place leaves when it fails is removed; later, the image."""
        storage = InPlace(gives_up=True)
        storage.hangs = {"save"}
        generator = Thumbnail(name)
        with pytest.raises(PublishError, match=CAUSE):
            ImageCacheFile(generator, storage=storage).generate()
        assert storage.contents == {}
        assert not _claims_to_exist(ImageCacheFile(generator, storage=storage))
        _heal(storage, clock)
        file = ImageCacheFile(generator, storage=storage)
        assert file.url == f"/remote/{file.name}"
        assert _is_whole(file)


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
