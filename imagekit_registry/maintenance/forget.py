"""Forgetting images that are known to exist and are gone: somebody has deleted their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext

import attrs
from django.core.files.storage import Storage

from imagekit_registry._loading import resolve_storage
from imagekit_registry.cachefiles.existence import fetch, remember
from imagekit_registry.cachefiles.listing import Listing
from imagekit_registry.exceptions import answer_or
from imagekit_registry.maintenance.inventory import (
    Errors,
    compile_pattern,
    every_batch,
    in_chunks,
)
from imagekit_registry.maintenance.places import accesses_in_use, storages_in_use
from imagekit_registry.state import CacheFileRecord, StateAccess, Status, get_state_access

__all__ = ["Forgetter"]


@attrs.define(eq=False)
class Forgetter:
    """Finds the records of files that are gone, by listing storages by the folder, and drops them.

    A store that is a ledger has told of every file. Of any other one only the records of files that
    rows call for can be asked for; it is let forget all the others, unless *patterns* are given, so
    that whoever asks for one looks into its storage first.

    Args:
        ids: Ids of registered specs, for stores that are no ledgers.
        patterns: Only what was made by specs whose ids one of them means; nothing: everything.
        dry_run: Whether to drop nothing.
        on_progress: Called with the number of records that were looked at since.

    Attributes:
        kept: Number of records whose files are there, or that do not say that they are.
        unreachable: Names of files whose storages do not answer; their records stay.
        errors: What kept some files from being named.
        forgets_others: Whether the store has forgotten what it cannot list.
    """

    ids: Sequence[str]
    patterns: Sequence[str] = ()
    dry_run: bool = False
    on_progress: Callable[[int], None] = lambda count: None

    kept: int = attrs.field(default=0, init=False)
    unreachable: list[str] = attrs.field(factory=list, init=False)
    errors: Errors = attrs.field(factory=list, init=False)
    forgets_others: bool = attrs.field(default=False, init=False)
    _listing: Listing = attrs.field(factory=Listing, init=False)
    _storages: Mapping[str, Storage] = attrs.field(factory=storages_in_use, init=False)

    def run(self) -> Iterator[CacheFileRecord]:
        """Yield the records of files that are gone, after they were dropped."""
        own = get_state_access()
        if not own.store.is_ledger:
            yield from self._forget_of_rows(own)
        for access in accesses_in_use():
            if access.store.is_ledger:
                for chunk in in_chunks(self.gone(access)):
                    if not self.dry_run:
                        access.drop([key for key, _ in chunk])
                    yield from (record for _, record in chunk)

    def gone(self, access: StateAccess) -> Iterator[tuple[str, CacheFileRecord]]:
        """Yield the records of a ledger whose files are gone, by key."""
        pattern = compile_pattern(*self.patterns)
        for key, record in access.iter_items():
            if pattern.match(record.spec_id):
                self.on_progress(1)
                if self._is_gone(record):
                    yield key, record

    def _forget_of_rows(self, access: StateAccess) -> Iterator[CacheFileRecord]:
        self.forgets_others = not (self.patterns or self.dry_run)
        with access.store.renewed() if self.forgets_others else nullcontext():
            for batch in every_batch(self.ids, self.errors):
                known = zip(batch, fetch(batch, fresh=True), strict=True)
                pairs = [
                    (file, record)
                    for file, record in known
                    if record is not None and file.cachefile_backend.states is access
                ]
                self.on_progress(len(pairs))
                gone = [(file, record) for file, record in pairs if self._is_gone(record)]
                if not self.dry_run:
                    access.drop([file.identity.key for file, _ in gone])
                if self.forgets_others:
                    remember(pair for pair in pairs if pair not in gone)
                yield from (record for _, record in gone)

    def _is_gone(self, record: CacheFileRecord) -> bool:
        name = record.published_name or record.name
        is_there: bool | None = True
        if record.status == Status.EXISTS and name:
            is_there = answer_or(None, self._is_listed, record.storage, name)
            self.unreachable += [name] if is_there is None else []
        self.kept += is_there is not False
        return is_there is False

    def _is_listed(self, storage: str, name: str) -> bool:
        known = self._storages.get(storage)
        return self._listing.has(known or resolve_storage(storage or "default"), name)
