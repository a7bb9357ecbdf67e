"""A store that counts, a clock that stands still, and the layers over both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from imagekit_registry.state import StateAccess
from imagekit_registry.state.record import CacheFileRecord, Status


def make(name: str = "a.jpg", status: str = Status.EXISTS, **fields: Any) -> CacheFileRecord:
    """Return a record of a file that exists, unless another status is given."""
    return CacheFileRecord(name=name, status=status, **fields)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class CountingStore:
    """A store in memory that notes the calls it gets, and can be made to fail."""

    def __init__(self) -> None:
        self.records: dict[str, CacheFileRecord] = {}
        self.calls: list[tuple[str, list[str]]] = []
        self.error: Exception | None = None
        self.before_answer: Callable[[], None] = lambda: None
        self.after_read: Callable[[], None] = lambda: None

    def _note(self, name: str, keys: Iterable[str]) -> list[str]:
        keys = list(keys)
        self.calls.append((name, keys))
        self.before_answer()
        if self.error is not None:
            raise self.error
        return keys

    def get_many(self, keys: Iterable[str]) -> dict[str, CacheFileRecord]:
        keys = self._note("get_many", keys)
        found = {key: self.records[key] for key in keys if key in self.records}
        self.after_read()
        return found

    def set_many(self, records: Mapping[str, CacheFileRecord]) -> None:
        self._note("set_many", records)
        self.records.update(records)

    def delete_many(self, keys: Iterable[str]) -> None:
        for key in self._note("delete_many", keys):
            self.records.pop(key, None)


@pytest.fixture
def store() -> CountingStore:
    """Return an empty store."""
    return CountingStore()


@pytest.fixture
def clock() -> Clock:
    """Return the clock of `access`."""
    return Clock()


@pytest.fixture
def access(store: CountingStore, clock: Clock) -> StateAccess:
    """Return the way to the store."""
    return StateAccess(store, clock=clock, now=clock)


@pytest.fixture
def access_without_local(store: CountingStore, settings: Any) -> StateAccess:
    """Return the way to the store of a process that remembers nothing beyond a request."""
    settings.IMAGEKIT_LOCAL_STATE_TTL = 0
    return StateAccess(store)


def run_threads(jobs: Iterable[Callable[[], object]]) -> None:
    """Run each of *jobs* in a thread of its own, and wait for all."""
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
