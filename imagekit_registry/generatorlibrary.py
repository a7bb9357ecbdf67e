"""Generators that every project has: those behind the thumbnail tag and the admin's previews."""

from __future__ import annotations

from typing import Any

from imagekit_registry.conf import conf
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.processors import Thumbnail as ThumbnailProcessor
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import ImageSpec

__all__ = ["ADMIN_PREVIEW_ID", "THUMBNAIL_ID", "AdminPreview", "Thumbnail", "register_all"]

THUMBNAIL_ID = "imagekit:thumbnail"
ADMIN_PREVIEW_ID = "imagekit:admin:preview"


class Thumbnail(ImageSpec):
    """A thumbnail of any image, as the template tag asks for it.

    Args:
        source: An image field's file, any Django ``File``, or a name in the default storage.
        width: In pixels; None leaves it free.
        height: In pixels; None leaves it free.
        anchor: Which part is kept when cropping; None: the part with the most detail.
        crop: Whether to crop; None: if both width and height are given.
        upscale: Whether a smaller image is enlarged.
        format: Pillow's name of the format; None: ``IMAGEKIT_DEFAULT_THUMBNAIL_FORMAT``.
    """

    def __init__(
        self,
        source: Any = None,
        width: int | None = None,
        height: int | None = None,
        anchor: Any = None,
        crop: bool | None = None,
        upscale: bool | None = None,
        format: str | None = None,
    ) -> None:
        self.processors = [
            ThumbnailProcessor(width, height, anchor=anchor, crop=crop, upscale=upscale)
        ]
        self.format = format or conf.DEFAULT_THUMBNAIL_FORMAT
        super().__init__(source)


class AdminPreview(ImageSpec):
    """The preview of an image beside its file input in the admin.

    It is made at once, whatever backend and strategy the project uses: somebody waits for it, and
    a single one. WebP is shown by every browser and holds transparency.
    """

    processors = [ResizeToFit(240, 160, upscale=False)]
    format = "WEBP"
    animated = False
    cachefile_backend = "imagekit_registry.cachefiles.backends.Simple"
    cachefile_strategy = "imagekit_registry.cachefiles.strategies.JustInTime"


def register_all() -> None:
    """Register the library, unless the project has put its own generators in their places."""
    for id, generator in ((THUMBNAIL_ID, Thumbnail), (ADMIN_PREVIEW_ID, AdminPreview)):
        if id not in generator_registry.get_ids():
            generator_registry.register(id, generator)
