"""What was made of a source, whoever asked for it: what template tags made is bound to no spec."""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from django.core.files.storage import FileSystemStorage

from imagekit_registry._loading import get_by_qname, get_storage, resolve_storage
from imagekit_registry._storage_calls import ask
from imagekit_registry.cachefiles import namers
from imagekit_registry.cachefiles.backends import Simple
from imagekit_registry.cachefiles.listing import Listing
from imagekit_registry.cachefiles.namers import is_inside
from imagekit_registry.conf import conf
from imagekit_registry.specs import SourceReference
from imagekit_registry.state import CacheFileRecord, get_state_access

__all__ = ["made_of", "reference_of", "remove"]

_logger = logging.getLogger("imagekit_registry.cachefiles")


def made_of(sources: Iterable[SourceReference]) -> list[CacheFileRecord]:
    """Return the records of what was made of *sources*, as far as that is known.

    A state store that is a ledger, as the database table is, is asked by one query. Without one
    the folders that the default namer gives to each source are listed, on file systems.

    Args:
        sources: What the records have as their source.
    """
    references = list(sources)
    access = get_state_access()
    known = access.by_source([str(reference) for reference in references])
    return known if known is not None else list(_listed(references))


def _listed(references: Iterable[SourceReference]) -> Iterator[CacheFileRecord]:
    storage = get_storage()
    namer = get_by_qname(conf.SPEC_CACHEFILE_NAMER, "namer")
    if namer is not namers.source_name_as_path or not isinstance(storage, FileSystemStorage):
        return
    listing = Listing()
    keys: dict[str, str] = {}
    for reference in references:
        folder = namers.folder_of(reference.name)
        for basename in listing.names(storage, folder) or () if folder else ():
            keys[_key(storage, posixpath.join(folder, basename))] = str(reference)
    # Another source may have the same folder: "a.png" beside "a.jpg".
    records = get_state_access().get_many(keys, fresh=True)
    yield from (record for key, record in records.items() if record.source == keys[key])


def reference_of(record: CacheFileRecord) -> SourceReference:
    """Return how the file of *record* is written down as the source of others."""
    return SourceReference(record.name, record.storage)


def remove(record: CacheFileRecord) -> None:
    """Remove the file of *record*, and what is known of it; what cannot be is logged."""
    names = sorted({record.name, record.published_name} - {""})
    if not all(map(is_inside, names)):
        return
    try:
        storage = resolve_storage(record.storage or "default")
        for name in names:
            _delete(storage, name, record)
    except Exception as error:  # noqa: BLE001 -- storages raise what they like
        _logger.warning("%s: %r is left over: %s", record.spec_id, record.name, error)
        return
    _forget(storage, record)


def _delete(storage: Any, name: str, record: CacheFileRecord) -> None:
    ask(
        storage,
        lambda: storage.delete(name),
        name=name,
        changes=True,
        late=lambda _: _forget(storage, record),
    )


def _forget(storage: Any, record: CacheFileRecord) -> None:
    get_state_access().drop([_key(storage, record.name)])


def _key(storage: Any, name: str) -> str:
    file = SimpleNamespace(name=name, storage=storage)
    return Simple().get_key(file)
