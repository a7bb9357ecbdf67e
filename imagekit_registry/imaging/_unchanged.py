"""The bytes of the source in place of a result that shows the same, without the source's metadata."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator, Mapping

from PIL import Image

from imagekit_registry.exceptions import answer_or

STRIP_ROWS = 256

# JPEG (ITU-T T.81, B.1): what a decoder does not need is in APPn and in comments, but for JFIF's
# density, Adobe's word for the colours, and profiles.
_SOI, _EOI, _SOS, _COM, _ADOBE = 0xD8, 0xD9, 0xDA, 0xFE, 0xEE
_APPS = range(0xE0, 0xF0)
_LONE = frozenset([0x00, 0x01, *range(0xD0, 0xD8), 0xFF])
_PROFILE = b"ICC_PROFILE\0"
# PNG (W3C, 5.6): the critical chunks, and transparency.
_PNG_HEAD, _PNG_CHUNKS = (
    b"\x89PNG\r\n\x1a\n",
    frozenset([b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"]),
)
# WebP (RFC 9649, 2.7): flags of the first chunk of the extended format.
_WEBP_CHUNKS = frozenset([b"VP8 ", b"VP8L", b"VP8X", b"ALPH"])
_WEBP_PROFILE, _WEBP_EXIF, _WEBP_XMP = 0x20, 0x08, 0x04


def _jpeg(data: bytes, keeps_profile: bool) -> Iterator[bytes]:
    at, is_scan = 2, False
    yield data[:at]
    while True:
        start = data.index(b"\xff", at)
        if is_scan:
            yield data[at:start]
        marker = data[start + 1]
        at = start + 1 if marker == 0xFF else start + 2
        if marker in _LONE:
            yield data[start:at] if is_scan else b""
            continue
        if marker == _EOI:
            # What comes after it is another image, or a film.
            yield data[start:at]
            return
        end = at + int.from_bytes(data[at : at + 2])
        is_profile = keeps_profile and data.startswith(_PROFILE, at + 2)
        is_jfif = marker == _APPS[0] and data.startswith(b"JFIF\0", at + 2)
        is_needed = marker not in _APPS and marker != _COM
        if is_needed or is_profile or is_jfif or marker == _ADOBE:
            yield data[start:end]
        at, is_scan = end, marker == _SOS


def _png(data: bytes, keeps_profile: bool) -> Iterator[bytes]:
    yield _PNG_HEAD
    at, name = len(_PNG_HEAD), b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if name in _PNG_CHUNKS or (keeps_profile and name == b"iCCP"):
            yield data[at:end]
        at = end


def _webp(data: bytes, keeps_profile: bool) -> Iterator[bytes]:
    at, parts = 12, []
    end_of_file = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    while at + 8 <= end_of_file:
        name, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length + length % 2
        chunk = data[at:end]
        if name == b"VP8X":
            dropped = _WEBP_EXIF | _WEBP_XMP | (0 if keeps_profile else _WEBP_PROFILE)
            chunk = chunk[:8] + bytes([chunk[8] & ~dropped]) + chunk[9:]
        if name in _WEBP_CHUNKS or (keeps_profile and name == b"ICCP"):
            parts.append(chunk)
        at = end
    body = b"WEBP" + b"".join(parts)
    yield b"RIFF" + len(body).to_bytes(4, "little") + body


_STRIPPERS: Mapping[str, Callable[[bytes, bool], Iterator[bytes]]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
}


def stripped(data: bytes, format: str, *, keeps_profile: bool) -> bytes | None:
    """Return an image file without metadata, its pixels as they are; None if that cannot be done.

    Args:
        data: The file: a still.
        format: Pillow's name of its format.
        keeps_profile: Whether its colour profile is kept.
    """
    strip = _STRIPPERS.get(format)
    if strip is None:
        return None
    # What is damaged has no such structure.
    return answer_or(None, lambda: b"".join(strip(data, keeps_profile)))


def shows(data: bytes, format: str, image: Image.Image) -> bool:
    """Return whether an image file has the very pixels of *image*."""
    return answer_or(False, _has_pixels, data, format, image)


def _has_pixels(data: bytes, format: str, image: Image.Image) -> bool:
    with Image.open(io.BytesIO(data), formats=[format]) as file:
        if file.size != image.size or {file.mode[0], image.mode[0]} & {"I", "F"}:
            return False
        for top in range(0, image.height, STRIP_ROWS):
            box = (0, top, image.width, min(top + STRIP_ROWS, image.height))
            one, other = (each.crop(box).convert("RGBA") for each in (file, image))
            if one.tobytes() != other.tobytes():
                return False
    return True
