"""What a result says about itself besides its pixels."""

from __future__ import annotations

from typing import Any

from PIL import Image, PngImagePlugin

from ._header import Metadata
from ._orient import without_orientation, xmp_without_orientation
from ._recipe import Recipe

__all__ = ["metadata_options", "profile_options"]

ARTIST_TAG = 0x013B
COPYRIGHT_TAG = 0x8298
_EXIF_FORMATS = frozenset(["AVIF", "JPEG", "MPO", "PNG", "TIFF", "WEBP"])
_PROFILE_FORMATS = frozenset(["AVIF", "JPEG", "MPO", "PNG", "TIFF", "WEBP"])
_XMP_FORMATS = frozenset(["AVIF", "JPEG", "MPO", "WEBP"])
_XMP_KEY = "XML:com.adobe.xmp"
#: The most that a JPEG holds in one segment, in bytes.
_JPEG_SEGMENT = 65_000


def _copyright_only(exif: bytes | None) -> bytes | None:
    if exif is None:
        return None
    kept = Image.Exif()
    try:
        tags = Image.Exif()
        tags.load(exif)
        for tag in (ARTIST_TAG, COPYRIGHT_TAG):
            if tags.get(tag):
                kept[tag] = tags[tag]
        return kept.tobytes() if len(kept) else None
    except Exception:  # noqa: BLE001 - broken EXIF data never costs the picture
        return None


def _readable(exif: bytes | None) -> bytes | None:
    """Return EXIF data if Pillow can read it: its encoders for TIFF read what they are given."""
    try:
        if exif is not None:
            Image.Exif().load(exif)
    except Exception:  # noqa: BLE001 - see above
        return None
    return exif


def metadata_options(recipe: Recipe, metadata: Metadata, format: str) -> dict[str, Any]:
    """Return the save options that carry a source's metadata on, as far as the recipe wants it."""
    exif: bytes | None = None
    xmp: bytes | None = None
    if recipe.metadata == "copyright":
        exif = _copyright_only(metadata.exif)
    elif recipe.metadata == "keep":
        exif, xmp = _readable(metadata.exif), metadata.xmp
        if recipe.auto_orient:
            exif, xmp = without_orientation(exif), xmp_without_orientation(xmp)
    options: dict[str, Any] = {}
    largest = _JPEG_SEGMENT if format in ("JPEG", "MPO") else None
    if exif and format in _EXIF_FORMATS and (largest is None or len(exif) <= largest):
        options["exif"] = exif
    if xmp and format in _XMP_FORMATS and (largest is None or len(xmp) <= largest):
        options["xmp"] = xmp
    elif xmp and format == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt(_XMP_KEY, xmp.decode("utf-8", "replace"))
        options["pnginfo"] = chunks
    return options


def profile_options(profile: bytes | None, format: str) -> dict[str, Any]:
    """Return the save options that embed *profile*."""
    return {"icc_profile": profile} if profile and format in _PROFILE_FORMATS else {}
