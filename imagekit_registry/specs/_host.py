"""Objects that have a spec, such as fields: they take its attributes and keep its id; the registry keeps the spec."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any, Literal, TypedDict, TypeGuard, TypeVar, Unpack

from django.core.files.storage import Storage
from django.db import models

from imagekit_registry.exceptions import (
    AlreadyRegistered,
    InvalidArgumentType,
    MissingGeneratorId,
    NotCanonical,
    NotRegistered,
)
from imagekit_registry.imaging import Limits
from imagekit_registry.imaging.qualities import Quality
from imagekit_registry.processors import Processor
from imagekit_registry.registry import generator_registry, register, unregister
from imagekit_registry.specs._digest import canonical_text
from imagekit_registry.specs._picture import Picture
from imagekit_registry.specs._spec import ImageSpec

_Function = TypeVar("_Function", bound=Callable[..., None])


class FieldAttributes(TypedDict, total=False):
    """The attributes of a spec that every field takes, by name alone; see `SpecAttributes`."""

    auto_orient: bool | None
    color: Literal["srgb", "keep"] | None
    metadata: Literal["strip", "copyright", "rights", "keep"] | None
    animated: bool | None
    background: str | Sequence[int] | None
    limits: Limits | None
    decode_small: bool | None
    quality: Quality | None
    never_larger: bool | None
    skip_if: Literal["fits"] | None


class FileAttributes(FieldAttributes, total=False):
    """The attributes of a spec that fields of cache files take besides, by name alone."""

    fallback: object
    pending: str | None
    picture: Picture | None
    placeholder: object
    storage_headers: Mapping[str, str] | None
    url_provider: object


class SpecAttributes(FileAttributes, total=False):
    """The attributes of a spec, as a field takes them in place of a spec; None is the default.

    Args:
        processors: What is done to the image, in this order.
        format: Pillow's name of the format to write; by default the source's own; ``"auto"``: PNG
            if any part of the result is transparent, else JPEG.
        options: Options of Pillow's ``Image.save`` for the format, such as ``{"quality": 80}``.
        autoconvert: Whether the mode is converted to one that the format holds.
        auto_orient: Whether the EXIF orientation is applied before the processors.
        color: ``"srgb"`` converts embedded colour profiles, ``"keep"`` leaves them.
        metadata: What is kept of it: ``"strip"`` (nothing), ``"copyright"``, ``"rights"`` (that
            and the kind of source, in XMP too) or ``"keep"``.
        animated: Whether an animation stays one where the format can hold it.
        background: The colour under transparent parts where the format has no transparency; white
            by default.
        limits: Limits for this spec alone; by default those of the settings.
        decode_small: Whether the source may be decoded at a fraction of its size.
        quality: ``"low"``, ``"medium"``, ``"high"``, ``"max"``, 0 to 100, or a `Target`.
        never_larger: Whether a source that is smaller than the image, and shows the same, is taken.
        skip_if: ``"fits"``: a source that shows the same as the image is taken in any case.
        namer: What names the cache file: a callable or a dotted path.
        placeholder: What pages show until the image has loaded, such as ``"lqip"``.
        fallback: What stands in while there is no image, as ``IMAGEKIT_ON_ERROR`` has it.
        pending: What a page shows meanwhile, if others make the image: ``"source"``,
            ``"placeholder"``, ``"demand"`` or ``"wait:250ms"``.
        storage_headers: What an object storage sends with the file, by S3's names.
        url_provider: What gives the file's URL when it exists.
        cachefile_storage: Where the file lies: a storage, an alias, a dotted path.
        cachefile_backend: What makes the file, and knows its state.
        cachefile_strategy: What decides when it is made.
        picture: How ``{% picture %}`` offers the image.
    """

    processors: Sequence[Processor] | None
    format: str | None
    options: Mapping[str, object] | None
    autoconvert: bool | None
    namer: Callable[[Any], str] | str | None
    cachefile_storage: Storage | str | Callable[[], Storage] | None
    cachefile_backend: object
    cachefile_strategy: object


def check_attributes(attributes: Mapping[str, object]) -> None:
    """Check that a spec has attributes of these names.

    Raises:
        InvalidArgumentType: It has not.
    """
    known = SpecAttributes.__annotations__
    for name in attributes:
        if name not in known:
            raise InvalidArgumentType(
                f"An image spec has no attribute {name!r}. It has {', '.join(sorted(known))}."
            )


def split_attributes(arguments: Mapping[str, object]) -> tuple[FieldAttributes, dict[str, Any]]:
    """Return those of *arguments* that are for a field's spec, and those that are for Django."""
    names = FieldAttributes.__annotations__
    ours: Any = {name: value for name, value in arguments.items() if name in names}
    return ours, {name: value for name, value in arguments.items() if name not in names}


