"""Images in the schemas of Pydantic, so in those of Django Ninja; needs the extra ``pydantic``."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ValidationInfo, model_validator

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.specs import Picture

__all__ = ["ImageSchema", "PictureSchema", "SourceSchema"]


class ImageSchema(BaseModel):
    """An image in a schema, made of a cache file such as a spec field gives.

    An image that cannot be made is told of, and so is a row without one: by an ``url`` that is the
    fallback's, or null. Where the context of the validation has a ``request``, as in Django Ninja,
    the URL is absolute.

    Example:
        >>> class PhotoSchema(BaseModel):
        ...     thumbnail: ImageSchema
        >>> PhotoSchema(thumbnail=photo.thumbnail).thumbnail.width
        200
    """

    #: How the image is offered, over what its spec says; None tells of the image alone.
    picture: ClassVar[Picture | None] = None

    url: str | None
    width: int | None
    height: int | None
    type: str | None
    size: int | None
    placeholder: dict[str, str] | None
    pending: bool

    @model_validator(mode="before")
    @classmethod
    def _read_file(cls, value: object, info: ValidationInfo) -> Any:
        if not isinstance(value, ImageCacheFile):
            return value
        context = info.context if isinstance(info.context, dict) else {}
        return value.as_dict(context.get("request"), cls.picture)


class SourceSchema(BaseModel):
    """What a ``<source>`` of a picture has: files in another format, or of another crop."""

    srcset: str
    sizes: str
    media: str
    type: str
    width: int | None
    height: int | None


class PictureSchema(ImageSchema):
    """An image in a schema, with the files that a browser may choose from.

    Example:
        >>> class HeroSchema(PictureSchema):
        ...     picture = Picture(layout="full")  # by default what the spec says
    """

    picture: ClassVar[Picture | None] = Picture()

    srcset: str
    sizes: str
    sources: list[SourceSchema]
