"""The class that sizers of a project derive from."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from imagekit_registry.contrib.versatile.exceptions import MalformedSizedImageKey

__all__ = ["MalformedSizedImageKey", "SizedImage"]


class SizedImage:
    """A sizer: the base of a project's own ones.

    Attributes:
        ppoi: The point of interest, in fractions of width and height.

    Example:
        >>> class SquareImage(SizedImage):
        ...     filename_key = "square"
        ...
        ...     def process_image(self, image, image_format, save_kwargs, width, height):
        ...         made = io.BytesIO()
        ...         image.resize((width, width)).save(made, **save_kwargs)
        ...         return made
    """

    filename_key = ""
    ppoi: tuple[float, float] = (0.5, 0.5)

    def process_image(
        self,
        image: Image.Image,
        image_format: str,
        save_kwargs: dict[str, object],
        width: int,
        height: int,
    ) -> BytesIO:
        """Return a file with the image in it, of the format that *save_kwargs* name."""
        raise NotImplementedError("Subclasses must define process_image().")
