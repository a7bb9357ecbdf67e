"""Specs, by what a record says of them."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any

import attrs
from django.utils.module_loading import import_string

from imagekit_registry.exceptions import NotRegistered
from imagekit_registry.imaging import Recipe
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import ImageSpec, SourceReference, StoredFile, refer_to
from imagekit_registry.state import CacheFileRecord


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
