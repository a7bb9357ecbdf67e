"""What a processor offers to whoever runs it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from PIL import Image

#: Width and height, in pixels.
Size = tuple[int, int]


@runtime_checkable
class Processor(Protocol):
    """**Protocol**: an image goes in, another image comes out.

    Called by the imaging room, once for each frame of an image that is made, in a request or in a
    worker; calls may run at the same time in several threads. Any exception may leave it: it is
    reported with spec and source. The image that came in is not to be painted on by processors that
    offer `SizedProcessor.required_size`; those that do not are given a copy.

    Example:
        >>> class Sepia:
        ...     def process(self, image):
        ...         return ImageOps.colorize(image.convert("L"), "#321", "#fed")
    """

    def process(self, image: Image.Image) -> Image.Image:
        """Return what is made of *image*."""


class SizedProcessor(Processor, Protocol):
    """**Protocol**: what a processor may say about sizes; each part is optional.

    Asked by the imaging room before a source is decoded, and for the dimensions of images that do
    not exist yet. Answers depend on sizes alone. All sizes are width and height in pixels.

    A processor that says nothing is given every pixel of the source.
    """

    #: Is the result for a smaller decode the smaller result? True for what looks at single pixels
    #: (colours, opacity): the requirement of the next processor then holds for this one as well.
    scale_invariant: bool

    def process_reduced(self, image: Image.Image, source_size: Size) -> Image.Image:
        """Return what `process` would make of the full image, given a smaller decode of it.

        The result has exactly the size that it would have then; so sizes are to be worked out from
        *source_size*, not from the image, whose sides may be rounded.
        """

    def required_size(self, source_size: Size) -> Size | None:
        """Return the least size of a decode that serves; None if every pixel is needed."""

    def output_size(self, source_size: Size) -> Size | None:
        """Return the exact size of the result; None if it depends on more than sizes."""
