"""State in Django's cache."""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from django.core.cache import BaseCache, InvalidCacheBackendError, caches
from django.core.cache.backends.base import default_key_func
from django.utils.connection import ConnectionProxy

from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.state.record import CacheFileRecord
from imagekit_registry.state.store import BaseStateStore

__all__ = ["CacheStateStore"]

T = TypeVar("T")

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


class CacheStateStore(BaseStateStore):
    """Keeps records in one of Django's caches, as text.

    A cache cannot list what it has. To forget all of it, and nothing else that is in the cache, each
    record begins with an edition, which lies in the cache as well: that of another one does not count.

    Args:
        cache: A cache object, such as ``caches['default']``. Threads share it: pass Django's
            ``cache`` or another proxy if its client is not thread-safe.

    Example:
        >>> store = CacheStateStore(caches["default"])
        >>> store.set_many({"a": CacheFileRecord(name="a.jpg", status=Status.EXISTS)})
        >>> store.get_many(["a", "b"])["a"].name
        'a.jpg'
    """

    def __init__(self, cache: BaseCache | ConnectionProxy[BaseCache]) -> None:
        self.cache = cache
        #: What a record begins with that counts, and one that will count: as far as this process knows.
        self._edition = self._next_edition = ""
        self._edition_key = f"{conf.CACHE_PREFIX}state-edition"
        self.has_spaces = getattr(cache, "key_func", default_key_func) is not default_key_func

    @classmethod
    def from_settings(cls) -> CacheStateStore:
        """Return the store in the cache that ``IMAGEKIT_CACHE_BACKEND`` names.

        Raises:
            InvalidConfiguration: ``CACHES`` has no such alias, or one that cannot be used.
        """
        alias = conf.CACHE_BACKEND
        try:
            caches[alias]
        except InvalidCacheBackendError as error:
            raise InvalidConfiguration(
                f"IMAGEKIT_CACHE_BACKEND is {alias!r}: {error} Write one of the aliases in CACHES:"
                f" {', '.join(sorted(map(repr, caches)))}"
            ) from error
        # A proxy, because Django keeps one cache object per thread and some clients depend on it.
        return cls(ConnectionProxy(caches, alias))

    def space(self) -> str:
        """Return what the cache's ``KEY_FUNCTION`` makes of no key at all: a tenant's prefix."""
        return str(self.cache.make_key(""))

    def get_many(self, keys: Iterable[str]) -> dict[str, CacheFileRecord]:
        """Return the records that are there and whole, by key."""
        keys = {*keys, self._edition_key}
        values = _readable(lambda: self.cache.get_many(keys))
        if values is None:
            # One damaged value must not hide all the others.
            values = {key: _readable(partial(self.cache.get, key)) for key in keys}
        edition = self._edition = str(values.pop(self._edition_key, None) or "")
        texts = {key: self._text_of(value, edition) for key, value in values.items()}
        found = {key: CacheFileRecord.decode(text, key) for key, text in texts.items() if text}
        return {key: record for key, record in found.items() if record is not None}

    def _text_of(self, value: object, edition: str) -> str:
        """Return what a record was written as, of what the cache has; empty if that is of another edition."""
        text = value if isinstance(value, str) else ""
        for start in (self._next_edition, edition):
            if start and text.startswith(start):
                return text.removeprefix(start)
        return "" if edition else text

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Forget, at the end of the block, all records but those that are written in it."""
        edition = self._next_edition = f"{secrets.token_hex(8)}:"
        try:
            yield
            self.cache.set(self._edition_key, edition, None)
            self._edition = edition
        finally:
            self._next_edition = ""

    def set_many(self, records: Mapping[str, CacheFileRecord]) -> None:
        """Keep *records*: one call to the cache for each timeout that occurs among them."""
        edition, now, existing = (
            self._next_edition or self._edition,
            time.time(),
            conf.CACHE_TIMEOUT,
        )
        by_timeout: dict[int | None, dict[str, str]] = {}
        for key, record in records.items():
            timeout = record.seconds_kept(now, existing)
            by_timeout.setdefault(timeout, {})[key] = edition + record.encode(key)
        for timeout, values in by_timeout.items():
            self.cache.set_many(values, timeout)

    def delete_many(self, keys: Iterable[str]) -> None:
        """Forget the records of *keys*."""
        self.cache.delete_many(list(keys))


def _readable(read: Callable[[], T]) -> T | None:
    """Return what *read* gives; None if it is damaged."""
    try:
        return read()
    except Exception as error:
        # The class of a damaged serialised value is told by its name: its module is not used here.
        if isinstance(error, _UNREADABLE) or type(error).__name__ == "UnpicklingError":
            return None
        raise
