"""Options of an image, as easy-thumbnails has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagekit_registry.contrib.easy.conf import settings
from imagekit_registry.contrib.easy.exceptions import EasyThumbnailsError

__all__ = ["ThumbnailOptions", "number_of", "size_of"]


class ThumbnailOptions(dict[str, Any]):
    """Options with the defaults that the settings give.

    Example:
        >>> ThumbnailOptions(size=(100, 100))["quality"]
        85
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        defaults = {"quality": settings.THUMBNAIL_QUALITY, "subsampling": 2}
        for name, value in {**defaults, **(settings.THUMBNAIL_DEFAULT_OPTIONS or {})}.items():
            self.setdefault(name, value)


def size_of(options: Mapping[str, Any]) -> tuple[int, int]:
    """Return width and height in pixels, of which one may be 0: free.

    Raises:
        EasyThumbnailsError: Options have no size, or one that no image can have.
    """
    size = options.get("size")
    try:
        width, height = (int(side) for side in size or ())
    except (TypeError, ValueError):
        width = height = -1
    if min(width, height) < 0 or not (width or height):
        raise EasyThumbnailsError(
            f"The size {size!r} is none: give width and height in pixels, of which one may be 0,"
            " such as (100, 0)."
        )
    return width, height


def number_of(name: str, value: Any) -> int:
    """Return the number that an option gives.

    Raises:
        EasyThumbnailsError: It gives none.
    """
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        text = f"The option {name!r} must be a number, not {value!r}."
        raise EasyThumbnailsError(text) from None
