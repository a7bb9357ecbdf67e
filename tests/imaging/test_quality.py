"""Decoding small must not be seen: thumbnails hold as much of the picture as from all pixels."""

from __future__ import annotations

import functools
import io
import itertools
import math
from importlib.util import find_spec
from typing import Any

import numpy
import pytest
from PIL import Image, ImageDraw, ImageOps

from imagekit_registry.imaging import (
    Encoded,
    Recipe,
    get_decoder,
    get_resizer,
    render,
    render_many,
)
from imagekit_registry.processors import (
    Anchor,
    Resize,
    ResizeToCover,
    ResizeToFill,
    ResizeToFit,
    SmartResize,
    Thumbnail,
)

from . import conftest as made
from .conftest import LIMITS, PHOTOS, opened
from .test_render import psnr

#: How much worse, in dB, a thumbnail may be than one of a full decode and LANCZOS.
MOST_LOST = 0.3
#: How near, in dB, the pixels of another resizer are to Pillow's.
NEAREST = 55
DECODERS = ["pillow", "vips"]
SOURCES = [
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "rocket.jpg",
    "chart",
    "pairs",
    "rings",
    "fine rings",
]
#: At an eighth, a fourth and a half of the source; a factor in between.
SIDES = [24, 40, 51, 96, 160]
ANCHORS: list[str | tuple[float, float]] = [
    "tl",
    "t",
    "tr",
    "l",
    "c",
    "r",
    "bl",
    "b",
    "br",
    (0.3, 0.8),
]


def need(decoder: str) -> None:
    """Skip the test where the decoder is not installed."""
    if decoder == "vips" and find_spec("pyvips") is None:
        pytest.skip("pyvips is not installed")


