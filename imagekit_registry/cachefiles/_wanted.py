"""Which of many files are yet to be made, by their records and by their storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from imagekit_registry.cachefiles._owners import needs_record
from imagekit_registry.cachefiles.generation import Item
from imagekit_registry.cachefiles.listing import Listing
from imagekit_registry.state import CacheFileRecord, Status

__all__ = ["Inquiry"]


@attrs.frozen
class Inquiry:
    """Finds out what is to be made; writes nothing down itself.

    Args:
        force: Whether everything is.
        retry: Whether to try again what failed a short while ago.
        missing_only: Whether the storage decides, whatever the records say.
        by_listing: Whether to ask the storage by the folder.
        remember: Called with a file and its new record when the storage has told something new.
    """

    force: bool
    retry: bool
    missing_only: bool
    by_listing: bool
    remember: Callable[[Any, CacheFileRecord], None]
    listing: Listing = attrs.field(factory=Listing)

    def is_wanted(self, item: Item) -> bool:
        """Return whether a file is to be made.

        Raises:
            RetryLater: It failed a short while ago.
            NameTaken: Another image has its name.
            PublishError: The storage does not say whether it exists.
        """
        item.backend.refuse_if_taken(item.file, item.before)
        if self.force:
            return True
        record = item.believed
        status = record.status if record is not None else ""
        if status == Status.FAILED:
            return self.retry or bool(item.backend.is_wanting(item.file))
        if self.missing_only and item.asks_storage:
            return self._is_missing(item, record)
        if status in {Status.EXISTS, Status.MISSING}:
            return status == Status.MISSING
        if self.by_listing and item.asks_storage and not self._is_listed(item, item.file.name):
            return True
        return self._ask(item)

    def is_still_wanted(
        self, item: Item, before: CacheFileRecord | None, contended: bool = False
    ) -> bool:
        """Return whether a file is to be made now that we have its lock.

        Args:
            item: The file, with a record read under the lock.
            before: The record that was read before.
            contended: Whether somebody else had the lock when we first wanted it.

        Raises:
            RetryLater: Others have tried meanwhile, in vain.
            NameTaken: Another image has its name.
            PublishError: The storage does not say whether it exists.
        """
        item.backend.refuse_if_taken(item.file, item.before)
        if self.force:
            return True
        record = item.believed
        if record is not None and record != before:
            if record.status == Status.EXISTS:
                return False
            if record.status == Status.FAILED and not self.retry:
                return bool(item.backend.is_wanting(item.file))
        if not item.asks_storage or (self.by_listing and not contended):
            # For very many files, making one twice costs less than asking for each once more.
            return True
        # Whoever held the lock before may not have written down yet what they made.
        return self._ask(item)

    def _is_missing(self, item: Item, record: CacheFileRecord | None) -> bool:
        before = item.before
        name = (before.published_name if before is not None else "") or item.file.name
        if not self._is_listed(item, name):
            return True
        # A record that is not believed may be of another recipe's file of the same name.
        may_be_another = before is not None or needs_record(item.file)
        return record is None and may_be_another and self._ask(item)

    def _is_listed(self, item: Item, name: str) -> bool:
        try:
            is_there = self.listing.has(item.file.storage, name)
        except Exception:  # noqa: BLE001 -- it is asked once more, and explained then
            return not self._ask(item)
        return is_there

    def _ask(self, item: Item) -> bool:
        """Ask the storage for the file itself; return whether it is missing."""
        record = item.backend.verified(item.file, item.before)
        if record.status == Status.EXISTS:
            self.remember(item.file, record)
            return False
        return True
