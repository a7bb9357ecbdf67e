"""From the pixels of a still to its file: in which format, with which options, or as the source is.

Where a `Target` asks for it, the quality is searched for in which the image is what it wants.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable, Iterator, Mapping

import attrs
from PIL import Image, ImageMath, features

from imagekit_registry.exceptions import EncodingError, answer_or

from ._colour import STRIP_ROWS, without_palette
from ._containers import stripped
from ._metadata import carried_options
from ._modes import Encoded, frame_for, holds, narrowed, prepare
from ._plan import Job, OpenedImage
from ._recipe import Recipe
from ._scaling import Size
from ._source import Deadline, Limits, Readable, open_source
from ._steps import step
from .formats import AUTO, AUTO_FORMATS
from .placeholders import make_placeholder
from .qualities import HIGHEST, Target, quality_options

#: By Pillow's names of the formats.
FormatOptions = Mapping[str, Mapping[str, object]]

#: JPEGs up to this size get tables of their own unless told otherwise: those of the standard are a
#: third of the bytes of the smallest, and to find better ones takes less than a millisecond.
SMALL_JPEG_PIXELS = 250_000
#: Options of WebP without losses: half the time that the default effort takes, for 1% more bytes.
LOSSLESS_WEBP = {"lossless": True, "quality": 50, "method": 2}
#: How hard PNG is to try: the first for what is drawn, of which plain pictures become a third smaller, and
#: soft shadows up to 40%. Photographs take half the time with the second, for files that are less than 1%
#: larger; few of them have palettes or alpha.
DRAWN_EFFORT, EFFORT = 6, 4
_DRAWN = ("1", "P", "LA", "RGBA")
#: Where a search begins if no setting says so.
USUAL = 80
#: By how much the logarithm of bytes, or of what is lost, rises with the place of a quality: nearly a
#: straight line, if that is the logarithm of its odds (JPEG and WebP) or as many times itself (AVIF).
_SLOPE, _AVIF = 0.5, 0.07
#: How near to a goal a try is near enough, and by how much the next one aims beyond it.
_NEAR, _AIM = 0.05, 0.02
_MOST = 100
_WINDOW = 8
#: The constants of SSIM, for brightness of 0 to 255.
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
MAX_ICON_SIDE = 256
#: Options of JPEG for which the whole file is held in memory.
_WHOLE_FILE = ("optimize", "progressive", "progression")


def _save(image: Image.Image, format: str, options: dict[str, object], save_all: bool) -> bytes:
    file = io.BytesIO()
    info = image.info
    # Plugins take what an image's info holds for options; what goes in is what the recipe says.
    image.info = {}
    try:
        image.save(file, format, save_all=save_all, **options)
    finally:
        image.info = info
    return file.getvalue()


def _bled(image: Image.Image) -> Image.Image:
    """Return an image whose transparent pixels have the colours of those near them.

    Where alpha and colours are compressed by themselves, those under transparent pixels show as an
    edge around what is not.
    """
    if image.mode != "RGBA" or image.getchannel("A").getextrema()[0] != 0:
        return image
    ground = Image.new("RGB", (1, 1))
    for factor in (256, 64, 16, 4, 1):  # from far to near
        level = image.reduce(factor) if factor > 1 else image
        ground = ground.resize(level.size, Image.Resampling.BILINEAR)
        shown = level.getchannel("A").point(lambda alpha: 255 if alpha else 0)
        ground.paste(level.convert("RGB"), None, shown)
    ground.putalpha(image.getchannel("A"))
    ground.info = image.info
    return ground


@contextlib.contextmanager
def refusals(format: str, options: Mapping[str, object]) -> Iterator[None]:
    """Turn whatever writing a file of *format* with *options* raises into `EncodingError`."""
    try:
        yield
    except Exception as error:  # an option of the wrong type may raise anything
        text = str(error).strip().rstrip(".") or type(error).__name__
        cause = f"{format} cannot be written ({text})"
        hint = f"Check format and options: {dict(options)!r}." if options else ""
        raise EncodingError(cause, hint=hint) from error


def write(
    image: Image.Image,
    format: str,
    options: Mapping[str, object],
    *,
    more_frames: list[Image.Image] | None = None,
) -> Encoded:
    """Write *image*, or the animation that starts with it, as a file of *format*.

    Raises:
        EncodingError: Pillow refuses the mode, the size or an option.
    """
    arguments = dict(options)
    if format == "ICO":
        # Its default is a row of standard sizes, none of which may fit; no icon is larger than 256.
        if max(image.size) > MAX_ICON_SIDE:
            image = image.copy()
            image.thumbnail((MAX_ICON_SIDE, MAX_ICON_SIDE), Image.Resampling.LANCZOS)
        arguments.setdefault("sizes", [image.size])
    if format == "TIFF" and features.check("libtiff"):
        arguments.setdefault("compression", "tiff_adobe_deflate")
    if format == "TGA" and image.mode != "1":
        arguments.setdefault("compression", "tga_rle")
    if format == "PNG":
        arguments.setdefault("compress_level", DRAWN_EFFORT if image.mode in _DRAWN else EFFORT)
    if format == "AVIF":
        image, *more_frames = map(_bled, [image, *(more_frames or ())])
    if more_frames:
        arguments["append_images"] = more_frames
    with refusals(format, options):
        try:
            data = _save(image, format, arguments, bool(more_frames))
        except OSError:
            # To optimise or to interleave scans, libjpeg needs a buffer for the whole file, whose
            # size Pillow guesses. For pictures like noise it guesses too low, and only a global
            # could raise it. Without these options a JPEG is written bit by bit.
            whole = [name for name in _WHOLE_FILE if arguments.pop(name, None)]
            if format not in ("JPEG", "MPO") or not whole:
                raise
            data = _save(image, format, arguments, bool(more_frames))
    return Encoded(
        data,
        format=format,
        size=image.size,
        mode=image.mode,
        frames=1 + len(more_frames or ()),
    )


@attrs.frozen
class Work:
    """What all the results of one source share."""

    file: Readable
    opened: OpenedImage
    limits: Limits
    deadline: Deadline
    format_options: FormatOptions
    large_options: FormatOptions

    def options(self, job: Job, format: str, size: Size) -> dict[str, object]:
        """Return the save options of a result of *size*."""
        pixels, most = size[0] * size[1], self.limits.max_output_pixels
        options = dict(self.format_options.get(format, {}))
        if job.recipe.quality is not None:
            options |= quality_options(job.recipe.quality, format)
        if format == "JPEG" and pixels <= SMALL_JPEG_PIXELS:
            options = {"optimize": True} | options
        asked = options.keys() | job.recipe.options.keys()
        # Losses show in text, and what was one bit takes fewer bytes without them.
        is_exact = job.header.is_lossless or job.header.mode == "1"
        if most is not None and pixels * 2 > most:
            options |= self.large_options.get(format, {})
        elif format == "WEBP" and is_exact and "lossless" not in asked:
            is_lossy = "quality" in job.recipe.options or job.recipe.quality is not None
            options |= {} if is_lossy else LOSSLESS_WEBP
        profile = self.opened.header.profile if job.color == "keep" else None
        carried = carried_options(job.recipe, profile, self.opened.metadata, format)
        return carried | options | dict(job.recipe.options)


def finish_still(work: Work, job: Job, image: Image.Image) -> Encoded:
    """Write a still, or take the bytes of the source that shows the same, if that is wanted."""
    recipe = job.recipe
    if not recipe.never_larger and recipe.skip_if is None:
        return _encode_still(work, job, image)
    own = _unchanged(work, job, image)
    if own is not None and recipe.skip_if == "fits":
        return own
    made = _encode_still(work, job, image)
    is_larger = own is not None and len(made.getbuffer()) >= len(own.getbuffer())
    return own if own is not None and recipe.never_larger and is_larger else made


def _unchanged(work: Work, job: Job, image: Image.Image) -> Encoded | None:
    """Return the source's own file without metadata, if it is what *image* is to become."""
    header, metadata = work.opened.header, work.opened.metadata
    format, keeps_profile = header.format, job.color == "keep"
    if format not in (job.formats or (job.format,)) or header.frames > 1:
        return None
    if image.size != header.size or carried_options(job.recipe, None, metadata, format):
        return None
    with open_source(work.file, work.limits, work.deadline) as source:
        data = stripped(source.read(), format, keeps_profile=keeps_profile)
    if data is None or not answer_or(False, _shows, data, format, image):
        return None
    made = Encoded(data, format=format, size=image.size, mode=header.mode)
    made.placeholder = make_placeholder(image, job.recipe.placeholder)
    return made


