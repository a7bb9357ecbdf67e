"""Rows: all of a table, which images they still name, and what their instances know of these."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import nullcontext
from copy import copy
from functools import cache, partial
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar
from weakref import WeakSet

import attrs
from django.apps.registry import Apps
from django.core.files import File
from django.db import Error, router, transaction
from django.db.models import FileField, Model, QuerySet
from django.db.models.fields.files import FieldFile, FileDescriptor
from django.dispatch import Signal

from imagekit_registry._loading import storage_reference
from imagekit_registry.processors.anchors import FocalPoint

#: Names that one query asks for, and rows.
_CHUNK = 500

_logger = logging.getLogger("imagekit_registry.specs")

M = TypeVar("M", bound=Model)
T = TypeVar("T")


def get_nonabstract_descendants(model: type[Model]) -> Iterator[type[Model]]:
    """Yield *model*, unless it is abstract, and all models that derive from it."""
    if not model._meta.abstract:
        yield model
    for subclass in model.__subclasses__():
        yield from get_nonabstract_descendants(subclass)


def shares_rows(model: type[Model], other: type[Model]) -> bool:
    """Return whether every row of *model* is one of *other*: it, a parent, or a proxy of these."""
    return issubclass(model._meta.concrete_model or model, other._meta.concrete_model or other)


def iterate_rows(
    rows: QuerySet[M, T], key: Callable[[T], object] = attrgetter("pk")
) -> Iterator[T]:
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
    _held: set[tuple[FileField, str]] = attrs.field(factory=set, init=False)

    def is_held(self, field: FileField, name: str) -> bool:
        """Return whether a row of any model still names an image of *field*; in doubt it does."""
        self.images.add((field, name))
        unknown = self.images - self.asked
        if unknown:
            self.asked |= unknown
            try:
                self._held |= _held_by_rows(unknown, self.using, field.model._meta.apps)
            except Error as error:
                _logger.warning("What was made of %r stays: %s", name, error)
                self._held |= unknown
        return (field, name) in self._held


def _held_by_rows(
    images: Set[tuple[FileField, str]], using: str, registry: Apps
) -> set[tuple[FileField, str]]:
    """Return those of *images*, fields with names, that rows name: of any field of the same storage.

    Rows are looked for in the database *using*, and where the routers put their models.
    """
    places = {(field, name): (storage_reference(field.storage), name) for field, name in images}
    columns = [
        (model, field, storage_reference(field.storage))
        for model in registry.get_models()
        for field in model._meta.local_concrete_fields
        if isinstance(field, FileField)
    ]
    held: set[tuple[str, str]] = set()
    for model, field, reference in columns:
        names = sorted({name for storage, name in places.values() if storage == reference})
        aliases = {using, router.db_for_write(model)} if names else set()
        for alias in filter(partial(router.allow_migrate_model, model=model), aliases):
            for start in range(0, len(names), _CHUNK):
                found = _names_in_column(model, field, names[start : start + _CHUNK], alias)
                held.update((reference, name) for name in found)
    return {image for image, place in places.items() if place in held}


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


class Known(NamedTuple):
    """What an instance knows of one of its source fields."""

    name: str | None = None  # The source's name in the committed row, if there is one and known.
    version: int = 0  # Which of the files that the field was given is the content of that source.
    given: int = 0  # How many new files the field was given: the version of what it holds now.
    is_pending: bool = False  # Whether something else was saved since, which may be rolled back.
    points: tuple[object, ...] = ()  # The focal point in the committed row, if it was moved since.


_NOTHING = Known()
#: Where the state of an instance keeps what it knows, by field. Never changed in place: copies share
#: it. Its ``__dict__`` holds what a constructor takes.
_KNOWN = "_imagekit_sources"


def known_of(instance: Model, field_name: str) -> Known:
    """Return what *instance* knows of a source field."""
    known: dict[str, Known] = instance._state.__dict__.get(_KNOWN, {})
    return known.get(field_name, _NOTHING)


def note(instance: Model, field_name: str, **changes: Any) -> None:
    """Change what *instance* knows of a source field."""
    state = instance._state.__dict__
    known: dict[str, Known] = state.get(_KNOWN, {})
    state[_KNOWN] = {**known, field_name: known.get(field_name, _NOTHING)._replace(**changes)}


def note_moved_point(instance: Model, image_field: str, before: object) -> None:
    """Have the next save of *instance* announce that the focal point of its image is another one."""
    if not known_of(instance, image_field).points:
        note(instance, image_field, points=(before,))


def as_committed(instance: Model, field_name: str) -> Model:
    """Return *instance* with the focal point that its committed row has for an image."""
    column, points = point_column(type(instance), field_name), known_of(instance, field_name).points
    if column is None or not points:
        return instance
    row = copy(instance)
    row.__dict__[column] = points[0]
    return row


def name_in(value: Any) -> str | None:
    """Return the name of the file that a field has as its value; None if it has none."""
    return (value.name if isinstance(value, File) else value) or None


class _WatchedDescriptor(FileDescriptor):
    """Notes what is loaded into a source field, and whether it is given a new file.

    The name alone does not tell: a storage may put a new file in the place of an old one.
    """

    def __set__(self, instance: Model, value: Any) -> None:
        field_name, name = self.field.attname, name_in(value)
        known = known_of(instance, field_name)
        if isinstance(value, File) and not _is_from_row_of(instance, value):
            note(instance, field_name, given=known.given + 1)
        elif known is _NOTHING:
            note(instance, field_name, name=name)
        elif isinstance(value, FieldFile):
            if value.instance is not instance:
                row = {"name": name, "version": known.given, "is_pending": False}
                connection = transaction.get_connection(value.instance._state.db)
                if connection.in_atomic_block:
                    # The row that was read again may hold what a transaction is yet to commit.
                    connection.on_commit(partial(note, instance, field_name, **row))
                else:
                    note(instance, field_name, **row)
        elif name != name_in(instance.__dict__.get(field_name)):
            note(instance, field_name, given=known.version)
        super().__set__(instance, value)


def owners(model: type[Model], name: str) -> list[type[Model]]:
    """Return the classes of a row of *model* that have something under *name* of their own."""
    models = (cls for cls in model.__mro__ if name in vars(cls) and issubclass(cls, Model))
    return [cls for cls in models if not cls._meta.abstract]


def watch_descriptor(owner: type[Model], name: str) -> bool:
    """Watch what is put into a file field; return False if something else has taken its place.

    Others, such as the field trackers of django-model-utils, have a ``descriptor`` inside of theirs.
    """
    holder, attribute, descriptor = owner, name, vars(owner)[name]
    while not isinstance(descriptor, FileDescriptor):
        holder, attribute = descriptor, "descriptor"
        descriptor = getattr(holder, attribute, None)
        if descriptor is None:
            return False
    if not isinstance(descriptor, _WatchedDescriptor):
        watched = copy(descriptor)
        watched.__class__ = type("_Watched", (_WatchedDescriptor, type(descriptor)), {})
        setattr(holder, attribute, watched)
    return True


def _is_from_row_of(instance: Model, value: File[bytes]) -> bool:
    """Return whether *value* is what the row of *instance* holds: its own file, or a newer load."""
    if not isinstance(value, FieldFile) or not getattr(value, "_committed", False):
        return False
    owner, pk = value.instance, instance.pk
    is_same_row = type(owner) is type(instance) and owner.pk == pk is not None
    # Who saved the row without its image still has that image, which the row does not.
    is_in_row = known_of(owner, value.field.attname).name == value.name
    return owner is instance or (is_same_row and is_in_row)


#: The columns that hold the focal points of image fields, by model and the field's name.
_points: dict[tuple[type[Model], str], str] = {}


def keep_points_in(model: type[Model], image_field: str, column: str) -> None:
    """Take note that instances of *model* hold the focal point of an image in an attribute."""
    _points[model, image_field] = column
    point_column.cache_clear()


@cache
def point_column(model: type[Model], image_field: str) -> str | None:
    """Return the attribute of a row that holds the focal point of its image; None without one."""
    keys = ((cls, image_field) for cls in model.__mro__)
    return next((_points[key] for key in keys if key in _points), None)


def point_of(source: object) -> FocalPoint | None:
    """Return the focal point of *source*, as its row has it; None if it has none.

    What is only the name of a file has no row, and so no point.
    """
    if not isinstance(source, FieldFile):
        return None
    column = point_column(type(source.instance), source.field.attname)
    value = None if column is None else getattr(source.instance, column)
    # A field of another kind may give a pair of fractions.
    value = FocalPoint(*value) if isinstance(value, tuple) else value
    return value if isinstance(value, FocalPoint) else None
