"""Images in the GraphQL schemas of Strawberry; needs the extra ``strawberry``."""

from __future__ import annotations

from typing import Self, cast

import strawberry
from django.http import HttpRequest
from strawberry.scalars import JSON

from imagekit_registry.cachefiles import ImageCacheFile, PictureDict
from imagekit_registry.specs import Picture

__all__ = ["ImageType", "PictureType", "SourceType"]


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


@strawberry.type
class SourceType:
    """What a ``<source>`` of a picture has: files in another format, or of another crop."""

    srcset: str
    sizes: str
    media: str
    type: str
    width: int | None
    height: int | None


@strawberry.type
class PictureType(ImageType):
    """An image with the files that a browser may choose from."""

    srcset: str
    sizes: str
    sources: list[SourceType]

    @classmethod
    def of(
        cls,
        file: ImageCacheFile,
        request: HttpRequest | None = None,
        picture: Picture | None = None,
    ) -> Self | None:
        """Return what a resolver gives for *file*; None if that has no source.

        Args:
            file: The image, such as a spec field gives.
            request: The request that is answered; with it URLs are absolute.
            picture: How the image is offered, over what its spec says.

        Example:
            >>> PictureType.of(photo.thumbnail).srcset
            '/media/CACHE/...jpg 200w, ...'
        """
        if not file.name:
            return None
        told = cast("PictureDict", file.as_dict(request, picture or Picture()))
        sources = [SourceType(**source) for source in told["sources"]]
        return cls(**{**told, "sources": sources})  # type: ignore[arg-type]
