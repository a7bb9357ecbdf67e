"""Odd but valid sources: each is uploaded, shown by a tag on a page, and compared with what it is.

What a picture should look like is not asked of the library, nor of Pillow's decoders: a source has
four quarters of known colours, and where they must lie follows from the standards.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import attrs
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image

from tests.pages import elements, render, served

from . import conftest as made

Color = tuple[int, int, int]

RED, GREEN, BLUE, PALE = (220, 30, 20), (20, 180, 40), (30, 40, 210), (240, 230, 200)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
#: Upper left, upper right, lower left, lower right.
QUARTERS = (RED, GREEN, BLUE, PALE)
SIZE = (64, 48)
#: Formats that give each pixel back as it was.
EXACT = {"PNG", "GIF", "TIFF", "BMP", "DIB", "ICO", "PPM", "TGA", "PCX", "SGI", "JPEG2000"}
FORMATS = sorted({*EXACT, "JPEG", "MPO", "WEBP", *({"AVIF"} if made.HAS_AVIF else set())})
MODES = ["1", "L", "LA", "P", "P+alpha", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB"]
MODES += ["I;16", "I;16B", "I", "F"]

DEEP = ("LAB", "I;16", "I;16B", "I", "F")
#: Where a format, or Pillow's encoder for it, knows no transparency: the pixels are opaque then.
LOSES_ALPHA = {
    "BMP": ("P+alpha", "RGBA"),
    "DIB": ("P+alpha", "RGBA"),
    "GIF": ("LA",),
    "ICO": ("P+alpha",),
    "PCX": ("P+alpha",),
    "PPM": ("RGBA",),
    "TGA": ("P+alpha",),
    "TIFF": ("P+alpha",),
}


def grey(color: Color) -> Color:
    """Return the luma of a colour, as ITU-R BT.601 has it."""
    value = round(0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2])
    return value, value, value


def laid_out(quarters: tuple[Any, ...], mode: str, size: tuple[int, int] = SIZE) -> Image.Image:
    """Return an image with a value in each quarter."""
    image = Image.new(mode, size)
    width, height = size[0] // 2, size[1] // 2
    for index, value in enumerate(quarters):
        left, top = width * (index % 2), height * (index // 2)
        right, bottom = (width, size[0])[index % 2], (height, size[1])[index // 2]
        image.paste(value, (left, top, right, bottom))
    return image


def lab(color: Color) -> tuple[int, int, int]:
    """Return a colour of sRGB in CIE L*a*b* (D50), as 8 bits each, by the standards' formulas."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (band / 255 for band in color)
    ]
    # sRGB to XYZ under D50 (IEC 61966-2-1, adapted by Bradford's method).
    rows = ((0.4360, 0.3851, 0.1431), (0.2225, 0.7169, 0.0606), (0.0139, 0.0971, 0.7142))
    xyz = [sum(a * b for a, b in zip(row, linear, strict=True)) for row in rows]
    x, y, z = (
        value ** (1 / 3) if value > 216 / 24389 else (24389 / 27 * value + 16) / 116
        for value in (part / white for part, white in zip(xyz, (0.9642, 1, 0.8249), strict=True))
    )
    values = (116 * y - 16) * 2.55, 500 * (x - y), 200 * (y - z)
    return round(values[0]), 128 + round(values[1]), 128 + round(values[2])


