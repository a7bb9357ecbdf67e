"""Filters: what mixes a pixel with those around it."""

from __future__ import annotations

import attrs
from PIL import Image, ImageFilter

from . import _fields as fields
from .base import SameSizeProcessor
from .utils import true_color

__all__ = ["GaussianBlur", "UnsharpMask"]

_FILTERABLE = frozenset(["L", "LA", "RGB", "RGBA", "CMYK"])


class _Filter(SameSizeProcessor):
    """A filter keeps the size, and needs every pixel: what it sees depends on the scale."""

    def _filter(self) -> ImageFilter.Filter:
        raise NotImplementedError

    def process(self, image: Image.Image) -> Image.Image:
        """Return a filtered copy; colours do not bleed out of transparent parts."""
        if image.mode not in _FILTERABLE or "transparency" in image.info:
            image = true_color(image)
        if image.mode == "RGBA":
            return image.convert("RGBa").filter(self._filter()).convert("RGBA")
        return image.filter(self._filter())


@attrs.frozen(slots=False)
class GaussianBlur(_Filter):
    """Soften the image.

    Args:
        radius: Standard deviation, in pixels of the image that it is given; 0 leaves it as it is.

    Raises:
        InvalidArgument: *radius* is negative or above 1000.

    Example:
        >>> GaussianBlur(2) == GaussianBlur(radius=2.0)
        True
    """

    radius: float = fields.number(0, 1000)

    def _filter(self) -> ImageFilter.Filter:
        return ImageFilter.GaussianBlur(self.radius)


@attrs.frozen(slots=False)
class UnsharpMask(_Filter):
    """Sharpen edges, as after scaling down.

    Args:
        radius: How wide an edge is, in pixels.
        percent: How much they are sharpened.
        threshold: How different two pixels must be to make an edge, from 0 to 255.
    """

    radius: float = fields.number(0, 1000, default=2.0)
    percent: int = fields.side(least=0, default=150)
    threshold: int = fields.side(least=0, most=255, default=3)

    def _filter(self) -> ImageFilter.Filter:
        return ImageFilter.UnsharpMask(self.radius, self.percent, self.threshold)
