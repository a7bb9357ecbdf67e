"""Source groups: where sources come from, and when they come and go."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import Any, ClassVar
from weakref import ReferenceType, WeakKeyDictionary, ref

import attrs
from django.core.exceptions import FieldDoesNotExist
from django.core.files import File
from django.db import models, transaction
from django.db.models.fields.files import FieldFile, FileDescriptor
from django.db.models.signals import class_prepared, post_delete, post_save

from imagekit_registry.signals import source_deleted, source_saved

__all__ = ["ImageFieldSourceGroup", "get_nonabstract_descendants"]

#: Where an instance keeps the names of its sources as its row has them.
_LOADED = "_imagekit_loaded"
#: Where it keeps the names of fields that were given a new file since.
_FRESH = "_imagekit_fresh"


@attrs.define(eq=False)
class _Note:
    """What an instance knew of a field before a save, in case that is rolled back.

    Args:
        field_name: The name of the field.
        before: The source's name in the row; None if there was none, or it was not known.
        saved: The source's name that was saved.
        was_fresh: Whether the field had been given a new file.
        is_committed: Whether there is no way back.
    """

    field_name: str
    before: str | None
    saved: str | None
    was_fresh: bool
    is_committed: bool = False
    _pending: ReferenceType[_Pending] | None = None

    def announced(self) -> _Pending:
        """Return what the callbacks that wait for the commit keep."""
        pending = _Pending(self)
        self._pending = ref(pending)
        return pending

    @property
    def is_undone(self) -> bool:
        """Whether the save was rolled back."""
        return not self.is_committed and (self._pending is None or self._pending() is None)


@attrs.define(eq=False)
class _Pending:
    """Lives as long as callbacks wait for a commit: Django drops them on a rollback.

    It has no other word for that.
    """

    note: _Note


#: The notes of each instance, the oldest first, by what Django keeps of its state: instances without
#: a primary key cannot be keys, and copies of an instance have a state of their own.
_notes: WeakKeyDictionary[Any, tuple[_Note, ...]] = WeakKeyDictionary()


def get_nonabstract_descendants(model: type[models.Model]) -> Iterator[type[models.Model]]:
    """Yield *model*, unless it is abstract, and all models that derive from it."""
    if not model._meta.abstract:
        yield model
    for subclass in model.__subclasses__():
        yield from get_nonabstract_descendants(subclass)


class ImageFieldSourceGroup:
    """The images in one field of all instances of a model and its subclasses.

    From its making on, the group sends ``source_saved`` when the row of a new image is committed,
    and ``source_deleted`` when that of an image that is gone is. An image counts as new if its
    name differs from the one that was loaded, if it was uploaded since, or if it was written again
    under the same name. What was announced in a transaction that was rolled back is announced by the
    next save. A column that was left out of the query is not loaded to find out: if its
    image is replaced or its row deleted, nobody is told of the image that was there.

    Args:
        model_class: The model; its subclasses, proxies and, if it is abstract, everything that
            inherits from it count as well.
        image_field: The name of the field.

    Example:
        >>> group = ImageFieldSourceGroup(Photo, "image")
        >>> [source.name for source in group.files()]
        ['photos/bulldog.jpg']
    """

    _shared: ClassVar[dict[tuple[type[models.Model], str], ImageFieldSourceGroup]] = {}

    def __init__(self, model_class: type[models.Model], image_field: str) -> None:
        self.model_class = model_class
        self.image_field = image_field
        _watcher.add(self)

    @classmethod
    def shared(cls, model_class: type[models.Model], image_field: str) -> ImageFieldSourceGroup:
        """Return the one group that all spec fields with this source share."""
        key = (model_class, image_field)
        if key not in cls._shared:
            cls._shared[key] = cls(model_class, image_field)
        return cls._shared[key]

    def files(self) -> Iterator[FieldFile]:
        """Yield the image of every row that has one; rows are fetched in chunks."""
        for model in self._tables():
            for instance in self._rows(model).iterator(chunk_size=500):
                source = getattr(instance, self.image_field)
                if source:
                    yield source

    def is_told_of(self, source: Any) -> bool:
        """Return whether *source* is an image of this field, whose coming and going is announced."""
        field, instance = getattr(source, "field", None), getattr(source, "instance", None)
        return isinstance(instance, self.model_class) and (
            getattr(field, "attname", None) == self.image_field
        )

    def count(self) -> int:
        """Return how many images `files` yields, by one query for each table.

        It may be too large by rows whose image is a property that is empty.
        """
        return sum(self._rows(model).count() for model in self._tables())

    def _tables(self) -> Iterator[type[models.Model]]:
        """Yield the models whose rows are all rows, each once."""
        seen: set[type[models.Model]] = set()
        for model in get_nonabstract_descendants(self.model_class):
            if model._meta.concrete_model not in seen and not self._is_covered(model):
                seen.add(model)
                yield model

    def _rows(self, model: type[models.Model]) -> models.QuerySet[Any]:
        rows = model._base_manager.all()
        try:
            field = model._meta.get_field(self.image_field)
        except FieldDoesNotExist:
            # A property or another spec field: only the instance can tell.
            return rows
        rows = rows.exclude(**{self.image_field: ""})
        return rows.exclude(**{f"{self.image_field}__isnull": True}) if field.null else rows

    def _is_covered(self, model: type[models.Model]) -> bool:
        """Return whether a parent's table lists the rows of *model* already."""
        if model is self.model_class:
            return False
        if model._meta.proxy:
            return True
        return any(
            issubclass(parent, self.model_class) and not parent._meta.abstract
            for parent in model._meta.get_parent_list()
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.model_class._meta.label}.{self.image_field}>"