def picture(mode: str) -> tuple[Image.Image, tuple[Color, ...]]:
    """Return an image of a mode, and the colours that its quarters must have on white."""
    greys = tuple(grey(color) for color in QUARTERS)
    values = tuple(color[0] for color in greys)
    if mode == "1":
        return laid_out((0, 255, 255, 0), "1"), (BLACK, WHITE, WHITE, BLACK)
    if mode == "L":
        return laid_out(values, "L"), greys
    if mode == "LA":
        pairs = [(value, 255) for value in values[:3]]
        return laid_out((*pairs, (values[3], 0)), "LA"), (*greys[:3], WHITE)
    if mode in ("I;16", "I;16B"):
        image = Image.new(mode, SIZE)
        order = "<" if mode == "I;16" else ">"
        rows = []
        for row in range(SIZE[1]):
            half = 2 * (row >= SIZE[1] // 2)
            pixels = [values[half]] * (SIZE[0] // 2) + [values[half + 1]] * (SIZE[0] // 2)
            rows.append(struct.pack(f"{order}{SIZE[0]}H", *(257 * pixel for pixel in pixels)))
        image.frombytes(b"".join(rows))
        return image, greys
    if mode == "I":
        return laid_out(tuple(257 * value for value in values), "I"), greys
    if mode == "F":
        return laid_out(tuple(value / 255 for value in values), "F"), greys
    if mode in ("P", "P+alpha", "PA"):
        image = laid_out((0, 1, 2, 3), "P")
        image.putpalette([band for color in QUARTERS for band in color])
        if mode == "P":
            return image, QUARTERS
        if mode == "P+alpha":
            image.info["transparency"] = 3
            return image, (*QUARTERS[:3], WHITE)
        image = image.convert("PA")
        image.putalpha(laid_out((255, 255, 255, 0), "L"))
        return image, (*QUARTERS[:3], WHITE)
    if mode == "RGBA":
        opaque = [(*color, 255) for color in QUARTERS[:3]]
        return laid_out((*opaque, (*PALE, 0)), "RGBA"), (*QUARTERS[:3], WHITE)
    if mode == "CMYK":
        inks = tuple((255 - r, 255 - g, 255 - b, 0) for r, g, b in QUARTERS)
        return laid_out(inks, "CMYK"), QUARTERS
    if mode == "LAB":
        return laid_out(tuple(map(lab, QUARTERS)), "LAB"), QUARTERS
    return laid_out(QUARTERS, "RGB").convert(mode), QUARTERS


@attrs.frozen
class Source:
    """A file, and what must be seen of it."""

    data: bytes
    name: str
    quarters: tuple[Color, ...] = QUARTERS
    size: tuple[int, int] = SIZE
    tolerance: int = 3


def exif(orientation: Any) -> bytes:
    """Return EXIF data with this orientation."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def by_mode_and_format() -> Iterator[tuple[str, Source]]:
    """Yield every mode in every format that Pillow writes it in."""
    for format in FORMATS:
        for mode in MODES:
            if mode in DEEP and format in ("AVIF", "GIF", "WEBP"):
                continue  # Pillow clips their values before it writes them
            image, quarters = picture(mode)
            if mode in LOSES_ALPHA.get(format, ()):
                quarters = tuple(map(grey, QUARTERS)) if mode == "LA" else QUARTERS
            options: dict[str, Any] = {}
            if format == "ICO":
                options["sizes"] = [SIZE]
            if format in ("JPEG", "MPO"):
                options |= {"quality": 95, "subsampling": 0}
            try:
                data = made.encode(image, format, **options).getvalue()
            except (OSError, ValueError, KeyError):
                continue  # Pillow cannot write this mode so
            if format == "TIFF" and mode == "YCbCr" and Image.open(io.BytesIO(data)).mode == "RGB":
                continue  # Pillow 11 takes the three bands that it writes for four
            exact = format in EXACT and mode not in ("LAB", "YCbCr")
            yield (
                f"{format} {mode}",
                Source(data, f"a.{format.lower()}", quarters, tolerance=3 if exact else 10),
            )


#: Where the quarters are seen, by the first row and column's meaning in EXIF 2.32, 4.6.4.
ORIENTATIONS = {
    1: (0, 1, 2, 3),
    2: (1, 0, 3, 2),
    3: (3, 2, 1, 0),
    4: (2, 3, 0, 1),
    5: (0, 2, 1, 3),
    6: (2, 0, 3, 1),
    7: (3, 1, 2, 0),
    8: (1, 3, 0, 2),
}


def by_orientation() -> Iterator[tuple[str, Source]]:
    """Yield all orientations in each format that can tell them, and some that browsers do not heed."""
    formats = ["JPEG", "PNG", "WEBP", "TIFF", *(["AVIF"] if made.HAS_AVIF else [])]
    for format in formats:
        options: dict[str, Any] = {"lossless": True} if format == "WEBP" else {}
        for number, order in ORIENTATIONS.items():
            if format == "AVIF":
                options = {"quality": 95}
            data = made.encode(picture("RGB")[0], format, exif=exif(number), **options)
            is_heeded = format != "WEBP"
            size = (SIZE[1], SIZE[0]) if is_heeded and number >= 5 else SIZE
            quarters = tuple(QUARTERS[index] for index in order) if is_heeded else QUARTERS
            yield (
                f"{format} turned {number}",
                Source(data.getvalue(), f"b.{format.lower()}", quarters, size, 10),
            )
    for number in (0, 9, 65535):
        data = made.encode(picture("RGB")[0], "JPEG", exif=exif(number), quality=95)
        yield f"orientation {number}", Source(data.getvalue(), "b.jpg", tolerance=10)
    broken = {
        "of no bytes": b"Exif\0\0",
        "of noise": b"Exif\0\0" + bytes(range(256)),
        "with a text for orientation": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x02\0\0\0a\0\0\0"
        b"\0\0\0\0",
        "that points beyond its end": b"Exif\0\0II*\0\xff\xff\xff\x7f",
        "with its name a thousand times": b"Exif\0\0" * 1000 + exif(1)[6:],
    }
    for name, tags in broken.items():
        image = made.encode(picture("RGB")[0], "JPEG", exif=tags, quality=95)
        yield f"EXIF {name}", Source(image.getvalue(), "b.jpg", tolerance=10)
    plain = made.encode(picture("RGB")[0], "PNG").getvalue()
    behind = plain[:-12] + made.png_chunk(b"eXIf", exif(6)[6:]) + plain[-12:]
    yield "EXIF behind the pixels", Source(behind, "b.png")
    digits = exif(6).hex().encode()
    text = b"\nexif\n%8d\n%b\n" % (len(exif(6)), digits)
    as_text = made.png_chunk(b"tEXt", b"Raw profile type exif\0" + text)
    yield "EXIF as text", Source(plain[:33] + as_text + plain[33:], "b.png")


def by_variant() -> Iterator[tuple[str, Source]]:
    """Yield what else is allowed in a format."""
    image = picture("RGB")[0]
    lossy: dict[str, dict[str, Any]] = {
        "JPEG, progressive": {"progressive": True},
        "JPEG, 4:2:0": {"subsampling": 2},
        "JPEG with restarts": {"restart_marker_rows": 1},
        "JPEG with a comment": {"comment": b"x" * 60_000},
        "JPEG with a broken profile": {"icc_profile": b"no profile at all"},
        "JPEG with a profile of ink": {"icc_profile": made.make_profile("cmyk")},
    }
    for name, options in lossy.items():
        data = made.encode(image, "JPEG", quality=95, **options).getvalue()
        yield name, Source(data, "c.jpg", tolerance=12)
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "tiff_deflate", "jpeg"):
        data = made.encode(image, "TIFF", compression=compression).getvalue()
        yield f"TIFF, {compression}", Source(data, "c.tif", tolerance=12)
    data = made.encode(picture("1")[0], "TIFF", compression="group4").getvalue()
    yield "TIFF, fax", Source(data, "c.tif", picture("1")[1])
    data = made.encode(image, "TIFF", big_tiff=True).getvalue()
    yield "TIFF, big", Source(data, "c.tif")
    pages = made.encode(image, "TIFF", save_all=True, append_images=[image.rotate(180)])
    yield "TIFF of two pages", Source(pages.getvalue(), "c.tif")
    yield (
        "TGA, packed",
        Source(made.encode(image, "TGA", compression="tga_rle").getvalue(), "c.tga"),
    )
    yield "TGA, upwards", Source(made.encode(image, "TGA", orientation=1).getvalue(), "c.tga")
    text = b"P3\n# a comment\n2 2\n255\n" + b" ".join(
        b"%d" % band for color in QUARTERS for band in color
    )
    yield "PPM, text", Source(text, "c.ppm", size=(2, 2))
    large = made.encode(
        image.resize((300, 200), Image.Resampling.NEAREST), "ICO", sizes=[(128, 128)]
    )
    yield "ICO, scaled", Source(large.getvalue(), "c.ico", size=(128, 85), tolerance=12)
    for format in ("GIF", "PNG", "WEBP"):
        frames = [image, image.rotate(180), image.rotate(90).resize(SIZE)]
        options = {"lossless": True} if format == "WEBP" else {}
        data = made.encode(
            frames[0], format, save_all=True, append_images=frames[1:], duration=80, **options
        ).getvalue()
        yield f"{format}, moving", Source(data, f"c.{format.lower()}", tolerance=12)
    rgb = picture("RGB")[0]
    rgb.info["transparency"] = PALE
    yield (
        "PNG, one colour transparent",
        Source(
            made.encode(rgb, "PNG", transparency=PALE).getvalue(), "c.png", (*QUARTERS[:3], WHITE)
        ),
    )
    tail = made.encode(image, "JPEG", quality=95).getvalue() + b"PK\3\4<script>alert(1)</script>"
    yield "JPEG and archive", Source(tail, "c.jpg", tolerance=10)


def by_name() -> Iterator[tuple[str, Source]]:
    """Yield files whose names say something else, or nothing."""
    png = made.encode(picture("RGB")[0], "PNG").getvalue()
    jpeg = made.encode(picture("RGB")[0], "JPEG", quality=95).getvalue()
    for data, name in [
        (png, "d.jpg"),
        (jpeg, "d.png"),
        (png, "d"),
        (jpeg, "d.PNG.exe"),
        (png, "d.PNG"),
        (jpeg, "d.JPEG"),
        (png, "d.svg"),
        (png, "d 50% öß 🐕.gif"),
        (png, "d'\"&.png"),
    ]:
        yield f"{'PNG' if data is png else 'JPEG'} named {name}", Source(data, name, tolerance=10)


def by_size() -> Iterator[tuple[str, Source]]:
    """Yield plain pictures of odd sizes, in one colour."""
    for format in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"):
        for size in ((1, 1), (1, 7), (7, 1), (2, 3), (1, 20_000), (20_000, 1)):
            if format == "WEBP" and max(size) > 16_383:
                continue
            options = {"lossless": True} if format == "WEBP" else {}
            data = made.encode(Image.new("RGB", size, BLUE), format, **options).getvalue()
            yield (
                f"{format} of {size[0]} x {size[1]}",
                Source(data, f"e.{format.lower()}", (BLUE,) * 4, size, 10),
            )


CORPUS = {
    name: source
    for group in (by_mode_and_format, by_orientation, by_variant, by_name, by_size)
    for name, source in group()
}


def quarters_of(image: Image.Image) -> list[Color]:
    """Return the colours in the middle of each quarter, on white."""
    width, height = image.size
    ground = Image.new("RGBA", image.size, (*WHITE, 255))
    flat = Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    places = [(x, y) for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]
    return [flat.getpixel(place) for place in places]  # type: ignore[misc]


def fitted(size: tuple[int, int]) -> tuple[int, int]:
    """Return a size within 32 x 32, in its proportions, but not enlarged."""
    ratio = min(1, 32 / max(size))
    return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))


@pytest.mark.parametrize("decoder", ["pillow", "vips"])
@pytest.mark.parametrize("name", list(CORPUS))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_odd_source_is_shown_right(name: str, decoder: str, settings: Any) -> None:
    """Uploaded, made into a thumbnail and shown on a page, it has its colours in their places."""
    source = CORPUS[name]
    settings.IMAGEKIT_DECODER = decoder
    settings.IMAGEKIT_ON_ERROR = "raise"
    stored = default_storage.save(source.name, ContentFile(source.data))
    for format in ("", " format='PNG'"):
        html = render("{% thumbnail '32x32' photo crop=0" + format + " %}", photo=stored)
        (img,) = elements(html)
        image = served(unquote(img["src"]))
        assert (int(img["width"]), int(img["height"])) == image.size == fitted(source.size)
        if image.format not in EXACT - {"GIF"}:
            continue  # how much of so small a picture they lose is theirs
        for got, expected in zip(quarters_of(image), source.quarters, strict=True):
            difference = max(abs(a - b) for a, b in zip(got, expected, strict=True))
            assert difference <= source.tolerance, (format, got, expected)


def test_the_corpus_of_odd_sources_is_large() -> None:
    """Nothing has been left out by mistake: formats and modes that Pillow refuses are few."""
    assert len(CORPUS) > 150
    formats = {name.split()[0] for name in CORPUS}
    assert set(FORMATS) <= formats
