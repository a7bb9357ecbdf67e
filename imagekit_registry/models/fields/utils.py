"""The descriptor under the name that code written for django-imagekit imports."""

from __future__ import annotations

from django.db import models

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.models.fields._spec import ImageSpecField

__all__ = ["ImageSpecFileDescriptor"]


class ImageSpecFileDescriptor:
    """Gives the cache files of an image spec field, under a name that the field itself does not have.

    An `ImageSpecField` is such a descriptor itself; this is for fields of a project's own that put
    one on a model.

    Args:
        field: The field.
        attname: The name under which the descriptor stands on the model.
        source_field_name: The name of the image field.
    """

    def __init__(self, field: ImageSpecField, attname: str, source_field_name: str) -> None:
        self.field = field
        self.attname = attname
        self.source_field_name = source_field_name

    def __get__(
        self, instance: models.Model | None, owner: type[models.Model] | None = None
    ) -> ImageSpecField | ImageCacheFile:
        if instance is None:
            return self.field
        return ImageCacheFile(self.field.get_spec(getattr(instance, self.source_field_name)))

    def __set__(self, instance: models.Model, value: object) -> None:
        instance.__dict__[self.attname] = value
