"""Decoders: what turns a file into pixels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

import attrs
from PIL import Image

from ._colour import to_srgb
from ._header import Header, Metadata
from ._limits import Deadline, Limits
from ._orient import orient, without_orientation
from ._plan import Plan

__all__ = ["Decoder", "Frame", "OpenedImage", "finish"]


@attrs.frozen
class Frame:
    """One decoded frame of an animation.

    Args:
        image: Its pixels, composed with what stood before it.
        duration: How long it is shown, in milliseconds.
        disposal: What happens to it afterwards, as GIF counts (1 stays, 2 is cleared, 3 is undone).
    """

    image: Image.Image
    duration: float = 0
    disposal: int = 0


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
        ...

    def decode(self, plan: Plan) -> Image.Image:
        """Return the (first) image: at least as large as the plan asks, oriented, in its colours."""
        ...

    def frames(self, plan: Plan) -> Iterator[Frame]:
        """Yield all frames of an animation in full size, oriented, in the plan's colours."""
        ...


class Decoder(Protocol):
    """**Protocol:** reads headers and pixels of image files.

    One instance serves a whole process; its calls may run at the same time in many threads. Only
    subclasses of `~imagekit_registry.exceptions.GenerationError` leave it.
    """

    name: str

    def open(
        self, file: Any, limits: Limits, deadline: Deadline | None = None
    ) -> contextlib.AbstractContextManager[OpenedImage]:
        """Read the header of *file*, check it against *limits*; put the file back afterwards."""
        ...

    def read_header(self, file: Any, limits: Limits) -> Header:
        """Return the header of *file* and leave the file as it was."""
        ...

    def decode(self, file: Any, plan: Plan, limits: Limits) -> Image.Image:
        """Return the (first) image of *file* as *plan* asks."""
        ...


def finish(
    image: Image.Image, plan: Plan, profile: bytes | None, exif: bytes | None
) -> Image.Image:
    """Orient decoded pixels and convert their colours as *plan* says.

    The image's ``info`` afterwards holds what processors may ask for, and nothing that is no longer
    true: EXIF data without an orientation that has been applied, a profile that was kept.
    """
    info: dict[str | tuple[int, int], Any] = {}
    if plan.orientation != 1:
        image = orient(image, plan.orientation)
        exif = without_orientation(exif)
    if exif:
        info["exif"] = exif
    if plan.color == "srgb":
        image = to_srgb(image, profile)
    elif profile:
        info["icc_profile"] = profile
    if image.mode in ("1", "L", "P", "RGB", "I;16") and "transparency" in image.info:
        info["transparency"] = image.info["transparency"]
    image.info = info
    return image
