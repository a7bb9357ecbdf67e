"""What is asked of the making of files, whether one is to be made, and what became of each."""

from __future__ import annotations

import time
from enum import StrEnum

import attrs

from imagekit_registry.cachefiles.existence import ask, find, judge, refuse_conflict
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.cachefiles.listing import Listing
from imagekit_registry.cachefiles.threads import is_far
from imagekit_registry.exceptions import (
    ImageKitError,
    LimitExceeded,
    RetryLater,
    SourceNotFound,
    answer_or,
)
from imagekit_registry.state import CacheFileRecord, Status

__all__ = [
    "Item",
    "News",
    "Policy",
    "Result",
    "ResultStatus",
    "decide",
    "is_missing",
    "refuse_retry",
]


class ResultStatus(StrEnum):
    """What became of one file."""

    MADE = "made"
    #: A worker, or a thread behind an event loop, was told to make it.
    SCHEDULED = "scheduled"
    EXISTING = "existing"
    FAILED = "failed"
    #: It would be made; the answer of a dry run.
    WANTED = "wanted"


@attrs.frozen
class Result:
    """What became of one file.

    Args:
        position: The place of the file among all that were handed in, from 0.
        file: The file.
        status: Whether it was made.
        error: Why it could not be made.
    """

    position: int
    file: CacheFile
    status: ResultStatus
    error: ImageKitError | None = None


@attrs.frozen
class Policy:
    """When files are made.

    Args:
        force: Whether to make files that exist.
        retry: Whether to try again what failed a short while ago.
        listing: What asks storages by the folder, which is good for very many files; None: they
            are asked for each file.
        missing_only: Whether the listing decides what is missing, whatever the records say.
    """

    force: bool = False
    retry: bool = False
    listing: Listing | None = None
    missing_only: bool = False


@attrs.define(eq=False)
class Item:
    """One file on its way.

    Args:
        file: The file.
        before: Its record, whatever that says.
        positions: The places at which the file, or another one of its name, was handed in.
        is_name_free: Whether the storage was found to have no file of its name.
    """

    file: CacheFile
    before: CacheFileRecord | None = None
    positions: list[int] = attrs.field(factory=list)
    is_name_free: bool = False

    def results(self, status: ResultStatus, error: ImageKitError | None = None) -> list[Result]:
        """Return what became of the file, once for each place."""
        return [Result(position, self.file, status, error) for position in self.positions]

    def status(self) -> Status | None:
        """Return what the record says of the file; None if nothing."""
        return (
            judge(self.file.identity, self.before, time.time()) if self.before is not None else None
        )


#: Files, and what is newly known of them.
News = list[tuple[CacheFile, CacheFileRecord]]


class _SourceStillMissing(RetryLater, FileNotFoundError):
    """The source was not there a short while ago."""


class _StillBeyondLimits(RetryLater, LimitExceeded):
    """The source or the result was beyond a limit a short while ago."""


def refuse_retry(file: CacheFile, record: CacheFileRecord | None) -> bool:
    """Raise the exception that says that a file has failed, and that it is not its time yet."""
    failures = record.failures if record is not None else 1
    times = "once" if failures == 1 else f"{failures} times"
    cause = (record.error if record is not None else "") or "it could not be made"
    context = {
        "spec_id": file.identity.spec_id,
        "source": file.identity.source_name or "",
        "hint": f"It has failed {times} and is tried again later; generate(force=True) tries now.",
    }
    if record is not None and record.limit:
        raise _StillBeyondLimits(cause, limit=record.limit, **context)
    kind = _SourceStillMissing if cause == SourceNotFound.CAUSE else RetryLater
    raise kind(cause, **context)


def decide(item: Item, policy: Policy, news: News, *, here: bool = True) -> bool:
    """Return whether a file is to be made, before its lock is taken.

    Args:
        item: The file.
        policy: When files are made.
        news: Where a record goes that says what the storage has told.
        here: Whether it is made here: a storage that is far away is asked once, under the lock. For
            workers it is asked now, and what it says is news in any case.

    Raises:
        RetryLater: It failed a short while ago.
        NameTaken: Another image has its name.
        PublishError: The storage does not say whether it exists.
    """
    file, before = item.file, item.before
    if not file.identity.name_is_unique:
        refuse_conflict(file.identity, before)
    if policy.force:
        return True
    status = item.status()
    if status == Status.FAILED:
        return policy.retry or refuse_retry(file, before)
    listing = policy.listing if file.cachefile_backend.asks_storage else None
    if policy.missing_only and listing is not None:
        if not _is_listed(listing, item, (before.published_name if before else "")):
            return True
        # A record that says nothing may be of another recipe's file of the same name.
        is_unknown = status is None and (before is not None or not file.identity.name_is_unique)
        return is_unknown and is_missing(item, news)
    if status in {Status.EXISTS, Status.MISSING}:
        return status == Status.MISSING
    if listing is not None and not _is_listed(listing, item):
        return True
    if not here and policy.listing is None:
        # What is on its way may have been lost; who tells workers knows when.
        return status == Status.GENERATING or _is_news(item, news)
    is_asked_once = policy.listing is None and file.cachefile_backend.asks_storage
    return (is_asked_once and is_far(file.storage)) or is_missing(item, news)


def _is_listed(listing: Listing, item: Item, name: str = "") -> bool:
    names = [name] if name else item.file.identity.names
    storage = item.file.storage
    listed = [listing.lists(storage, each) for each in names]
    if None not in listed:
        return any(listed)
    # A storage that cannot list is asked for the file itself. One that fails then is asked once
    # more, and what it raises is explained.
    found = answer_or(None, listing.has_any, storage, names)
    return not is_missing(item, []) if found is None else found


def _is_news(item: Item, news: News) -> bool:
    """Ask the storage as `is_missing` does; it need not be asked again by who tells a worker."""
    item.before = ask(item.file, item.before)
    if item.file.identity.name_is_unique:
        news.append((item.file, item.before))
    return item.status() != Status.EXISTS


def is_missing(item: Item, news: News) -> bool:
    """Ask the storage for the file itself."""
    record, is_taken = find(item.file, item.before)
    item.is_name_free = not is_taken
    if record is not None and record != item.before:
        news.append((item.file, record))
    return record is None
