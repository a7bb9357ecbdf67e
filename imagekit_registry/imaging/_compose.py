"""Frames as browsers show them, out of what Pillow decodes."""

from __future__ import annotations

import functools
import io
import re
from typing import IO

from PIL import Image, ImageChops, ImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from ._colour import to_eight_bit, without_palette

#: What becomes of a frame's place before the next one, as GIF counts; APNG counts one less. Some
#: programs write 4 for the last of them.
CLEAR = 2
UNDO = (3, 4)
#: Modes without colours.
_GREY = ("1", "L", "LA", "I;16", "I;16B", "I")


#: The most that GIF and WebP can count.
MAX_PLAYS = 65_535
#: Where an AVIF says how long it plays in all, and how long once; and the flag that it is repeated.
_AVIF_ALL = re.compile(rb"tkhd(?:\x00.{19}(.{4})|\x01.{27}(.{8}))", re.DOTALL)
_AVIF_ONCE = re.compile(rb"elst(?:\x00..(.).{4}(.{4})|\x01..(.).{4}(.{8}))", re.DOTALL)
#: The first of these in what libavif writes, for ever: all ones.
_AVIF_FOR_EVER = re.compile(rb"(mvhd\x01.{23}|tkhd\x01.{27})\xff{8}", re.DOTALL)
#: The bytes in which that is looked for.
_AVIF_HEAD = 64 * 1024
#: Chunks of a WebP before its pixels.
MAX_WEBP_CHUNKS = 4
#: Of what claims to be far longer than it is, no more than this share is made up.
MOST_MADE_UP = 0.9


def plays(image: ImageFile.ImageFile, source: IO[bytes]) -> int | None:
    """Return how often an animation plays, 0 for ever; None if it does not say."""
    if image.format == "AVIF":
        source.seek(0)
        return _avif_plays(source.read(_AVIF_HEAD))
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


def whole_webp(source: IO[bytes]) -> bytes | None:
    """Return an animated WebP that is cut off without the frame that is not whole.

    Returns:
        None for one that is whole, and for what is no animated WebP.
    """
    source.seek(0)
    head = source.read(21)
    if head[:4] != b"RIFF" or head[8:16] != b"WEBPVP8X" or not head[20:] or not head[20] & 2:
        return None
    size, place, whole = source.seek(0, io.SEEK_END), 12, 12
    if size >= int.from_bytes(head[4:8], "little") + 8:
        return None
    while place <= size:
        whole = place
        source.seek(place + 4)
        length = int.from_bytes(source.read(4), "little")
        place += 8 + length + length % 2
    source.seek(0)
    data = source.read(whole)
    return data[:4] + (whole - 8).to_bytes(4, "little") + data[8:]


def missing_of_webp(source: IO[bytes], max_missing: float | None) -> bytes:
    """Return zeros in the place of what is missing of a WebP that is cut off.

    Its decoder takes whole files only; zeros leave the last rows without details.

    Args:
        source: A file; it may be of another format.
        max_missing: The share of it that may be missing; None for all but a tenth.

    Returns:
        Nothing for one that is whole, for what is no WebP, and if more is missing than may be.
    """
    source.seek(0)
    head = source.read(12)
    length = int.from_bytes(head[4:8], "little") + 8
    missing = length - source.seek(0, io.SEEK_END)
    most = MOST_MADE_UP if max_missing is None else min(max_missing, MOST_MADE_UP)
    is_cut = head[:4] == b"RIFF" and head[8:] == b"WEBP" and 0 < missing <= most * length
    return bytes(missing) if is_cut else b""


def is_lossless_webp(source: IO[bytes]) -> bool:
    """Return whether the still in a WebP is kept without losses."""
    source.seek(12)
    for _ in range(MAX_WEBP_CHUNKS):
        head = source.read(8)
        if head[:4] not in (b"VP8X", b"ICCP"):
            return head[:4] == b"VP8L"
        length = int.from_bytes(head[4:], "little")
        source.seek(length + length % 2, io.SEEK_CUR)
    return False


