"""The class that filters of a project derive from."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from imagekit_registry.contrib.versatile.exceptions import InvalidFilter

__all__ = ["FilteredImage", "InvalidFilter"]


class FilteredImage:
    """A filter: the base of a project's own ones."""

    def process_image(
        self, image: Image.Image, image_format: str, save_kwargs: dict[str, object]
    ) -> BytesIO:
        """Return a file with the image in it, of the format that *save_kwargs* name."""
        raise NotImplementedError("Subclasses must define process_image().")
