"""Animations: every frame through the processors, written with the times of the source."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import PIL
from PIL import Image

from ._compose import MAX_PLAYS, limit_avif
from ._decoder import Frame
from ._encode import Encoded, prepare, refusals, write
from ._gif import encode_gif
from ._metadata import without_orientation

#: Formats whose frames Pillow writes one after the other, with a duration each.
ANIMATED_FORMATS = frozenset(["AVIF", "GIF", "PNG", "WEBP"])
_PILLOW = tuple(int(part) for part in PIL.__version__.split(".")[:2])
#: Longest time of a frame, in milliseconds: ten minutes, near the most that a GIF can hold.
MAX_DURATION = 600_000
#: The same for PNG: before 12.1, Pillow wrote times as thousandths of a second in 16 bits.
MAX_PNG_DURATION = MAX_DURATION if _PILLOW >= (12, 1) else 65_535


def frame_for(image: Image.Image) -> Image.Image:
    """Return one processed frame in a mode that animations are written in: RGB or RGBA."""
    has_alpha = image.has_transparency_data
    if image.mode in ("LA", "RGBA"):
        has_alpha = image.getextrema()[-1] != (255, 255)
    mode = "RGBA" if has_alpha else "RGB"
    return image if image.mode == mode else image.convert(mode)


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
    frames: list[Frame], format: str, options: Mapping[str, object], loop: int | None
) -> Encoded:
    """Write *frames*, processed and prepared by `frame_for`, as a file of *format*.

    Args:
        frames: At least one.
        format: One of `ANIMATED_FORMATS`.
        options: Pillow's save options.
        loop: How often the source plays, 0 for ever; None if it does not say (once).

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
        timing |= {"blend": 0, "disposal": 0, "default_image": False}
    if format == "WEBP":
        timing["background"] = (0, 0, 0, 0)
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
