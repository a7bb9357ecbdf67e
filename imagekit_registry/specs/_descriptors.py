"""Descriptors of image fields that note what their instances know of the images."""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import Any, NamedTuple

from django.core.files import File
from django.db import transaction
from django.db.models import Model
from django.db.models.fields.files import FieldFile, FileDescriptor

from imagekit_registry.specs._sources import point_column


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
    known = known_of(instance, field_name)._replace(**changes)
    state = instance._state.__dict__
    state[_KNOWN] = {**state.get(_KNOWN, {}), field_name: known}


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


def _is_from_row_of(instance: Model, value: File[Any]) -> bool:
    """Return whether *value* is what the row of *instance* holds: its own file, or a newer load."""
    if not isinstance(value, FieldFile) or not getattr(value, "_committed", False):
        return False
    owner, pk = value.instance, instance.pk
    return owner is instance or (type(owner) is type(instance) and owner.pk == pk is not None)
