"""Objects that have a spec: they keep its id, and the registry keeps the spec."""

from __future__ import annotations

from contextlib import suppress
from types import FunctionType
from typing import Any

from imagekit_registry.exceptions import (
    AlreadyRegistered,
    InvalidArgumentType,
    MissingGeneratorId,
    NotRegistered,
)
from imagekit_registry.registry import generator_registry, register
from imagekit_registry.specs._spec import ImageSpec

__all__ = ["SpecHost", "create_spec_class"]


class _DynamicSpec(ImageSpec):
    """A spec made of keyword arguments; unpickled through the registry, by its id."""

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return (_restore, (self.spec_id,), self.__getstate__())


def _restore(spec_id: str) -> ImageSpec:
    registered = generator_registry.lookup(spec_id)
    if isinstance(registered, type) and issubclass(registered, ImageSpec):
        return registered.__new__(registered)
    raise NotRegistered(
        f"The spec {spec_id!r} was a class when it was pickled and no longer is; empty the cache"
        " that holds the pickled object."
    )


def create_spec_class(attributes: dict[str, Any]) -> type[ImageSpec]:
    """Return a subclass of `ImageSpec` with these class attributes.

    Raises:
        InvalidArgumentType: `ImageSpec` has no such attribute.
    """
    for name in attributes:
        if not hasattr(ImageSpec, name):
            raise InvalidArgumentType(f"An image spec has no attribute {name!r}.")
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
        **spec_attributes: Attributes of a spec, in place of *spec*; None counts as not given.

    Raises:
        InvalidArgumentType: Both a spec and attributes of one are given.

    Example:
        >>> host = SpecHost(processors=[ResizeToFill(50, 50)], spec_id="shop:small")
    """

    spec_id: str | None = None

    def __init__(
        self, spec: Any = None, spec_id: str | None = None, **spec_attributes: Any
    ) -> None:
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

    def get_spec(self, source: Any) -> Any:
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
