"""All cache files that registered generators and sources call for."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Set
from functools import partial
from itertools import chain, islice
from operator import itemgetter
from typing import Any, TypeVar

import attrs
from django.apps import apps
from django.db import connections, router
from django.db.models import FileField, Model, QuerySet

from imagekit_registry._loading import get_storage, storage_reference
from imagekit_registry.cachefiles import ImageCacheFile, get_image
from imagekit_registry.cachefiles.existence import fetch, remember
from imagekit_registry.cachefiles.listing import Hashes
from imagekit_registry.cachefiles.rendering import explained
from imagekit_registry.cachefiles.renditions import Renditions, fetch_possible, offer_own
from imagekit_registry.exceptions import GenerationError, ImageKitError
from imagekit_registry.registry import (
    SourceGroup,
    cachefile_registry,
    generator_registry,
    source_group_registry,
)
from imagekit_registry.specs import ImageSpec, iterate_rows
from imagekit_registry.specs.sourcegroups import ImageFieldSourceGroup
from imagekit_registry.state import (
    CacheFileRecord,
    StateAccess,
    state_scope,
)

__all__ = [
    "Errors",
    "Inventory",
    "batches_of_rows",
    "compile_pattern",
    "every_batch",
    "expected_count",
    "fed_ids",
    "feeds_of",
    "file_columns",
    "has_pictures",
    "in_chunks",
    "with_renditions",
]

T = TypeVar("T")

#: Errors of one kind that are kept until the end.
MOST_ERRORS = 1_000
#: Files of one batch, more or less: their records are asked for together.
BATCH = 100

#: Ids of specs, and why their files, or one of them, cannot even be named.
Errors = list[tuple[str, ImageKitError]]


class FirstErrors(Errors):
    """The first 1,000 of any number of errors."""

    def append(self, error: tuple[str, ImageKitError]) -> None:
        """Add an error, unless there are that many."""
        if len(self) < MOST_ERRORS:
            super().append(error)


def compile_pattern(*patterns: str) -> re.Pattern[str]:
    """Return what matches the ids that one of *patterns* means; without any, every id.

    Args:
        *patterns: Ids; ``*`` is any text within a segment, ``**`` any text across segments; what
            lies under a match matches as well.

    Example:
        >>> bool(compile_pattern("shop:*:thumb").match("shop:product:thumb:large"))
        True
    """
    wild = {"*": "[^:]*", "**": ".*"}
    parts = [re.split(r"(\*{1,2})", pattern) for pattern in patterns or ("**",)]
    texts = ["".join(wild.get(part) or re.escape(part) for part in each) for each in parts]
    return re.compile(f"^({'|'.join(texts)})(:.*)?$", re.DOTALL)


def in_chunks(items: Iterable[T], size: int = 200) -> Iterator[list[T]]:
    """Yield *items* in lists of at most *size*."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def every_batch(
    ids: Iterable[str], errors: Errors, *, possible: bool = False
) -> Iterator[list[ImageCacheFile]]:
    """Yield the files of these generators, and of their pictures; those of one source in one batch.

    Each source group is gone through once, for all of its generators together. Sources that are
    empty are passed over.

    Args:
        ids: Ids of registered generators.
        errors: Where to write down what goes wrong; the others go on.
        possible: Whether to yield of a picture also what its source may be too small for: to know
            what a picture offers of it, its header is read if no record tells.
    """
    for batch in _every_image(ids, errors):
        with state_scope():
            files = with_renditions(batch, errors, possible)
        yield files


def with_renditions(
    files: list[ImageCacheFile], errors: Errors, possible: bool = False
) -> list[ImageCacheFile]:
    """Return *files*, and then what their pictures have besides; for the arguments see `every_batch`."""
    found: list[Renditions] = []
    for file in files:
        try:
            found += offer_own(file)
        except ImageKitError as error:
            errors.append((file.spec_id, error))
    if not found:
        return files
    fetch_possible(found)
    choices = [each.possible if possible else each.offered for each in found]
    renditions = [
        [some.file, *[each.file for each in choice]]
        for some, choice in zip(found, choices, strict=True)
    ]
    return list(dict.fromkeys([*files, *chain(*renditions)]))


