"""Processors that change the canvas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import attrs
from PIL import Image

from . import _fields as fields
from ._fields import LONGEST_SIDE, Color
from ._geometry import anchored_box
from ._protocol import Size
from .anchors import Anchor, AnchorPoint, anchor_field, refuse_two_positions
from .base import BaseProcessor
from .utils import has_alpha, true_color

T = TypeVar("T")

__all__ = ["AddBorder", "ResizeCanvas", "Rotate"]


def _with_color(image: Image.Image, color: Color | None) -> tuple[Image.Image, tuple[int, ...]]:
    """Return *image* in a mode that holds *color* as well, and that colour in the mode."""
    fill = (255, 255, 255, 0) if color is None else fields.rgba(color)
    image = true_color(image)
    mode = "RGBA" if fill[3] < 255 or has_alpha(image) else "RGB"
    return image.convert(mode), fill[: len(mode)]


@attrs.frozen(slots=False, repr=False)
class ResizeCanvas(BaseProcessor):
    """Put the image on a canvas of another size; what does not fit is cut off.

    Args:
        width: Of the canvas, in pixels.
        height: Of the canvas, in pixels.
        color: Of the canvas; transparent white by default.
        anchor: Where the image is put; the middle by default.
        x: Where the image's left edge is put, in pixels, in place of an anchor.
        y: Where the image's upper edge is put, likewise.

    Raises:
        InvalidArgument: Both an anchor and a place are given.
    """

    width: int = fields.side()
    height: int = fields.side()
    color: Color | None = fields.color(optional=True, default=None)
    anchor: AnchorPoint | None = anchor_field(default=None)
    x: int | None = fields.offset(default=None)
    y: int | None = fields.offset(default=None)

    __attrs_post_init__ = refuse_two_positions

    def process(self, image: Image.Image) -> Image.Image:
        """Return the canvas with *image* on it."""
        size = self.width, self.height
        if image.size == size and not (self.x or self.y):
            return image
        if self.x is not None or self.y is not None:
            left, top = self.x or 0, self.y or 0
        else:
            anchor = Anchor.get_tuple(self.anchor or Anchor.CENTER)
            left, top = anchored_box(size, image.size, anchor)[:2]
        right, bottom = left + image.size[0], top + image.size[1]
        if left <= 0 and top <= 0 and right >= self.width and bottom >= self.height:
            return image.crop((-left, -top, self.width - left, self.height - top))
        image, color = _with_color(image, self.color)
        canvas = Image.new(image.mode, size, color)
        canvas.paste(image, (left, top))
        return canvas

    def output_size(self, source_size: Size) -> Size:
        """Return the size of the canvas, in pixels."""
        return self.width, self.height


def _parts(thickness: T | tuple[T, ...]) -> tuple[T, ...]:
    return thickness if isinstance(thickness, tuple) else (thickness,)


def _side(number: int, where: str) -> property:
    doc = f"The thickness {where} the image, in pixels."
    return property(lambda border: border._sides[number], doc=doc)


@attrs.frozen(slots=False, repr=False)
class AddBorder(BaseProcessor):
    """Add a border around the image.

    Args:
        thickness: In pixels: one for all sides; top and bottom, left and right; or top, right,
            bottom and left.
        color: Of the border; transparent white by default.

    Example:
        >>> AddBorder((1, 2)).output_size((100, 100))
        (104, 102)
    """

    thickness: int | Sequence[int] = fields.checked(
        f"a whole number of pixels from 0 to {LONGEST_SIDE}, or 2 or 4 of them",
        lambda value: all(isinstance(p, int) and not isinstance(p, bool) for p in _parts(value)),
        lambda value: (
            len(_parts(value)) in {1, 2, 4}
            and all(0 <= part <= LONGEST_SIDE for part in _parts(value))
        ),
        converter=lambda value: tuple(value) if isinstance(value, list) else value,
    )
    color: Color | None = fields.color(optional=True, default=None)

    @property
    def _sides(self) -> Sequence[int]:
        parts = (self.thickness,) if isinstance(self.thickness, int) else tuple(self.thickness)
        return parts * (4 // len(parts))

    top = _side(0, "above")
    right = _side(1, "to the right of")
    bottom = _side(2, "below")
    left = _side(3, "to the left of")

    def process(self, image: Image.Image) -> Image.Image:
        """Return *image* with its border."""
        width, height = self.output_size(image.size)
        return ResizeCanvas(width, height, self.color, x=self.left, y=self.top).process(image)

    def output_size(self, source_size: Size) -> Size:
        """Return the size of the result, in pixels."""
        width, height = source_size
        return width + self.left + self.right, height + self.top + self.bottom


@attrs.frozen(slots=False, repr=False)
class Rotate(BaseProcessor):
    """Turn the image by any angle.

    Args:
        angle: In degrees, counter-clockwise.
        expand: Whether the canvas grows so that all of the image is seen.
        color: Of the corners; transparent white by default.
    """

    angle: float = fields.number(-360, 360)
    expand: bool = fields.flag(default=True)
    color: Color | None = fields.color(optional=True, default=None)

    def process(self, image: Image.Image) -> Image.Image:
        """Return a turned copy."""
        image, color = _with_color(image, self.color)
        bicubic = Image.Resampling.BICUBIC
        return image.rotate(self.angle, resample=bicubic, expand=self.expand, fillcolor=color)

    def output_size(self, source_size: Size) -> Size | None:
        """Return the size of the result in pixels; None if the canvas grows by an odd angle."""
        if not self.expand or self.angle % 180 == 0:
            return source_size
        return (source_size[1], source_size[0]) if self.angle % 90 == 0 else None
