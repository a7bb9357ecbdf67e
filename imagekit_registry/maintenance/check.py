"""Comparing what is known of cache files with what their storages hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from imagekit_registry._loading import resolve_storage, storage_reference
from imagekit_registry.cachefiles.bulk import Generation
from imagekit_registry.cachefiles.existence import (
    ask,
    fetch,
    is_of_another,
    refuse_conflict,
    remember,
)
from imagekit_registry.cachefiles.files import ImageCacheFile
from imagekit_registry.cachefiles.generation import Item
from imagekit_registry.cachefiles.listing import Listing
from imagekit_registry.cachefiles.rendering import explained, source_key
from imagekit_registry.exceptions import GenerationError, ImageKitError, NameTaken
from imagekit_registry.maintenance._names import fingerprint_of
from imagekit_registry.maintenance.inventory import every_batch, matches
from imagekit_registry.specs import fingerprint
from imagekit_registry.state import CacheFileRecord, StateAccess, Status, get_state_access

__all__ = ["Checker", "Kind", "Problem"]

#: States that are dropped together.
CHUNK = 200


class Kind:
    """What may be wrong."""

    GONE = "gone"
    FAILED = "failed"
    OUTDATED = "outdated"
    STALE = "stale"
    TAKEN = "taken"
    UNNAMED = "unnamed"
    UNREACHABLE = "unreachable"


#: What is said of each kind where the cause says no more.
CAUSES = {
    Kind.GONE: "it is known to exist, and its storage does not have it",
    Kind.OUTDATED: "it was made by another recipe",
    Kind.STALE: "its source has been overwritten since it was made",
}


@attrs.frozen
class Problem:
    """Something that is wrong with one file.

    Args:
        kind: One of the constants of `Kind`.
        file: The name of the file in its storage.
        spec: The id of its spec.
        source: What it is made of.
        cause: What is wrong, as a sentence without a full stop.
        repaired: Whether it is right again.
    """

    kind: str
    file: str
    spec: str
    source: str
    cause: str
    repaired: bool = False


@attrs.define(eq=False)
class Checker:
    """Finds what is wrong with the states of files, and repairs it.

    Args:
        ids: Ids of registered specs to be checked.
        patterns: Which records of the ledger are checked besides; nothing: all of them.
        repair: Whether to make files again, and to correct states.
        on_progress: Called once for each file.

    Attributes:
        good: Number of files that are as their state says.
        missing: Number of files that are yet to be made, which is nothing wrong.
        unrecorded: Number of files of which nothing is known, which costs their next page a look.
        unchecked: Number of files whose backend keeps no state.
    """

    ids: Sequence[str]
    patterns: Sequence[re.Pattern[str]] = ()
    repair: bool = False
    on_progress: Callable[[], None] = lambda: None

    good: int = attrs.field(default=0, init=False)
    missing: int = attrs.field(default=0, init=False)
    unrecorded: int = attrs.field(default=0, init=False)
    unchecked: int = attrs.field(default=0, init=False)
    _listing: Listing = attrs.field(factory=Listing, init=False)
    _seen: set[int] = attrs.field(factory=set, init=False)
    _accesses: dict[int, StateAccess] = attrs.field(factory=dict, init=False)

    def run(self) -> Iterator[Problem]:
        """Yield what is wrong, after it was repaired, if it is to be and can be."""
        access = get_state_access()
        self._accesses[id(access)] = access
        unnamed: list[Problem] = []

        def on_error(spec_id: str, error: ImageKitError) -> None:
            unnamed.append(_of_error(Kind.UNNAMED, spec_id, error))

        for batch in every_batch(self.ids, on_error):
            yield from self._check_batch(batch)
        yield from unnamed
        for access in list(self._accesses.values()):
            if access.store.is_ledger:
                yield from self._check_ledger(access)

    # Files that rows call for.

    def _check_batch(self, batch: Sequence[ImageCacheFile]) -> Iterator[Problem]:
        items = []
        for file in batch:
            self.on_progress()
            access = file.cachefile_backend.states
            if access is None:
                self.unchecked += 1
                continue
            items.append(Item(file))
            self._accesses[id(access)] = access
            self._seen.add(fingerprint_of(storage_reference(file.storage), str(file.name)))
        records = fetch([item.file for item in items], fresh=True)
        for item, record in zip(items, records, strict=True):
            item.before = record
        fingerprints: dict[Any, str] = {}
        found: list[tuple[Item, Problem]] = []
        unknown: list[Item] = []
        for item in items:
            try:
                problem = self._look_at(item, fingerprints, unknown)
            except Exception as error:  # noqa: BLE001 -- storages raise what they like
                failure = explained(error, item.file)
                yield _of_error(Kind.UNREACHABLE, item.file.spec_id, failure, item.file)
                continue
            if problem is not None:
                found.append((item, problem))
        if self.repair:
            self._write_down(unknown)
            yield from self._make_again(found)
        else:
            yield from (problem for _, problem in found)

    def _look_at(
        self, item: Item, fingerprints: dict[Any, str], unknown: list[Item]
    ) -> Problem | None:
        file, record = item.file, item.before
        try:
            refuse_conflict(file.identity, record)
        except NameTaken as error:
            return _problem(item, Kind.TAKEN, error.cause)
        is_unique = file.identity.name_is_unique
        if record is not None and not is_unique and is_of_another(file.identity, record):
            # Nothing is known of this one.
            record = None
        is_there = self._listing.has(file.storage, _published(record) or str(file.name))
        if record is not None and record.status == Status.FAILED:
            return _problem(item, Kind.FAILED, record.error)
        if record is None or record.status != Status.EXISTS:
            if is_there and is_unique:
                self.unrecorded += 1
                unknown.append(item)
            else:
                self.missing += 1
            return None
        if not is_there:
            return _problem(item, Kind.GONE)
        if item.status() is None:
            return _problem(item, Kind.OUTDATED)
        if record.fingerprint:
            key = source_key(item.file)
            if key not in fingerprints:
                fingerprints[key] = fingerprint(file.source)
            if fingerprints[key] and fingerprints[key] != record.fingerprint:
                return _problem(item, Kind.STALE)
        self.good += 1
        return None

    def _write_down(self, items: Sequence[Item]) -> None:
        """Let the state say what the storage has."""
        records = []
        for item in items:
            try:
                records.append((item.file, ask(item.file, item.before)))
            except GenerationError:
                continue
        remember(records)

    def _make_again(self, found: Sequence[tuple[Item, Problem]]) -> Iterator[Problem]:
        pipeline = Generation(force=True)
        errors = {
            result.position: result.error
            for result in pipeline.run([[item.file for item, _ in found]])
            if result.error is not None
        }
        for position, (_, problem) in enumerate(found):
            error = errors.get(position)
            if error is None:
                yield attrs.evolve(problem, repaired=True)
            else:
                yield attrs.evolve(problem, cause=getattr(error, "cause", str(error)))

    # Files that only the ledger knows: what template tags made.

    def _check_ledger(self, access: StateAccess) -> Iterator[Problem]:
        dropped: list[str] = []
        for key, record in access.store.iter_items():
            if fingerprint_of(record.storage, record.name) in self._seen:
                continue
            if self.patterns and not matches(record.spec_id, self.patterns):
                continue
            self.on_progress()
            problem = self._look_at_record(record)
            if problem is None:
                continue
            if self.repair and problem.kind in {Kind.GONE, Kind.FAILED}:
                # Nobody can tell what it was made with; whoever asks for it next can.
                dropped.append(key)
                problem = attrs.evolve(problem, repaired=True)
            yield problem
            if len(dropped) >= CHUNK:
                access.drop(dropped)
                dropped = []
        access.drop(dropped)

    def _look_at_record(self, record: CacheFileRecord) -> Problem | None:
        name = _published(record) or record.name
        what = (name, record.spec_id, record.source)
        if record.status == Status.FAILED:
            return Problem(Kind.FAILED, *what, record.error)
        if record.status != Status.EXISTS or not name:
            return None
        try:
            is_there = self._listing.has(resolve_storage(record.storage or "default"), name)
        except Exception as error:  # noqa: BLE001 -- storages raise what they like
            return Problem(Kind.UNREACHABLE, *what, f"{type(error).__name__}: {error}")
        if is_there:
            self.good += 1
            return None
        return Problem(Kind.GONE, *what, CAUSES[Kind.GONE])


def _published(record: CacheFileRecord | None) -> str:
    return record.published_name if record is not None else ""


def _problem(item: Item, kind: str, cause: str = "") -> Problem:
    file = item.file
    source = str(getattr(file.source, "name", "") or "")
    return Problem(kind, str(file.name), file.spec_id, source, cause or CAUSES.get(kind, kind))


def _of_error(kind: str, spec_id: str, error: ImageKitError, file: Any = None) -> Problem:
    source = getattr(error, "source", None) or ""
    name = str(file.name) if file is not None else ""
    return Problem(kind, name, spec_id, source, getattr(error, "cause", str(error)))
