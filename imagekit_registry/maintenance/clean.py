"""Removing orphans, which nothing calls for any more: by their records, and by listing."""

from __future__ import annotations

import contextlib
import inspect
import posixpath
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import attrs
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage, Storage

from imagekit_registry._loading import resolve_storage
from imagekit_registry.cachefiles.identity import state_key
from imagekit_registry.cachefiles.listing import Hashes, Listing, walk
from imagekit_registry.cachefiles.namers import is_inside, source_stem
from imagekit_registry.cachefiles.publishing import is_temporary
from imagekit_registry.conf import Conf, conf
from imagekit_registry.exceptions import InvalidConfiguration, NotRegistered, answer_or
from imagekit_registry.imaging import Recipe
from imagekit_registry.maintenance.inventory import Inventory, compile_pattern, in_chunks
from imagekit_registry.maintenance.places import Sources, accesses_in_use, by_place, storages_in_use
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import ImageSpec, SourceReference, StoredFile
from imagekit_registry.state import CacheFileRecord, StateAccess, Status, get_state_access

__all__ = ["Cleaner", "Left", "Orphan", "Reason", "has_fixed_name"]

#: Seconds since its last write after which the temporary file of a process is nobody's.
TEMPORARY_AGE = 3600.0

#: The reference of a storage, and a name in it.
_Place = tuple[str, str]


class Reason(StrEnum):
    """Why a file is an orphan."""

    SOURCE_GONE = "its source does not exist any more"
    NO_ROW = "no row has its source any more"
    FORMER = "it was made by a former recipe"
    NO_SPEC = "no spec of its id is registered any more"
    UNKNOWN = "nothing is known of it, and no row calls for it"
    CRASHED = "a process was killed while writing it"


class Left(StrEnum):
    """Why a file is left that nothing calls for, or that is none of ours."""

    FOREIGN = "foreign"
    OUTSIDE = "outside"
    KEPT = "left"


@attrs.frozen
class Orphan:
    """A file, or the record of one, that is removed.

    Args:
        name: Its name in its storage.
        storage: The reference of the storage; empty for the default one.
        reason: Why it is removed.
        spec_id: The id of the spec that made it, if known.
        source: What it was made of, if known.
        size: Its size in bytes, if known.
        error: Why it could not be removed; empty if it was.
    """

    name: str
    storage: str
    reason: Reason
    spec_id: str = ""
    source: str = ""
    size: int | None = None
    error: str = ""


