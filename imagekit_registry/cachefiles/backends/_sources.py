"""What the source of a cache file tells about it."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from imagekit_registry.cachefiles.threads import would_keep_waiting
from imagekit_registry.exceptions import GenerationError
from imagekit_registry.specs import fingerprint

__all__ = ["expected_size_of", "source_fingerprint", "source_name"]

_logger = logging.getLogger("imagekit_registry.cachefiles")

_VERY_DIFFERENT_SIZES = ((1, 1), (7, 3000), (5000, 11), (9973, 9967))


def source_name(file: Any) -> str | None:
    """Return the name of the source of *file*; None if it has none."""
    name = getattr(getattr(file, "source", None), "name", None)
    return str(name) if name else None


def source_fingerprint(file: Any) -> str:
    """Return the `fingerprint` of the source of *file*.

    Raises:
        SourceUnavailable: The storage of the source does not answer.
    """
    try:
        return fingerprint(file.source)
    except GenerationError as error:
        raise error.located(file.spec_id, source_name(file)) from error.__cause__


def expected_size_of(file: Any) -> tuple[int, int] | None:
    """Return the size in pixels that *file* will have, by its source; None if that does not tell."""
    expected = getattr(file.generator, "expected_size", None)
    if would_keep_waiting(getattr(file.source, "storage", None)):
        expected = partial(_size_whatever_the_source, file.generator)
    try:
        size: tuple[int, int] | None = expected() if expected is not None else None
    except Exception:
        # Most often it is the source that cannot be read; processors are the project's code.
        _logger.debug("%s: the size of its source is unknown", file.spec_id, exc_info=True)
        return None
    return size


def _size_whatever_the_source(generator: Any) -> tuple[int, int] | None:
    """Return the size that images of a generator have, if it does not depend on the source's."""
    output_size = getattr(generator, "output_size", None)
    if output_size is None:
        return None
    sizes = {output_size(size) for size in _VERY_DIFFERENT_SIZES}
    found: tuple[int, int] | None = sizes.pop()
    return None if sizes else found
