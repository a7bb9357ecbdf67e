"""What an image says about itself besides its pixels: orientation, profile, EXIF and XMP."""

from __future__ import annotations

import re
from collections.abc import Callable

from PIL import Image, PngImagePlugin

from ._colour import to_srgb
from ._decoder import Metadata, Plan
from ._recipe import Recipe

ORIENTATION_TAG = 0x0112
ARTIST_TAG = 0x013B
COPYRIGHT_TAG = 0x8298
#: Formats that hold EXIF data and profiles.
_EXIF_FORMATS = frozenset(["AVIF", "JPEG", "MPO", "PNG", "TIFF", "WEBP"])
_XMP_FORMATS = frozenset(["AVIF", "JPEG", "MPO", "WEBP"])
_XMP_KEY = "XML:com.adobe.xmp"
#: The most that a JPEG holds in one segment, in bytes.
_JPEG_SEGMENT = 65_000
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


def finish(
    image: Image.Image, plan: Plan, profile: bytes | None, exif: bytes | None
) -> Image.Image:
    """Orient decoded pixels and convert their colours as *plan* says.

    The image's ``info`` afterwards holds what processors may ask for, and nothing that is no longer
    true: EXIF data without an orientation that has been applied, a profile that was kept.
    """
    info: dict[str | tuple[int, int], object] = {}
    if plan.orientation != 1:
        image = image.transpose(_METHODS[plan.orientation])
        exif = _edited(exif, _without_orientation)
    if exif:
        info["exif"] = exif
    if plan.color == "srgb":
        image = to_srgb(image, profile)
    elif profile:
        info["icc_profile"] = profile
    if image.mode in ("1", "L", "P", "RGB", "I;16") and "transparency" in image.info:
        info["transparency"] = image.info["transparency"]
    image.info = info
    return image


def _edited(exif: bytes | None, edit: Callable[[Image.Exif, bytes], bytes | None]) -> bytes | None:
    """Return what *edit* makes of EXIF data; None if they cannot be read."""
    try:
        tags = Image.Exif()
        if exif is not None:
            tags.load(exif)
            return edit(tags, exif)
    except Exception:  # noqa: BLE001 - everybody's camera writes it; it never costs the picture
        return None
    return None


def _without_orientation(tags: Image.Exif, exif: bytes) -> bytes:
    if ORIENTATION_TAG not in tags:
        return exif
    del tags[ORIENTATION_TAG]
    return tags.tobytes()


def without_orientation(exif: object) -> bytes:
    """Return EXIF data, as bytes or as Pillow's own, without an orientation; empty if unreadable."""
    data = exif.tobytes() if isinstance(exif, Image.Exif) else exif
    return (isinstance(data, bytes) and _edited(data, _without_orientation)) or b""


def _copyright_only(tags: Image.Exif, exif: bytes) -> bytes | None:
    kept = Image.Exif()
    for tag in (ARTIST_TAG, COPYRIGHT_TAG):
        if tags.get(tag):
            kept[tag] = tags[tag]
    return kept.tobytes() if len(kept) else None


def xmp_without_orientation(xmp: bytes) -> bytes:
    """Return XMP data without its orientation property."""
    return _XMP_ORIENTATION.sub(b"", xmp)


def carried_options(
    recipe: Recipe, profile: bytes | None, metadata: Metadata, format: str
) -> dict[str, object]:
    """Return the save options that carry on what a source says, as far as the recipe wants it."""
    exif: bytes | None = None
    xmp: bytes | None = None
    if recipe.metadata == "copyright":
        exif = _edited(metadata.exif, _copyright_only)
    elif recipe.metadata == "keep":
        # Pillow's encoders for TIFF read what they are given: it must be readable.
        exif, xmp = _edited(metadata.exif, lambda tags, exif: exif), metadata.xmp
        if recipe.auto_orient:
            exif = _edited(exif, _without_orientation)
            xmp = xmp and xmp_without_orientation(xmp)
    options: dict[str, object] = {}
    largest = _JPEG_SEGMENT if format in ("JPEG", "MPO") else float("inf")
    if exif and format in _EXIF_FORMATS and len(exif) <= largest:
        options["exif"] = exif
    if xmp and format in _XMP_FORMATS and len(xmp) <= largest:
        options["xmp"] = xmp
    elif xmp and format == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt(_XMP_KEY, xmp.decode("utf-8", "replace"))
        options["pnginfo"] = chunks
    if recipe.color == "keep" and profile and format in _EXIF_FORMATS:
        options["icc_profile"] = profile
    return options
