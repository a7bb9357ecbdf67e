"""Images of every mode that Pillow opens."""

from __future__ import annotations

from typing import Any

from PIL import Image

MODES = [
    "1",
    "L",
    "LA",
    "P",
    "P+transparency",
    "PA",
    "RGB",
    "RGB+transparency",
    "RGBA",
    "RGBX",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I;16",
    "I;16B",
    "I",
    "F",
]


def make_image(mode: str, size: tuple[int, int] = (64, 48)) -> Any:
    """Return a gradient of a mode; the left half is transparent where the mode allows it."""
    across = Image.linear_gradient("L").rotate(90).resize(size)
    down = Image.linear_gradient("L").resize(size)
    alpha = Image.new("L", size, 255)
    alpha.paste(0, (0, 0, max(1, size[0] // 2), size[1]))
    rgb = Image.merge("RGB", (across, down, across))
    made: Any
    if mode in {"I;16", "I;16B"}:
        made = across.convert("I").point(lambda value: value * 257).convert("I;16")
        return made if mode == "I;16" else _big_endian(made)
    if mode == "I":
        return across.convert("I").point(lambda value: value * 257)
    if mode == "P+transparency":
        made = rgb.quantize(32)
        made.info["transparency"] = 0
        return made
    if mode == "RGB+transparency":
        rgb.info["transparency"] = (0, 0, 0)
        return rgb
    if mode in {"LA", "RGBA"}:
        made = across.convert(mode) if mode == "LA" else rgb.convert("RGBA")
        made.putalpha(alpha)
        return made
    if mode == "PA":
        return rgb.quantize(32).convert("PA")
    if mode == "LAB":
        return Image.merge("LAB", (across, down, across))
    if mode == "P":
        return rgb.quantize(32)
    return rgb.convert(mode)


def _big_endian(image: Image.Image) -> Image.Image:
    data = image.tobytes()
    swapped = bytearray(len(data))
    swapped[0::2], swapped[1::2] = data[1::2], data[0::2]
    return Image.frombytes("I;16B", image.size, bytes(swapped))
