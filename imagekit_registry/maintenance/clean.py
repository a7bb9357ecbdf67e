"""Removing orphans, which nothing calls for any more: by their records, and by listing."""

from __future__ import annotations

import contextlib
import inspect
import posixpath
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

import attrs
from django.apps import apps
from django.core.files.storage import FileSystemStorage, InvalidStorageError, storages
from django.db import DatabaseError
from django.db.models import FileField, Model
from django.utils.module_loading import import_string

from imagekit_registry._loading import resolve_storage, storage_reference
from imagekit_registry.cachefiles.identity import state_key
from imagekit_registry.cachefiles.listing import Listing, walk
from imagekit_registry.cachefiles.namers import is_inside, source_stem
from imagekit_registry.cachefiles.publishing import is_temporary
from imagekit_registry.conf import Conf, conf
from imagekit_registry.exceptions import ImageKitError, InvalidConfiguration, NotRegistered
from imagekit_registry.imaging import Recipe
from imagekit_registry.maintenance.inventory import Inventory, every_record, in_chunks, matches
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import ImageSpec, SourceReference, StoredFile, refer_to
from imagekit_registry.state import CacheFileRecord, StateAccess, get_state_access

__all__ = ["Cleaner", "Orphan", "Reason"]

#: Seconds since its last write after which the temporary file of a process is nobody's.
TEMPORARY_AGE = 3600.0

#: The key of a record, the reference of a storage, a name in it, and the record, if there is one.
_Found = tuple[str, str, str, CacheFileRecord | None]


