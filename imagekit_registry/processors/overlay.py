"""What is laid over an image, or cut out of it."""

from __future__ import annotations

import attrs
from PIL import Image, ImageChops, ImageDraw

from . import _fields as fields
from ._fields import Color
from .base import PointProcessor, SameSizeProcessor, on_colors
from .utils import true_color

__all__ = ["ColorOverlay", "RoundedCorners"]

_SMOOTHING = 4


@attrs.frozen(slots=False, repr=False)
class ColorOverlay(PointProcessor):
    """Lay a colour over the image.

    Args:
        color: The colour.
        overlay_opacity: How strong it is, from 0 to 1.
    """

    color: Color = fields.color()
    overlay_opacity: float = fields.number(0, 1, default=0.5)

    def process(self, image: Image.Image) -> Image.Image:
        """Return a tinted copy; transparency stays."""
        image = true_color(image)
        overlay = Image.new("RGB", image.size, fields.rgba(self.color)[:3])
        keep = Image.new("L", image.size, int((1.0 - self.overlay_opacity) * 255))
        return on_colors(image, lambda colors: Image.composite(colors, overlay, keep))


@attrs.frozen(slots=False, repr=False)
class RoundedCorners(SameSizeProcessor):
    """Cut the corners round.

    Args:
        radius: Of the corners, in pixels; half of the shorter side at most has an effect.
    """

    radius: int = fields.side(least=0)

    def process(self, image: Image.Image) -> Image.Image:
        """Return a copy, in RGBA, whose corners are transparent."""
        image = true_color(image).convert("RGBA")
        radius = min(self.radius, min(image.size) // 2)
        if radius == 0:
            return image
        corner = Image.new("L", (radius * _SMOOTHING, radius * _SMOOTHING), 0)
        diameter = 2 * radius * _SMOOTHING - 1
        ImageDraw.Draw(corner).ellipse((0, 0, diameter, diameter), fill=255)
        corner = corner.resize((radius, radius), Image.Resampling.BOX)
        mask = Image.new("L", image.size, 255)
        width, height = image.size
        for turns, place in enumerate(
            ((0, 0), (0, height - radius), (width - radius, height - radius), (width - radius, 0))
        ):
            mask.paste(corner.rotate(90 * turns), place)
        image.putalpha(ImageChops.multiply(image.getchannel("A"), mask))
        return image
