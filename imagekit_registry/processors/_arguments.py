"""Arguments of processors: made alike where they mean the same, refused where they mean nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import attrs
from PIL import ImageColor

from imagekit_registry.exceptions import InvalidArgument, InvalidArgumentType

__all__ = [
    "LONGEST_SIDE",
    "Color",
    "choice",
    "color",
    "flag",
    "fraction",
    "number",
    "offset",
    "rgba",
    "side",
]

#: A colour as arguments give it: `#rrggbb`, a name, a grey, or red, green, blue and perhaps opacity.
Color = str | int | Sequence[int]
#: The longest side that common formats (JPEG, WebP and GIF among them) can hold.
LONGEST_SIDE = 65_535


def _refuse(
    instance: Any, attribute: attrs.Attribute[Any], expected: str, value: Any, *, kind: bool = False
) -> None:
    error = InvalidArgumentType if kind else InvalidArgument
    raise error(
        f"{type(instance).__name__}: the argument {attribute.name!r} must be {expected},"
        f" not {value!r}."
    )


def _whole(value: Any) -> Any:
    """Turn 2.0 into 2: both name the same recipe."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _plain_float(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else value


def side(
    *, optional: bool = False, least: int = 1, most: int = LONGEST_SIDE, **options: Any
) -> Any:
    """Return a field for a whole number, of pixels for example."""
    return _whole_number("a whole number", least, most, optional, **options)


def offset(**options: Any) -> Any:
    """Return a field for a coordinate in pixels, of any sign, or None."""
    return _whole_number("a whole number of pixels", -LONGEST_SIDE, LONGEST_SIDE, True, **options)


def _whole_number(noun: str, least: int, most: int, optional: bool, **options: Any) -> Any:
    expected = f"{noun} from {least} to {most}{', or None' if optional else ''}"

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is None and optional:
            return
        if not isinstance(value, int) or isinstance(value, bool):
            _refuse(instance, attribute, expected, value, kind=not isinstance(value, float))
        elif not least <= value <= most:
            _refuse(instance, attribute, expected, value)

    return attrs.field(converter=_whole, validator=check, **options)


def number(least: float, most: float, **options: Any) -> Any:
    """Return a field for a number between two bounds, both included."""
    expected = f"a number from {least:g} to {most:g}"

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not isinstance(value, float):
            _refuse(instance, attribute, expected, value, kind=True)
        elif not math.isfinite(value) or not least <= value <= most:
            _refuse(instance, attribute, expected, value)

    return attrs.field(converter=_plain_float, validator=check, **options)


def fraction(**options: Any) -> Any:
    """Return a field for a number from 0 to 1."""
    return number(0, 1, **options)


def flag(*, optional: bool = False, **options: Any) -> Any:
    """Return a field for true or false; templates write 1 and 0."""

    def convert(value: Any) -> Any:
        return bool(value) if isinstance(value, int | float) and value in {0, 1} else value

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not (isinstance(value, bool) or (optional and value is None)):
            _refuse(instance, attribute, "True or False", value, kind=True)

    return attrs.field(converter=convert, validator=check, **options)


def _plain_color(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return str.__str__(value) if isinstance(value, str) else value


def color(*, optional: bool = False, **options: Any) -> Any:
    """Return a field for a colour, as `rgba` takes it; one colour is equal however it is written."""
    expected = "a colour: '#rrggbb', a name, or 3 or 4 numbers from 0 to 255"

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is None and optional:
            return
        if not isinstance(value, str | tuple | int) or isinstance(value, bool):
            _refuse(instance, attribute, expected, value, kind=True)
        try:
            rgba(value)
        except (ValueError, TypeError):
            _refuse(instance, attribute, expected, value)

    def key(value: Any) -> Any:
        return None if value is None else rgba(value)

    return attrs.field(converter=_plain_color, validator=check, eq=key, **options)


def choice(choices: tuple[Any, ...], **options: Any) -> Any:
    """Return a field for one of a few values."""
    expected = f"one of {', '.join(map(repr, choices))}"

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value not in choices:
            _refuse(instance, attribute, expected, value)

    return attrs.field(validator=check, **options)


def rgba(value: Any) -> tuple[int, int, int, int]:
    """Return a colour as red, green, blue and opacity, each from 0 to 255.

    Raises:
        ValueError: *value* is no colour.
    """
    parts: tuple[int, ...]
    if isinstance(value, str):
        parts = ImageColor.getrgb(value)
    elif isinstance(value, int):
        parts = (value, value, value)
    else:
        parts = tuple(int(part) for part in value)
    if len(parts) not in {3, 4} or not all(0 <= part <= 255 for part in parts):
        raise ValueError(f"{value!r} is no colour")
    red, green, blue, *rest = parts
    return red, green, blue, rest[0] if rest else 255
