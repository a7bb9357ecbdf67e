"""The spec behind django-versatileimagefield's keys."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from imagekit_registry.contrib.versatile import conf
from imagekit_registry.contrib.versatile.exceptions import (
    InvalidFilter,
    InvalidSizeKey,
    MalformedSizedImageKey,
)
from imagekit_registry.contrib.versatile.registry import Point, versatileimagefield_registry
from imagekit_registry.exceptions import answer_or
from imagekit_registry.imaging.formats import extension_to_format
from imagekit_registry.processors import Processor
from imagekit_registry.specs import ImageSpec

__all__ = ["IMAGE_ID", "VersatileImage", "parse_size"]

IMAGE_ID = "versatile:image"
#: Options of the formats that have any, each with the setting that gives it.
_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "JPEG": {"quality": "jpeg_resize_quality", "progressive": "progressive_jpeg"},
    "WEBP": {"quality": "webp_resize_quality", "lossless": "lossless_webp"},
}
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})", re.ASCII)


class VersatileImage(ImageSpec):
    """An image by its key, in the format of its source; JPEG if the source's name tells none.

    Args:
        source: As for any spec.
        key: ``"crop__400x300"``, ``"filters__invert__url"`` or ``"filters__invert__thumbnail__100x100"``.
        ppoi: The point of interest, which a crop has in its middle, in fractions of the sides.

    Raises:
        InvalidSizeKey: The key is none, or names no sizer.
        InvalidFilter: It names no filter.
    """

    def __init__(self, source: object = None, *, key: str, ppoi: Any = (0.5, 0.5)) -> None:
        super().__init__(source)
        self.processors = _processors_for(key, (float(ppoi[0]), float(ppoi[1])))
        extension = posixpath.splitext(self.source_name or "")[1]
        format = answer_or("", extension_to_format, extension)
        if not format:
            self.format = "JPEG"
        self.options = _options_for(format or "JPEG")


def parse_size(size: str) -> tuple[int, int]:
    """Return width and height in pixels.

    Raises:
        MalformedSizedImageKey: *size* is not of the form ``"400x300"``.
    """
    found = _SIZE.fullmatch(str(size))
    if found is None:
        raise MalformedSizedImageKey(f"The size {size!r} is none. Write '400x300', in pixels.")
    return int(found[1]), int(found[2])


def _processors_for(key: str, ppoi: Point) -> list[Processor]:
    parts = key.split("__")
    processors: list[Processor] = []
    if parts[:1] == ["filters"]:
        name = "__".join(parts[1:2])
        if name not in versatileimagefield_registry.filters:
            known = ", ".join(sorted(versatileimagefield_registry.filters))
            raise InvalidFilter(f"There is no filter {name!r}. There are {known}.")
        processors += versatileimagefield_registry.filters[name]()
        parts = parts[2:]
    if parts == ["url"] and processors:
        return processors
    if len(parts) != 2 or parts[0] not in versatileimagefield_registry.sizers:
        known = ", ".join(sorted(versatileimagefield_registry.sizers))
        raise InvalidSizeKey(
            f"The key {key!r} is none. Write 'crop__400x300' or 'filters__invert__url'; there are"
            f" the sizers {known}."
        )
    sizer = versatileimagefield_registry.sizers[parts[0]]
    return [*processors, *sizer(*parse_size(parts[1]), ppoi)]


def _options_for(format: str) -> Mapping[str, object] | None:
    names = _OPTIONS.get(format)
    return names and _same(*((option, conf.get(setting)) for option, setting in names.items()))


@lru_cache(maxsize=16)
def _same(*pairs: tuple[str, object]) -> Mapping[str, object]:
    """Return a dict, the very same for the same settings: what is known of files hangs on it."""
    return dict(pairs)
