"""Whether a record still says something about a cache file."""

from __future__ import annotations

import time
from typing import Any

from imagekit_registry.cachefiles._owners import is_of_another, needs_record
from imagekit_registry.conf import conf
from imagekit_registry.state import CacheFileRecord, Status

__all__ = ["is_believed", "is_of_other_recipe"]


def is_believed(file: Any, record: CacheFileRecord) -> bool:
    """Return whether *record* still says something about *file*."""
    if record.status == Status.EXISTS:
        # Which ends by no clock. A page asks for URL, width and height, and looks closer once.
        if getattr(file, "_believed", None) is record:
            return True
        if is_of_other_recipe(file, record):
            return False
        file._believed = record
        return True
    now = time.time()
    if not record.is_current(now) or _is_of_a_wrong_clock(record, now):
        return False
    if record.status == Status.GENERATING and not needs_record(file):
        # That a worker was told; the digest is of what lies under the name until it is done.
        return True
    return not is_of_other_recipe(file, record)


def _is_of_a_wrong_clock(record: CacheFileRecord, now: float) -> bool:
    """Return whether *record* ends so late that a clock must have been ahead when it was written.

    It would be stuck for as long as the clock was ahead, or is behind now.
    """
    if record.retry_at is None:
        return False
    return record.retry_at > now + max(conf.RETRY_AFTER_MAX, conf.RETRY_AFTER, conf.LOCK_TIMEOUT)


def is_of_other_recipe(file: Any, record: CacheFileRecord) -> bool:
    """Return whether *record* is of a file that another recipe has made, under the same name."""
    if needs_record(file):
        return record.digest != file.digest or (not record.digest and is_of_another(file, record))
    if not record.digest or record.digest[:12] in (file.name or ""):
        return False
    return bool(record.digest != file.digest)
