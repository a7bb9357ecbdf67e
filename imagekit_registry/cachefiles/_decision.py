"""Whether a file is to be made, before and under its lock."""

from __future__ import annotations

from imagekit_registry.cachefiles.existence import ask, refuse_conflict
from imagekit_registry.cachefiles.identity import published_names
from imagekit_registry.cachefiles.listing import Listing
from imagekit_registry.cachefiles.results import Item, News, Policy, refuse_retry
from imagekit_registry.cachefiles.threads import is_far
from imagekit_registry.exceptions import answer_or
from imagekit_registry.state import Status


def decide(item: Item, policy: Policy, news: News, *, here: bool = True) -> bool:
    """Return whether a file is to be made, before its lock is taken.

    Args:
        item: The file.
        policy: When files are made.
        news: Where a record goes that says what the storage has told.
        here: Whether it is made here: a storage that is far away is asked once, under the lock.

    Raises:
        RetryLater: It failed a short while ago.
        NameTaken: Another image has its name.
        PublishError: The storage does not say whether it exists.
    """
    file, before = item.file, item.before
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
    is_asked_later = here and policy.listing is None and file.cachefile_backend.asks_storage
    return (is_asked_later and is_far(file.storage)) or is_missing(item, news)


def _is_listed(listing: Listing, item: Item, name: str = "") -> bool:
    names = [name] if name else published_names(item.file)
    listed = answer_or(None, listing.has_any, item.file.storage, names)
    # A storage that fails is asked once more, and what it raises then is explained.
    return not is_missing(item, []) if listed is None else listed


def is_missing(item: Item, news: News) -> bool:
    """Ask the storage for the file itself."""
    record, is_there = ask(item.file, item.before)
    item.is_name_free = not is_there
    if record.status == Status.EXISTS and record != item.before:
        news.append((item.file, record))
    return record.status != Status.EXISTS