def show_attributes(attributes: type) -> Callable[[_Function], _Function]:
    """Let ``inspect.signature`` show the names in a typed dictionary before ``**attributes``."""

    def decorate(function: _Function) -> _Function:
        signature = inspect.signature(function)
        *named, others = signature.parameters.values()
        # As text, which the others are: to find out what it means takes a start longer than the rest.
        shown = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=kind.__forward_arg__,
            )
            for name, kind in attributes.__annotations__.items()
        ]
        shown_signature = signature.replace(parameters=[*named, *shown, others])
        function.__signature__ = shown_signature  # type: ignore[attr-defined]
        return function

    return decorate


#: The hosts' own specs in the registry: by id, the spec and what messages call its host.
_hosted: dict[str, tuple[object, str]] = {}


class _DynamicSpec(ImageSpec):
    """A spec made of keyword arguments; unpickled through the registry, by its id."""

    from_attributes: Mapping[str, object]

    def __reduce_ex__(self, protocol: object) -> tuple[object, ...]:
        return (_restore, (self.spec_id,), self.__getstate__())


def _restore(spec_id: str) -> ImageSpec:
    registered = generator_registry.lookup(spec_id)
    if isinstance(registered, type) and issubclass(registered, ImageSpec):
        return registered.__new__(registered)
    raise NotRegistered(
        f"The spec {spec_id!r} was a class when it was pickled and no longer is; empty the cache"
        " that holds the pickled object."
    )


def create_spec_class(attributes: Mapping[str, object]) -> type[ImageSpec]:
    """Return a subclass of `ImageSpec` with these class attributes.

    Raises:
        InvalidArgumentType: `ImageSpec` has no such attribute.
    """
    check_attributes(attributes)
    attributes = {
        # A generator expression gives what it has once.
        name: list(value) if isinstance(value, Iterator) else value
        for name, value in attributes.items()
    }
    members = {
        name: staticmethod(value) if isinstance(value, FunctionType) else value
        for name, value in attributes.items()
    }
    return type("DynamicSpec", (_DynamicSpec,), {**members, "from_attributes": attributes})


def is_made_of_arguments(spec: object) -> TypeGuard[type[_DynamicSpec]]:
    """Return whether *spec* is a class that a field has made of its arguments."""
    return isinstance(spec, type) and issubclass(spec, _DynamicSpec)


def _given(spec: object) -> object:
    return spec.from_attributes if is_made_of_arguments(spec) else spec


def _is_same_recipe(one: object, other: object) -> bool:
    mine, theirs = _given(one), _given(other)
    try:
        # A project's own processors are equal by what they hold, as in names of cache files.
        return mine == theirs or canonical_text(mine) == canonical_text(theirs)
    except NotCanonical:
        return False


