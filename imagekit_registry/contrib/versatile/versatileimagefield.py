"""The classes of the usual sizers and filters, for a project's own ones that derive from these."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from imagekit_registry.contrib.versatile.datastructures import FilteredImage, SizedImage
from imagekit_registry.processors import Invert, ResizeToFill, ResizeToFit

__all__ = ["CroppedImage", "InvertImage", "ThumbnailImage"]


def _written(image: Image.Image, save_kwargs: dict[str, object]) -> BytesIO:
    made = BytesIO()
    image.save(made, **save_kwargs)  # type: ignore[arg-type]
    return made


class CroppedImage(SizedImage):
    """Scales and cuts to exactly a size, with the point of interest in its middle as far as the edges allow.

    Example:
        >>> class GreyCroppedImage(CroppedImage):
        ...     def process_image(self, image, image_format, save_kwargs, width, height):
        ...         made = io.BytesIO()
        ...         cut = self.crop_on_centerpoint(image, width, height, self.ppoi)
        ...         cut.convert("L").save(made, **save_kwargs)
        ...         return made
    """

    filename_key = "crop"

    def crop_on_centerpoint(
        self,
        image: Image.Image,
        width: int,
        height: int,
        ppoi: tuple[float, float] = (0.5, 0.5),
    ) -> Image.Image:
        """Return *image* in *width* times *height* pixels, with *ppoi* in its middle.

        Args:
            image: The image.
            width: In pixels.
            height: In pixels.
            ppoi: The point, in fractions of the sides.
        """
        return ResizeToFill(width, height, target=ppoi).process(image)

    def process_image(
        self,
        image: Image.Image,
        image_format: str,
        save_kwargs: dict[str, object],
        width: int,
        height: int,
    ) -> BytesIO:
        """Return a file with the cut image in it."""
        return _written(self.crop_on_centerpoint(image, width, height, self.ppoi), save_kwargs)


class ThumbnailImage(SizedImage):
    """Scales to fit into a box; nothing is enlarged."""

    filename_key = "thumbnail"

    def process_image(
        self,
        image: Image.Image,
        image_format: str,
        save_kwargs: dict[str, object],
        width: int,
        height: int,
    ) -> BytesIO:
        """Return a file with the scaled image in it."""
        return _written(ResizeToFit(width, height, upscale=False).process(image), save_kwargs)


class InvertImage(FilteredImage):
    """Turns each colour into its opposite."""

    def process_image(
        self, image: Image.Image, image_format: str, save_kwargs: dict[str, object]
    ) -> BytesIO:
        """Return a file with the inverted image in it."""
        return _written(Invert().process(image), save_kwargs)
