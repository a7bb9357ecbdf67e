"""Sources of every kind, made on the spot: small, odd, deep, profiled, moving and hostile."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imagekit_registry.imaging import Encoded, Limits, Recipe, render
from imagekit_registry.imaging.formats import can_write

PHOTOS = Path(__file__).resolve().parents[2] / "demo" / "photos"
#: Roughly the defaults of the settings, with less time.
LIMITS = Limits(
    max_bytes=100 * 1024 * 1024,
    max_pixels=100_000_000,
    max_frames=500,
    max_seconds=10.0,
    max_output_pixels=50_000_000,
)
WHITE_POINT = (0.9642, 1.0, 0.8249)
#: Red, green and blue in XYZ (adapted to D50), as in the profiles that cameras and screens embed.
PRIMARIES = {
    "adobe": (
        (0.60974, 0.31111, 0.01947),
        (0.20528, 0.62567, 0.06087),
        (0.14919, 0.06322, 0.74457),
    ),
    "p3": ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
}


#: How a camera stores what is to be seen upright, by EXIF orientation.
TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
HAS_AVIF = can_write("AVIF")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs AVIF where Pillow (before 11.3, or built without it) does not have it."""
    for item in items:
        if not HAS_AVIF and "AVIF" in item.name and item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.skip(reason="this Pillow has no AVIF"))


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(_fixed(value) for value in values)


def _gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256)) + b"\0\0"


def _text(text: str) -> bytes:
    data = text.encode("ascii") + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(data)) + data + b"\0" * 78


def _profile(space: bytes, device: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    """Put a version 2 profile together."""
    padded = [(name, data + b"\0" * (-len(data) % 4)) for name, data in tags]
    offset = 128 + 4 + 12 * len(padded)
    table, body = struct.pack(">I", len(padded)), b""
    for name, data in padded:
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    size = offset + len(body)
    pcs = b"Lab " if space == b"CMYK" else b"XYZ "
    head = struct.pack(">I", size) + b"\0" * 4 + bytes([2, 0x40, 0, 0]) + device + space + pcs
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28
    head += b"".join(_fixed(value) for value in WHITE_POINT)
    return head.ljust(128, b"\0") + table + body


def _cmyk_table() -> bytes:
    """Return a look-up table from CMYK corners to Lab: plain mixing, with ink that is too light."""
    head = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0])
    head += b"".join(_fixed(float(row == column)) for row in range(3) for column in range(3))
    ramp = bytes(range(256))
    corners = bytearray()
    for corner in range(16):
        cyan, magenta, yellow, black = (corner >> bit & 1 for bit in (3, 2, 1, 0))
        light = (
            255 * (1 - 0.3 * cyan) * (1 - 0.4 * magenta) * (1 - 0.1 * yellow) * (1 - 0.8 * black)
        )
        corners += bytes(
            [round(light), 128 - 40 * cyan + 60 * magenta, 128 - 50 * cyan + 70 * yellow]
        )
    return head + ramp * 4 + bytes(corners) + ramp * 3


def make_profile(kind: str) -> bytes:
    """Return an ICC profile: 'p3', 'adobe', 'grey' (gamma 1.0) or 'cmyk'."""
    common = [(b"desc", _text(f"test {kind}")), (b"wtpt", _xyz(WHITE_POINT))]
    if kind == "grey":
        return _profile(b"GRAY", b"mntr", [*common, (b"kTRC", _gamma(1.0))])
    if kind == "cmyk":
        return _profile(b"CMYK", b"prtr", [*common, (b"A2B0", _cmyk_table())])
    bands = zip((b"rXYZ", b"gXYZ", b"bXYZ"), PRIMARIES[kind], strict=True)
    colorants = [(name, _xyz(values)) for name, values in bands]
    curves = [(name, _gamma(2.2)) for name in (b"rTRC", b"gTRC", b"bTRC")]
    return _profile(b"RGB ", b"mntr", [*common, *colorants, *curves])


