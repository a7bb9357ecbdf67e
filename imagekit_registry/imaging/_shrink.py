"""Making decoded images smaller by whole factors, cheaply, before they are scaled exactly."""

from __future__ import annotations

from PIL import Image

from ._colour import is_deep, to_eight_bit, without_palette
from ._plan import Size

__all__ = ["fit_extent", "reduce_by", "reduce_to", "reducing_factor"]

#: Rows of the source that are averaged at a time where alpha needs a premultiplied copy of them.
STRIP_ROWS = 256
#: A part of a pixel by which an image may be out of place without anybody seeing it.
TOLERANCE = 0.01


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


def _reduce_alpha(image: Image.Image, factor: int) -> Image.Image:
    """Average an image with alpha strip by strip: a premultiplied copy of it all would be large."""
    width, height = image.size
    result = Image.new(image.mode, (-(-width // factor), -(-height // factor)))
    rows = max(1, STRIP_ROWS // factor) * factor
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(height, top + rows)))
        result.paste(strip.reduce(factor), (0, top // factor))
    return result


def reduce_by(image: Image.Image, factor: int) -> Image.Image:
    """Return *image* averaged over squares of *factor* pixels; its mode must not be a palette."""
    reduced = _reduce_alpha(image, factor) if "A" in image.mode else image.reduce(factor)
    reduced.info = image.info
    return reduced


def reducing_factor(minimum: Size | None, extent: tuple[float, float]) -> int:
    """Return the whole factor by which `reduce_to` averages; 1 if it does not."""
    if minimum is None:
        return 1
    return max(1, int(min(extent[0] // minimum[0], extent[1] // minimum[1])))


def reduce_to(image: Image.Image, minimum: Size, extent: tuple[float, float]) -> Image.Image:
    """Return *image* averaged down by a whole factor, no smaller than *minimum*.

    Args:
        image: Decoded in full, or at a smaller scale.
        minimum: In pixels.
        extent: How many pixels of *image*, in fractions, the source covers.
    """
    factor = reducing_factor(minimum, extent)
    if factor > 1:
        info = image.info
        image = without_palette(to_eight_bit(image) if is_deep(image) else image)
        image = reduce_by(image, factor)
        image.info = {key: value for key, value in info.items() if key != "transparency"}
    return fit_extent(image, (extent[0] / factor, extent[1] / factor))
