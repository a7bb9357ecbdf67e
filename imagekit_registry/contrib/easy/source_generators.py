"""The address at which easy-thumbnails opens images for others."""

from __future__ import annotations

from typing import IO

from PIL import Image, ImageOps

from imagekit_registry.imaging.compat import open_image

__all__ = ["pil_image"]


def pil_image(
    source: IO[bytes] | None, exif_orientation: bool = True, **options: object
) -> Image.Image | None:
    """Return an image that lies in an open file; its pixels are read when they are needed.

    Args:
        source: The file; None gives None.
        exif_orientation: Whether it is turned as its EXIF orientation says.
        **options: Those of easy-thumbnails, which make no difference here.

    Raises:
        UnreadableImage: It is no image.
    """
    if not source:
        return None
    image = open_image(source)
    return ImageOps.exif_transpose(image) if exif_orientation else image
