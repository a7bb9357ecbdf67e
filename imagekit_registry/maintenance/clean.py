"""Removing cache files that nothing calls for any more: by the ledger, and by listing."""

from __future__ import annotations

import contextlib
import posixpath
import re
import time
from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path
from typing import Any

import attrs
from django.core.files.storage import FileSystemStorage
from django.db import DatabaseError

from imagekit_registry._loading import resolve_storage
from imagekit_registry.cachefiles.identity import state_key
from imagekit_registry.cachefiles.listing import Entry, walk
from imagekit_registry.cachefiles.namers import is_folder, is_inside, source_stem
from imagekit_registry.cachefiles.publishing import is_temporary
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import ImageKitError, InvalidConfiguration
from imagekit_registry.maintenance._names import Inventory, fingerprint_of, held_by_rows
from imagekit_registry.maintenance._verdict import Judge, Reason
from imagekit_registry.maintenance.inventory import matches
from imagekit_registry.state import CacheFileRecord, StateAccess, get_state_access

__all__ = ["Cleaner", "Leftover"]

#: Seconds since its last write after which the temporary file of a process is nobody's.
TEMPORARY_AGE = 3600.0
#: States that are dropped together.
CHUNK = 200


@attrs.frozen
class Leftover:
    """A file, or the record of one, that is removed.

    Args:
        name: Its name in its storage.
        storage: The reference of the storage; empty for the default one.
        reason: Why it is removed; one of `Reason`.
        spec_id: The id of the spec that made it, if known.
        source: What it was made of, if known.
        size: Its size in bytes, if known.
        error: Why it could not be removed; empty if it was.
    """

    name: str
    storage: str
    reason: str
    spec_id: str = ""
    source: str = ""
    size: int | None = None
    error: str = ""


