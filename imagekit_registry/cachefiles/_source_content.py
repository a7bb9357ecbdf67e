"""Digests of what sources hold, for names that say it: kept in the cache, with the fingerprint."""

from __future__ import annotations

import time
from functools import partial
from hashlib import blake2b
from typing import Any

from django.core.files.storage import FileSystemStorage

from imagekit_registry._breaker import breaker_of
from imagekit_registry._loading import get_cache
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import answer_or
from imagekit_registry.specs import fingerprint, open_source, reading, refer_to, storage_of

_CHUNK_BYTES = 1 << 20
_MOST_KNOWN = 10_000
#: By reference of the source, its digest, and until when this process believes it.
_known: dict[str, tuple[str, float]] = {}


def is_looked_at(source: object) -> bool:
    """Return whether a source is looked at where the state is lost: far away each look is a request."""
    return bool(conf.VERIFY_SOURCES_EVERY) or isinstance(storage_of(source), FileSystemStorage)


def seen(source: object) -> str:
    """Return the fingerprint of the source of a file whose state is lost; empty if nobody looks."""
    return fingerprint(source) if is_looked_at(source) else ""


def content_digest(source: Any) -> str:
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
            _known[reference] = (digest, time.monotonic() + conf.LOCAL_STATE_TTL)
    return digest


def forget_content(source: Any) -> None:
    """Forget what *source* held: something else was saved under its name."""
    reference = str(refer_to(source))
    _known.pop(reference, None)
    _ask_cache("delete", _key(reference))


def _key(reference: str) -> str:
    name = blake2b(reference.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{conf.CACHE_PREFIX}content:{name}"


def _kept(reference: str, source: Any) -> str:
    """Return the digest that the cache keeps, if it is of what the source holds now."""
    kept = _ask_cache("get", _key(reference))
    before, _, digest = kept.partition("\n") if isinstance(kept, str) else ("", "", "")
    now = seen(source) if digest else ""
    return digest if not now or now == before else ""


def _read(reference: str, source: Any) -> str:
    content = blake2b(digest_size=16)
    with reading(source) as before, open_source(source) as file:
        while chunk := file.read(_CHUNK_BYTES):
            content.update(chunk)
    _ask_cache("set", _key(reference), f"{before}\n{content.hexdigest()}", None)
    return content.hexdigest()


def _ask_cache(method: str, *args: Any) -> Any:
    breaker = breaker_of(
        "The cache that holds digests of sources", meanwhile="sources are read for their names"
    )
    return breaker.call(partial(getattr(get_cache(), method), *args), None)
