"""Scaling: decoded images by whole factors, cheaply, and for processors exactly, if not by Pillow."""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs
from PIL import Image

from imagekit_registry.exceptions import InvalidConfiguration, how_to_install
from imagekit_registry.processors.resampling import Part, PillowResizer, Resizer

from ._colour import STRIP_ROWS, to_eight_bit, without_palette
from ._modes import GAIN_BY_FEW_GREYS, holds

#: Width and height, in pixels.
Size = tuple[int, int]
#: How many times the size that a processor needs is decoded. Scaled back up and compared with the
#: full decode, a thumbnail from a decode at 2.5 times its size is less than 0.3 dB worse than one
#: from all pixels (worst of photographs and a chart: 0.27 dB; at 2 times 0.46 dB).
SAFETY = 2.5
#: The same for what has been filtered by LANCZOS already, and not by averaging (worst, on line pairs
#: of 2 to 6 pixels: 0.2 dB). Photographs would bear 1.3 times (0.1 dB), line pairs do not (0.8 dB).
RENDITION_SAFETY = 2.0
#: A part of a pixel by which an image may be out of place without anybody seeing it.
TOLERANCE = 0.01
#: Modes that can be averaged without looking at what their values mean.
_SMOOTH = ("CMYK", "L", "LA", "LAB", "RGB", "RGBA", "YCbCr")
#: Modes that the other resizer scales as Pillow does; all others go to Pillow.
_MODES = frozenset(["CMYK", "L", "RGB", "RGBA"])
_PILLOW = PillowResizer()
#: How many pixels of the smaller of source and result LANCZOS looks at to either side, and one more.
_SUPPORT = 4


def fit_extent(image: Image.Image, extent: tuple[float, float]) -> Image.Image:
    """Return *image* cut off where its content ends, by resampling the last part of a pixel.

    A source of 4001 pixels at an eighth has 501, of which the last is mostly beyond the edge. Left
    alone, that would shift everything by up to half a pixel of a thumbnail.

    Args:
        image: A source, reduced.
        extent: How many pixels of it, in fractions, the source covers.
    """
    width, height = extent
    if image.size[0] - width < TOLERANCE and image.size[1] - height < TOLERANCE:
        return image
    size = max(1, round(width)), max(1, round(height))
    fitted = image.resize(size, Image.Resampling.BICUBIC, box=(0, 0, width, height))
    fitted.info = image.info
    return fitted


