"""How many images there are, and how many bytes: by spec and format, with what is too many and what failed."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import attrs
from django.core.files.storage import FileSystemStorage, Storage

from imagekit_registry._loading import resolve_storage
from imagekit_registry.cachefiles.existence import fetch
from imagekit_registry.cachefiles.identity import state_key
from imagekit_registry.cachefiles.listing import Hashes, walk
from imagekit_registry.cachefiles.publishing import is_temporary
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import UnknownExtension, answer_or
from imagekit_registry.imaging.formats import extension_to_format
from imagekit_registry.maintenance.clean import Cleaner
from imagekit_registry.maintenance.inventory import (
    Errors,
    compile_pattern,
    every_batch,
    in_chunks,
)
from imagekit_registry.maintenance.places import accesses_in_use, by_place, storages_in_use
from imagekit_registry.registry import generator_registry
from imagekit_registry.state import CacheFileRecord, StateAccess, Status, get_state_access

__all__ = ["Prices", "Statistics", "Tally"]

#: Bytes for which storage and egress are paid.
GIGABYTE = 1_000_000_000
#: Requests for which one price is paid.
REQUESTS = 1_000


@attrs.define
class Tally:
    """A number of files.

    Attributes:
        files: How many.
        bytes: How many bytes those have whose sizes are known.
        unsized: How many have no known size.
    """

    files: int = 0
    bytes: int = 0
    unsized: int = 0

    def add(self, size: int | None) -> None:
        """Count a file of *size* bytes; None if that is not known."""
        self.files += 1
        self.bytes += size or 0
        self.unsized += size is None


@attrs.frozen
class Prices:
    """What is to be paid, in whatever currency; None for what is not to be reckoned.

    Args:
        storage: For a gigabyte (1,000,000,000 bytes) that lies there for a month.
        egress: For a gigabyte that is sent.
        requests: For 1,000 requests.
        views: How many times a month each file is sent, on average.
    """

    storage: float | None = None
    egress: float | None = None
    requests: float | None = None
    views: float = 1.0

    def of(self, tally: Tally) -> dict[str, float]:
        """Return what *tally* costs a month, by what it is paid for."""
        sent = tally.bytes * self.views / GIGABYTE
        asked = tally.files * self.views / REQUESTS
        amounts = ((self.storage, tally.bytes / GIGABYTE), (self.egress, sent))
        costs = zip(
            ("storage", "egress", "requests"), (*amounts, (self.requests, asked)), strict=True
        )
        return {what: price * amount for what, (price, amount) in costs if price is not None}


@attrs.define(eq=False)
class Statistics:
    """Counts files by what is known of them.

    With states in the database, these are all there are. A cache cannot list its records: then rows
    say what there is to look for, and folders what lies there besides, where storages can list.

    Args:
        patterns: Only what was made by specs whose ids one of them means; nothing: everything.
        on_progress: Called with the number of files that were counted since.

    Attributes:
        tallies: The files by the id of their spec and Pillow's name of their format; an empty id
            for those of which nothing is known.
        failures: The number of files that could not be made, by the id of the spec and the cause.
        orphans: What `cleanimages` would remove; these are among the others as well.
        avif: The AVIF files that have another format beside them, of the same image and size.
        saved: How many bytes smaller these are than the smallest other one.
        errors: What kept some files from being named, or rows from being read.
        unlisted: Why folders could not be listed.
    """

    patterns: Sequence[str] = ()
    on_progress: Callable[[int], None] = lambda count: None

    tallies: dict[tuple[str, str], Tally] = attrs.field(factory=dict, init=False)
    failures: Counter[tuple[str, str]] = attrs.field(factory=Counter, init=False)
    orphans: Tally = attrs.field(factory=Tally, init=False)
    avif: Tally = attrs.field(factory=Tally, init=False)
    saved: int = attrs.field(default=0, init=False)
    errors: Errors = attrs.field(factory=list, init=False)
    unlisted: list[str] = attrs.field(factory=list, init=False)
    #: By what tells an image and its size: the bytes of its AVIF, and of the smallest other one.
    _pairs: dict[int, list[int | None]] = attrs.field(factory=dict, init=False)

    @property
    def total(self) -> Tally:
        """All files together."""
        tallies = self.tallies.values()
        return Tally(*(sum(getattr(t, f.name) for t in tallies) for f in attrs.fields(Tally)))

    def count(self) -> None:
        """Count everything; may take as long as `cleanimages`, and writes nothing."""
        pattern = compile_pattern(*self.patterns)
        for record in self._records():
            self.on_progress(1)
            if pattern.match(record.spec_id) or not (record.spec_id or self.patterns):
                self._add(record)
        for avif, other in self._pairs.values():
            if avif is not None and other is not None:
                self.avif.add(avif)
                self.saved += other - avif
        cleaner = Cleaner(self.patterns, dry_run=True)
        for orphan in cleaner.run():
            self.orphans.add(orphan.size)
        self.errors = cleaner.inventory.errors

    def _add(self, record: CacheFileRecord) -> None:
        if record.status == Status.FAILED:
            self.failures[record.spec_id, record.error] += 1
        if record.status != Status.EXISTS:
            return
        name = record.published_name or record.name
        format = record.format or _format_of(name)
        size = _size_of(record, name) if record.size is None else record.size
        self.tallies.setdefault((record.spec_id, format), Tally()).add(size)
        if size is not None and record.width is not None:
            image = hash((record.spec_id, record.source, record.width, record.height))
            pair = self._pairs.setdefault(image, [None, None])
            at = 0 if format == "AVIF" else 1
            known = pair[at]
            pair[at] = size if known is None else min(size, known)

    def _records(self) -> Iterator[CacheFileRecord]:
        """Yield the record of every file, and one for each file that has none."""
        own = get_state_access()
        ledgers = [access for access in accesses_in_use() if access.store.is_ledger]
        told = [(record for _, record in ledger.iter_items()) for ledger in ledgers]
        seen, storages = Hashes(), storages_in_use()
        references = set(storages)
        for record in chain(() if own in ledgers else self._of_rows(), *told):
            place = (record.storage, record.published_name or record.name)
            if record.name and place not in seen:
                seen.add(place)
                references.add(record.storage)
                yield record
        for reference in sorted(references.difference(storages)):
            storage = answer_or(None, resolve_storage, reference)
            if storage is None:
                self.unlisted.append(f"{reference}: there is no such storage")
            else:
                storages[reference] = storage
        for aliases, storage in by_place(storages):
            yield from self._unseen(own, aliases, storage, seen)

    def _of_rows(self) -> Iterator[CacheFileRecord]:
        for batch in every_batch(generator_registry.get_ids(), self.errors):
            yield from filter(None, fetch(batch))

    def _unseen(
        self, access: StateAccess, references: Sequence[str], storage: Storage, seen: Hashes
    ) -> Iterator[CacheFileRecord]:
        """Yield the records of what lies in a storage and is not *seen*."""
        for entry in walk(storage, conf.CACHEFILE_DIR.rstrip("/")):
            if entry.error is not None:
                error = f"{type(entry.error).__name__}: {entry.error}"
                self.unlisted.append(f"{entry.folder}: {error}")
            names = (posixpath.join(entry.folder, each) for each in entry.files)
            unseen = (
                name for name in names if not any((each, name) in seen for each in references)
            )
            for chunk in in_chunks(name for name in unseen if not is_temporary(name)):
                keys = {state_key(each, name): name for name in chunk for each in references}
                known = access.get_many(keys)
                for name, key in {keys[key]: key for key in (*keys, *known)}.items():
                    unknown = CacheFileRecord(
                        name=name, storage=references[0], status=Status.EXISTS
                    )
                    yield known.get(key, unknown)


def _format_of(name: str) -> str:
    try:
        return extension_to_format(posixpath.splitext(name)[1])
    except UnknownExtension:
        return ""


def _size_of(record: CacheFileRecord, name: str) -> int | None:
    """Return the size of a file, where it takes no request to ask for it."""
    storage = answer_or(None, resolve_storage, record.storage or "default")
    return answer_or(None, storage.size, name) if isinstance(storage, FileSystemStorage) else None