def _shows(data: bytes, format: str, image: Image.Image) -> bool:
    """Return whether an image file has the very pixels of *image*."""
    with Image.open(io.BytesIO(data), formats=[format]) as file:
        if file.size != image.size or {file.mode[0], image.mode[0]} & {"I", "F"}:
            return False
        for top in range(0, image.height, STRIP_ROWS):
            box = (0, top, image.width, min(top + STRIP_ROWS, image.height))
            one, other = (each.crop(box).convert("RGBA") for each in (file, image))
            if one.tobytes() != other.tobytes():
                return False
    return True


def _encode_still(work: Work, job: Job, image: Image.Image) -> Encoded:
    """Write a still; in several formats, if the smallest of them is wanted."""
    if job.recipe.format == AUTO:
        image = frame_for(without_palette(image))
        job.format = AUTO_FORMATS[image.mode == "RGBA"]
    formats = list(job.formats) or [job.format]
    if image.has_transparency_data:
        formats = [format for format in formats if holds(format, "RGBA")] or formats
    best = _encode_as(work, job, image, formats[0])
    for format in formats[1:]:
        if not work.deadline.is_over:
            made = _encode_as(work, job, image, format)
            best = min(best, made, key=lambda each: len(each.getbuffer()))
    return best


def _encode_as(work: Work, job: Job, image: Image.Image, format: str) -> Encoded:
    extra: dict[str, object] = {}
    if job.recipe.autoconvert:
        image = narrowed(image, job.header.mode, format)
        image, extra = prepare(image, format, job.recipe.background)
    elif "transparency" in image.info and image.mode in ("P", "L", "RGB"):
        extra = {"transparency": image.info["transparency"]} if format in ("GIF", "PNG") else {}
    work.limits.check_encoding(image.size, format, image.mode)
    work.deadline.check()
    options = {**extra, **work.options(job, format, image.size)}
    with step("encode", format=format, width=image.width, height=image.height):
        made = _write_still(work, job.recipe, image, format, options)
    if job.recipe.placeholder:
        made.placeholder = make_placeholder(image, job.recipe.placeholder)
    return made


