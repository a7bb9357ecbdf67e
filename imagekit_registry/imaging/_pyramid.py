"""One decoded image at several sizes, so that small results do not each start from the largest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from PIL import Image

from imagekit_registry.processors import ProcessorPipeline

from ._plan import OUR_MODULES, RENDITION_SAFETY, SAFETY, Size
from ._shrink import fit_extent, reduce_by

__all__ = ["Pyramid"]

#: Modes that can be averaged without looking at what their values mean.
_SMOOTH = ("CMYK", "L", "LA", "LAB", "RGB", "RGBA", "YCbCr")


class Pyramid:
    """An image and smaller versions of it, each made when it is first asked for.

    Args:
        image: The largest version.
    """

    def __init__(self, image: Image.Image) -> None:
        self._levels = [image]
        self._renditions: list[Image.Image] = []

    def least(self, needed: Size | None) -> Image.Image:
        """Return the smallest version that is large enough to be scaled to *needed* (in pixels).

        Args:
            needed: None for the largest version.
        """
        if needed is None:
            return self._levels[0]
        minimum, close = _scaled(needed, SAFETY), _scaled(needed, RENDITION_SAFETY)
        fitting = [image for image in self._renditions if _covers(image.size, close)]
        fitting += [level for level in self._levels if _covers(level.size, minimum)]
        least = min(fitting, key=_area, default=self._levels[0])
        while least.mode in _SMOOTH and _covers(_half(least.size), minimum):
            extent = least.size[0] / 2, least.size[1] / 2
            least = fit_extent(reduce_by(least, 2), extent)
            self._levels.append(least)
        return least

    def offer(self, processors: Sequence[Any], source_size: Size, result: Image.Image) -> None:
        """Keep a rendition that is nothing but the whole source at another size.

        Args:
            processors: What made it. Only one of our own resizers is known to add nothing of its
                own, and only if it asks for as many pixels as it gives, it has cropped nothing.
            source_size: The size of a full decode, in pixels.
            result: What they made.
        """
        if len(processors) != 1 or not type(processors[0]).__module__.startswith(OUR_MODULES):
            return
        needed = ProcessorPipeline(processors).required_size(source_size)
        if needed is None or result.mode != self._levels[0].mode:
            return
        whole = all(abs(need - got) <= 1 for need, got in zip(needed, result.size, strict=True))
        across = result.size[0] * source_size[1]
        along = result.size[1] * source_size[0]
        if whole and abs(across - along) <= max(source_size):
            self._renditions.append(result)


def _area(image: Image.Image) -> int:
    return image.size[0] * image.size[1]


def _scaled(size: Size, factor: float) -> Size:
    return math.ceil(size[0] * factor), math.ceil(size[1] * factor)


def _half(size: Size) -> Size:
    return size[0] // 2, size[1] // 2


def _covers(size: Size, minimum: Size) -> bool:
    return size[0] >= minimum[0] and size[1] >= minimum[1]
