"""What one process remembers of the state of cache files, for some seconds."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

from imagekit_registry.state.record import CacheFileRecord, Status
from imagekit_registry.state.scope import BoundedTable, Table

__all__ = ["LocalStates"]


class LocalStates:
    """A bounded memory of records that are worth trusting for a moment; safe for threads.

    Reading takes no lock. When it is full, what was written first is forgotten.

    Args:
        size: Largest number of records that are remembered; 0: none.
        ttl: Seconds for which a record is trusted.
        clock: A clock that never goes back, in seconds.
        now: The time of day, in seconds since the epoch, which `retry_at` is compared with.
    """

    def __init__(
        self, size: int, ttl: float, *, clock: Callable[[], float], now: Callable[[], float]
    ) -> None:
        self._size = size
        self._ttl = ttl
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        #: The records in the order in which they were written, each with the end of its time.
        self._entries: OrderedDict[str, tuple[CacheFileRecord, float]] = OrderedDict()
        #: Changes with each write; see `fill`.
        self.version = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> CacheFileRecord | None:
        """Return the record of *key* if it is remembered and still trusted."""
        entry = self._entries.get(key)
        return entry[0] if entry is not None and self._clock() < entry[1] else None

    def known(self, keys: Iterable[str], space: str, table: BoundedTable) -> Table:
        """Return what this process, else the request, knows of *keys*; None for what no store has.

        Args:
            keys: The keys, as the request has them.
            space: What they begin with here.
            table: What the request knows.
        """
        found: Table = {}
        for key in keys:
            record = self.get(space + key)
            if record is not None:
                found[key] = record
            elif key in table:
                found[key] = table[key]
        return found

    def put(self, records: Mapping[str, CacheFileRecord | None]) -> None:
        """Remember what has just been written, and forget what it replaces.

        Args:
            records: The records by key; None for what is gone.
        """
        with self._lock:
            self.version += 1
            self._replace(records)

    def fill(self, records: Mapping[str, CacheFileRecord | None], version: int) -> None:
        """Remember what the store has answered; if that may be out of date already, nothing.

        Args:
            records: The records by key; None for what the store does not have.
            version: `version` as it was before the store was asked. If another thread has written
                since, the answer may be older than what that thread wrote.
        """
        with self._lock:
            self._replace(records if version == self.version else dict.fromkeys(records))

    def _replace(self, records: Mapping[str, CacheFileRecord | None]) -> None:
        for key, record in records.items():
            self._entries.pop(key, None)
            seconds = self._trusted_for(record) if record is not None else 0.0
            if record is not None and seconds > 0:
                self._entries[key] = (record, self._clock() + seconds)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def _trusted_for(self, record: CacheFileRecord) -> float:
        """Return for how many seconds to trust *record*; no more than 0: do not keep it.

        That a file is being made is never kept: the maker is often another process, and the page
        waits for its word.
        """
        if record.status == Status.EXISTS:
            return self._ttl
        if record.status == Status.GENERATING or record.retry_at is None:
            return 0.0
        return min(self._ttl, record.retry_at - self._now())
