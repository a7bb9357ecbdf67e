"""From a source to finished images: one open, one decode, as many results as are asked for."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import attrs
from PIL import Image

from imagekit_registry.exceptions import GenerationError

from ._animation import ANIMATED_FORMATS, frame_for, write_animation
from ._colour import without_palette
from ._decoder import Decoder, Frame, OpenedImage, finish
from ._decoder_pillow import PillowDecoder
from ._encode import Encoded, prepare, require_format, save_options, write
from ._header import Header
from ._limits import Deadline, Limits
from ._metadata import metadata_options, profile_options
from ._plan import Plan, plan_decode, recipe_needs
from ._process import check_result, run
from ._pyramid import Pyramid
from ._recipe import Recipe
from .formats import can_write

__all__ = ["read_header", "render", "render_many"]

FormatOptions = Mapping[str, Mapping[str, Any]]

_NO_OPTIONS: FormatOptions = MappingProxyType({})
_PILLOW = PillowDecoder()


def output_format(recipe: Recipe, header: Header, has_alpha: bool) -> str:
    """Return the format to write: the recipe's, else the source's, else one that every browser has."""
    if recipe.format:
        return require_format(recipe.format)
    if header.format == "MPO":
        return "JPEG"
    if can_write(header.format):
        return header.format
    return "PNG" if has_alpha else "JPEG"


@attrs.frozen
class _Job:
    """What all the results of one source share."""

    opened: OpenedImage
    limits: Limits
    deadline: Deadline
    format_options: FormatOptions
    large_options: FormatOptions

    def source_size(self, recipe: Recipe) -> tuple[int, int]:
        header = self.opened.header
        return header.oriented_size if recipe.auto_orient else header.size

    def options(self, recipe: Recipe, format: str, size: tuple[int, int]) -> dict[str, Any]:
        header, metadata = self.opened.header, self.opened.metadata
        carried = metadata_options(recipe, metadata, format)
        if recipe.color == "keep":
            carried |= profile_options(header.profile, format)
        options = save_options(format, self.format_options)
        if self.limits.is_large(size):
            options |= save_options(format, self.large_options)
        return carried | options | dict(recipe.options)


def _is_animated(recipe: Recipe, header: Header) -> bool:
    wanted = recipe.format or header.format
    return recipe.animated and header.frames > 1 and wanted in ANIMATED_FORMATS


def _encode_still(job: _Job, recipe: Recipe, image: Image.Image) -> Encoded:
    format = output_format(recipe, job.opened.header, image.has_transparency_data)
    extra: dict[str, Any] = {}
    if recipe.autoconvert:
        image, extra = prepare(image, format, recipe.background)
    elif "transparency" in image.info and image.mode in ("P", "L", "RGB"):
        extra = {"transparency": image.info["transparency"]} if format in ("GIF", "PNG") else {}
    job.limits.check_encoding(image.size, format, image.mode)
    job.deadline.check()
    return write(image, format, {**extra, **job.options(recipe, format, image.size)})


def _render_still(
    job: _Job, recipe: Recipe, image: Image.Image, shared: Pyramid | None = None
) -> Encoded:
    size = job.source_size(recipe)
    result = run(
        image, recipe.processors, size, job.limits, job.deadline, shared=shared is not None
    )
    job.limits.check_output(result.size)
    if shared is not None:
        shared.offer(recipe.processors, size, result)
    return _encode_still(job, recipe, result)


def _render_rescaled(job: _Job, recipes: Sequence[Recipe]) -> list[Encoded | GenerationError]:
    """Render with a decoder that gives each recipe the size that it needs."""
    header = job.opened.header
    results: dict[int, Encoded | GenerationError] = {}
    for index in _largest_first(header, recipes):
        plan = plan_decode(header, [recipes[index]])
        try:
            image = job.opened.decode(plan)
            results[index] = _render_still(job, recipes[index], without_palette(image))
        except GenerationError as error:
            results[index] = error
    return [results[index] for index in range(len(recipes))]


def _largest_first(header: Header, recipes: Sequence[Recipe]) -> list[int]:
    """Return the places of *recipes*, so that smaller results can be made of larger ones."""
    needs = [recipe_needs(header, recipe) or header.size for recipe in recipes]
    return sorted(range(len(recipes)), key=lambda index: needs[index][0], reverse=True)


def _render_stills(job: _Job, recipes: Sequence[Recipe]) -> list[Encoded | GenerationError]:
    header = job.opened.header
    plan = plan_decode(header, recipes)
    if job.opened.rescales(plan, len(recipes) > 1):
        return _render_rescaled(job, recipes)
    base = job.opened.decode(plan)
    variants: dict[tuple[bool, str, bool], Pyramid] = {}
    results: dict[int, Encoded | GenerationError] = {}
    for index in _largest_first(header, recipes):
        recipe = recipes[index]
        key = (recipe.auto_orient, recipe.color, bool(recipe.processors))
        if key not in variants:
            variants[key] = Pyramid(_variant(job, plan, recipe, base))
        pyramid = variants[key]
        image = pyramid.least(_seen(recipe_needs(header, recipe), header, recipe))
        try:
            shared = pyramid if len(recipes) > 1 else None
            results[index] = _render_still(job, recipe, image, shared)
        except GenerationError as error:
            results[index] = error
    return [results[index] for index in range(len(recipes))]


def _seen(stored: tuple[int, int] | None, header: Header, recipe: Recipe) -> tuple[int, int] | None:
    """Return a size, known as it is stored, as people see it."""
    if stored is None or not recipe.auto_orient or header.orientation < 5:
        return stored
    return stored[1], stored[0]


def _variant(job: _Job, plan: Plan, recipe: Recipe, base: Image.Image) -> Image.Image:
    """Return the decoded image as one recipe wants it oriented and coloured."""
    header = job.opened.header
    wanted = Plan(
        plan.minimum, plan.exact, header.orientation if recipe.auto_orient else 1, recipe.color
    )
    if wanted != plan:
        base = finish(base.copy(), wanted, header.profile, job.opened.metadata.exif)
    # Processors mix colours, which cannot be done with numbers of a palette.
    return without_palette(base) if recipe.processors else base


def _animation_plan(recipe: Recipe, header: Header) -> Plan:
    return Plan(None, None, header.orientation if recipe.auto_orient else 1, recipe.color)


def _render_animations(job: _Job, recipes: Sequence[Recipe]) -> list[Encoded | GenerationError]:
    """Render all frames: each is decoded once and goes through every recipe before the next."""
    header, metadata = job.opened.header, job.opened.metadata
    raw = Plan(color="keep")
    made: list[list[Frame]] = [[] for _ in recipes]
    errors: dict[int, GenerationError] = {}
    for frame in job.opened.frames(raw):
        job.deadline.check()
        for index, recipe in enumerate(recipes):
            if index in errors:
                continue
            try:
                plan = _animation_plan(recipe, header)
                image = finish(frame.image.copy(), plan, header.profile, metadata.exif)
                made[index].append(_frame(job, recipe, frame, image))
                job.limits.check_output(made[index][0].image.size, len(made[index]))
            except GenerationError as error:
                errors[index] = error
        if len(errors) == len(recipes):
            break
    results: list[Encoded | GenerationError] = []
    for index, recipe in enumerate(recipes):
        try:
            if index in errors:
                raise errors[index]
            job.deadline.check()
            format = output_format(recipe, header, True)
            options = job.options(recipe, format, made[index][0].image.size)
            results.append(write_animation(made[index], format, options, metadata.loop))
        except GenerationError as error:
            results.append(error)
    return results


def _frame(job: _Job, recipe: Recipe, frame: Frame, image: Image.Image) -> Frame:
    done = run(image, recipe.processors, image.size, job.limits, job.deadline)
    job.limits.check_output(done.size)
    format = output_format(recipe, job.opened.header, True)
    return attrs.evolve(frame, image=frame_for(done, format, recipe.background))


def _render_opened(job: _Job, recipes: Sequence[Recipe]) -> list[Encoded | GenerationError]:
    header = job.opened.header
    results: dict[int, Encoded | GenerationError] = {}
    for index, recipe in enumerate(recipes):
        try:
            if _is_animated(recipe, header):
                job.limits.check_animation(header.size, header.frames)
            check_result(recipe.processors, job.source_size(recipe), job.limits)
        except GenerationError as error:
            results[index] = error
    possible = [index for index in range(len(recipes)) if index not in results]
    moving = [index for index in possible if _is_animated(recipes[index], header)]
    still = [index for index in possible if index not in moving]
    for indices, render_these in ((still, _render_stills), (moving, _render_animations)):
        if indices:
            made = render_these(job, [recipes[index] for index in indices])
            results.update(zip(indices, made, strict=True))
    return [results[index] for index in range(len(recipes))]


def render_many(
    file: Any,
    recipes: Iterable[Recipe],
    *,
    limits: Limits,
    format_options: FormatOptions,
    large_options: FormatOptions = _NO_OPTIONS,
    decoder: Decoder | None = None,
    source_name: str = "",
    deadline: Deadline | None = None,
) -> list[Encoded | GenerationError]:
    """Make several images of one source: it is opened once and decoded once.

    Args:
        file: A binary file; it stays open, at the position it had.
        recipes: What to make.
        limits: How much source and results may cost; the time is for all of them together.
        format_options: Save options per format, under those of the recipes.
        large_options: The same for results of more than half the pixels that *limits* allow, over
            *format_options*: the largest would take too long otherwise.
        decoder: What reads the source; None for Pillow.
        source_name: The source's name, for messages.
        deadline: When all must be over; None: after the time that *limits* allow, from now on.

    Returns:
        For each recipe its image, or the error that kept it from being made.

    Raises:
        UnknownFormat: A recipe asks for a format that Pillow cannot write.
    """
    wanted = tuple(recipes)
    for recipe in wanted:
        if recipe.format:
            require_format(recipe.format)
    if not wanted:
        return []
    clock = deadline or Deadline(limits.max_seconds)
    try:
        with (decoder or _PILLOW).open(file, limits, clock) as opened:
            job = _Job(opened, limits, clock, format_options, large_options)
            results = _render_opened(job, wanted)
    except GenerationError as error:
        results = [error, *(copy.copy(error) for _ in wanted[1:])]
    for result in results:
        if isinstance(result, GenerationError):
            result.located(None, source_name or None)
    return results


def render(
    file: Any,
    recipe: Recipe,
    *,
    limits: Limits,
    format_options: FormatOptions,
    large_options: FormatOptions = _NO_OPTIONS,
    decoder: Decoder | None = None,
    source_name: str = "",
) -> Encoded:
    """Make one image of a source.

    Args:
        file: A binary file; it stays open, at the position it had.
        recipe: What to make.
        limits: How much source and result may cost.
        format_options: Save options per format, under those of the recipe.
        large_options: As for `render_many`.
        decoder: What reads the source; None for Pillow.
        source_name: The source's name, for messages.

    Returns:
        The finished file, in memory, at position 0.

    Raises:
        UnknownFormat: The recipe asks for a format that Pillow cannot write.
        GenerationError: Source, processors or options are at fault; the message says which.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (40, 30)).save(file, "PNG")
        >>> made = render(file, Recipe(format="JPEG"), limits=Limits(), format_options={})
        >>> made.format, made.width, made.height
        ('JPEG', 40, 30)
    """
    (result,) = render_many(
        file,
        (recipe,),
        limits=limits,
        format_options=format_options,
        large_options=large_options,
        decoder=decoder,
        source_name=source_name,
    )
    if isinstance(result, GenerationError):
        raise result
    return result


def read_header(file: Any, limits: Limits, deadline: Deadline | None = None) -> Header:
    """Return what a source says about itself, without decoding its pixels.

    Args:
        file: A binary file; it stays open, at the position it had.
        limits: Checked against the header.
        deadline: When it must be over; None: after the time that *limits* allow, from now on.

    Raises:
        UnreadableImage: It is no image of an allowed format, or damaged.
        LimitExceeded: It is larger than *limits* allow.
    """
    with _PILLOW.open(file, limits, deadline) as opened:
        return opened.header
