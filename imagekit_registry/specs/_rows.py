"""Rows: all of a table, and which images they still name."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import nullcontext
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Any
from weakref import WeakSet

import attrs
from django.apps.registry import Apps
from django.db import Error, router, transaction
from django.db.models import FileField, Model, QuerySet
from django.dispatch import Signal

from imagekit_registry._loading import storage_reference

#: Names that one query asks for, and rows.
_CHUNK = 500

_logger = logging.getLogger("imagekit_registry.specs")


def iterate_rows(
    rows: QuerySet[Any, Any], key: Callable[[Any], object] = attrgetter("pk")
) -> Iterator[Any]:
    """Yield all of *rows*, in the order of their keys, by one query for each 500.

    Each query begins behind the last row seen, and is over before that row is given out: on SQLite an
    open one keeps others from writing, and some clients read all of its answer into memory. The key
    of an unmanaged model may be none, so its rows come by one query.

    Args:
        rows: Of one model, not sliced.
        key: Returns the primary key of what the queryset gives.
    """
    return chain.from_iterable(_pages_of(rows, key))


def _pages_of(rows: QuerySet[Any, Any], key: Callable[[Any], object]) -> Iterator[Iterable[Any]]:
    if not rows.model._meta.managed:
        yield rows.iterator(_CHUNK)
        return
    rest = rows = rows.order_by("pk")
    while page := list(rest[:_CHUNK]):
        yield page
        if len(page) < _CHUNK:
            return
        rest = rows.filter(pk__gt=key(page[-1]))


@attrs.define(eq=False)
class Callback:
    """Stands for a callback that is called at the commit; held by that alone."""


@attrs.define(eq=False)
class LetGo:
    """The images that the rows of one transaction have let go of; all are asked about together.

    Args:
        using: The alias of the database.

    Attributes:
        images: Fields and names; what is added after the first question is asked about later.
        asked: Those of which is known whether a row names them.
        awaited: The callbacks that are yet to be called; a rollback to a savepoint drops some.
        told: What was told by each signal: source groups with images.
    """

    using: str
    images: set[tuple[FileField, str]] = attrs.field(factory=set, init=False)
    asked: set[tuple[FileField, str]] = attrs.field(factory=set, init=False)
    awaited: WeakSet[Callback] = attrs.field(factory=WeakSet, init=False)
    told: defaultdict[Signal, list[tuple[object, object]]] = attrs.field(
        factory=lambda: defaultdict(list), init=False
    )
    _held: set[tuple[str, str]] = attrs.field(factory=set, init=False)

    def is_held(self, field: FileField, name: str) -> bool:
        """Return whether a row of any model still names an image of *field*; in doubt it does."""
        self.images.add((field, name))
        place = (storage_reference(field.storage), name)
        unknown = self.images - self.asked
        if unknown:
            self.asked |= unknown
            places = {(storage_reference(each.storage), held) for each, held in unknown}
            try:
                self._held |= _held_by_rows(places, self.using, field.model._meta.apps)
            except Error as error:
                _logger.warning("What was made of %r stays: %s", name, error)
                self._held |= places
        return place in self._held


def _held_by_rows(places: Set[tuple[str, str]], using: str, registry: Apps) -> set[tuple[str, str]]:
    """Return those of *places*, storages with names, that rows name.

    Rows are looked for in the database *using*, and where the routers put their models.
    """
    columns = [
        (model, field, storage_reference(field.storage))
        for model in registry.get_models()
        for field in model._meta.local_concrete_fields
        if isinstance(field, FileField)
    ]
    held: set[tuple[str, str]] = set()
    for model, field, reference in columns:
        names = sorted(name for storage, name in places if storage == reference)
        aliases = {using, router.db_for_write(model)} if names else set()
        for alias in filter(partial(router.allow_migrate_model, model=model), aliases):
            for start in range(0, len(names), _CHUNK):
                found = _names_in_column(model, field, names[start : start + _CHUNK], alias)
                held.update((reference, name) for name in found)
    return held


def _names_in_column(
    model: type[Model], field: FileField, names: list[str], alias: str
) -> set[str]:
    connection = transaction.get_connection(alias)
    rows = model._base_manager.using(alias).filter(**{f"{field.attname}__in": names})
    try:
        with transaction.atomic(alias) if connection.in_atomic_block else nullcontext():
            return set(rows.order_by().values_list(field.attname, flat=True).distinct())
    except Error:
        if model._meta.db_table in connection.introspection.table_names(include_views=True):
            raise
        return set()
