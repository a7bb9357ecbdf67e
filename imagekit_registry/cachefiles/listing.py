"""What lies in a storage, asked by the folder instead of by the file."""

from __future__ import annotations

import posixpath
from array import array
from bisect import bisect_left
from collections import OrderedDict, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Set
from concurrent.futures import Executor
from functools import partial

import attrs
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import Storage

from imagekit_registry.cachefiles.identity import CacheFile

__all__ = ["Entry", "Hashes", "Listing", "names_in", "walk"]

#: Names that a listing keeps in memory for `names`, over all folders: some 100 MB in the worst case.
MAX_NAMES = 500_000
#: Sorted parts of a set of hashes: so many that to insert one among ten million moves 40 KB on the average.
PARTS = 1_024
#: Folders inside each other that a walk enters; a link that leads back would have no end.
MAX_DEPTH = 100

#: A storage by its id, which is its own only while it lives, and a folder in it.
_Place = tuple[int, str]


class Hashes:
    """A set of names, or of whatever has a hash, in 9 bytes each: millions fit into memory.

    What is kept are hashes. Two names of one hash, which is as good as impossible, count as one.

    Args:
        items: What it holds from the beginning.

    Example:
        >>> seen = Hashes(["a.jpg"])
        >>> seen.add("b.jpg")
        >>> "a.jpg" in seen, "b.jpg" in seen, "c.jpg" in seen
        (True, True, False)
    """

    def __init__(self, items: Iterable[Hashable] = ()) -> None:
        self._parts: defaultdict[int, array[int]] = defaultdict(partial(array, "q"))
        for item in items:
            self.add(item)

    def _find(self, item: Hashable) -> tuple[array[int], int, int]:
        """Return the part that *item* belongs to, its place there, and its hash."""
        wanted = hash(item)
        part = self._parts[wanted % PARTS]
        return part, bisect_left(part, wanted), wanted

    def __contains__(self, item: Hashable) -> bool:
        part, place, wanted = self._find(item)
        return place < len(part) and part[place] == wanted

    def __len__(self) -> int:
        return sum(map(len, self._parts.values()))

    def add(self, item: Hashable) -> None:
        """Add *item*, unless it is there."""
        part, place, wanted = self._find(item)
        if place == len(part) or part[place] != wanted:
            part.insert(place, wanted)


class Listing:
    """Answers whether files exist from listings of their folders.

    In whatever order files are asked for, each folder is listed once for `has`, and once more for
    `names` unless very many names were asked for meanwhile. Answers are as old as the listing: of
    what is made meanwhile it must be told.

    Example:
        >>> listing = Listing()
        >>> listing.has(default_storage, "photos/a.jpg"), listing.has(default_storage, "photos/b")
        (True, False)
    """

    def __init__(self) -> None:
        #: By their ids, which are their own only while they live.
        self._storages: dict[int, Storage] = {}
        #: What was listed, what could not be, and the files in it. Many sources have a folder each.
        self._folders, self._unlistable, self._files = Hashes(), Hashes(), Hashes()
        self._names: OrderedDict[_Place, tuple[Storage, Set[str] | None]] = OrderedDict()
        self._count = 0

    def has(self, storage: Storage, name: str) -> bool:
        """Return whether *storage* has a file called *name*.

        A storage that cannot list is asked for the file itself; it may raise anything.
        """
        is_listed = self.lists(storage, name)
        return bool(storage.exists(name)) if is_listed is None else is_listed

    def lists(self, storage: Storage, name: str) -> bool | None:
        """Return whether *storage* has a file called *name*; None if it cannot list."""
        folder, basename = posixpath.split(name)
        place = (id(storage), folder)
        if place not in self._folders:
            self._note(storage, folder, names_in(storage, folder))
        return None if place in self._unlistable else (*place, basename) in self._files

    def prepare(self, files: Iterable[CacheFile], executor: Executor) -> None:
        """List the folders of *files* that will be asked for, by all threads of *executor* together."""
        asked = {
            (id(file.storage), posixpath.dirname(file.identity.name)): file.storage
            for file in files
            if file.cachefile_backend.asks_storage
        }
        places = [(asked[place], place[1]) for place in asked if place not in self._folders]
        if places:
            listed = executor.map(names_in, *zip(*places, strict=True))
            for (storage, folder), names in zip(places, listed, strict=True):
                self._note(storage, folder, names)

    def has_any(self, storage: Storage, names: Iterable[str]) -> bool:
        """Return whether *storage* has a file of one of *names*; see `has`."""
        return any(self.has(storage, name) for name in names)

    def add(self, storage: Storage, name: str) -> None:
        """Take note that *storage* has a file called *name* now."""
        folder, basename = posixpath.split(name)
        if (id(storage), folder) in self._folders:
            self._files.add((id(storage), folder, basename))

    def _note(self, storage: Storage, folder: str, names: Set[str] | None) -> None:
        place = (id(storage), folder)
        self._storages[place[0]] = storage
        self._folders.add(place)
        if names is None:
            self._unlistable.add(place)
        for name in names or ():
            self._files.add((*place, name))

    def names(self, storage: Storage, folder: str) -> Set[str] | None:
        """Return the base names of the files in *folder*; None if the storage cannot list."""
        place = (id(storage), folder)
        if place in self._names:
            self._names.move_to_end(place)
            return self._names[place][1]
        names = names_in(storage, folder)
        self._names[place] = (storage, names)
        self._count += 1 + len(names or ())
        while self._count > MAX_NAMES and len(self._names) > 1:
            _, (_, dropped) = self._names.popitem(last=False)
            self._count -= 1 + len(dropped or ())
        return names


def names_in(storage: Storage, folder: str) -> set[str] | None:
    """Return the names of the files in *folder*; None if the storage cannot list."""
    try:
        return set(storage.listdir(folder)[1])
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except ImproperlyConfigured:
        # Static files without STATIC_ROOT, for one: a storage that has no place holds nothing.
        return set()
    except Exception:  # noqa: BLE001 -- storages raise what they like
        return None


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


def walk(storage: Storage, folder: str, depth: int = 0) -> Iterator[Entry]:
    """Yield *folder* and all folders below it, each before what is in it, in the order of their names."""
    try:
        folders, files = storage.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    except Exception as error:  # noqa: BLE001 -- storages raise what they like
        yield Entry(folder, error=error)
        return
    yield Entry(folder, tuple(sorted(files)))
    if depth < MAX_DEPTH:
        for name in sorted(filter(None, folders)):
            yield from walk(storage, posixpath.join(folder, name), depth + 1)
