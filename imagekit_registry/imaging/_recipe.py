"""The recipe: everything that decides what comes out of a source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import attrs

from imagekit_registry.exceptions import InvalidArgument

from .formats import normalize_format

__all__ = ["Recipe"]

_NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


def _tuple(value: Iterable[Any] | None) -> tuple[Any, ...]:
    return tuple(value or ())


def _options(value: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return MappingProxyType(dict(value or {}))


def _format(value: str | None) -> str | None:
    return normalize_format(value) if value else None


def _one_of(*allowed: str) -> Any:
    def check(_instance: object, attribute: attrs.Attribute[str], value: str) -> None:
        if value not in allowed:
            names = " or ".join(repr(name) for name in allowed)
            raise InvalidArgument(f"{attribute.name} must be {names}, not {value!r}")

    return check


@attrs.frozen
class Recipe:
    """What to make of a source image.

    Args:
        processors: Objects with ``process(image)``, applied in this order.
        format: Pillow's name of the format to write; None for that of the source.
        options: Pillow's save options for that format.
        autoconvert: Whether colours are converted to a mode that the format can hold.
        auto_orient: Whether the camera's orientation tag is applied (and dropped) first.
        color: ``'srgb'`` converts an embedded profile to sRGB; ``'keep'`` keeps it and its values.
        metadata: ``'strip'``, ``'keep'`` or ``'copyright'`` (artist and copyright only).
        animated: Whether all frames are kept where the format can hold them.
        background: Colour under transparent pixels where the format has no alpha; None: white.
        decode_small: Whether a source may be decoded at a smaller scale where quality allows.

    Raises:
        InvalidArgument: *color* or *metadata* has another value.

    Example:
        >>> Recipe(format="jpg").format
        'JPEG'
    """

    processors: tuple[Any, ...] = attrs.field(default=(), converter=_tuple)
    format: str | None = attrs.field(default=None, converter=_format)
    options: Mapping[str, Any] = attrs.field(default=_NO_OPTIONS, converter=_options)
    autoconvert: bool = True
    auto_orient: bool = True
    color: Literal["srgb", "keep"] = attrs.field(default="srgb", validator=_one_of("srgb", "keep"))
    metadata: Literal["strip", "keep", "copyright"] = attrs.field(
        default="strip", validator=_one_of("strip", "keep", "copyright")
    )
    animated: bool = True
    background: Any = None
    decode_small: bool = True