@attrs.define(eq=False)
class Cleaner:
    """Finds and removes orphans.

    Args:
        patterns: Only what was made by specs whose ids one of them means; nothing: everything.
        older_than: Only what a run has found to be an orphan so many seconds ago, or earlier.
        dry_run: Whether to remove nothing.
        unknown: Whether files of which nothing is known, and that no row calls for, are orphans.
        on_progress: Called with the number of files that were named, or looked at, since.
        on_left: Called with the name of a file that is left, and with why: under the cache directory
            it has a name that no namer makes, or that a row has in a file field (foreign); in a
            record, one that does not lie there (outside); or no row calls for it, as far as can be
            told (kept).

    Attributes:
        inventory: What is called for.
        noted: Number of files that are orphans since this run, for `older_than`.
        unlisted: Why folders could not be listed.
    """

    patterns: Sequence[str] = ()
    older_than: float = 0.0
    dry_run: bool = False
    unknown: bool = False
    on_progress: Callable[[int], None] = lambda count: None
    on_left: Callable[[Left, str], None] = lambda why, name: None

    inventory: Inventory = attrs.field(factory=Inventory, init=False)
    unlisted: list[str] = attrs.field(factory=list, init=False)
    noted: int = attrs.field(default=0, init=False)
    _pattern: re.Pattern[str] = attrs.field(init=False)
    _reasons: _Reasons = attrs.field(init=False)
    # What has a record that was looked at is not looked at once more when it is listed.
    _seen: Hashes = attrs.field(factory=Hashes, init=False)
    # What is made while we work is not in the inventory, and is left.
    _started: float = attrs.field(factory=lambda: time.time(), init=False)  # noqa: PLW0108

    def run(self) -> Iterator[Orphan]:
        """Yield the orphans, each after it was removed.

        Raises:
            InvalidConfiguration: The cache directory is no folder of its own.
        """
        if Conf.CACHEFILE_DIR.rule(conf.CACHEFILE_DIR):
            raise InvalidConfiguration(
                f"IMAGEKIT_CACHEFILE_DIR is {conf.CACHEFILE_DIR!r}, which is no folder inside of the"
                " storage: nothing is cleaned, since everything in the storage would be looked at."
            )
        self._pattern = compile_pattern(*self.patterns)
        self.inventory.take(self.on_progress, write=not self.dry_run)
        self._reasons = _Reasons(self.inventory)
        for access in accesses_in_use(self.inventory.accesses):
            for key, record in access.iter_items():
                if record.spec_id:
                    place = (record.storage, record.published_name or record.name)
                    yield from self._remove(access, key, place, record)
        for references, storage in by_place(storages_in_use() | self.inventory.storages):
            yield from self._clean_folders(references, storage)

    def _clean_folders(self, references: Sequence[str], storage: Storage) -> Iterator[Orphan]:
        inside, access = list[str](), get_state_access()
        for entry in walk(storage, conf.CACHEFILE_DIR.rstrip("/")):
            self._leave(storage, inside, entry.folder)
            if entry.error is not None:
                error = f"{type(entry.error).__name__}: {entry.error}"
                self.unlisted.append(f"{entry.folder}: {error}")
                continue
            inside.append(entry.folder)
            names = []
            for name in (posixpath.join(entry.folder, each) for each in entry.files):
                places = [(reference, name) for reference in references]
                if not any(each in self.inventory or each in self._seen for each in places):
                    names.append(name)
            self.on_progress(len(entry.files) - len(names))
            for chunk in in_chunks(names):
                keys = {
                    state_key(each, name): (each, name) for name in chunk for each in references
                }
                records = access.get_many(keys)
                # Under whichever reference it has a record.
                found = {keys[key][1]: key for key in (*keys, *records)}
                for key in found.values():
                    yield from self._remove(access, key, keys[key], records.get(key))
        self._leave(storage, inside, "")

    def _leave(self, storage: Storage, inside: list[str], folder: str) -> None:
        """Remove the folders of *inside*, each in the one before, that are empty and not around *folder*.

        The first, the cache directory itself, stays.
        """
        while len(inside) > 1 and not folder.startswith(f"{inside[-1]}/"):
            left = inside.pop()
            if isinstance(storage, FileSystemStorage) and not self.dry_run:
                with contextlib.suppress(OSError):
                    Path(storage.path(left)).rmdir()

    def _remove(
        self, access: StateAccess, key: str, place: _Place, record: CacheFileRecord | None
    ) -> Iterator[Orphan]:
        """Remove a file, and its record, if it has been an orphan for long enough."""
        self.on_progress(1)
        reference, name = place
        reason = self._reason_for(place, record)
        if reason is not None and self._is_due(reason, place, record):
            known = (record.spec_id, record.source, record.size) if record is not None else ()
            orphan = Orphan(name, reference, reason, *known)
            try:
                if not self.dry_run:
                    access.put_many({key: record.replaced()} if record is not None else {})
                    self._storage(reference).delete(name)
                    access.drop([key])
            except Exception as error:  # noqa: BLE001 -- storages raise what they like
                orphan = attrs.evolve(orphan, error=f"{type(error).__name__}: {error}")
            yield orphan
        elif reason is not Reason.CRASHED:
            if reason is not None:
                self.on_left(Left.KEPT, name)
            record = record or CacheFileRecord(name=name, storage=reference, status=Status.MISSING)
            self._note(access, key, record, is_orphan=reason is not None)

    def _note(
        self, access: StateAccess, key: str, record: CacheFileRecord, *, is_orphan: bool
    ) -> None:
        """Write down since when a file is an orphan; or that it is none any more."""
        is_meant = not record.spec_id or self._pattern.match(record.spec_id)
        if is_meant and not self.dry_run and is_orphan == (record.obsolete_at is None):
            access.put(key, attrs.evolve(record, obsolete_at=self._started if is_orphan else None))
            self.noted += is_orphan

    def _reason_for(self, place: _Place, record: CacheFileRecord | None) -> Reason | None:
        """Return why a file is an orphan; None if it is left."""
        reference, name = place
        reason = None
        if record is not None and record.spec_id:
            names = {record.name, name}
            is_known = any((reference, each) in self.inventory for each in names)
            if is_known or not self._pattern.match(record.spec_id):
                return None
            self._seen.add((reference, name))
            if not all(map(is_inside, names)):
                if name:
                    self.on_left(Left.OUTSIDE, name)
                return None
        if self.inventory.holds(name):
            self.on_left(Left.FOREIGN, name)
            return None
        if record is not None and record.spec_id:
            if self._reasons.calls_for(record):
                return None
            reason = self._reasons.of_record(record)
        elif is_temporary(name):
            return None if self.patterns else Reason.CRASHED
        elif source_stem(name) is None:
            self.on_left(Left.FOREIGN, name)
            return None
        elif not self.patterns:
            # Whose it is, nobody knows: a pattern cannot mean it.
            reason = self._reasons.of_name(name, self.unknown)
        if reason is None:
            self.on_left(Left.KEPT, name)
        return reason

    def _is_due(self, reason: Reason, place: _Place, record: CacheFileRecord | None) -> bool:
        """Return whether an orphan has been one for long enough, and is none that was just made."""
        age = self.older_than
        if age > 0 and reason is not Reason.CRASHED:
            since = record.obsolete_at if record is not None else None
            return since is not None and since <= self._started - age
        made_at = record.made_at if record is not None else None
        if made_at is None:
            made_at = answer_or(None, self._made_at, *place)
        age = max(age, TEMPORARY_AGE) if reason is Reason.CRASHED else 0.0
        # Many storages have no times; then there is no age.
        return age <= 0 if made_at is None else made_at < self._started - age

    def _made_at(self, reference: str, name: str) -> float:
        try:
            return self._storage(reference).get_modified_time(name).timestamp()
        except FileNotFoundError:
            return 0.0

    def _storage(self, reference: str) -> Storage:
        return self.inventory.storages.get(reference) or resolve_storage(reference or "default")


