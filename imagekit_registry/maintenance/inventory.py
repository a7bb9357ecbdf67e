"""All cache files that registered generators and sources make, batch by batch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from imagekit_registry.cachefiles.files import ImageCacheFile, get_image
from imagekit_registry.cachefiles.rendering import explained
from imagekit_registry.exceptions import GenerationError, ImageKitError
from imagekit_registry.registry import cachefile_registry, source_group_registry

__all__ = ["BATCH", "OnError", "compile_pattern", "every_batch", "expected_count", "matches"]

#: Files of one batch: their states are asked for together.
BATCH = 100

#: Called with a spec's id and why its files, or one of them, cannot even be named.
OnError = Callable[[str, ImageKitError], None]


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


def matches(id: str, patterns: Iterable[re.Pattern[str]]) -> bool:
    """Return whether one of *patterns* matches *id*."""
    return any(pattern.match(id) for pattern in patterns)


def every_batch(
    ids: Iterable[str], on_error: OnError, size: int = BATCH
) -> Iterator[list[ImageCacheFile]]:
    """Yield the files of these generators; those of one source come in one batch.

    Each source group is gone through once, for all of its generators together. Sources that are
    empty are passed over.

    Args:
        ids: Ids of registered generators.
        on_error: Called with what goes wrong; the others go on.
        size: Number of files in a batch, more or less.
    """
    batch: list[ImageCacheFile] = []
    for files in _by_source(list(ids), on_error):
        batch += files
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch


def expected_count(ids: Iterable[str]) -> int | None:
    """Return how many files `every_batch` yields at most; None if somebody does not say."""
    wanted = set(ids)
    if wanted & cachefile_registry.ids():
        return None
    total = 0
    for group, id in source_group_registry.pairs():
        if id in wanted:
            count = getattr(group, "count", None)
            if count is None:
                return None
            total += count()
    return total


def _by_source(ids: list[str], on_error: OnError) -> Iterator[list[ImageCacheFile]]:
    groups: dict[int, tuple[Any, list[str]]] = {}
    for group, id in source_group_registry.pairs():
        if id in ids:
            groups.setdefault(_identity(group), (group, []))[1].append(id)
    for group, members in groups.values():
        for source in _guarded(group.files, members, on_error):
            made = (_file(id, source, on_error) for id in members)
            yield [file for file in made if file is not None]
    for id in ids:
        for file in _guarded(partial(cachefile_registry.registered, id), [id], on_error):
            named = _named(id, file, on_error)
            yield [file] if named else []


#: The builtin, in a module where ``id`` is a spec's.
_identity = id


def _guarded(
    files: Callable[[], Iterable[Any]], ids: list[str], on_error: OnError
) -> Iterator[Any]:
    """Yield what *files* yields, up to an exception of it."""
    try:
        yield from files()
    except GeneratorExit:
        raise
    except Exception as error:  # noqa: BLE001 -- a project's query may fail in any way
        cause = f"its sources cannot be listed ({type(error).__name__}: {error})"
        for spec_id in ids:
            failure = GenerationError(cause, spec_id=spec_id)
            failure.__cause__ = error
            on_error(spec_id, failure)


def _file(id: str, source: Any, on_error: OnError) -> ImageCacheFile | None:
    try:
        file = get_image(id, source=source)
    except Exception as error:  # noqa: BLE001 -- specs and namers are the project's code
        failure = explained(error, None)
        if isinstance(failure, GenerationError):
            failure.located(id, str(getattr(source, "name", "")) or None)
        on_error(id, failure)
        return None
    return file if file.name else None


def _named(id: str, file: Any, on_error: OnError) -> bool:
    """Return whether a registered file, which may be lazy, can be built and has a source."""
    try:
        return bool(file.name)
    except Exception as error:  # noqa: BLE001 -- as above
        failure = explained(error, None)
        if isinstance(failure, GenerationError):
            failure.located(id, None)
        on_error(id, failure)
        return False
