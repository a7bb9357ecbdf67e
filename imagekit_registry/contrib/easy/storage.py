"""The storage of images that easy-thumbnails has."""

from __future__ import annotations

from typing import Any

from django.core.files.storage import FileSystemStorage
from django.utils.deconstruct import deconstructible

from imagekit_registry.contrib.easy.conf import settings

__all__ = ["ThumbnailFileSystemStorage"]


@deconstructible
class ThumbnailFileSystemStorage(FileSystemStorage):
    """A folder of its own for images: ``THUMBNAIL_MEDIA_ROOT``, shown at ``THUMBNAIL_MEDIA_URL``.

    Args:
        location: The folder; None: that of the setting, or ``MEDIA_ROOT`` if it is empty.
        base_url: The URL; None: that of the setting, or ``MEDIA_URL`` if it is empty.
        **kwargs: As for Django's storage.
    """

    def __init__(self, location: Any = None, base_url: str | None = None, **kwargs: Any) -> None:
        super().__init__(
            location or settings.THUMBNAIL_MEDIA_ROOT or None,
            base_url or settings.THUMBNAIL_MEDIA_URL or None,
            **kwargs,
        )
