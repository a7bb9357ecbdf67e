"""Dimensions, scales, widths and formats as templates write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import Any

from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.imaging.formats import can_write, normalize_format

_DIMENSIONS = re.compile(r"\s*(\d{0,5})\s*x\s*(\d{0,5})\s*", re.ASCII)
_LONGEST = 50
_MOST_NUMBERS = 20
_MOST_FORMATS = 10
#: Formats that browsers show, with their media types.
_ON_THE_WEB = {
    "AVIF": "image/avif",
    "GIF": "image/gif",
    "HEIF": "image/heif",
    "JPEG": "image/jpeg",
    "JPEG2000": "image/jp2",
    "JXL": "image/jxl",
    "PNG": "image/png",
    "WEBP": "image/webp",
}


def parse_dimensions(dimensions: object) -> tuple[int | None, int | None]:
    """Return width and height, in pixels; None for a side that is left free.

    Args:
        dimensions: ``"100x80"``, ``"100x"`` or ``"x80"``.

    Raises:
        InvalidArgument: *dimensions* is something else, or names no side at all.

    Example:
        >>> parse_dimensions("100x")
        (100, None)
    """
    # Cut: what comes from a query string may be long, and is remembered.
    return _parse_dimensions(str(dimensions)[:_LONGEST])


@lru_cache(maxsize=256)
def _parse_dimensions(text: str) -> tuple[int | None, int | None]:
    found = _DIMENSIONS.fullmatch(text)
    sides = [int(side) if side else None for side in found.groups()] if found else []
    if not any(sides) or 0 in sides:
        raise InvalidArgument(
            f"The dimensions {text!r} are none: write '100x80', '100x' or 'x80', in pixels."
        )
    return sides[0], sides[1]


def _split(value: object, most: int) -> list[Any]:
    """Return what is in a list, or in a text with blanks between the parts."""
    if value is None:
        return []
    parts = value.replace(",", " ").split() if isinstance(value, str) else value
    # One more than there may be: the list may be endless.
    return list(islice(parts, most + 1)) if isinstance(parts, Iterable) else [parts]


def parse_numbers(value: object, argument: str, most: float) -> list[float]:
    """Return the numbers of a list, or of a text with blanks between them.

    Args:
        value: Numbers, a text of them, or None for none.
        argument: What they are the argument for, for the message.
        most: The largest that makes sense.

    Raises:
        InvalidArgument: One of them is no number above 0 and up to *most*, or they are too many.

    Example:
        >>> parse_numbers("1.5 2", "srcset", 10)
        [1.5, 2.0]
    """
    try:
        numbers = [float(part) for part in _split(value, _MOST_NUMBERS)]
    except (TypeError, ValueError, OverflowError):
        numbers = [0.0]
    if len(numbers) > _MOST_NUMBERS or not all(0 < number <= most for number in numbers):
        raise InvalidArgument(
            f"The argument {argument!r} must be up to {_MOST_NUMBERS} numbers above 0 and up to"
            f" {most:g}, such as '2 3', not {str(value)[:_LONGEST]!r}."
        )
    return numbers


def parse_formats(value: object) -> list[tuple[str, str]]:
    """Return formats with their media types; those that cannot be written here are left out.

    Args:
        value: Names of formats, a text of them, or None for none.

    Raises:
        InvalidArgument: One of them is no image format of the web, or they are too many.

    Example:
        >>> parse_formats("webp jpg")
        [('WEBP', 'image/webp'), ('JPEG', 'image/jpeg')]
    """
    names = _split(value, _MOST_FORMATS)
    formats: dict[str, str] = {}
    for name in names:
        format = normalize_format(name) if isinstance(name, str) else ""
        if format not in _ON_THE_WEB or len(names) > _MOST_FORMATS:
            raise InvalidArgument(
                f"The argument 'formats' must be up to {_MOST_FORMATS} of"
                f" {', '.join(_ON_THE_WEB)}, such as 'AVIF WEBP', not {str(value)[:_LONGEST]!r}."
            )
        if can_write(format):
            formats[format] = _ON_THE_WEB[format]
    return list(formats.items())
