"""Processors: what they need, what they will give, and running them."""

from __future__ import annotations

import contextlib
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import attrs
from PIL import Image

from imagekit_registry.exceptions import GenerationError, ProcessingError, answer_or
from imagekit_registry.processors import Processor, ProcessorPipeline
from imagekit_registry.processors.base import is_scale_invariant, output_size_of

from ._decoder import Frame, Header, Plan, Size
from ._encode import Encoded
from ._limits import Deadline, Limits
from ._metadata import carries
from ._recipe import Recipe
from ._scaling import SAFETY
from .formats import AUTO, AUTO_FORMATS, SMALLEST_OF, can_write, default_format

OUR_MODULES = "imagekit_registry.processors"


def overrides(processor: Processor, *names: str) -> bool:
    """Return whether a user's subclass changed ``process`` and none of the methods *names*.

    What those say about sizes is then not about what it does.
    """
    for cls in type(processor).__mro__:
        if any(name in vars(cls) for name in names):
            return False
        if "process" in vars(cls):
            return not cls.__module__.startswith(OUR_MODULES)
    return False


def flat(processors: Iterable[Processor]) -> tuple[Processor, ...]:
    """Return *processors* with those of pipelines among them in their place."""
    result: list[Processor] = []
    for processor in processors:
        result += flat(processor) if type(processor) is ProcessorPipeline else [processor]
    return tuple(result)


@attrs.define(eq=False)
class Job:
    """One of the results that are made of a source, and what its recipe asks of that.

    Args:
        recipe: What to make.
        header: Of the source.
        source_name: The source's name, whose extension may decide on the format.
        smallest: Formats of which the smallest is written, if the recipe says so.
    """

    recipe: Recipe
    header: Header
    source_name: str = ""
    smallest: Sequence[str] = SMALLEST_OF
    #: Of those, the ones that can be written.
    formats: tuple[str, ...] = attrs.field(init=False)
    #: What is written, and in which colours; a transparent result may have another format still.
    format: str = attrs.field(init=False)
    color: Literal["srgb", "keep"] = attrs.field(init=False)
    #: The recipe's, without pipelines.
    processors: tuple[Processor, ...] = attrs.field(init=False)
    #: What is to be applied to the stored pixels, and their size afterwards.
    orientation: int = attrs.field(init=False)
    source_size: Size = attrs.field(init=False)
    #: The least size that the processors need; None if they need every pixel.
    needed: Size | None = attrs.field(init=False, default=None)
    #: The least size of a decode that serves, oriented and as stored; None for all pixels.
    decoded_size: Size | None = attrs.field(init=False, default=None)
    stored_size: Size | None = attrs.field(init=False, default=None)
    frames: list[Frame] = attrs.field(init=False, factory=list)
    result: Encoded | GenerationError | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        """Ask the processors."""
        self.formats = tuple(filter(can_write, self.smallest)) if self.recipe.is_smallest else ()
        chosen = self.formats[0] if self.formats else self.recipe.format
        if chosen == AUTO:
            chosen = AUTO_FORMATS[0]
        self.format = chosen or default_format(self.header.format, self.source_name)
        kept = carries(self.header.profile, self.header.mode, self.format)
        self.color = self.recipe.color if kept else "srgb"
        self.processors = flat(self.recipe.processors)
        self.orientation = self.header.orientation if self.recipe.auto_orient else 1
        size = self.header.width, self.header.height
        self.source_size = size if self.orientation < 5 else size[::-1]
        if any(overrides(each, "required_size", "scale_invariant") for each in self.processors):
            return
        needed = ProcessorPipeline(self.processors).required_size(self.source_size)
        if needed is None or any(map(operator.ge, needed, self.source_size)):
            return
        self.needed = max(1, math.ceil(needed[0])), max(1, math.ceil(needed[1]))
        if self.recipe.decode_small:
            self.decoded_size = self.needed
            self.stored_size = self.needed if self.orientation < 5 else self.needed[::-1]

    @contextlib.contextmanager
    def keeps_errors(self) -> Iterator[None]:
        """Make an error of ours this job's result, so that the others go on."""
        try:
            yield
        except GenerationError as error:
            self.result = error