def chart() -> Image.Image:
    """Return the hardest picture: line pairs of every width and direction, and fine text."""
    image = Image.new("RGB", (640, 480), "white")
    draw = ImageDraw.Draw(image)
    for column in range(8):
        left, gap = 10 + column * 78, column + 1
        for offset in range(0, 64, 2 * gap):
            draw.rectangle((left + offset, 10, left + offset + gap - 1, 90), "black")
            draw.rectangle((left, 100 + offset, left + 64, 100 + offset + gap - 1), "navy")
            draw.line(
                (left, 180 + offset, left + 64, 180 + offset // 2), "maroon", max(1, gap // 2)
            )
    for row in range(14):
        draw.text(
            (10, 260 + row * 12), "Sphinx of black quartz, judge my vow. 0123456789 " * 2, "black"
        )
    draw.ellipse((470, 270, 620, 420), outline="red", width=1)
    for radius in range(4, 75, 4):
        draw.ellipse((545 - radius, 345 - radius, 545 + radius, 345 + radius), outline="black")
    return image


def pairs() -> Image.Image:
    """Return nothing but line pairs of 2 to 6 pixels, upright and lying."""
    image = Image.new("RGB", (640, 480), "white")
    draw = ImageDraw.Draw(image)
    for column, width in enumerate(range(2, 7)):
        left = column * 128
        for offset in range(0, 240, 2 * width):
            draw.rectangle((left, 240 + offset, left + 127, 240 + offset + width - 1), "black")
            if offset < 128:
                draw.rectangle((left + offset, 0, left + offset + width - 1, 239), "black")
    return image


def rings(finest: float) -> Image.Image:
    """Return a zone plate: rings that lie closer and closer, in every direction.

    Args:
        finest: Rings per pixel at its left and right edges.
    """
    down, across = numpy.mgrid[0:480, 0:640]
    squares = (across - 320.0) ** 2 + (down - 240.0) ** 2
    values = 127.5 + 127.5 * numpy.cos(numpy.pi * finest / 320 * squares)
    return Image.fromarray(values.astype("uint8")).convert("RGB")


@functools.cache
def picture(name: str) -> Image.Image:
    """Return a source as one sees it."""
    if name == "chart":
        return chart()
    if name == "pairs":
        return pairs()
    if name.endswith("rings"):
        return rings(0.12 if name.startswith("fine") else 0.06)
    with Image.open(PHOTOS / name) as photo:
        return photo.convert("RGB")


@functools.cache
def stored(name: str, format: str, orientation: int = 1) -> tuple[bytes, Image.Image]:
    """Return a source as a file, and what a full decode of it shows."""
    upright = picture(name)
    turned = made.as_stored(upright, orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"compress_level": 1} if format == "PNG" else {"quality": 92}
    data = made.encode(turned, format, exif=exif, **options).getvalue()
    return data, ImageOps.exif_transpose(opened(io.BytesIO(data))).convert("RGB")


def thumbnail(
    data: bytes, processor: Any, decoder: str, resizer: str = "pillow", **recipe: Any
) -> Image.Image:
    """Return what a processor makes of a file."""
    encoded = render(
        io.BytesIO(data),
        Recipe([processor], format="PNG", **recipe),
        limits=LIMITS,
        format_options={},
        decoder=get_decoder(decoder),
        resizer=get_resizer(resizer),
    )
    return opened(encoded).convert("RGB")


def lost(data: bytes, full: Image.Image, processor: Any, decoder: str, anchor: Any = None) -> float:
    """Return how many dB nearer to the source a thumbnail of a full decode is.

    Thumbnails are scaled up again, and compared with the part of the source that they show.
    """
    small = thumbnail(data, processor, decoder)
    reference = thumbnail(data, processor, "pillow", decode_small=False)
    assert small.size == reference.size
    if anchor is not None:
        full = seen_part(full, small.size, anchor)
    return loss(reference, small, full)


def loss(reference: Image.Image, small: Image.Image, full: Image.Image) -> float:
    """Return how many dB nearer to *full* the first of two thumbnails is than the second."""
    near, other = (each.resize(full.size, Image.Resampling.LANCZOS) for each in (reference, small))
    return psnr(near, full) - psnr(other, full)


def seen_part(full: Image.Image, size: tuple[int, int], anchor: Any) -> Image.Image:
    """Return what `ResizeToFill` leaves of an image, at its own scale."""
    scale = max(size[0] / full.width, size[1] / full.height)
    cover = round(full.width * scale), round(full.height * scale)
    x, y = Anchor.get_tuple(anchor)
    left, top = int((cover[0] - size[0]) * x), int((cover[1] - size[1]) * y)
    across, along = full.width / cover[0], full.height / cover[1]
    box = left * across, top * along, (left + size[0]) * across, (top + size[1]) * along
    return full.resize(
        (math.ceil(box[2] - box[0]), math.ceil(box[3] - box[1])), Image.Resampling.BICUBIC, box
    )


@pytest.mark.parametrize("decoder", DECODERS)
class TestSmallDecode:
    """What a decode at a fraction of the size may cost."""

    @pytest.mark.parametrize("name", SOURCES)
    def test_a_small_decode_loses_nothing_that_is_seen(self, decoder: str, name: str) -> None:
        """By all resizers and anchors, from every format that is decoded small in its own way."""
        need(decoder)
        anchors = itertools.cycle(ANCHORS)
        for format, sides in {"JPEG": SIDES, "PNG": SIDES[1:2], "WEBP": SIDES[2:3]}.items():
            data, full = stored(name, format)
            for side in sides:
                anchor, other = next(anchors), next(anchors)
                for processor, place in [
                    (ResizeToFit(side, side), None),
                    (ResizeToCover(side, side), None),
                    (Resize(side, side * 2 // 3), None),
                    (ResizeToFill(side, side * 3 // 4, anchor=anchor), anchor),
                    (Thumbnail(side, side * 2, anchor=other, crop=True), other),
                ]:
                    less = lost(data, full, processor, decoder, place)
                    assert less <= MOST_LOST, (format, processor)

    @pytest.mark.parametrize("quality", [50, 75, 92])
    @pytest.mark.parametrize("name", SOURCES)
    def test_a_progressive_source_loses_nothing_that_is_seen(
        self, decoder: str, name: str, quality: int
    ) -> None:
        """Of its scans, those are left out that a small decode does not use."""
        need(decoder)
        data = made.encode(picture(name), "JPEG", quality=quality, progressive=True).getvalue()
        full = opened(io.BytesIO(data)).convert("RGB")
        # The largest that are made of an eighth and of a fourth, and one in between.
        for side in (32, 48, 64):
            assert lost(data, full, ResizeToFit(side, side), decoder) <= MOST_LOST, side

    @pytest.mark.parametrize("orientation", made.TURNED)
    def test_a_small_decode_loses_nothing_of_a_turned_picture(
        self, decoder: str, orientation: int
    ) -> None:
        """However the camera was held."""
        need(decoder)
        data, full = stored("rocket.jpg", "JPEG", orientation)
        for processor, anchor in [
            (ResizeToFit(51, 51), None),
            (Resize(40, 60), None),
            (ResizeToFill(60, 24, anchor="tr"), "tr"),
        ]:
            assert lost(data, full, processor, decoder, anchor) <= MOST_LOST, processor

    @pytest.mark.parametrize("name", SOURCES)
    def test_a_small_decode_loses_nothing_of_many_sizes(self, decoder: str, name: str) -> None:
        """Sizes that are made of the next larger one are as good as from all pixels."""
        need(decoder)
        data, full = stored(name, "JPEG")
        processors = [ResizeToFit(side) for side in (600, 420, 300, 150, 30, 320, 250)]
        results = render_many(
            io.BytesIO(data),
            [Recipe([processor], format="PNG") for processor in processors],
            limits=LIMITS,
            format_options={},
            decoder=get_decoder(decoder),
        )
        for processor, result in zip(processors, results, strict=True):
            assert isinstance(result, Encoded)
            reference = thumbnail(data, processor, "pillow", decode_small=False)
            assert loss(reference, opened(result), full) <= MOST_LOST, processor

    def test_a_small_decode_keeps_the_same_part(self, decoder: str) -> None:
        """Where the part with the most detail is kept, it is that of a full decode."""
        need(decoder)
        busy = Image.new("RGB", (1200, 400), "skyblue")
        busy.paste(chart().resize((320, 240)), (800, 80))
        data = made.encode(busy, "JPEG", quality=92).getvalue()
        for processor in (SmartResize(60, 60), Thumbnail(90, 60)):
            full = thumbnail(data, processor, "pillow", decode_small=False)
            assert psnr(full, Image.new("RGB", full.size, "skyblue")) < 20
            # To the pixel, it is left open how much sky stands on either side.
            assert psnr(thumbnail(data, processor, decoder), full) > 20


@pytest.mark.parametrize("name", SOURCES)
class TestResizers:
    """What another resizer than Pillow's LANCZOS may change."""

    @pytest.fixture(autouse=True)
    def _need_simd(self) -> None:
        pytest.importorskip("cykooz_resizer")

    def test_a_resizer_gives_the_pixels_of_pillow(self, name: str) -> None:
        """Scaled down and up, cut at fractions of pixels, from all pixels and from a small decode."""
        data, _ = stored(name, "JPEG")
        for processor in (
            *(ResizeToFit(side, side) for side in (*SIDES, 500, 800)),
            *(ResizeToFill(side, side * 3 // 4, anchor=(0.3, 0.8)) for side in (24, 51, 160, 900)),
            Resize(301, 47),
            SmartResize(90, 60),
        ):
            for small in (False, True):
                near, other = (
                    thumbnail(data, processor, "pillow", resizer, decode_small=small)
                    for resizer in ("pillow", "simd")
                )
                assert near.size == other.size
                assert psnr(near, other) >= NEAREST, (processor, small)

    def test_a_resizer_loses_nothing_that_is_seen_of_many_sizes(self, name: str) -> None:
        """Sizes that are made of one decode, and of each other, are as good as Pillow's."""
        data, full = stored(name, "JPEG")
        processors = [ResizeToFit(side) for side in (600, 420, 300, 150, 30, 320, 250)]
        results = render_many(
            io.BytesIO(data),
            [Recipe([processor], format="PNG") for processor in processors],
            limits=LIMITS,
            format_options={},
            resizer=get_resizer("simd"),
        )
        for processor, result in zip(processors, results, strict=True):
            assert isinstance(result, Encoded)
            reference = thumbnail(data, processor, "pillow", decode_small=False)
            assert loss(reference, opened(result), full) <= MOST_LOST, processor
