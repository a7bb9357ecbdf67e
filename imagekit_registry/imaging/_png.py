"""Chunks of a PNG: those that matter, and those that are broken and do not."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from typing import IO

#: Metadata beyond this size, in bytes, is not read.
MAX_METADATA_BYTES = 1024 * 1024
#: Chunks of a PNG: 100 MB in chunks of 1 KB, and more, are possible.
MAX_PNG_CHUNKS = 200_000
EXIF_PREFIX = b"Exif\0\0"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: The least length of chunks that say something short.
_LENGTHS = {b"acTL": 8, b"gAMA": 4, b"pHYs": 9, b"sRGB": 1}


def png_chunks(source: IO[bytes]) -> Iterator[tuple[bytes, int]]:
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


def late_png_exif(source: IO[bytes]) -> bytes | None:
    """Return the EXIF data of a PNG that stands behind the pixels, if there is any."""
    for kind, length in png_chunks(source):
        if kind == b"eXIf" and length <= MAX_METADATA_BYTES:
            return EXIF_PREFIX + source.read(length)
    return None


def _is_sound(chunk: bytes, color_type: int) -> bool:
    """Return whether Pillow reads a chunk, with its length, kind and CRC."""
    kind, data = chunk[4:8], chunk[8:-4]
    least = {0: 2, 2: 6}.get(color_type, 0) if kind == b"tRNS" else _LENGTHS.get(kind, 0)
    if len(data) < least or (kind == b"cHRM" and len(data) % 4):
        return False
    if kind == b"iCCP" and data.partition(b"\0")[2][:1] != b"\0":
        return False  # compressed in a way that nobody knows
    return zlib.crc32(kind + data) == int.from_bytes(chunk[-4:])


def sound_png(source: IO[bytes]) -> bytes | None:
    """Return a PNG without what is broken before its pixels and is not needed to show them.

    Returns:
        None for one that has nothing of the kind, and for what is no PNG.
    """
    source.seek(0)
    kept = [source.read(len(PNG_SIGNATURE))]
    if kept != [PNG_SIGNATURE]:
        return None
    color_type, is_broken = 0, False
    for number, (kind, length) in enumerate(png_chunks(source)):
        source.seek(-8, io.SEEK_CUR)
        if kind == b"IDAT" or number == MAX_PNG_CHUNKS:
            break
        chunk = source.read(length + 12)
        color_type = chunk[17] if kind == b"IHDR" and len(chunk) > 17 else color_type
        if kind[:1].isupper() or kind == b"fcTL" or _is_sound(chunk, color_type):
            kept.append(chunk)
        else:
            is_broken = True
    return b"".join([*kept, source.read()]) if is_broken else None


def png_code_points(source: IO[bytes]) -> tuple[int, int] | None:
    """Return the code points of primaries and transfer function that a PNG names, if it does."""
    for kind, length in png_chunks(source):
        if kind == b"cICP" and length == 4:
            primaries, transfer, matrix, is_full = source.read(4)
            return (primaries, transfer) if (matrix, is_full) == (0, 1) else None
        if kind == b"IDAT":
            break
    return None
