"""How the state is read: from the request, then the process, then the store.

A warm page is answered by the first two and asks no store at all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache, partial
from typing import Any
from weakref import WeakSet, ref

from django.core.cache import InvalidCacheBackendError, caches
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.connection import ConnectionProxy

from imagekit_registry._breaker import Breaker
from imagekit_registry._loading import get_by_qname
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.state.cache import CacheStateStore
from imagekit_registry.state.database import DatabaseStateStore
from imagekit_registry.state.memory import LocalStates
from imagekit_registry.state.record import CacheFileRecord
from imagekit_registry.state.scope import Table, current_scope
from imagekit_registry.state.store import StateStore

__all__ = [
    "StateAccess",
    "forget_local_states",
    "get_database_access",
    "get_state_access",
    "get_state_store",
]

#: Keys that a process remembers for a store that did not answer.
MOST_OWED = 10_000


class StateAccess:
    """Reads and writes records through the layers: request, process, store.

    Nothing here raises because of a store: its errors are logged, once a minute, and it counts as
    empty. What it could not be told (that a file has gone, say) it is made to forget when it answers
    again: what it holds of that is out of date, and would be believed. A store that is part of the
    caller's transaction is written to when that is committed. Records come as they are, past their
    time or not: the reader asks `CacheFileRecord.is_current`.

    Args:
        store: Where the records are kept.
        clock: A clock that never goes back, in seconds.
        now: The time of day, in seconds since the epoch.

    Example:
        >>> access = StateAccess(CacheStateStore(caches["default"]))
        >>> access.put("a", CacheFileRecord(name="a.jpg", status="exists"))
        >>> access.get("a").name
        'a.jpg'
    """

    def __init__(
        self,
        store: StateStore,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self._clock = clock
        self._now = now
        self._breaker = Breaker(f"The state store {type(store).__name__}", clock=clock)
        self._owed: set[str] = set()
        self._owed_lock = threading.RLock()
        self._waiting: dict[str, tuple[CacheFileRecord | None, ref[Callable[[], None]]]] = {}
        self._local: LocalStates | None
        self.reset_local()
        _instances.add(self)

    def reset_local(self) -> None:
        """Forget what this process knows, and read the settings anew."""
        size: Any = conf.LOCAL_STATE_SIZE
        ttl: Any = conf.LOCAL_STATE_TTL
        # None, or anything else that is no number, turns it off; a system check complains.
        is_on = all(isinstance(value, int | float) and value > 0 for value in (size, ttl))
        self._local = LocalStates(size, ttl, clock=self._clock, now=self._now) if is_on else None

    def get(self, key: str) -> CacheFileRecord | None:
        """Return the record of *key*, or None if there is none."""
        scope = current_scope()
        if scope is not None and scope.is_open:
            table = scope.tables.get(self)
            if table is not None and key in table:
                return table[key]
        if self._local is not None:
            record = self._local.get(key)
            if record is not None:
                return record
        return self.get_many([key]).get(key)

    def get_many(self, keys: Iterable[str], fresh: bool = False) -> dict[str, CacheFileRecord]:
        """Return the records that are there, by key; the store is asked once, or not at all.

        Args:
            keys: The keys, in any number.
            fresh: Whether to ask the store whatever the layers above it know. If it does not
                answer, what they know is returned.
        """
        keys = list(dict.fromkeys(keys))
        table = self._table()
        if fresh:
            answer = self._ask(keys) if keys else None
            if answer is not None:
                if table is not None:
                    table.update((key, answer.get(key)) for key in keys)
                return answer
        found, unknown = self._look_up(keys, table)
        if unknown and not fresh:
            answer = self._ask(unknown) or {}
            found.update(answer)
            if table is not None:
                for key in unknown:
                    # What another thread of this request has written meanwhile is newer.
                    table.setdefault(key, answer.get(key))
        return found

    def _look_up(
        self, keys: Iterable[str], table: Table | None
    ) -> tuple[dict[str, CacheFileRecord], list[str]]:
        """Return what the layers above the store know, and the keys of which they know nothing."""
        found: dict[str, CacheFileRecord] = {}
        unknown: list[str] = []
        for key in keys:
            if table is not None and key in table:
                record = table[key]
            else:
                record = self._local.get(key) if self._local is not None else None
                if record is None:
                    unknown.append(key)
            if record is not None:
                found[key] = record
        return found, unknown

    def knows(self, keys: Iterable[str]) -> bool:
        """Return whether `get` can answer for all of *keys* without asking the store."""
        return not self._look_up(keys, self._table())[1]

    def by_source(self, sources: Sequence[str]) -> list[CacheFileRecord] | None:
        """Return what was made of *sources* by the store's account; None if it keeps none."""
        find = getattr(self.store, "by_source", None)
        if find is None:
            return None
        found: list[CacheFileRecord] = self._breaker.call(lambda: find(*sources), [])
        return found

    def put(self, key: str, record: CacheFileRecord) -> None:
        """Keep *record* in the store and in every layer."""
        self.put_many({key: record})

    def put_many(self, records: Mapping[str, CacheFileRecord]) -> None:
        """Keep *records*, by key, in the store and in every layer."""
        if not records:
            return
        # The store first: whoever read it before this is then told by the change of version.
        self._tell(records, partial(self.store.set_many, records))
        if self._local is not None:
            self._local.put(records)
        table = self._table()
        if table is not None:
            table.update(records)

    def drop(self, keys: Iterable[str]) -> None:
        """Forget *keys* in the store and in every layer."""
        keys = list(keys)
        if not keys:
            return
        self._tell(dict.fromkeys(keys), partial(self.store.delete_many, keys))
        if self._local is not None:
            self._local.drop(keys)
        table = self._table()
        if table is not None:
            table.update(dict.fromkeys(keys))

    def _table(self) -> Table | None:
        scope = current_scope()
        return scope.tables.setdefault(self, {}) if scope is not None else None

    def _tell(
        self, records: Mapping[str, CacheFileRecord | None], operation: Callable[[], object]
    ) -> None:
        """Have the store do something about the keys of *records*, as soon as it may be written to.

        Args:
            records: What is true from now on.
            operation: What tells the store.
        """
        if not self._is_in_transaction():
            self._tell_now(records, operation)
            return
        keys = list(records)

        def write() -> None:
            with self._owed_lock:
                self._end_waiting(keys, reference)
            self._tell_now(keys, operation)

        def on_rollback(reference: ref[Callable[[], None]]) -> None:
            # What was to be called after the commit is dropped. Whatever the store has of the files
            # may be wrong: what was done to them is done.
            with self._owed_lock:
                self._owed.update(self._end_waiting(keys, reference))

        reference = ref(write, on_rollback)
        with self._owed_lock:
            self._waiting.update({key: (records[key], reference) for key in keys})
        store: Any = self.store
        store.after_commit(write)

    def _end_waiting(self, keys: Iterable[str], reference: ref[Callable[[], None]]) -> list[str]:
        """Forget what waits for a commit by *reference*, and return its keys."""
        found = [key for key in keys if self._waiting.get(key, (None, None))[1] is reference]
        for key in found:
            del self._waiting[key]
        return found

    def _is_in_transaction(self) -> bool:
        ask = getattr(self.store, "is_in_transaction", None)
        try:
            return ask is not None and bool(ask())
        except Exception:  # noqa: BLE001 -- the store says what is wrong when it is used
            return False

    def _tell_now(self, keys: Iterable[str], operation: Callable[[], object]) -> None:
        """Have the store do something about *keys*; take note if it cannot."""

        def attempt() -> bool:
            operation()
            return True

        is_done = self._breaker.call(attempt, default=False)
        if not is_done or self._owed:
            with self._owed_lock:
                if is_done:
                    self._owed.difference_update(keys)
                elif len(self._owed) < MOST_OWED:
                    self._owed.update(keys)

    def _make_forget_what_is_owed(self) -> None:
        """Delete from the store what it could not be told while it did not answer."""
        if not self._owed or self._is_in_transaction():
            return
        with self._owed_lock:
            keys = list(self._owed)
        self._tell_now(keys, partial(self.store.delete_many, keys))

    def _ask(self, keys: list[str]) -> dict[str, CacheFileRecord] | None:
        """Ask the store and tell this process's layer; None if the store does not answer."""
        self._make_forget_what_is_owed()
        local = self._local
        version = local.version if local is not None else 0
        answer: Mapping[str, Any] | None
        answer = self._breaker.call(partial(self.store.get_many, keys), None)
        if answer is None:
            return None
        found = {
            key: answer[key]
            for key in keys
            if isinstance(answer.get(key), CacheFileRecord) and key not in self._owed
        }
        # What waits for a commit is newer, and true of the files whether or not it is committed.
        for key in keys if self._waiting else ():
            waiting = self._waiting.get(key)
            if waiting is not None:
                found.pop(key, None)
                if waiting[0] is not None:
                    found[key] = waiting[0]
        if local is not None:
            local.fill(keys, found, version)
        return found


