"""The thumbnail that a tag asks for: its arguments, understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imagekit_registry.cachefiles import ImageCacheFile, get_image
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidArgument, InvalidArgumentType
from imagekit_registry.generatorlibrary import THUMBNAIL_ID
from imagekit_registry.html._arguments import (
    DENSEST,
    DIMENSIONS,
    LONGEST,
    parse_dimensions,
    parse_flag,
    parse_numbers,
)


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
            if isinstance(source, str) and DIMENSIONS.fullmatch(source[:LONGEST]):
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
