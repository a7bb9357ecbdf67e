"""Decoders: what turns a file into pixels, what they are asked for and what they tell."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Literal, Protocol

import attrs
from PIL import Image

from ._source import Deadline, Limits, Readable

#: Width and height, in pixels.
Size = tuple[int, int]


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