_instances: WeakSet[StateAccess] = WeakSet()


@receiver(setting_changed, dispatch_uid="imagekit_registry.layers")
def _forget_on_change(*, setting: str, **_: object) -> None:
    """Let no settings see what was remembered under others."""
    if setting.startswith("IMAGEKIT_") or setting in {"CACHES", "MEDIA_ROOT", "STORAGES"}:
        forget_local_states()


def forget_local_states() -> None:
    """Forget what this process knows of every store: tests that change files behind us need it."""
    for access in list(_instances):
        access.reset_local()


#: The settings that decide which store is built.
_SETTINGS = frozenset(["CACHES", "IMAGEKIT_CACHE_BACKEND", "IMAGEKIT_STATE_STORE"])


@cache
def get_state_store() -> StateStore:
    """Return the store that ``IMAGEKIT_STATE_STORE`` names: always the same, built on first use.

    Raises:
        InvalidConfiguration: The setting, or ``IMAGEKIT_CACHE_BACKEND``, names nothing that can
            be used as a store.
    """
    wanted: object = conf.STATE_STORE
    if wanted == "cache":
        return _cache_store()
    if wanted == "database":
        return DatabaseStateStore()
    if isinstance(wanted, str) and "." in wanted:
        return _imported_store(wanted)
    raise InvalidConfiguration(
        f"IMAGEKIT_STATE_STORE is {wanted!r}: write 'cache', 'database' or the dotted path of a"
        " class with get_many, set_many and delete_many"
    )