class _WatchedDescriptor(FileDescriptor):
    """Notes what is loaded into a source field, and whether it is given a new file.

    The name alone does not tell: a storage may put a new file in the place of an old one.
    """

    def __set__(self, instance: models.Model, value: Any) -> None:
        values, name = instance.__dict__, self.field.attname
        loaded = values.get(_LOADED)
        is_first = loaded is None or name not in loaded
        if isinstance(value, File) and not _is_from_row_of(instance, value):
            values[_FRESH] = values.get(_FRESH, frozenset()) | {name}
            if is_first:
                values[_LOADED] = {**(loaded or {}), name: None}
        elif is_first or isinstance(value, FieldFile):
            # Never changed in place: copies of the instance share what is there.
            values[_LOADED] = {**(loaded or {}), name: _name_of(value)}
            if not is_first and value.instance is not instance:
                _forget_undone(instance, name)
        super().__set__(instance, value)


def _forget_undone(instance: models.Model, name: str) -> None:
    """Forget what was rolled back: the row has been read since."""
    notes = _notes.get(instance._state)
    if notes:
        _notes[instance._state] = tuple(
            note for note in notes if note.field_name != name or not note.is_undone
        )


def _is_from_row_of(instance: models.Model, value: File[Any]) -> bool:
    """Return whether *value* is what the row of *instance* holds: its own file, or a newer load."""
    owner = getattr(value, "instance", None)
    return getattr(value, "_committed", False) and (
        owner is instance or (type(owner) is type(instance) and owner.pk == instance.pk)
    )


@cache
def _watched(descriptor_class: Any) -> type[Any]:
    name = f"Watched{descriptor_class.__name__}"
    return type(name, (_WatchedDescriptor, descriptor_class), {})