def reduce_by(image: Image.Image, factor: int) -> Image.Image:
    """Return *image* averaged over squares of *factor* pixels; its mode must not be a palette."""
    width, height = image.size
    if "A" not in image.mode:
        reduced = image.reduce(factor)
    else:
        # Strip by strip: a premultiplied copy of it all would be large.
        reduced = Image.new(image.mode, (-(-width // factor), -(-height // factor)))
        rows = max(1, STRIP_ROWS // factor) * factor
        for top in range(0, height, rows):
            strip = image.crop((0, top, width, min(height, top + rows)))
            reduced.paste(strip.reduce(factor), (0, top // factor))
    reduced.info = image.info
    return reduced


def reduce_to(image: Image.Image, factor: int, extent: tuple[float, float]) -> Image.Image:
    """Return *image* averaged down by a whole *factor*.

    Args:
        image: Decoded in full, or at a smaller scale.
        factor: 1 leaves it as it is.
        extent: How many pixels of *image*, in fractions, the source covers.
    """
    if factor > 1:
        info = image.info
        # Fewer pixels of that mode are converted sooner.
        colours = image if image.mode == "RGBX" else without_palette(to_eight_bit(image))
        image = reduce_by(colours, factor)
        image.info = {key: value for key, value in info.items() if key != "transparency"}
    return fit_extent(image, (extent[0] / factor, extent[1] / factor))


class Pyramid:
    """An image and smaller versions of it, each made when it is first asked for.

    Small results need not each start from the largest version.

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
        fitting = [each for each in self._renditions if _covers(each, needed, RENDITION_SAFETY)]
        fitting += [each for each in self._levels if _covers(each, needed, SAFETY)]
        least = min(fitting, key=lambda each: each.width * each.height, default=self._levels[0])
        while least.mode in _SMOOTH and _covers(least, needed, SAFETY, parts=2):
            least = fit_extent(reduce_by(least, 2), (least.width / 2, least.height / 2))
            self._levels.append(least)
        return least

    def offer(self, rendition: Image.Image, source_size: Size, needed: Size) -> None:
        """Keep what may be nothing but the whole source at another size, if it is.

        Args:
            rendition: What a resizer of ours made, which adds nothing of its own.
            source_size: The size of a full decode, in pixels.
            needed: How many pixels it asked for: if it gives as many, it has cropped nothing.
        """
        width, height = rendition.size
        whole = abs(needed[0] - width) <= 1 and abs(needed[1] - height) <= 1
        distortion = abs(width * source_size[1] - height * source_size[0])
        if whole and distortion <= max(source_size) and rendition.mode == self._levels[0].mode:
            self._renditions.append(rendition)


def _covers(image: Image.Image, needed: Size, safety: float, parts: int = 1) -> bool:
    """Return whether a part of *image* (half of it, if of two) is large enough for *needed*."""
    width, height = math.ceil(needed[0] * safety), math.ceil(needed[1] * safety)
    return image.width // parts >= width and image.height // parts >= height


class SimdResizer:
    """cykooz-resizer, for 8 bits of grey, RGB, RGBA and CMYK; Pillow for everything else.

    Raises:
        InvalidConfiguration: It is not installed.
    """

    name = "simd"

    def __init__(self) -> None:
        try:
            import cykooz_resizer
        except ImportError as error:
            raise InvalidConfiguration(
                f"The resizer 'simd' cannot be used ({error})."
                f" Install it by: {how_to_install('simd')}"
            ) from error
        self._library = cykooz_resizer
        self._lanczos = cykooz_resizer.ResizeAlg.convolution(cykooz_resizer.FilterType.lanczos3)

    def resize(self, image: Image.Image, size: Size, box: Part) -> Image.Image:
        """Return *box* of *image* in *size* pixels."""
        left, top, right, bottom = box
        # Of what gets wider and lower, the state in between is larger than both ends. Without the
        # memory for it Pillow raises an error; here the process would end.
        is_large = size[0] > right - left and size[1] < bottom - top
        if image.mode not in _MODES or is_large:
            return _PILLOW.resize(image, size, box)
        # Across first, as Pillow does: what is cut off at black and white in between shows on sharp
        # lines (41 dB from Pillow's on a chart the other way round, 67 like this).
        reach = _SUPPORT * max(1.0, (bottom - top) / size[1])
        first, last = max(0, math.floor(top - reach)), min(image.height, math.ceil(bottom + reach))
        between = Image.new("RGBa" if image.mode == "RGBA" else image.mode, (size[0], last - first))
        self._scale(image, between, (left, first, right, last))
        resized = Image.new(image.mode, size)
        self._scale(between, resized, (0, top - first, size[0], bottom - first))
        resized.info = dict(image.info)
        return resized

    def _scale(self, image: Image.Image, result: Image.Image, box: Part) -> None:
        left, top, right, bottom = box
        part = self._library.CropBox(left, top, right - left, bottom - top)
        options = self._library.ResizeOptions(self._lanczos, crop_box=part)
        # One that is shared keeps its memory, and serves one thread.
        self._library.Resizer().resize_pil(image, result, options)


@attrs.frozen
class SoftResizer:
    """Makes smaller by a filter that leaves few colours along edges, and larger as Pillow does."""

    filter: Image.Resampling
    name = "soft"

    def resize(self, image: Image.Image, size: Size, box: Part) -> Image.Image:
        """Return *box* of *image* in *size* pixels."""
        left, top, right, bottom = box
        if size[0] > right - left or size[1] > bottom - top:
            return _PILLOW.resize(image, size, box)
        return image.resize(size, self.filter, box)


def soft_resizer(
    source_format: str, source_mode: str, format: str, *, moves: bool
) -> SoftResizer | None:
    """Return what scales where each colour of an edge costs bytes; None: what scales everything else.

    LANCZOS puts light and dark lines along edges, which double the bytes of a drawing. This filter keeps
    as much of it. Averages have fewer colours still, but are ragged, which is not seen in what moves.

    Args:
        source_format: Pillow's name of the source's format.
        source_mode: Pillow's mode of its stored pixels.
        format: Pillow's name of the format that is written.
        moves: Whether it is an animation.
    """
    if moves and format == "GIF":
        return SoftResizer(Image.Resampling.BOX)
    # Pillow takes a GIF of greys for one without a palette.
    has_palette = source_mode == "P" or source_format == "GIF"
    is_line_art = source_mode == "1" and not has_palette
    is_dear = format in GAIN_BY_FEW_GREYS if is_line_art else has_palette and holds(format, "P")
    return SoftResizer(Image.Resampling.HAMMING) if is_dear else None


def _fastest() -> Resizer:
    try:
        return SimdResizer()
    except InvalidConfiguration:
        return PillowResizer()


_MAKERS: dict[str, Callable[[], Resizer]] = {
    "auto": _fastest,
    "pillow": PillowResizer,
    "simd": SimdResizer,
}


def get_resizer(name: str) -> Resizer:
    """Return the resizer called *name*.

    Args:
        name: ``'pillow'``, ``'simd'``, or ``'auto'`` for the second if it is installed.

    Raises:
        InvalidConfiguration: There is no such resizer, or what it needs is not installed.

    Example:
        >>> get_resizer("pillow").name
        'pillow'
    """
    if name not in _MAKERS:
        known = ", ".join(sorted(_MAKERS))
        raise InvalidConfiguration(f"there is no resizer {name!r}; there are: {known}")
    return _MAKERS[name]()