class Reason(StrEnum):
    """Why a file is an orphan."""

    SOURCE_GONE = "its source does not exist any more"
    NO_ROW = "no row has its source any more"
    FORMER = "it was made by a former recipe"
    NO_SPEC = "no spec of its id is registered any more"
    UNKNOWN = "nothing is known of it, and no row calls for it"
    CRASHED = "a process was killed while writing it"


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
        patterns: Only what was made by specs whose ids one of them matches; nothing: everything.
        older_than: Only what was made so many seconds ago, or earlier.
        dry_run: Whether to remove nothing.
        unknown: Whether files of which nothing is known, and that no row calls for, are orphans.
        on_progress: Called once for each file that is looked at.

    Attributes:
        inventory: What is called for.
        foreign: Names under the cache directory that no namer makes, or that a row has in a file
            field; they are left.
        outside: Names in records that do not lie under the cache directory; they are left.
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
    _reasons: _Reasons = attrs.field(init=False)
    # What has a record that was looked at is not looked at once more when it is listed.
    _seen: set[int] = attrs.field(factory=set, init=False)
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
        self.inventory.take()
        self._reasons = _Reasons(self.inventory)
        for access in self.inventory.accesses:
            for chunk in every_record(access):
                names = ((key, r.storage, r.published_name or r.name, r) for key, r in chunk)
                yield from self._remove(access, names)
        for reference, storage in sorted(self.inventory.storages.items()):
            yield from self._clean_folders(reference, storage)

    def _clean_folders(self, reference: str, storage: Any) -> Iterator[Orphan]:
        folders: list[str] = []
        for entry in walk(storage, conf.CACHEFILE_DIR.rstrip("/")):
            if entry.error is not None:
                self.unlisted.append(f"{entry.folder}: {_explain(entry.error)}")
                continue
            folders.append(entry.folder)
            names = []
            for basename in entry.files:
                place = (reference, posixpath.join(entry.folder, basename))
                if place in self.inventory or hash(place) in self._seen:
                    self.on_progress()
                else:
                    names.append(place[1])
            for chunk in in_chunks(names):
                found = self._with_records(reference, chunk)
                yield from self._remove(get_state_access(), found)
        if isinstance(storage, FileSystemStorage) and not self.dry_run:
            # The innermost first; the cache directory itself stays.
            for folder in reversed(folders[1:]):
                with contextlib.suppress(OSError):
                    Path(storage.path(folder)).rmdir()

    def _with_records(self, reference: str, names: Iterable[str]) -> Iterator[_Found]:
        """Yield listed files with their records, but for uploads of which nothing is known."""
        keys = {name: state_key(reference, name) for name in names}
        found = get_state_access().get_many(keys.values())
        records = {name: found[key] for name, key in keys.items() if key in found}
        unknown = {name for name in keys if name not in records or not records[name].spec_id}
        try:
            uploads = held_by_rows(unknown)
        except DatabaseError as error:
            self.unlisted.append(f"file fields: {_explain(error)}")
            uploads = unknown
        for name, key in keys.items():
            if name in uploads:
                self.foreign.append(name)
            else:
                yield key, reference, name, None if name in unknown else records[name]

    def _remove(self, access: StateAccess, found: Iterable[_Found]) -> Iterator[Orphan]:
        """Remove what is an orphan, and its record."""
        removed = []
        for key, reference, name, record in found:
            self.on_progress()
            reason = self._reason_for(reference, name, record)
            if reason is None:
                continue
            orphan = Orphan(name, reference, reason)
            if record is not None:
                orphan = Orphan(name, reference, reason, record.spec_id, record.source, record.size)
            try:
                if not self.dry_run:
                    self._storage(reference).delete(name)
                    removed.append(key)
            except Exception as error:  # noqa: BLE001 -- storages raise what they like
                orphan = attrs.evolve(orphan, error=_explain(error))
            yield orphan
        if removed:
            access.drop(removed)

    def _reason_for(
        self, reference: str, name: str, record: CacheFileRecord | None
    ) -> Reason | None:
        """Return why a file is to be removed; None if it is left."""
        reason, made_at, age = None, None, self.older_than
        if record is not None:
            is_meant = not self.patterns or matches(record.spec_id, self.patterns)
            names = {(reference, record.name), (reference, name)}
            if not is_meant or any(each in self.inventory for each in names):
                return None
            self._seen.add(hash((reference, name)))
            if not (is_inside(record.name) and is_inside(name)):
                self.outside += [name] if name else []
                return None
            reason, made_at = self._reasons.of_record(record), record.made_at
        elif is_temporary(name):
            if self.patterns:
                return None
            reason, age = Reason.CRASHED, max(age, TEMPORARY_AGE)
        elif source_stem(name) is None:
            self.foreign.append(name)
            return None
        elif not self.patterns:
            # Whose it is, nobody knows: a pattern cannot mean it.
            is_meant = self.unknown and not self.inventory.errors
            reason = self._reasons.of_name(name) or (Reason.UNKNOWN if is_meant else None)
        if reason is not None and self._is_old(reference, name, made_at, age):
            return reason
        self.kept += reason is not Reason.CRASHED
        return None

    def _is_old(self, reference: str, name: str, made_at: float | None, age: float) -> bool:
        """Return whether a file was made long enough ago, and before we began."""
        if made_at is None:
            try:
                made_at = self._storage(reference).get_modified_time(name).timestamp()
            except FileNotFoundError:
                return True
            except Exception:  # noqa: BLE001 -- many storages have no times; then there is no age
                return age <= 0
        return made_at < self._started - age

    def _storage(self, reference: str) -> Any:
        return self.inventory.storages.get(reference) or resolve_storage(reference or "default")


def _explain(error: Exception) -> str:
    own = isinstance(error, ImageKitError)
    return str(error) if own else f"{type(error).__name__}: {error}"


