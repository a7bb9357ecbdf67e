"""Width and height of cache files, in pixels: by their records, else by a header."""

from __future__ import annotations

import logging
from typing import Required, TypedDict

from imagekit_registry import imaging
from imagekit_registry.cachefiles.existence import (
    complete,
    fetch,
    invalidate,
    is_of_other_recipe,
    known,
    look_up,
    new_record,
)
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.cachefiles.threads import would_keep_waiting
from imagekit_registry.exceptions import answer_or, logged
from imagekit_registry.specs import BaseImageSpec, default_limits, storage_of
from imagekit_registry.state import CacheFileRecord, Status

__all__ = [
    "dimensions",
    "expected_size",
    "fixed_size",
    "note_size",
    "recorded_size",
    "size_to_come",
]

_logger = logging.getLogger("imagekit_registry.cachefiles")

#: Sizes of sources so different that only a fixed size is the same for all of them.
_VERY_DIFFERENT_SIZES = ((1, 1), (7, 3000), (5000, 11), (9973, 9967))


def dimensions(file: CacheFile) -> tuple[int | None, int | None]:
    """Return width and height in pixels; as they will be, if *file* does not exist yet.

    Raises:
        GenerationError: No storage says whether there is an image, or how large it is.
    """
    record = known(file)
    if record is None:
        if would_keep_waiting(file.storage):
            return expected_size(file) or (None, None)
        (record,) = look_up([file], ask_storage=True)
    if record is None or record.width is None or record.height is None:
        told = _measure(file, record)
        if told is None:
            return None, None
        if record is not None:
            complete(file, record, **told)
        return told["width"], told["height"]
    # 0 says that the source of an image that failed does not tell.
    return record.width or None, record.height or None


class _Measures(TypedDict, total=False):
    width: Required[int]
    height: Required[int]
    size: int | None


def _measure(file: CacheFile, record: CacheFileRecord | None) -> _Measures | None:
    """Return the measures of what is stored, or of the image that is yet to be made."""
    if record is not None and record.status != Status.EXISTS:
        expected = expected_size(file)
        return expected and {"width": expected[0], "height": expected[1]}
    if would_keep_waiting(file.storage):
        return None
    limits = default_limits()
    name = (record.published_name if record is not None else "") or file.identity.name
    with logged(_logger, "%s: %r cannot be measured", file.identity.spec_id, name):
        try:
            with file.storage.open(name, "rb") as stored:
                header = imaging.read_header(stored, limits, imaging.Deadline(limits.max_seconds))
                size = answer_or(None, lambda: int(stored.size))
        except FileNotFoundError:
            invalidate(file)
        else:
            return {"width": header.width, "height": header.height, "size": size}
    return None


def expected_size(file: CacheFile) -> tuple[int, int] | None:
    """Return the size in pixels that *file* will have, by its source; None if that does not tell."""
    # Most often it is the source that cannot be read; making the image says so.
    return answer_or(None, _calculated_size, file.spec)


def fixed_size(spec: BaseImageSpec) -> tuple[int, int] | None:
    """Return the size in pixels of the images of *spec*; None if it hangs on their sources."""
    sizes = {answer_or(None, spec.output_size, size) for size in _VERY_DIFFERENT_SIZES}
    return sizes.pop() if len(sizes) == 1 else None


def size_to_come(file: CacheFile) -> tuple[int | None, int | None]:
    """Return the size in pixels that a file will have which is not known to exist.

    Its storage is not asked, and the source once: a record keeps the size, and says nothing else.
    """
    size = recorded_size(file)
    if size is None:
        size = expected_size(file)
        if size is None and would_keep_waiting(storage_of(file.spec.source)):
            return None, None
        size = size or (0, 0)
        note_size(file, size)
    return size[0] or None, size[1] or None


def recorded_size(file: CacheFile) -> tuple[int, int] | None:
    """Return the size in pixels by the record, whatever else that says; None if it says none.

    Zeros say that the source does not tell, and need not be asked again.
    """
    (record,) = fetch([file])
    if record is None or record.width is None or is_of_other_recipe(file.identity, record):
        return None
    return record.width, record.height or 0


def note_size(file: CacheFile, size: tuple[int, int]) -> None:
    """Write down the size in pixels of a file that is yet to be made; zeros as in `recorded_size`."""
    (record,) = fetch([file])
    if record is None or not is_of_other_recipe(file.identity, record):
        before = record or new_record(file, Status.MISSING)
        complete(file, before, width=size[0], height=size[1])


def _calculated_size(spec: BaseImageSpec) -> tuple[int, int] | None:
    return fixed_size(spec) if would_keep_waiting(storage_of(spec.source)) else spec.expected_size()
