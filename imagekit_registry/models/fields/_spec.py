"""The field for images that are made of another field's image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Unpack, cast, overload
from weakref import ref

import attrs
import django
from django.core.exceptions import FieldDoesNotExist, ObjectDoesNotExist
from django.core.files.storage import Storage
from django.db import models
from django.db.models.fields.files import FieldFile
from django.db.models.signals import class_prepared

from imagekit_registry import cachefiles
from imagekit_registry.exceptions import (
    ImageKitError,
    InvalidArgumentType,
    InvalidConfiguration,
)
from imagekit_registry.processors import Processor
from imagekit_registry.registry import generator_registry, register
from imagekit_registry.specs import (
    FileAttributes,
    SpecHost,
    StoredFile,
    name_of,
    show_attributes,
)
from imagekit_registry.specs.sourcegroups import (
    ImageFieldSourceGroup,
    call_when_models_are_there,
    get_nonabstract_descendants,
)

if TYPE_CHECKING:
    from imagekit_registry.cachefiles import ImageCacheFile

_Namer = Callable[[Any], str]
_Storage = Storage | str | Callable[[], Storage]


def spec_fields_of(model: type[models.Model]) -> Iterator[ImageSpecField]:
    """Yield the image spec fields of *model*, its own and the inherited ones."""
    seen: set[str] = set()
    for cls in model.__mro__:
        for name, value in vars(cls).items():
            if isinstance(value, ImageSpecField) and name not in seen:
                yield value
            seen.add(name)


def call_when_prepared(
    model: type[models.Model], receiver: Callable[..., None], *, heirs: bool = False
) -> None:
    """Call *receiver* when *model* is complete; if it is, at once, and for what inherits from it.

    With *heirs* it is called for what inherits from the model later as well.
    """
    is_for_one = not heirs and not model._meta.abstract
    class_prepared.connect(receiver, sender=model if is_for_one else None)
    for cls in get_nonabstract_descendants(model):
        meta = cls._meta
        if meta.apps.all_models[meta.app_label].get(str(meta.model_name)) is cls:
            receiver(sender=cls)


# Where the source of a field is: in its own row, or in a related one, ``source="photo__image"``.


@cache
def steps(source: str) -> tuple[Sequence[str], str]:
    """Return the relations that lead to the row with a source, and the name of its image there."""
    *relations, name = source.split("__")
    return tuple(relations), name


@cache
def _no_image() -> StoredFile:
    """Return what stands for the image of a row that is not there: as empty as an empty field."""
    return StoredFile("")


def follow(instance: models.Model, source: str) -> Any:
    """Return the source that is called *source* from *instance*; one without a file if nothing is related."""
    row: Any = instance
    relations, name = steps(source)
    for relation in relations:
        try:
            row = getattr(row, relation)
        except ObjectDoesNotExist:
            row = None
        if row is None:
            return _no_image()
    return getattr(row, name)


def is_loaded(instance: models.Model, source: str) -> bool:
    """Return whether `follow` asks the database for nothing."""
    row: Any = instance
    relations, name = steps(source)
    for relation in relations:
        field: Any = row._meta.get_field(relation)
        if not field.is_cached(row):
            return False
        row = field.get_cached_value(row)
        if row is None:
            return True
    return name in row.__dict__


def related_model(model: type[models.Model], source: str) -> type[models.Model]:
    """Return the model of the row that has a source; *model* itself if no relation is named.

    Raises:
        InvalidConfiguration: It is not led to by relations to one row each.
    """
    for relation in steps(source)[0]:
        try:
            field: Any = model._meta.get_field(relation)
        except FieldDoesNotExist:
            raise InvalidConfiguration(f"{model._meta.label} has no {relation!r}") from None
        if not (field.many_to_one or field.one_to_one) or not isinstance(field.related_model, type):
            raise InvalidConfiguration(
                f"{model._meta.label}.{relation} is no relation to one row of a model"
            )
        model = field.related_model
    return model


def _nothing() -> None:
    return None


@attrs.define(eq=False, weakref_slot=False)
class _Memo:
    """The cache file of one instance, and all that it was made from; neither pickled nor copied."""

    owner: ref[models.Model]
    source: object
    source_name: str | None
    version: int
    file: ImageCacheFile

    def is_current(self, instance: models.Model, source: object) -> bool:
        return (
            source is self.source
            and name_of(source) == self.source_name
            and self.version == generator_registry.version
            # A copied instance starts with the memo of the one it was copied from.
            and self.owner() is instance
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (_nothing, ())


def _holds(instance: models.Model, name: str | None, source: object) -> bool:
    """Return whether *instance* has a file of its own under *name*: that of its field, untouched."""
    held = instance.__dict__.get(name or "")
    return isinstance(held, FieldFile) and held is source and held.instance is instance


def _peers_of(instance: models.Model) -> list[models.Model]:
    """Return the instances fetched together with this one, where Django keeps track of them."""
    state: Any = instance._state
    if django.VERSION < (6, 1) or not state.fetch_mode.track_peers:
        return []
    return [peer for reference in state.peers if (peer := reference()) is not None]


def _either(new: str, value: Any, old: str, old_value: Any) -> Any:
    """Return what was given under the new name of an argument, or under the old one."""
    if value is not None and old_value is not None:
        raise InvalidArgumentType(f"{old!r} is the old name of {new!r}; give only one of them.")
    return old_value if value is None else value


class ImageSpecField(SpecHost):
    """An image that is made of the image in another field of the model.

    It has no column and no place in migrations. On an instance it gives an `ImageCacheFile`; on the
    model, the field itself.

    Args:
        processors, format, options, autoconvert: As in `SpecAttributes`.
        source: The name of the image field; may be left out if the model has exactly one. That of a
            related row is named through the relation: ``"photo__image"``. The images are those of
            the related row then: of all of them, whether something relates to it or not.
        cachefile_storage, cachefile_backend, cachefile_strategy: As in `SpecAttributes`.
        spec: A spec, in place of attributes of one.
        id: The id under which the spec is registered; ``app:model:field`` if None.
        namer: As in `SpecAttributes`.
        image_field: Old name of *source*.
        image_cache_backend: Old name of *cachefile_backend*: validate, invalidate, clear.
        storage: Old name of *cachefile_storage*.
        cache_to: Old way to name files: a callable (instance, path, specname, extension).
        pre_cache: Old way to say that the file is made when its source is saved.
        **attributes: The other `SpecAttributes`.

    Raises:
        InvalidArgumentType: A spec is given together with attributes of one, or an argument
            together with its old name.

    Example:
        >>> class Photo(models.Model):
        ...     image = models.ImageField(upload_to="photos")
        ...     thumbnail = ImageSpecField([ResizeToFill(100, 60)], format="JPEG")
    """

    @show_attributes(FileAttributes)
    def __init__(
        self,
        processors: Sequence[Processor] | None = None,
        format: str | None = None,
        options: Mapping[str, object] | None = None,
        source: str | None = None,
        cachefile_storage: _Storage | None = None,
        autoconvert: bool | None = None,
        cachefile_backend: object = None,
        cachefile_strategy: object = None,
        spec: Callable[..., object] | None = None,
        id: str | None = None,
        *,
        namer: _Namer | str | None = None,
        image_field: str | None = None,
        image_cache_backend: object = None,
        storage: _Storage | None = None,
        cache_to: Callable[[Any, str, str, str], str] | str | None = None,
        pre_cache: bool | None = None,
        **attributes: Unpack[FileAttributes],
    ) -> None:
        self.source: str | None = _either("source", source, "image_field", image_field)
        naming = None if cache_to is None else cachefiles.namers.CacheTo(cache_to)
        strategy = cachefiles.strategies.EagerThenJustInTime if pre_cache else None
        super().__init__(
            spec,
            id,
            processors=processors,
            format=format,
            options=options,
            cachefile_storage=_either("cachefile_storage", cachefile_storage, "storage", storage),
            autoconvert=autoconvert,
            cachefile_backend=_either(
                "cachefile_backend", cachefile_backend, "image_cache_backend", image_cache_backend
            ),
            cachefile_strategy=_either(
                "cachefile_strategy", cachefile_strategy, "pre_cache", strategy
            ),
            namer=_either("namer", namer, "cache_to", naming),
            **attributes,
        )
        self.name = ""
        self.model: type[models.Model] | None = None
        # Under these names the state of an instance keeps the file, and one that was assigned.
        self._memo_name = self._given_name = ""
        #: The sources of the models that have one image field, if none is named.
        self._found: dict[type[models.Model], str] = {}

    # On the model.

    @property
    def relation(self) -> str:
        """What leads to the row with the source, as queries have it; empty for the own row."""
        return "__".join(steps(self.source or "")[0])

    def contribute_to_class(self, cls: type[models.Model], name: str) -> None:
        """Take a place on a model: register the spec, and feed it from the source's images."""
        self.name, self.model = name, cls
        self._memo_name, self._given_name = f"_imagekit_file_{name}", f"_imagekit_given_{name}"
        setattr(cls, name, self)
        self._set_spec_id(cls, name)
        if self.relation:
            call_when_prepared(cls, self._await_related)
        elif self.source:
            self._feed_from(cls, self.source)
        else:
            # The image field may come further down, or in a subclass of an abstract model.
            call_when_prepared(cls, self._find_source)

    def _await_related(self, sender: type[models.Model], **kwargs: object) -> None:
        if self in spec_fields_of(sender):
            # Which model it leads to is known when all models are.
            call_when_models_are_there(partial(self._feed_from_related, sender))

    def _feed_from_related(self, model: type[models.Model]) -> None:
        source = self.source_of(model)
        with suppress(InvalidConfiguration):  # told by the checks
            self._feed_from(related_model(model, source), steps(source)[1])

    def _find_source(self, sender: type[models.Model], **kwargs: object) -> None:
        if self in spec_fields_of(sender) and not self._known_source(sender):
            candidates = self._candidates(sender)
            if len(candidates) == 1:
                self._found[sender] = candidates[0]
                self._feed_from(sender, candidates[0])

    @staticmethod
    def _candidates(model: type[models.Model]) -> list[str]:
        return [f.attname for f in model._meta.fields if isinstance(f, models.ImageField)]

    def _feed_from(self, model: type[models.Model], source: str) -> None:
        register.source_group(str(self.spec_id), ImageFieldSourceGroup.shared(model, source))

    def _known_source(self, model: type[models.Model]) -> str | None:
        if self.source:
            return self.source
        return next((self._found[cls] for cls in model.__mro__ if cls in self._found), None)

    def source_of(self, model: type[models.Model]) -> str:
        """Return the name of what holds the source in instances of *model*, relations and all.

        Raises:
            InvalidConfiguration: None was given, and the model has no image field, or several.
        """
        if known := self._known_source(model):
            return known
        where, candidates = f"{model._meta.label}.{self.name}", self._candidates(model)
        raise InvalidConfiguration(
            f"{where} does not say which image to act on, and the model has several"
            f" ImageFields ({', '.join(candidates)}): name one with source=."
            if candidates
            else f"{where} has no image to act on: the model has no ImageField."
        )

    # On an instance.

    @overload
    def __get__(self, instance: None, owner: object) -> ImageSpecField: ...

    @overload
    def __get__(self, instance: models.Model, owner: object) -> ImageCacheFile: ...

    def __get__(
        self, instance: models.Model | None, owner: object = None
    ) -> ImageSpecField | ImageCacheFile:
        if instance is None:
            return self
        values = instance._state.__dict__
        if self._given_name in values:
            return cast("ImageCacheFile", values[self._given_name])
        memo: _Memo | None = values.get(self._memo_name)
        if memo is not None and _holds(instance, self.source, memo.source):
            source = memo.source
        else:
            # Asked for once: it may be a property that makes a query.
            source = follow(instance, self.source or self.source_of(type(instance)))
        if memo is not None and memo.is_current(instance, source):
            return memo.file
        file = self._build(instance, source)
        self._prefetch_peers(instance)
        return file

    def __set__(self, instance: models.Model, value: object) -> None:
        instance._state.__dict__[self._given_name] = value

    def __delete__(self, instance: models.Model) -> None:
        """Take back an assignment; the cache file is built anew when it is asked for."""
        instance._state.__dict__.pop(self._given_name, None)
        self.forget(instance)

    def forget(self, instance: models.Model) -> None:
        """Build the cache file of *instance* anew when it is asked for next."""
        instance._state.__dict__.pop(self._memo_name, None)

    def _build(self, instance: models.Model, source: object) -> ImageCacheFile:
        file = cachefiles.ImageCacheFile(self.get_spec(source=source))
        memo = _Memo(ref(instance), source, name_of(source), generator_registry.version, file)
        instance._state.__dict__[self._memo_name] = memo
        return file

    def _prefetch_peers(self, instance: models.Model) -> None:
        """Fetch the state of what was queried together with *instance*, in one round trip."""
        built = [instance]
        for peer in _peers_of(instance):
            values = peer._state.__dict__
            if peer is instance or self._given_name in values or values.get(self._memo_name):
                continue
            source_name = self.source_of(type(peer))
            if not is_loaded(peer, source_name):
                continue
            # Whoever asks the peer itself for its image is told.
            with suppress(ImageKitError):
                self._build(peer, follow(peer, source_name))
                built.append(peer)
        if len(built) > 1:
            # For all fields that were asked for so far: what is missing of them is made together.
            states = (vars(row._state).values() for row in built)
            memos = ([each for each in values if isinstance(each, _Memo)] for values in states)
            cachefiles.prefetch.fetch_together([memo.file for memo in row] for row in memos)

    def __repr__(self) -> str:
        label = self.model._meta.label if self.model else "?"
        return f"<{type(self).__name__}: {label}.{self.name}>"
