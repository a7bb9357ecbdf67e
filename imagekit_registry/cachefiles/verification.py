"""Whether the source of a shown image was overwritten behind our back: looked at once in a while."""

from __future__ import annotations

import math
import time

from django.core.files.storage import FileSystemStorage

from imagekit_registry._loading import storage_reference
from imagekit_registry.cachefiles._source_content import is_looked_at, seen
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import answer_or
from imagekit_registry.specs import fingerprint, storage_of
from imagekit_registry.state import CacheFileRecord

__all__ = ["is_older_than_source", "is_overwritten", "next_looks", "note_look", "seen"]

#: Seconds between two looks at a source in a file system, where one costs a `stat`.
_NEAR = 60.0
#: By key and fingerprint, when this process looks at the source of a file again. Tenants may share a
#: key; what is recorded of their sources is not the same.
next_looks: dict[tuple[str, str], float] = {}
_MOST_LOOKS = 10_000


def is_older_than_source(file: CacheFile) -> bool:
    """Return whether an existing file without a record is older than its source.

    The times tell, if one clock has set both: that of the storage in which both lie.
    """
    source, storage = file.spec.source, file.storage
    # One storage may be several objects: `DefaultStorage` and `storages["default"]`.
    other = storage_of(source)
    if other is None or storage_reference(other) != file.identity.storage:
        return False
    if not is_looked_at(source):
        return False
    made, changed = (
        answer_or(None, storage.get_modified_time, name)
        for name in (file.identity.name, source.name)
    )
    return made is not None and changed is not None and changed > made


def note_look(file: CacheFile, record: CacheFileRecord) -> None:
    """Remember that the source of *file* was as *record* says a moment ago.

    It is looked at again as ``IMAGEKIT_VERIFY_SOURCES_EVERY`` says.
    """
    seconds = conf.VERIFY_SOURCES_EVERY
    if seconds is None:
        is_near = isinstance(storage_of(file.spec.source), FileSystemStorage)
        seconds = _NEAR if is_near else 0
    if len(next_looks) >= _MOST_LOOKS:
        next_looks.clear()
    next_looks[file.identity.key, record.fingerprint] = time.monotonic() + (seconds or math.inf)


def is_overwritten(file: CacheFile, record: CacheFileRecord) -> bool:
    """Return whether the source of an existing file was overwritten since it was made.

    A process that has just begun believes the record. If it was, the record says so from then on.

    Args:
        file: The cache file; it is time to look at its source.
        record: Its record.
    """
    is_first = (file.identity.key, record.fingerprint) not in next_looks
    note_look(file, record)
    access = file.cachefile_backend.states
    if is_first or access is None or fingerprint(file.spec.source) in {"", record.fingerprint}:
        return False
    access.put(file.identity.key, record.as_missing())
    return True
