"""Whether a cache file is left over, and how that is known."""

from __future__ import annotations

import posixpath
from functools import lru_cache
from typing import Any

from django.apps import apps
from django.core.files.storage import InvalidStorageError, storages
from django.db.models import FileField

from imagekit_registry._loading import storage_reference
from imagekit_registry.cachefiles.listing import Listing
from imagekit_registry.cachefiles.namers import source_stem
from imagekit_registry.maintenance._names import Inventory
from imagekit_registry.maintenance._owners import (
    find_spec,
    has_fixed_recipe,
    is_class,
    name_today,
    takes_only_a_source,
)
from imagekit_registry.specs import SourceReference
from imagekit_registry.state import CacheFileRecord

__all__ = ["Judge", "Reason"]


class Reason:
    """Why a file is removed, or left."""

    SOURCE_GONE = "its source does not exist any more"
    NO_ROW = "no row has its source any more"
    FORMER = "it was made by a former recipe"
    NO_SPEC = "no spec of its id is registered any more"
    UNKNOWN = "nothing is known of it, and no row calls for it"
    CRASHED = "a process was killed while writing it"


class Judge:
    """Says of single files whether they are left over; in doubt they are not.

    Args:
        inventory: What is called for.
    """

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self._listing = Listing()
        self._stems: dict[tuple[str, str], set[str]] = {}
        self._exists = lru_cache(maxsize=10_000)(self._ask)
        self._of_fields = _storages_of_fields()

    def of_record(self, record: CacheFileRecord) -> str:
        """Return why the file of *record*, which nothing calls for, is left over; empty: it is not.

        Sources are looked up in their storages. What a template tag has made is called for by no
        row: it is left over if its source is gone, or if its spec, which must take nothing but a
        source, gives another name today.
        """
        registered = find_spec(record.spec_id)
        if registered is None and not is_class(record.spec_id):
            return Reason.NO_SPEC
        if not record.source:
            return ""
        if self._is_gone(record.source):
            return Reason.SOURCE_GONE
        if registered is None or self.inventory.problems:
            return ""
        if not takes_only_a_source(registered):
            return ""
        name = self._name_today(record)
        if record.spec_id in self.inventory.fed:
            return Reason.NO_ROW if name == record.name else Reason.FORMER
        is_static = has_fixed_recipe(registered) and registered.namer is None
        is_former = name and name != record.name and is_static
        return Reason.FORMER if is_former else ""

    def of_name(self, name: str) -> str:
        """Return why a listed file, of which there is no record, is left over; empty: it is not."""
        stem = source_stem(name)
        if not stem:
            return ""
        folder, basename = posixpath.split(stem)
        for place in (*storages.backends, *self._of_fields):
            stems = self._stems_in(place, folder)
            if stems is None or basename in stems:
                return ""
        return Reason.SOURCE_GONE

    def _stems_in(self, place: str, folder: str) -> set[str] | None:
        """Return the names, without extensions, of the files in a folder; None: who knows."""
        key = (place, folder)
        if key not in self._stems:
            if len(self._stems) > 100:
                self._stems.clear()
            try:
                names = self._listing.names(self._storage(place), folder)
            except InvalidStorageError:
                names = set()
            if names is None:
                return None
            self._stems[key] = {posixpath.splitext(name)[0] for name in names} | set(names)
        return self._stems[key]

    def _is_gone(self, reference: str) -> bool:
        """Return whether the source of that reference is certainly not there any more."""
        source = SourceReference.parse(reference)
        place = source.storage or "default"
        if not self._is_known(place):
            return False
        try:
            return not self._exists(place, source.name)
        except Exception:  # noqa: BLE001 -- a storage that does not answer says nothing
            return False

    def _is_known(self, place: str) -> bool:
        return place in storages.backends or place in self._of_fields

    def _storage(self, place: str) -> Any:
        return self._of_fields[place] if place in self._of_fields else storages[place]

    def _ask(self, place: str, name: str) -> bool:
        return bool(self._storage(place).exists(name))

    def _name_today(self, record: CacheFileRecord) -> str:
        place = SourceReference.parse(record.source).storage or "default"
        return name_today(record, self._storage(place)) if self._is_known(place) else ""


def _storages_of_fields() -> dict[str, Any]:
    """Return the storages of file fields that have no alias in ``STORAGES``, by reference."""
    found: dict[str, Any] = {}
    for model in apps.get_models():
        for field in model._meta.local_concrete_fields:
            if isinstance(field, FileField):
                found.setdefault(storage_reference(field.storage), field.storage)
    return {
        reference: storage
        for reference, storage in found.items()
        if reference and reference not in storages.backends
    }
