"""Formats, file name extensions and media types, by Pillow's own tables."""

from __future__ import annotations

import mimetypes
import os

from PIL import Image

from imagekit_registry.exceptions import UnknownExtension, UnknownFormat

__all__ = [
    "SAFE_FORMATS",
    "WEB_FORMATS",
    "can_write",
    "extension_to_format",
    "extension_to_mimetype",
    "format_to_extension",
    "format_to_mimetype",
    "normalize_format",
    "suggest_extension",
]

#: Formats that neither run a program nor read other files while they are opened.
SAFE_FORMATS = frozenset(
    ["AVIF", "BMP", "DIB", "GIF", "HEIF", "ICO", "JPEG", "JPEG2000", "MPO"]
    + ["PCX", "PNG", "PPM", "SGI", "TGA", "TIFF", "WEBP"]
)
#: Formats that every browser shows: without a format, a result has that of its source if it is one.
WEB_FORMATS = frozenset(["AVIF", "GIF", "JPEG", "PNG", "WEBP"])
#: The extension that people expect, where Pillow's table lists another one first.
_PREFERRED = {
    "AVIF": ".avif",
    "JPEG": ".jpg",
    "JPEG2000": ".jp2",
    "MPO": ".mpo",
    "PNG": ".png",
    "PPM": ".ppm",
    "TIFF": ".tif",
}
#: Media types that Python's table lacks in some versions.
_MEDIA_TYPES = {
    ".apng": "image/apng",
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".jp2": "image/jp2",
    ".webp": "image/webp",
}
_ALIASES = {"JPG": "JPEG", "TIF": "TIFF", "JP2": "JPEG2000", "APNG": "PNG"}


def normalize_format(name: str) -> str:
    """Return Pillow's spelling of the format *name*.

    Args:
        name: A format in any case, such as ``'jpeg'`` or ``'JPG'``.

    Returns:
        The name in capitals; the name of a format that Pillow does not know is returned as well,
        since a plugin may come later: writing it raises the error.

    Example:
        >>> normalize_format("jpg")
        'JPEG'
    """
    upper = name.strip().lstrip(".").upper()
    return _ALIASES.get(upper, upper)


def can_write(format: str) -> bool:
    """Return whether Pillow can write *format*.

    Example:
        >>> can_write("PNG")
        True
    """
    name = normalize_format(format)
    if name not in Image.SAVE:
        Image.init()
    return name in Image.SAVE


def extension_to_format(extension: str) -> str:
    """Return the format of files that end in *extension*.

    Args:
        extension: With its dot, in any case.

    Raises:
        UnknownExtension: Pillow knows no format with this extension.

    Example:
        >>> extension_to_format(".JPG")
        'JPEG'
    """
    key = extension.lower()
    if key not in Image.EXTENSION:
        Image.init()
    try:
        return Image.EXTENSION[key]
    except KeyError:
        raise UnknownExtension(f"no image format has the extension {extension!r}") from None


def _is_unshown(extension: str) -> bool:
    """Return whether files that end in *extension* are images that not every browser shows."""
    if extension in (".heic", ".heif"):  # known to a plugin, which need not be installed
        return True
    try:
        return extension_to_format(extension) in SAFE_FORMATS - WEB_FORMATS
    except UnknownExtension:
        return False


def format_to_extension(format: str | None) -> str:
    """Return the usual extension, with its dot, of files of a format.

    Raises:
        UnknownFormat: Pillow knows no such format, or files of it have no extension.

    Example:
        >>> format_to_extension("jpeg")
        '.jpg'
    """
    name = normalize_format(format or "")
    if name not in Image.EXTENSION.values():
        Image.init()
    known = [extension for extension, each in Image.EXTENSION.items() if each == name]
    if not known:
        raise UnknownFormat(f"there is no image format {format!r}")
    preferred = _PREFERRED.get(name)
    return preferred if preferred in Image.EXTENSION else known[0]


def extension_to_mimetype(extension: str | None) -> str | None:
    """Return the media type of files that end in *extension*, or None.

    Example:
        >>> extension_to_mimetype(".png")
        'image/png'
    """
    key = (extension or "").lower()
    return _MEDIA_TYPES.get(key) or mimetypes.guess_type(f"a{key}")[0]


def format_to_mimetype(format: str | None) -> str | None:
    """Return the media type of a format, or None.

    Raises:
        UnknownFormat: Pillow knows no such format.

    Example:
        >>> format_to_mimetype("JPEG")
        'image/jpeg'
    """
    return extension_to_mimetype(format_to_extension(format))


def suggest_extension(name: str, format: str | None) -> str:
    """Return the extension for a file called *name* that is written in *format*.

    The extension of *name* is kept if it fits (``.jpeg`` as well as ``.jpg``).

    Args:
        name: A file name or path.
        format: Pillow's name of the format; one without an extension keeps that of *name*. None for
            the format of *name*, or JPEG if that is an image that not every browser shows.

    Example:
        >>> suggest_extension("a.jpeg", "JPEG"), suggest_extension("a.tiff", "JPEG")
        ('.jpeg', '.jpg')
        >>> suggest_extension("a.png", None), suggest_extension("a.heic", None)
        ('.png', '.jpg')
    """
    original = os.path.splitext(name)[1]
    if format is None:
        if not _is_unshown(original.lower()):
            return original
        return ".png" if original.lower() == ".ico" else ".jpg"  # icons have alpha
    try:
        suggested = format_to_extension(format)
    except UnknownFormat:
        return original
    try:
        fits = extension_to_format(original) == normalize_format(format or "")
    except UnknownExtension:
        fits = False
    return original if fits else suggested
