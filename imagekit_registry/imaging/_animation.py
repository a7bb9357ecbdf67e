"""Animations: every frame through the processors, written with the times of the source.

A GIF has one palette for all its frames, where that will do, and of each frame only what changes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import cast

import attrs
import PIL
from PIL import GifImagePlugin, Image, ImageChops

from ._containers import MAX_PLAYS, limit_avif
from ._encode import refusals, write
from ._metadata import without_orientation
from ._modes import MAX_COLORS, OPAQUE_FROM, Encoded, narrowed_alike, prepare
from ._pixels import CLEAR
from ._plan import Frame

_PILLOW = tuple(int(part) for part in PIL.__version__.split(".")[:2])
#: Longest time of a frame, in milliseconds: ten minutes, near the most that a GIF can hold.
MAX_DURATION = 600_000
#: The same for PNG: before 12.1, Pillow wrote times as thousandths of a second in 16 bits.
MAX_PNG_DURATION = MAX_DURATION if _PILLOW >= (12, 1) else 65_535
#: Where something is not drawn, one colour of the palette stands for that.
HOLE = (0, 0, 0)
#: The most pixels that a palette is chosen by.
PALETTE_PIXELS = 400_000
#: A colour of more than this share of so many pixels is a plain ground, and is kept as it is.
PLAIN_SHARE = 1 / 30
COUNTED_PIXELS = 40_000
#: How far a band of a pixel, of 0 to 255, may be from what is shown to stay as it is, where colours
#: are mixed: those are farther off.
TOLERANCE = 3
#: A place is drawn as a whole if less than this share of it stays as it is: holes for single pixels
#: cost more than they save.
LEAST_KEPT = 0.25
#: What stays after a frame, as GIF counts.
KEEP = 1
#: The longest time of a frame of a GIF, in milliseconds.
MAX_GIF_DURATION = 655_350

Box = tuple[int, int, int, int]
Color = tuple[int, ...]


def _snapped(image: Image.Image) -> Image.Image:
    """Return an image in RGBA whose pixels are opaque, or transparent and black."""
    if image.mode != "RGBA":
        return image.convert("RGBA")
    opaque = image.convert("RGB").convert("RGBA")
    ground = Image.new("RGBA", image.size)
    ground.paste(opaque, None, image.getchannel("A").point(lambda value: value >= OPAQUE_FROM, "1"))
    return ground


def _colors(image: Image.Image) -> set[Color] | None:
    """Return the colours of an image of `_snapped`; None if a palette does not hold them."""
    counted = cast("list[tuple[int, Color]] | None", image.getcolors(MAX_COLORS))
    return None if counted is None else {color for _count, color in counted}


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

    def pixels(self, *, all: bool = True) -> Image.Image:
        """Return its place of the picture, or only what is drawn of that."""
        pixels = _snapped(self.picture.crop(self.place))
        if all:
            return pixels
        ground = Image.new("RGBA", pixels.size)
        ground.paste(pixels, None, self.drawn)
        return ground

    def colors(self) -> set[Color] | None:
        """Return the colours that it draws; None if a palette does not hold them."""
        colors = _colors(self.pixels(all=False))
        if colors is None and self.fill():
            colors = _colors(self.pixels())
        return colors and {color[:3] for color in colors if color[3]}

    def fill(self) -> bool:
        """Let it draw all of its place, so that no number is needed for holes, if it can."""
        if self.pixels().getchannel("A").getextrema() != (255, 255):
            return False
        self.drawn.paste(255, (0, 0, *self.drawn.size))
        return True


def _changes(picture: Image.Image, shown: Image.Image, tolerance: int) -> Image.Image:
    bands = ImageChops.difference(picture, shown).split()
    most = functools.reduce(ImageChops.lighter, bands)
    return most.point(lambda value: 255 if value > tolerance else 0)


def _parts(
    pictures: Sequence[Image.Image], times: Iterable[float], tolerance: int = 0
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
        if tolerance and counts[0] < LEAST_KEPT * sum(counts):
            drawn.paste(255, place)
        shown.paste(wanted, None, drawn)
        parts.append(_Part(picture, place, ImageChops.darker(drawn, alpha).crop(place), duration))
    return parts


def _palettes(parts: Sequence[_Part]) -> list[list[Color]] | None:
    """Return all the colours of each part, the same list for all if it holds them.

    Returns:
        None if some have more than a palette holds.
    """
    found: list[list[Color]] = []
    for part in parts:
        colors = part.colors()
        if colors is None:
            return None
        found.append(sorted(colors))
    shared = sorted(set().union(*found))
    if len(shared) < MAX_COLORS:
        return [shared] * len(parts)
    if len(shared) > MAX_COLORS:
        return found
    # Without a number for holes, pixels have to be drawn again, unless a palette costs less.
    for number, part in enumerate(parts):
        counts = part.drawn.histogram()
        if counts[0] < max(3 * len(found[number]), LEAST_KEPT * sum(counts)) and part.fill():
            found[number] = shared
    return found


def _table(image: Image.Image) -> list[Color]:
    """Return the palette of *image*, as colours."""
    bands = image.getpalette() or []
    return [tuple(bands[place : place + 3]) for place in range(0, len(bands), 3)]


def _with_table(image: Image.Image, colors: Iterable[Color]) -> Image.Image:
    image.putpalette([band for color in colors for band in color])
    return image


def _chosen(parts: Sequence[_Part]) -> list[Color]:
    """Return the colours that serve all *parts* best, if they are mixed."""
    scale = min(1.0, math.sqrt(PALETTE_PIXELS / sum(math.prod(part.drawn.size) for part in parts)))
    data = b""
    for part in parts:
        pixels = part.pixels().convert("RGB")
        size = math.ceil(pixels.width * scale), math.ceil(pixels.height * scale)
        data += pixels.resize(size, Image.Resampling.NEAREST).tobytes()
    row = Image.frombytes("RGB", (len(data) // 3, 1), data)
    some = row.resize((min(row.width, COUNTED_PIXELS), 1), Image.Resampling.NEAREST)
    counted = cast("list[tuple[int, Color]]", some.getcolors(COUNTED_PIXELS))
    plain = [color for count, color in counted if count > some.width * PLAIN_SHARE]
    # Unlike the others, this method leaves out no colour of a few pixels, which dithering needs.
    mixed = _table(row.quantize(MAX_COLORS - 1 - len(plain), Image.Quantize.FASTOCTREE))
    # Pillow looks up what is nearest for four values of a band at once.
    near = {tuple(band // 4 for band in color) for color in plain}
    return plain + [color for color in mixed if tuple(band // 4 for band in color) not in near]


def _numbered(part: _Part, colors: Sequence[Color], *, is_exact: bool) -> Image.Image:
    """Return a part's pixels as numbers of *colors*, which they have or which are mixed for them."""
    if is_exact:
        pixels = part.pixels(all=False).convert("RGB")
        numbers = {color: number for number, color in enumerate(colors)}
        own = pixels.quantize(MAX_COLORS, Image.Quantize.MEDIANCUT)  # without loss, for so few
        table = [numbers.get(color, 0) for color in _table(own)]
        image = own.point(table + [0] * (MAX_COLORS - len(table)))
    else:
        palette = _with_table(Image.new("P", (1, 1)), colors)
        pixels = part.pixels().convert("RGB")
        image = pixels.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    if len(colors) < MAX_COLORS:
        image.paste(len(colors), None, ImageChops.invert(part.drawn))
    return _with_table(image, [*colors, HOLE][:MAX_COLORS])


