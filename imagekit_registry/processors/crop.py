"""Processors that cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

import attrs
from PIL import Image, ImageChops, ImageStat

from imagekit_registry.exceptions import InvalidArgument

from . import _fields as fields
from ._fields import Color
from ._geometry import Box, anchored_box, cut_out, cut_size
from ._protocol import Size
from .anchors import (
    ATTENTION,
    ENTROPY,
    FOCAL,
    Anchor,  # noqa: F401 -- pilkit has it here
    Anchored,
    AnchorPoint,
    anchor_field,
    find_place,
    refuse_two_positions,
)
from .base import BaseProcessor
from .utils import true_color

__all__ = [
    "BasicCrop",
    "Crop",
    "EdgeCrop",
    "Side",
    "SmartCrop",
    "TrimBorderColor",
    "detect_border_color",
]

_STRIP_ROWS = 256
_WITH_ENTROPY = frozenset(["L", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "P", "1"])


class Side:
    """Sides of an image."""

    TOP = "t"
    RIGHT = "r"
    BOTTOM = "b"
    LEFT = "l"
    ALL: ClassVar[tuple[str, ...]] = (TOP, RIGHT, BOTTOM, LEFT)


def _without_hidden_colors(image: Image.Image) -> Image.Image:
    """Return an image in RGBA whose transparent pixels are all alike: nobody sees their colours."""
    image = true_color(image).convert("RGBA")
    alpha = image.getchannel("A")
    if alpha.getextrema()[0] != 0:
        return image
    shown = alpha.point(lambda value: 255 if value else 0)
    return Image.composite(image, Image.new("RGBA", image.size), shown)


def detect_border_color(image: Image.Image) -> list[int]:
    """Return the colour that most of an image's outermost pixels have nearly.

    Returns:
        The median of red, green, blue and opacity, each from 0 to 255.
    """
    width, height = image.size
    boxes = [(0, 0, width, height)]
    if width > 2 and height > 2:
        boxes = [(0, 0, width, 1), (0, height - 1, width, height)]
        boxes += [(0, 1, 1, height - 1), (width - 1, 1, width, height - 1)]
    counts = [_without_hidden_colors(image.crop(box)).histogram() for box in boxes]
    return ImageStat.Stat([sum(each) for each in zip(*counts, strict=True)]).median


def _content_box(image: Image.Image, border: tuple[int, ...], tolerance: int) -> Box | None:
    """Return the box of what differs from the colour *border*, strip by strip to save memory."""
    width, height = image.size
    boxes = []
    for top in range(0, height, _STRIP_ROWS):
        strip = _without_hidden_colors(image.crop((0, top, width, min(top + _STRIP_ROWS, height))))
        plain = Image.new("RGBA", strip.size, border)
        difference = ImageChops.difference(strip, plain)
        content = difference.point(lambda value: 255 if value > tolerance else 0)
        box = content.getbbox(alpha_only=False)
        if box is not None:
            boxes.append((box[0], top + box[1], box[2], top + box[3]))
    if not boxes:
        return None
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


@attrs.frozen(slots=False, repr=False)
class TrimBorderColor(BaseProcessor):
    """Cut a border of one colour off.

    Args:
        color: The border's colour; None: the one that most of the outermost pixels have.
        tolerance: How far a pixel may be from it, from 0 (not at all) to 1.
        sides: Which sides are trimmed, out of `Side`.
    """

    color: Color | None = fields.color(optional=True, default=None)
    tolerance: float = fields.number(0, 1, default=0.3)
    sides: tuple[str, ...] = fields.checked(
        f"some of {', '.join(map(repr, Side.ALL))}",
        lambda value: True,
        lambda value: isinstance(value, tuple) and all(side in Side.ALL for side in value),
        converter=lambda value: tuple(value) if isinstance(value, Iterable) else value,
        default=Side.ALL,
    )

    def process(self, image: Image.Image) -> Image.Image:
        """Return a trimmed copy; an image that is all border stays as it is."""
        border = (
            list(fields.rgba(self.color)) if self.color is not None else detect_border_color(image)
        )
        if border[3] == 0:
            border = [0, 0, 0, 0]
        # A tolerance of one would trim everything; it counts as none.
        tolerance = 0 if self.tolerance == 1 else int(self.tolerance * 255)
        box = _content_box(image, tuple(border), tolerance)
        if box is None:
            return image
        width, height = image.size
        names = Side.LEFT, Side.TOP, Side.RIGHT, Side.BOTTOM
        sides = zip(names, box, (0, 0, width, height), strict=True)
        left, top, right, bottom = (cut if side in self.sides else end for side, cut, end in sides)
        return image.crop((left, top, right, bottom))


@attrs.frozen(slots=False, repr=False)
class BasicCrop(BaseProcessor):
    """Cut a box out of the image.

    Args:
        x: Distance of the box from the left edge, in pixels.
        y: Distance of the box from the upper edge, in pixels.
        width: Of the box, in pixels.
        height: Of the box, in pixels.
    """

    x: int = fields.side(least=0)
    y: int = fields.side(least=0)
    width: int = fields.side()
    height: int = fields.side()

    def process(self, image: Image.Image) -> Image.Image:
        """Return the part of the box that lies in *image*; at least one pixel of it."""
        return image.crop(self._box(image.size))

    def _box(self, size: Size) -> Box:
        left, top = min(self.x, size[0] - 1), min(self.y, size[1] - 1)
        return left, top, min(left + self.width, size[0]), min(top + self.height, size[1])

    def output_size(self, source_size: Size) -> Size:
        """Return the size of the result, in pixels."""
        left, top, right, bottom = self._box(source_size)
        return right - left, bottom - top


class _Cutter(BaseProcessor):
    """The base of those that cut an image to a width and a height."""

    width: int | None
    height: int | None

    def output_size(self, source_size: Size) -> Size:
        """Return the size of the result, in pixels."""
        return cut_size(source_size, self.width, self.height)


@attrs.frozen(slots=False, repr=False)
class Crop(Anchored, _Cutter):
    """Cut the image to a width and a height; a smaller side stays as it is.

    Args:
        width: In pixels; None leaves it.
        height: In pixels; None leaves it.
        anchor: Which part is kept; the middle by default; ``"focal"``: the focal point of the row,
            ``"entropy"``: what has the most detail, ``"attention"``: what libvips believes that
            people look at, or where it is not installed the same as ``"entropy"``.
        x: Distance of what is kept from the left edge, in pixels, in place of an anchor; the
            negative offset that pilkit wants means the same.
        y: Distance from the upper edge, likewise.
        otherwise: The anchor for a row without a focal point, or several: the first that can be
            had counts.

    Raises:
        InvalidArgument: Both an anchor and a distance are given.

    Example:
        >>> Crop(50, 50, x=10, y=20).output_size((640, 427))
        (50, 50)
    """

    width: int | None = fields.side(optional=True, default=None)
    height: int | None = fields.side(optional=True, default=None)
    anchor: AnchorPoint | None = anchor_field(FOCAL, ATTENTION, *ENTROPY, default=None)
    x: int | None = fields.offset(default=None)
    y: int | None = fields.offset(default=None)
    otherwise: AnchorPoint | None = anchor_field(ATTENTION, *ENTROPY, default=None, kw_only=True)

    __attrs_post_init__ = refuse_two_positions

    @property
    def is_cutting(self) -> bool:
        """Whether an anchor makes a difference: not where a distance is given."""
        return self.x is None and self.y is None

    def process(self, image: Image.Image) -> Image.Image:
        """Return the part that is kept."""
        size, cut = image.size, cut_size(image.size, self.width, self.height)
        if self.is_cutting:
            anchor = self.known_anchor
            if anchor in ENTROPY:
                return SmartCrop(self.width, self.height).process(image)
            return cut_out(image, anchored_box(size, cut, find_place(image, anchor)))
        left = min(abs(self.x or 0), size[0] - cut[0])
        top = min(abs(self.y or 0), size[1] - cut[1])
        return cut_out(image, (left, top, left + cut[0], top + cut[1]))


def _edge_field() -> int:
    return fields.side(optional=True, least=0, most=100, default=None, kw_only=True)


@attrs.frozen(slots=False, repr=False)
class EdgeCrop(_Cutter):
    """Cut the image to a width and a height, at a distance from its edges.

    It comes after `ResizeToCover`, as a rule. A smaller side stays as it is.

    Args:
        width: In pixels.
        height: In pixels.
        left: How far from the left edge what is kept begins, in per cent of *width*.
        right: How far from the right edge it ends, likewise; with neither it is in the middle.
        top: How far from the upper edge it begins, in per cent of *height*.
        bottom: How far from the lower edge it ends, likewise.

    Raises:
        InvalidArgument: Both of two opposite edges are given.

    Example:
        >>> face = [ResizeToCover(100, 100), EdgeCrop(100, 100, top=10)]
    """

    width: int = fields.side()
    height: int = fields.side()
    left: int | None = _edge_field()
    right: int | None = _edge_field()
    top: int | None = _edge_field()
    bottom: int | None = _edge_field()

    def __attrs_post_init__(self) -> None:
        """Refuse distances from two opposite edges."""
        for one, other in (("left", "right"), ("top", "bottom")):
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise InvalidArgument(f"EdgeCrop: give either {one!r} or {other!r}, not both.")

    def process(self, image: Image.Image) -> Image.Image:
        """Return the part that is kept."""
        width, height = self.output_size(image.size)
        left = _start(image.size[0], self.width, self.left, self.right)
        top = _start(image.size[1], self.height, self.top, self.bottom)
        return cut_out(image, (left, top, left + width, top + height))


def _start(length: int, side: int, from_start: int | None, from_end: int | None) -> int:
    """Return where to begin to keep *side* of an axis, at a distance from one of its ends."""
    spare = max(length - side, 0)
    if from_start is None and from_end is None:
        return max(length // 2 - side // 2, 0)
    distance = min(side * (from_start or from_end or 0) // 100, spare)
    return spare - distance if from_start is None else distance


@attrs.frozen(slots=False, repr=False)
class SmartCrop(_Cutter):
    """Cut the image to a width and a height, off the sides with the least detail.

    Slices of its full width or height come off one end or the other, the one with the lower entropy
    of its histogram.

    Args:
        width: In pixels; None leaves it.
        height: In pixels; None leaves it.
    """

    width: int | None = fields.side(optional=True, default=None)
    height: int | None = fields.side(optional=True, default=None)

    def process(self, image: Image.Image) -> Image.Image:
        """Return the part that is kept."""
        return cut_out(image, self.find_box(image))

    def find_box(self, image: Image.Image) -> Box:
        """Return the part of *image* that is kept: left, top, right and bottom in pixels."""
        width, height = self.output_size(image.size)
        seen = image if image.mode in _WITH_ENTROPY else true_color(image)
        full_width, full_height = image.size
        left, right = _shorten(
            full_width, width, lambda start, end: seen.crop((start, 0, end, full_height))
        )
        top, bottom = _shorten(
            full_height, height, lambda start, end: seen.crop((0, start, full_width, end))
        )
        return left, top, right, bottom


def _shorten(length: int, wanted: int, part: Callable[[int, int], Image.Image]) -> tuple[int, int]:
    """Return where to cut an axis so that *wanted* of its *length* pixels stay."""
    start, end = 0, length
    while (spare := end - start - wanted) > 0:
        slice_ = min(spare, max(spare // 5, 10))
        first = part(start, start + slice_).entropy()
        last = part(end - slice_, end).entropy()
        if last and abs(first / last - 1) < 0.01:
            # Equally empty: off both ends.
            both = slice_ if spare >= 2 * slice_ else slice_ // 2
            start += both
            end -= slice_ if spare >= 2 * slice_ else slice_ - both
        elif first > last:
            end -= slice_
        else:
            start += slice_
    return start, end
