"""Making images anew that exist, or of which there is no more than a record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs
from django.db.models import Model, QuerySet

from imagekit_registry.cachefiles import ImageCacheFile, get_image
from imagekit_registry.cachefiles.bulk import Generation
from imagekit_registry.cachefiles.receivers import mark_stale
from imagekit_registry.cachefiles.results import Result
from imagekit_registry.exceptions import answer_or
from imagekit_registry.maintenance.forget import Forgetter
from imagekit_registry.maintenance.inventory import (
    Errors,
    batches_of_rows,
    feeds_of,
    in_chunks,
    with_renditions,
)
from imagekit_registry.maintenance.places import Sources, accesses_in_use
from imagekit_registry.registry import generator_registry
from imagekit_registry.state import CacheFileRecord, get_state_access

__all__ = ["Again", "Lost", "make_records_again", "make_rows_again"]


@attrs.frozen
class Again:
    """What became of images that were to be made anew.

    Args:
        results: What became of those that could be made here.
        left: Records of those that the pages make which show them next: nobody else can tell what
            they were made with.
        errors: Ids of specs, and why files of theirs could not be named.
    """

    results: tuple[Result, ...]
    left: tuple[CacheFileRecord, ...] = ()
    errors: tuple[tuple[str, Exception], ...] = ()


def make_records_again(records: Mapping[str, CacheFileRecord]) -> Again:
    """Make the images of *records* anew, those of one source of one decode.

    An image whose spec takes nothing but a source is made at once, or handed to a worker. Of any
    other one the record does not say what it was made with: it counts as out of date from now on.

    Args:
        records: Records by key.
    """
    sources, files = Sources(), list[ImageCacheFile]()
    left: dict[str, CacheFileRecord] = {}
    for key, record in records.items():
        file = file_of(record, sources)
        if file is None:
            left[key] = record
        else:
            files.append(file)
    get_state_access().put_many({key: record.replaced() for key, record in left.items()})
    return Again(_make(files), tuple(left.values()))


@attrs.define(eq=False)
class Lost:
    """Images that ledgers know to exist, and whose files are gone.

    Args:
        patterns: Only what was made by specs whose ids one of them means; nothing: everything.
        dry_run: Whether to make nothing.

    Attributes:
        left: Number of those that the next pages make which show them.
        unreachable: Names of files whose storages do not answer.
    """

    patterns: Sequence[str] = ()
    dry_run: bool = False

    left: int = attrs.field(default=0, init=False)
    unreachable: list[str] = attrs.field(factory=list, init=False)

    def make_again(self) -> Iterator[Result]:
        """Make them anew, and yield what becomes of each that can be made here."""
        forgetter = Forgetter((), self.patterns)
        sources = Sources()
        for access in accesses_in_use():
            for chunk in in_chunks(forgetter.gone(access)) if access.store.is_ledger else ():
                if self.dry_run:
                    files = [file_of(record, sources) for _, record in chunk]
                    there = [file for file in files if file is not None]
                    again = Again(tuple(Generation(force=True, dry_run=True).run([there])))
                    self.left += len(chunk) - len(there)
                else:
                    again = make_records_again(dict(chunk))
                self.left += len(again.left)
                yield from again.results
        self.unreachable = forgetter.unreachable


def file_of(record: CacheFileRecord, sources: Sources) -> ImageCacheFile | None:
    """Return the file of *record*, if its spec needs nothing but the source for it."""
    source = sources.of(record)
    if source is None:
        return None
    file = answer_or(None, get_image, record.spec_id, source=source)
    # Whether a file is true is asked of its strategy, which may make it.
    if file is None or not file.name:
        return None
    # The digest of a rendition says which image it is of; that may have a picture.
    files = with_renditions([file], [], possible=True) if "/" in record.digest else [file]
    wanted = (record.name, record.storage)
    return next((each for each in files if (each.name, each.identity.storage) == wanted), None)


def make_rows_again(rows: QuerySet[Model]) -> Again:
    """Make all that specs make of the image fields of *rows* anew.

    What template tags have made of these images counts as out of date from now on, so that the
    pages which show it make it anew.

    Args:
        rows: Rows of one model.
    """
    errors: Errors = []
    ids = generator_registry.get_ids()
    feeds = feeds_of(rows.model, ids)
    files = [file for batch in batches_of_rows(rows, ids, errors) for file in batch]
    for row in rows:
        for field in dict(feeds):
            if source := getattr(row, field):
                mark_stale(source, [spec_id for name, spec_id in feeds if name == field])
    return Again(_make(files), errors=tuple(errors))


def _make(files: Iterable[ImageCacheFile]) -> tuple[Result, ...]:
    return tuple(Generation(force=True).run([files]))
