"""How often storages and the state store are asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any
from unittest.mock import patch

from django.core.files.storage import Storage

from imagekit_registry.state.store import BaseStateStore

#: What goes out to where the files are; `url` and `path` are worked out here.
_STORAGE_CALLS = (
    "delete",
    "exists",
    "get_accessed_time",
    "get_created_time",
    "get_modified_time",
    "listdir",
    "open",
    "save",
    "size",
)
_LONGEST = 160
_STATE_TRIPS = ("by_source", "delete_many", "get_many", "iter_items", "set_many")


@contextmanager
def assert_storage_calls(count: int) -> Iterator[list[str]]:
    """Fail unless the block asks file storages *count* times: sources and images of all storages.

    Args:
        count: Calls of ``open``, ``save``, ``exists``, ``size``, ``delete``, ``listdir`` and the
            times; what a storage calls of its own for one of these is a part of it.

    Yields:
        The calls so far, as texts.

    Raises:
        AssertionError: There are more or fewer; they are listed.

    Example:
        >>> _ = photo.thumbnail.url
        >>> with assert_storage_calls(0):
        ...     _ = photo.thumbnail.url, photo.thumbnail.width
    """
    with _counted("calls of storages", Storage, _STORAGE_CALLS, count) as calls:
        yield calls


@contextmanager
def assert_state_trips(count: int) -> Iterator[list[str]]:
    """Fail unless the block makes *count* round trips to the state store, to read or to write.

    What the process remembers costs none; `forget_state` makes it like one that has just started.

    Args:
        count: Round trips; the store is the cache, or the database table, as the settings say.

    Yields:
        The trips so far, as texts.

    Raises:
        AssertionError: There are more or fewer; they are listed.

    Example:
        >>> with assert_state_trips(1):
        ...     photos = prefetch_images(Photo.objects.all())
    """
    with _counted("trips to the state store", BaseStateStore, _STATE_TRIPS, count) as calls:
        yield calls


@contextmanager
def _counted(what: str, base: type, methods: Sequence[str], count: int) -> Iterator[list[str]]:
    calls: list[str] = []
    inside = threading.local()
    with ExitStack() as patches:
        for cls in _with_subclasses(base):
            for name in vars(cls).keys() & set(methods):
                noted = _noting(vars(cls)[name], name, calls, inside)
                patches.enter_context(patch.object(cls, name, noted))
        yield calls
    if len(calls) != count:
        listed = "".join(f"\n  {call}" for call in calls)
        raise AssertionError(f"{len(calls)} {what}, where {count} are expected.{listed}")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]}...)"


def _with_subclasses(cls: type) -> set[type]:
    return {cls}.union(*map(_with_subclasses, cls.__subclasses__()))


def _noting(
    method: Callable[..., object], name: str, calls: list[str], inside: threading.local
) -> Callable[..., object]:
    @wraps(method)
    def noting(self: object, *args: object, **kwargs: object) -> Any:
        if vars(inside).get("is_counted"):
            return method(self, *args, **kwargs)
        given = ", ".join([*map(repr, args), *(f"{key}={kwargs[key]!r}" for key in kwargs)])
        calls.append(_cut(f"{type(self).__name__}.{name}({given})"))
        inside.is_counted = True
        try:
            return method(self, *args, **kwargs)
        finally:
            inside.is_counted = False

    return noting