def cover(image: ImageFile.ImageFile) -> Image.Image:
    """Return a loaded frame; what the first one of a GIF does not cover is transparent."""
    if isinstance(image, WebPImageFile) and image.is_animated and image.mode == "RGBA":
        return image.convert("RGB") if image.getchannel("A").getextrema() == (255, 255) else image
    if not isinstance(image, GifImageFile) or image.dispose_extent == (0, 0, *image.size):
        return image
    ground = Image.new("RGBA", image.size)
    ground.paste(without_palette(image.crop(image.dispose_extent)), image.dispose_extent)
    return ground


def depth(image: ImageFile.ImageFile) -> int:
    """Return the bits of a band of a PNG that is not loaded yet, and tell its transparent grey in 8.

    Pillow scales grey of 2 and 4 bits, but not the value of it that is transparent.
    """
    raw = str(image.tile[0][3]) if isinstance(image, PngImageFile) and image.tile else ""
    bits = int(raw.partition(";")[2].rstrip("B") or 8)
    value = image.info.get("transparency")
    if image.mode == "L" and bits in (2, 4) and isinstance(value, int) and value < 2**bits:
        image.info["transparency"] = value * 255 // (2**bits - 1)
    return bits


def _differs(image: Image.Image, value: int) -> Image.Image:
    """Return what is 255 where a grey image of up to 16 bits does not have *value*."""
    wide = image.convert("I").convert("F")
    above = wide.point(lambda grey: grey * 1.0 - value).convert("L")
    below = wide.point(lambda grey: grey * -1.0 + value).convert("L")
    return ImageChops.lighter(above, below).point(lambda grey: 255 if grey else 0)


def with_deep_alpha(image: Image.Image, low: Image.Image | None) -> Image.Image:
    """Return a PNG of 16 bits a band with its transparent colour as alpha, in 8 bits.

    Args:
        image: Loaded, with the transparent colour among its ``info``.
        low: The lower 8 bits of a coloured image, of which Pillow keeps the higher.
    """
    color = image.info["transparency"]
    if low is None:
        result, alpha = to_eight_bit(image).copy(), _differs(image, color)
    else:
        bands = [
            _differs(band, value)
            for half, part in ((image, [v >> 8 for v in color]), (low, [v & 255 for v in color]))
            for band, value in zip(half.split(), part, strict=True)
        ]
        result, alpha = image.copy(), functools.reduce(ImageChops.lighter, bands)
    result.putalpha(alpha)
    result.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return result


def compose(image: GifImageFile | PngImageFile, index: int, canvas: Image.Image) -> Image.Image:
    """Return a frame laid on those before it, as browsers do; Pillow only decodes it.

    Args:
        image: At the frame *index*, which is not loaded yet.
        index: From 0.
        canvas: What the frames before left, in RGBA; afterwards what this one leaves.
    """
    whole = (0, 0, *image.size)
    if isinstance(image, GifImageFile):
        place, disposal, over = image.dispose_extent or whole, image.disposal_method, True
        if index and image.mode in ("RGB", "RGBA"):
            image.im = Image.new("RGBA", image.size).im
        image.load()
        image.dispose, image.disposal_method = None, 0  # nothing is left for the next seek() to do
    else:
        place = image.info.get("bbox", whole)
        disposal, over = image.info.get("disposal", 0) + 1, image.info.get("blend") == 1
        image.blend_op, image.dispose_op = 0, 0
        image.load()
    pixels = without_palette(to_eight_bit(image.crop(place))).convert("RGBA")
    before = canvas.copy() if disposal in UNDO else None
    if over:
        # What reaches over the edge is cut off: a canvas does not grow.
        canvas.alpha_composite(pixels, place[:2])
    else:
        canvas.paste(pixels, place[:2])
    mode = "L" if image.mode in _GREY else "RGB"
    has_alpha = canvas.getchannel("A").getextrema() != (255, 255)
    shown = canvas.copy().convert(f"{mode}A" if has_alpha else mode)
    if before is not None:
        canvas.paste(before)
    elif disposal == CLEAR:
        canvas.paste((0, 0, 0, 0), place)
    return shown
