"""How files are built, as far as their building blocks alone can keep a decoder busy.

Pillow walks the blocks of a file in Python, keeps all of them and interprets some. A file of nothing
but blocks, and one whose blocks all refer to the same bytes, would cost minutes and gigabytes.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from typing import BinaryIO

from imagekit_registry.exceptions import LimitExceeded

from ._limits import Limits

__all__ = [
    "MAX_METADATA_BYTES",
    "check_run_lengths",
    "check_structure",
    "late_png_exif",
    "safe_exif",
    "skip_sub_blocks",
]

#: Metadata beyond this size, in bytes, is not read.
MAX_METADATA_BYTES = 1024 * 1024
#: Segments of a JPEG before its pixels: metadata of 64 KB each, and what a decoder needs.
MAX_JPEG_SEGMENTS = 10_000
#: Chunks of a PNG: 100 MB in chunks of 1 KB, and more, are possible.
MAX_PNG_CHUNKS = 200_000
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

EXIF_PREFIX = b"Exif\0\0"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Bytes of one value of each type of a TIFF's tags.
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TIFF_SIZES |= {16: 8, 17: 8, 18: 8}
#: Compressions of a BMP by run lengths: of 8 and of 4 bits.
_RUN_LENGTHS = (1, 2)
#: Types whose values Pillow leaves as the bytes that they are.
_TIFF_BYTES = (1, 2, 7)


def _too_complex(what: str) -> LimitExceeded:
    return LimitExceeded(f"the image has {what}", hint="Save the image again with an image editor.")


def _number(data: bytes, order: str = "big") -> int:
    return int.from_bytes(data, order)  # type: ignore[arg-type]


def skip_sub_blocks(source: BinaryIO) -> int:
    """Step over the data of a GIF's block; return its size in bytes."""
    total = 0
    while (size := source.read(1)) and size != b"\0":
        source.seek(size[0], io.SEEK_CUR)
        total += size[0]
    return total


def _check_gif(source: BinaryIO, limits: Limits) -> None:
    screen = source.read(13)
    if len(screen) == 13 and screen[10] & 0x80:
        source.seek(3 << ((screen[10] & 7) + 1), io.SEEK_CUR)
    for _ in range(MAX_GIF_EXTENSIONS):
        if source.read(1) != b"!":
            return
        source.seek(1, io.SEEK_CUR)
        if skip_sub_blocks(source) > MAX_METADATA_BYTES:
            raise _too_complex(f"a comment of more than {MAX_METADATA_BYTES} bytes")
    raise _too_complex(f"more than {MAX_GIF_EXTENSIONS} extensions")


def _check_jpeg(source: BinaryIO, limits: Limits) -> None:
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
            length = _number(source.read(2)) - 2
            if code == b"\xe1" and source.read(6) == EXIF_PREFIX:
                exif += length
            if code == b"\xe1":
                source.seek(-6, io.SEEK_CUR)
            source.seek(max(0, length), io.SEEK_CUR)
        if exif > MAX_METADATA_BYTES:
            raise _too_complex(f"more than {MAX_METADATA_BYTES} bytes of EXIF data")
        start = source.read(1)
    raise _too_complex(f"more than {MAX_JPEG_SEGMENTS} segments before its pixels")


def _check_png(source: BinaryIO, limits: Limits) -> None:
    source.seek(len(PNG_SIGNATURE))
    for _ in range(MAX_PNG_CHUNKS):
        head = source.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return
        source.seek(_number(head[:4]) + 4, io.SEEK_CUR)
    raise _too_complex(f"more than {MAX_PNG_CHUNKS} chunks")


def late_png_exif(source: BinaryIO, largest: int) -> bytes | None:
    """Return the EXIF data of a PNG that stands behind the pixels, if there is any."""
    position = source.tell()
    try:
        source.seek(len(PNG_SIGNATURE))
        while len(head := source.read(8)) == 8 and head[4:] != b"IEND":
            length = _number(head[:4])
            if head[4:] == b"eXIf" and length <= largest:
                return EXIF_PREFIX + source.read(length)
            source.seek(length + 4, io.SEEK_CUR)
    finally:
        source.seek(position)
    return None


