"""All cache files that registered generators and sources call for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from imagekit_registry._loading import get_storage, storage_reference
from imagekit_registry.cachefiles import ImageCacheFile, get_image
from imagekit_registry.cachefiles.existence import fetch
from imagekit_registry.cachefiles.rendering import explained
from imagekit_registry.exceptions import GenerationError, ImageKitError
from imagekit_registry.registry import cachefile_registry, generator_registry, source_group_registry
from imagekit_registry.state import CacheFileRecord, StateAccess, get_state_access

__all__ = [
    "Errors",
    "Inventory",
    "compile_pattern",
    "every_batch",
    "every_record",
    "expected_count",
    "in_chunks",
    "matches",
]

T = TypeVar("T")

#: Files of one batch, more or less: their records are asked for together.
BATCH = 100

#: Ids of specs, and why their files, or one of them, cannot even be named.
Errors = list[tuple[str, ImageKitError]]


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return what matches the ids that *pattern* means.

    Args:
        pattern: An id; ``*`` is any text within a segment, ``**`` any text across segments; what
            lies under a match matches as well.

    Example:
        >>> bool(compile_pattern("shop:*:thumb").match("shop:product:thumb:large"))
        True
    """
    wild = {"*": "[^:]*", "**": ".*"}
    parts = re.split(r"(\*{1,2})", pattern)
    text = "".join(wild.get(part) or re.escape(part) for part in parts)
    return re.compile(f"^{text}(:.*)?$", re.DOTALL)


def matches(spec_id: str, patterns: Iterable[re.Pattern[str]]) -> bool:
    """Return whether one of *patterns* matches an id."""
    return any(pattern.match(spec_id) for pattern in patterns)


def in_chunks(items: Iterable[T], size: int = 200) -> Iterator[list[T]]:
    """Yield *items* in lists of at most *size*."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def every_batch(ids: Iterable[str], errors: Errors) -> Iterator[list[ImageCacheFile]]:
    """Yield the files of these generators; those of one source come in one batch.

    Each source group is gone through once, for all of its generators together. Sources that are
    empty are passed over.

    Args:
        ids: Ids of registered generators.
        errors: Where to write down what goes wrong; the others go on.
    """
    wanted = list(ids)
    groups: dict[int, tuple[Any, list[str]]] = {}
    for group, spec_id in source_group_registry.pairs():
        if spec_id in wanted:
            groups.setdefault(id(group), (group, []))[1].append(spec_id)
    for group, members in groups.values():
        for sources in in_chunks(_listed(group.files, members, errors), -(-BATCH // len(members))):
            yield [
                file
                for source in sources
                for spec_id in members
                if (file := _file(spec_id, errors, source)) is not None
            ]
    for spec_id in wanted:
        registered = partial(cachefile_registry.registered, spec_id)
        for files in in_chunks(_listed(registered, [spec_id], errors), BATCH):
            yield [file for file in files if _file(spec_id, errors, file=file) is not None]


def expected_count(ids: Iterable[str]) -> int | None:
    """Return how many files `every_batch` yields at most; None if somebody does not say."""
    wanted = set(ids)
    if wanted & cachefile_registry.ids():
        return None
    total = 0
    for group, spec_id in source_group_registry.pairs():
        if spec_id in wanted:
            count = getattr(group, "count", None)
            if count is None:
                return None
            total += count()
    return total


def _listed(files: Callable[[], Iterable[T]], ids: Iterable[str], errors: Errors) -> Iterator[T]:
    """Yield what *files* yields, up to an exception of it."""
    try:
        yield from files()
    except Exception as error:  # noqa: BLE001 -- a project's query may fail in any way
        cause = f"its sources cannot be listed ({type(error).__name__}: {error})"
        for spec_id in ids:
            failure = GenerationError(cause, spec_id=spec_id)
            failure.__cause__ = error
            errors.append((spec_id, failure))


def _file(
    spec_id: str, errors: Errors, source: Any = None, file: ImageCacheFile | None = None
) -> ImageCacheFile | None:
    """Return the file of a source, or one that is registered, if it can be named."""
    try:
        file = get_image(spec_id, source=source) if file is None else file
        # Asking for its name builds one that is lazy.
        return file if file.name else None
    except Exception as error:  # noqa: BLE001 -- specs and namers are the project's code
        failure = explained(error, None)
        if isinstance(failure, GenerationError):
            failure.located(spec_id, str(getattr(source, "name", "")) or None)
        errors.append((spec_id, failure))
        return None


def every_record(access: StateAccess) -> Iterator[list[tuple[str, CacheFileRecord]]]:
    """Yield all records of a store with their keys, in lists; none of a store that cannot list."""
    return in_chunks(access.store.iter_items() if access.store.is_ledger else ())


class Inventory:
    """The files that rows and registered lists call for, and their sources.

    Attributes:
        files: The hashes of pairs of a storage's reference and a file's name: millions of them fit
            into memory. Two files of one hash, which is as good as impossible, would both be kept.
        errors: What kept some files from being named. If there are any, a file that is not in the
            inventory may still be called for.
        storages: The storages that cache files lie in, by reference.
        accesses: The ways to the records of the files.
        fed: The ids that have rows, or registered files.
    """

    def __init__(self) -> None:
        self.files: set[int] = set()
        self.errors: Errors = []
        storage = get_storage()
        self.storages = {storage_reference(storage): storage}
        self.accesses = [get_state_access()]
        self.fed = {spec_id for _, spec_id in source_group_registry.pairs()}
        self.fed |= cachefile_registry.ids()

    def __contains__(self, place: tuple[str, str]) -> bool:
        """Return whether (storage reference, name) is called for."""
        return hash(place) in self.files

    def take(self) -> None:
        """Go through all sources of all generators."""
        for batch in every_batch(generator_registry.get_ids(), self.errors):
            for file in batch:
                storage, source = file.storage, file.source
                self.storages.setdefault(self._add(storage, file.name), storage)
                # A cache file may be the source of another spec's.
                self._add(getattr(source, "storage", None), getattr(source, "name", None))
            for file, record in zip(batch, fetch(batch), strict=True):
                access = file.cachefile_backend.states
                if access is not None and access not in self.accesses:
                    self.accesses.append(access)
                # A storage that gives names of its own has published some under other ones.
                if record is not None and record.published_name:
                    self._add(file.storage, record.published_name)

    def _add(self, storage: Any, name: str | None) -> str:
        reference = storage_reference(storage)
        self.files.add(hash((reference, str(name))))
        return reference
