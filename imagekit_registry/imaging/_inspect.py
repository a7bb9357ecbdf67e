"""Cheap looks at a file that tell what decoding it would cost.

A decoder in C cannot be interrupted, so what would keep it busy for hours is found beforehand.
"""

from __future__ import annotations

import io
from typing import BinaryIO

from PIL import ImageFile

from imagekit_registry.exceptions import LimitExceeded

from ._limits import Limits
from ._structure import check_run_lengths, skip_sub_blocks

__all__ = ["check_cost", "claimed_size", "count_frames", "decoding_bytes"]

#: Scans of a JPEG: encoders write about ten, 64 x 4 is what the most eager of them could mean.
MAX_JPEG_SCANS = 100
#: All scans of a progressive JPEG may go over this many times the pixels of the largest source.
SCANNED_PIXELS = 20
READ_BYTES = 64 * 1024
START_OF_SCAN = b"\xff\xda"


def claimed_size(source: BinaryIO) -> tuple[int, int] | None:
    """Return the size that a WebP claims, or None for other formats.

    Its decoder reserves the whole canvas as soon as it is made.
    """
    source.seek(0)
    data = source.read(30)
    source.seek(0)
    if len(data) < 30 or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    chunk = data[12:16]
    if chunk == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        return width, int.from_bytes(data[27:30], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        width = int.from_bytes(data[26:28], "little") & 0x3FFF
        return width, int.from_bytes(data[28:30], "little") & 0x3FFF
    return None


def _count(source: BinaryIO, needle: bytes, start: int, most: int) -> int:
    """Count *needle* from *start* on, at least as far as *most*."""
    source.seek(start)
    found, tail = 0, b""
    while found <= most:
        block = source.read(READ_BYTES)
        if not block:
            break
        found += (tail + block).count(needle)
        tail = block[-len(needle) + 1 :]
    return found


def _check_jpeg(image: ImageFile.ImageFile, source: BinaryIO, limits: Limits) -> None:
    start = source.tell()  # behind the header of the first scan
    bands = len(image.getbands())
    length = 6 + 2 * bands
    source.seek(max(0, start - length))
    # One interleaved scan is decoded line by line; only with more of them do scans add up.
    one_scan = source.read(3) == bytes([0, length, bands])
    if not one_scan or image.info.get("progressive"):
        most = MAX_JPEG_SCANS
        if limits.max_pixels is not None:
            pixels = image.size[0] * image.size[1]
            most = min(most, limits.max_pixels * SCANNED_PIXELS // max(1, pixels))
        if 1 + _count(source, START_OF_SCAN, start, most) > most:
            cause = f"the image has more than the {most} scans that are allowed for its size"
            raise LimitExceeded(cause, hint="Save the image again with an image editor.")
    source.seek(start)


def check_cost(image: ImageFile.ImageFile, source: BinaryIO, limits: Limits) -> None:
    """Raise `LimitExceeded` if decoding would take far longer than the number of pixels tells."""
    if image.format == "JPEG":
        _check_jpeg(image, source, limits)
    elif any(tile[0] == "bmp_rle" for tile in image.tile):
        check_run_lengths(source, image.size)


def _count_gif_frames(source: BinaryIO, most: int | None) -> int:
    """Count the images of a GIF without decoding them, up to one more than *most*."""
    source.seek(0)
    screen = source.read(13)
    if len(screen) == 13 and screen[10] & 0x80:
        source.seek(3 << ((screen[10] & 7) + 1), io.SEEK_CUR)
    frames = 0
    while most is None or frames <= most:
        kind = source.read(1)
        if kind == b",":
            place = source.read(9)
            if len(place) < 9:
                break
            if place[8] & 0x80:
                source.seek(3 << ((place[8] & 7) + 1), io.SEEK_CUR)
            source.seek(1, io.SEEK_CUR)
            frames += 1
        elif kind == b"!":
            source.seek(1, io.SEEK_CUR)
        elif kind in (b"", b";"):
            break
        else:
            continue  # the decoder skips what it does not know, so does the count
        skip_sub_blocks(source)
    return max(frames, 1)


def count_frames(image: ImageFile.ImageFile, source: BinaryIO, limits: Limits) -> int:
    """Return the number of frames of an animation, 1 for anything else.

    Pages of a TIFF and sizes of an icon are no frames: only the first is ever looked at.

    Raises:
        LimitExceeded: There are more than *limits* allow.
    """
    if image.format == "GIF":
        position = source.tell()
        frames = _count_gif_frames(source, limits.max_frames)
        source.seek(position)
    elif image.format in ("AVIF", "PNG", "WEBP"):
        frames = int(getattr(image, "n_frames", 1))
    else:
        frames = 1
    limits.check_frames(frames)
    return frames


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
_COEFFICIENT_BYTES = 2
#: A pixel of length costs something by itself: the place of a row, and the weights by which it is
#: scaled. That is seen where millions of rows have one pixel each.
LONG_SIDE = 1_000_000
_SIDE_BYTES = 64


def decoding_bytes(image: ImageFile.ImageFile, *, full: tuple[int, int], reduced: bool) -> int:
    """Return roughly how much memory decoding an image takes, in bytes.

    Args:
        image: Opened, and told to decode small if it can.
        full: Its size before that, in pixels.
        reduced: Whether it is averaged down afterwards.
    """
    each = _REDUCED_BYTES if reduced else _MODE_BYTES.get(image.mode, _OTHER_BYTES)
    if "transparency" in image.info and not reduced:
        each += _TRANSPARENT_BYTES
    each += _DECODER_BYTES.get(image.format or "", 0)
    total = image.size[0] * image.size[1] * each
    total += max(0, max(image.size) - LONG_SIDE) * _SIDE_BYTES
    if image.format == "JPEG" and image.info.get("progressive"):
        total += full[0] * full[1] * len(image.getbands()) * _COEFFICIENT_BYTES
    return total
