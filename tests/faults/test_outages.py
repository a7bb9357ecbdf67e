"""Caches, databases and storages that fail: pages render, and nothing wrong is believed."""

from __future__ import annotations

import errno
import gc
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connections, transaction
from PIL import Image

from imagekit_registry import ImageSpec, get_image, register, unregister
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.exceptions import (
    GenerationError,
    ImageKitError,
    PublishError,
    RetryLater,
    UnreadableImage,
)
from imagekit_registry.maintenance.clean import Cleaner
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.signals import generated
from imagekit_registry.state import DatabaseStateStore, Status, get_state_store, state_scope
from imagekit_registry.testing import forget_state
from tests.storages import BrokenStorage, content_of
from tests.testapp.models import Photo

LOCAL = "django.core.cache.backends.locmem.LocMemCache"


class Thumbnail(ImageSpec):
    """A recipe."""

    processors = [ResizeToFill(60, 40)]
    format = "JPEG"


class DeadCache(LocMemCache):
    """A cache server that does not answer."""

    def _fail(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("connection refused")

    add = get = set = get_many = set_many = delete = delete_many = touch = incr = _fail


class ForgetfulCache(LocMemCache):
    """A cache that is full, and evicts at once what is put into it."""

    def set(self, *args: Any, **kwargs: Any) -> None:
        """Keep nothing."""

    def set_many(self, *args: Any, **kwargs: Any) -> list[str]:
        """Keep nothing."""
        return []


@pytest.fixture
def spec_id() -> Iterator[str]:
    """Register the spec while the test runs."""
    register.generator("tests:outage", Thumbnail)
    yield "tests:outage"
    unregister.generator("tests:outage")


@pytest.fixture
def names(stored_photo: Any) -> list[str]:
    """Return the names of some stored photographs."""
    return [stored_photo(name=f"photos/{number}.jpg") for number in range(5)]


class SharedDeadCache(BaseCache):
    """The same of a kind that processes share, so that locks are taken in it."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def _fail(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("connection refused")

    add = get = set = touch = delete = _fail

    def clear(self) -> None:
        """Do nothing: there is nothing."""


class SlowCache(DeadCache):
    """A cache server that lets everybody wait, and then does not answer."""

    def _fail(self, *args: Any, **kwargs: Any) -> Any:
        raise TimeoutError("timed out")

    add = get = set = get_many = set_many = delete = delete_many = touch = incr = _fail


class FullCache(LocMemCache):
    """A cache that takes nothing, and says so."""

    def _fail(self, *args: Any, **kwargs: Any) -> Any:
        raise MemoryError("OOM command not allowed when used memory > 'maxmemory'")

    add = set = set_many = touch = incr = _fail


class LostStore(DatabaseStateStore):
    """State in a database that cannot be reached."""

    def __init__(self) -> None:
        super().__init__(using="lost")


@pytest.fixture
def lost_database(django_db_blocker: Any) -> Iterator[None]:
    """Have a database whose folder is not there."""
    name = "/nonexistent/imagekit.sqlite3"
    connections.settings["lost"] = {**connections.settings["default"], "NAME": name}
    with django_db_blocker.unblock():
        yield
    # What a store could not be told is told again at the end of each request, while it lives.
    gc.collect()
    del connections["lost"]
    del connections.settings["lost"]


def _look_twice(spec_id: str, names: list[str]) -> None:
    """Look at a page of images in one process, and in another one."""
    for _ in range(2):
        forget_state()
        with state_scope():
            files = [get_image(spec_id, source=name) for name in names]
            assert all(file.url and _is_good(file) for file in files)


def _assert_one_line_each(caplog: Any, text: str = "") -> None:
    """Fail if the log has more than a line of anything that has failed; *text* is to be in one."""
    assert text in caplog.text
    of_what = Counter(record.args[0] for record in caplog.records if record.args)
    assert set(of_what.values()) <= {1}, of_what
    # The state of images, and the locks for making them.
    assert len(caplog.records) <= 2


def _is_good(file: ImageCacheFile) -> bool:
    if (file.width, file.height) != (60, 40):
        return False
    with file.storage.open(file.name or "") as stored, Image.open(stored) as image:
        image.load()
        return image.size == (60, 40)


class TestCaches:
    """State is a hint: losing the cache costs time, never correctness."""

    @pytest.mark.parametrize(
        "cache",
        [
            pytest.param({"BACKEND": f"{__name__}.DeadCache"}, id="down"),
            pytest.param({"BACKEND": f"{__name__}.SlowCache"}, id="timing out"),
            pytest.param({"BACKEND": f"{__name__}.SharedDeadCache"}, id="down, shared"),
            pytest.param({"BACKEND": "tests.cachefiles._lock_worker.SilentCache"}, id="silent"),
            pytest.param({"BACKEND": f"{__name__}.ForgetfulCache"}, id="evicting"),
            pytest.param({"BACKEND": f"{__name__}.FullCache"}, id="full"),
            pytest.param({"BACKEND": f"{LOCAL}", "OPTIONS": {"MAX_ENTRIES": 2}}, id="tiny"),
            pytest.param({"BACKEND": "django.core.cache.backends.dummy.DummyCache"}, id="dummy"),
        ],
    )
    def test_pages_are_right_without_a_cache(
        self, cache: dict[str, Any], names: list[str], spec_id: str, settings: Any, caplog: Any
    ) -> None:
        """Every image is there, twice over, and made once; one line is logged, not one an image."""
        settings.CACHES = {"default": cache}
        forget_state()
        made: list[str] = []

        def note(file: Any, **kwargs: Any) -> None:
            made.append(file.name)

        generated.connect(note)
        try:
            _look_twice(spec_id, names)
        finally:
            generated.disconnect(note)
        assert len(made) == len(set(made)) == len(names)
        _assert_one_line_each(caplog)

    def test_pages_are_right_without_the_database_of_the_state(
        self, names: list[str], spec_id: str, settings: Any, caplog: Any, lost_database: None
    ) -> None:
        """As without a cache: the storage knows what exists."""
        settings.IMAGEKIT_STATE_STORE = f"{__name__}.LostStore"
        _look_twice(spec_id, names)
        _assert_one_line_each(caplog, "unable to open database file")

    def test_pages_are_right_where_no_setting_names_the_database_of_the_state(
        self, names: list[str], spec_id: str, settings: Any, caplog: Any, client: Any
    ) -> None:
        """A wrong alias fails no page, nor the end of a request."""
        settings.IMAGEKIT_STATE_STORE = f"{__name__}.LostStore"
        _look_twice(spec_id, names)
        assert client.get("/media/" + names[0]).status_code in {200, 404}
        _assert_one_line_each(caplog, "The connection 'lost' doesn't exist")

    @pytest.mark.parametrize(
        "value",
        [
            pytest.param("garbage", id="text"),
            pytest.param(b"\x80\x04\x95", id="bytes"),
            pytest.param(["exists"], id="list"),
            pytest.param({"status": "exists"}, id="dict"),
            pytest.param('{"v":999,"s":"exists"}', id="of another version"),
            pytest.param(12, id="number"),
        ],
    )
    def test_what_is_no_record_is_a_miss(self, value: Any, names: list[str], spec_id: str) -> None:
        """A poisoned or damaged entry is neither believed nor unpickled by us."""
        file = get_image(spec_id, source=names[0])
        caches["default"].set(file.cachefile_backend.get_key(file), value)
        assert not file.exists()
        assert _is_good(file)

    def test_a_flushed_cache_costs_time_alone(self, names: list[str], spec_id: str) -> None:
        """The file is found again, and is not made again."""
        file = get_image(spec_id, source=names[0])
        made = Path(file.path).stat().st_mtime_ns
        caches["default"].clear()
        forget_state()
        again = get_image(spec_id, source=names[0])
        assert _is_good(again)
        assert Path(again.path).stat().st_mtime_ns == made


class TestMakers:
    """No state is stuck."""

    def test_a_maker_that_died_is_not_waited_for(self, names: list[str], spec_id: str) -> None:
        """A record that says "making" ends by itself."""
        file = get_image(spec_id, source=names[0])
        backend = file.cachefile_backend
        backend.set_state(file, Status.GENERATING)
        assert _is_good(file)

    def test_failures_are_tried_less_and_less_often(
        self, spec_id: str, monkeypatch: pytest.MonkeyPatch, settings: Any
    ) -> None:
        """The time between two tries doubles, and one good source ends it."""
        settings.IMAGEKIT_LOCAL_STATE_TTL = 0
        name = storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        now = [1_000_000.0]
        monkeypatch.setattr("time.time", lambda: now[0])
        delays = []
        for _ in range(4):
            file = get_image(spec_id, source=name)
            with pytest.raises(GenerationError):
                file.generate()
            retry_at = file.state.retry_at
            assert retry_at is not None
            delays.append(retry_at - now[0])
            now[0] = retry_at - 1
            with pytest.raises(RetryLater):
                get_image(spec_id, source=name).generate()
            now[0] = retry_at + 1
        assert delays == [60, 120, 240, 480]

    @pytest.mark.django_db
    @pytest.mark.parametrize("store", ["cache", "database"])
    def test_a_clock_that_was_ahead_keeps_nothing_for_long(
        self, store: str, spec_id: str, monkeypatch: pytest.MonkeyPatch, settings: Any
    ) -> None:
        """A failure of the year after next is tried again when the clock is right again."""
        settings.IMAGEKIT_STATE_STORE = store
        name = storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        right = time.time()
        monkeypatch.setattr("time.time", lambda: right + 60_000_000)
        with pytest.raises(UnreadableImage):
            get_image(spec_id, source=name).generate()
        monkeypatch.setattr("time.time", lambda: right)
        forget_state()
        with pytest.raises(UnreadableImage):
            get_image(spec_id, source=name).generate()


class TestStorages:
    """The storage is the truth, also when it cannot be asked."""

    @pytest.mark.parametrize("method", ["exists", "save"])
    @pytest.mark.parametrize(
        "failure",
        [
            pytest.param(ConnectionError("down"), id="down"),
            pytest.param(PermissionError(errno.EACCES, "read-only"), id="read-only"),
            pytest.param(OSError(errno.ENOSPC, "no space left on device"), id="full"),
            pytest.param(RuntimeError("client library"), id="library"),
        ],
    )
    def test_failures_are_ours_and_heal(
        self,
        method: str,
        failure: Exception,
        names: list[str],
        spec_id: str,
        settings: Any,
        caplog: Any,
    ) -> None:
        """One of our exceptions with spec, source and cause; the page renders; then it heals."""
        storage = BrokenStorage()
        storage.failures[method] = failure
        file = ImageCacheFile(get_image(spec_id, source=names[0]).generator, storage=storage)
        with pytest.raises(PublishError) as caught:
            file.generate()
        assert (caught.value.spec_id, caught.value.source) == (spec_id, names[0])
        assert str(failure.args[-1]) in str(caught.value)
        with caplog.at_level(logging.WARNING, "imagekit_registry"):
            assert file.url.startswith("data:image/svg+xml")
        assert any(names[0] in record.getMessage() for record in caplog.records)
        assert storage.contents == {}
        storage.failures.clear()
        file.generate(force=True)
        assert _is_good(file)

    def test_a_url_that_cannot_be_had_is_no_crash(self, names: list[str], spec_id: str) -> None:
        """The page shows what stands in for the image."""
        storage = BrokenStorage()
        file = ImageCacheFile(get_image(spec_id, source=names[0]).generator, storage=storage)
        storage.failures["url"] = ConnectionError("signing service is down")
        assert file.url.startswith("data:image/svg+xml")
        assert (file.width, file.height) == (60, 40)

    def test_a_delete_that_fails_is_told(self, names: list[str], spec_id: str) -> None:
        """As one of our exceptions; what is left does not count, and whoever asks next makes it anew."""
        storage = BrokenStorage()
        file = ImageCacheFile(get_image(spec_id, source=names[0]).generator, storage=storage)
        file.generate()
        storage.failures["delete"] = ConnectionError("down")
        with pytest.raises(ImageKitError, match="does not remove"):
            file.delete()
        assert not file.exists()
        del storage.failures["delete"]
        assert file.url.endswith(".jpg")
        assert file.exists()


def _delete_source(photo: Photo) -> None:
    photo.delete()


def _delete_image(photo: Photo) -> None:
    photo.thumbnail.delete()


def _delete_orphan(photo: Photo) -> None:
    Photo._default_manager.filter(pk=photo.pk)._raw_delete("default")
    photo.original_image.delete(save=False)
    assert list(Cleaner().run())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("store", ["cache", "database"])
@pytest.mark.parametrize("delete", [_delete_source, _delete_image, _delete_orphan])
def test_a_file_is_not_known_to_exist_while_it_is_deleted(
    delete: Callable[[Photo], None],
    store: str,
    photos: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who is killed then leaves no record of a file that is gone: pages would show it for ever."""
    settings.IMAGEKIT_STATE_STORE = store
    photo = Photo._default_manager.create(original_image=content_of(photos / "rocket.jpg"))
    photo.thumbnail.generate()
    name, key = photo.thumbnail.identity.name, photo.thumbnail.identity.key
    storage_class = type(photo.thumbnail.storage)
    said: list[Any] = []
    really_delete = storage_class.delete

    def watched(storage: Any, deleted: str) -> None:
        if deleted == name:
            said.extend(record.status for record in get_state_store().get_many([key]).values())
        really_delete(storage, deleted)

    monkeypatch.setattr(storage_class, "delete", watched)
    delete(photo)
    assert said == [Status.MISSING]
    assert not photo.thumbnail.storage.exists(name)
    assert not get_state_store().get_many([key])


def test_nothing_is_unpickled_by_us() -> None:
    """No module of ours loads pickles, whatever lies in caches and queues."""
    root = Path(__file__).resolve().parents[2]
    sources = [*(root / "imagekit_registry").rglob("*.py"), *(root / "templatetags").glob("*.py")]
    words = ("import pickle", "from pickle", "import marshal", "import shelve", "import dill")
    guilty = [
        str(path.relative_to(root))
        for path in sources
        if any(word in path.read_text() for word in words)
    ]
    assert guilty == []


@pytest.mark.django_db(transaction=True)
def test_a_file_deleted_before_a_rollback_is_made_again(
    names: list[str], spec_id: str, settings: Any
) -> None:
    """The rollback brings back neither the file nor, in the database, the belief that it is there."""
    settings.IMAGEKIT_STATE_STORE = "database"
    file = get_image(spec_id, source=names[0])
    file.generate()
    with transaction.atomic():
        get_image(spec_id, source=names[0]).delete()
        transaction.set_rollback(True)
    assert not file.storage.exists(file.name or "")
    forget_state()
    assert get_image(spec_id, source=names[0]).url
    assert file.storage.exists(file.name or "")