@attrs.define(eq=False)
class Cleaner:
    """Finds and removes what is left over.

    Args:
        patterns: Only what was made by specs whose ids one of them matches; nothing: everything.
        older_than: Only what was made so many seconds ago, or earlier.
        dry_run: Whether to remove nothing.
        unknown: Whether files of which nothing is known, and that no row calls for, are left over.
        on_progress: Called once for each file that is looked at.

    Attributes:
        inventory: What is called for.
        foreign: Names under the cache directory that no namer makes, or that a row has in a file
            field; they are left.
        outside: Names in the ledger that do not lie under the cache directory; they are left.
        kept: Number of files that are called for by no row, and are left.
        unlisted: Why folders could not be listed.
    """

    patterns: Sequence[re.Pattern[str]] = ()
    older_than: float = 0.0
    dry_run: bool = False
    unknown: bool = False
    on_progress: Callable[[], None] = lambda: None

    inventory: Inventory = attrs.field(factory=Inventory, init=False)
    foreign: list[str] = attrs.field(factory=list, init=False)
    outside: list[str] = attrs.field(factory=list, init=False)
    unlisted: list[str] = attrs.field(factory=list, init=False)
    kept: int = attrs.field(default=0, init=False)
    _judge: Judge = attrs.field(init=False)
    # What the ledger knows is not to be judged once more when it is listed.
    _judged: set[int] = attrs.field(factory=set, init=False)
    # What is made while we work is not in the inventory, and is left.
    _started: float = attrs.field(factory=lambda: time.time(), init=False)  # noqa: PLW0108

    def run(self) -> Iterator[Leftover]:
        """Yield what is left over, each after it was removed.

        Raises:
            InvalidConfiguration: The cache directory is no folder of its own.
        """
        if not is_folder(conf.CACHEFILE_DIR):
            raise InvalidConfiguration(
                f"IMAGEKIT_CACHEFILE_DIR is {conf.CACHEFILE_DIR!r}, which is no folder inside of the"
                " storage: nothing is cleaned, since everything in the storage would be looked at."
            )
        self.inventory.take()
        self._judge = Judge(self.inventory)
        for access in list(self.inventory.accesses.values()):
            if access.store.is_ledger:
                yield from self._by_ledger(access)
        for reference, storage in sorted(self.inventory.storages.items()):
            yield from self._by_listing(reference, storage)

    # By the ledger.

    def _by_ledger(self, access: StateAccess) -> Iterator[Leftover]:
        dropped: list[str] = []
        for key, record in access.store.iter_items():
            self.on_progress()
            leftover = self._judge_record(record)
            if leftover is None:
                continue
            leftover = self._remove(leftover)
            if not leftover.error:
                dropped.append(key)
            yield leftover
            if len(dropped) >= CHUNK:
                self._drop(access, dropped)
                dropped = []
        self._drop(access, dropped)

    def _judge_record(self, record: CacheFileRecord) -> Leftover | None:
        name = record.published_name or record.name
        places = {(record.storage, record.name), (record.storage, name)}
        if any(place in self.inventory for place in places) or not self._is_meant(record.spec_id):
            return None
        self._judged.add(fingerprint_of(record.storage, name))
        if not is_inside(record.name) or not is_inside(name):
            if name:
                self.outside.append(name)
            return None
        reason = self._judge.of_record(record)
        if not reason or not self._is_old(record.storage, name, record.made_at):
            self.kept += 1
            return None
        return Leftover(name, record.storage, reason, record.spec_id, record.source, record.size)

    def _is_meant(self, spec_id: str) -> bool:
        return not self.patterns or matches(spec_id, self.patterns)

    def _drop(self, access: StateAccess, keys: Sequence[str]) -> None:
        if keys and not self.dry_run:
            access.drop(keys)

    # By listing.

    def _by_listing(self, reference: str, storage: Any) -> Iterator[Leftover]:
        empty: list[str] = []
        for entry in walk(storage, conf.CACHEFILE_DIR.rstrip("/")):
            if entry.error is not None:
                error = entry.error
                self.unlisted.append(f"{entry.folder}: {type(error).__name__}: {error}")
                continue
            yield from self._in_folder(reference, storage, entry)
            if isinstance(storage, FileSystemStorage):
                empty.append(entry.folder)
        # The innermost first; the cache directory itself stays.
        for folder in reversed(empty[1:]):
            if not self.dry_run:
                with contextlib.suppress(OSError):
                    Path(storage.path(folder)).rmdir()

    def _in_folder(self, reference: str, storage: Any, entry: Entry) -> Iterator[Leftover]:
        names = []
        for basename in entry.files:
            self.on_progress()
            name = posixpath.join(entry.folder, basename)
            if is_temporary(name):
                yield from self._temporary(reference, name)
            elif (reference, name) not in self.inventory and (
                fingerprint_of(reference, name) not in self._judged
            ):
                names.append(name)
        for start in range(0, len(names), CHUNK):
            yield from self._unlisted_names(reference, storage, names[start : start + CHUNK])

    def _temporary(self, reference: str, name: str) -> Iterator[Leftover]:
        age = max(self.older_than, TEMPORARY_AGE)
        if not self.patterns and self._is_old(reference, name, None, age):
            yield self._remove(Leftover(name, reference, Reason.CRASHED))

    def _unlisted_names(
        self, reference: str, storage: Any, names: Sequence[str]
    ) -> Iterator[Leftover]:
        """Judge files that no row calls for, by their records if there are any."""
        keys = {name: state_key(reference, name) for name in names}
        access = get_state_access()
        records = access.get_many(keys.values())
        unknown = [name for name in names if not getattr(records.get(keys[name]), "spec_id", "")]
        held = self._held_by_rows(unknown)
        dropped = []
        for name in names:
            if name in held:
                self.foreign.append(name)
                continue
            record = records.get(keys[name])
            if record is not None and record.spec_id:
                leftover = self._judge_record(record)
            else:
                leftover = self._judge_name(reference, name)
            if leftover is not None:
                leftover = self._remove(leftover)
                if record is not None and not leftover.error:
                    dropped.append(keys[name])
                yield leftover
        self._drop(access, dropped)

    def _held_by_rows(self, names: Sequence[str]) -> Set[str]:
        """Return those of *names*, of which nothing is known, that are uploads; in doubt, all."""
        candidates = [name for name in names if source_stem(name) is not None]
        try:
            return held_by_rows(candidates) if candidates else frozenset()
        except DatabaseError as error:
            self.unlisted.append(f"file fields: {type(error).__name__}: {error}")
            return frozenset(candidates)

    def _judge_name(self, reference: str, name: str) -> Leftover | None:
        if source_stem(name) is None:
            self.foreign.append(name)
            return None
        # Whose it is, nobody knows: a pattern cannot mean it.
        reason = "" if self.patterns else self._judge.of_name(name)
        if not reason and self.unknown and not self.patterns and not self.inventory.problems:
            reason = Reason.UNKNOWN
        if not reason or not self._is_old(reference, name, None):
            self.kept += 1
            return None
        return Leftover(name, reference, reason)

    # Either way.

    def _is_old(
        self, reference: str, name: str, made_at: float | None, age: float | None = None
    ) -> bool:
        """Return whether a file was made long enough ago, and before we began."""
        age = self.older_than if age is None else age
        if made_at is None:
            try:
                made_at = self._storage(reference).get_modified_time(name).timestamp()
            except FileNotFoundError:
                return True
            except Exception:  # noqa: BLE001 -- many storages have no times; then there is no age
                return age <= 0
        return made_at < self._started - age

    def _storage(self, reference: str) -> Any:
        """Return the storage of that reference.

        Raises:
            InvalidConfiguration: There is none any more.
        """
        known = self.inventory.storages.get(reference)
        return known if known is not None else resolve_storage(reference or "default")

    def _remove(self, leftover: Leftover) -> Leftover:
        if self.dry_run:
            return leftover
        try:
            self._storage(leftover.storage).delete(leftover.name)
        except ImageKitError as error:
            return attrs.evolve(leftover, error=str(error))
        except Exception as error:  # noqa: BLE001 -- storages raise what they like
            return attrs.evolve(leftover, error=f"{type(error).__name__}: {error}")
        return leftover