class _Watcher:
    """Connects to the signals of the models that have sources, and of no others."""

    def __init__(self) -> None:
        self._groups: list[ImageFieldSourceGroup] = []
        self._watched: dict[type[models.Model], tuple[str, ...]] = {}

    def add(self, group: ImageFieldSourceGroup) -> None:
        if not self._groups:
            class_prepared.connect(self._adopt, dispatch_uid="imagekit_registry.adopt")
        self._groups.append(group)
        for model in get_nonabstract_descendants(group.model_class):
            self._adopt(model)

    def _adopt(self, sender: type[models.Model], **kwargs: Any) -> None:
        names = {
            group.image_field for group in self._groups if issubclass(sender, group.model_class)
        }
        # While a class is being made its fields may be missing; it is adopted again at the end.
        watched = tuple(name for name in sorted(names) if _watch_attribute(sender, name))
        if not watched:
            return
        self._watched[sender] = watched
        post_save.connect(self._on_save, sender=sender, dispatch_uid="imagekit_registry.watch")
        post_delete.connect(self._on_delete, sender=sender, dispatch_uid="imagekit_registry.watch")

    def _on_save(
        self,
        sender: type[models.Model],
        instance: models.Model,
        created: bool,
        raw: bool,
        using: str,
        update_fields: frozenset[str] | None,
        **kwargs: Any,
    ) -> None:
        values = instance.__dict__
        loaded: dict[str, str | None] = dict(values.get(_LOADED, {}))
        fresh: frozenset[str] = values.get(_FRESH, frozenset())
        notes: list[_Note] = []
        for note in reversed(_notes.get(instance._state, ())):
            name = note.field_name
            if note.is_undone:
                loaded[name] = note.before
                if note.was_fresh and _name_of(values.get(name)) == note.saved:
                    fresh |= {name}
            elif not note.is_committed:
                notes.insert(0, note)
        for name in self._watched[sender]:
            if name not in values or (update_fields is not None and name not in update_fields):
                continue
            before, now = loaded.get(name), _name_of(values[name])
            loaded[name] = now
            if raw:
                continue
            is_gone = bool(before) and before != now and not created
            is_new = bool(now) and (created or name in fresh or before != now)
            if is_gone or is_new:
                note = _Note(name, before, now, name in fresh)
                pending = note.announced()
                notes.append(note)
                if is_gone:
                    self._announce(source_deleted, sender, instance, name, before, using, pending)
                if is_new:
                    self._announce(source_saved, sender, instance, name, now, using, pending)
            fresh -= {name}
        values[_LOADED], values[_FRESH] = loaded, fresh
        # Outside of a transaction everything is committed by now.
        _notes[instance._state] = tuple(note for note in notes if not note.is_committed)
        if not _notes[instance._state]:
            del _notes[instance._state]

    def _on_delete(
        self, sender: type[models.Model], instance: models.Model, using: str, **kwargs: Any
    ) -> None:
        for name in self._watched[sender]:
            source = _name_of(instance.__dict__.get(name))
            if source:
                self._announce(source_deleted, sender, instance, name, source, using, gone=True)

    def _announce(
        self,
        signal: Any,
        sender: type[models.Model],
        instance: models.Model,
        field_name: str,
        source_name: str | None,
        using: str,
        pending: _Pending | None = None,
        gone: bool = False,
    ) -> None:
        field: Any = sender._meta.get_field(field_name)
        # A file of its own: by the time of the commit the instance may hold another image.
        source = field.attr_class(instance, field, source_name)
        groups = [
            group
            for group in self._groups
            if group.image_field == field_name
            and issubclass(sender, group.model_class)
            # Django deletes a child's row and then its parent's, which holds the image.
            and not (gone and _belongs_to_parent(field, sender, group))
        ]
        for group in groups:
            transaction.on_commit(partial(_send, signal, group, source, pending), using=using)


def _watch_attribute(model: type[models.Model], name: str) -> bool:
    """Let the descriptor of a source field take notes; return whether there is one."""
    owner = next((cls for cls in model.__mro__ if name in vars(cls)), None)
    descriptor = vars(owner)[name] if owner is not None else None
    if not isinstance(descriptor, FileDescriptor):
        return False
    if not isinstance(descriptor, _WatchedDescriptor):
        watched: Any = _watched(type(descriptor))  # type: ignore[arg-type]
        setattr(owner, name, watched(descriptor.field))
    return True


def _belongs_to_parent(field: Any, model: type[models.Model], group: ImageFieldSourceGroup) -> bool:
    """Return whether the column lies in a parent's table, and *group* is told of the parent."""
    owner = field.model
    is_inherited = owner._meta.concrete_model is not model._meta.concrete_model
    return is_inherited and issubclass(owner, group.model_class)


def _send(
    signal: Any, group: ImageFieldSourceGroup, source: FieldFile, pending: _Pending | None
) -> None:
    if pending is not None:
        pending.note.is_committed = True
    signal.send(sender=group, source=source)


def _name_of(value: Any) -> str | None:
    name = value.name if isinstance(value, File) else value
    return name or None


_watcher = _Watcher()
