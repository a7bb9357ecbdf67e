"""Whose a cache file is: the spec and the source that a record names, and whether they call for it.

Some namers give one name to several images. The record under the name says whose image is there.
"""

from __future__ import annotations

import inspect
from functools import lru_cache
from pathlib import Path
from typing import Any

import attrs
from django.core.files.storage import storages
from django.utils.module_loading import import_string

from imagekit_registry._storage_calls import ask
from imagekit_registry.exceptions import NameTaken, NotRegistered
from imagekit_registry.imaging import Recipe
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import ImageSpec, SourceReference, StoredFile, has_source, refer_to
from imagekit_registry.state import CacheFileRecord, Status

__all__ = [
    "find_spec",
    "has_fixed_recipe",
    "is_class",
    "is_held",
    "is_of_another",
    "name_taken",
    "name_today",
    "needs_record",
    "reference_to_source",
    "takes_only_a_source",
]


def needs_record(file: Any) -> bool:
    """Return whether the name of *file* does not say what it is an image of."""
    return bool(getattr(file, "_needs_record", False))


def reference_to_source(file: Any) -> str:
    """Return how records name the source of *file*; empty if it has none."""
    source = getattr(getattr(file, "generator", None), "source", None)
    return str(refer_to(source)) if has_source(source) else ""


def is_of_another(file: Any, record: CacheFileRecord) -> bool:
    """Return whether *record* is of another image than *file*: of another source, or spec.

    The same source by the same recipe is the same image, whatever the ids of the specs.
    """
    if record.digest and record.digest == file.digest:
        return False
    return record.spec_id != file.spec_id or record.source != reference_to_source(file)


def is_held(file: Any, record: CacheFileRecord) -> bool:
    """Return whether *record* is of an image that has the name of *file*, and still has a right to.

    It has if its spec is there and its source is. In doubt it has: that is looked up in the
    registry, and in the storage of the source.
    """
    if record.status != Status.EXISTS or not is_of_another(file, record):
        return False
    registered = find_spec(record.spec_id)
    if registered is None and not is_class(record.spec_id):
        return False
    theirs = SourceReference.parse(record.source)
    if (
        takes_only_a_source(registered)
        and has_fixed_recipe(registered)
        and name_today(record, _storage_of(theirs, file.source)) not in {"", record.name}
    ):
        # It gives that image another name by now.
        return False
    return not _is_gone(theirs, file.source)


def name_taken(file: Any, record: CacheFileRecord) -> NameTaken:
    """Return the exception that says so."""
    return NameTaken(
        f"its file name {file.name!r} is taken by {record.spec_id} of {record.source!r}",
        spec_id=file.spec_id,
        source=str(getattr(file.source, "name", "") or "") or None,
        hint="Rename one of the two, or give one of the specs a namer whose names say recipe and"
        " source, such as imagekit_registry.cachefiles.namers.source_name_dot_hash.",
    )


def _is_gone(theirs: SourceReference, source: Any) -> bool:
    """Return whether a source is certainly not there any more.

    Args:
        theirs: The source.
        source: Another one, which may lie in the same storage.
    """
    try:
        if theirs.storage == "file":
            return not Path(theirs.name).exists()
        storage = _storage_of(theirs, source)
        return storage is not None and not ask(storage, lambda: storage.exists(theirs.name))
    except Exception:  # noqa: BLE001 -- a storage that does not answer says nothing
        return False


def _storage_of(theirs: SourceReference, source: Any) -> Any:
    """Return the storage of a source, which may be that of another one; None if nobody knows it."""
    alias = theirs.storage or "default"
    if alias in storages.backends:
        return storages[alias]
    return getattr(source, "storage", None) if theirs.storage == refer_to(source).storage else None


# Specs, by what a record says of them.


def find_spec(spec_id: str) -> Any:
    """Return what is registered under *spec_id*; None if nothing is."""
    try:
        return generator_registry.lookup(spec_id)
    except NotRegistered:
        return None


@lru_cache(maxsize=1000)
def is_class(path: str) -> bool:
    """Return whether *path* is that of a class: a spec that is used without an id."""
    try:
        return isinstance(import_string(path), type)
    except Exception:  # noqa: BLE001 -- an id is no path; a module may fail in any way
        return False


def takes_only_a_source(registered: Any) -> bool:
    """Return whether a generator's files depend on nothing but the source and the recipe."""
    if not (isinstance(registered, type) and issubclass(registered, ImageSpec)):
        return False
    try:
        return set(inspect.signature(registered).parameters) == {"source"}
    except (TypeError, ValueError):
        return False


def has_fixed_recipe(cls: type[ImageSpec]) -> bool:
    """Return whether a spec is the same recipe for every object that has the source."""
    names = attrs.fields_dict(Recipe)
    return (
        not any(isinstance(inspect.getattr_static(cls, name), property) for name in names)
        and cls.get_hash is ImageSpec.get_hash
        and cls.cachefile_name is ImageSpec.cachefile_name
    )


def name_today(record: CacheFileRecord, storage: Any) -> str:
    """Return the name that the spec gives the file today; empty if that cannot be told.

    Args:
        record: The record of the file.
        storage: The storage of its source; None if it is not known.
    """
    if storage is None:
        return ""
    try:
        source = StoredFile(SourceReference.parse(record.source).name, storage)
        if str(refer_to(source)) != record.source:
            return ""
        spec = generator_registry.get(record.spec_id, source=source)
        return str(spec.cachefile_name or "")
    except Exception:  # noqa: BLE001 -- the project's code, which may need a model's instance
        return ""
