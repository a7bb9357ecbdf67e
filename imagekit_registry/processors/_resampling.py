"""Scaling, and the geometry of it: the same for every mode and for thin images."""

from __future__ import annotations

from PIL import Image

from imagekit_registry.processors._protocol import Size
from imagekit_registry.processors.utils import resolve_palette

__all__ = ["Box", "cover_size", "fit_size", "resample", "scale_box"]

#: Left, top, right and bottom, in pixels; fractions of pixels count.
Box = tuple[float, float, float, float]


def fit_size(size: Size, width: int | None, height: int | None) -> Size:
    """Return the largest size of *size*'s proportions within *width* and *height*."""
    ratios = [limit / side for limit, side in zip((width, height), size, strict=True) if limit]
    return _scaled(size, min(ratios, default=1.0))


def cover_size(size: Size, width: int, height: int) -> Size:
    """Return the smallest size of *size*'s proportions that covers *width* and *height*."""
    return _scaled(size, max(width / size[0], height / size[1]))


def _scaled(size: Size, ratio: float) -> Size:
    return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))


def scale_box(box: Box, source_size: Size, size: Size) -> Box:
    """Return *box* of an image of *source_size* as one of the same image at *size*."""
    x, y = size[0] / source_size[0], size[1] / source_size[1]
    left, top, right, bottom = box
    # Rounding must not put it a hair's breadth outside.
    return left * x, top * y, min(right * x, float(size[0])), min(bottom * y, float(size[1]))


def resample(image: Image.Image, size: Size, box: Box | None = None) -> Image.Image:
    """Return *box* of an image, all of it by default, at another size.

    Palettes become true colours, one bit becomes grey; 16 bits stay 16. Pillow multiplies by alpha
    before it mixes pixels, so that no colour bleeds out of transparent parts.

    Args:
        image: Of any mode.
        size: Of the result, in pixels.
        box: The part of the image to scale.
    """
    if image.size == size and box in {None, (0, 0, *size)}:
        return image
    image = _resizable(image)
    if image.mode.startswith("I;16"):
        # By way of 32 bits: converting back cuts off what LANCZOS overshoots at edges.
        return image.convert("I").resize(size, Image.Resampling.LANCZOS, box=box).convert("I;16")
    return image.resize(size, Image.Resampling.LANCZOS, box=box)


def _resizable(image: Image.Image) -> Image.Image:
    if image.mode == "1":
        return image.convert("L")
    if image.mode in {"P", "PA"}:
        return resolve_palette(image)
    if image.mode in {"RGB", "L"} and "transparency" in image.info:
        # A colour that counts as transparent would lose that by being mixed.
        return image.convert("RGBA" if image.mode == "RGB" else "LA")
    return image
