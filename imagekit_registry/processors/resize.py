"""Processors that scale, and those that change the canvas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import attrs
from PIL import Image

from imagekit_registry.exceptions import InvalidArgument, InvalidArgumentType
from imagekit_registry.processors import _arguments as arguments
from imagekit_registry.processors._arguments import Color
from imagekit_registry.processors._base import Processor
from imagekit_registry.processors._protocol import Size
from imagekit_registry.processors._resampling import (
    Box,
    cover_size,
    fit_size,
    resample,
    scale_box,
)
from imagekit_registry.processors.base import Anchor, AnchorPoint, anchor_field
from imagekit_registry.processors.crop import Crop, SmartCrop, refuse_two_positions
from imagekit_registry.processors.utils import has_alpha, true_color

__all__ = [
    "AddBorder",
    "Resize",
    "ResizeCanvas",
    "ResizeToCover",
    "ResizeToFill",
    "ResizeToFit",
    "Rotate",
    "SmartResize",
    "Thumbnail",
]

#: An intermediate result may have this many times the pixels of the result; beyond, what is going
#: to be cut off is cut off before scaling.
_MOST_SPARE = 16


class _Scaler(Processor):
    """The base of processors that scale: they work the same on a smaller decode."""

    def process(self, image: Image.Image) -> Image.Image:
        """Return *image* scaled."""
        return self.process_reduced(image, image.size)

    def process_reduced(self, image: Image.Image, source_size: Size) -> Image.Image:
        """Return what `process` gives for an image of *source_size* that *image* stands for."""
        return resample(image, self.output_size(source_size))

    def output_size(self, source_size: Size) -> Size:
        """Return the size of the result, in pixels."""
        raise NotImplementedError

    def required_size(self, source_size: Size) -> Size:
        """Return the least size of a decode that serves, in pixels."""
        return self.output_size(source_size)


def _scaled_size(source_size: Size, target: Size, upscale: bool | None) -> Size:
    """Return *target*, or *source_size* if that would enlarge what is not to be enlarged."""
    # A side that stays as it is is not enlarged: of 20000 x 1 pixels, one is as low as it gets.
    is_larger = target[0] > source_size[0] or target[1] > source_size[1]
    return source_size if is_larger and not upscale else target


@attrs.frozen(slots=False)
class _ToSize(_Scaler):
    """The base of those that must be given both sides."""

    width: int = arguments.side()
    height: int = arguments.side()
    upscale: bool | None = arguments.flag(optional=True, default=True)


@attrs.frozen(slots=False)
class Resize(_ToSize):
    """Scale the image to a width and a height, whatever its proportions.

    Args:
        width: In pixels.
        height: In pixels.
        upscale: Whether an image that is smaller on some side is scaled at all.
    """

    LANCZOS: ClassVar[Image.Resampling] = Image.Resampling.LANCZOS

    def output_size(self, source_size: Size) -> Size:
        """Return the size of the result, in pixels."""
        return _scaled_size(source_size, (self.width, self.height), self.upscale)


@attrs.frozen(slots=False)
class ResizeToCover(_ToSize):
    """Scale the image, in its proportions, to the smallest size that covers the one given.

    Args:
        width: In pixels.
        height: In pixels.
        upscale: Whether a smaller image is enlarged.
    """

    def output_size(self, source_size: Size) -> Size:
        """Return the size of the result, in pixels."""
        target = cover_size(source_size, self.width, self.height)
        return _scaled_size(source_size, target, self.upscale)


class _CoverAndCut(_Scaler):
    """The base of those that scale an image until it covers a size, and cut it to that."""

    width: int
    height: int
    upscale: bool | None

    def _covering(self, source_size: Size) -> Size:
        return ResizeToCover(self.width, self.height, self.upscale).output_size(source_size)

    def output_size(self, source_size: Size) -> Size:
        """Return the size of the result, in pixels."""
        return Crop(self.width, self.height).output_size(self._covering(source_size))

    def required_size(self, source_size: Size) -> Size:
        """Return the least size of a decode that serves, in pixels."""
        return self._covering(source_size)


@attrs.frozen(slots=False)
class ResizeToFill(_CoverAndCut):
    """Scale and cut the image to exactly a width and a height.

    What is going to be cut off is not scaled: a thin image costs no more than another one.

    Args:
        width: In pixels.
        height: In pixels.
        anchor: Which part is kept; the middle by default.
        upscale: Whether a smaller image is enlarged.

    Example:
        >>> ResizeToFill(300, 200, anchor=Anchor.TOP).output_size((20000, 1))
        (300, 200)
    """

    # Both are needed: their defaults are there because pilkit has them, and are refused.
    width: int = arguments.side(default=None)
    height: int = arguments.side(default=None)
    anchor: AnchorPoint | None = anchor_field(default=None)
    upscale: bool | None = arguments.flag(optional=True, default=True)

    def process_reduced(self, image: Image.Image, source_size: Size) -> Image.Image:
        """Return what `process` gives for an image of *source_size* that *image* stands for."""
        covering = self._covering(source_size)
        cut = Crop(self.width, self.height, anchor=self.anchor)
        left, top, right, bottom = cut._box(covering)
        if covering == source_size == image.size:
            return cut.process(image)
        box: Box = scale_box((left, top, right, bottom), covering, image.size)
        return resample(image, (right - left, bottom - top), box)


@attrs.frozen(slots=False)
class SmartResize(_CoverAndCut, _ToSize):
    """Scale and cut the image to a width and a height; what has the least detail is cut off.

    Args:
        width: In pixels.
        height: In pixels.
        upscale: Whether a smaller image is enlarged.
    """

    def process_reduced(self, image: Image.Image, source_size: Size) -> Image.Image:
        """Return what `process` gives for an image of *source_size* that *image* stands for."""
        covering = self._covering(source_size)
        if covering[0] * covering[1] <= _MOST_SPARE * self.width * self.height:
            return SmartCrop(self.width, self.height).process(resample(image, covering))
        target = self.output_size(source_size)
        kept_width = max(1, round(target[0] * image.size[0] / covering[0]))
        kept_height = max(1, round(target[1] * image.size[1] / covering[1]))
        return resample(SmartCrop(kept_width, kept_height).process(image), target)


def _with_color(image: Image.Image, color: Color | None) -> tuple[Image.Image, tuple[int, ...]]:
    """Return *image* in a mode that holds *color* as well, and that colour in the mode."""
    fill = (255, 255, 255, 0) if color is None else arguments.rgba(color)
    image = true_color(image)
    mode = "RGBA" if fill[3] < 255 or has_alpha(image) else "RGB"
    return image.convert(mode), fill[: len(mode)]


@attrs.frozen(slots=False)
class ResizeCanvas(Processor):
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

    width: int = arguments.side()
    height: int = arguments.side()
    color: Color | None = arguments.color(optional=True, default=None)
    anchor: AnchorPoint | None = anchor_field(default=None)
    x: int | None = arguments.offset(default=None)
    y: int | None = arguments.offset(default=None)

    def __attrs_post_init__(self) -> None:
        """Refuse arguments that contradict each other."""
        refuse_two_positions(self)

    def process(self, image: Image.Image) -> Image.Image:
        """Return the canvas with *image* on it."""
        if image.size == (self.width, self.height) and not (self.x or self.y):
            return image
        if self.x is not None or self.y is not None:
            left, top = self.x or 0, self.y or 0
        else:
            x, y = Anchor.get_tuple(self.anchor or Anchor.CENTER)
            left = int((self.width - image.size[0]) * x)
            top = int((self.height - image.size[1]) * y)
        right, bottom = left + image.size[0], top + image.size[1]
        if left <= 0 and top <= 0 and right >= self.width and bottom >= self.height:
            return image.crop((-left, -top, self.width - left, self.height - top))
        image, color = _with_color(image, self.color)
        canvas = Image.new(image.mode, (self.width, self.height), color)
        canvas.paste(image, (left, top))
        return canvas

    def output_size(self, source_size: Size) -> Size:
        """Return the size of the canvas, in pixels."""
        return self.width, self.height


def _thickness_field() -> Any:
    def convert(value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        parts = value if isinstance(value, tuple) else (value,)
        text = (
            "AddBorder: the argument 'thickness' must be a whole number of pixels from 0 to"
            f" {arguments.LONGEST_SIDE}, or 2 or 4 of them, not {value!r}."
        )
        if not all(isinstance(part, int) and not isinstance(part, bool) for part in parts):
            raise InvalidArgumentType(text)
        if len(parts) not in {1, 2, 4} or not all(
            0 <= part <= arguments.LONGEST_SIDE for part in parts
        ):
            raise InvalidArgument(text)

    return attrs.field(converter=convert, validator=check)


@attrs.frozen(slots=False)
class AddBorder(Processor):
    """Add a border around the image.

    Args:
        thickness: In pixels: one for all sides; top and bottom, left and right; or top, right,
            bottom and left.
        color: Of the border; transparent white by default.

    Example:
        >>> AddBorder((1, 2)).output_size((100, 100))
        (104, 102)
    """

    thickness: int | Sequence[int] = _thickness_field()
    color: Color | None = arguments.color(optional=True, default=None)

    @property
    def _sides(self) -> tuple[int, ...]:
        parts = (self.thickness,) if isinstance(self.thickness, int) else tuple(self.thickness)
        return parts * (4 // len(parts))

    @property
    def top(self) -> int:
        """The thickness above the image, in pixels."""
        return self._sides[0]

    @property
    def right(self) -> int:
        """The thickness to the right of the image, in pixels."""
        return self._sides[1]

    @property
    def bottom(self) -> int:
        """The thickness below the image, in pixels."""
        return self._sides[2]

    @property
    def left(self) -> int:
        """The thickness to the left of the image, in pixels."""
        return self._sides[3]

    def process(self, image: Image.Image) -> Image.Image:
        """Return *image* with its border."""
        width, height = self.output_size(image.size)
        return ResizeCanvas(width, height, self.color, x=self.left, y=self.top).process(image)

    def output_size(self, source_size: Size) -> Size:
        """Return the size of the result, in pixels."""
        width, height = source_size
        return width + self.left + self.right, height + self.top + self.bottom


@attrs.frozen(slots=False)
class ResizeToFit(_Scaler):
    """Scale the image, in its proportions, to fit within a width and a height.

    Args:
        width: In pixels; None leaves it free.
        height: In pixels; None leaves it free.
        upscale: Whether a smaller image is enlarged.
        mat_color: If given, the image is put on a canvas of this colour and of exactly the width
            and height.
        anchor: Where it is put on that canvas.
    """

    width: int | None = arguments.side(optional=True, default=None)
    height: int | None = arguments.side(optional=True, default=None)
    upscale: bool | None = arguments.flag(optional=True, default=True)
    mat_color: Color | None = arguments.color(optional=True, default=None)
    anchor: AnchorPoint | None = anchor_field(default=Anchor.CENTER)

    def process_reduced(self, image: Image.Image, source_size: Size) -> Image.Image:
        """Return what `process` gives for an image of *source_size* that *image* stands for."""
        image = resample(image, self._fitting(source_size))
        if self.mat_color is None:
            return image
        width, height = self.output_size(source_size)
        return ResizeCanvas(width, height, self.mat_color, anchor=self.anchor).process(image)

    def _fitting(self, source_size: Size) -> Size:
        target = fit_size(source_size, self.width, self.height)
        return _scaled_size(source_size, target, self.upscale)

    def output_size(self, source_size: Size) -> Size:
        """Return the size of the result, in pixels."""
        width, height = self._fitting(source_size)
        if self.mat_color is None:
            return width, height
        return self.width or width, self.height or height

    def required_size(self, source_size: Size) -> Size:
        """Return the least size of a decode that serves, in pixels."""
        return self._fitting(source_size)


@attrs.frozen(slots=False)
class Thumbnail(_Scaler):
    """Make a thumbnail: `ResizeToFill`, `ResizeToFit` or `SmartResize`, as the arguments have it.

    Args:
        width: In pixels; None leaves it free.
        height: In pixels; None leaves it free.
        anchor: Which part is kept when cropping; None or ``"auto"``: the one with the most detail.
        crop: Whether to crop; None: if an anchor, or both width and height are given.
        upscale: Whether a smaller image is enlarged; not by default.

    Raises:
        InvalidArgument: An anchor is given though nothing is cropped, or only one side though
            it is.
    """

    width: int | None = arguments.side(optional=True, default=None)
    height: int | None = arguments.side(optional=True, default=None)
    anchor: AnchorPoint | None = anchor_field(default=None)
    crop: bool | None = arguments.flag(optional=True, default=None)
    upscale: bool | None = arguments.flag(optional=True, default=None)

    def __attrs_post_init__(self) -> None:
        """Refuse arguments that contradict each other."""
        if self.anchor and self.crop is False:
            raise InvalidArgument("Thumbnail: an 'anchor' has no meaning if 'crop' is False.")
        if self._crops and not (self.width and self.height):
            raise InvalidArgument("Thumbnail: cropping needs both 'width' and 'height'.")

    @property
    def _crops(self) -> bool:
        if self.anchor:
            return True
        return bool(self.width and self.height) if self.crop is None else self.crop

    @property
    def _scaler(self) -> _Scaler:
        if not self._crops or self.width is None or self.height is None:
            return ResizeToFit(self.width, self.height, self.upscale)
        if self.anchor in {None, "auto"}:
            return SmartResize(self.width, self.height, self.upscale)
        return ResizeToFill(self.width, self.height, self.anchor, self.upscale)

    def process_reduced(self, image: Image.Image, source_size: Size) -> Image.Image:
        """Return what `process` gives for an image of *source_size* that *image* stands for."""
        return self._scaler.process_reduced(image, source_size)

    def output_size(self, source_size: Size) -> Size:
        """Return the size of the result, in pixels."""
        return self._scaler.output_size(source_size)

    def required_size(self, source_size: Size) -> Size:
        """Return the least size of a decode that serves, in pixels."""
        return self._scaler.required_size(source_size)


@attrs.frozen(slots=False)
class Rotate(Processor):
    """Turn the image by any angle.

    Args:
        angle: In degrees, counter-clockwise.
        expand: Whether the canvas grows so that all of the image is seen.
        color: Of the corners; transparent white by default.
    """

    angle: float = arguments.number(-360, 360)
    expand: bool = arguments.flag(default=True)
    color: Color | None = arguments.color(optional=True, default=None)

    def process(self, image: Image.Image) -> Image.Image:
        """Return a turned copy."""
        image, color = _with_color(image, self.color)
        return image.rotate(
            self.angle,
            resample=Image.Resampling.BICUBIC,
            expand=self.expand,
            fillcolor=color,
        )

    def output_size(self, source_size: Size) -> Size | None:
        """Return the size of the result in pixels; None if the canvas grows by an odd angle."""
        if not self.expand or self.angle % 180 == 0:
            return source_size
        if self.angle % 90 == 0:
            return source_size[1], source_size[0]
        return None