def _directory_cost(source: BinaryIO, start: int) -> tuple[int, int]:
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


def _check_tiff(source: BinaryIO, limits: Limits) -> None:
    total = source.seek(0, io.SEEK_END)
    try:
        size, numbers = _directory_cost(source, 0)
    except (struct.error, ValueError, OverflowError):
        return  # Pillow says in its own words what is wrong
    if numbers > MAX_TIFF_NUMBERS:
        raise _too_complex(f"a directory of more than {MAX_TIFF_NUMBERS} numbers")
    if size > max(total, MAX_SHARED_BYTES):
        # Tags that share their bytes take the memory of each.
        raise _too_complex("tags that are larger than the file")


def _check_icon(source: BinaryIO, limits: Limits) -> None:
    """Check the pictures in an icon, which may be larger than its directory can say."""
    count = min(_number(source.read(6)[4:], "little"), MAX_ICONS + 1)
    if count > MAX_ICONS:
        raise _too_complex(f"more than {MAX_ICONS} pictures")
    for index in range(count):
        source.seek(6 + 16 * index + 12)
        source.seek(_number(source.read(4), "little"))
        head = source.read(24)
        if head.startswith(PNG_SIGNATURE):
            width, height = _number(head[16:20]), _number(head[20:24])
        else:
            width, height = _number(head[4:8], "little"), _number(head[8:12], "little") // 2
            if _number(head[16:20], "little") in _RUN_LENGTHS:
                check_run_lengths(source, (width, 2 * height))
        limits.check_pixels((width, height))


def check_run_lengths(source: BinaryIO, size: tuple[int, int]) -> None:
    """Raise `LimitExceeded` if the runs of a BMP of *size* would take Python too long."""
    position = source.tell()
    total = source.seek(0, io.SEEK_END)
    source.seek(position)
    if total > MAX_RUN_LENGTH_BYTES or size[0] * size[1] > MAX_RUN_LENGTH_PIXELS:
        raise _too_complex("too many runs of pixels")


def _check_ppm(source: BinaryIO, limits: Limits) -> None:
    head = source.read(PPM_HEADER_BYTES)
    words = re.sub(rb"#[^\n\r]*", b"", head).split(maxsplit=3)
    if len(head) == PPM_HEADER_BYTES and len(words) < 3:
        raise _too_complex(f"a header of more than {PPM_HEADER_BYTES} bytes")
    size = source.seek(0, io.SEEK_END)
    if head[:2] in (b"P1", b"P2", b"P3") and size > MAX_PLAIN_PPM_BYTES:
        raise _too_complex(f"more than {MAX_PLAIN_PPM_BYTES} bytes of numbers in text")


_CHECKS: dict[bytes, Callable[[BinaryIO, Limits], None]] = {
    b"\xff\xd8": _check_jpeg,
    PNG_SIGNATURE: _check_png,
    b"GIF8": _check_gif,
    b"II": _check_tiff,
    b"MM": _check_tiff,
    b"\0\0\1\0": _check_icon,
    b"P": _check_ppm,
}


def check_structure(source: BinaryIO, prefix: bytes, limits: Limits) -> None:
    """Raise `LimitExceeded` if opening *source* would take far longer than its pixels tell.

    Args:
        source: The file; it is left at its start.
        prefix: Its first bytes.
        limits: For pictures in it that its own header does not tell of.
    """
    for signature, check in _CHECKS.items():
        if prefix.startswith(signature):
            source.seek(0)
            check(source, limits)
    source.seek(0)


def safe_exif(data: object) -> bytes | None:
    """Return EXIF data that can be read without harm, with one prefix; None if there is none."""
    if not isinstance(data, bytes) or len(data) > MAX_METADATA_BYTES:
        return None
    start = 0
    while data.startswith(EXIF_PREFIX, start):  # Pillow takes off all of them, by a copy each
        start += len(EXIF_PREFIX)
    try:
        size, numbers = _directory_cost(io.BytesIO(data), start)
    except (struct.error, ValueError, OverflowError, LimitExceeded):
        return None
    if size > MAX_SHARED_BYTES or numbers > MAX_TIFF_NUMBERS:
        return None
    return EXIF_PREFIX + data[start:]
