"""What is known without asking a store: what this process remembers, for some seconds, and what this request does."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

import attrs
from asgiref.sync import SyncToAsync, ThreadSensitiveContext

from imagekit_registry.conf import conf
from imagekit_registry.state.record import CacheFileRecord, Status

__all__ = [
    "Memory",
    "Scope",
    "close_request_scope",
    "current_scope",
    "images_left",
    "open_request_scope",
    "spend",
    "state_scope",
]

#: Records by key; None for what is known to be absent from the store.
Table = dict[str, CacheFileRecord | None]
#: Records that a request or a block remembers; an export of all rows reads any number.
MOST_REMEMBERED = 10_000


class BoundedTable(OrderedDict[str, CacheFileRecord | None]):
    """What a scope knows of one store; of more than it holds it forgets what it read first."""

    def remember(self, records: Mapping[str, CacheFileRecord | None]) -> None:
        """Add *records*."""
        self.update(records)
        while len(self) > MOST_REMEMBERED:
            self.popitem(last=False)


@attrs.define(eq=False)
class Scope:
    """What one request, or one `state_scope` block, has read and written, and what it has logged.

    It outlives its context in tasks and threads that were started meanwhile; `is_open` tells them
    that it has ended.
    """

    outer: Scope | None = None
    of_request: bool = False
    is_open: bool = True
    #: By the memory that reads through them, and its tenant.
    tables: defaultdict[object, BoundedTable] = attrs.field(
        factory=lambda: defaultdict(BoundedTable)
    )
    logged: set[Hashable] = attrs.field(factory=set)
    #: How many images it has made, and the seconds that this has taken.
    images: int = 0
    seconds: float = 0.0
    #: Until when images of others are waited for, by `time.monotonic`; None: nothing was, yet.
    waits_until: float | None = None
    #: What is called when the request has been answered, and with what.
    at_end: defaultdict[Callable[[list[Any]], None], list[Any]] = attrs.field(
        factory=lambda: defaultdict(list)
    )

    def close(self) -> None:
        """End the scope, and free what it holds."""
        self.is_open = False
        self.tables.clear()
        self.logged.clear()
        if _scope.get() is self:
            _scope.set(self.outer)


# Set and never reset by token: under ASGI a request's end runs in another context than its start.
_scope: ContextVar[Scope | None] = ContextVar("imagekit_registry_scope", default=None)
#: The same for requests under ASGI. Before Django 6.1 their start is announced in a task of its own,
#: whose context variables are lost; what Django's handler has opened for their threads is kept.
_asgi_scopes: WeakKeyDictionary[ThreadSensitiveContext, Scope] = WeakKeyDictionary()


def current_scope() -> Scope | None:
    """Return the scope of this request or block, or None outside of any."""
    scope = _scope.get()
    if scope is not None and scope.is_open:
        return scope
    asgi_request = SyncToAsync.thread_sensitive_context.get(None)
    scope = _asgi_scopes.get(asgi_request) if asgi_request is not None else None
    if scope is None or not scope.is_open:
        return None
    _scope.set(scope)
    return scope


def images_left() -> float:
    """Return how many more images this request may make; infinity outside of requests."""
    budget, scope = conf.REQUEST_BUDGET, current_scope()
    if not budget or scope is None or not scope.of_request:
        return math.inf
    images, seconds = budget.get("images"), budget.get("seconds")
    if seconds is not None and scope.seconds >= seconds:
        return 0
    return math.inf if images is None else max(0, images - scope.images)


def spend(images: int, seconds: float) -> None:
    """Take from the budget of this request what the making of *images* has taken."""
    scope = current_scope()
    if scope is not None:
        scope.images += images
        scope.seconds += seconds


@contextmanager
def state_scope() -> Iterator[Scope]:
    """Remember every state that is read in the block until its end.

    Inside a request, or another such block, this is the scope that is there already.

    Example:
        >>> with state_scope() as outer, state_scope() as inner:
        ...     inner is outer
        True
    """
    outer = current_scope()
    if outer is not None:
        yield outer
        return
    scope = Scope()
    _scope.set(scope)
    try:
        yield scope
    finally:
        scope.close()


def open_request_scope(**_: object) -> None:
    """Begin the scope of a request; a receiver of ``request_started``.

    `AppConfig.ready` connects it, and `close_request_scope`, so that no middleware is needed.
    """
    outer = current_scope()
    if outer is not None and outer.of_request:
        # The end of the request before was not announced on this thread; its scope is not kept.
        outer = outer.outer
    scope = Scope(outer, of_request=True)
    _scope.set(scope)
    asgi_request = SyncToAsync.thread_sensitive_context.get(None)
    if asgi_request is not None:
        _asgi_scopes[asgi_request] = scope


def close_request_scope(**_: object) -> None:
    """End the scope of a request; a receiver of ``request_finished``: the answer has been sent."""
    scope = current_scope()
    if scope is not None and scope.of_request:
        scope.close()
        while scope.at_end:
            call, items = scope.at_end.popitem()
            call(items)


class Memory:
    """What this process, and this request, remember of one store; safe for threads.

    The process keeps a bounded number of records that are worth trusting for a moment. Reading them
    takes no lock. When there are too many, what was written first is forgotten. The request keeps
    what it has read and written to its end, also what no store has.

    Keys are told apart by space: a tenant's is never another's.

    Args:
        clock: A clock that never goes back, in seconds.
        now: The time of day, in seconds since the epoch, which `retry_at` is compared with.
    """

    def __init__(self, *, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        #: Changes with each write; see `fill`.
        self.version = 0
        self.reset(0, 0)

    def reset(self, size: int, ttl: float) -> None:
        """Forget what this process knows.

        Args:
            size: Largest number of records that it remembers from now on; 0: none.
            ttl: Seconds for which it trusts a record.
        """
        with self._lock:
            # What is being asked for now is not of the same settings.
            self.version += 1
            self._size, self._ttl = size, ttl
            #: The records in the order in which they were written, each with the end of its time.
            self._entries: OrderedDict[str, tuple[CacheFileRecord, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str, space: str = "") -> CacheFileRecord | None:
        """Return the record of *key* if this process remembers it, and still trusts it."""
        entry = self._entries.get(space + key)
        return entry[0] if entry is not None and self._clock() < entry[1] else None

    def known(self, keys: Collection[str], space: str) -> Table:
        """Return what this process, else the request, knows of *keys*; None for what no store has."""
        found: Table = {}
        for key in keys:
            record = self.get(key, space)
            if record is not None:
                found[key] = record
        if len(found) < len(keys):
            table = self._table(space)
            found |= {key: table[key] for key in keys if key in table and key not in found}
        return found

    def put(self, records: Mapping[str, CacheFileRecord | None], space: str = "") -> None:
        """Remember what has just been written, and forget what it replaces.

        Args:
            records: The records by key; None for what is gone.
            space: What tells the keys of this moment's tenant from those of all others.
        """
        with self._lock:
            self.version += 1
            self._replace(records, space)
        self._table(space).remember(records)

    def fill(
        self, records: Mapping[str, CacheFileRecord | None], space: str, version: int, fresh: bool
    ) -> None:
        """Remember what the store has answered; if that may be out of date already, no longer than the request.

        Args:
            records: The records by key; None for what the store does not have.
            space: As for `put`.
            version: `version` as it was before the store was asked. If another thread has written
                since, the answer may be older than what that thread wrote.
            fresh: Whether the store was asked although the request knew something.
        """
        with self._lock:
            self._replace(records if version == self.version else dict.fromkeys(records), space)
        table = self._table(space)
        # What another thread of this request has written meanwhile is newer.
        table.remember({k: each for k, each in records.items() if fresh or k not in table})

    def _table(self, space: str) -> BoundedTable:
        """Return what the request knows; outside of one, what nobody keeps."""
        scope = current_scope()
        return BoundedTable() if scope is None else scope.tables[self, space]

    def _replace(self, records: Mapping[str, CacheFileRecord | None], space: str) -> None:
        for key, record in records.items():
            self._entries.pop(space + key, None)
            seconds = self._trusted_for(record) if record is not None else 0.0
            if record is not None and seconds > 0:
                self._entries[space + key] = (record, self._clock() + seconds)
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
