"""Pixels as browsers show them and sooner, where Pillow's decoders give others or take long.

A progressive JPEG (ITU-T T.81, annex G) holds its coefficients in some ten scans, all of which are
read before the first pixel is made. At an eighth of the size that uses nothing but the mean of each
block of 8 x 8, and at a fourth little beside the lowest frequencies. The other scans are most of
the file.
"""

from __future__ import annotations

import functools
import io
import re
import struct
from collections.abc import Iterator

import attrs
from PIL import Image, ImageChops
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from ._colour import STRIP_ROWS, to_eight_bit, without_palette
from ._source import BufferedSource

#: What becomes of a frame's place before the next one, as GIF counts; APNG counts one less. Some
#: programs write 4 for the last of them.
CLEAR = 2
UNDO = (3, 4)
#: Modes without colours.
_GREY = ("1", "L", "LA", "I;16", "I;16B", "I")
#: At which parts of the size scans are left out (at a half nearly all are used), and how far a
#: coefficient may be off there, for the scans that tell its last bits are a third of the file. With
#: 128 a thumbnail is up to 0.2 dB worse (of a photograph at quality 20; 0.06 dB at 75, 0.02 dB at
#: 90), scaled up again and compared with the source, as for `SAFETY`; with 0 it is the same.
SCALES = {4: 128, 8: 0}
#: Larger files are not read into memory for it.
MOST_BYTES = 32 * 1024 * 1024

_SOF2, _DHT, _SOS, _DQT, _DRI, _APP0, _ADOBE = 0xC2, 0xC4, 0xDA, 0xDB, 0xDD, 0xE0, 0xEE
#: Comments and what applications write, which is no part of the pixels.
_METADATA = {*range(_APP0 + 1, 0xF0), 0xFE} - {_ADOBE}
_EXPECTED = {_SOF2, _DHT, _SOS, _DQT, _DRI, _APP0, _ADOBE} | _METADATA
_START, _END = b"\xff\xd8", b"\xff\xd9"
#: What ends the data of a scan: any marker but one that restarts it.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
#: A Huffman table of codes for runs of empty blocks, four bits each, and an end to restarts.
_RUNS = struct.pack(">BBHB16B15B", 0xFF, _DHT, 34, 0x10, 0, 0, 0, 15, *[0] * 12, *range(0, 240, 16))
_RUNS += struct.pack(">BBHH", 0xFF, _DRI, 4, 0)
_LONGEST_RUN = 14
#: Last bits that a scan may leave out.
_MOST_BITS = 13
#: The greater of row and column of each coefficient, in the order of scans: zigzag.
_REACH = [
    max(row, diagonal - row)
    for diagonal in range(15)
    for row in range(max(0, diagonal - 7), min(diagonal, 7) + 1)
]


def has_deep_transparency(image: PngImageFile) -> bool:
    """Return whether a PNG of 16 bits a band, not loaded yet, has a colour that is transparent.

    Of grey in 2 and 4 bits, that is told in 8: Pillow scales the pixels, but not this value. More bits
    than pixels have do not count.
    """
    raw = str(image.tile[0][3]) if image.tile else ""
    bits = int(raw.partition(";")[2].rstrip("B") or 8)
    value = image.info.get("transparency")
    if image.mode == "L" and bits in (2, 4) and isinstance(value, int):
        most = 2**bits - 1
        image.info["transparency"] = (value & most) * 255 // most
    return bits == 16 and value is not None


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


def differing_rows(image: Image.Image, other: Image.Image) -> int:
    """Return how many rows lie from the first to the last that differ in two images."""
    rows: list[int] = []
    for top in range(0, image.height, STRIP_ROWS):
        strip = (0, top, image.width, min(image.height, top + STRIP_ROWS))
        box = ImageChops.difference(image.crop(strip), other.crop(strip)).getbbox(alpha_only=False)
        if box:
            rows += [top + box[1], top + box[3]]
    return max(rows) - min(rows) if rows else 0


