"""Animated GIFs: one palette for all frames, and of each frame only what changes."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
from PIL import GifImagePlugin, Image, ImageChops

from ._compose import CLEAR
from ._encode import OPAQUE_FROM

#: Colours of a palette, besides the transparent one.
MAX_COLORS = 255
#: The most pixels that a palette is chosen by.
PALETTE_PIXELS = 400_000
#: How far a band of a pixel, of 0 to 255, may be from what is shown to stay as it is, where colours
#: are mixed: those are farther off.
TOLERANCE = 3
#: A place is drawn as a whole if less than this share of it stays as it is: holes for single pixels
#: cost more than they save.
LEAST_KEPT = 0.25
#: What stays after a frame, as GIF counts.
KEEP = 1
#: The longest time of a frame, in milliseconds.
MAX_DURATION = 655_350

Box = tuple[int, int, int, int]


@attrs.define
class _Part:
    """What one frame draws over those before it.

    Args:
        picture: The whole frame.
        place: Left, top, right and bottom of what is drawn of it, in pixels.
        drawn: Which pixels of its place: 255; those that are 0 stay as they are.
        duration: How long it is shown, in milliseconds.
        clears: Whether its place becomes transparent before the next one.
    """

    picture: Image.Image
    place: Box
    drawn: Image.Image
    duration: float
    clears: bool = False

    def clear(self, gone: Box) -> None:
        """Let it clear its place, and all of *gone* with it."""
        ground = Image.new("L", self.picture.size)
        ground.paste(self.drawn, self.place)
        (left, top, right, bottom), (left_2, top_2, right_2, bottom_2) = self.place, gone
        self.place = min(left, left_2), min(top, top_2), max(right, right_2), max(bottom, bottom_2)
        self.drawn, self.clears = ground.crop(self.place), True

    def pixels(self) -> Image.Image:
        """Return its place of the picture, in RGB."""
        return _snapped(self.picture.crop(self.place)).convert("RGB")


def _snapped(image: Image.Image) -> Image.Image:
    """Return an image in RGBA whose pixels are opaque, or transparent and black."""
    if image.mode != "RGBA":
        return image.convert("RGBA")
    opaque = image.convert("RGB").convert("RGBA")
    ground = Image.new("RGBA", image.size)
    ground.paste(opaque, None, image.getchannel("A").point(lambda value: value >= OPAQUE_FROM, "1"))
    return ground


def _all_colors(pictures: Iterable[Image.Image]) -> list[tuple[int, ...]]:
    """Return all the opaque colours of *pictures*; none if they are more than a palette holds."""
    found: set[tuple[int, ...]] = set()
    for picture in pictures:
        colors: Any = _snapped(picture).getcolors(MAX_COLORS + 2)
        found.update(color for _count, color in colors or ())
        if colors is None or len(found) > MAX_COLORS + 1:
            return []
    return sorted(color[:3] for color in found if color[3])


def _changes(picture: Image.Image, shown: Image.Image, tolerance: int) -> Image.Image:
    bands = ImageChops.difference(picture, shown).split()
    most = functools.reduce(ImageChops.lighter, bands)
    return most.point(lambda value: 255 if value > tolerance else 0)


def _parts(
    pictures: Sequence[Image.Image], times: Iterable[float], tolerance: int, least_kept: float
) -> list[_Part]:
    """Return what has to be drawn for *pictures* to be seen one after the other."""
    parts: list[_Part] = []
    shown = Image.new("RGBA", pictures[0].size)
    for picture, duration in zip(pictures, times, strict=True):
        wanted = _snapped(picture)
        alpha = wanted.getchannel("A")
        gone = ImageChops.subtract(shown.getchannel("A"), alpha).getbbox()
        if gone:  # what becomes transparent can only be cleared by the part before
            parts[-1].clear(gone)
            shown.paste((0, 0, 0, 0), parts[-1].place)
        drawn = _changes(wanted, shown, tolerance)
        place = drawn.getbbox() if parts else (0, 0, *shown.size)
        if not place and not gone:
            parts[-1].duration += duration
            continue
        place = place or (0, 0, 1, 1)
        counts = drawn.crop(place).histogram()
        if counts[0] < least_kept * sum(counts):
            drawn.paste(255, place)
        shown.paste(wanted, None, drawn)
        drawn = ImageChops.darker(drawn, alpha).crop(place)
        parts.append(_Part(picture, place, drawn, duration))
    return parts


def _chosen_palette(parts: Sequence[_Part]) -> Image.Image:
    """Return an image whose palette has the colours that serve all *parts* best."""
    scale = min(1.0, math.sqrt(PALETTE_PIXELS / sum(math.prod(part.drawn.size) for part in parts)))
    data = b""
    for part in parts:
        pixels = part.pixels()
        size = math.ceil(pixels.width * scale), math.ceil(pixels.height * scale)
        data += pixels.resize(size, Image.Resampling.NEAREST).tobytes()
    row = Image.frombytes("RGB", (len(data) // 3, 1), data)
    # Unlike the others, this method leaves out no colour of a few pixels, which dithering needs.
    return row.quantize(MAX_COLORS, Image.Quantize.FASTOCTREE)


def _renumbered(pixels: Image.Image, numbers: Mapping[tuple[int, ...], int]) -> Image.Image:
    """Return *pixels*, in RGB, as the *numbers* of their colours."""
    own = pixels.quantize(MAX_COLORS + 1, Image.Quantize.MEDIANCUT)  # exact: there are no more
    table = own.getpalette() or []
    colors = [tuple(table[place : place + 3]) for place in range(0, len(table), 3)]
    table = [numbers.get(color, 0) for color in colors]
    return own.point(table + [0] * (256 - len(table)))


def encode_gif(pictures: Sequence[Image.Image], options: Mapping[str, Any]) -> tuple[bytes, int]:
    """Return an animated GIF, and the number of its frames.

    A frame that changes nothing is added to the time of the one before.

    Args:
        pictures: RGB or RGBA, all of one size.
        options: Of Pillow's: ``duration``, in milliseconds, of each or of all; ``loop``; ``comment``.
    """
    times = options["duration"]
    times = times if isinstance(times, list | tuple) else [times] * len(pictures)
    exact = _all_colors(pictures)
    has_hole = len(exact) <= MAX_COLORS
    parts = _parts(pictures, times, 0 if exact else TOLERANCE, LEAST_KEPT if has_hole else 1)
    chosen = Image.new("P", (1, 1)) if exact else _chosen_palette(parts)
    palette = [band for color in exact for band in color] or chosen.getpalette() or []
    numbers = {color: number for number, color in enumerate(exact)}
    hole = len(palette) // 3 if has_hole else None
    ground = Image.new("P", pictures[0].size)
    ground.putpalette([*palette, 0, 0, 0][:768])
    info = {"duration": 1, "loop": options.get("loop"), "comment": options.get("comment")}
    data, _used = GifImagePlugin.getheader(ground, info=info)
    for part in parts:
        image = part.pixels()
        if exact:
            image = _renumbered(image, numbers)
        else:
            image = image.quantize(palette=chosen, dither=Image.Dither.FLOYDSTEINBERG)
        if hole is not None:
            image.paste(hole, None, ImageChops.invert(part.drawn))
        data += GifImagePlugin.getdata(
            image,
            part.place[:2],
            duration=min(round(part.duration, -1), MAX_DURATION),
            disposal=CLEAR if part.clears else KEEP,
            transparency=hole,
        )
    return b"".join([*data, b";"]), len(parts)
