"""What an API tells of a picture."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import attrs
from django.http import HttpRequest

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.renditions import offer_with
from imagekit_registry.exceptions import GenerationError
from imagekit_registry.html._batch import made_together
from imagekit_registry.html._picture import PictureMarkup
from imagekit_registry.specs import Picture


def picture_parts(
    file: ImageCacheFile, picture: Picture, request: HttpRequest | None = None
) -> dict[str, Any]:
    """Return ``srcset``, ``sizes`` and ``sources`` of an image, as `ImageCacheFile.as_dict` tells them.

    Args:
        file: The image.
        picture: How it is offered, over what its spec says.
        request: The request that is answered; with it URLs are absolute.
    """
    shown = None
    if file.name:
        renditions = offer_with(picture, file)
        markup = PictureMarkup(renditions, renditions[-1].picture, {})
        # Why it cannot be made is told of the image itself.
        with suppress(GenerationError):
            shown = made_together(markup, markup.resolve)
    if shown is None:
        return {"srcset": "", "sizes": "", "sources": []}
    sources = [attrs.evolve(each, srcset=_absolute(each.srcset, request)) for each in shown.sources]
    return {
        "srcset": _absolute(shown.srcset, request),
        "sizes": shown.sizes,
        "sources": [attrs.asdict(each) for each in sources],
    }


def _absolute(srcset: str, request: HttpRequest | None) -> str:
    if request is None or not srcset:
        return srcset
    parts = (part.split(" ") for part in srcset.split(", "))
    return ", ".join(f"{request.build_absolute_uri(url)} {told}" for url, told in parts)
