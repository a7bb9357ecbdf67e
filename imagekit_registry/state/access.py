"""How the state is read: from the process, then the request, then the store.

A warm page is answered by the first two and asks no store at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from weakref import WeakSet, WeakValueDictionary

from django.core.signals import setting_changed
from django.dispatch import receiver

from imagekit_registry._breaker import Breaker
from imagekit_registry._loading import get_by_qname
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.state.cache import CacheStateStore
from imagekit_registry.state.database import DatabaseStateStore
from imagekit_registry.state.memory import LocalStates
from imagekit_registry.state.record import CacheFileRecord
from imagekit_registry.state.scope import Table, current_scope
from imagekit_registry.state.store import StateStore, adapt_store

__all__ = [
    "StateAccess",
    "forget_local_states",
    "get_database_access",
    "get_state_access",
    "get_state_store",
]

#: Keys that a process remembers for a store that did not answer.
MOST_OUTDATED = 10_000
#: The settings, beside ours, under which nothing of what was known is true any more.
_SETTINGS = {"CACHES", "DATABASES", "MEDIA_ROOT", "STORAGES"}


class StateAccess:
    """Reads and writes records through the layers: process, request, store.

    Nothing here raises because of a store: its errors are logged, once a minute, and it counts as
    empty. What it could not be told (that a file has gone, say) it is made to forget when it answers
    again: what it holds of that is out of date. A store that is part of the caller's transaction is
    written to when that is committed. Records come as they are, past their time or not: the reader
    asks `CacheFileRecord.is_current`.

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
        self.store = adapt_store(store)
        self._clock = clock
        self._now = now
        self._breaker = Breaker(
            f"The state store {type(store).__name__}",
            meanwhile="images are looked up in their storage",
            clock=clock,
        )
        #: Keys of which the store may hold what is out of date.
        self._outdated: set[str] = set()
        #: By key, what writes it when a transaction is committed. Only the transaction holds that:
        #: when it is rolled back, there is nothing here any more.
        self._uncommitted: WeakValueDictionary[str, partial[None]] = WeakValueDictionary()
        self.reset_local()
        _instances.add(self)

    def reset_local(self) -> None:
        """Forget what this process knows, and read the settings anew."""
        size: object = conf.LOCAL_STATE_SIZE
        ttl: object = conf.LOCAL_STATE_TTL
        if not isinstance(size, int | float) or not isinstance(ttl, int | float):
            size = ttl = 0  # turned off by None, or anything else; a system check complains
        self._local = LocalStates(int(size), ttl, clock=self._clock, now=self._now)

    def get(self, key: str) -> CacheFileRecord | None:
        """Return the record of *key*, or None if there is none."""
        record = self._local.get(key)
        return record if record is not None else self.get_many([key]).get(key)

    def get_many(self, keys: Iterable[str], fresh: bool = False) -> dict[str, CacheFileRecord]:
        """Return the records that are there, by key; the store is asked once, or not at all.

        Args:
            keys: The keys, in any number.
            fresh: Whether to ask the store whatever the layers above it know. If it does not
                answer, what they know is returned.
        """
        keys = list(dict.fromkeys(keys))
        table = self._table()
        known = {} if fresh else self._known(keys, table)
        unknown = [key for key in keys if key not in known]
        answer = self._ask(unknown) if unknown else {}
        if fresh and not answer:
            known = self._known(keys, table)
        for key, record in answer.items():
            known[key] = record
            # What another thread of this request has written meanwhile is newer.
            if fresh or key not in table:
                table[key] = record
        return {key: record for key, record in known.items() if record is not None}

    def knows(self, keys: Iterable[str]) -> bool:
        """Return whether `get` can answer for all of *keys* without asking the store."""
        keys = set(keys)
        return len(self._known(keys, self._table())) == len(keys)

    def by_source(self, sources: Sequence[str]) -> list[CacheFileRecord] | None:
        """Return what was made of *sources* by the store's account; None if it keeps none."""
        if not self.store.is_ledger:
            return None
        nothing: list[CacheFileRecord] = []
        return self._breaker.call(partial(self.store.by_source, *sources), nothing)

    def put(self, key: str, record: CacheFileRecord) -> None:
        """Keep *record* in the store and in every layer."""
        self._change({key: record})

    def put_many(self, records: Mapping[str, CacheFileRecord]) -> None:
        """Keep *records*, by key, in the store and in every layer."""
        self._change(records)

    def drop(self, keys: Iterable[str]) -> None:
        """Forget *keys* in the store and in every layer."""
        self._change(dict.fromkeys(keys))

    def _known(self, keys: Iterable[str], table: Table) -> Table:
        """Return what the layers above the store know; None for what is absent from it."""
        known: Table = {}
        for key in keys:
            record = self._local.get(key)
            if record is not None:
                known[key] = record
            elif key in table:
                known[key] = table[key]
        return known

    def _table(self) -> Table:
        """Return what the request knows; outside of one, what nobody keeps."""
        scope = current_scope()
        return scope.tables[self] if scope is not None else {}

    def _ask(self, keys: list[str]) -> Table:
        """Return what the store has, or lacks, and remember it; nothing if it does not answer."""
        self._delete_outdated()
        version = self._local.version
        answer = self._breaker.call(partial(self.store.get_many, keys), None)
        if answer is None:
            return {}
        found: Table = {}
        for key in keys:
            record = answer.get(key) if key not in self._outdated else None
            write = self._uncommitted.get(key)
            if write is not None:
                # It is newer, and true of the file whether or not it is committed.
                record = write.args[0][key]
            found[key] = record if isinstance(record, CacheFileRecord) else None
        self._local.fill(found, version)
        return found

    def _change(self, changes: Mapping[str, CacheFileRecord | None]) -> None:
        """Have every layer know of *changes*, and the store as soon as it may be written to."""
        if not changes:
            return
        # The store first: whoever read it before this is then told by the change of version.
        if self._is_in_transaction():
            write = partial(self._tell_store, changes)
            self._uncommitted.update(dict.fromkeys(changes, write))
            self._note_outdated(changes)
            self.store.after_commit(write)
        else:
            self._tell_store(changes)
        self._local.put(changes)
        self._table().update(changes)

    def _is_in_transaction(self) -> bool:
        try:
            return self.store.is_transactional and self.store.is_in_transaction()
        except Exception:  # noqa: BLE001 -- the store says what is wrong when it is used
            return False

    def _tell_store(self, changes: Mapping[str, CacheFileRecord | None]) -> None:
        """Write *changes* to the store; take note if it does not take them."""

        def tell() -> bool:
            records = {key: record for key, record in changes.items() if record is not None}
            if records:
                self.store.set_many(records)
            gone = [key for key in changes if key not in records]
            if gone:
                self.store.delete_many(gone)
            return True

        if self._breaker.call(tell, default=False):
            self._outdated.difference_update(changes)
        else:
            self._note_outdated(changes)

    def _note_outdated(self, keys: Iterable[str]) -> None:
        if len(self._outdated) < MOST_OUTDATED:
            self._outdated.update(keys)

    def _delete_outdated(self) -> None:
        """Delete from the store what it could not be told of, or what was rolled back."""
        if self._outdated and not self._is_in_transaction():
            keys = [key for key in list(self._outdated) if key not in self._uncommitted]
            if keys:
                self._tell_store(dict.fromkeys(keys))


