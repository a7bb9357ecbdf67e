"""Source groups: where sources come from, and when they come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model, QuerySet
from django.db.models.fields.files import FieldFile

from imagekit_registry.registry import SourceGroupFilesGenerator
from imagekit_registry.specs._rows import (
    get_nonabstract_descendants,
    iterate_rows,
    shares_rows,
)
from imagekit_registry.specs._watcher import Watcher

__all__ = [
    "ImageFieldSourceGroup",
    "SourceGroupFilesGenerator",
    "call_when_models_are_there",
    "get_nonabstract_descendants",
    "is_watched",
    "watch_all_images",
]


class ImageFieldSourceGroup:
    """The images in one field of all instances of a model and its subclasses.

    From its making on, the group sends ``source_saved`` when the row of a new image is committed,
    and ``source_deleted`` when that of an image that is gone is, whichever class of the row was
    saved: the model, a parent or a proxy. An image is new if its name is not the one that the row
    had, or if it was uploaded or written again. What was rolled back is announced by the next save.
    An image that a file field of any model still names is not gone: at the commit each of these
    columns is asked, by one query for all that rows have let go of, or one for each 500 names. An
    index on the column makes that cheap in a large table.

    Within a transaction ``source_written`` is sent as soon as the row is saved: the file may have
    been written over already.

    A column that was left out of the query is not loaded to find out: if its image is replaced or
    its row deleted, nobody is told of the image that was there.

    Args:
        model_class: The model; its subclasses, proxies and, if it is abstract, everything that
            inherits from it count as well.
        image_field: The name of the field.

    Example:
        >>> group = ImageFieldSourceGroup(Photo, "image")
        >>> [source.name for source in group.files()]
        ['photos/bulldog.jpg']
    """

    _shared: ClassVar[dict[tuple[type[Model], str], ImageFieldSourceGroup]] = {}

    def __init__(self, model_class: type[Model], image_field: str) -> None:
        self.model_class = model_class
        self.image_field = image_field
        _watcher.add(self)

    @classmethod
    def shared(cls, model_class: type[Model], image_field: str) -> ImageFieldSourceGroup:
        """Return the one group that all spec fields with this source share."""
        key = (model_class, image_field)
        return cls._shared.get(key) or cls._shared.setdefault(key, cls(*key))

    def files(self) -> Iterator[FieldFile]:
        """Yield the image of every row that has one; rows are fetched in pages, by their keys."""
        for model in self._tables():
            for instance in iterate_rows(self._rows(model)):
                if source := getattr(instance, self.image_field):
                    yield source

    def count(self) -> int:
        """Return how many images `files` yields, by one query for each table.

        It may be too large by rows whose image is a property that is empty.
        """
        return sum(self._rows(model).count() for model in self._tables())

    def is_told_of(self, source: object) -> bool:
        """Return whether *source* is an image of this field, whose coming and going is announced.

        It takes a query if the instance is a parent's: there may be a row of the model beside it.
        """
        if not isinstance(source, FieldFile) or source.field.attname != self.image_field:
            return False
        instance, model = source.instance, type(source.instance)
        return self.covers(model) or any(
            table._base_manager.using(instance._state.db).filter(pk=instance.pk).exists()
            for table in self._tables()
            if shares_rows(table, model)
        )

    def covers(self, model: type[Model]) -> bool:
        """Return whether every row of *model* is one of the group's."""
        is_own = issubclass(model, self.model_class)
        return is_own or any(shares_rows(model, table) for table in self._tables())

    def _tables(self) -> list[type[Model]]:
        """Return the models whose rows are all rows, each once."""
        found: list[type[Model]] = []
        # Parents come before their children, whose rows they list.
        for model in sorted(
            get_nonabstract_descendants(self.model_class), key=lambda m: len(m.__mro__)
        ):
            if not any(shares_rows(model, other) for other in found):
                found.append(model)
        return found

    def _rows(self, model: type[Model]) -> QuerySet[Model]:
        rows = model._base_manager.all()
        try:
            field = model._meta.get_field(self.image_field)
        except FieldDoesNotExist:
            # A property or another spec field: only the instance can tell.
            return rows
        rows = rows.exclude(**{self.image_field: ""})
        return rows.exclude(**{f"{self.image_field}__isnull": True}) if field.null else rows

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.model_class._meta.label}.{self.image_field}>"


_watcher = Watcher(ImageFieldSourceGroup)


def is_watched(model: type[Model], name: str) -> bool:
    """Return whether it is announced what becomes of the images in a field of *model*."""
    return _watcher.is_watched(model, name)


#: What is called when all models are there.
_awaited: list[Callable[[], object]] = []


def call_when_models_are_there(call: Callable[[], object]) -> None:
    """Call *call* when all models are loaded, by `watch_all_images`; at once if they are."""
    if apps.models_ready:
        call()
    else:
        _awaited.append(call)


def watch_all_images() -> None:
    """Announce what becomes of every image field, also where tags alone show its images."""
    _watcher.watch_all()
    while _awaited:
        _awaited.pop()()
