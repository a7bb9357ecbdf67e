"""Images in the GraphQL schemas of Strawberry; needs the extra ``strawberry``."""

from __future__ import annotations

from typing import Self

import strawberry
from django.http import HttpRequest
from strawberry.scalars import JSON

from imagekit_registry.cachefiles import ImageCacheFile

__all__ = ["ImageType"]


@strawberry.type
class ImageType:
    """An image; its ``url`` is that of the fallback, or null, if it cannot be made."""

    url: str | None
    width: int | None
    height: int | None
    type: str | None
    size: int | None
    placeholder: JSON | None
    pending: bool

    @classmethod
    def of(cls, file: ImageCacheFile, request: HttpRequest | None = None) -> Self | None:
        """Return what a resolver gives for *file*; None if that has no source.

        Args:
            file: The image, such as a spec field gives.
            request: The request that is answered; with it the URL is absolute.

        Example:
            >>> ImageType.of(photo.thumbnail).width
            200
        """
        return cls(**file.as_dict(request)) if file.name else None  # type: ignore[arg-type]