def sample(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Return an image of *mode* with four different corners and a gradient."""
    width, height = size
    image = Image.new("RGB", size)
    image.putdata(
        [
            (
                255 * x // max(1, width - 1),
                255 * y // max(1, height - 1),
                255 if x < width // 2 else 0,
            )
            for y in range(height)
            for x in range(width)
        ]
    )
    if mode in ("RGBA", "LA", "PA"):
        image.putalpha(Image.linear_gradient("L").resize(size))
    if mode == "LA":
        return image.convert("LA")
    if mode == "P":
        return image.quantize(64)
    if mode == "LAB":
        return Image.merge("LAB", [*image.split()])
    if mode == "I;16":
        grey = image.convert("L")
        return grey.convert("I").point(lambda value: value * 257).convert("I;16")
    if mode == "I":
        return image.convert("L").convert("I").point(lambda value: value * 257)
    return image.convert(mode)


def as_stored(upright: Image.Image, orientation: int) -> Image.Image:
    """Return an image as a camera stores it with this EXIF orientation."""
    return upright.transpose(TURNED[orientation]) if orientation > 1 else upright


def encode(image: Image.Image, format: str, **options: Any) -> io.BytesIO:
    """Return *image* as a file."""
    file = io.BytesIO()
    image.save(file, format, **options)
    file.seek(0)
    return file


def animation(
    format: str, count: int = 3, size: tuple[int, int] = (40, 30), **options: Any
) -> io.BytesIO:
    """Return an animation whose frames are red, green, blue and so on, 100, 200, 300 ms long."""
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    frames = [Image.new("RGB", size, colors[index % 3]) for index in range(count)]
    durations = [100 * (index % 3 + 1) for index in range(count)]
    settings: dict[str, Any] = {"duration": durations, "loop": 3, **options}
    return encode(frames[0], format, save_all=True, append_images=frames[1:], **settings)


def png_chunk(name: bytes, data: bytes) -> bytes:
    """Return one chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(*chunks: bytes, size: tuple[int, int] = (8, 8)) -> bytes:
    """Return a PNG of black pixels, with *chunks* between header and pixels."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
    rows = zlib.compress(b"\0" * (1 + 3 * size[0]) * min(size[1], 64))
    body = png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + body


def jpeg_header(width: int, height: int) -> bytes:
    """Return a JPEG that claims a size and holds next to no data."""
    data = encode(sample("RGB"), "JPEG").getvalue()
    start = data.index(b"\xff\xc0") + 5
    return data[:start] + struct.pack(">HH", height, width) + data[start + 4 :]


def many_scans(count: int, size: tuple[int, int] = (512, 512)) -> bytes:
    """Return a progressive JPEG whose last scan is repeated *count* times."""
    data = encode(sample("RGB", size), "JPEG", progressive=True).getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def cyclic_tiff() -> bytes:
    """Return a TIFF whose only directory names itself as the next."""
    data = bytearray(encode(sample("RGB"), "TIFF").getvalue())
    start = struct.unpack_from("<I", data, 4)[0]
    entries = struct.unpack_from("<H", data, start)[0]
    struct.pack_into("<I", data, start + 2 + 12 * entries, start)
    return bytes(data)


def make(source: Any, *processors: Any, limits: Limits = LIMITS, **recipe: Any) -> Encoded:
    """Render a source (bytes or a file) by a recipe."""
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    return render(file, Recipe(processors, **recipe), limits=limits, format_options={})


def opened(file: io.BytesIO) -> Image.Image:
    """Return the image in a finished file."""
    image = Image.open(file)
    image.load()
    return image


@pytest.fixture
def limits() -> Limits:
    """Return generous limits."""
    return LIMITS


@pytest.fixture(scope="session")
def large_photo() -> Callable[[int, int], bytes]:
    """Return a function that gives a real photograph scaled up, as a JPEG; made once a size."""
    made: dict[tuple[int, int], bytes] = {}

    def photo(width: int, height: int) -> bytes:
        if (width, height) not in made:
            with Image.open(PHOTOS / "hubble_deep_field.jpg") as source:
                large = source.resize((width, height), Image.Resampling.BICUBIC)
            made[width, height] = encode(large, "JPEG", quality=90).getvalue()
        return made[width, height]

    return photo
