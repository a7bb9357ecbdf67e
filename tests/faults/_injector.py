"""Storages, caches and databases that count their calls, one of which fails."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, NamedTuple

from django.core.cache.backends.filebased import FileBasedCache
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import OperationalError, connection


class Point(NamedTuple):
    """A call of a way, and how it fails."""

    number: int
    failure: str


class Injector:
    """Counts calls, and lets one of them fail."""

    calls: ClassVar[list[tuple[str, bool]]] = []
    at: ClassVar[Point | None] = None
    is_armed: ClassVar[bool] = False

    @classmethod
    @contextlib.contextmanager
    def armed(cls, at: Point | None) -> Iterator[None]:
        """Count calls in the block, and let that of *at* fail."""
        cls.calls, cls.at, cls.is_armed = [], at, True
        try:
            with connection.execute_wrapper(cls.execute):
                yield
        finally:
            cls.is_armed = False

    @classmethod
    def call(
        cls,
        what: str,
        operation: Callable[[], Any],
        error: type[Exception],
        half: Callable[[], Any] | None = None,
    ) -> Any:
        """Call *operation*, unless it is its turn to fail; *half* is what is done of it then."""
        if not cls.is_armed:
            return operation()
        cls.calls.append((what, half is not None))
        if cls.at is None or len(cls.calls) - 1 != cls.at.number:
            # What it calls in turn is part of it.
            cls.is_armed = False
            try:
                return operation()
            finally:
                cls.is_armed = True
        cls.is_armed = False
        if cls.at.failure.startswith("half") and half is not None:
            half()
        if cls.at.failure.endswith("killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        cls.is_armed = True
        raise error(f"{what} fails on purpose")

    @classmethod
    def execute(cls, execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        """Count a query; Django's own wrapper of queries calls this."""
        if sql.startswith("BEGIN"):
            # A query of its own in some versions of Django, and none in others.
            return execute(sql, params, many, context)
        return cls.call(
            sql.split('"')[0] + sql.partition('"')[2].partition('"')[0],
            lambda: execute(sql, params, many, context),
            OperationalError,
        )


def _counted(name: str, error: type[Exception], kind: type, half: Any = None) -> Any:
    method = getattr(kind, name)

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return Injector.call(
            f"{kind.__name__}.{name}",
            lambda: method(self, *args, **kwargs),
            error,
            half and (lambda: half(self, *args, **kwargs)),
        )

    return call


def _half_a_file(storage: Any, name: str, content: Any, **_: Any) -> None:
    data = content.read()
    FileSystemStorage.save(storage, name, ContentFile(data[: len(data) // 2]))


def _half_the_entries(cache: Any, data: dict[str, Any], *args: Any, **kwargs: Any) -> None:
    FileBasedCache.set_many(cache, dict(list(data.items())[: len(data) // 2]), *args, **kwargs)


def _half_the_keys(cache: Any, keys: Iterable[str], *args: Any, **kwargs: Any) -> None:
    keys = list(keys)
    FileBasedCache.delete_many(cache, keys[: len(keys) // 2], *args, **kwargs)


_STORAGE = {"save": _half_a_file} | dict.fromkeys(
    ("open", "exists", "delete", "size", "url", "listdir", "get_modified_time")
)
_CACHE = {"set_many": _half_the_entries, "delete_many": _half_the_keys} | dict.fromkeys(
    ("get", "set", "add", "touch", "delete", "get_many")
)
#: The storage of sources and images, and the cache of state and locks.
FailingStorage = type(
    "FailingStorage",
    (FileSystemStorage,),
    {name: _counted(name, OSError, FileSystemStorage, half) for name, half in _STORAGE.items()},
)
FailingCache = type(
    "FailingCache",
    (FileBasedCache,),
    {name: _counted(name, ConnectionError, FileBasedCache, half) for name, half in _CACHE.items()},
)
