"""What was made of sources: found by its records, and removed."""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import attrs
from django.core.files.storage import Storage
from django.core.signals import setting_changed
from django.dispatch import receiver

from imagekit_registry._loading import (
    get_by_qname,
    get_storage,
    resolve_storage,
    storage_reference,
)
from imagekit_registry.cachefiles import namers
from imagekit_registry.cachefiles.backends import get_default_cachefile_backend
from imagekit_registry.cachefiles.identity import state_key
from imagekit_registry.cachefiles.listing import Listing
from imagekit_registry.cachefiles.state import get_active_state_cache
from imagekit_registry.cachefiles.strategies import Strategy, load_strategy
from imagekit_registry.cachefiles.urls import retire
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import answer_or, logged
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import SourceReference, StoredFile
from imagekit_registry.state import CacheFileRecord, Status, get_state_access

_logger = logging.getLogger("imagekit_registry.cachefiles")


@attrs.frozen
class Defaults:
    """What the settings say of files whose specs say nothing.

    Args:
        storage: Their storage.
        reference: The reference of that.
        strategy: Their strategy.
        has_folders: Whether their namer gives a folder to each source.
        is_plain: Whether that, their backend and its store are all ours, so that names and records
            are enough to delete them.
    """

    storage: Storage
    reference: str
    strategy: Strategy
    has_folders: bool
    is_plain: bool


@cache
def defaults() -> Defaults:
    storage, backend = get_storage(), get_default_cachefile_backend()
    namer = get_by_qname(conf.SPEC_CACHEFILE_NAMER, "namer")
    has_folders = namer in {namers.source_name_as_path, namers.content_hash}
    is_ours = backend.strategy is None and backend.states is get_state_access()
    return Defaults(
        storage,
        storage_reference(storage),
        load_strategy(conf.DEFAULT_CACHEFILE_STRATEGY),
        has_folders,
        namer is namers.source_name_as_path and is_ours,
    )


@receiver(setting_changed, dispatch_uid="imagekit_registry.made")
def _forget_defaults(**_: object) -> None:
    defaults.cache_clear()


@attrs.define(eq=False)
class Look:
    """Looks for what was made of sources.

    Attributes:
        is_complete: Whether every file that the default namer has given to the sources so far has
            a record.
        is_answered: Whether a ledger has told of all records, and not only of some.
    """

    is_complete: bool = attrs.field(factory=lambda: defaults().has_folders)
    is_answered: bool = True

    def find(self, sources: Sequence[SourceReference]) -> dict[str, CacheFileRecord]:
        """Return the records of what was made of *sources*, by key."""
        access, usual = get_state_access(), defaults()
        names = [str(source) for source in sources]
        if access.store.is_ledger:
            self.is_complete = False
            found = access.by_source(names)
            self.is_answered = self.is_answered and found is not None
            return {state_key(record.storage, record.name): record for record in found or ()}
        listing = Listing()
        keys: dict[str, str] = {}
        for source, name in zip(sources, names, strict=True) if usual.has_folders else ():
            folder = namers.folder_of(source.name)
            files = listing.names(usual.storage, folder) if folder else None
            self.is_complete = self.is_complete and files is not None
            for basename in files or ():
                key = state_key(usual.reference, posixpath.join(folder, basename))
                keys[key] = name
        records = access.get_many(keys, fresh=True) if keys else {}
        self.is_complete = self.is_complete and len(records) == len(keys)
        # Another source may have the same folder: "a.png" beside "a.jpg".
        return {key: record for key, record in records.items() if record.source == keys[key]}

    def known(self, keys: Collection[str]) -> Collection[str]:
        """Return those of *keys* that may have a record which `find` has not found."""
        access = get_state_access()
        if not access.store.is_ledger:
            return access.get_many(keys)
        return () if self.is_answered else keys


def records_of(sources: Iterable[SourceReference]) -> list[CacheFileRecord]:
    """Return the records of what was made of *sources*, as far as that is known.

    A state store that is a ledger, as the database table is, is asked by one query. Without one
    the folders that the default namer gives to each source are listed, where the storage can.

    Args:
        sources: What the records have as their source.
    """
    return list(Look().find(list(sources)).values())


def delete(records: Mapping[str, CacheFileRecord]) -> int:
    """Delete the files of *records* by key, and drop these.

    Returns:
        How many cannot be deleted: the log says why.
    """
    gone, left = [], {}
    retired: list[tuple[StoredFile, str, Any]] = []
    usual, access = defaults(), get_state_access()
    there = {key: each for key, each in records.items() if each.status == Status.EXISTS}
    access.put_many({key: record.replaced() for key, record in there.items()})
    for key, record in records.items():
        names = sorted({record.name, record.published_name} - {""})
        if not all(map(namers.is_inside, names)):
            continue
        # Of a file that nothing was known of it is not said yet.
        left[key] = record.replaced()
        with logged(_logger, "%s: %r is left over", record.spec_id, record.name):
            is_default = record.storage == usual.reference
            storage = usual.storage if is_default else resolve_storage(record.storage or "default")
            for name in names:
                storage.delete(name)
            gone.append(key)
            del left[key]
            if record.was_made:
                spec = answer_or(None, generator_registry.lookup, record.spec_id)
                name = record.published_name or record.name
                provider = getattr(spec, "url_provider", None)
                retired.append((StoredFile(name, storage), name, provider))
    access.drop(gone)
    access.put_many(left)
    words = get_active_state_cache() or {}
    for key in records:
        words.pop(key, None)
    retire(retired)
    return len(left)