def plan_jobs(header: Header, jobs: Sequence[Job]) -> Plan:
    """Return the plan that serves all *jobs* with one decode; see `plan_decode`."""
    sizes = [job.stored_size for job in jobs]
    minimum = exact = None
    if None not in sizes:
        exact = max(size[0] for size in sizes if size), max(size[1] for size in sizes if size)
        least = math.ceil(exact[0] * SAFETY), math.ceil(exact[1] * SAFETY)
        if least[0] < header.width and least[1] < header.height:
            minimum = least
    if len({(job.recipe.auto_orient, job.color) for job in jobs}) > 1:
        return Plan(minimum, exact, 1, "keep")
    return Plan(minimum, exact, jobs[0].orientation, jobs[0].color)


def plan_decode(header: Header, recipes: Iterable[Recipe]) -> Plan:
    """Return the plan that serves all *recipes* with one decode.

    Args:
        header: Of the source.
        recipes: At least one. Where they differ in orientation or colour, the plan leaves pixels as
            they are stored, and each recipe does its own.
    """
    return plan_jobs(header, [Job(recipe, header) for recipe in recipes])


def check_result(job: Job, limits: Limits) -> None:
    """Check the size of the result, as far as it can be known before there is an image.

    Raises:
        LimitExceeded: It would be too large.
    """
    chain: Iterable[Processor] = job.processors
    if job.needed is not None:
        # What comes first and works on single pixels of a smaller decode is said to return
        # something as large as the source, which is never made.
        chain = itertools.dropwhile(is_scale_invariant, chain)
    size = job.source_size
    for processor in chain:
        if overrides(processor, "output_size"):
            return
        # A processor's own mistake shows when it is run.
        predicted = answer_or(None, output_size_of, processor, size)
        if predicted is None:
            return
        size = predicted
        limits.check_output(size, is_last=False)
    limits.check_output(size)


def rendition_size(job: Job) -> Size | None:
    """Return what the only processor, one of our own resizers, asks for; None for any other."""
    ours = all(type(each).__module__.startswith(OUR_MODULES) for each in job.processors)
    if len(job.processors) != 1 or not ours:
        return None
    return ProcessorPipeline(job.processors).required_size(job.source_size)


def _call(processor: Processor, image: Image.Image, source_size: Size) -> Image.Image:
    reduced: Callable[[Image.Image, Size], Image.Image] | None
    reduced = getattr(processor, "process_reduced", None)
    if reduced is None or image.size == source_size or overrides(processor, "process_reduced"):
        result: object = processor.process(image)
    else:
        result = reduced(image, source_size)
    if not isinstance(result, Image.Image):
        name = type(processor).__name__
        cause = f"{name} returned {type(result).__name__} instead of an image"
        raise ProcessingError(cause, hint="Return the image at the end of process().")
    return result


def run(
    image: Image.Image,
    processors: Sequence[Processor],
    source_size: Size,
    limits: Limits,
    deadline: Deadline,
    *,
    shared: bool = False,
) -> Image.Image:
    """Return what *processors* make of *image*.

    Args:
        image: Decoded in full, or smaller.
        processors: Applied in this order.
        source_size: The size in pixels that *image* stands for: that of a full decode.
        limits: For the size of every result.
        deadline: Looked at after each processor.
        shared: Whether others use *image* too: it is copied before a processor that may paint on it.

    Raises:
        ProcessingError: A processor raised an exception or returned no image.
        LimitExceeded: A result is, or would be, too large, or the time is over.
    """
    base, size = image, source_size
    chain = flat(processors)
    for number, processor in enumerate(chain, 1):
        is_last = number == len(chain)
        try:
            # What works on single pixels keeps the size of what it is given, which may be less.
            is_point = image.size != size and is_scale_invariant(processor)
            predicted = image.size if is_point else output_size_of(processor, size)
            if predicted is not None:
                limits.check_output(predicted, is_last=is_last)
            if shared and image is base and not hasattr(processor, "required_size"):
                image = image.copy()
            result = _call(processor, image, size)
        except GenerationError:
            raise
        except Exception as error:
            text = str(error) or "no message"
            cause = f"{type(processor).__name__} failed ({type(error).__name__}: {text})"
            raise ProcessingError(cause) from error
        if result.size != image.size:
            size = result.size
        image = result
        if min(image.size) < 1:
            raise ProcessingError(f"{type(processor).__name__} returned an image without pixels")
        limits.check_output(image.size, is_last=is_last)
        deadline.check()
    limits.check_output(image.size)
    return image
