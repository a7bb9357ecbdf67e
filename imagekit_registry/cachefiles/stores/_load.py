"""The state store that the settings ask for."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.core.cache import InvalidCacheBackendError, caches
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.connection import ConnectionProxy

from imagekit_registry._loading import get_by_qname
from imagekit_registry.cachefiles.stores._base import StateStore
from imagekit_registry.cachefiles.stores._cache import CacheStateStore
from imagekit_registry.cachefiles.stores._database import DatabaseStateStore
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidConfiguration

__all__ = ["get_state_store"]

#: The settings that decide which store is built.
_SETTINGS = frozenset(["CACHES", "IMAGEKIT_CACHE_BACKEND", "IMAGEKIT_STATE_STORE"])


@cache
def get_state_store() -> StateStore:
    """Return the store that ``IMAGEKIT_STATE_STORE`` names: always the same, built on first use.

    Raises:
        InvalidConfiguration: The setting, or ``IMAGEKIT_CACHE_BACKEND``, names nothing that can
            be used as a store.
    """
    wanted: object = conf.STATE_STORE
    if wanted == "cache":
        return _cache_store()
    if wanted == "database":
        return DatabaseStateStore()
    if isinstance(wanted, str) and "." in wanted:
        return _imported_store(wanted)
    raise InvalidConfiguration(
        f"IMAGEKIT_STATE_STORE is {wanted!r}: write 'cache', 'database' or the dotted path of a"
        " class with get_many, set_many and delete_many"
    )


def _cache_store() -> CacheStateStore:
    alias = conf.CACHE_BACKEND
    try:
        caches[alias]
    except InvalidCacheBackendError as error:
        raise InvalidConfiguration(
            f"IMAGEKIT_CACHE_BACKEND is {alias!r}: {error} Write one of the aliases in CACHES:"
            f" {', '.join(sorted(map(repr, caches)))}"
        ) from error
    # A proxy, because Django keeps one cache object per thread and some clients depend on it.
    return CacheStateStore(ConnectionProxy(caches, alias))


def _imported_store(path: str) -> StateStore:
    found: Any = get_by_qname(path, "state store (IMAGEKIT_STATE_STORE)")
    is_factory = isinstance(found, type) or not isinstance(found, StateStore)
    store = found() if is_factory and callable(found) else found
    if isinstance(store, StateStore):
        return store
    raise InvalidConfiguration(
        f"IMAGEKIT_STATE_STORE is {path!r}, which gives {store!r}: a store has the methods"
        " get_many, set_many and delete_many"
    )


@receiver(setting_changed, dispatch_uid="imagekit_registry.stores")
def _forget_store(*, setting: str, **_: object) -> None:
    """Drop the built store, so that ``override_settings`` works."""
    if setting in _SETTINGS:
        get_state_store.cache_clear()
