"""The plan: what a source says before it is decoded, what is asked of it, and who decodes it."""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, Protocol

import attrs
from PIL import Image

from imagekit_registry.exceptions import GenerationError
from imagekit_registry.processors import Processor
from imagekit_registry.processors.base import (
    ProcessorPipeline,
    foreseen_size,
    is_ours,
    is_scale_invariant,
    overrides,
)

from ._modes import ANIMATED_FORMATS, Encoded, carries
from ._recipe import Recipe
from ._scaling import SAFETY, Size
from ._source import Deadline, Limits, Readable
from .formats import AUTO, AUTO_FORMATS, SMALLEST, SMALLEST_OF, can_write, default_format


@attrs.frozen
class Header:
    """A source's header.

    Args:
        width: Stored width, in pixels, before any orientation tag is applied.
        height: Stored height, in pixels.
        mode: Pillow's mode of the stored pixels.
        format: Pillow's name of the format.
        frames: Number of frames of an animation; 1 for a still.
        orientation: EXIF orientation, 1 to 8.
        profile: The embedded ICC profile, or None.
        is_lossless: Whether it is a WebP without losses.

    Example:
        >>> Header(40, 30, "RGB", "JPEG", orientation=6).oriented_size
        (30, 40)
    """

    width: int
    height: int
    mode: str
    format: str
    frames: int = 1
    orientation: int = 1
    profile: bytes | None = attrs.field(default=None, repr=False)
    is_lossless: bool = False

    @property
    def size(self) -> Size:
        """Width and height as stored, in pixels."""
        return self.width, self.height

    @property
    def oriented_size(self) -> Size:
        """Width and height as people see it, with the orientation tag applied, in pixels."""
        return self.size if self.orientation < 5 else (self.height, self.width)


@attrs.frozen
class Metadata:
    """What a source carries besides pixels and profile.

    Args:
        exif: EXIF data, or None.
        xmp: XMP data, or None.
        loop: How often an animation plays, 0 for ever; None if the source does not say.
        rights: Artist and copyright from IPTC data, by the numbers of their EXIF tags.
    """

    exif: bytes | None = attrs.field(default=None, repr=False)
    xmp: bytes | None = attrs.field(default=None, repr=False)
    loop: int | None = None
    rights: Mapping[int, bytes] = attrs.field(factory=dict, repr=False)


@attrs.frozen
class Frame:
    """One decoded frame of an animation.

    Args:
        image: Its pixels, composed with what stood before it.
        duration: How long it is shown, in milliseconds.
    """

    image: Image.Image
    duration: float = 0


@attrs.frozen
class Plan:
    """What a decoder is asked for.

    Args:
        minimum: Least width and height of the decoded image, as stored (before *orientation* is
            applied), in pixels; None for all pixels as they are.
        exact: What a decoder may give that scales with a good filter itself, as stored, in pixels:
            the size that the processors need, so that they need not scale again.
        orientation: EXIF orientation to apply after decoding; 1 for none.
        color: ``'srgb'`` to convert to sRGB, ``'keep'`` to leave values as they are.

    Example:
        >>> Plan(minimum=(600, 400)).color
        'srgb'
    """

    minimum: Size | None = None
    exact: Size | None = None
    orientation: int = 1
    color: Literal["srgb", "keep"] = "srgb"


class OpenedImage(Protocol):
    """**Protocol:** a source whose header has been read and whose pixels have not.

    The renderer calls it from the thread that opened it: ``decode`` once for all results where it
    does not rescale, once for each where it does; ``frames`` once.
    """

    header: Header
    metadata: Metadata

    def rescales(self, base: Plan, several: bool) -> bool:
        """Return whether it scales faster than, and as well as, Pillow.

        It is then asked by ``decode`` for each result's own size (``plan.exact``).

        Args:
            base: A plan that serves all results.
            several: Whether there will be several results, so that the file is best decoded now.
        """

    def decode(self, plan: Plan) -> Image.Image:
        """Return the (first) image: at least as large as the plan asks, oriented, in its colours."""

    def frames(self, plan: Plan) -> Iterator[Frame]:
        """Yield all frames of an animation in full size, oriented, in the plan's colours."""


