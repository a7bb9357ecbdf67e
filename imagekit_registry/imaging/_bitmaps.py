"""Pictures of old Windows as browsers show them: icons, and bitmaps of run lengths."""

from __future__ import annotations

from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.IcoImagePlugin import IcoImageFile

#: What Pillow calls our decoder by.
CODEC = "imagekit_bmp_rle"
#: How many numbers of colours there can be, whatever the length of the palette.
MAX_NUMBERS = 256


def take_best_icon(image: IcoImageFile) -> None:
    """Let an icon have the most colours of those of its size; Pillow takes the one with the fewest.

    One of 32 bits without any alpha is of a time in which its mask alone told what is transparent.
    """
    icons = image.ico
    icons.entry.sort(key=lambda entry: (entry.square, entry.color_depth), reverse=True)
    icon = icons.frame(0)
    if icon.mode == "RGBA" and icon.getchannel("A").getextrema() == (0, 0):
        icons.entry[0] = icons.entry[0]._replace(bpp=24)
        icon = icons.frame(0)
    icon.load()
    image.im, image._mode, image.palette = icon.im, icon.mode, icon.palette
    image._size = icon.size


class RunLengthDecoder(ImageFile.PyDecoder):
    """Reads run lengths of a BMP (RLE4 and RLE8) as colours: what they skip is black, as in browsers.

    Pillow gives it the palette's first colour, and takes a file that ends before its last row, as it
    may, for one that is cut off.
    """

    _pulls_fd = True

    def decode(self, buffer: object) -> tuple[int, int]:
        """Read all of it."""
        is_rle4, direction, colors = self.args
        width, height = self.state.xsize, self.state.ysize
        rows, x, y = bytearray(width * height * 3), 0, 0
        while y < height:
            count, value = self._read(2)
            if count == 0 and value < 3:
                if value == 1:  # the end
                    break
                right, up = self._read(2) if value == 2 else (-x, 1)
                x, y = min(x + right, width), y + up
                continue
            if count:
                numbers = [value >> 4, value & 15] * count if is_rle4 else [value] * count
            else:
                count, size = value, (value + 1) // 2 if is_rle4 else value
                data = self._read(size + size % 2)
                numbers = (
                    [n for byte in data for n in (byte >> 4, byte & 15)] if is_rle4 else [*data]
                )
            pixels = b"".join([colors[number] for number in numbers[: min(count, width - x)]])
            place = (y * width + x) * 3
            rows[place : place + len(pixels)] = pixels
            x = min(x + count, width)
        self.set_as_raw(bytes(rows), "RGB", (0, direction))
        return -1, 0

    def _read(self, size: int) -> bytes:
        data = self.fd.read(size) if self.fd else b""
        if len(data) < size:
            raise ValueError("image file is truncated")
        return data


Image.register_decoder(CODEC, RunLengthDecoder)


def take_runs(image: BmpImageFile) -> None:
    """Let `RunLengthDecoder` read a BMP, not loaded yet, if it is one of run lengths and a palette."""
    codec, extents, offset, args = image.tile[0]
    if codec != "bmp_rle" or image.palette is None or not isinstance(args, tuple):
        return
    # As they are stored: blue, green and red, and often a fourth byte.
    mode, palette = image.palette.getdata()
    colors = [bytes(palette[at : at + 3])[::-1] for at in range(0, len(palette), len(mode))]
    colors += [bytes(3)] * MAX_NUMBERS
    _raw, is_rle4, direction = args
    image.tile = [ImageFile._Tile(CODEC, extents, offset, (is_rle4, direction, colors))]
    image._mode, image.palette = "RGB", None
