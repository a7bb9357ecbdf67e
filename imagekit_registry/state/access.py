"""How the state is read: from the process, then the request, then the store.

A warm page is answered by the first two and asks no store at all.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from weakref import WeakSet, WeakValueDictionary

from django.core.signals import request_finished
from django.dispatch import receiver

from imagekit_registry._breaker import Breaker
from imagekit_registry._loading import forget_on_change, get_by_qname, get_singleton
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import ImageKitError, InvalidConfiguration, answer_or
from imagekit_registry.signals import looked_up
from imagekit_registry.state.cache import CacheStateStore
from imagekit_registry.state.database import DatabaseStateStore
from imagekit_registry.state.record import CacheFileRecord
from imagekit_registry.state.scope import Memory, Table
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
#: What a store gives that did not take what it was told.
_UNTOLD = object()


class StateAccess:
    """Reads and writes records through the layers: process, request, store.

    Nothing here raises because of a store: its errors are logged, once a minute, and it counts as
    empty. What it could not be told (that a file has gone, say) it is made to forget when it answers
    again: what it holds of that is out of date. A store that is part of the caller's transaction is
    written to when that is committed. Records come as they are, past their time or not: the reader
    asks `CacheFileRecord.is_current`.

    Where one process serves several tenants, by a ``KEY_FUNCTION`` or by schemas, the layers tell
    their keys apart as the store does.

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
        self._memory = Memory(clock=clock, now=now)
        self._breaker = Breaker(
            f"The state store {type(store).__name__}",
            meanwhile="images are looked up in their storage",
            clock=clock,
        )
        #: By space and key, what the store could not be told, or what may have been rolled back.
        self._outdated: defaultdict[str, Table] = defaultdict(dict)
        #: By space and key, what writes it when a transaction is committed. Only the transaction
        #: holds that: when it is rolled back, there is nothing here any more.
        self._uncommitted: WeakValueDictionary[str, partial[None]] = WeakValueDictionary()
        self.reset_local()
        _instances.add(self)

    def reset_local(self) -> None:
        """Forget what this process knows, and read the settings anew."""
        size: object = conf.LOCAL_STATE_SIZE
        ttl: object = conf.LOCAL_STATE_TTL
        if not isinstance(size, int | float) or not isinstance(ttl, int | float):
            size = ttl = 0  # turned off by None, or anything else; a system check complains
        self._memory.reset(int(size), ttl)

    def get(self, key: str) -> CacheFileRecord | None:
        """Return the record of *key*, or None if there is none."""
        space = self._space()
        record = self._memory.get(key, space)
        if record is not None:
            return record
        known = self._memory.known([key], space)
        return known[key] if key in known else self._ask([key], space, False).get(key)

    def remembered(self, key: str) -> CacheFileRecord | None:
        """Return the record of *key* if this process remembers it; no store is asked."""
        return self._memory.get(key, self._space())

    def get_many(self, keys: Iterable[str], fresh: bool = False) -> dict[str, CacheFileRecord]:
        """Return the records that are there, by key; the store is asked once, or not at all.

        Args:
            keys: The keys, in any number.
            fresh: Whether to ask the store whatever the layers above it know. If it does not
                answer, what they know is returned.
        """
        keys, space = list(dict.fromkeys(keys)), self._space()
        known = {} if fresh else self._memory.known(keys, space)
        unknown = [key for key in keys if key not in known]
        answer = self._ask(unknown, space, fresh) if unknown else {}
        if fresh and not answer:
            known = self._memory.known(keys, space)
        known |= answer
        return {key: record for key, record in known.items() if record is not None}

    def knows(self, keys: Iterable[str]) -> bool:
        """Return whether `get` can answer for all of *keys* without asking the store."""
        keys, space = set(keys), self._space()
        return len(self._memory.known(keys, space)) == len(keys)

    def by_source(self, sources: Sequence[str]) -> list[CacheFileRecord] | None:
        """Return what was made of *sources* by the store's account; None if it gives none."""
        if not self.store.is_ledger:
            return None
        self.tell_outdated()
        found = self._breaker.call(partial(self.store.by_source, *sources), None)
        if found is None:
            return None
        space = self._space()
        for write in dict.fromkeys(self._uncommitted.values()):
            changes, own_space = write.args
            found += [
                record
                for key, record in (changes.items() if own_space == space else ())
                if self._uncommitted.get(space + key) is write
                and record is not None
                and record.source in sources
            ]
        return found

    def iter_items(self) -> Iterator[tuple[str, CacheFileRecord]]:
        """Yield what the store lists: every key with its record, if it is a ledger.

        Raises:
            ImageKitError: It does not answer. For once that is told: nothing would look complete.
        """
        try:
            yield from self.store.iter_items()
        except Exception as error:
            raise ImageKitError(
                f"The state store {type(self.store).__name__} cannot be listed"
                f" ({type(error).__name__}: {error}). See what manage.py check says of it, and"
                " whether it can be reached."
            ) from error

    def put(self, key: str, record: CacheFileRecord) -> None:
        """Keep *record* in the store and in every layer."""
        self._change({key: record})

    def put_many(self, records: Mapping[str, CacheFileRecord]) -> None:
        """Keep *records*, by key, in the store and in every layer."""
        self._change(records)

    def drop(self, keys: Iterable[str]) -> None:
        """Forget *keys* in the store and in every layer."""
        self._change(dict.fromkeys(keys))

    def _space(self) -> str:
        """Return what tells the keys of this moment's tenant from those of all others."""
        return self.store.space() if self.store.has_spaces else ""

    def _ask(self, keys: list[str], space: str, fresh: bool) -> Table:
        """Return what the store has, or lacks, and remember it; nothing if it does not answer."""
        self.tell_outdated()
        outdated = self._outdated.get(space, {})
        version = self._memory.version
        answer = self._breaker.call(partial(self.store.get_many, keys), None)
        if looked_up.receivers:
            self._report(keys, answer)
        if answer is None:
            return {}
        found: Table = {}
        for key in keys:
            record = outdated[key] if key in outdated else answer.get(key)
            write = self._uncommitted.get(space + key)
            if write is not None:
                # It is newer, and true of the file whether or not it is committed.
                record = write.args[0][key]
            found[key] = record if isinstance(record, CacheFileRecord) else None
        self._memory.fill(found, space, version, fresh)
        return found

    def _report(self, keys: list[str], answer: Mapping[str, CacheFileRecord] | None) -> None:
        known = len(answer or {})
        unknown = len(keys) - known
        counts = (
            {"no_answer": unknown} if answer is None else {"record": known, "no_record": unknown}
        )
        for outcome, count in counts.items():
            if count:
                looked_up.send_robust(sender=type(self.store), outcome=outcome, count=count)

    def _change(self, changes: Mapping[str, CacheFileRecord | None]) -> None:
        """Have every layer know of *changes*, and the store as soon as it may be written to."""
        if not changes:
            return
        space = self._space()
        # The store first: whoever read it before this is then told by the change of version.
        if self._is_in_transaction():
            write = partial(self._tell_store, changes, space)
            self._uncommitted.update({space + key: write for key in changes})
            self._note_outdated(changes, space)
            self.store.after_commit(write)
        else:
            self._tell_store(changes, space)
        self._memory.put(changes, space)

    def _is_in_transaction(self) -> bool:
        # The store says what is wrong with it when it is used.
        return self.store.is_transactional and answer_or(False, self.store.is_in_transaction)

    def _tell_store(self, changes: Mapping[str, CacheFileRecord | None], space: str) -> None:
        """Write *changes* to the store; take note if it does not take them."""
        records = {key: record for key, record in changes.items() if record is not None}
        gone = [key for key in changes if key not in records]
        writes: list[Callable[[], object]] = []
        if records:
            writes.append(partial(self.store.set_many, records))
        if gone:
            writes.append(partial(self.store.delete_many, gone))
        # At the commit it may be another tenant's turn already.
        if space == self._space() and all(
            self._breaker.call(write, _UNTOLD) is not _UNTOLD for write in writes
        ):
            for key in changes:
                self._outdated[space].pop(key, None)
        else:
            self._note_outdated(changes, space)

    def _note_outdated(self, changes: Mapping[str, CacheFileRecord | None], space: str) -> None:
        if len(self._outdated[space]) < MOST_OUTDATED:
            self._outdated[space].update({key: _kept(each) for key, each in changes.items()})

    def tell_outdated(self) -> None:
        """Tell the store what it could not be told before, or what was rolled back."""
        space = self._space() if self._outdated else ""
        outdated = self._outdated.get(space)
        if outdated and not self._is_in_transaction():
            pending = {
                key: record
                for key, record in list(outdated.items())
                if space + key not in self._uncommitted
            }
            if pending:
                self._tell_store(pending, space)


def _kept(record: CacheFileRecord | None) -> CacheFileRecord | None:
    """Return what is true of a file whatever becomes of a write: what it was made of, no more."""
    if record is None or not record.fingerprint:
        return None
    return record.as_missing(retry_at=None)


_instances: WeakSet[StateAccess] = WeakSet()


def forget_local_states() -> None:
    """Forget what this process knows of every store."""
    for access in list(_instances):
        access.reset_local()


@receiver(request_finished, dispatch_uid="imagekit_registry.state")
def _tell_outdated(**_: object) -> None:
    """Have other processes know what a transaction that was rolled back leaves out of date."""
    for access in list(_instances):
        access.tell_outdated()


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
        store = found if is_ready else get_singleton(wanted, "state store")
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


@forget_on_change
def _forget_all() -> None:
    """Drop what was built from settings and remembered under them."""
    get_state_store.cache_clear()
    get_state_access.cache_clear()
    get_database_access.cache_clear()
    forget_local_states()