class _Reasons:
    """Tells of single files why they are orphans; None where that is not certain.

    Args:
        inventory: What is called for.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._listing = Listing()
        self._stems = lru_cache(maxsize=100)(self._list_stems)
        self._exists = lru_cache(maxsize=10_000)(
            lambda reference, name: self._storage(reference).exists(name)
        )
        # Some fields have storages that have no alias in ``STORAGES``.
        self._of_fields = {
            storage_reference(field.storage): field.storage for _, field in _file_fields()
        }
        self._of_fields.pop("", None)

    def of_record(self, record: CacheFileRecord) -> Reason | None:
        """Return why the file of *record*, which nothing calls for, is an orphan.

        Sources are looked up in their storages. What a template tag has made is called for by no
        row: it is an orphan if its source is gone, or if its spec, which must take nothing but a
        source, gives another name today.
        """
        try:
            spec = generator_registry.lookup(record.spec_id)
        except NotRegistered:
            spec = None
        if spec is None and not _is_class(record.spec_id):
            return Reason.NO_SPEC
        if not record.source:
            return None
        source = SourceReference.parse(record.source)
        if self._is_gone(source):
            return Reason.SOURCE_GONE
        if self._inventory.errors or not _takes_only_a_source(spec):
            return None
        name = self._name_today(record, source)
        if record.spec_id in self._inventory.fed:
            return Reason.NO_ROW if name == record.name else Reason.FORMER
        is_former = name not in {"", record.name} and _has_fixed_name(spec)
        return Reason.FORMER if is_former else None

    def of_name(self, name: str) -> Reason | None:
        """Return why a listed file, of which there is no record, is an orphan."""
        stem = source_stem(name)
        if not stem:
            return None
        folder, basename = posixpath.split(stem)
        for reference in {*storages.backends, *self._of_fields}:
            stems = self._stems(reference, folder)
            if stems is None or basename in stems:
                return None
        return Reason.SOURCE_GONE

    def _list_stems(self, reference: str, folder: str) -> Set[str] | None:
        """Return the names of the files in a folder, with and without extensions; None: who knows."""
        try:
            names = self._listing.names(self._storage(reference), folder)
        except InvalidStorageError:
            return frozenset()
        return names and {posixpath.splitext(name)[0] for name in names} | names

    def _is_gone(self, source: SourceReference) -> bool:
        """Return whether a source is certainly not there any more."""
        try:
            return not self._exists(source.storage, source.name)
        except Exception:  # noqa: BLE001 -- a storage that does not answer says nothing
            return False

    def _storage(self, reference: str) -> Any:
        alias = reference or "default"
        return storages[alias] if alias in storages.backends else self._of_fields[reference]

    def _name_today(self, record: CacheFileRecord, source: SourceReference) -> str:
        """Return the name that the spec gives the file today; empty if that cannot be told."""
        try:
            file = StoredFile(source.name, self._storage(source.storage))
            if str(refer_to(file)) != record.source:
                return ""
            spec = generator_registry.get(record.spec_id, source=file)
            return str(spec.cachefile_name or "")
        except Exception:  # noqa: BLE001 -- the project's code, which may need a model's instance
            return ""


def _file_fields() -> Iterator[tuple[type[Model], FileField]]:
    for model in apps.get_models():
        fields = model._meta.local_concrete_fields
        yield from ((model, field) for field in fields if isinstance(field, FileField))


def held_by_rows(names: Set[str]) -> Set[str]:
    """Return those of *names* that a row of any model has in a file field: somebody's uploads.

    Raises:
        DatabaseError: A table cannot be read.
    """
    held: set[str] = set()
    for model, field in _file_fields() if names else ():
        rows = model._base_manager.filter(**{f"{field.attname}__in": names})
        held.update(rows.values_list(field.attname, flat=True))
    return held


@lru_cache(maxsize=1000)
def _is_class(path: str) -> bool:
    """Return whether *path* is that of a class: a spec that is used without an id."""
    try:
        return isinstance(import_string(path), type)
    except Exception:  # noqa: BLE001 -- an id is no path; a module may fail in any way
        return False


def _takes_only_a_source(spec: object) -> bool:
    """Return whether a generator's files depend on nothing but the source and the recipe."""
    if not (isinstance(spec, type) and issubclass(spec, ImageSpec)):
        return False
    with contextlib.suppress(TypeError, ValueError):
        return set(inspect.signature(spec).parameters) == {"source"}
    return False


def _has_fixed_name(spec: Any) -> bool:
    """Return whether a spec gives the same name for every object that has the source."""
    parts = [inspect.getattr_static(spec, name) for name in attrs.fields_dict(Recipe)]
    own = (spec.get_hash, spec.cachefile_name, spec.namer)
    is_plain = own == (ImageSpec.get_hash, ImageSpec.cachefile_name, None)
    return is_plain and not any(isinstance(part, property) for part in parts)