class Decoder(Protocol):
    """**Protocol:** reads headers and pixels of image files.

    One instance serves a whole process; its calls may run at the same time in many threads. Only
    subclasses of `~imagekit_registry.exceptions.GenerationError` leave it.
    """

    name: str

    def open(
        self, file: Readable, limits: Limits, deadline: Deadline | None = None
    ) -> contextlib.AbstractContextManager[OpenedImage]:
        """Read the header of *file*, check it against *limits*; put the file back afterwards."""


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
    #: Whether it is an animation.
    moves: bool = attrs.field(init=False)
    #: The recipe's, without pipelines.
    processors: tuple[Processor, ...] = attrs.field(init=False)
    #: What is to be applied to the stored pixels, and their size afterwards.
    orientation: int = attrs.field(init=False)
    source_size: Size = attrs.field(init=False)
    #: The least size that the processors need; None if they need every pixel.
    needed: Size | None = attrs.field(init=False, default=None)
    #: The least size of a decode that serves, as stored; None for all pixels.
    stored_size: Size | None = attrs.field(init=False, default=None)
    #: The sizes that processors are given for which results have been checked.
    checked: list[Size] = attrs.field(init=False, factory=list)
    frames: list[Frame] = attrs.field(init=False, factory=list)
    result: Encoded | GenerationError | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        """Ask the processors."""
        self.formats = (
            tuple(filter(can_write, self.smallest)) if self.recipe.format == SMALLEST else ()
        )
        chosen = self.formats[0] if self.formats else self.recipe.format
        if chosen == AUTO:
            chosen = AUTO_FORMATS[0]
        self.format = chosen or default_format(self.header.format, self.source_name)
        can_move = self.recipe.animated and self.format in ANIMATED_FORMATS
        self.moves = can_move and self.header.frames > 1
        keeps = self.recipe.color == "keep"
        kept = keeps and carries(self.header.profile, self.header.mode, self.format)
        self.color = "keep" if kept else "srgb"
        self.processors = flat(self.recipe.processors)
        self.orientation = self.header.orientation if self.recipe.auto_orient else 1
        size = self.header.size
        self.source_size = size if self.orientation < 5 else size[::-1]
        if any(overrides(each, "required_size", "scale_invariant") for each in self.processors):
            return
        needed = ProcessorPipeline(self.processors).required_size(self.source_size)
        if needed is None or any(map(operator.ge, needed, self.source_size)):
            return
        self.needed = max(1, math.ceil(needed[0])), max(1, math.ceil(needed[1]))
        if self.recipe.decode_small:
            self.stored_size = self.needed if self.orientation < 5 else self.needed[::-1]


def plan_jobs(jobs: Sequence[Job]) -> Plan:
    """Return the plan that serves all *jobs* with one decode; see `plan_decode`."""
    header, sizes = jobs[0].header, [job.stored_size for job in jobs]
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
    return plan_jobs([Job(recipe, header) for recipe in recipes])


def plan_job(
    recipe: Recipe, header: Header, limits: Limits, source_name: str, smallest: Sequence[str]
) -> Job:
    """Return the job of a recipe; its result is the error if it would cost more than *limits* allow."""
    job = Job(recipe, header, source_name, smallest)
    try:
        if job.moves:
            limits.check_frames(header.frames)
            limits.check_animation(header.size, header.frames)
        check_result(job, limits)
    except GenerationError as error:
        job.result = error
    return job


def check_result(job: Job, limits: Limits) -> None:
    """Check the size of the result, as far as it can be known before there is an image.

    Raises:
        LimitExceeded: It would be too large.
    """
    size, is_small = job.source_size, job.needed is not None
    for processor in job.processors:
        # What comes first and works on single pixels of a smaller decode is said to return
        # something as large as the source, which is never made.
        is_small = is_small and is_scale_invariant(processor)
        predicted = size
        if not is_small:
            answer = foreseen_size(processor, size)
            if answer is None:
                return
            limits.check_output(predicted := answer, is_last=False)
        job.checked.append(size)
        size = predicted
    limits.check_output(size)


def rendition_size(job: Job) -> Size | None:
    """Return what the only processor, one of our own resizers, asks for; None for any other."""
    ours = all(is_ours(type(each)) for each in job.processors)
    if len(job.processors) != 1 or not ours:
        return None
    return ProcessorPipeline(job.processors).required_size(job.source_size)
