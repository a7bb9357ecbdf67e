"""The camera's orientation tag, applied to pixels and taken out of metadata."""

from __future__ import annotations

import re

from PIL import Image

from ._header import ORIENTATION_TAG

__all__ = ["orient", "without_orientation", "xmp_without_orientation"]

_METHODS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_XMP_ORIENTATION = re.compile(
    rb'(?<!\s)\s*tiff:Orientation\s*=\s*("[^"]*"|\'[^\']*\')|<tiff:Orientation>[^<]*</tiff:Orientation>'
)


def orient(image: Image.Image, orientation: int) -> Image.Image:
    """Return *image* as the EXIF *orientation* (1 to 8) says that it is meant."""
    method = _METHODS.get(orientation)
    return image if method is None else image.transpose(method)


def without_orientation(exif: bytes | None) -> bytes | None:
    """Return EXIF data without its orientation tag; None if it cannot be read."""
    if exif is None:
        return None
    try:
        tags = Image.Exif()
        tags.load(exif)
        if ORIENTATION_TAG not in tags:
            return exif
        del tags[ORIENTATION_TAG]
        return tags.tobytes()
    except Exception:  # noqa: BLE001 - EXIF data is written by everybody's camera; it never costs the picture
        return None


def xmp_without_orientation(xmp: bytes | None) -> bytes | None:
    """Return XMP data without its orientation property."""
    return None if xmp is None else _XMP_ORIENTATION.sub(b"", xmp)
