"""Where images, what is known of them and their sources lie, whatever names these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.core.files.storage import FileSystemStorage, Storage, storages

from imagekit_registry._loading import place_of, resolve_storage, storage_reference
from imagekit_registry.cachefiles.backends import backends_in_use
from imagekit_registry.exceptions import answer_or
from imagekit_registry.maintenance.inventory import file_columns
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import SourceReference, StoredFile, refer_to
from imagekit_registry.state import (
    CacheFileRecord,
    DatabaseStateStore,
    StateAccess,
    get_state_access,
)

__all__ = ["Sources", "accesses_in_use", "by_place", "storages_in_use"]


def accesses_in_use(others: Iterable[StateAccess] = ()) -> list[StateAccess]:
    """Return the ways to the records of all files: to each store, or table, one.

    Args:
        others: Those of files whose backends neither the settings nor registered specs name.
    """
    states = (*others, *(backend.states for backend in backends_in_use()), get_state_access())
    return list({_place_of(access): access for access in states if access is not None}.values())


def _place_of(access: StateAccess) -> object:
    store = access.store
    return store.rows().db if isinstance(store, DatabaseStateStore) else store


def storages_in_use() -> dict[str, Storage]:
    """Return the storages of cache files that the settings and registered specs name, by reference."""
    registered = map(generator_registry.lookup, generator_registry.get_ids())
    own = [getattr(generator, "cachefile_storage", None) for generator in registered]
    found = [answer_or(None, resolve_storage, each) for each in (None, *own)]
    return {storage_reference(each): each for each in found if each is not None}


def by_place(found: Mapping[str, Storage]) -> list[tuple[list[str], Storage]]:
    """Return storages with their references: one folder or bucket may have several aliases.

    Args:
        found: Storages by their references.
    """
    groups: dict[object, tuple[list[str], Storage]] = {}
    for reference, storage in sorted(found.items()):
        # Of others, a folder of the same name may be another server's.
        is_told = isinstance(storage, FileSystemStorage) or hasattr(storage, "bucket_name")
        place = place_of(storage) if is_told else reference
        groups.setdefault(place, ([], storage))[0].append(reference)
    return list(groups.values())


class Sources:
    """The storages that sources lie in, and the sources that records name.

    Attributes:
        references: The references of the storages.
    """

    def __init__(self) -> None:
        # Some fields have storages that have no alias in ``STORAGES``.
        self._of_fields = {
            storage_reference(field.storage) or "default": field.storage
            for _, field in file_columns()
        }
        self.references = {*storages.backends, *self._of_fields}

    def storage(self, reference: str) -> Storage:
        """Return the storage of a reference.

        Raises:
            InvalidStorageError: There is none; if it cannot be built, whatever it raises then.
        """
        alias = reference or "default"
        return self._of_fields.get(alias) or storages[alias]

    def of(self, record: CacheFileRecord) -> StoredFile | None:
        """Return the source of a file; None if it lies in no storage that is known."""
        source = SourceReference.parse(record.source)
        storage = answer_or(None, self.storage, source.storage)
        file = StoredFile(source.name, storage) if storage is not None else None
        return file if file and str(refer_to(file)) == record.source else None
