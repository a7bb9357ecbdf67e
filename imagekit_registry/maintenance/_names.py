"""What all registered generators make of all sources: the names that must not be cleaned away."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from django.apps import apps
from django.db.models import FileField

from imagekit_registry._loading import get_storage, storage_reference
from imagekit_registry.cachefiles.existence import fetch
from imagekit_registry.cachefiles.files import ImageCacheFile
from imagekit_registry.exceptions import ImageKitError
from imagekit_registry.maintenance.inventory import every_batch
from imagekit_registry.registry import cachefile_registry, generator_registry, source_group_registry
from imagekit_registry.state import StateAccess, get_state_access

__all__ = ["Inventory", "fingerprint_of", "held_by_rows"]


def fingerprint_of(storage: str, name: str) -> int:
    """Return 64 bits that stand for a name in a storage: millions of them fit into memory.

    Two names that share them, which is as good as impossible, would both be kept.
    """
    text = f"{storage}\0{name}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def held_by_rows(names: Iterable[str]) -> set[str]:
    """Return those of *names* that a row of any model has in a file field: somebody's uploads.

    Raises:
        DatabaseError: A table cannot be read.
    """
    wanted = list(names)
    held: set[str] = set()
    for model in apps.get_models():
        for field in model._meta.local_concrete_fields:
            if isinstance(field, FileField):
                rows = model._base_manager.filter(**{f"{field.attname}__in": wanted})
                held.update(rows.values_list(field.attname, flat=True))
    return held


class Inventory:
    """The names of all files that rows and registered lists call for, and of their sources.

    About 100 bytes of memory a file.

    Attributes:
        problems: What kept some files from being named. If there are any, a file that is not in
            the inventory may still be called for.
        storages: The storages that cache files lie in, by reference.
        accesses: The ways to the states of the files.
        fed: The ids that have rows, or registered files.
    """

    def __init__(self) -> None:
        self.problems: list[tuple[str, ImageKitError]] = []
        self.storages: dict[str, Any] = {}
        self.accesses: dict[int, StateAccess] = {}
        self.fed: set[str] = set()
        self._names: set[int] = set()

    def take(self) -> None:
        """Go through all sources of all generators."""
        self._add_storage(get_storage())
        access = get_state_access()
        self.accesses[id(access)] = access
        ids = generator_registry.get_ids()
        fed = {id for _, id in source_group_registry.pairs()} | cachefile_registry.ids()
        self.fed = fed & set(ids)
        for batch in every_batch(ids, lambda id, error: self.problems.append((id, error))):
            self._add(batch)

    def __contains__(self, place: tuple[str, str]) -> bool:
        """Return whether (storage reference, name) is called for."""
        return fingerprint_of(*place) in self._names

    def _add_storage(self, storage: Any) -> str:
        reference = storage_reference(storage)
        self.storages.setdefault(reference, storage)
        return reference

    def _add(self, batch: Iterable[ImageCacheFile]) -> None:
        files: list[ImageCacheFile] = []
        for file in batch:
            reference = self._add_storage(file.storage)
            self._names.add(fingerprint_of(reference, str(file.name)))
            self._add_source(file.source)
            access = file.cachefile_backend.states
            if access is not None:
                self.accesses[id(access)] = access
                files.append(file)
        # A storage that gives names of its own has published some under other ones.
        for file, record in zip(files, fetch(files), strict=True):
            if record is not None and record.published_name:
                reference = storage_reference(file.storage)
                self._names.add(fingerprint_of(reference, record.published_name))

    def _add_source(self, source: Any) -> None:
        """A cache file may be the source of another spec's."""
        storage, name = getattr(source, "storage", None), getattr(source, "name", None)
        if storage is not None and name:
            self._names.add(fingerprint_of(storage_reference(storage), str(name)))
