"""What opening and decoding a file would cost, found out before it is done.

Pillow walks the blocks of a file in Python, keeps all of them and interprets some. A file of nothing
but blocks, and one whose blocks all refer to the same bytes, would cost minutes and gigabytes. And a
decoder in C cannot be interrupted, so what would keep it busy for hours is found beforehand.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Iterator
from typing import IO

from PIL import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from imagekit_registry.exceptions import LimitExceeded

from ._containers import EXIF_PREFIX, MAX_METADATA_BYTES, PNG_SIGNATURE
from ._plan import Header
from ._source import BufferedSource, Limits

#: Segments of a JPEG before its pixels: metadata of 64 KB each, and what a decoder needs.
MAX_JPEG_SEGMENTS = 10_000
#: Extensions of a GIF before its first frame.
MAX_GIF_EXTENSIONS = 1_000
#: Numbers in the directory of a TIFF: a tile of 100 x 100 pixels has two of them.
MAX_TIFF_NUMBERS = 250_000
MAX_TIFF_TAGS = 65_535
#: Bytes that tags may refer to though there are fewer: cameras write wrong lengths as well.
MAX_SHARED_BYTES = 16 * 1024 * 1024
MAX_ICONS = 1_000
#: Bytes in which the three numbers of a PPM's header must stand.
PPM_HEADER_BYTES = 64 * 1024
#: Numbers in text are read by Python, a few megabytes a second.
MAX_PLAIN_PPM_BYTES = 16 * 1024 * 1024
#: So are the runs of a BMP, which may be of one pixel each, or of none, and the ends of its lines.
MAX_RUN_LENGTH_BYTES = 16 * 1024 * 1024
MAX_RUN_LENGTH_PIXELS = 25_000_000

#: Bytes of one value of each type of a TIFF's tags.
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TIFF_SIZES |= {16: 8, 17: 8, 18: 8}
#: Compressions of a BMP by run lengths: of 8 and of 4 bits.
_RUN_LENGTHS = (1, 2)
#: Types whose values Pillow leaves as the bytes that they are.
_TIFF_BYTES = (1, 2, 7)
#: Scans of a JPEG: encoders write about ten, 64 x 4 is what the most eager of them could mean.
MAX_JPEG_SCANS = 100
#: All scans of a progressive JPEG may go over this many times the pixels of the largest source.
SCANNED_PIXELS = 20
READ_BYTES = 64 * 1024
#: Markers of a JPEG, without those that stand within its pixels.
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_START_OF_SCAN, _END, _BARE = b"\xda", b"\xd9", (b"\x01", b"\xd8")


def _too_complex(what: str) -> LimitExceeded:
    return LimitExceeded(f"the image has {what}", hint="Save the image again with an image editor.")


def _skip_palette(source: IO[bytes], flags: int) -> None:
    if flags & 0x80:
        source.seek(3 << ((flags & 7) + 1), io.SEEK_CUR)


def _gif_blocks(source: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield kind (image or extension) and size in bytes of each block of a GIF."""
    source.seek(0)
    screen = source.read(13)
    _skip_palette(source, screen[10] if len(screen) == 13 else 0)
    while (kind := source.read(1)) not in (b"", b";"):
        if kind == b",":
            place = source.read(9)
            if len(place) < 9:
                return
            _skip_palette(source, place[8])
        elif kind != b"!":
            continue  # the decoder skips what it does not know
        source.seek(1, io.SEEK_CUR)
        total = 0
        while (size := source.read(1)) and size != b"\0":
            source.seek(size[0], io.SEEK_CUR)
            total += size[0]
        yield kind, total


def _check_gif(source: BufferedSource, limits: Limits) -> None:
    for number, (kind, size) in enumerate(_gif_blocks(source), 1):
        if kind == b",":
            return
        if size > MAX_METADATA_BYTES:
            raise _too_complex(f"a comment of more than {MAX_METADATA_BYTES} bytes")
        if number == MAX_GIF_EXTENSIONS:
            raise _too_complex(f"more than {MAX_GIF_EXTENSIONS} extensions")


