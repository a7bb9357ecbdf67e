"""Objects that have a spec: they keep its id, and the registry keeps the spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FunctionType
from typing import Any, Unpack

from imagekit_registry.exceptions import (
    AlreadyRegistered,
    InvalidArgumentType,
    MissingGeneratorId,
    NotRegistered,
)
from imagekit_registry.registry import generator_registry, register
from imagekit_registry.specs._attributes import SpecAttributes, check_attributes, show_attributes
from imagekit_registry.specs._spec import ImageSpec


class _DynamicSpec(ImageSpec):
    """A spec made of keyword arguments; unpickled through the registry, by its id."""

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
    members = {
        name: staticmethod(value) if isinstance(value, FunctionType) else value
        for name, value in attributes.items()
    }
    return type("DynamicSpec", (_DynamicSpec,), members)


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

    def set_spec_id(self, id: str) -> None:
        """Set the spec's id and register the spec under it.

        An id that is taken is left as it is: who registered it first wanted to replace this spec.
        """
        self.spec_id = id
        if self._original_spec:
            with suppress(AlreadyRegistered):
                register.generator(id, self._original_spec)

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
