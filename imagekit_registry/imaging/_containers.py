"""Image files around their pixels: what is broken and does not matter, what is told, and what is dropped."""

from __future__ import annotations

import io
import itertools
import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import IO

from PIL import ImageFile

from imagekit_registry.exceptions import LimitExceeded, answer_or

from ._source import BufferedSource

#: Metadata beyond this size, in bytes, is not read.
MAX_METADATA_BYTES = 1024 * 1024
EXIF_PREFIX = b"Exif\0\0"
# PNG (W3C, 5.6): the critical chunks, and transparency.
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_PNG_CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"tRNS")
#: Chunks of a PNG: 100 MB in chunks of 1 KB, and more, are possible.
MAX_PNG_CHUNKS = 200_000
#: The least length of chunks that say something short.
_LENGTHS = {b"cHRM": 32, b"fcTL": 26, b"gAMA": 4, b"pHYs": 9, b"sRGB": 1}
#: The type of colours that are numbers of a palette, and the most of them.
_INDEXED, _MOST_COLORS = 3, 256
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
#: Metadata longer than this, in bytes, are not even read: what they would be need not be known.
LONGEST_METADATA = 4 * 1024 * 1024
# JPEG (ITU-T T.81, B.1): what a decoder does not need is in APPn and in comments, but for JFIF's
# density, Adobe's word for the colours, and profiles.
_EOI, _SOS, _COM, _ADOBE = 0xD9, 0xDA, 0xFE, 0xEE
_APPS = range(0xE0, 0xF0)
_LONE = frozenset([0x00, 0x01, *range(0xD0, 0xD8), 0xFF])
_PROFILE = b"ICC_PROFILE\0"
# WebP (RFC 9649, 2.7): flags of the first chunk of the extended format.
_WEBP_CHUNKS = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH")
_WEBP_PIXELS = (b"VP8 ", b"VP8L", b"ANMF")
_WEBP_PROFILE, _WEBP_EXIF, _WEBP_XMP = 0x20, 0x08, 0x04
#: Chunks of a WebP before its pixels.
MAX_WEBP_CHUNKS = 4
#: Of what claims to be far longer than it is, no more than this share is made up.
MOST_MADE_UP = 0.9
#: The most that GIF and WebP can count.
MAX_PLAYS = 65_535
#: Where an AVIF says how long it plays in all, and how long once; and the flag that it is repeated.
_AVIF_ALL = re.compile(rb"tkhd(?:\x00.{19}(.{4})|\x01.{27}(.{8}))", re.DOTALL)
_AVIF_ONCE = re.compile(rb"elst(?:\x00..(.).{4}(.{4})|\x01..(.).{4}(.{8}))", re.DOTALL)
#: The first of these in what libavif writes, for ever: all ones.
_AVIF_FOR_EVER = re.compile(rb"(mvhd\x01.{23}|tkhd\x01.{27})\xff{8}", re.DOTALL)
#: The bytes in which that, and its colours, are looked for.
AVIF_HEAD = 64 * 1024