def _check_jpeg(source: BufferedSource, limits: Limits) -> None:
    source.seek(2)
    exif = 0
    start = source.read(1)
    for _ in range(MAX_JPEG_SEGMENTS):
        if start != b"\xff":
            return
        code = source.read(1)
        if code == b"\xff":
            continue  # fills
        if not code or code == b"\xda":
            return
        if code[0] in range(0xC0, 0xFF) and code[0] not in range(0xD0, 0xDA):
            length = max(0, int.from_bytes(source.read(2)) - 2)
            if source.read(length).startswith(EXIF_PREFIX) and code == b"\xe1":
                exif += length
        if exif > MAX_METADATA_BYTES:
            raise _too_complex(f"more than {MAX_METADATA_BYTES} bytes of EXIF data")
        start = source.read(1)
    raise _too_complex(f"more than {MAX_JPEG_SEGMENTS} segments before its pixels")


def directory_cost(source: IO[bytes], start: int) -> tuple[int, int]:
    """Return how many bytes, and how many numbers, the first directory of a TIFF refers to."""
    source.seek(start)
    head = source.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    offset = struct.unpack_from(f"{order}{'Q' if big else 'L'}", head, 8 if big else 4)[0]
    source.seek(start + offset)
    count = struct.unpack(f"{order}{'Q' if big else 'H'}", source.read(8 if big else 2))[0]
    if count > MAX_TIFF_TAGS:
        raise _too_complex(f"more than {MAX_TIFF_TAGS} tags")
    length = 20 if big else 12
    table = source.read(count * length)
    entries = struct.Struct(f"{order}HH{'Q8x' if big else 'L4x'}")
    size = numbers = 0
    for _tag, kind, values in entries.iter_unpack(table[: len(table) // length * length]):
        size += values * _TIFF_SIZES.get(kind, 0)
        numbers += 0 if kind in _TIFF_BYTES else values
    return size, numbers


def _check_tiff(source: BufferedSource, limits: Limits) -> None:
    try:
        size, numbers = directory_cost(source, 0)
    except (struct.error, ValueError, OverflowError):
        return  # Pillow says in its own words what is wrong
    if numbers > MAX_TIFF_NUMBERS:
        raise _too_complex(f"a directory of more than {MAX_TIFF_NUMBERS} numbers")
    if size > max(source.raw.size, MAX_SHARED_BYTES):
        # Tags that share their bytes take the memory of each.
        raise _too_complex("tags that are larger than the file")


def _check_icon(source: BufferedSource, limits: Limits) -> None:
    """Check the pictures in an icon, which may be larger than its directory can say."""
    count = min(int.from_bytes(source.read(6)[4:], "little"), MAX_ICONS + 1)
    if count > MAX_ICONS:
        raise _too_complex(f"more than {MAX_ICONS} pictures")
    for index in range(count):
        source.seek(6 + 16 * index + 12)
        source.seek(int.from_bytes(source.read(4), "little"))
        head = source.read(24)
        if head.startswith(PNG_SIGNATURE):
            width, height = int.from_bytes(head[16:20]), int.from_bytes(head[20:24])
        else:
            width = int.from_bytes(head[4:8], "little")
            height = int.from_bytes(head[8:12], "little") // 2
            if int.from_bytes(head[16:20], "little") in _RUN_LENGTHS:
                _check_run_lengths(source, (width, 2 * height))
        limits.check_pixels((width, height))


def _check_run_lengths(source: BufferedSource, size: tuple[int, int]) -> None:
    """Raise `LimitExceeded` if the runs of a BMP of *size* would take Python too long."""
    if source.raw.size > MAX_RUN_LENGTH_BYTES or size[0] * size[1] > MAX_RUN_LENGTH_PIXELS:
        raise _too_complex("too many runs of pixels")


def _check_ppm(source: BufferedSource, limits: Limits) -> None:
    head = source.read(PPM_HEADER_BYTES)
    words = re.sub(rb"#[^\n\r]*", b"", head).split(maxsplit=3)
    if len(head) == PPM_HEADER_BYTES and len(words) < 3:
        raise _too_complex(f"a header of more than {PPM_HEADER_BYTES} bytes")
    if head[:2] in (b"P1", b"P2", b"P3") and source.raw.size > MAX_PLAIN_PPM_BYTES:
        raise _too_complex(f"more than {MAX_PLAIN_PPM_BYTES} bytes of numbers in text")


def _check_webp(source: BufferedSource, limits: Limits) -> None:
    """Check the size that a WebP claims: its decoder reserves the canvas as soon as it is made."""
    data = source.read(30)
    if len(data) < 30 or data[8:12] != b"WEBP":
        return
    chunk = data[12:16]
    if chunk == b"VP8X":
        size = int.from_bytes(data[24:27], "little"), int.from_bytes(data[27:30], "little")
        limits.check_pixels((size[0] + 1, size[1] + 1))
    elif chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        limits.check_pixels(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
    elif chunk == b"VP8 ":
        size = int.from_bytes(data[26:28], "little"), int.from_bytes(data[28:30], "little")
        limits.check_pixels((size[0] & 0x3FFF, size[1] & 0x3FFF))


_CHECKS: dict[bytes, Callable[[BufferedSource, Limits], None]] = {
    b"\xff\xd8": _check_jpeg,
    b"GIF8": _check_gif,
    b"II": _check_tiff,
    b"MM": _check_tiff,
    b"\0\0\1\0": _check_icon,
    b"P": _check_ppm,
    b"RIFF": _check_webp,
}


def check_structure(source: BufferedSource, prefix: bytes, limits: Limits) -> None:
    """Raise `LimitExceeded` if opening *source* would take far longer than its pixels tell.

    Args:
        source: The file.
        prefix: Its first bytes.
        limits: For pictures in it that its own header does not tell of.
    """
    for signature, check in _CHECKS.items():
        if prefix.startswith(signature):
            source.seek(0)
            check(source, limits)


def count_scans(source: BufferedSource, start: int, most: int) -> int:
    """Return how many scans a JPEG has from *start* to its end marker, at least as far as *most*."""
    found = markers = 0
    while found <= most and markers < MAX_JPEG_SEGMENTS:
        source.seek(start)
        block = source.read(READ_BYTES)
        marker = _MARKER.search(block)
        if marker is None:
            if len(block) < READ_BYTES:
                return found
            start += len(block) - 1
            continue
        if marker[1] == _END:
            return found
        markers += 1
        start += marker.end()
        found += marker[1] == _START_OF_SCAN
        if marker[1] not in _BARE:
            source.seek(start)
            start += max(2, int.from_bytes(source.read(2)))
    return found if markers < MAX_JPEG_SEGMENTS else most + 1


def check_cost(
    image: ImageFile.ImageFile, source: BufferedSource, start: int, limits: Limits
) -> None:
    """Raise `LimitExceeded` if decoding would take far longer than the number of pixels tells.

    Args:
        image: Opened, not loaded.
        source: The file.
        start: Where that was left: behind the header of the first scan of a JPEG.
        limits: For what is decoded.
    """
    if any(tile[0] == "bmp_rle" for tile in image.tile):
        _check_run_lengths(source, image.size)
    if image.format != "JPEG":
        return
    bands = len(image.getbands())
    length = 6 + 2 * bands
    source.seek(max(0, start - length))
    # One interleaved scan is decoded line by line; only with more of them do scans add up.
    if source.read(3) == bytes([0, length, bands]) and not image.info.get("progressive"):
        return
    most = MAX_JPEG_SCANS
    if limits.max_pixels is not None:
        pixels = image.size[0] * image.size[1]
        most = min(most, limits.max_pixels * SCANNED_PIXELS // max(1, pixels))
    if 1 + count_scans(source, start, most) > most:
        cause = f"the image has more than the {most} scans that are allowed for its size"
        raise LimitExceeded(cause, hint="Save the image again with an image editor.")


def count_frames(image: ImageFile.ImageFile, source: BufferedSource, limits: Limits) -> int:
    """Return the number of frames of an animation, 1 for anything else.

    Pages of a TIFF and sizes of an icon are no frames: only the first is ever looked at. Frames of
    a GIF are counted as far as it takes to know that there are more than *limits* allow.
    """
    frames = 0
    if image.format == "GIF":
        for kind, _ in _gif_blocks(source):
            frames += kind == b","
            if limits.max_frames is not None and frames > limits.max_frames:
                break
    elif image.format in ("AVIF", "PNG", "WEBP"):
        frames = int(getattr(image, "n_frames", 1))
    return max(frames, 1)


#: Bytes that a decoded pixel takes while it is scaled, by mode: itself, and the copies that Pillow
#: makes of it to weigh it by its alpha, to convert it, and of half of it between two directions.
_MODE_BYTES = {"1": 2, "L": 2, "LA": 10, "RGBA": 10, "RGB": 8, "P": 8, "I;16": 8, "I": 8, "F": 8}
_OTHER_BYTES = 10
#: The same where it is averaged before it is scaled.
_REDUCED_BYTES = 5
#: More of them if one of the colours is transparent.
_TRANSPARENT_BYTES = 4
#: What decoders take on top: canvases and coefficients of their own.
_DECODER_BYTES = {"AVIF": 4, "HEIF": 4, "JPEG2000": 16, "WEBP": 8}
#: What a progressive JPEG takes while it is decoded: each of its coefficients, and its pixels.
_COEFFICIENT_BYTES, _BLOCK_SIDE, _DECODED_BYTES = 2, 8, 4
#: A pixel of length costs something by itself: the place of a row, and the weights by which it is
#: scaled. That is seen where millions of rows have one pixel each.
LONG_SIDE = 1_000_000
_SIDE_BYTES = 64


def check_memory(
    image: ImageFile.ImageFile, header: Header, limits: Limits, *, reduced: bool
) -> None:
    """Raise `LimitExceeded` if decoding an image takes roughly more memory than *limits* allow.

    Args:
        image: Opened, and told to decode small if it can.
        header: What it said before that.
        limits: What it may cost.
        reduced: Whether it is averaged down afterwards.
    """
    each = _REDUCED_BYTES if reduced else _MODE_BYTES.get(image.mode, _OTHER_BYTES)
    if "transparency" in image.info and not reduced:
        each += _TRANSPARENT_BYTES
    each += _DECODER_BYTES.get(image.format or "", 0)
    pixels = image.size[0] * image.size[1]
    total = pixels * each + max(0, max(image.size) - LONG_SIDE) * _SIDE_BYTES
    if isinstance(image, JpegImageFile) and image.info.get("progressive"):
        # These are gone before it is scaled.
        total = max(total, _coefficient_bytes(image, header) + pixels * _DECODED_BYTES)
    limits.check_memory(total)


def _coefficient_bytes(image: JpegImageFile, header: Header) -> int:
    """Return how many bytes the coefficients of a JPEG take, of which colours may have fewer."""
    across, down = (max(1, *(layer[each] for layer in image.layer)) for each in (1, 2))
    count = 0
    for _number, wide, high, _table in image.layer:
        columns = -(-header.width * wide // (across * _BLOCK_SIDE))
        count += columns * -(-header.height * high // (down * _BLOCK_SIDE)) * _BLOCK_SIDE**2
    return count * _COEFFICIENT_BYTES
