"""Giving an image another number of pixels: by Pillow, or by what the renderer chose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from PIL import Image

from ._protocol import Size
from .utils import resolve_palette

__all__ = ["PillowResizer", "Resizer", "resample", "resized_by"]

#: Left, top, right and bottom, in pixels; fractions of pixels count.
Part = tuple[float, float, float, float]


class Resizer(Protocol):
    """**Protocol:** scales pixels.

    One instance serves a whole process; its calls may run at the same time in many threads. Any
    exception may leave it: it is reported as one of the processor that asked.

    Example:
        >>> class Sharp:
        ...     name = "sharp"
        ...
        ...     def resize(self, image, size, box):
        ...         return image.resize(size, Image.Resampling.BICUBIC, box)
    """

    name: str

    def resize(self, image: Image.Image, size: Size, box: Part) -> Image.Image:
        """Return *box* of *image* in *size* pixels, in the image's mode and with its ``info``.

        Colours are weighed by alpha, so that none bleeds out of transparent parts.

        Args:
            image: Of any mode but palettes and one bit; it is not to be changed.
            size: Width and height of the result, in pixels.
            box: The part to scale; it lies within the image.
        """


class PillowResizer:
    """Pillow's LANCZOS, for every mode."""

    name = "pillow"

    def resize(self, image: Image.Image, size: Size, box: Part) -> Image.Image:
        """Return *box* of *image* in *size* pixels."""
        return image.resize(size, Image.Resampling.LANCZOS, box=box)


_PILLOW = PillowResizer()
_resizer: ContextVar[Resizer] = ContextVar("resizer", default=_PILLOW)


@contextmanager
def resized_by(resizer: Resizer) -> Iterator[None]:
    """Let *resizer* scale for all processors that run within, in this thread or task.

    Example:
        >>> with resized_by(PillowResizer()):
        ...     resample(Image.new("RGB", (40, 30)), (20, 15)).size
        (20, 15)
    """
    token = _resizer.set(resizer)
    try:
        yield
    finally:
        _resizer.reset(token)


def resample(image: Image.Image, size: Size, box: Part | None = None) -> Image.Image:
    """Return *box* of an image, all of it by default, at another size.

    Palettes become true colours, one bit becomes grey; 16 bits stay 16.

    Args:
        image: Of any mode.
        size: Of the result, in pixels.
        box: The part of the image to scale.

    Example:
        >>> resample(Image.new("1", (40, 30)), (20, 15)).mode
        'L'
    """
    whole = (0, 0, *image.size)
    if image.size == size and box in {None, whole}:
        return image
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode in {"P", "PA"}:
        image = resolve_palette(image)
    elif image.mode in {"RGB", "L"} and "transparency" in image.info:
        # A colour that counts as transparent would lose that by being mixed.
        image = image.convert("RGBA" if image.mode == "RGB" else "LA")
    elif image.mode.startswith("I;16"):
        # By way of 32 bits: converting back cuts off what LANCZOS overshoots at edges.
        return _resizer.get().resize(image.convert("I"), size, box or whole).convert("I;16")
    return _resizer.get().resize(image, size, box or whole)