class _Reasons:
    """Tells of single files why they are orphans; None where that is not certain.

    Args:
        inventory: What is called for.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._listing = Listing()
        self._stems = lru_cache(maxsize=100)(self._list_stems)
        self._sources = Sources()

    def calls_for(self, record: CacheFileRecord) -> bool:
        """Return whether a registered recipe calls for the file of *record*, or for a rendition.

        It is then some row's of another model, database or language, or a template tag's.
        """
        file, original = self._sources.of(record), record.digest.partition("/")[2]
        if file is None or self._is_lost(record):
            return False
        return self._inventory.has_digest(original) or self._calls(record.name, file, original)

    def of_record(self, record: CacheFileRecord) -> Reason | None:
        """Return why the file of *record*, which nothing is known to call for, is an orphan.

        As long as its source is there, it is one only if its spec takes nothing but a source, and
        gives another name today; or if rows feed its spec, of which none has the source.
        """
        if record.source and self._is_lost(record):
            return Reason.SOURCE_GONE
        try:
            spec = generator_registry.lookup(record.spec_id)
        except NotRegistered:
            # A spec that is used without an id has the path of its class for one: "shop.specs.Card".
            return None if re.match(r"[^:]*\.[^:]*$", record.spec_id) else Reason.NO_SPEC
        file = self._sources.of(record)
        if file is None or self._inventory.errors:
            return None
        if record.spec_id in self._inventory.fed and not self._inventory.holds(str(file.name)):
            return Reason.NO_ROW
        return Reason.FORMER if has_fixed_name(spec) else None

    def of_name(self, name: str, is_meant: bool) -> Reason | None:
        """Return why a listed file, of which there is no record, is an orphan.

        Args:
            name: Its name.
            is_meant: Whether it is one if its source is there, but no recipe gives it this name.
        """
        stem = source_stem(name)
        if not stem or self._inventory.errors:
            return None
        folder, basename = posixpath.split(stem)
        is_certain = True
        for reference in self._sources.references:
            stems = self._stems(reference, folder)
            found = stems.get(basename, ()) if stems else ()
            for each in found if is_meant else ():
                source = StoredFile(posixpath.join(folder, each), self._sources.storage(reference))
                if self._calls(name, source):
                    return None
            is_certain &= stems is not None and not found
        if is_certain and not self._inventory.holds(stem):
            return Reason.SOURCE_GONE
        return Reason.UNKNOWN if is_meant else None

    def _list_stems(self, reference: str, folder: str) -> Mapping[str, Set[str]] | None:
        """Return the files in a folder by their names without extensions; None: who knows."""
        names = answer_or(None, self._list, reference, folder)
        stems = defaultdict[str, set[str]](set)
        for name in names or ():
            stems[name].add(name)
            stems[posixpath.splitext(name)[0]].add(name)
        return None if names is None else stems

    def _list(self, reference: str, folder: str) -> Set[str] | None:
        with contextlib.suppress(ImproperlyConfigured):
            return self._listing.names(self._sources.storage(reference), folder)
        return frozenset()  # no page reads a source there

    def _is_lost(self, record: CacheFileRecord) -> bool:
        """Return whether the source of a file is certainly gone, and no row has it."""
        source = SourceReference.parse(record.source)
        # A storage that does not answer says nothing.
        is_there = answer_or(True, self._is_there, source)
        return not is_there and not self._inventory.holds(source.name)

    def _is_there(self, source: SourceReference) -> bool:
        storage = self._sources.storage(source.storage)
        return self._listing.has(storage, source.name) or storage.exists(source.name)

    def _calls(self, name: str, source: StoredFile, original: str = "") -> bool:
        """Return whether a registered recipe calls for an image of a source, of whatever model.

        Args:
            name: The image's name.
            source: Its source.
            original: If it is a rendition of another image: the digest of that.
        """
        inventory = self._inventory
        is_held = inventory.holds(str(source.name)) or bool(inventory.errors)

        def calls(spec_id: str) -> bool:
            spec = generator_registry.get(spec_id, source=source)
            return name == spec.cachefile_name or bool(original and original == spec.get_hash())

        # Recipes are the project's code, and may need a row.
        return any(
            answer_or(False, calls, spec_id)
            for spec_id in generator_registry.get_ids()
            if is_held or spec_id not in inventory.fed
        )


def has_fixed_name(spec: object) -> bool:
    """Return whether a generator gives one name to each source, whatever else it is asked with."""
    if not (isinstance(spec, type) and issubclass(spec, ImageSpec)):
        return False
    with contextlib.suppress(TypeError, ValueError):
        parts = [inspect.getattr_static(spec, name) for name in attrs.fields_dict(Recipe)]
        own = (
            spec.get_hash,
            spec.cachefile_name,
            spec.namer,
            {*inspect.signature(spec).parameters},
        )
        is_plain = own == (ImageSpec.get_hash, ImageSpec.cachefile_name, None, {"source"})
        return is_plain and not any(isinstance(part, property) for part in parts)
    return False
