"""What all processors share: they are values, and subclasses of them may be written freely."""

from __future__ import annotations

from typing import Any, Self

__all__ = ["Processor"]


class Processor:
    """The base of the shipped processors.

    The shipped ones are frozen. A subclass that is no attrs class may set attributes in an
    ``__init__`` of its own, as an ordinary class does; it is compared by them.

    Example:
        >>> class Square(ResizeToFill):
        ...     def __init__(self, side):
        ...         super().__init__(side, side)
        ...         self.side = side
        >>> Square(50) == Square(50)
        True
    """

    #: Is the result for a smaller decode the smaller result?
    scale_invariant = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Free an ordinary subclass from what attrs made its base: frozen, equal by fields."""
        if "__attrs_attrs__" not in cls.__dict__ and "_is_free" not in cls.__dict__:
            _set_free(cls)
        return super().__new__(cls)


def _set_free(cls: type) -> None:
    type.__setattr__(cls, "_is_free", True)
    for name, method in _FREE_METHODS.items():
        owner = next(base for base in cls.__mro__ if name in vars(base))
        if "__attrs_attrs__" in vars(owner) or owner is object:
            type.__setattr__(cls, name, method)


def _equal(self: Any, other: object) -> Any:
    if type(self) is not type(other):
        return NotImplemented
    return vars(self) == vars(other)


def _hash(self: Any) -> int:
    # Attributes may be lists: the class must do.
    return hash(type(self))


def _repr(self: Any) -> str:
    state = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
    return f"{type(self).__name__}({state})"


_FREE_METHODS = {
    "__setattr__": object.__setattr__,
    "__delattr__": object.__delattr__,
    "__eq__": _equal,
    "__hash__": _hash,
    "__repr__": _repr,
}
