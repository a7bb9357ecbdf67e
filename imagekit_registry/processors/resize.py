"""Processors that scale."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
from PIL import Image

from imagekit_registry.exceptions import InvalidArgument

from . import _fields as fields
from ._fields import Color
from ._geometry import (
    Box,
    anchored_box,
    approach,
    centered_box,
    cover_size,
    cut_out,
    cut_size,
    fit_size,
    scaled_size,
)
from ._protocol import Size
from .anchors import (
    ATTENTION,
    ENTROPY,
    FOCAL,
    Anchor,
    Anchored,
    AnchorPoint,
    anchor_field,
    anchor_place,
    find_place,
)
from .base import BaseProcessor
from .canvas import AddBorder, ResizeCanvas, Rotate
from .crop import SmartCrop
from .resampling import resample

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


class _Scaler(BaseProcessor):
    """The base of processors that scale, and perhaps cut: they do the same to a smaller decode."""

    # For subclasses whose constructors say nothing of them.
    zoom: int = 0
    target: tuple[float, float] | None = None

    def _scaled_size(self, source_size: Size) -> Size:
        """Return the size that the image is scaled to, before anything is cut off."""
        raise NotImplementedError

    def process(self, image: Image.Image) -> Image.Image:
        """Return *image* scaled."""
        return self.process_reduced(image, image.size)

    def process_reduced(self, image: Image.Image, source_size: Size) -> Image.Image:
        """Return what `process` gives for an image of *source_size* that *image* stands for."""
        return resample(image, self._scaled_size(source_size))

    def output_size(self, source_size: Size) -> Size:
        """Return the size of the result, in pixels."""
        return self._scaled_size(source_size)

    def required_size(self, source_size: Size) -> Size:
        """Return the least size of a decode that serves, in pixels."""
        return self._scaled_size(source_size)


class _Delegating(_Scaler):
    """The base of those that leave the work to another one."""

    def _other(self, source_size: Size) -> _Scaler:
        """Return the one that does the work on an image of *source_size*."""
        raise NotImplementedError

    def process_reduced(self, image: Image.Image, source_size: Size) -> Image.Image:
        """Return what `process` gives for an image of *source_size* that *image* stands for."""
        return self._other(source_size).process_reduced(image, source_size)

    def output_size(self, source_size: Size) -> Size:
        """Return the size of the result, in pixels."""
        return self._other(source_size).output_size(source_size)

    def _scaled_size(self, source_size: Size) -> Size:
        return self._other(source_size).required_size(source_size)


@attrs.frozen(slots=False, repr=False)
class _ToSize(_Scaler):
    """The base of those that must be given both sides."""

    width: int = fields.side()
    height: int = fields.side()
    upscale: bool | None = fields.flag(optional=True, default=True)


@attrs.frozen(slots=False, repr=False)
class Resize(_ToSize):
    """Scale the image to a width and a height, whatever its proportions.

    Args:
        width: In pixels.
        height: In pixels.
        upscale: Whether an image that is smaller on some side is scaled at all.
    """

    LANCZOS: ClassVar[Image.Resampling] = Image.Resampling.LANCZOS

    def _scaled_size(self, source_size: Size) -> Size:
        return scaled_size(source_size, (self.width, self.height), self.upscale)


def _resample_part(image: Image.Image, source_size: Size, scaled: Size, box: Box) -> Image.Image:
    """Return *box* of what an image of *source_size*, that *image* stands for, is scaled to.

    What is going to be cut off is not scaled.
    """
    if scaled == source_size == image.size:
        return cut_out(image, box)
    width, height = image.size
    x, y = width / scaled[0], height / scaled[1]
    left, top, right, bottom = box
    # Rounding must not put it a hair's breadth outside.
    part = left * x, top * y, min(right * x, float(width)), min(bottom * y, float(height))
    return resample(image, (right - left, bottom - top), part)


class _Covering(_Scaler):
    """The base of those that scale an image until it covers a size."""

    width: int
    height: int
    upscale: bool | None

    def _scaled_size(self, source_size: Size) -> Size:
        return cover_size(source_size, self.width, self.height, self.upscale, self.zoom)


@attrs.frozen(slots=False, repr=False)
class ResizeToCover(_Covering, _ToSize):
    """Scale the image, in its proportions, to the smallest size that covers the one given.

    Args:
        width: In pixels.
        height: In pixels.
        upscale: Whether a smaller image is enlarged.
        zoom: How much larger than that it is made, in per cent, for what cuts it afterwards.
    """

    zoom: int = fields.percent(1000)


class _CoverAndCut(_Covering):
    """The base of those that then cut it to that."""

    def output_size(self, source_size: Size) -> Size:
        """Return the size of the result, in pixels."""
        return cut_size(self._scaled_size(source_size), self.width, self.height)


@attrs.frozen(slots=False, repr=False)
class ResizeToFill(Anchored, _CoverAndCut):
    """Scale and cut the image to exactly a width and a height.

    What is going to be cut off is not scaled: a thin image costs no more than another one.

    Args:
        width: In pixels.
        height: In pixels.
        anchor: Which part is kept; the middle by default; ``"focal"``: the focal point of the row,
            ``"entropy"``: what has the most detail, ``"attention"``: what libvips believes that
            people look at, or where it is not installed the same as ``"entropy"``.
        upscale: Whether a smaller image is enlarged.
        otherwise: The anchor for a row without a focal point, or several: the first that can be
            had counts.
        closeness: How near a focal point is shown, from 0 (as much as fits around it) to 100: its
            box, or a third of the image, as far as nothing is enlarged.
        target: A point, in fractions of width and height, that comes into the middle as far as the
            edges allow; in place of an anchor, which stays where it is in the picture.
        zoom: How much larger the image is scaled before it is cut, in per cent; not at all where
            that would enlarge it, and *upscale* is off.

    Raises:
        InvalidArgument: Both an anchor and a target are given.

    Example:
        >>> ResizeToFill(300, 200, anchor=Anchor.TOP).output_size((20000, 1))
        (300, 200)
        >>> face = ResizeToFill(100, 100, target=(0.4, 0.2), zoom=40)
    """

    # Both are needed: their defaults are there because pilkit has them, and are refused.
    width: int = fields.side(default=None)
    height: int = fields.side(default=None)
    anchor: AnchorPoint | None = anchor_field(FOCAL, ATTENTION, *ENTROPY, default=None)
    upscale: bool | None = fields.flag(optional=True, default=True)
    otherwise: AnchorPoint | None = anchor_field(ATTENTION, *ENTROPY, default=None, kw_only=True)
    closeness: int = fields.percent(100)
    target: tuple[float, float] | None = fields.target()
    zoom: int = fields.percent(1000)

    def __attrs_post_init__(self) -> None:
        """Refuse two ways to say which part is kept."""
        if self.anchor and self.target:
            raise InvalidArgument("ResizeToFill: give either 'anchor' or 'target', not both.")

    @property
    def is_cutting(self) -> bool:
        """Whether an anchor makes a difference: not where a target is given."""
        return self.target is None

    def _scaled_size(self, source_size: Size) -> Size:
        covering = super()._scaled_size(source_size)
        if not self.closeness:
            return covering
        anchor = self.known_anchor
        if anchor is None or anchor in (ATTENTION, *ENTROPY):
            return covering
        cut, place = (self.width, self.height), anchor_place(anchor)
        times = approach(source_size, covering, cut, place, self.closeness)
        return round(covering[0] * times), round(covering[1] * times)

    def process_reduced(self, image: Image.Image, source_size: Size) -> Image.Image:
        """Return what `process` gives for an image of *source_size* that *image* stands for."""
        anchor = self.known_anchor
        if anchor in ENTROPY:
            smart = SmartResize(self.width, self.height, self.upscale, zoom=self.zoom)
            return smart.process_reduced(image, source_size)
        place = self.target or find_place(image, anchor)
        covering = self._scaled_size(source_size)
        size = cut_size(covering, self.width, self.height)
        box = (centered_box if self.target else anchored_box)(covering, size, place)
        return _resample_part(image, source_size, covering, box)


@attrs.frozen(slots=False, repr=False)
class SmartResize(_CoverAndCut, _ToSize):
    """Scale and cut the image to a width and a height; what has the least detail is cut off.

    Args:
        width: In pixels.
        height: In pixels.
        upscale: Whether a smaller image is enlarged.
        zoom: How much larger the image is scaled before it is cut, in per cent.
    """

    zoom: int = fields.percent(1000)

    def process_reduced(self, image: Image.Image, source_size: Size) -> Image.Image:
        """Return what `process` gives for an image of *source_size* that *image* stands for."""
        covering = self._scaled_size(source_size)
        if covering[0] * covering[1] <= _MOST_SPARE * self.width * self.height:
            return SmartCrop(self.width, self.height).process(resample(image, covering))
        target = self.output_size(source_size)
        kept_width = max(1, round(target[0] * image.size[0] / covering[0]))
        kept_height = max(1, round(target[1] * image.size[1] / covering[1]))
        return resample(SmartCrop(kept_width, kept_height).process(image), target)


@attrs.frozen(slots=False, repr=False)
class ResizeToFit(_Scaler):
    """Scale the image, in its proportions, to fit within a width and a height.

    Args:
        width: In pixels; None leaves it free.
        height: In pixels; None leaves it free.
        upscale: Whether a smaller image is enlarged.
        mat_color: If given, the image is put on a canvas of this colour and of exactly the width
            and height.
        anchor: Where it is put on that canvas.
        zoom: How much larger the image is scaled, in per cent, before the size that it would have
            had is cut out of it; not at all where that would enlarge it, and *upscale* is off.
        target: What is cut out then: the part around this point, in fractions of width and height;
            the middle by default.
    """

    width: int | None = fields.side(optional=True, default=None)
    height: int | None = fields.side(optional=True, default=None)
    upscale: bool | None = fields.flag(optional=True, default=True)
    mat_color: Color | None = fields.color(optional=True, default=None)
    anchor: AnchorPoint | None = anchor_field(default=Anchor.CENTER)
    zoom: int = fields.percent(1000)
    target: tuple[float, float] | None = fields.target()

    def _scaled_size(self, source_size: Size) -> Size:
        return fit_size(source_size, self.width, self.height, self.upscale, self.zoom)

    def _fitting_size(self, source_size: Size) -> Size:
        return fit_size(source_size, self.width, self.height, self.upscale)

    def process_reduced(self, image: Image.Image, source_size: Size) -> Image.Image:
        """Return what `process` gives for an image of *source_size* that *image* stands for."""
        scaled, size = self._scaled_size(source_size), self._fitting_size(source_size)
        box = centered_box(scaled, size, self.target or (0.5, 0.5))
        image = _resample_part(image, source_size, scaled, box)
        if self.mat_color is None:
            return image
        width, height = self.output_size(source_size)
        return ResizeCanvas(width, height, self.mat_color, anchor=self.anchor).process(image)

    def output_size(self, source_size: Size) -> Size:
        """Return the size of the result, in pixels."""
        width, height = self._fitting_size(source_size)
        if self.mat_color is None:
            return width, height
        return self.width or width, self.height or height


def _cropping(value: object, thumbnail: Any) -> object:
    return True if value is None and thumbnail.anchor else fields.as_flag(value)


@attrs.frozen(slots=False, repr=False)
class Thumbnail(Anchored, _Delegating):
    """Make a thumbnail: `ResizeToFill`, `ResizeToFit` or `SmartResize`, as the arguments have it.

    Args:
        width: In pixels; None leaves it free.
        height: In pixels; None leaves it free.
        anchor: Which part is kept when cropping; None, ``"auto"`` or ``"entropy"``: the one with
            the most detail; ``"focal"``: the focal point of the row.
        crop: Whether to crop, which needs both width and height; None: if an anchor, or both of
            these are given.
        upscale: Whether a smaller image is enlarged; not by default.
        otherwise: The anchor for a row without a focal point, or several: the first that can be
            had counts.
        closeness: How near a focal point is shown, as in `ResizeToFill`.

    Raises:
        InvalidArgument: An anchor is given though nothing is cropped, or only one side though
            it is.
    """

    width: int | None = fields.side(optional=True, default=None)
    height: int | None = fields.side(optional=True, default=None)
    anchor: AnchorPoint | None = anchor_field(FOCAL, ATTENTION, *ENTROPY, default=None)
    crop: bool | None = fields.flag(
        optional=True,
        default=None,
        converter=attrs.Converter(_cropping, takes_self=True),
    )
    upscale: bool | None = fields.flag(optional=True, default=None)
    otherwise: AnchorPoint | None = anchor_field(ATTENTION, *ENTROPY, default=None, kw_only=True)
    closeness: int = fields.percent(100)

    def __attrs_post_init__(self) -> None:
        """Refuse arguments that contradict each other."""
        if self.anchor and self.crop is False:
            raise InvalidArgument("Thumbnail: an 'anchor' has no meaning if 'crop' is False.")
        # Neither is one that is asked for its `crop` alone.
        if self.crop and (self.width is None) != (self.height is None):
            raise InvalidArgument("Thumbnail: cropping needs both 'width' and 'height'.")

    @property
    def is_cutting(self) -> bool:
        """Whether the image is cropped."""
        return bool(self.width and self.height) and self.crop is not False

    def _other(self, source_size: Size) -> _Scaler:
        if self.crop is False or self.width is None or self.height is None:
            return ResizeToFit(self.width, self.height, self.upscale)
        anchor = self.known_anchor
        if anchor is None or anchor in ENTROPY:
            return SmartResize(self.width, self.height, self.upscale)
        sides = (self.width, self.height)
        return ResizeToFill(*sides, anchor, self.upscale, closeness=self.closeness)
