"""What one process remembers of the state of cache files, for some seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

from imagekit_registry.state.record import CacheFileRecord, Status

__all__ = ["LocalStates"]

_Entry = tuple[CacheFileRecord, float]


class LocalStates:
    """A bounded memory of records that are worth trusting for a moment; safe for threads.

    It is two dictionaries. What is written or read goes to the young one; when that is half of the
    whole, it becomes the old one, and the former old one, which nobody has asked for since, is
    dropped. So a look-up takes no lock, nothing is ever sorted, and what is used stays.

    Args:
        size: Largest number of records that are remembered.
        ttl: Seconds for which a record is trusted.
        clock: A clock that never goes back, in seconds.
        now: The time of day, in seconds since the epoch, which `retry_at` is compared with.
    """

    def __init__(
        self,
        size: int,
        ttl: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._half = max(size // 2, 1)
        self._ttl = ttl
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self._young: dict[str, _Entry] = {}
        self._old: dict[str, _Entry] = {}
        #: Changes with each write; see `fill`.
        self.version = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: str) -> CacheFileRecord | None:
        """Return the record of *key* if it is remembered and still trusted."""
        entry = self._young.get(key)
        if entry is None:
            entry = self._get_old(key)
        if entry is not None and self._clock() < entry[1]:
            return entry[0]
        return None

    def put(self, records: Mapping[str, CacheFileRecord]) -> None:
        """Remember what has just been written, and forget what it replaces."""
        with self._lock:
            self.version += 1
            self._insert(records)

    def drop(self, keys: Iterable[str]) -> None:
        """Forget *keys*."""
        with self._lock:
            self.version += 1
            self._remove(keys)

    def fill(
        self, keys: Iterable[str], records: Mapping[str, CacheFileRecord], version: int
    ) -> None:
        """Remember what the store has answered, unless it may be out of date already.

        Args:
            keys: What the store was asked for.
            records: What it has of them.
            version: `version` as it was before the store was asked. If another thread has written
                since, the answer may be older than what that thread wrote.
        """
        with self._lock:
            if version == self.version:
                self._remove(key for key in keys if key not in records)
                self._insert(records)

    def _insert(self, records: Mapping[str, CacheFileRecord]) -> None:
        expires = self._clock() + self._ttl
        for key, record in records.items():
            ends = expires if record.status == Status.EXISTS else self._end(record, expires)
            if ends is None:
                self._remove([key])
            else:
                self._old.pop(key, None)
                self._young[key] = (record, ends)
                self._turn()

    def _end(self, record: CacheFileRecord, expires: float) -> float | None:
        """Return until when to trust a record of no file, by our clock; None: do not keep it.

        That a file is being made is never kept: the maker is often another process, and the page
        waits for its word.
        """
        now = self._now()
        if record.status == Status.GENERATING or record.retry_at is None or record.retry_at <= now:
            return None
        return min(expires, expires - self._ttl + record.retry_at - now)

    def _remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._young.pop(key, None)
            self._old.pop(key, None)

    def _get_old(self, key: str) -> _Entry | None:
        """Return the entry of *key*, which the young dictionary lacks, and make it young again."""
        if key not in self._old:
            return None
        with self._lock:
            # Another thread may have moved, dropped or replaced it meanwhile.
            entry = self._young.get(key) or self._old.pop(key, None)
            if entry is not None:
                self._young[key] = entry
                self._turn()
        return entry

    def _turn(self) -> None:
        if len(self._young) >= self._half:
            self._old = self._young
            self._young = {}