class SpecHost:
    """Something that has a spec: a field, in most cases.

    It keeps the spec's id and asks the registry, so that a site can replace another app's spec by
    registering its own under the same id.

    Args:
        spec: A spec class, or any callable that takes ``source``.
        spec_id: The id to register it under; may be set later.
        **spec_attributes: `SpecAttributes`, in place of *spec*; None counts as not given.

    Raises:
        InvalidArgumentType: Both a spec and attributes of one are given, or what is none.

    Example:
        >>> host = SpecHost(processors=[ResizeToFill(50, 50)], spec_id="shop:small")
    """

    spec_id: str | None = None
    #: The id that the host would have had by its name, if another one had it before.
    taken_id: str | None = None

    @property
    def relation(self) -> str:
        """What leads from a row with the spec to the row with its source; empty if that is the same."""
        return ""

    @show_attributes(SpecAttributes)
    def __init__(
        self,
        spec: Callable[..., object] | None = None,
        spec_id: str | None = None,
        **spec_attributes: Unpack[SpecAttributes],
    ) -> None:
        check_attributes(spec_attributes)
        given = {name: value for name, value in spec_attributes.items() if value is not None}
        if given and spec:
            raise InvalidArgumentType(
                "Give either a spec or the attributes of one"
                f" ({', '.join(sorted(given))}), not both."
            )
        self._original_spec = create_spec_class(given) if given else spec
        if spec_id:
            self.set_spec_id(spec_id)

    def set_spec_id(self, id: str, owner: str = "") -> None:
        """Set the spec's id and register the spec under it.

        What a project has registered under the id is left as it is: it wanted to replace this spec.

        Args:
            id: The id.
            owner: What messages call this host. Who comes again under its name, as after a module
                is loaded anew, replaces its own spec.

        Raises:
            AlreadyRegistered: Another host has the id, for another recipe.
        """
        self.spec_id = id
        if not self._original_spec:
            return
        other = self.other_host_of(id)
        if other is not None and (not owner or other != owner):
            raise AlreadyRegistered(
                f"{owner or type(self).__name__} cannot have the spec id {id!r}: it is that of"
                f" {other or 'another field'}, whose recipe is another one. Give each an id of its"
                " own."
            )
        if other is not None:
            unregister.generator(id)
        if id not in generator_registry.get_ids():
            register.generator(id, self._original_spec)
            _hosted[id] = (self._original_spec, owner)
        elif _hosted.get(id) == (self._original_spec, ""):
            # Registered by this very host, when it had no name yet.
            _hosted[id] = (self._original_spec, owner)

    def _set_spec_id(self, model: type[models.Model], name: str) -> None:
        """Set the id of the spec of a model's field: the one that it was given, or one by its name.

        Two models of an app may have one name, if they are abstract. The second gets an id by its
        module, and the system checks tell of it.

        Args:
            model: The field's model.
            name: The field's name there.

        Raises:
            AlreadyRegistered: Another field was given the same id, for another recipe.
        """
        path, meta = f"{model.__module__}.{model.__qualname__}", model._meta
        owner = f"{path}.{name}"
        # An abstract model may lie outside of all apps.
        by_name = f"{meta.app_label or model.__module__}:{meta.object_name}:{name}".lower()
        spec_id = self.spec_id or by_name
        if not self.spec_id and self.other_host_of(spec_id) not in {None, owner}:
            self.taken_id, spec_id = spec_id, f"{meta.app_label}:{path}:{name}".lower()
        self.set_spec_id(spec_id, owner)

    def other_host_of(self, id: str) -> str | None:
        """Return the host whose own spec has an id that this one's spec cannot have, or None."""
        spec, owner = _hosted.get(id, (None, ""))
        if not (spec and self._original_spec) or id not in generator_registry.get_ids():
            return None
        is_theirs = generator_registry.lookup(id) is spec
        return owner if is_theirs and not _is_same_recipe(spec, self._original_spec) else None

    def get_spec(self, source: object) -> Any:
        """Return the spec that the registry has under this host's id.

        Args:
            source: The source image.

        Raises:
            MissingGeneratorId: This host has no id.
            NotRegistered: Nothing is registered under the id.
        """
        if not self.spec_id:
            raise MissingGeneratorId(
                f"{type(self).__name__} has no spec id. Give it one, or let a model field get its"
                " own by adding it to a model."
            )
        return generator_registry.get(self.spec_id, source=source)
