"""Images in the schemas of Pydantic, so in those of Django Ninja; needs the extra ``pydantic``."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationInfo, model_validator

from imagekit_registry.cachefiles import ImageCacheFile

__all__ = ["ImageSchema"]


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
        return value.as_dict(context.get("request"))
