"""Calls of storages, made here and now."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, TypeVar

from django.core.files.storage import Storage

T = TypeVar("T")


class StorageTimeout(TimeoutError):
    """A storage has not answered in time. Nothing raises it."""

    hint = "Check that the storage can be reached."


def ask(
    storage: object,
    call: Callable[[], T],
    *,
    name: str = "",
    changes: bool = False,
    late: Callable[[T | None], object] | None = None,
) -> T:
    """Return what *call* returns; the other arguments have no effect."""
    return call()


def ask_for_url(storage: object, give: Callable[..., str], *args: str) -> str:
    """Return the URL that ``give(*args)`` returns."""
    return give(*args)


def open_stored(storage: Storage, name: str) -> IO[bytes]:
    """Open a stored file for reading."""
    return storage.open(name, "rb")


open_watched = open_stored
