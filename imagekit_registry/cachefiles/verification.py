"""What sources hold: digests for names that say it, and whether one was overwritten behind our back."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING

from django.core.files.storage import FileSystemStorage

from imagekit_registry._breaker import breaker_of
from imagekit_registry._loading import get_cache, storage_reference
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import answer_or
from imagekit_registry.specs import fingerprint, open_source, reading, refer_to, storage_of
from imagekit_registry.state import CacheFileRecord, Status

if TYPE_CHECKING:
    from imagekit_registry.cachefiles.identity import CacheFile

__all__ = [
    "content_digest",
    "forget_content",
    "is_older_than_source",
    "is_overwritten",
    "next_looks",
    "note_looks",
    "seen",
]

#: Seconds between two looks at a source in a file system, where one costs a `stat`.
_NEAR = 60.0
#: By key and fingerprint, when this process looks at the source of a file again. Tenants may share a
#: key; what is recorded of their sources is not the same.
next_looks: dict[tuple[str, str], float] = {}
_MOST_LOOKS = 10_000

_CHUNK_BYTES = 1 << 20
_MOST_KNOWN = 10_000
#: By reference of the source, its digest, and until when this process believes it.
_known: dict[str, tuple[str, float]] = {}


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
    times = (
        answer_or(None, storage.get_modified_time, name)
        for name in (source.name, *file.identity.names)
    )
    # It lies under the first of its names that there is.
    changed, made = next(times), next(filter(None, times), None)
    return made is not None and changed is not None and changed > made


def note_looks(records: Iterable[tuple[CacheFile, CacheFileRecord]]) -> None:
    """Remember that the sources of files were as their records say a moment ago.

    They are looked at again as ``IMAGEKIT_VERIFY_SOURCES_EVERY`` says.
    """
    every, now = conf.VERIFY_SOURCES_EVERY, time.monotonic()
    for file, record in records:
        if record.status != Status.EXISTS or not record.fingerprint:
            continue
        seconds = every
        if seconds is None:
            is_near = isinstance(storage_of(file.spec.source), FileSystemStorage)
            seconds = _NEAR if is_near else 0
        if len(next_looks) >= _MOST_LOOKS:
            next_looks.clear()
        next_looks[file.identity.key, record.fingerprint] = now + (seconds or math.inf)


def is_overwritten(file: CacheFile, record: CacheFileRecord) -> bool:
    """Return whether the source of an existing file was overwritten since it was made.

    A process that has just begun believes the record. If it was, the record says so from then on.

    Args:
        file: The cache file; it is time to look at its source.
        record: Its record.
    """
    is_first = (file.identity.key, record.fingerprint) not in next_looks
    note_looks([(file, record)])
    access = file.cachefile_backend.states
    if is_first or access is None or not record.is_of_former(fingerprint(file.spec.source)):
        return False
    access.put(file.identity.key, record.as_missing())
    return True


# What it holds.


def is_looked_at(source: object) -> bool:
    """Return whether a source is looked at where the state is lost: far away each look is a request."""
    return bool(conf.VERIFY_SOURCES_EVERY) or isinstance(storage_of(source), FileSystemStorage)


def seen(source: object) -> str:
    """Return the fingerprint of the source of a file whose state is lost; empty if nobody looks."""
    return fingerprint(source) if is_looked_at(source) else ""


def content_digest(source: object) -> str:
    """Return the digest of what *source* holds; empty if it cannot be read.

    It is read once. From then on it is believed to hold the same until it is saved anew; where the
    library looks at sources (``IMAGEKIT_VERIFY_SOURCES_EVERY``), until its fingerprint is another one.
    """
    reference = str(refer_to(source))
    digest, due = _known.get(reference, ("", 0.0))
    if not digest or time.monotonic() >= due:
        digest = _kept(reference, source) or answer_or("", _read, reference, source)
        if digest:
            if len(_known) >= _MOST_KNOWN:
                _known.clear()
            # None turns it off.
            _known[reference] = (digest, time.monotonic() + (conf.LOCAL_STATE_TTL or 0))
    return digest


def forget_content(source: object) -> None:
    """Forget what *source* held: something else was saved under its name."""
    reference = str(refer_to(source))
    _known.pop(reference, None)
    _ask_cache("delete", _key(reference))


def _key(reference: str) -> str:
    name = blake2b(reference.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{conf.CACHE_PREFIX}content:{name}"


def _kept(reference: str, source: object) -> str:
    """Return the digest that the cache keeps, if it is of what the source holds now."""
    kept = _ask_cache("get", _key(reference))
    before, _, digest = kept.partition("\n") if isinstance(kept, str) else ("", "", "")
    now = seen(source) if digest else ""
    return digest if not now or now == before else ""


def _read(reference: str, source: object) -> str:
    content = blake2b(digest_size=16)
    with reading(source) as before, open_source(source) as file:
        while chunk := file.read(_CHUNK_BYTES):
            content.update(chunk)
    _ask_cache("set", _key(reference), f"{before}\n{content.hexdigest()}", None)
    return content.hexdigest()


def _ask_cache(method: str, *args: object) -> object:
    breaker = breaker_of(
        "The cache that holds digests of sources", meanwhile="sources are read for their names"
    )
    return breaker.call(partial(getattr(get_cache(), method), *args), None)
