"""The one way to the state records, for each store."""

from __future__ import annotations

from functools import lru_cache

from django.core.signals import setting_changed
from django.dispatch import receiver

from imagekit_registry.cachefiles._layers import StateAccess
from imagekit_registry.cachefiles.stores import DatabaseStateStore, get_state_store

__all__ = ["get_database_access", "get_state_access"]


@lru_cache(maxsize=1)
def get_state_access() -> StateAccess:
    """Return the way to the store that ``IMAGEKIT_STATE_STORE`` names."""
    return StateAccess(get_state_store())


@lru_cache(maxsize=1)
def get_database_access() -> StateAccess:
    """Return the way to the database table, whatever store the settings name."""
    return StateAccess(DatabaseStateStore())


@receiver(setting_changed, dispatch_uid="imagekit_registry.access")
def _forget_access(*, setting: str, **_: object) -> None:
    """Drop what was built, so that ``override_settings`` works."""
    if setting.startswith("IMAGEKIT_") or setting in {"CACHES", "DATABASES", "STORAGES"}:
        get_state_access.cache_clear()
        get_database_access.cache_clear()
