"""Conversions between modes."""

from __future__ import annotations

import attrs
from PIL import Image, ImageOps

from . import _fields as fields
from .base import PointProcessor, on_colors
from .utils import true_color

__all__ = ["AutoContrast", "Convert", "Grayscale", "Invert", "Posterize"]

_MODES = (
    *("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX"),
    *("CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16"),
)


@attrs.frozen(slots=False, repr=False)
class Convert(PointProcessor):
    """Convert the image to another mode.

    Args:
        mode: A mode of Pillow's, such as ``"L"`` for grey.
    """

    mode: str = fields.checked(
        f"one of {', '.join(map(repr, _MODES))}", lambda value: True, lambda value: value in _MODES
    )

    def process(self, image: Image.Image) -> Image.Image:
        """Return *image* in the mode; by way of true colours where there is no direct one."""
        if image.mode == self.mode:
            return image
        try:
            return image.convert(self.mode)
        except ValueError:
            image = true_color(image).convert("RGB")
            direct = self.mode not in {"I;16", "LA"}
            return image.convert(self.mode) if direct else image.convert("L").convert(self.mode)


@attrs.frozen(slots=False, repr=False)
class Grayscale(PointProcessor):
    """Take the colours out, by luma (ITU-R 601-2); transparency stays."""

    def process(self, image: Image.Image) -> Image.Image:
        """Return a grey copy, in L or LA."""
        image = true_color(image)
        return image.convert("LA" if image.mode == "RGBA" else "L")


@attrs.frozen(slots=False, repr=False)
class Invert(PointProcessor):
    """Turn each colour into its opposite; transparency stays."""

    def process(self, image: Image.Image) -> Image.Image:
        """Return a negative."""
        return on_colors(image, ImageOps.invert)


@attrs.frozen(slots=False, repr=False)
class Posterize(PointProcessor):
    """Leave only a few shades of each colour.

    Args:
        bits: How many bits of each colour stay, from 1 to 8.
    """

    bits: int = fields.side(least=1, most=8)

    def process(self, image: Image.Image) -> Image.Image:
        """Return a copy with fewer shades."""
        return on_colors(image, lambda colors: ImageOps.posterize(colors, self.bits))


@attrs.frozen(slots=False, repr=False)
class AutoContrast(PointProcessor):
    """Stretch the colours so that the darkest pixel is black and the lightest white.

    Args:
        cutoff: How many percent of the lightest and of the darkest pixels do not count, below 50.
    """

    cutoff: float = fields.number(0, 49, default=0.0)

    def process(self, image: Image.Image) -> Image.Image:
        """Return a copy with stretched colours."""
        return on_colors(image, lambda colors: ImageOps.autocontrast(colors, self.cutoff))
