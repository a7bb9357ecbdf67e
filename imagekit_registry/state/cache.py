"""State in Django's cache."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from imagekit_registry.conf import conf
from imagekit_registry.state.record import CacheFileRecord, Status

__all__ = ["CacheStateStore"]

#: What a cache raises when it cannot read a value back, as opposed to not reaching its server.
_UNREADABLE = (
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    TypeError,
    ValueError,
    zlib.error,
)


class _Cache(Protocol):
    """The part of Django's cache API that is used here."""

    def get(self, key: str) -> Any: ...

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]: ...

    def set_many(self, data: dict[str, Any], timeout: float | None) -> Any: ...

    def delete_many(self, keys: list[str]) -> Any: ...


class CacheStateStore:
    """Keeps records in one of Django's caches, as text.

    Args:
        cache: A cache object, such as ``caches['default']``. Threads share it: pass Django's
            ``cache`` or another proxy if its client is not thread-safe.

    Example:
        >>> store = CacheStateStore(caches["default"])
        >>> store.set_many({"a": CacheFileRecord(name="a.jpg", status=Status.EXISTS)})
        >>> store.get_many(["a", "b"])["a"].name
        'a.jpg'
    """

    def __init__(self, cache: _Cache) -> None:
        self.cache = cache

    def get_many(self, keys: Iterable[str]) -> dict[str, CacheFileRecord]:
        """Return the records that are there and whole, by key."""
        keys = set(keys)
        try:
            values = self.cache.get_many(keys)
        except Exception as error:
            if not _is_unreadable(error):
                raise
            values = self._get_readable(keys)
        decode = CacheFileRecord.decode
        decoded = ((key, decode(value)) for key, value in values.items())
        return {key: record for key, record in decoded if record is not None}

    def set_many(self, records: Mapping[str, CacheFileRecord]) -> None:
        """Keep *records*: one call to the cache for each timeout that occurs among them."""
        now = time.time()
        by_timeout: dict[float | None, dict[str, str]] = {}
        for key, record in records.items():
            timeout = _timeout(record, now)
            by_timeout.setdefault(timeout, {})[key] = record.encode()
        for timeout, values in by_timeout.items():
            self.cache.set_many(values, timeout)

    def delete_many(self, keys: Iterable[str]) -> None:
        """Forget the records of *keys*."""
        self.cache.delete_many(list(keys))

    def _get_readable(self, keys: Iterable[str]) -> dict[str, Any]:
        """Ask for one key after the other: one damaged value must not hide all the others."""
        values: dict[str, Any] = {}
        for key in keys:
            try:
                values[key] = self.cache.get(key)
            except Exception as error:
                if not _is_unreadable(error):
                    raise
        return values


def _is_unreadable(error: Exception) -> bool:
    # The class of a damaged serialised value is told by its name: its module is not used here.
    return isinstance(error, _UNREADABLE) or type(error).__name__ == "UnpicklingError"


def _timeout(record: CacheFileRecord, now: float) -> float | None:
    """Return for how long the cache keeps *record*, in whole seconds; None: for ever.

    A failure is kept for longer than it is believed, or each new one would be counted as the
    first, and the back-off would never grow. So is what tells that a file that is there was made of
    an earlier image: it would pass for the present one as soon as that is forgotten.
    """
    if record.status == Status.EXISTS:
        return conf.CACHE_TIMEOUT
    left = 0.0 if record.retry_at is None else record.retry_at - now
    if record.status == Status.FAILED or record.fingerprint:
        left = max(left, 0.0) + conf.RETRY_AFTER_MAX
    return max(math.ceil(left), 1)
