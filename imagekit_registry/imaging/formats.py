"""Formats, file name extensions and media types, by Pillow's own tables."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Mapping

from PIL import Image

from imagekit_registry._openers import opener_registry
from imagekit_registry.exceptions import UnknownExtension, UnknownFormat, answer_or

__all__ = [
    "AUTO",
    "AUTO_FORMATS",
    "SAFE_FORMATS",
    "SMALLEST",
    "SMALLEST_OF",
    "WEB_FORMATS",
    "can_write",
    "default_format",
    "extension_to_format",
    "extension_to_mimetype",
    "format_to_extension",
    "format_to_mimetype",
    "normalize_format",
    "suggest_extension",
]

#: The format that is chosen by what is in the result: the first of these, or the second if any part of
#: it is transparent. Its name must be known before: it is that of the first.
AUTO = "AUTO"
AUTO_FORMATS = ("JPEG", "PNG")
#: What stands in place of a format where that with the fewest bytes is wanted.
SMALLEST = "SMALLEST"
SMALLEST_OF = ("AVIF", "WEBP", "JPEG")
#: Formats that neither run a program nor read other files while they are opened.
SAFE_FORMATS = frozenset(
    ["AVIF", "BMP", "DIB", "GIF", "HEIF", "ICO", "JPEG", "JPEG2000", "MPO"]
    + ["PCX", "PNG", "PPM", "SGI", "TGA", "TIFF", "WEBP"]
)
#: Formats that every browser shows: without a format, a result has that of its source if it is one.
WEB_FORMATS = frozenset(["AVIF", "GIF", "JPEG", "PNG", "WEBP"])
#: The others, of which some can be transparent, and what is made of each: a name must be known
#: before anything is read of the source, so that it cannot depend on what is in it.
_STAND_INS = dict.fromkeys(SAFE_FORMATS - WEB_FORMATS, "JPEG")
_STAND_INS |= dict.fromkeys(["HEIF", "JPEG2000", "SGI", "TGA", "TIFF"], "WEBP") | {"ICO": "PNG"}
#: What stands for the formats of files that openers read.
_OPENED = "opened"
_STAND_INS[_OPENED] = "WEBP"
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
#: Media types that Python's table lacks in some versions, or takes long to tell.
_MEDIA_TYPES = {
    ".apng": "image/apng",
    ".avif": "image/avif",
    ".gif": "image/gif",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".jp2": "image/jp2",
    ".jxl": "image/jxl",
    ".png": "image/png",
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


def by_format(
    options: Mapping[str, Mapping[str, object]],
) -> Mapping[str, Mapping[str, object]]:
    """Return save options by Pillow's names of the formats, however they are spelt."""
    merged: dict[str, dict[str, object]] = {}
    for name, values in options.items():
        merged.setdefault(normalize_format(name), {}).update(values)
    return merged


def _named_as(format: str) -> str:
    """Return the format by which a file is named that is written in *format*."""
    name = normalize_format(format)
    return AUTO_FORMATS[0] if name == AUTO else name


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


def require_format(name: str) -> str:
    """Return Pillow's spelling of a format that can be written, or `AUTO`.

    Raises:
        UnknownFormat: Pillow cannot write it.
    """
    normal = normalize_format(name)
    if normal != AUTO and not can_write(normal):
        known = ", ".join(sorted(Image.SAVE))
        raise UnknownFormat(f"Pillow cannot write the format {name!r}; it can write {known}")
    return normal


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


def _format_of(name: str) -> str | None:
    """Return the format that the extension of *name* tells of, or None."""
    extension = os.path.splitext(name)[1].lower()
    if extension in (".heic", ".heif"):  # known to a plugin, which need not be installed
        return "HEIF"
    if opener_registry.takes(extension_to_mimetype(extension)):
        return _OPENED
    return answer_or(None, extension_to_format, extension)


def default_format(source_format: str, name: str = "") -> str:
    """Return the format in which an image is written that is asked for without one.

    A format that every browser shows is kept. Of the others those that can be transparent, and what
    openers read, become WebP (icons: PNG), the rest becomes JPEG; the extension of the source's name, if it has one,
    decides as far as it can, so that the image's name (see `suggest_extension`) is right.

    Args:
        source_format: Pillow's name of the format that the source has.
        name: The source's name.

    Example:
        >>> default_format("TIFF"), default_format("BMP"), default_format("PNG")
        ('WEBP', 'JPEG', 'PNG')
    """
    named = _format_of(name)
    if named in _STAND_INS:
        return _STAND_INS[named]
    if source_format in WEB_FORMATS and can_write(source_format):
        return source_format
    if named in WEB_FORMATS and can_write(named):
        return named
    return _STAND_INS.get(source_format, "JPEG")


def format_to_extension(format: str | None) -> str:
    """Return the usual extension, with its dot, of files of a format; of `AUTO` that of the first.

    Raises:
        UnknownFormat: Pillow knows no such format, or files of it have no extension.

    Example:
        >>> format_to_extension("jpeg")
        '.jpg'
    """
    name = _named_as(format or "")
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
            the format of *name*, or what `default_format` says if not every browser shows that.

    Example:
        >>> suggest_extension("a.jpeg", "JPEG"), suggest_extension("a.tiff", "JPEG")
        ('.jpeg', '.jpg')
        >>> suggest_extension("a.png", None), suggest_extension("a.heic", None)
        ('.png', '.webp')
    """
    original = os.path.splitext(name)[1]
    if format is None:
        named = _format_of(name)
        return format_to_extension(_STAND_INS[named]) if named in _STAND_INS else original
    try:
        suggested = format_to_extension(format)
    except UnknownFormat:
        return original
    try:
        fits = extension_to_format(original) == _named_as(format)
    except UnknownExtension:
        fits = False
    return original if fits else suggested
