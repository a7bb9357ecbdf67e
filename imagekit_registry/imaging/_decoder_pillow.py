"""The default decoder: Pillow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from PIL import Image, ImageFile, JpegImagePlugin

from ._colour import without_palette
from ._decoder import Frame, OpenedImage, finish
from ._header import Header, describe, open_pillow, translated
from ._inspect import decoding_bytes
from ._limits import Deadline, Limits
from ._plan import Plan
from ._shrink import reduce_to, reducing_factor
from ._source import BufferedSource, open_source

__all__ = ["PillowDecoder", "PillowImage"]

#: What APNG's numbers for disposal mean in GIF's; its "previous" becomes the same as "none" does.
_APNG_DISPOSAL = {0: 1, 1: 2, 2: 3}


class PillowImage:
    """An image that Pillow has opened."""

    def __init__(self, image: ImageFile.ImageFile, source: BufferedSource, limits: Limits) -> None:
        self._image = image
        self._source = source
        self._limits = limits
        self.header, self.metadata = describe(image, source, limits)

    def rescales(self, base: Plan, several: bool) -> bool:
        """Return False: processors scale as well."""
        return False

    def decode(self, plan: Plan) -> Image.Image:
        """Return the (first) image: at least as large as the plan asks, oriented, in its colours."""
        image = self._image
        extent: tuple[float, float] | None = None
        with translated(self._source):
            if plan.minimum is not None and isinstance(image, JpegImagePlugin.JpegImageFile):
                drafted = image.draft(None, plan.minimum)
                extent = drafted[1][2:] if drafted else extent
            self._check_memory(reducing_factor(plan.minimum, extent or image.size) > 1)
            image.load()
            pixels: Image.Image = image
            if plan.minimum is not None:
                pixels = reduce_to(image, plan.minimum, extent or image.size)
            return finish(pixels, plan, self.header.profile, self.metadata.exif)

    def _check_memory(self, reduced: bool) -> None:
        count = decoding_bytes(self._image, full=self.header.size, reduced=reduced)
        self._limits.check_memory(count)

    def _frame(self, index: int, plan: Plan) -> Frame:
        image = self._image
        with translated(self._source):
            image.seek(index)
            self._limits.check_pixels(image.size)
            self._check_memory(False)
            image.load()
            disposal = getattr(image, "disposal_method", None)  # of a GIF
            if disposal is None:
                disposal = _APNG_DISPOSAL.get(image.info.get("disposal", 0), 1)
            duration = image.info.get("duration", 0)
            pixels = without_palette(image)
            if pixels is image:
                pixels = image.copy()  # the next seek() paints over it
            if pixels.size != self.header.size:
                # A frame beyond the edge makes the canvas grow from there on; viewers cut it off.
                pixels = pixels.crop((0, 0, *self.header.size))
            pixels = finish(pixels, plan, self.header.profile, self.metadata.exif)
        return Frame(pixels, float(duration), int(disposal))

    def frames(self, plan: Plan) -> Iterator[Frame]:
        """Yield all frames of an animation in full size, oriented, in the plan's colours."""
        image = self._image
        # An APNG may start with a picture for viewers that know no APNG, which is no frame.
        start = 1 if image.format == "PNG" and getattr(image, "default_image", False) else 0
        for index in range(start, self.header.frames):
            try:
                yield self._frame(index, plan)
            except EOFError:
                return


class PillowDecoder:
    """Decodes with Pillow: JPEG at 1/2, 1/4 or 1/8, other formats in full and then averaged down.

    Example:
        >>> PillowDecoder().name
        'pillow'
    """

    name = "pillow"

    @contextlib.contextmanager
    def open(
        self, file: Any, limits: Limits, deadline: Deadline | None = None
    ) -> Iterator[OpenedImage]:
        """Read the header of *file*, check it against *limits*; put the file back afterwards.

        Raises:
            UnreadableImage: It is no image of an allowed format, or damaged.
            LimitExceeded: It is larger than *limits* allow.
            SourceUnavailable: The file itself raises an exception.
        """
        clock = deadline or Deadline(limits.max_seconds)
        with open_source(file, limits, clock) as source:
            image = open_pillow(source, limits)
            yield PillowImage(image, source, limits)

    def read_header(self, file: Any, limits: Limits) -> Header:
        """Return the header of *file* and leave the file as it was.

        Raises:
            GenerationError: As `open`.
        """
        with self.open(file, limits) as opened:
            return opened.header

    def decode(self, file: Any, plan: Plan, limits: Limits) -> Image.Image:
        """Return the (first) image of *file* as *plan* asks.

        Raises:
            GenerationError: As `open`.
        """
        with self.open(file, limits) as opened:
            return opened.decode(plan)
