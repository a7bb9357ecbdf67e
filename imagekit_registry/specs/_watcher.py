"""Announces what becomes of the images of rows: when they are saved or deleted, and at the commit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import ImageField, Model
from django.db.models.fields.files import FieldFile
from django.db.models.signals import class_prepared, post_delete, post_save
from django.dispatch import Signal

from imagekit_registry import signals
from imagekit_registry.specs._rows import (
    Callback,
    LetGo,
    as_committed,
    get_nonabstract_descendants,
    known_of,
    name_in,
    note,
    owners,
    point_column,
    shares_rows,
    watch_descriptor,
)

if TYPE_CHECKING:
    from imagekit_registry.specs.sourcegroups import ImageFieldSourceGroup

_UID = "imagekit_registry.watch"
#: What is sent for all images together, once each has been announced.
_OF_MANY = {
    signals.source_deleted: signals.sources_deleted,
    signals.source_saved: signals.sources_saved,
}


class Watcher:
    """Connects to the signals of the models that have sources, and of no others.

    Args:
        kind: The class of the source groups: what makes that of an image of which no field makes
            anything.
    """

    def __init__(self, kind: type[ImageFieldSourceGroup]) -> None:
        self._kind = kind
        self._groups: list[ImageFieldSourceGroup] = []
        self._watched: dict[type[Model], set[str]] = {}
        self._watches_all = False
        #: Only the callbacks of the transaction hold them, so that a rollback forgets them.
        self._let_go: WeakValueDictionary[BaseDatabaseWrapper, LetGo] = WeakValueDictionary()

    def add(self, group: ImageFieldSourceGroup) -> None:
        """Have *group* tell what becomes of its images."""
        if not self._groups:
            class_prepared.connect(self._watch, dispatch_uid=_UID)
        self._groups.append(group)
        for model in get_nonabstract_descendants(group.model_class):
            self._watch(model)

    def watch_all(self) -> None:
        """Watch every image field, also of models that are yet to be made."""
        self._watches_all = True
        class_prepared.connect(self._watch, dispatch_uid=_UID)
        for model in apps.get_models():
            self._watch(model)

    def is_watched(self, model: type[Model], name: str) -> bool:
        """Return whether it is announced what becomes of the images in a field of *model*."""
        is_connected = name in self._watched.get(model, ())
        return is_connected and all(watch_descriptor(owner, name) for owner in owners(model, name))

    def _watch(self, sender: type[Model], **kwargs: object) -> None:
        """Watch the sources of a model, and whoever shares their columns: parents and proxies."""
        names = {g.image_field for g in self._groups if issubclass(sender, g.model_class)}
        # Models of migrations are made anew for each, and have no code of the project.
        if self._watches_all and sender.__module__ != "__fake__":
            fields = sender._meta.local_fields
            names.update(field.attname for field in fields if isinstance(field, ImageField))
        # A parent may be watched for another child.
        for name in names.union(*(self._watched.get(base, ()) for base in sender.__mro__)):
            # While a class is being made its fields may be missing; it is watched at the end.
            for owner in filter(partial(watch_descriptor, name=name), owners(sender, name)):
                for model in get_nonabstract_descendants(owner):
                    self._watched.setdefault(model, set()).add(name)
                    post_save.connect(self._on_save, model, dispatch_uid=_UID)
                    post_delete.connect(self._on_delete, model, dispatch_uid=_UID)

    def _on_save(
        self,
        sender: type[Model],
        instance: Model,
        created: bool = False,
        raw: bool = False,
        using: str = DEFAULT_DB_ALIAS,
        update_fields: frozenset[str] | None = None,
        **kwargs: object,
    ) -> None:
        # Projects send the signal themselves, too, and with less than Django does.
        for name in sorted(self._watched[sender].intersection(instance.__dict__)):
            saved = {name, point_column(sender, name)}
            if update_fields is not None:
                saved &= update_fields
            known = known_of(instance, name)
            source, given = known.name, known.version
            if name in saved:
                source, given = name_in(instance.__dict__[name]), known.given
            is_moved = bool(known.points) and saved != {name}
            if created or raw:
                # Known at once: if it is rolled back, the next save creates the row again.
                note(instance, name, name=source, version=given, points=())
            elif saved and (
                known.is_pending or is_moved or (source, given) != (known.name, known.version)
            ):
                note(instance, name, is_pending=True)
            else:
                continue
            if not raw:
                let_go = self._let_go_of(using, instance, name, known.name)
                if source and transaction.get_connection(using).in_atomic_block:
                    for group, file in self._told(instance, name, source):
                        signals.source_written.send(sender=group, source=file)
                told = partial(self._on_saved, instance, name, source, given, created, is_moved)
                self._at_commit(let_go, partial(told, let_go))

    def _let_go_of(self, using: str, instance: Model, field_name: str, name: str | None) -> LetGo:
        """Take note that a row may let go of an image when the transaction is committed."""
        connection = transaction.get_connection(using)
        let_go = self._let_go.get(connection)
        if let_go is None or let_go.asked:
            let_go = self._let_go[connection] = LetGo(using)
        if name:
            let_go.images.add((_file_field(instance, field_name), name))
        return let_go

    def _on_saved(
        self,
        instance: Model,
        field_name: str,
        name: str | None,
        version: int,
        created: bool,
        is_moved: bool,
        let_go: LetGo,
    ) -> None:
        """Note what was saved, now that it is committed, and announce what has changed by that."""
        before, former = known_of(instance, field_name), as_committed(instance, field_name)
        points = () if is_moved else before.points
        note(instance, field_name, name=name, version=version, is_pending=False, points=points)
        if before.name and before.name != name and not created:
            self._send(signals.source_deleted, let_go, former, field_name, before.name)
        if name and (created or (name, version) != (before.name, before.version)):
            self._send(signals.source_saved, let_go, instance, field_name, name)
        elif name and former is not instance and is_moved:
            for group, source in self._told(instance, field_name, name):
                signals.source_moved.send(
                    sender=group, source=source, former=type(source)(former, source.field, name)
                )

    def _on_delete(
        self,
        sender: type[Model],
        instance: Model,
        using: str = DEFAULT_DB_ALIAS,
        **kwargs: object,
    ) -> None:
        for field_name in sorted(self._watched[sender]):
            if name := name_in(instance.__dict__.get(field_name)):
                owner = sender._meta.get_field(field_name).model
                # Django deletes a child's row and then its parent's, which holds the image.
                later = None if shares_rows(owner, sender) else owner
                let_go = self._let_go_of(using, instance, field_name, name)
                row = as_committed(instance, field_name)
                send = partial(self._send, signals.source_deleted, let_go, row, field_name, name)
                self._at_commit(let_go, partial(send, later))

    def _at_commit(self, let_go: LetGo, announce: Callable[[], None]) -> None:
        """Call *announce* when the transaction is committed, and tell of all together after the last."""
        callback, connection = Callback(), transaction.get_connection(let_go.using)
        let_go.awaited.add(callback)

        def call() -> None:
            try:
                announce()
            except BaseException:
                # No other will be called.
                let_go.awaited.clear()
                raise
            finally:
                let_go.awaited.discard(callback)
                # Within a transaction, as `captureOnCommitCallbacks` calls some of all, none is the last.
                is_last = not let_go.awaited or connection.in_atomic_block
                for signal in _OF_MANY if is_last else ():
                    if sources := let_go.told.pop(signal, None):
                        _OF_MANY[signal].send(sender=self._kind, sources=sources)

        transaction.on_commit(call, using=let_go.using)

    def _send(
        self,
        signal: Signal,
        let_go: LetGo,
        instance: Model,
        field_name: str,
        name: str,
        later: type[Model] | None = None,
    ) -> None:
        """Tell the groups that have the image, but for those of which *later* is announced.

        That it is gone is told of none that a row still names.
        """
        is_gone = signal is signals.source_deleted
        if is_gone and let_go.is_held(_file_field(instance, field_name), name):
            return
        for group, source in self._told(instance, field_name, name):
            if not (later and group.covers(later)):
                let_go.told[signal].append((group, source))
                signal.send(sender=group, source=source, is_one_of_many=True)

    def _told(
        self, instance: Model, field_name: str, name: str
    ) -> list[tuple[ImageFieldSourceGroup, FieldFile]]:
        """Return the groups that have an image, each with a file of it."""
        field = _file_field(instance, field_name)
        # A file of its own: by the time of the commit the instance may hold another image.
        source = field.attr_class(instance, field, name)
        told = [group for group in self._groups if group.is_told_of(source)]
        # An image of which no field makes anything may be shown by tags.
        shown = told or [self._kind.shared(field.model, field_name)]
        return [(group, source) for group in shown]


def _file_field(instance: Model, name: str) -> Any:
    return instance._meta.get_field(name)
