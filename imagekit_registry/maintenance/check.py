"""Comparing what is known of cache files with what their storages hold."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from enum import StrEnum

import attrs

from imagekit_registry._loading import resolve_storage
from imagekit_registry.cachefiles.bulk import Generation
from imagekit_registry.cachefiles.existence import (
    ask,
    fetch,
    is_of_another,
    judge,
    refuse_conflict,
    remember,
)
from imagekit_registry.cachefiles.files import ImageCacheFile
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.cachefiles.listing import Hashes, Listing
from imagekit_registry.cachefiles.rendering import completed, explained, is_complete
from imagekit_registry.cachefiles.results import ResultStatus
from imagekit_registry.exceptions import GenerationError, ImageKitError, NameTaken
from imagekit_registry.maintenance.inventory import (
    Errors,
    compile_pattern,
    every_batch,
)
from imagekit_registry.maintenance.places import accesses_in_use
from imagekit_registry.specs import fingerprint
from imagekit_registry.state import (
    CacheFileRecord,
    StateAccess,
    Status,
    forget_local_states,
    get_state_access,
)

__all__ = ["COUNTED", "Checker", "Kind", "Problem"]


class Kind(StrEnum):
    """What a file is found to be."""

    GOOD = "good"
    MISSING = "missing"
    UNRECORDED = "unrecorded"
    INCOMPLETE = "incomplete"
    UNCHECKED = "unchecked"
    GONE = "gone"
    FAILED = "failed"
    OUTDATED = "outdated"
    STALE = "stale"
    TAKEN = "taken"
    UNNAMED = "unnamed"
    UNREACHABLE = "unreachable"


#: What is said of each kind where nothing else says more.
CAUSES = {
    Kind.GONE: "it is known to exist, and its storage does not have it",
    Kind.OUTDATED: "it was made by another recipe",
    Kind.STALE: "its source has been overwritten since it was made",
}
#: What is nothing wrong, and only counted.
COUNTED = frozenset({Kind.GOOD, Kind.INCOMPLETE, Kind.MISSING, Kind.UNRECORDED, Kind.UNCHECKED})


@attrs.frozen
class Problem:
    """Something that is wrong with one file.

    Args:
        kind: What is wrong.
        file: The name of the file in its storage.
        spec: The id of its spec.
        source: What it is made of.
        cause: What is wrong, as a sentence without a full stop.
        repaired: Whether it is right again.
        scheduled: Whether a worker was told to make it right.
    """

    kind: Kind
    file: str
    spec: str
    source: str
    cause: str
    repaired: bool = False
    scheduled: bool = False


@attrs.define(eq=False)
class Checker:
    """Finds what is wrong with the records of files, and repairs it.

    Args:
        ids: Ids of registered specs to be checked.
        patterns: Which other records are checked besides; nothing: all of them.
        repair: Whether to make files again, and to correct records.
        on_progress: Called with the number of files that were checked since.

    Attributes:
        counts: Number of files that are as their records say (``good``), that are yet to be made
            (``missing``), of which nothing is known, which costs their next page a look
            (``unrecorded``), whose records lack their size or placeholders that their specs ask
            for (``incomplete``), and whose backend keeps no records (``unchecked``).
    """

    ids: Sequence[str]
    patterns: Sequence[str] = ()
    repair: bool = False
    on_progress: Callable[[int], None] = lambda count: None

    counts: Counter[str] = attrs.field(factory=Counter, init=False)
    _listing: Listing = attrs.field(factory=Listing, init=False)
    _seen: Hashes = attrs.field(factory=Hashes, init=False)
    _accesses: set[StateAccess] = attrs.field(factory=set, init=False)

    def run(self) -> Iterator[Problem]:
        """Yield what is wrong, after it was repaired, if it is to be and can be.

        A store that cannot list its records forgets, when it is repaired, all that were not found
        right: whoever asks for an image that a template tag has made looks in its storage first.
        """
        errors: Errors = []
        with get_state_access().store.renewed() if self.repair else nullcontext():
            for batch in every_batch(self.ids, errors):
                yield from self._check_batch(batch)
                yield from _unnamed(errors)
        forget_local_states()
        yield from _unnamed(errors)
        for access in accesses_in_use(self._accesses):
            yield from self._check_records(access)

    # Files that rows call for.

    def _check_batch(self, batch: Sequence[ImageCacheFile]) -> Iterator[Problem]:
        found: list[tuple[CacheFile, Problem]] = []
        known: list[tuple[CacheFile, CacheFileRecord]] = []
        fingerprints: dict[str, str] = {}
        backends = {file.cachefile_backend for file in batch}
        accesses = {backend: backend.states for backend in backends}
        self._accesses |= {access for access in accesses.values() if access is not None}
        for file, record in zip(batch, fetch(batch, fresh=True), strict=True):
            identity, access = file.identity, accesses[file.cachefile_backend]
            if access is None:
                self.counts[Kind.UNCHECKED] += 1
                continue
            self._seen.add((identity.storage, identity.name))
            try:
                kind, cause = self._compare(file, record, fingerprints)
                if kind == Kind.GOOD and record is not None and not access.store.is_ledger:
                    known.append((file, record))
                elif kind in {Kind.UNRECORDED, Kind.INCOMPLETE} and self.repair:
                    known.append((file, completed(file, ask(file, record))))
            except Exception as error:  # noqa: BLE001 -- storages raise what they like
                failure = explained(error, file)
                yield _of_error(Kind.UNREACHABLE, identity.name, identity.spec_id, failure)
                continue
            if kind in COUNTED:
                self.counts[kind] += 1
            else:
                what = (identity.name, identity.spec_id, identity.source_name or "")
                found.append((file, Problem(kind, *what, cause or CAUSES[kind])))
        self.on_progress(len(batch))
        if self.repair:
            remember(known)
            yield from _make_again(found)
        else:
            yield from (problem for _, problem in found)

    def _compare(
        self, file: CacheFile, record: CacheFileRecord | None, fingerprints: dict[str, str]
    ) -> tuple[Kind, str]:
        """Return what a file is, and why if the kind alone does not say."""
        identity = file.identity
        try:
            refuse_conflict(identity, record)
        except NameTaken as error:
            return Kind.TAKEN, error.cause
        is_unique = identity.name_is_unique
        if record is None or (not is_unique and is_of_another(identity, record)):
            # Nothing is known of this one.
            is_there = is_unique and self._listing.has_any(file.storage, file.identity.names)
            return Kind.UNRECORDED if is_there else Kind.MISSING, ""
        status = judge(identity, record, time.time())
        is_there = self._listing.has(file.storage, record.published_name or identity.name)
        if record.status == Status.FAILED:
            return Kind.FAILED, record.error
        if record.status != Status.EXISTS:
            return Kind.UNRECORDED if is_there and is_unique else Kind.MISSING, ""
        if not is_there:
            return Kind.GONE, ""
        if status is None:
            return Kind.OUTDATED, ""
        if record.fingerprint:
            if record.source not in fingerprints:
                fingerprints[record.source] = fingerprint(file.spec.source)
            if record.is_of_former(fingerprints[record.source]):
                return Kind.STALE, ""
        return Kind.GOOD if is_complete(file, record) else Kind.INCOMPLETE, ""

    # Files that only their records tell of: what template tags made.

    def _check_records(self, access: StateAccess) -> Iterator[Problem]:
        pattern = compile_pattern(*self.patterns)
        for key, record in access.iter_items():
            name = record.published_name or record.name
            is_told = record.status in {Status.EXISTS, Status.FAILED} and name
            is_seen = (record.storage, record.name) in self._seen
            if is_seen or not is_told or not pattern.match(record.spec_id):
                continue
            self.on_progress(1)
            kind, cause = Kind.FAILED, record.error
            try:
                if record.status == Status.EXISTS:
                    is_there = self._listing.has(resolve_storage(record.storage or "default"), name)
                    kind, cause = Kind.GOOD if is_there else Kind.GONE, CAUSES[Kind.GONE]
            except Exception as error:  # noqa: BLE001 -- storages raise what they like
                kind, cause = Kind.UNREACHABLE, f"{type(error).__name__}: {error}"
            if kind == Kind.GOOD:
                self.counts[kind] += 1
                continue
            # Nobody can tell what it was made with; whoever asks for it next can.
            is_repaired = self.repair and kind != Kind.UNREACHABLE
            if is_repaired:
                access.drop([key])
            yield Problem(kind, name, record.spec_id, record.source, cause, is_repaired)


def _make_again(found: Sequence[tuple[CacheFile, Problem]]) -> Iterator[Problem]:
    for result in Generation(force=True).run([[file for file, _ in found]]):
        _, problem = found[result.position]
        if result.error is None:
            is_scheduled = result.status == ResultStatus.SCHEDULED
            yield attrs.evolve(problem, repaired=not is_scheduled, scheduled=is_scheduled)
        else:
            yield attrs.evolve(problem, cause=_cause_of(result.error))


def _unnamed(errors: Errors) -> Iterator[Problem]:
    """Yield what kept files from being named since the last time."""
    while errors:
        spec_id, error = errors.pop(0)
        yield _of_error(Kind.UNNAMED, "", spec_id, error)


def _of_error(kind: Kind, name: str, spec_id: str, error: ImageKitError) -> Problem:
    source = error.source if isinstance(error, GenerationError) else None
    return Problem(kind, name, spec_id, source or "", _cause_of(error))


def _cause_of(error: ImageKitError) -> str:
    return error.cause if isinstance(error, GenerationError) else str(error)
