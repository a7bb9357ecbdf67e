"""Where scaling and cutting put things: the same for every mode and for thin images."""

from __future__ import annotations

from PIL import Image

from ._protocol import Size

#: Left, top, right and bottom, in pixels.
Box = tuple[int, int, int, int]


def fit_size(size: Size, width: int | None, height: int | None, upscale: bool | None) -> Size:
    """Return the largest size of *size*'s proportions within *width* and *height*."""
    ratios = [limit / side for limit, side in zip((width, height), size, strict=True) if limit]
    return scaled_size(size, _times(size, min(ratios, default=1.0)), upscale)


def cover_size(size: Size, width: int, height: int, upscale: bool | None) -> Size:
    """Return the smallest size of *size*'s proportions that covers *width* and *height*."""
    return scaled_size(size, _times(size, max(width / size[0], height / size[1])), upscale)


def _times(size: Size, ratio: float) -> Size:
    return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))


def scaled_size(source_size: Size, target: Size, upscale: bool | None) -> Size:
    """Return *target*, or *source_size* if that would enlarge what is not to be enlarged."""
    # A side that stays as it is is not enlarged: of 20000 x 1 pixels, one is as low as it gets.
    is_larger = target[0] > source_size[0] or target[1] > source_size[1]
    return source_size if is_larger and not upscale else target


def cut_size(size: Size, width: int | None, height: int | None) -> Size:
    """Return what is left of *size* if it is cut to *width* and *height*."""
    return min(width or size[0], size[0]), min(height or size[1], size[1])


def anchored_box(size: Size, cut: Size, anchor: tuple[float, float]) -> Box:
    """Return the part, of the size *cut*, that *anchor* keeps of an image of *size*."""
    left, top = int((size[0] - cut[0]) * anchor[0]), int((size[1] - cut[1]) * anchor[1])
    return left, top, left + cut[0], top + cut[1]


def cut_out(image: Image.Image, box: Box) -> Image.Image:
    """Return *box* of an image; the image itself if that is all of it."""
    return image if box == (0, 0, *image.size) else image.crop(box)
