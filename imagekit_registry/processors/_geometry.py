"""Where scaling and cutting put things: the same for every mode and for thin images."""

from __future__ import annotations

import math

from PIL import Image

from ._protocol import Size

#: The box around a focal point that has none, as a fraction of the image.
_BOX = 1 / 3
#: Left, top, right and bottom, in pixels.
Box = tuple[int, int, int, int]


def fit_size(
    size: Size, width: int | None, height: int | None, upscale: bool | None, zoom: int = 0
) -> Size:
    """Return the largest size of *size*'s proportions within *width* and *height*.

    *zoom* is how many per cent larger it is then.
    """
    ratios = [limit / side for limit, side in zip((width, height), size, strict=True) if limit]
    return _times(size, min(ratios, default=1.0) * (1 + zoom / 100), upscale)


def cover_size(size: Size, width: int, height: int, upscale: bool | None, zoom: int = 0) -> Size:
    """Return the smallest size of *size*'s proportions that covers *width* and *height*.

    *zoom* is how many per cent larger it is then.
    """
    return _times(size, max(width / size[0], height / size[1]) * (1 + zoom / 100), upscale)


def _times(size: Size, ratio: float, upscale: bool | None) -> Size:
    target = max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))
    return scaled_size(size, target, upscale)


def scaled_size(source_size: Size, target: Size, upscale: bool | None) -> Size:
    """Return *target*, or *source_size* if that would enlarge what is not to be enlarged."""
    # A side that stays as it is is not enlarged: of 20000 x 1 pixels, one is as low as it gets.
    is_larger = target[0] > source_size[0] or target[1] > source_size[1]
    return source_size if is_larger and not upscale else target


def cut_size(size: Size, width: int | None, height: int | None) -> Size:
    """Return what is left of *size* if it is cut to *width* and *height*."""
    return min(width or size[0], size[0]), min(height or size[1], size[1])


def anchored_box(size: Size, cut: Size, anchor: tuple[float, ...]) -> Box:
    """Return the part, of the size *cut*, that *anchor* keeps of an image of *size*.

    Args:
        size: Width and height, in pixels.
        cut: Likewise; no side is longer.
        anchor: A pair of fractions, or the four of a focal point, which lies in the part together
            with its box, if that is no larger.
    """
    if len(anchor) == 2:
        left, top = int((size[0] - cut[0]) * anchor[0]), int((size[1] - cut[1]) * anchor[1])
    else:
        left, top = (_start(*axis) for axis in zip(size, cut, anchor[:2], anchor[2:], strict=True))
    return left, top, left + cut[0], top + cut[1]


def centered_box(size: Size, cut: Size, target: tuple[float, ...]) -> Box:
    """Return the part, of the size *cut*, in whose middle a point is, as far as the edges allow.

    Args:
        size: Width and height, in pixels.
        cut: Likewise; no side is longer.
        target: The point, in fractions of width and height.
    """
    # 0.29 * 100 is a little less than 29.
    points = (int(round(side * part, 6)) for side, part in zip(size, target, strict=True))
    left, top = (
        min(max(point - kept // 2, 0), side - kept)
        for point, side, kept in zip(points, size, cut, strict=True)
    )
    return left, top, left + cut[0], top + cut[1]


def _start(length: int, cut: int, point: float, extent: float) -> int:
    """Return where to begin to keep *cut* of an axis; the point stays where it is, if it can."""
    middle, half = point * length, min(extent * length, cut) / 2
    start = round((length - cut) * point)
    # The point comes last: where the box does not quite fit between two pixels, it still does.
    for around in (half, 0):
        earliest, latest = math.ceil(middle + around) - cut, math.floor(middle - around)
        start = min(max(start, earliest), latest)
    return min(max(start, 0), length - cut)


def approach(
    size: Size, covering: Size, cut: Size, anchor: tuple[float, ...], closeness: int
) -> float:
    """Return how many times larger an image is scaled, to show its focal point from nearby.

    Args:
        size: Of the image, in pixels.
        covering: The size that it is scaled to otherwise.
        cut: The size of the part that is kept.
        anchor: A pair, for which nothing is zoomed, or the four fractions of a focal point.
        closeness: From 0 (not at all) to 100: until its box fills the part, as far as nothing is
            enlarged.
    """
    if len(anchor) == 2 or not closeness:
        return 1.0
    boxes = [box or _BOX for box in anchor[2:]] if any(anchor[2:]) else [_BOX, _BOX]
    fills = [part / (box * side) for part, box, side in zip(cut, boxes, covering, strict=True)]
    nearest = max(1.0, min(*fills, size[0] / covering[0], size[1] / covering[1]))
    return 1 / (1 - closeness / 100 * (1 - 1 / nearest))


def cut_out(image: Image.Image, box: Box) -> Image.Image:
    """Return *box* of an image; the image itself if that is all of it."""
    return image if box == (0, 0, *image.size) else image.crop(box)