@attrs.define
class _Component:
    """Luma or chroma, and what becomes of its scans.

    Args:
        blocks: How many blocks of 8 x 8 it has.
        side: To how many pixels, across and down, each of them is decoded.
        step: The coarsest quantisation of the coefficients that are used.
        most_off: How far they may be off.
    """

    blocks: int
    side: int
    step: int
    most_off: int
    _dropped: set[int] = attrs.field(factory=set, init=False)
    _missing_bits: dict[int, int] = attrs.field(factory=dict, init=False)

    def uses(self, band: range, before: int, after: int) -> bool:
        """Return whether a scan of AC coefficients is to be kept: here is the rule.

        Args:
            band: Of the coefficients, in the order of scans.
            before: How many of their last bits the scans before it have left out; 0 for the first
                scan. It cannot be read if one of these is dropped.
            after: How many it leaves out.
        """
        is_used = any(_REACH[place] < self.side for place in band)
        is_close = before > 0 and self.step << before <= self.most_off
        if is_used and not is_close and self._dropped.isdisjoint(band):
            self._missing_bits.update(dict.fromkeys(band, after))
            return True
        self._dropped.update(band)
        return False

    @property
    def is_precise(self) -> bool:
        """Whether what was kept tells the coefficients well enough."""
        bits = max(self._missing_bits.values(), default=0)
        return not self._dropped or not bits or self.step << bits <= self.most_off

    def empty_scan(self, number: int) -> bytes:
        """Return a scan that says of all AC coefficients that they are complete, and changes none.

        Where they are not, libjpeg smooths over the edges of blocks, which shows and takes time. It
        warns of such an order of scans, and reads it.
        """
        if not self._dropped:
            return b""
        bits, left = "", self.blocks
        while left:
            power = min(_LONGEST_RUN, left.bit_length() - 1)
            length = min(left, (2 << power) - 1)
            rest = f"{length - (1 << power):0{power}b}" if power else ""
            bits += f"{power:04b}{rest}"
            left -= length
        bits += "1" * (-len(bits) % 8)
        data = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
        return struct.pack(">BBHBBBBBB", 0xFF, _SOS, 8, 1, number, 0, 1, 63, 0) + data


def has_unused_scans(image: JpegImageFile, scale: int) -> bool:
    """Return whether `decode_small` leaves out scans at a *scale*-th of the size, as a rule."""
    return scale in SCALES and bool(image.info.get("progressive"))


def decode_small(
    image: JpegImageFile, source: BufferedSource, minimum: tuple[int, int], size: tuple[int, int]
) -> JpegImageFile | None:
    """Return *image* loaded, as good as its own ``load()`` makes it, in less time.

    Args:
        image: The image, told to decode small by its ``draft()``.
        source: Its file.
        minimum: What that was told, in pixels.
        size: Of the image in full, in pixels.

    Returns:
        The loaded image; None if there is nothing to gain, or the file is not as expected.
    """
    scale = image.decoderconfig[0] if image.decoderconfig else 1
    if not has_unused_scans(image, scale) or source.raw.size > MOST_BYTES:
        return None
    source.seek(0)
    data = source.read()
    try:
        components = _components(image, size, scale)
        scans = b"".join(_kept(data, components))
    except (ValueError, LookupError, ZeroDivisionError):  # cut off, damaged, or of another kind
        return None
    if not all(each.is_precise for each in components.values()):
        return None
    ends = [each.empty_scan(number) for number, each in components.items()]
    try:
        small = JpegImageFile(io.BytesIO(b"".join([_START, scans, _RUNS, *ends, _END])), "")
        small.draft(None, minimum)
        small.load()
    except (OSError, SyntaxError):  # Pillow's words for data that are damaged
        return None
    small.info = image.info
    return small if (small.size, small.mode) == (image.size, image.mode) else None


def _components(image: JpegImageFile, size: tuple[int, int], scale: int) -> dict[int, _Component]:
    """Return the components of *image* by their numbers."""
    across, down = (max(layer[each] for layer in image.layer) for each in (1, 2))
    found = {}
    for number, wide, high, table in image.layer:
        # Chroma that has fewer pixels is decoded at a larger part of its size, as libjpeg does.
        side = 8 // scale
        while side < 8 and not (
            across * (8 // scale) % (wide * side * 2) or down * (8 // scale) % (high * side * 2)
        ):
            side *= 2
        columns, rows = -(-size[0] * wide // (across * 8)), -(-size[1] * high // (down * 8))
        steps = image.quantization[table]
        step = max(steps[8 * row + column] for row in range(side) for column in range(side))
        found[number] = _Component(columns * rows, side, step, SCALES[scale])
    if len(found) < len(image.layer):
        raise ValueError("two components have one number")
    return found


def _kept(data: bytes, components: dict[int, _Component]) -> Iterator[memoryview]:
    """Yield the segments of a JPEG that are kept, of scans with their data.

    Raises:
        ValueError, LookupError: It is not as expected.
    """
    at, tables = 2, set()
    while not data.startswith(_END, at):
        start, kind = at, data[at + 1]
        if data[at] != 0xFF or kind not in _EXPECTED:
            raise ValueError("another marker")
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
        if kind in _METADATA:
            continue
        place = start + 4
        while kind == _DHT and place < at:
            tables.add(data[place])
            place += 17 + sum(data[place + 1 : place + 17])
        if kind == _SOS:
            found = _MARKER.search(data, at)
            if found is None:
                raise ValueError("no end marker")
            at = found.start()
            # What is not of one component holds the means of the blocks, which are always used.
            if data[start + 4] == 1:
                number, table, first, last, bits = data[start + 5 : start + 10]
                before, after = bits >> 4, bits & 15
                # What libjpeg refuses, it is to refuse.
                is_sound = data[start + 3] == 8 and first <= last and 0x10 | table & 15 in tables
                if first and not (is_sound and before in (0, after + 1) and after <= _MOST_BITS):
                    raise ValueError("a bad scan")
                if first and not components[number].uses(range(first, last + 1), before, after):
                    continue
        yield memoryview(data)[start:at]
