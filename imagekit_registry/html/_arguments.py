"""Arguments of tags, as templates write them: dimensions, numbers, formats, flags; and a thumbnail's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

from imagekit_registry.cachefiles import ImageCacheFile, get_image
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidArgument, InvalidArgumentType, answer_or
from imagekit_registry.generatorlibrary import THUMBNAIL_ID
from imagekit_registry.imaging.formats import normalize_format
from imagekit_registry.imaging.qualities import QUALITIES
from imagekit_registry.specs import WEB_FORMATS

_DIMENSIONS = re.compile(r"\s*(\d{0,5})\s*x\s*(\d{0,5})\s*", re.ASCII)
_ONE_SIDE = re.compile(r"\s*([1-9]\d{0,4})\s*", re.ASCII)
#: Longest text of an argument that is looked at, in characters.
LONGEST = 50
#: Most device pixels to a CSS pixel.
DENSEST = 10
_MOST_NUMBERS = 20
_MOST_FORMATS = 10
_ON = frozenset(["1", "true", "yes", "on"])
_OFF = frozenset(["0", "false", "no", "off", ""])


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
    return _parse_dimensions(str(dimensions)[:LONGEST])


@lru_cache(maxsize=256)
def _parse_dimensions(text: str) -> tuple[int | None, int | None]:
    found = _DIMENSIONS.fullmatch(text)
    sides = [int(side) if side else None for side in found.groups()] if found else []
    if not any(sides) or 0 in sides:
        hint = "write '100x80', '100x' or 'x80', in pixels"
        if one := _ONE_SIDE.fullmatch(text):
            hint = f"write '{one[1]}x' for a width, 'x{one[1]}' for a height"
        elif any(sides):
            width, height = (side or "" for side in sides)
            hint = f"leave a side out to leave it free: '{width}x{height}'"
        raise InvalidArgument(f"The dimensions {text!r} are none: {hint}.")
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
            f" {most:g}, such as '2 3', not {str(value)[:LONGEST]!r}."
        )
    return numbers


def parse_quality(value: object) -> int | str | None:
    """Return a quality: a number, a word, or None for none.

    Args:
        value: One of these, or the text of a number.

    Raises:
        InvalidArgument: It is none.

    Example:
        >>> parse_quality("80"), parse_quality("high")
        (80, 'high')
    """
    if value is None:
        return None
    if str(value) in QUALITIES:
        return str(value)
    number: int = answer_or(0, lambda: round(float(value)))  # type: ignore[arg-type]
    if not 1 <= number <= 100:
        words = ", ".join(map(repr, QUALITIES))
        raise InvalidArgument(
            f"The argument 'quality' must be a number from 1 to 100, or one of {words}, not"
            f" {str(value)[:LONGEST]!r}."
        )
    return number


def parse_formats(value: object) -> tuple[str, ...]:
    """Return formats by Pillow's names.

    Args:
        value: Names of formats, a text of them, or None for none.

    Raises:
        InvalidArgument: One of them is no image format of the web, or they are too many.

    Example:
        >>> parse_formats("webp jpg")
        ('WEBP', 'JPEG')
    """
    names = _split(value, _MOST_FORMATS)
    formats = [normalize_format(name) if isinstance(name, str) else "" for name in names]
    if len(names) > _MOST_FORMATS or not set(formats) <= set(WEB_FORMATS):
        raise InvalidArgument(
            f"The argument 'formats' must be up to {_MOST_FORMATS} of {', '.join(WEB_FORMATS)},"
            f" such as 'AVIF WEBP', not {str(value)[:LONGEST]!r}."
        )
    return tuple(dict.fromkeys(formats))


def parse_flag(value: object, argument: str) -> object:
    """Return whether *value* says yes, if it is a text; else *value* itself.

    Args:
        value: A text such as ``"1"`` or ``"off"``, or what is no text.
        argument: What it is the argument for, for the message.

    Raises:
        InvalidArgument: It is a text that says neither yes nor no.
    """
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    if word not in _ON | _OFF:
        raise InvalidArgument(f"The argument {argument!r} must be 1 or 0, not {value[:50]!r}.")
    return word in _ON


class Thumbnail:
    """A thumbnail in any size.

    Args:
        args: The unnamed arguments of its tag.
        kwargs: The named ones, but for those that the tag keeps for itself.

    Raises:
        InvalidArgument: The dimensions or a flag make no sense.
        InvalidArgumentType: An argument is given twice, or is of the wrong type.
    """

    def __init__(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        *first, dimensions, source = args
        try:
            self.sides = parse_dimensions(dimensions)
        except InvalidArgument as error:
            if isinstance(source, str) and _DIMENSIONS.fullmatch(source[:LONGEST]):
                raise InvalidArgument(
                    f"The dimensions {source[:LONGEST]!r} are given after the source. Dimensions"
                    " come first: '100x80' photo.image."
                ) from error
            raise
        arguments = {**kwargs}
        for name in {"crop", "upscale"} & arguments.keys():
            arguments[name] = parse_flag(arguments[name], name)
        format = arguments.get("format")
        if format is not None and not isinstance(format, str):
            raise InvalidArgumentType(
                f"The argument 'format' must be the name of a format, not {format!r}."
            )
        for name in ("height", "source", "width"):
            if name in arguments:
                raise InvalidArgumentType(
                    f"The argument {name!r} of a thumbnail is given by name; it comes from the"
                    " unnamed ones."
                )
        named = arguments.pop("id", None)
        self.spec_id = first[0] if first else named or THUMBNAIL_ID
        self.srcset = arguments.pop("srcset", conf.DEFAULT_THUMBNAIL_SRCSET_SCALES)
        self.arguments = {**arguments, "source": source}

    def file(self, scale: float = 1) -> ImageCacheFile:
        """Return its file, in its own size or a multiple of that."""
        # Cut off, not rounded, as django-imagekit does.
        width, height = (side and (int(side * scale) or 1) for side in self.sides)
        return get_image(self.spec_id, width=width, height=height, **self.arguments)

    def scales(self) -> list[float]:
        """Return the densities of screens for which there are larger ones."""
        scales = parse_numbers(self.srcset, "srcset", DENSEST)
        return [scale for scale in dict.fromkeys(scales) if scale != 1]

    def for_densities(self) -> tuple[tuple[float, ImageCacheFile], ...]:
        """Return larger ones, for denser screens."""
        return tuple((scale, self.file(scale)) for scale in self.scales())
