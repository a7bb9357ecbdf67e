"""What is laid over an image, or cut out of it."""

from __future__ import annotations

import attrs
from PIL import Image, ImageChops, ImageDraw

from imagekit_registry.processors import _arguments as arguments
from imagekit_registry.processors._arguments import Color
from imagekit_registry.processors._base import Processor
from imagekit_registry.processors._protocol import Size
from imagekit_registry.processors.base import PointProcessor
from imagekit_registry.processors.utils import true_color

__all__ = ["ColorOverlay", "RoundedCorners"]

_SMOOTHING = 4


@attrs.frozen(slots=False)
class ColorOverlay(PointProcessor):
    """Lay a colour over the image.

    Args:
        color: The colour.
        overlay_opacity: How strong it is, from 0 to 1.
    """

    color: Color = arguments.color()
    overlay_opacity: float = arguments.fraction(default=0.5)

    def process(self, image: Image.Image) -> Image.Image:
        """Return a tinted copy; transparency stays."""
        image = true_color(image)
        colors = image.convert("RGB")
        overlay = Image.new("RGB", image.size, arguments.rgba(self.color)[:3])
        keep = int((1.0 - self.overlay_opacity) * 255)
        result = Image.composite(colors, overlay, Image.new("L", image.size, keep))
        if image.mode == "RGBA":
            result.putalpha(image.getchannel("A"))
        return result


@attrs.frozen(slots=False)
class RoundedCorners(Processor):
    """Cut the corners round.

    Args:
        radius: Of the corners, in pixels; half of the shorter side at most has an effect.
    """

    radius: int = arguments.side(least=0)

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

    def output_size(self, source_size: Size) -> Size:
        """Return the size of the result: that of the source."""
        return source_size