def encode_gif(pictures: Sequence[Image.Image], options: Mapping[str, object]) -> tuple[bytes, int]:
    """Return an animated GIF, and the number of its frames.

    Colours are kept where palettes hold them, and mixed of those of one palette where not. A frame
    that changes nothing is added to the time of the one before.

    Args:
        pictures: RGB or RGBA, all of one size.
        options: Of Pillow's: ``duration``, in milliseconds, of each or of all; ``loop``; ``comment``.
    """
    given = cast("float | Sequence[float]", options["duration"])
    times = given if isinstance(given, list | tuple) else [cast("float", given)] * len(pictures)
    palettes = None
    if _colors(_snapped(pictures[0])) is not None:  # the first one tells of most photographs
        parts = _parts(pictures, times)
        palettes = _palettes(parts)
    is_exact = palettes is not None
    if palettes is None:
        parts = _parts(pictures, times, TOLERANCE)
        palettes = [_chosen(parts)] * len(parts)
    ground = _with_table(Image.new("P", pictures[0].size), [*palettes[0], HOLE][:MAX_COLORS])
    info = {"duration": 1, "loop": options.get("loop"), "comment": options.get("comment")}
    data, _used = GifImagePlugin.getheader(ground, info=info)
    for part, colors in zip(parts, palettes, strict=True):
        data += GifImagePlugin.getdata(
            _numbered(part, colors, is_exact=is_exact),
            part.place[:2],
            duration=min(round(part.duration, -1), MAX_GIF_DURATION),
            disposal=CLEAR if part.clears else KEEP,
            transparency=len(colors) if len(colors) < MAX_COLORS else None,
            include_color_table=colors is not palettes[0],
        )
    return b"".join([*data, b";"]), len(parts)


