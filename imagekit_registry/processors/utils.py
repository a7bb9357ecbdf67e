"""Helpers for those who write processors."""

from __future__ import annotations

from math import fsum, log2

from PIL import Image, ImageMode

__all__ = ["color_count", "has_alpha", "histogram_entropy_py", "resolve_palette", "true_color"]

_BRIGHTEST_16_BIT = 65_535
#: Below this an image of 32 bits holds bytes: scaling overshoots at edges, and as 16 bits it would be
#: black.
_BYTES_END = 512


def color_count(image: Image.Image) -> int:
    """Return the number of colour values in an image: its pixels times its bands.

    Example:
        >>> color_count(Image.new("RGB", (10, 10)))
        300
    """
    width, height = image.size
    return width * height * len(ImageMode.getmode(image.mode).bands)


def histogram_entropy_py(image: Image.Image) -> float:
    """Return the entropy of an image's histogram, in bits (Shannon, 1948).

    Pillow's own ``Image.entropy`` is faster; this one is for code that expects it.
    """
    total = float(color_count(image))
    shares = (count / total for count in image.histogram())
    return -fsum(share * log2(share) for share in shares if share)


def has_alpha(image: Image.Image) -> bool:
    """Return whether an image has transparent parts, or may have."""
    return image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info


def resolve_palette(image: Image.Image) -> Image.Image:
    """Return an image without a palette, or the image itself if it has none.

    Transparency, of one colour or of each, becomes an alpha band.
    """
    if image.mode == "P":
        return image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode == "PA":
        return image.convert("RGBA")
    return image


def true_color(image: Image.Image) -> Image.Image:
    """Return an image as RGB, or as RGBA if it has transparency."""
    if image.mode in {"RGB", "RGBA"} and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16") or image.mode == "I":
        return _eight_bits(image).convert("RGB")
    if image.mode in {"RGBa", "La"}:
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    return image.convert("RGBA" if has_alpha(image) else "RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return an image of 16 bits a value as one of 8; one of 32 bits by its brightest value."""
    wide = image.convert("I").convert("F")
    # Values of a byte in a wide mode are what their maker meant by them.
    is_narrow = (
        image.mode == "I" and image.getextrema()[1] < _BYTES_END  # type: ignore[operator]
    )
    scale = 255 / (255 if is_narrow else _BRIGHTEST_16_BIT)
    return wide.point(lambda value: value * scale + 0.5).convert("L")
