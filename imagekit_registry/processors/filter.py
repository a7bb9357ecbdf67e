"""Filters: what mixes a pixel with those around it."""

from __future__ import annotations

import attrs
from PIL import Image, ImageFilter

from . import _fields as fields
from .base import SameSizeProcessor
from .utils import true_color

__all__ = ["Detail", "GaussianBlur", "Sharpen", "UnsharpMask"]

_FILTERABLE = frozenset(["L", "LA", "RGB", "RGBA", "CMYK"])


def _filtered(image: Image.Image, kernel: ImageFilter.Filter) -> Image.Image:
    """Return a filtered copy; colours do not bleed out of transparent parts."""
    if image.mode not in _FILTERABLE or "transparency" in image.info:
        image = true_color(image)
    if image.mode == "RGBA":
        return image.convert("RGBa").filter(kernel).convert("RGBA")
    return image.filter(kernel)


@attrs.frozen(slots=False, repr=False)
class GaussianBlur(SameSizeProcessor):
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

    def process(self, image: Image.Image) -> Image.Image:
        """Return a softened copy."""
        return _filtered(image, ImageFilter.GaussianBlur(self.radius))


@attrs.frozen(slots=False, repr=False)
class UnsharpMask(SameSizeProcessor):
    """Sharpen edges, as after scaling down.

    Args:
        radius: How wide an edge is, in pixels.
        percent: How much they are sharpened.
        threshold: How different two pixels must be to make an edge, from 0 to 255.
    """

    radius: float = fields.number(0, 1000, default=2.0)
    percent: int = fields.side(least=0, default=150)
    threshold: int = fields.side(least=0, most=255, default=3)

    def process(self, image: Image.Image) -> Image.Image:
        """Return a sharpened copy."""
        kernel = ImageFilter.UnsharpMask(self.radius, self.percent, self.threshold)
        return _filtered(image, kernel)


@attrs.frozen(slots=False, repr=False)
class Detail(SameSizeProcessor):
    """Bring out small detail: a mild way to sharpen, by Pillow's kernel ``DETAIL``."""

    def process(self, image: Image.Image) -> Image.Image:
        """Return a copy with more detail."""
        return _filtered(image, ImageFilter.DETAIL())


@attrs.frozen(slots=False, repr=False)
class Sharpen(SameSizeProcessor):
    """Sharpen each pixel against those next to it, by Pillow's kernel ``SHARPEN``.

    `UnsharpMask` has arguments, and leaves even areas as they are.
    """

    def process(self, image: Image.Image) -> Image.Image:
        """Return a sharpened copy."""
        return _filtered(image, ImageFilter.SHARPEN())
