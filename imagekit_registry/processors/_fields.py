"""Arguments of processors: made alike where they mean the same, refused where they mean nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypedDict, TypeGuard, TypeVar, Unpack

import attrs
from PIL import ImageColor

from imagekit_registry.exceptions import InvalidArgument, InvalidArgumentType, answer_or

T = TypeVar("T")

#: A colour as arguments give it: `#rrggbb`, a name, a grey, or red, green, blue and perhaps opacity.
Color = str | int | Sequence[int]
#: The longest side that common formats (JPEG, WebP and GIF among them) can hold.
LONGEST_SIDE = 65_535


class Options(TypedDict, total=False):
    """What else is said of a field."""

    default: object
    kw_only: bool


def checked(
    expected: str,
    is_kind: Callable[[object], bool],
    is_valid: Callable[[Any], bool] | None = None,
    *,
    optional: bool = False,
    converter: object = None,
    eq: object = True,
    **options: Unpack[Options],
) -> T:  # type: ignore[type-var]  # whatever the annotation says, as of attrs.field
    """Return a field for what is *expected*, as messages call it.

    Args:
        expected: What is right, in words.
        is_kind: Whether a value is of the right type, once it has been converted.
        is_valid: Whether one of the right type is right.
        optional: Whether None is right, too.
        converter: Of `attrs.field`, as are those that follow.
        eq: Likewise.
        **options: Likewise.
    """

    def check(instance: object, attribute: attrs.Attribute[object], value: object) -> None:
        if value is None and optional:
            return
        error: type[InvalidArgument | InvalidArgumentType] = InvalidArgument
        if not is_kind(value):
            error = InvalidArgumentType
        elif is_valid is None or is_valid(value):
            return
        raise error(
            f"{type(instance).__name__}: the argument {attribute.name!r} must be {expected},"
            f" not {value!r}."
        )

    return attrs.field(  # type: ignore[call-overload, no-any-return]
        validator=check, converter=converter, eq=eq, **options
    )


def is_number(value: object) -> TypeGuard[float]:
    """Return whether *value* is a number, which True and False are not here."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def side(
    *,
    optional: bool = False,
    least: int = 1,
    most: int = LONGEST_SIDE,
    noun: str = "a whole number",
    **options: Unpack[Options],
) -> int:
    """Return a field for a whole number, of pixels for example; 2.0 is the same recipe as 2."""
    return checked(
        f"{noun} from {least} to {most}{', or None' if optional else ''}",
        is_number,
        lambda value: value % 1 == 0 and least <= value <= most,
        optional=optional,
        converter=lambda value: (
            int(value) if isinstance(value, float) and value.is_integer() else value
        ),
        **options,
    )


def offset(**options: Unpack[Options]) -> int:
    """Return a field for a coordinate in pixels, of any sign, or None."""
    noun = "a whole number of pixels"
    return side(optional=True, least=-LONGEST_SIDE, noun=noun, **options)


def percent(most: int) -> int:
    """Return a field for per cents, none by default: of closeness up to 100, of zoom to 1000."""
    return side(least=0, most=most, default=0, kw_only=True)


def target() -> tuple[float, float] | None:
    """Return a field for a point in fractions of width and height, or None."""
    return checked(
        "a pair of numbers from 0 to 1, or None",
        lambda value: isinstance(value, tuple) and all(map(is_number, value)),
        lambda value: len(value) == 2 and all(0 <= part <= 1 for part in value),
        optional=True,
        converter=lambda value: tuple(value) if isinstance(value, list) else value,
        default=None,
        kw_only=True,
    )


def number(
    least: float, most: float, *, digits: int | None = None, **options: Unpack[Options]
) -> float:
    """Return a field for a number between two bounds, both included, rounded to some digits."""

    def convert(value: object) -> object:
        if not is_number(value):
            return value
        return float(value) if digits is None else round(float(value), digits)

    return checked(
        f"a number from {least:g} to {most:g}",
        is_number,
        lambda value: math.isfinite(value) and least <= value <= most,
        converter=convert,
        **options,
    )


def as_flag(value: object) -> object:
    """Return True or False for the 1 and 0 of templates, and all else as it is."""
    return bool(value) if isinstance(value, int | float) and value in {0, 1} else value


def flag(
    *, optional: bool = False, converter: object = as_flag, **options: Unpack[Options]
) -> bool:
    """Return a field for true or false."""
    return checked(
        "True or False",
        lambda value: isinstance(value, bool),
        optional=optional,
        converter=converter,
        **options,
    )


def color(*, optional: bool = False, **options: Unpack[Options]) -> Color:
    """Return a field for a colour, as `rgba` takes it; one colour is equal however it is written."""

    def convert(value: object) -> object:
        if isinstance(value, list):
            return tuple(value)
        return str.__str__(value) if isinstance(value, str) else value

    return checked(
        "a colour: '#rrggbb', a name, or 3 or 4 numbers from 0 to 255",
        lambda value: isinstance(value, str | tuple | int) and not isinstance(value, bool),
        lambda value: answer_or(None, rgba, value) is not None,
        optional=optional,
        converter=convert,
        eq=lambda value: None if value is None else rgba(value),
        **options,
    )


def rgba(value: Color) -> tuple[int, int, int, int]:
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