def _cache_store() -> CacheStateStore:
    alias = conf.CACHE_BACKEND
    try:
        caches[alias]
    except InvalidCacheBackendError as error:
        raise InvalidConfiguration(
            f"IMAGEKIT_CACHE_BACKEND is {alias!r}: {error} Write one of the aliases in CACHES:"
            f" {', '.join(sorted(map(repr, caches)))}"
        ) from error
    # A proxy, because Django keeps one cache object per thread and some clients depend on it.
    return CacheStateStore(ConnectionProxy(caches, alias))


def _imported_store(path: str) -> StateStore:
    found: Any = get_by_qname(path, "state store (IMAGEKIT_STATE_STORE)")
    is_factory = isinstance(found, type) or not isinstance(found, StateStore)
    store = found() if is_factory and callable(found) else found
    if isinstance(store, StateStore):
        return store
    raise InvalidConfiguration(
        f"IMAGEKIT_STATE_STORE is {path!r}, which gives {store!r}: a store has the methods"
        " get_many, set_many and delete_many"
    )


@receiver(setting_changed, dispatch_uid="imagekit_registry.stores")
def _forget_store(*, setting: str, **_: object) -> None:
    """Drop the built store, so that ``override_settings`` works."""
    if setting in _SETTINGS:
        get_state_store.cache_clear()


@lru_cache(maxsize=1)
def get_state_access() -> StateAccess:
    """Return the way to the store that ``IMAGEKIT_STATE_STORE`` names."""
    return StateAccess(get_state_store())


@lru_cache(maxsize=1)
def get_database_access() -> StateAccess:
    """Return the way to the database table, whatever store the settings name."""
    return StateAccess(DatabaseStateStore())


@receiver(setting_changed, dispatch_uid="imagekit_registry.access")
def _forget_access(*, setting: str, **_: object) -> None:
    """Drop what was built, so that ``override_settings`` works."""
    if setting.startswith("IMAGEKIT_") or setting in {"CACHES", "DATABASES", "STORAGES"}:
        get_state_access.cache_clear()
        get_database_access.cache_clear()
