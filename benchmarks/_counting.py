"""A cache and a storage that count what is asked of them, in every contender's process."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.files.storage import FileSystemStorage

__all__ = ["COUNTS", "CountingCache", "CountingStorage", "OwnUrlStorage", "count_opens"]

COUNTS: Counter[str] = Counter()


class CountingCache(LocMemCache):
    """The local memory cache, a round trip for each call."""

    def get(self, *args: Any, **kwargs: Any) -> Any:
        COUNTS["cache"] += 1
        return super().get(*args, **kwargs)

    def set(self, *args: Any, **kwargs: Any) -> Any:
        COUNTS["cache"] += 1
        return super().set(*args, **kwargs)

    def add(self, *args: Any, **kwargs: Any) -> Any:
        COUNTS["cache"] += 1
        return super().add(*args, **kwargs)

    def get_many(self, keys: Any, version: Any = None) -> Any:
        COUNTS["cache"] += 1
        found = {key: LocMemCache.get(self, key, None, version) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    def set_many(self, data: Any, timeout: Any = 300, version: Any = None) -> Any:
        COUNTS["cache"] += 1
        for key, value in data.items():
            LocMemCache.set(self, key, value, timeout, version)
        return []


class CountingStorage(FileSystemStorage):
    """The file system storage; all is counted that touches the disk."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        COUNTS["storage"] += 1
        return super().open(*args, **kwargs)

    def exists(self, name: str) -> bool:
        COUNTS["storage"] += 1
        return super().exists(name)

    def size(self, name: str) -> int:
        COUNTS["storage"] += 1
        return super().size(name)

    def get_modified_time(self, name: str) -> Any:
        COUNTS["storage"] += 1
        return super().get_modified_time(name)


class OwnUrlStorage(CountingStorage):
    """One that makes its URLs itself, as those do that sign them: none can be kept."""

    def url(self, name: str | None) -> str:
        return super().url(name)


def count_opens(root: str) -> None:
    """Count each file under *root* that this process opens, by whatever way."""

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(args[0], str) and args[0].startswith(root):
            COUNTS["opens"] += 1

    sys.addaudithook(hook)