def _png_chunks(source: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield kind and size in bytes of each chunk of a PNG, with *source* at its data."""
    place = len(PNG_SIGNATURE)
    while True:
        source.seek(place)
        head = source.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return
        length = int.from_bytes(head[:4])
        yield head[4:], length
        place += length + 12


def _webp_chunks(source: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield kind and size in bytes, with what fills it up, of each chunk of a WebP, likewise."""
    place = 12
    while True:
        source.seek(place)
        head = source.read(8)
        if len(head) < 8:
            return
        length = int.from_bytes(head[4:], "little")
        length += length % 2
        yield head[:4], length
        place += length + 8


def late_png_exif(source: IO[bytes]) -> bytes | None:
    """Return the EXIF data of a PNG that stands behind the pixels, if there is any."""
    for kind, length in _png_chunks(source):
        if kind == b"eXIf" and length <= MAX_METADATA_BYTES:
            return EXIF_PREFIX + source.read(length)
    return None


def code_points(format: str | None, source: IO[bytes]) -> tuple[int, int] | None:
    """Return the code points of primaries and transfer function that a PNG or AVIF names."""
    if format == "PNG":
        for kind, length in _png_chunks(source):
            if kind == b"cICP" and length == 4:
                primaries, transfer, matrix, is_full = source.read(4)
                return (primaries, transfer) if (matrix, is_full) == (0, 1) else None
            if kind == b"IDAT":
                break
    elif format == "AVIF":
        source.seek(0)
        _, found, data = source.read(AVIF_HEAD).partition(b"colrnclx")
        primaries, transfer = int.from_bytes(data[:2]), int.from_bytes(data[2:4])
        # What is named for films is a picture for screens, as browsers take it.
        return (primaries, 13 if transfer in (1, 6, 14, 15) else transfer) if found else None
    return None


def _inflated(data: bytes) -> int:
    """Return how long compressed data are, as far as is known without making more than is read."""
    try:
        return len(zlib.decompressobj().decompress(data, MAX_METADATA_BYTES + 1))
    except zlib.error:
        return 0


def _metadata_bytes(kind: bytes, data: bytes) -> float:
    """Return how many bytes Pillow makes of a profile, a text or EXIF data; infinite if it fails."""
    _, end, rest = data.partition(b"\0")
    if kind == b"iTXt" and rest[:1] == b"\1":
        return _inflated(rest[2:].split(b"\0", 2)[-1])
    if kind in (b"iCCP", b"zTXt") and (kind == b"iCCP" or end):
        return _inflated(rest[1:]) if rest[:1] == b"\0" else math.inf
    return len(data)


def _is_sound(kind: bytes, data: bytes, color_type: int) -> bool:
    """Return whether Pillow can read a chunk of metadata."""
    if kind == b"acTL":
        return len(data) >= 8 and 0 < int.from_bytes(data[:4]) <= 2**31
    if kind == b"tRNS" and color_type == _INDEXED:
        return len(data) <= _MOST_COLORS
    least = {0: 2, 2: 6}.get(color_type, 0) if kind == b"tRNS" else _LENGTHS.get(kind, 0)
    return len(data) >= least


def _sound_png(source: IO[bytes]) -> bytes | None:
    """Return a PNG without what is broken or too long and is not needed to show it, or None.

    Raises:
        LimitExceeded: It has so many chunks that reading them would take too long.
    """
    color_type, is_animated, has_palette, has_pixels = 0, False, False, False
    most = left = MAX_METADATA_BYTES
    broken: list[tuple[int, int]] = []
    for number, (kind, length) in enumerate(_png_chunks(source), 1):
        start = source.tell() - 8
        if number == MAX_PNG_CHUNKS:
            cause = f"the image has more than {MAX_PNG_CHUNKS} chunks"
            raise LimitExceeded(cause, hint="Save the image again with an image editor.")
        if kind == b"IHDR":
            color_type = int.from_bytes(source.read(10)[9:])
        has_palette, has_pixels = has_palette or kind == b"PLTE", has_pixels or kind == b"IDAT"
        # A damaged frame ends the animation, which is seen when it is read.
        if kind[:1].isupper() or (is_animated and has_pixels and kind in (b"fcTL", b"fdAT")):
            continue
        chunk = source.read(min(length, LONGEST_METADATA) + 4)
        data, cost = chunk[:-4], 0.0
        is_sound = (
            zlib.crc32(kind + data) == int.from_bytes(chunk[-4:])
            and _is_sound(kind, data, color_type)
            and (kind != b"tRNS" or color_type != _INDEXED or has_palette)
            and (cost := _metadata_bytes(kind, data)) <= (left if kind in _TEXTS else most)
        )
        if is_sound:
            left -= int(cost) if kind in _TEXTS else 0
            is_animated = is_animated or kind == b"acTL"
        else:
            broken.append((start, start + length + 12))
    if not broken:
        return None
    kept = []
    source.seek(0)
    for start, end in broken:
        kept.append(source.read(start - source.tell()))
        source.seek(end)
    return b"".join([*kept, source.read()])


def _whole_webp(source: BufferedSource) -> bytes | None:
    """Return a WebP that is cut off without the frame that is not whole; None without any that is."""
    whole, has_pixels = 12, False
    for kind, length in _webp_chunks(source):
        end = source.tell() + length
        if end > source.raw.size:
            break
        whole, has_pixels = end, has_pixels or kind in _WEBP_PIXELS
    source.seek(0)
    data = source.read(whole)
    return data[:4] + (whole - 8).to_bytes(4, "little") + data[8:] if has_pixels else None


def mended(source: BufferedSource, max_missing: float | None) -> bytes | None:
    """Return a file without what is broken of it, if it can be shown without that.

    Of a still in WebP that is cut off, zeros take the place of what is missing, which leaves the last
    rows without details: its decoder takes whole files only.

    Args:
        source: The file, at its start.
        max_missing: The share of a WebP that may be missing; None for all but a tenth.

    Returns:
        None for one that can be read as it is.

    Raises:
        LimitExceeded: It is a PNG of so many chunks that reading them would take too long.
    """
    head = source.read(21)
    if head.startswith(PNG_SIGNATURE):
        return _sound_png(source)
    length = int.from_bytes(head[4:8], "little") + 8
    missing = length - source.raw.size
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP" or missing <= 0:
        return None
    if (whole := _whole_webp(source)) is not None:
        return whole
    if missing <= length * (
        MOST_MADE_UP if max_missing is None else min(max_missing, MOST_MADE_UP)
    ):
        source.raw.tail = bytes(missing)
    return None


def is_lossless_webp(source: IO[bytes]) -> bool:
    """Return whether the still in a WebP, or the first frame, is kept without losses."""
    for kind, _ in itertools.islice(_webp_chunks(source), MAX_WEBP_CHUNKS):
        if kind == b"ANMF":  # its frame has chunks of its own, behind place, size and time
            return source.read(20)[16:] == b"VP8L"
        if kind not in (b"VP8X", b"ICCP", b"ANIM"):
            return kind == b"VP8L"
    return False


def plays(image: ImageFile.ImageFile, source: IO[bytes]) -> int | None:
    """Return how often an animation plays, 0 for ever; None if it does not say."""
    if image.format == "AVIF":
        source.seek(0)
        return _avif_plays(source.read(AVIF_HEAD))
    loop = image.info.get("loop")
    if not isinstance(loop, int):
        return None
    return loop + 1 if loop and image.format == "GIF" else loop  # a GIF says how often again


def _avif_plays(head: bytes) -> int:
    # Pillow does not read it. What does not say it plays for ever in browsers.
    every, once = _AVIF_ALL.search(head), _AVIF_ONCE.search(head)
    if not every or not once:
        return 0
    if not (once[1] or once[3])[0] & 1:
        return 1
    total, single = every[1] or every[2], int.from_bytes(once[2] or once[4])
    if not single or not total.strip(b"\xff"):
        return 0
    count = -(-int.from_bytes(total) // single)
    return count if count <= MAX_PLAYS else 0  # some encoders write half of all ones


def limit_avif(data: bytes, plays: int) -> bytes:
    """Return an AVIF that Pillow wrote, which plays for ever, as one that plays so often."""
    head, mark, pixels = data.partition(b"mdat")
    once = _AVIF_ONCE.search(head)
    if not once or not once[4]:
        return data
    total = (int.from_bytes(once[4]) * plays).to_bytes(8)
    return _AVIF_FOR_EVER.sub(lambda match: match[1] + total, head) + mark + pixels


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
    source = io.BytesIO(data)
    yield PNG_SIGNATURE
    for kind, length in _png_chunks(source):
        if kind in _PNG_CHUNKS or (keeps_profile and kind == b"iCCP"):
            yield data[source.tell() - 8 : source.tell() + length + 4]
    yield _PNG_END


def _webp(data: bytes, keeps_profile: bool) -> Iterator[bytes]:
    source, parts = io.BytesIO(data[: 8 + int.from_bytes(data[4:8], "little")]), [b"WEBP"]
    for name, length in _webp_chunks(source):
        chunk = data[source.tell() - 8 : source.tell() + length]
        if name == b"VP8X":
            dropped = _WEBP_EXIF | _WEBP_XMP | (0 if keeps_profile else _WEBP_PROFILE)
            chunk = chunk[:8] + bytes([chunk[8] & ~dropped]) + chunk[9:]
        if name in _WEBP_CHUNKS or (keeps_profile and name == b"ICCP"):
            parts.append(chunk)
    body = b"".join(parts)
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
