"""A processor of the demo's own."""

from __future__ import annotations

import attrs
from PIL import Image, ImageOps


@attrs.frozen
class Duotone:
    """Print a photograph in two inks.

    All that a processor needs is `process()`. `output_size()` is a courtesy: with it, pages know the
    width and height of an image before it is made.

    Args:
        dark: The colour of the shadows.
        light: The colour of the lights.
    """

    dark: str
    light: str

    def process(self, image: Image.Image) -> Image.Image:
        """Return *image* with its greys between the two colours."""
        grey = ImageOps.autocontrast(image.convert("L"), cutoff=1)
        return ImageOps.colorize(grey, black=self.dark, white=self.light)

    def output_size(self, source_size: tuple[int, int]) -> tuple[int, int]:
        """Return the size of the result: that of the source."""
        return source_size
