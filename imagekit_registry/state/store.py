"""What a state store must do, and what it may do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, runtime_checkable

from imagekit_registry.state.record import CacheFileRecord

__all__ = ["BaseStateStore", "StateStore", "adapt_store"]


@runtime_checkable
class StateStore(Protocol):
    """**Protocol:** keeps the records of cache files, shared by all processes of a site.

    Called by the state layers, which remember answers for a request and, shortly, for a process:
    once or a few times a page in a fresh process, not at all on a warm page, once a chunk in
    commands and workers. Calls come from any thread, several at a time; a store that is not safe
    for that keeps a connection per thread. All of them are blocking calls.

    Any exception may leave a method. The layers log it, take the store for empty and leave it
    alone for a moment; a page is never lost by it. A store holds hints: it may forget what it
    likes, when it likes.

    A store may have any of the other methods of `BaseStateStore` as well; whether it inherits from
    that class is its own affair.

    Keys are short strings. A store hands back what it was given, past its time or not: the reader
    asks `CacheFileRecord.is_current`.

    Example:
        >>> class DictStateStore:
        ...     def __init__(self):
        ...         self.records = {}
        ...
        ...     def get_many(self, keys):
        ...         return {key: self.records[key] for key in keys if key in self.records}
        ...
        ...     def set_many(self, records):
        ...         self.records.update(records)
        ...
        ...     def delete_many(self, keys):
        ...         for key in keys:
        ...             self.records.pop(key, None)
    """

    def get_many(self, keys: Iterable[str]) -> Mapping[str, CacheFileRecord]:
        """Return the records that are there, by key, in one round trip."""
        ...

    def set_many(self, records: Mapping[str, CacheFileRecord]) -> None:
        """Keep *records*, each in place of what its key had, in as few round trips as can be."""
        ...

    def delete_many(self, keys: Iterable[str]) -> None:
        """Forget the records of *keys*, in one round trip; keys that are not there are no error."""
        ...


class BaseStateStore(StateStore):
    """A store with all that the layers may ask for: what is here does for one of three methods."""

    #: Whether `by_source` and `iter_items` know what was made.
    is_ledger = False
    #: Whether what is written may be part of a transaction of the caller's.
    is_transactional = False
    #: Whether one key may be of several records, told apart by `space`.
    has_spaces = False

    def space(self) -> str:
        """Return what tells the keys of this moment's tenant from those of all others."""
        return ""

    def is_in_transaction(self) -> bool:
        """Return whether what is written now would be part of a transaction."""
        return False

    def after_commit(self, write: Callable[[], object]) -> None:
        """Call *write* when the caller's transaction is committed, and never if it is not."""
        write()

    def by_source(self, *sources: str) -> list[CacheFileRecord]:
        """Return the records of what was made of the source images named *sources*."""
        return []

    def iter_items(self) -> Iterator[tuple[str, CacheFileRecord]]:
        """Yield every key with its record, in no meaningful order and in flat memory."""
        return iter(())

    def renewed(self) -> AbstractContextManager[None]:
        """Forget, at the end of a block, all records but those that are written in it, if it can."""
        return nullcontext()


class _AdaptedStore(BaseStateStore):
    """A store that inherits nothing of ours, with what it lacks."""

    def __init__(self, store: StateStore) -> None:
        self.store = store
        for name, default in vars(BaseStateStore).items():
            if name[0] != "_" and callable(default) and hasattr(store, name):
                setattr(self, name, getattr(store, name))
        self.has_spaces = "space" in vars(self)
        self.is_ledger = "by_source" in vars(self)
        self.is_transactional = "is_in_transaction" in vars(self)

    def get_many(self, keys: Iterable[str]) -> Mapping[str, CacheFileRecord]:
        return self.store.get_many(keys)

    def set_many(self, records: Mapping[str, CacheFileRecord]) -> None:
        self.store.set_many(records)

    def delete_many(self, keys: Iterable[str]) -> None:
        self.store.delete_many(keys)


def adapt_store(store: StateStore) -> BaseStateStore:
    """Return *store* with all methods that the layers may call."""
    return store if isinstance(store, BaseStateStore) else _AdaptedStore(store)
