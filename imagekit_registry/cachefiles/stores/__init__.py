"""Where the state of cache files is kept: Django's cache, a database table, or a store of yours."""

from __future__ import annotations

from imagekit_registry.cachefiles.stores._base import StateStore
from imagekit_registry.cachefiles.stores._cache import CacheStateStore
from imagekit_registry.cachefiles.stores._database import DatabaseStateStore
from imagekit_registry.cachefiles.stores._load import get_state_store

__all__ = ["CacheStateStore", "DatabaseStateStore", "StateStore", "get_state_store"]