def _merged(frames: list[Frame]) -> list[Frame]:
    """Return *frames* with those that repeat the one before added to its time.

    Pillow's encoders do that as well, but then the lists of times do not fit their frames.
    """
    result: list[Frame] = []
    shown = b""
    for frame in frames:
        pixels = frame.image.convert("RGBA").tobytes()
        if result and pixels == shown:
            result[-1] = attrs.evolve(result[-1], duration=result[-1].duration + frame.duration)
        else:
            result.append(frame)
        shown = pixels
    return result


def _as_drawn(images: Sequence[Image.Image]) -> list[Image.Image]:
    """Return pictures in RGB, none of which is like the one before, as what is drawn over that.

    Where much of each is drawn they stay as they are: holes need a fourth band.
    """
    drawn, has_holes = [images[0]], False
    for before, image in pairwise(images):
        changes = _changes(image, before, 0)
        place = changes.getbbox()
        counts = changes.crop(place).histogram()
        if counts[0] < LEAST_KEPT * sum(counts):
            changes.paste(255, place)
        else:
            has_holes = True
        ground = Image.new("RGBA", image.size)
        ground.paste(image, None, changes)
        drawn.append(ground)
    return drawn if has_holes else list(images)


def _milliseconds(frame: Frame, format: str) -> int:
    """Return a frame's time as *format* can hold it: APNG's are fractions of 16 bits each."""
    longest = MAX_PNG_DURATION if format == "PNG" else MAX_DURATION
    duration = min(max(0, round(frame.duration)), longest)
    return duration if duration < 60_000 else round(duration, -2)


def _on_ground(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a frame on a transparent ground of *size*."""
    if image.size == size:
        return image
    ground = Image.new("RGBA", size, (0, 0, 0, 0))
    ground.paste(image.convert("RGBA"), (0, 0))
    return ground


def write_animation(
    frames: list[Frame],
    format: str,
    options: Mapping[str, object],
    loop: int | None,
    source_mode: str = "RGB",
) -> Encoded:
    """Write *frames*, processed and prepared by `frame_for`, as a file of *format*.

    Args:
        frames: At least one.
        format: One of `ANIMATED_FORMATS`.
        options: Pillow's save options.
        loop: How often the source plays, 0 for ever; None if it does not say (once).
        source_mode: Pillow's mode of the source's pixels.

    Raises:
        EncodingError: Pillow refuses frames or options.
    """
    # Processors that look at the picture, to cut its border off, may give each another size.
    size = max(each.image.width for each in frames), max(each.image.height for each in frames)
    frames = [attrs.evolve(each, image=_on_ground(each.image, size)) for each in frames]
    if format == "PNG":
        frames = _merged(frames)
    if len(frames) == 1:
        image, extra = prepare(frames[0].image, format)
        return write(image, format, {**extra, **options})
    images = [frame.image for frame in frames]
    timing: dict[str, object] = {"duration": [_milliseconds(frame, format) for frame in frames]}
    if format == "GIF":
        if loop is not None and loop != 1:
            timing["loop"] = max(0, min(loop, MAX_PLAYS) - 1)  # a GIF says how often again
        with refusals(format, options):
            data, count = encode_gif(images, {**timing, **options})
        return Encoded(data, format=format, size=size, mode="P", frames=count)
    if any(image.mode == "RGBA" for image in images):
        images = [image if image.mode == "RGBA" else image.convert("RGBA") for image in images]
    timing["loop"] = 1 if loop is None else min(loop, MAX_PLAYS)
    if format == "PNG":
        images = narrowed_alike(images, source_mode)
        timing |= {"blend": 0, "disposal": 0, "default_image": False}
        if images[0].mode == "RGB":
            images = _as_drawn(images)
            timing["blend"] = 1
    if format == "WEBP":
        timing["background"] = (0, 0, 0, 0)
    if format == "AVIF":
        # Chromium takes the values of frames for this range, whatever the file says of them.
        timing["range"] = "limited"
    arguments = {**timing, **options}
    if format == "AVIF" and "exif" in arguments:
        # With an orientation, the codec ends the process at the second frame.
        arguments["exif"] = without_orientation(arguments["exif"])
    made = write(images[0], format, arguments, more_frames=images[1:])
    plays = arguments["loop"]
    if format == "AVIF" and isinstance(plays, int) and plays > 0:
        made.write(limit_avif(made.getvalue(), plays))
        made.seek(0)
    return made
