"""What a state store must do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable

from imagekit_registry.state.record import CacheFileRecord

__all__ = ["StateStore"]


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

    A store that is part of the caller's transaction may have two more methods, as the database table
    has: ``is_in_transaction()``, and ``after_commit(write)``, which calls ``write()`` if it is
    committed. It is then written to from there.

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
