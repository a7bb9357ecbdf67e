"""Chunks of a PNG: those that matter, and those that are broken and do not."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from typing import IO

from imagekit_registry.exceptions import LimitExceeded

#: Metadata beyond this size, in bytes, is not read.
MAX_METADATA_BYTES = 1024 * 1024
#: Chunks of a PNG: 100 MB in chunks of 1 KB, and more, are possible.
MAX_PNG_CHUNKS = 200_000
EXIF_PREFIX = b"Exif\0\0"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: The least length of chunks that say something short.
_LENGTHS = {b"cHRM": 32, b"fcTL": 26, b"gAMA": 4, b"pHYs": 9, b"sRGB": 1}
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
#: Metadata longer than this, in bytes, are not even read: what they would be need not be known.
LONGEST_METADATA = 4 * 1024 * 1024


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
    least = {0: 2, 2: 6}.get(color_type, 0) if kind == b"tRNS" else _LENGTHS.get(kind, 0)
    return len(data) >= least


def sound_png(source: IO[bytes]) -> bytes | None:
    """Return a PNG without what is broken or too long and is not needed to show it.

    Returns:
        None for one that has nothing of the kind, and for what is no PNG.

    Raises:
        LimitExceeded: It has so many chunks that reading them would take too long.
    """
    source.seek(0)
    if source.read(len(PNG_SIGNATURE)) != PNG_SIGNATURE:
        return None
    color_type, is_animated, has_pixels = 0, False, False
    most = left = MAX_METADATA_BYTES
    broken: list[tuple[int, int]] = []
    for number, (kind, length) in enumerate(png_chunks(source), 1):
        start = source.tell() - 8
        if number == MAX_PNG_CHUNKS:
            cause = f"the image has more than {MAX_PNG_CHUNKS} chunks"
            raise LimitExceeded(cause, hint="Save the image again with an image editor.")
        if kind == b"IHDR":
            color_type = int.from_bytes(source.read(10)[9:])
        has_pixels = has_pixels or kind == b"IDAT"
        # A damaged frame ends the animation, which is seen when it is read.
        if kind[:1].isupper() or (is_animated and has_pixels and kind in (b"fcTL", b"fdAT")):
            continue
        chunk = source.read(min(length, LONGEST_METADATA) + 4)
        data, cost = chunk[:-4], 0.0
        is_sound = (
            zlib.crc32(kind + data) == int.from_bytes(chunk[-4:])
            and _is_sound(kind, data, color_type)
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


def png_code_points(source: IO[bytes]) -> tuple[int, int] | None:
    """Return the code points of primaries and transfer function that a PNG names, if it does."""
    for kind, length in png_chunks(source):
        if kind == b"cICP" and length == 4:
            primaries, transfer, matrix, is_full = source.read(4)
            return (primaries, transfer) if (matrix, is_full) == (0, 1) else None
        if kind == b"IDAT":
            break
    return None
