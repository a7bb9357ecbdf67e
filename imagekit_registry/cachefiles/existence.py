"""Whether a cache file is there, and of this recipe and source: by its record, else by its storage."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from functools import lru_cache, partial
from typing import Any

import attrs

from imagekit_registry._breaker import breaker_of
from imagekit_registry.cachefiles.identity import CacheFile, Identity, other_name
from imagekit_registry.cachefiles.locks import lock_of
from imagekit_registry.cachefiles.state import get_active_state_cache
from imagekit_registry.cachefiles.threads import would_keep_waiting
from imagekit_registry.cachefiles.verification import (
    is_older_than_source,
    is_overwritten,
    next_looks,
    note_looks,
    seen,
)
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import (
    LockTimeout,
    NameTaken,
    PublishError,
    located,
)
from imagekit_registry.signals import looked_up
from imagekit_registry.specs import fingerprint
from imagekit_registry.state import CacheFileRecord, StateAccess, Status

__all__ = [
    "announce",
    "ask",
    "complete",
    "fetch",
    "find",
    "invalidate",
    "is_known_to_exist",
    "is_of_another",
    "is_of_other_recipe",
    "judge",
    "known",
    "look_up",
    "new_record",
    "refuse_conflict",
    "remember",
]

_logger = logging.getLogger("imagekit_registry.cachefiles")


# What a record says.


def judge(identity: Identity, record: CacheFileRecord, now: float) -> Status | None:
    """Return the status of a file by its record; None if the record says nothing about it.

    Args:
        identity: What the file is.
        record: What is kept under its key; it may be of another recipe or image.
        now: The present moment, in seconds since the epoch.
    """
    status = record.status
    if status == Status.EXISTS:
        # Which ends by no clock.
        return None if is_of_other_recipe(identity, record) else Status.EXISTS
    if record.retry_at is None or not record.is_current(now):
        return None
    # What ends later was written by a clock that was ahead, and would be stuck for as long as that was.
    if record.retry_at > now + max(conf.RETRY_AFTER_MAX, conf.RETRY_AFTER, conf.LOCK_TIMEOUT):
        return None
    if status == Status.GENERATING and identity.name_is_unique:
        # A worker was told; the digest is of what lies under the name until it is done.
        return Status.GENERATING
    return None if is_of_other_recipe(identity, record) else status


def is_of_other_recipe(identity: Identity, record: CacheFileRecord) -> bool:
    """Return whether *record* is of a file that another recipe has made, under the same name."""
    if not identity.name_is_unique:
        return record.digest != identity.digest or (
            not record.digest and is_of_another(identity, record)
        )
    if not record.digest or record.digest[:12] in identity.name:
        return False
    return record.digest != identity.digest


def is_of_another(identity: Identity, record: CacheFileRecord) -> bool:
    """Return whether *record* is of another image: of another source, or by another spec.

    The same source by the same recipe is the same image, whatever the ids of the specs.
    """
    if record.digest and record.digest == identity.digest:
        return False
    return record.spec_id != identity.spec_id or record.source != identity.source


def refuse_conflict(identity: Identity, record: CacheFileRecord | None) -> None:
    """Raise an exception if the name of a file is held by another image.

    A name that does not say recipe and source belongs to the image whose record holds it, until
    that is deleted.

    Raises:
        NameTaken: *record* is of an image of another source, or by another spec.
    """
    if record is None or identity.name_is_unique or record.status != Status.EXISTS:
        return
    if is_of_another(identity, record):
        error = NameTaken(
            f"its file name {identity.name!r} is taken by {record.spec_id} of {record.source!r}",
            spec_id=identity.spec_id,
            source=identity.source_name,
            hint="Rename one of the two, or give one of the specs a namer whose names say recipe and"
            " source, such as imagekit_registry.cachefiles.namers.source_name_dot_hash.",
        )
        _log_once(str(error))
        error.is_logged = True
        raise error


@lru_cache(maxsize=1000)
def _log_once(text: str) -> None:
    """Log what is true until somebody changes it: not on each page."""
    _logger.warning("%s", text)


# Records, read and written.


def fetch(files: Sequence[CacheFile], *, fresh: bool = False) -> list[CacheFileRecord | None]:
    """Return the records under the keys of *files*, in one round trip for each store involved.

    Args:
        files: Cache files.
        fresh: Whether to ask the stores, past what this process remembers.

    Returns:
        A record or None for each file, in the order of *files*.
    """
    places = [
        (file.cachefile_backend.states, file.identity.key) if file.name else (None, "")
        for file in files
    ]
    keys: dict[StateAccess, list[str]] = {}
    for access, key in places:
        if access is not None:
            keys.setdefault(access, []).append(key)
    found = {access: access.get_many(wanted, fresh=fresh) for access, wanted in keys.items()}
    return [found[access].get(key) if access is not None else None for access, key in places]


def known(file: CacheFile) -> CacheFileRecord | None:
    """Return what is known of *file* without asking its storage; None if nothing is."""
    access = file.cachefile_backend.states
    if access is None:
        return None
    identity = file.identity
    record = access.get(identity.key)
    if record is None or (record.digest == identity.digest and record.status == Status.EXISTS):
        return record
    return record if judge(identity, record, time.time()) is not None else None


def is_known_to_exist(file: CacheFile) -> bool:
    """Return whether a record says that *file* exists, and of what its source is now."""
    record = known(file)
    if record is None or record.status != Status.EXISTS or not record.fingerprint:
        return record is not None and record.status == Status.EXISTS
    due = next_looks.get((file.identity.key, record.fingerprint))
    return (due is not None and time.monotonic() < due) or not is_overwritten(file, record)


def look_up(
    files: Sequence[CacheFile], *, ask_storage: bool, fresh: bool = False
) -> list[CacheFileRecord | None]:
    """Return what is known of *files*: by their records first, by their storages second.

    In an event loop no storage is asked that is far away: then a file counts as missing.

    Args:
        files: Cache files.
        ask_storage: Whether to ask about those of which no record says anything.
        fresh: Whether to take no record's word that a file is missing, nor this process's for
            anything: asked by who holds its lock.

    Returns:
        A record for each file; None where nothing is known.

    Raises:
        NameTaken: The name of a file is held by another image.
        PublishError: A storage does not answer.
    """
    now = time.time()
    answers: list[CacheFileRecord | None] = []
    news: list[tuple[CacheFile, CacheFileRecord]] = []
    for file, before in zip(files, fetch(files, fresh=fresh), strict=True):
        status = judge(file.identity, before, now) if before is not None else None
        if status is not None and not (fresh and status in {Status.MISSING, Status.GENERATING}):
            answers.append(before)
        elif not ask_storage:
            answers.append(None)
        elif would_keep_waiting(file.storage):
            # Not written down: whoever makes the file, in a thread, asks first.
            answers.append(new_record(file, Status.MISSING))
        else:
            answers.append(record := ask(file, before))
            if file.identity.name_is_unique:
                # Else no record says as much, and another image's may have been written meanwhile.
                news.append((file, record))
    remember(news)
    return answers


def new_record(file: CacheFile, status: str, **values: Any) -> CacheFileRecord:
    """Return a record of *file*.

    Args:
        file: The cache file.
        status: One of `Status`.
        **values: Other fields of the record.
    """
    identity = file.identity
    digest, original = identity.digest, file.spec.rendition_of
    if original is not None and digest and digest[:12] in identity.name:
        # It is called for as long as the image of its spec is.
        digest = f"{digest}/{original.get_hash()}"
    return CacheFileRecord(
        name=identity.name,
        storage=identity.storage,
        status=Status(status),
        digest=digest,
        spec_id=identity.spec_id,
        source=identity.source,
        **values,
    )


def remember(records: Iterable[tuple[CacheFile, CacheFileRecord]]) -> None:
    """Write down the records of files, in one write for each store involved."""
    by_access: dict[StateAccess, dict[str, CacheFileRecord]] = {}
    records = list(records)
    words = get_active_state_cache() if records else None
    for file, record in records:
        access, key = file.cachefile_backend.states, file.identity.key
        if access is not None:
            by_access.setdefault(access, {})[key] = record
        if words is not None:
            words[key] = record.status
    note_looks(records)
    for access, mapping in by_access.items():
        access.put_many(mapping)


def announce(file: CacheFile) -> None:
    """Write down that somebody was told to make *file*, for ``IMAGEKIT_LOCK_TIMEOUT`` seconds.

    Raises:
        NameTaken: Another image has its name.
    """
    record = new_record(file, Status.GENERATING, retry_at=time.time() + conf.LOCK_TIMEOUT)
    identity = file.identity
    (before,) = fetch([file], fresh=not identity.name_is_unique)
    refuse_conflict(identity, before)
    if before is not None:
        # How often it has failed, and what a file that is there was made by and of.
        record = attrs.evolve(record, failures=before.failures)
        if identity.name_is_unique:
            record = attrs.evolve(record, digest=before.digest, fingerprint=before.fingerprint)
    if identity.name_is_unique:
        remember([(file, record)])
    else:
        with suppress(LockTimeout), lock_of(file, wait=0):
            _replace(file, before, record)


def complete(file: CacheFile, record: CacheFileRecord, **values: Any) -> None:
    """Write down more of what *record* says, unless another one has taken its place.

    Where the name does not say whose image it is, that is not done while one is being made: its
    maker has the last word.
    """
    more = attrs.evolve(record, **values)
    is_unique = file.identity.name_is_unique
    with suppress(LockTimeout), nullcontext() if is_unique else lock_of(file, wait=0):
        _replace(file, record, more)


def _replace(file: CacheFile, before: CacheFileRecord | None, record: CacheFileRecord) -> None:
    if fetch([file], fresh=True) in ([before], [None]):
        remember([(file, record)])


def invalidate(file: CacheFile) -> None:
    """Drop the record of *file*; the storage is asked when it is needed next."""
    access, key = file.cachefile_backend.states, file.identity.key
    if access is not None:
        access.drop([key])
    words = get_active_state_cache()
    if words is not None:
        words.pop(key, None)


# What the storage says.


def find(file: CacheFile, before: CacheFileRecord | None) -> tuple[CacheFileRecord | None, bool]:
    """Ask the storage for *file*.

    Args:
        file: The cache file.
        before: The record that there is, whatever it says.

    Returns:
        The record of the image, which it is for the caller to remember, or None if it is to be made;
        and whether the storage has a file of its name, of whatever image.

    Raises:
        NameTaken: The name is held by another image.
        PublishError: The storage does not say whether the file exists.
    """
    refuse_conflict(file.identity, before)
    exists = _is_in_storage(file)
    if not exists or _is_stale(file, before):
        return None, exists
    if before is not None and before.status == Status.EXISTS:
        return before, True
    looked_at, name = seen(file.spec.source), other_name(file)
    return new_record(file, Status.EXISTS, fingerprint=looked_at, published_name=name), True


def ask(file: CacheFile, before: CacheFileRecord | None) -> CacheFileRecord:
    """Return what the storage says of *file*, by which `find` finds it or not."""
    found, is_taken = find(file, before)
    if found is not None:
        return found
    is_begun = before is not None and before.status == Status.GENERATING and not is_taken
    if before and is_begun and judge(file.identity, before, time.time()) is not None:
        # That it is not there yet is no news.
        return before
    retry_at = time.time() + file.cachefile_backend.existence_check_timeout
    # Failures are counted until it is made: each doubles the time to the next try.
    failures = before.failures if before else 0
    record = new_record(file, Status.MISSING, retry_at=retry_at, failures=failures)
    if is_taken and before is not None:
        # What is there was made by another recipe or of another image; the record goes on saying so
        # until it is made anew.
        record = attrs.evolve(record, digest=before.digest, fingerprint=before.fingerprint)
    return record


def _is_in_storage(file: CacheFile) -> bool:
    """Ask the storage; one that has just kept somebody waiting in vain is left alone for a moment.

    Raises:
        PublishError: It does not answer.
    """
    identity = file.identity
    breaker = breaker_of(
        f"The storage {identity.storage or 'default'!r} of cache files",
        meanwhile="pages show fallbacks for images of which nothing is known",
        # What fails at once keeps no page waiting.
        pause=0.0,
    )
    exists = breaker.call(partial(file.cachefile_backend._exists, file), None)
    if looked_up.receivers:
        outcome = {True: "file", False: "no_file", None: "no_answer"}[exists]
        looked_up.send_robust(sender=type(file.storage), outcome=outcome, count=1)
    if exists is None:
        cause = breaker.error or ConnectionError("it does not answer")
        raise located(
            identity,
            f"the storage does not say whether {identity.name!r} exists",
            wrap=PublishError,
            hint="Check that the storage of the cache files can be reached.",
        ).error(cause)
    return exists


def _is_stale(file: CacheFile, record: CacheFileRecord | None) -> bool:
    """Return whether an existing file was made by another recipe, or of another content."""
    identity = file.identity
    if record is not None and is_of_other_recipe(identity, record):
        return True
    if not identity.name_is_unique and (record is None or record.status != Status.EXISTS):
        # Whatever is there, nobody says that it is this image.
        return True
    if record is not None and record.fingerprint:
        return record.is_of_former(fingerprint(file.spec.source))
    return is_older_than_source(file)
