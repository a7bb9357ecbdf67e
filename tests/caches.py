"""Caches that tell what was asked of them."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from django.core.cache.backends.locmem import LocMemCache


class CountingCache(LocMemCache):
    """A cache that counts round trips, by method, over all its instances."""

    calls: ClassVar[Counter[str]] = Counter()

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """Count, and get."""
        self.calls["get"] += 1
        return super().get(*args, **kwargs)

    def set(self, *args: Any, **kwargs: Any) -> Any:
        """Count, and set."""
        self.calls["set"] += 1
        return super().set(*args, **kwargs)

    def add(self, *args: Any, **kwargs: Any) -> Any:
        """Count, and add."""
        self.calls["add"] += 1
        return super().add(*args, **kwargs)

    def get_many(self, keys: Any, version: Any = None) -> Any:
        """Count one round trip, as a cache server would see it."""
        self.calls["get_many"] += 1
        return {
            key: value
            for key in keys
            if (value := LocMemCache.get(self, key, None, version)) is not None
        }

    def set_many(self, data: Any, timeout: Any = 300, version: Any = None) -> Any:
        """Count one round trip, as a cache server would see it."""
        self.calls["set_many"] += 1
        for key, value in data.items():
            LocMemCache.set(self, key, value, timeout, version)
        return []