def _every_image(ids: Iterable[str], errors: Errors) -> Iterator[list[ImageCacheFile]]:
    wanted = list(ids)
    groups: dict[int, tuple[SourceGroup, list[str]]] = {}
    for group, spec_id in source_group_registry.pairs():
        if spec_id in wanted:
            groups.setdefault(id(group), (group, []))[1].append(spec_id)
    for group, members in groups.values():
        for sources in _listed(group.files, -(-BATCH // len(members)), members, errors):
            yield _named(((i, each, None) for each in sources for i in members), errors)
    for spec_id in filter(cachefile_registry.ids().__contains__, wanted):
        registered = partial(cachefile_registry.registered, spec_id)
        for known in _listed(registered, BATCH, [spec_id], errors):
            yield _named(((spec_id, None, file) for file in known), errors)


def expected_count(ids: Iterable[str]) -> int | None:
    """Return how many files `every_batch` yields at most; None if somebody does not say.

    Each source group counts its sources once, for all generators that it feeds.
    """
    wanted = set(ids)
    if has_pictures(wanted) or wanted & cachefile_registry.ids():
        return None
    known = [each for each in source_group_registry.registered() if each.spec_id in wanted]
    counts = {id(each.group): each.count for each in known}
    sources = {group: count() for group, count in counts.items()}
    numbers = [sources[id(each.group)] for each in known]
    return None if None in numbers else sum(filter(None, numbers))


def has_pictures(ids: Iterable[str]) -> bool:
    """Return whether specs of these have pictures: how many files these are hangs on each source."""
    specs = map(generator_registry.lookup, ids)
    are_specs = (each for each in specs if isinstance(each, type) and issubclass(each, ImageSpec))
    return any(spec.picture is not None for spec in are_specs)


def feeds_of(model: type[Model], ids: Iterable[str]) -> list[tuple[str, str]]:
    """Return the fields of *model* that feed generators, each with the id of one of *ids*."""
    wanted = set(ids)
    return [
        (group.image_field, spec_id)
        for group, spec_id in source_group_registry.pairs()
        if spec_id in wanted and isinstance(group, ImageFieldSourceGroup) and group.covers(model)
    ]


def batches_of_rows(
    rows: QuerySet[Any], ids: Iterable[str], errors: Errors
) -> Iterator[list[ImageCacheFile]]:
    """Yield the files that these generators make of the image fields of *rows*, in their order.

    Args:
        rows: Rows of one model.
        ids: Ids of registered generators.
        errors: Where to write down what goes wrong; the others go on.
    """
    feeds = feeds_of(rows.model, ids)
    size = max(1, BATCH // (len(feeds) or 1))
    listed = partial(rows.iterator, chunk_size=500)
    for chunk in _listed(listed, size, {spec_id for _, spec_id in feeds}, errors):
        sources = (
            (spec_id, source, None)
            for row in chunk
            for field, spec_id in feeds
            if (source := getattr(row, field))
        )
        with state_scope():
            named = with_renditions(_named(sources, errors), errors)
        yield named


def fed_ids() -> set[str]:
    """Return the ids that source groups feed, or that have registered files."""
    return {spec_id for _, spec_id in source_group_registry.pairs()} | cachefile_registry.ids()


def _listed(
    files: Callable[[], Iterable[T]], size: int, ids: Iterable[str], errors: Errors
) -> Iterator[list[T]]:
    """Yield what *files* yields, in lists of at most *size*, up to an exception of it."""
    chunk: list[T] = []
    try:
        for item in files():
            chunk.append(item)
            if len(chunk) == size:
                yield chunk
                chunk = []
    except Exception as error:  # noqa: BLE001 -- a project's query may fail in any way
        cause = f"its sources cannot be listed ({type(error).__name__}: {error})"
        for spec_id in ids:
            failure = GenerationError(cause, spec_id=spec_id)
            failure.__cause__ = error
            errors.append((spec_id, failure))
    if chunk:
        yield chunk


def _named(
    images: Iterable[tuple[str, object, ImageCacheFile | None]], errors: Errors
) -> list[ImageCacheFile]:
    """Return the files of *images* that can be named.

    Args:
        images: Ids of generators, each with a source, or with a file that is registered.
        errors: Where to write down why the others cannot.
    """
    named = []
    for spec_id, source, registered in images:
        try:
            file = registered if registered is not None else get_image(spec_id, source=source)
            # Asking for its name builds one that is lazy.
            if file.name:
                named.append(file)
        except Exception as error:  # noqa: BLE001 -- specs and namers are the project's code
            failure = explained(error, None)
            if isinstance(failure, GenerationError):
                failure.located(spec_id, str(getattr(source, "name", "")) or None)
            errors.append((spec_id, failure))
    return named


def file_columns() -> Iterator[tuple[type[Model], FileField]]:
    """Yield every file field of every model that has a column of its own for it."""
    for model in apps.get_models(include_auto_created=True):
        if not model._meta.proxy:
            fields = model._meta.local_concrete_fields
            yield from ((model, field) for field in fields if isinstance(field, FileField))


class Inventory:
    """The files that rows and registered lists call for, and their sources.

    Millions of them fit into memory. Of two names of one hash, which is as good as impossible, both
    would be kept.

    Attributes:
        files: Pairs of a storage's reference and a file's name.
        digests: Their digests.
        names: What any row, in any database, has in a file field, and what source groups yield: with
            extensions and without.
        errors: What kept some files from being named, or rows from being read. If there are any, a
            file that is not in the inventory may still be called for.
        storages: The storages that cache files lie in, by reference.
        accesses: The ways to the records of the files.
        fed: The ids that have rows, or registered files.
    """

    def __init__(self) -> None:
        self.files, self.digests, self.names = Hashes(), Hashes(), Hashes()
        self.errors: Errors = FirstErrors()
        storage = get_storage()
        self.storages = {storage_reference(storage): storage}
        self.accesses: set[StateAccess] = set()
        self.fed = fed_ids()

    def __contains__(self, place: tuple[str, str]) -> bool:
        """Return whether (storage reference, name) is called for."""
        return place in self.files

    def has_digest(self, digest: str) -> bool:
        """Return whether an image of this digest is called for: so are its renditions."""
        return digest in self.digests

    def holds(self, name: str) -> bool:
        """Return whether a row or a source group has a file of this name, in whatever storage."""
        return name in self.names

    def take(
        self,
        on_progress: Callable[[int], None] = lambda count: None,
        *,
        write: bool = False,
    ) -> None:
        """Go through all sources of all generators, and the file fields of all rows.

        Args:
            on_progress: Called with the number of files that were named since.
            write: Whether to write down that something calls again for what a former cleaning found
                obsolete.
        """
        for batch in every_batch(generator_registry.get_ids(), self.errors, possible=True):
            on_progress(len(batch))
            again: list[tuple[ImageCacheFile, CacheFileRecord]] = []
            for file, record in zip(batch, fetch(batch), strict=True):
                identity = file.identity
                for name in identity.names:
                    self.files.add((identity.storage, name))
                self.digests.add(identity.digest)
                self.storages.setdefault(identity.storage, file.storage)
                # A storage that gives names of its own has published some under other ones.
                if record is not None and record.obsolete_at is not None:
                    again.append((file, attrs.evolve(record, obsolete_at=None)))
                if record is not None and record.published_name:
                    self.files.add((identity.storage, record.published_name))
                self._add_name(identity.source_name)
            if write:
                remember(again)
            backends = {file.cachefile_backend for file in batch}
            self.accesses |= {access for each in backends if (access := each.states) is not None}
        for model, field in file_columns():
            self._read_rows(model, field.attname)

    def _read_rows(self, model: type[Model], column: str) -> None:
        """Take note of what rows have in a column: past managers, which may show but some."""
        own = {router.db_for_read(model), router.db_for_write(model)}
        # Of a name that says a schema, the last part is listed.
        table = model._meta.db_table.strip('"').rpartition('"')[2].casefold()
        for alias in connections:
            try:
                if alias in own or table in _list_tables(alias):
                    rows: QuerySet[Model] = QuerySet(model, using=alias)
                    for _, name in iterate_rows(rows.values_list("pk", column), itemgetter(0)):
                        self._add_name(name)
            except Exception as error:  # noqa: BLE001 -- a table or a server may be missing
                where = f"{model._meta.label}.{column} in the database {alias!r}"
                cause = f"{where} cannot be read ({type(error).__name__}: {error})"
                self.errors.append(("", GenerationError(cause)))

    def _add_name(self, name: str | None) -> None:
        if name:
            self.names.add(name)
            self.names.add(posixpath.splitext(name)[0])


def _list_tables(alias: str) -> Set[str]:
    """Return the names of the tables and views of a database, in small letters."""
    names = connections[alias].introspection.table_names(include_views=True)
    return {name.casefold() for name in names}
