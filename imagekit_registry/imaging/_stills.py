"""From the pixels of a still to its file: in which format, with which options, or as the source is."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
from PIL import Image

from ._animation import frame_for
from ._colour import without_palette
from ._decoder import OpenedImage, Size
from ._encode import Encoded, holds, narrowed, prepare, save_options, write
from ._limits import Deadline, Limits
from ._metadata import carried_options
from ._process import Job
from ._recipe import Recipe
from ._search import USUAL, search
from ._source import Readable, open_source
from ._steps import step
from ._unchanged import shows, stripped
from .formats import AUTO, AUTO_FORMATS
from .placeholders import make_placeholder
from .qualities import HIGHEST, Target, quality_options

FormatOptions = Mapping[str, Mapping[str, object]]

#: JPEGs up to this size get tables of their own unless told otherwise: those of the standard are a
#: third of the bytes of the smallest, and to find better ones takes less than a millisecond.
SMALL_JPEG_PIXELS = 250_000
#: Options of WebP without losses: half the time that the default effort takes, for 1% more bytes.
LOSSLESS_WEBP = {"lossless": True, "quality": 50, "method": 2}


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
        profile = self.opened.header.profile if job.color == "keep" else None
        carried = carried_options(job.recipe, profile, self.opened.metadata, format)
        options = save_options(format, self.format_options)
        options |= quality_options(job.recipe.quality, format)
        if format == "JPEG" and size[0] * size[1] <= SMALL_JPEG_PIXELS:
            options = {"optimize": True} | options
        asked = options.keys() | job.recipe.options.keys()
        if self.limits.is_large(size):
            options |= save_options(format, self.large_options)
        elif format == job.header.format and job.header.is_lossless and "lossless" not in asked:
            is_lossy = "quality" in job.recipe.options or job.recipe.quality is not None
            options |= {} if is_lossy else LOSSLESS_WEBP
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
    if data is None or not shows(data, format, image):
        return None
    made = Encoded(data, format=format, size=image.size, mode=header.mode)
    made.placeholder = make_placeholder(image, job.recipe.placeholder)
    return made


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
        if format == job.header.format:
            image = narrowed(image, job.header.mode, format)
        image, extra = prepare(image, format, job.recipe.background)
    elif "transparency" in image.info and image.mode in ("P", "L", "RGB"):
        extra = {"transparency": image.info["transparency"]} if format in ("GIF", "PNG") else {}
    work.limits.check_encoding(image.size, format, image.mode)
    work.deadline.check()
    options = {**extra, **work.options(job, format, image.size)}
    with step("encode", format=format, width=image.width, height=image.height):
        made = _write_still(work, job.recipe, image, format, options)
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