_instances: WeakSet[StateAccess] = WeakSet()


def forget_local_states() -> None:
    """Forget what this process knows of every store."""
    for access in list(_instances):
        access.reset_local()


@cache
def get_state_store() -> StateStore:
    """Return the store that ``IMAGEKIT_STATE_STORE`` names: always the same, built on first use.

    Raises:
        InvalidConfiguration: The setting, or ``IMAGEKIT_CACHE_BACKEND``, names nothing that can
            be used as a store.
    """
    wanted: object = conf.STATE_STORE
    if wanted == "cache":
        return CacheStateStore.from_settings()
    if wanted == "database":
        return DatabaseStateStore()
    if isinstance(wanted, str) and "." in wanted:
        found: object = get_by_qname(wanted, "state store (IMAGEKIT_STATE_STORE)")
        is_ready = isinstance(found, StateStore) and not isinstance(found, type)
        store = found if is_ready or not callable(found) else found()
        if isinstance(store, StateStore):
            return store
        wanted = f"{wanted}, which gives {store!r}"
    raise InvalidConfiguration(
        f"IMAGEKIT_STATE_STORE is {wanted!r}: write 'cache', 'database' or the dotted path of a"
        " class with get_many, set_many and delete_many"
    )


@cache
def get_state_access() -> StateAccess:
    """Return the way to the store that ``IMAGEKIT_STATE_STORE`` names."""
    return StateAccess(get_state_store())


@cache
def get_database_access() -> StateAccess:
    """Return the way to the database table, whatever store the settings name."""
    return StateAccess(DatabaseStateStore())


@receiver(setting_changed, dispatch_uid="imagekit_registry.state")
def _forget_on_change(*, setting: str, **_: object) -> None:
    """Drop what was built from settings and remembered under them."""
    if setting.startswith("IMAGEKIT_") or setting in _SETTINGS:
        get_state_store.cache_clear()
        get_state_access.cache_clear()
        get_database_access.cache_clear()
        forget_local_states()
