"""Fields whose files give images by alias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import FileField, ImageField, Model

from imagekit_registry.contrib.easy.files import ThumbnailerFieldFile, ThumbnailerImageFieldFile
from imagekit_registry.specs.sourcegroups import ImageFieldSourceGroup

__all__ = ["ThumbnailerField", "ThumbnailerImageField"]


class ThumbnailerField(FileField):
    """A file field whose files make images: ``product.photo["small"]``.

    Args:
        *args: As for Django's ``FileField``.
        thumbnail_storage: The storage of the images; that of the settings by default.
        **kwargs: As for Django's ``FileField``.
    """

    attr_class = ThumbnailerFieldFile

    def __init__(self, *args: Any, thumbnail_storage: object = None, **kwargs: Any) -> None:
        self.thumbnail_storage = thumbnail_storage
        super().__init__(*args, **kwargs)

    def contribute_to_class(self, cls: type[Model], name: str, **kwargs: object) -> None:  # type: ignore[override]
        """Take a place on a model: what becomes of its files is announced."""
        super().contribute_to_class(cls, name, **kwargs)
        # Migrations make models of their own.
        if cls.__module__ != "__fake__":
            ImageFieldSourceGroup.shared(cls, name)


class ThumbnailerImageField(ThumbnailerField, ImageField):
    """An image field whose files make images, and that may make uploads smaller.

    Args:
        *args: As for Django's ``ImageField``.
        resize_source: Options of the image that is stored in place of an upload; None: the upload.
        **kwargs: As for `ThumbnailerField` and Django's ``ImageField``.

    Example:
        >>> class Profile(models.Model):
        ...     photo = ThumbnailerImageField(resize_source={"size": (1200, 1200)})
    """

    attr_class = ThumbnailerImageFieldFile

    def __init__(
        self, *args: object, resize_source: Mapping[str, object] | None = None, **kwargs: object
    ) -> None:
        self.resize_source = resize_source
        super().__init__(*args, **kwargs)