def _write_still(
    work: Work, recipe: Recipe, image: Image.Image, format: str, options: dict[str, object]
) -> Encoded:
    """Write a still, in the quality that is searched for if one is."""
    target = recipe.quality
    start = options.get("quality", USUAL)
    is_fixed = "quality" in recipe.options or options.get("lossless") or format not in HIGHEST
    if not isinstance(target, Target) or is_fixed or not isinstance(start, int):
        return write(image, format, options)
    return search(
        target,
        image,
        lambda quality: write(image, format, {**options, "quality": quality}),
        format,
        start,
        work.deadline,
    )


def search(
    target: Target,
    original: Image.Image,
    encode: Callable[[int], Encoded],
    format: str,
    start: int,
    deadline: Deadline,
) -> Encoded:
    """Return the image that *target* wants, with ``quality`` and ``tries``.

    The next quality is where a line through the last two tries meets the goal (the secant method), between
    those that are known to be too low and too high.

    Args:
        target: What is wanted.
        original: What is encoded.
        encode: Writes it in a quality.
        format: Pillow's name of the format.
        start: The first quality to try.
        deadline: When the search must be over; what was found until then counts.
    """
    low, high = 1, HIGHEST[format]
    wants_more = target.bytes is not None
    quality, slope = min(max(start, low), high), _SLOPE
    before: tuple[float, float] | None = None
    tried: list[tuple[bool, int, Encoded]] = []
    while True:
        made = encode(quality)
        made.quality = quality
        excess = _excess(target, made, original)
        is_met = excess <= 0 if wants_more else excess >= 0
        tried.append((is_met, quality if is_met == wants_more else -quality, made))
        low, high = (low, quality - 1) if excess > 0 else (quality + 1, high)
        is_near = is_met and abs(excess) <= _NEAR
        if is_near or low > high or len(tried) >= target.tries or deadline.is_over:
            break
        here = _place_of(quality, format), excess
        if before is not None and here[0] != before[0]:
            slope = max((here[1] - before[1]) / (here[0] - before[0]), _SLOPE / 5)
        before = here
        aim = -_AIM if wants_more else _AIM
        wanted = _quality_at(here[0] - (excess - aim) / slope, format)
        quality = min(max(round(wanted), low), high)
    best = max(tried, key=lambda item: item[:2])[2]
    best.tries = len(tried)
    return best


def _excess(target: Target, made: Encoded, original: Image.Image) -> float:
    """Return by how much an image is beyond the goal: more with more quality, 0 at the goal."""
    if target.bytes is not None:
        return math.log(len(made.getbuffer()) / target.bytes)
    lost = max(1e-6, 1 - _ssim(original, made))
    return math.log((1 - (target.ssim or 0)) / lost)


def _place_of(quality: int, format: str) -> float:
    return quality * _AVIF if format == "AVIF" else math.log(quality / (_MOST + 1 - quality))


def _quality_at(place: float, format: str) -> float:
    return place / _AVIF if format == "AVIF" else (_MOST + 1) / (1 + math.exp(-place))


def _ssim(original: Image.Image, made: Encoded) -> float:
    """Return the mean SSIM of brightness, by windows that do not overlap."""
    made.seek(0)
    with Image.open(made) as file:
        x, y = (image.convert("L").convert("F") for image in (original, file))
    made.seek(0)

    def mean(one: Image.Image, other: Image.Image | None = None) -> Image.Image:
        """Return the means of windows: of an image, or of its product with another."""
        if other is not None:
            one = ImageMath.lambda_eval(
                lambda args: args["one"] * args["other"], one=one, other=other
            )
        return one.reduce(_WINDOW)

    # Images in these formulas are reckoned with like numbers.
    def similarity(args: Mapping[str, float]) -> float:
        mx, my, xx, yy, xy = (args[name] for name in ("mx", "my", "xx", "yy", "xy"))
        top = (2 * mx * my + _C1) * (2 * (xy - mx * my) + _C2)
        return top / ((mx * mx + my * my + _C1) * (xx - mx * mx + yy - my * my + _C2))

    means = {"mx": mean(x), "my": mean(y), "xx": mean(x, x), "yy": mean(y, y), "xy": mean(x, y)}
    found: Image.Image = ImageMath.lambda_eval(similarity, **means)
    average = found.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    return float(average)  # type: ignore[arg-type]
