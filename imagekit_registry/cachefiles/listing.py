"""What lies in a storage, asked by the folder instead of by the file."""

from __future__ import annotations

import posixpath
from collections import OrderedDict
from collections.abc import Iterator, Set
from typing import Any

import attrs
from django.core.exceptions import ImproperlyConfigured

from imagekit_registry.exceptions import answer_or

__all__ = ["Entry", "Listing", "walk"]

#: Names that a listing keeps in memory, over all folders: some 100 MB in the worst case.
MAX_NAMES = 500_000
#: Folders inside each other that a walk enters; a link that leads back would have no end.
MAX_DEPTH = 100


class Listing:
    """Answers whether files exist from listings of their folders, each asked for once.

    Answers are as old as the listing: of what is made meanwhile it must be told.

    Example:
        >>> listing = Listing()
        >>> listing.has(default_storage, "photos/a.jpg"), listing.has(default_storage, "photos/b")
        (True, False)
    """

    def __init__(self) -> None:
        self._folders: OrderedDict[tuple[int, str], tuple[Any, set[str] | None]] = OrderedDict()
        self._count = 0

    def has(self, storage: Any, name: str) -> bool:
        """Return whether *storage* has a file called *name*.

        A storage that cannot list is asked for the file itself; it may raise anything.
        """
        folder, basename = posixpath.split(name)
        names = self.names(storage, folder)
        return basename in names if names is not None else bool(storage.exists(name))

    def add(self, storage: Any, name: str) -> None:
        """Take note that *storage* has a file called *name* now."""
        folder, basename = posixpath.split(name)
        known = self._folders.get((id(storage), folder))
        if known is not None and known[1] is not None and basename not in known[1]:
            known[1].add(basename)
            self._count += 1

    def names(self, storage: Any, folder: str) -> Set[str] | None:
        """Return the base names of the files in *folder*; None if the storage cannot list."""
        key = (id(storage), folder)
        if key in self._folders:
            self._folders.move_to_end(key)
            return self._folders[key][1]
        # Storages raise what they like where they cannot list.
        names = answer_or(None, _list, storage, folder)
        # The storage is kept as well: its id is its own only while it lives.
        self._folders[key] = (storage, names)
        self._count += 1 + len(names or ())
        while self._count > MAX_NAMES and len(self._folders) > 1:
            _, (_, dropped) = self._folders.popitem(last=False)
            self._count -= 1 + len(dropped or ())
        return names


def _list(storage: Any, folder: str) -> set[str]:
    """Return the names of the files in *folder*."""
    try:
        return set(storage.listdir(folder)[1])
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except ImproperlyConfigured:
        # Static files without STATIC_ROOT, for one: a storage that has no place holds nothing.
        return set()


@attrs.frozen
class Entry:
    """A folder that a walk has come to.

    Args:
        folder: Its name in the storage.
        files: The base names of the files in it, sorted.
        error: Why it cannot be listed; None if it can.
    """

    folder: str
    files: tuple[str, ...] = ()
    error: Exception | None = None


def walk(storage: Any, folder: str) -> Iterator[Entry]:
    """Yield *folder* and all folders below it, in the order of their names."""
    waiting = [(folder, 0)]
    while waiting:
        current, depth = waiting.pop()
        try:
            folders, files = storage.listdir(current)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except Exception as error:  # noqa: BLE001 -- storages raise what they like
            yield Entry(current, error=error)
            continue
        yield Entry(current, tuple(sorted(files)))
        if depth < MAX_DEPTH:
            inner = sorted((name for name in folders if name), reverse=True)
            waiting.extend((posixpath.join(current, name), depth + 1) for name in inner)
