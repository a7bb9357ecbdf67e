"""From a source to finished images: one open, one decode, as many results as are asked for."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import MappingProxyType

import attrs
from PIL import Image

from imagekit_registry.exceptions import (
    GenerationError,
    InvalidConfiguration,
    ProcessingError,
)
from imagekit_registry.processors import Processor
from imagekit_registry.processors.base import is_scale_invariant, output_size_of, overrides
from imagekit_registry.processors.resampling import PillowResizer, Resizer, resized_by

from ._colour import without_palette
from ._decoder_pillow import PillowDecoder
from ._encode import FormatOptions, Work, finish_still
from ._metadata import finish
from ._modes import Encoded, frame_for
from ._plan import Decoder, Frame, Header, Job, Plan, plan_job, plan_jobs, rendition_size
from ._recipe import Recipe
from ._scaling import Pyramid, Size, soft_resizer
from ._source import Deadline, Limits, Readable
from ._steps import step
from .formats import SMALLEST, SMALLEST_OF, by_format, can_write, require_format
from .placeholders import make_placeholder

_NO_OPTIONS: FormatOptions = MappingProxyType({})
_PILLOW = PillowDecoder()
_PILLOW_RESIZER = PillowResizer()


def _vips() -> Decoder:
    from ._decoder_vips import VipsDecoder  # Pillow does without

    return VipsDecoder()


_MAKERS: dict[str, Callable[[], Decoder]] = {"pillow": PillowDecoder, "vips": _vips}


def get_decoder(name: str) -> Decoder:
    """Return the decoder called *name*.

    Args:
        name: ``'pillow'`` or ``'vips'``.

    Raises:
        InvalidConfiguration: There is no such decoder, or what it needs is not installed.

    Example:
        >>> get_decoder("pillow").name
        'pillow'
    """
    try:
        maker = _MAKERS[name]
    except KeyError:
        known = ", ".join(sorted(_MAKERS))
        raise InvalidConfiguration(f"there is no decoder {name!r}; there are: {known}") from None
    return maker()


def _call(processor: Processor, image: Image.Image, size: Size) -> tuple[Image.Image, Size]:
    """Return what a processor makes of *image*, which stands for one of *size*, and for what that does."""
    result: object
    reduced: Callable[[Image.Image, Size], Image.Image] | None
    reduced = getattr(processor, "process_reduced", None)
    if reduced is None or image.size == size or overrides(processor, "process_reduced"):
        reduced, result = None, processor.process(image)
    else:
        result = reduced(image, size)
    name = type(processor).__name__
    if not isinstance(result, Image.Image):
        cause = f"{name} returned {type(result).__name__} instead of an image"
        raise ProcessingError(cause, hint="Return the image at the end of process().")
    if min(result.size) < 1:
        raise ProcessingError(f"{name} returned an image without pixels")
    return result, size if reduced is None and result.size == image.size else result.size


def run(
    job: Job, image: Image.Image, limits: Limits, deadline: Deadline, *, shared: bool = False
) -> Image.Image:
    """Return what a job's processors make of *image*.

    Args:
        job: What is made.
        image: The source, decoded in full or smaller, as the job wants it oriented and coloured.
        limits: For the size of every result.
        deadline: Looked at after each processor.
        shared: Whether others use *image* too: it is copied before a processor that may paint on it.

    Raises:
        ProcessingError: A processor raised an exception or returned no image.
        LimitExceeded: A result is, or would be, too large, or the time is over.
    """
    base, size = image, job.source_size
    for number, processor in enumerate(job.processors):
        is_last = number == len(job.processors) - 1
        try:
            # What works on single pixels keeps the size of what it is given, which may be less.
            is_known = size in job.checked[number : number + 1] or (
                image.size != size and is_scale_invariant(processor)
            )
            predicted = None if is_known else output_size_of(processor, size)
            if predicted is not None:
                limits.check_output(predicted, is_last=is_last)
            if shared and image is base and not hasattr(processor, "required_size"):
                image = image.copy()
            image, size = _call(processor, image, size)
        except GenerationError:
            raise
        except Exception as error:
            text = str(error) or "no message"
            cause = f"{type(processor).__name__} failed ({type(error).__name__}: {text})"
            raise ProcessingError(cause) from error
        limits.check_output(image.size, is_last=is_last)
        deadline.check()
    return image


@contextlib.contextmanager
def _errors_kept(job: Job) -> Iterator[None]:
    """Make an error of ours the result of *job*, so that the others go on."""
    try:
        yield
    except GenerationError as error:
        job.result = error


def _render_stills(work: Work, jobs: list[Job]) -> None:
    """Make stills, the largest first, so that smaller ones can be made of larger ones."""
    header, several = work.opened.header, len(jobs) > 1
    plan = plan_jobs(jobs)
    rescales = work.opened.rescales(plan, several)
    base = None if rescales else _decode(work, plan)
    pyramids: dict[tuple[bool, str, bool], Pyramid] = {}
    for job in sorted(
        jobs, key=lambda job: job.stored_size[0] if job.stored_size else header.width, reverse=True
    ):
        pyramid: Pyramid | None = None
        with _errors_kept(job):
            if base is None:  # the decoder gives each the size that it needs
                image = without_palette(_decode(work, plan_jobs([job])))
            else:
                key = (job.recipe.auto_orient, job.color, bool(job.recipe.processors))
                if key not in pyramids:
                    pyramids[key] = Pyramid(_variant(work, plan, job, base))
                pyramid = pyramids[key]
                image = pyramid.least(job.needed if job.stored_size else None)
            shared = several and pyramid is not None
            soft = soft_resizer(header.format, header.mode, job.format, moves=False)
            with resized_by(soft) if soft else contextlib.nullcontext():
                made = run(job, image, work.limits, work.deadline, shared=shared)
            rendition = rendition_size(job) if shared and not soft else None
            if pyramid is not None and rendition is not None:
                pyramid.offer(made, job.source_size, rendition)
            job.result = finish_still(work, job, made)


def _decode(work: Work, plan: Plan) -> Image.Image:
    with step("decode"):
        return work.opened.decode(plan)


def _variant(work: Work, plan: Plan, job: Job, base: Image.Image) -> Image.Image:
    """Return the decoded image as one recipe wants it oriented and coloured."""
    wanted = attrs.evolve(plan, orientation=job.orientation, color=job.color)
    if wanted != plan:
        base = finish(base.copy(), wanted, work.opened)
    # Processors mix colours, which cannot be done with numbers of a palette.
    return without_palette(base) if job.recipe.processors else base


def _render_animations(work: Work, jobs: list[Job]) -> None:
    """Make animations: each frame is decoded once and goes through every recipe before the next."""
    from ._animation import write_animation  # stills do without

    with step("decode"):
        _collect_frames(work, jobs)
    for job in jobs:
        if job.result is None:
            with _errors_kept(job):
                work.deadline.check()
                format, (width, height) = job.format, job.frames[0].image.size
                options = work.options(job, format, (width, height))
                with step("encode", format=format, width=width, height=height):
                    loop = work.opened.metadata.loop
                    mode = work.opened.header.mode
                    made = write_animation(job.frames, format, options, loop, mode)
                first = job.frames[0].image
                made.placeholder = make_placeholder(first, job.recipe.placeholder)
                job.result = made


def _collect_frames(work: Work, jobs: list[Job]) -> None:
    for frame in work.opened.frames(Plan(color="keep")):
        work.deadline.check()
        for job in jobs:
            if job.result is None:
                with _errors_kept(job):
                    _add_frame(work, job, frame)
        if all(job.result is not None for job in jobs):
            break


def _add_frame(work: Work, job: Job, frame: Frame) -> None:
    plan = Plan(orientation=job.orientation, color=job.color)
    image = finish(frame.image.copy(), plan, work.opened)
    soft = soft_resizer(job.header.format, job.header.mode, job.format, moves=True)
    with resized_by(soft) if soft else contextlib.nullcontext():
        made = run(job, image, work.limits, work.deadline)
    job.frames.append(attrs.evolve(frame, image=frame_for(made)))
    work.limits.check_output(job.frames[0].image.size, len(job.frames))


def _render_opened(work: Work, jobs: list[Job]) -> list[Encoded | GenerationError]:
    left = [job for job in jobs if job.result is None]
    if stills := [job for job in left if not job.moves]:
        _render_stills(work, stills)
    if moving := [job for job in left if job.moves]:
        _render_animations(work, moving)
    return [job.result for job in jobs if job.result is not None]


def render_many(
    file: Readable,
    recipes: Iterable[Recipe],
    *,
    limits: Limits,
    format_options: FormatOptions,
    large_options: FormatOptions = _NO_OPTIONS,
    smallest: Sequence[str] = SMALLEST_OF,
    decoder: Decoder | None = None,
    resizer: Resizer | None = None,
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
        smallest: The formats of which recipes of the format ``'smallest'`` write one; an animation the
            first. Those that cannot be written, or hold no transparency where there is any, are
            left out.
        decoder: What reads the source; None for Pillow.
        resizer: What scales for the processors; None for Pillow.
        source_name: The source's name, for messages, and for the format where a recipe has none.
        deadline: When all must be over; None: after the time that *limits* allow, from now on.

    Returns:
        For each recipe its image, or the error that kept it from being made.

    Raises:
        UnknownFormat: A recipe asks for a format that Pillow cannot write.
    """
    wanted = tuple(recipes)
    for recipe in wanted:
        if recipe.format and not (recipe.format == SMALLEST and any(map(can_write, smallest))):
            require_format(recipe.format)
    usual, large = by_format(format_options), by_format(large_options)
    if not wanted:
        return []
    clock = deadline or Deadline(limits.max_seconds)
    try:
        with (
            (decoder or _PILLOW).open(file, limits, clock) as opened,
            resized_by(resizer or _PILLOW_RESIZER),
        ):
            work = Work(file, opened, limits, clock, usual, large)
            about = opened.header, limits, source_name, smallest
            results = _render_opened(work, [plan_job(recipe, *about) for recipe in wanted])
    except GenerationError as error:
        results = [error, *(copy.copy(error) for _ in wanted[1:])]
    for result in results:
        if isinstance(result, GenerationError):
            result.located(None, source_name or None)
    return results


def render(
    file: Readable,
    recipe: Recipe,
    *,
    limits: Limits,
    format_options: FormatOptions,
    large_options: FormatOptions = _NO_OPTIONS,
    smallest: Sequence[str] = SMALLEST_OF,
    decoder: Decoder | None = None,
    resizer: Resizer | None = None,
    source_name: str = "",
) -> Encoded:
    """Make one image of a source.

    Args:
        file: A binary file; it stays open, at the position it had.
        recipe: What to make.
        limits: How much source and result may cost.
        format_options: Save options per format, under those of the recipe.
        large_options: As for `render_many`.
        smallest: As for `render_many`.
        decoder: What reads the source; None for Pillow.
        resizer: What scales for the processors; None for Pillow.
        source_name: As for `render_many`.

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
        smallest=smallest,
        decoder=decoder,
        resizer=resizer,
        source_name=source_name,
    )
    if isinstance(result, GenerationError):
        raise result
    return result


def read_header(file: Readable, limits: Limits, deadline: Deadline | None = None) -> Header:
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
        limits.check_frames(opened.header.frames)
        return opened.header
