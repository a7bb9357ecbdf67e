"""Cache files: what generators make, where it lies, when and how it comes to exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagekit_registry._lazy import later, lazy_names
from imagekit_registry.registry import cachefile_registry
from imagekit_registry.signals import content_required, existence_required

if TYPE_CHECKING:
    from imagekit_registry.cachefiles import namers as namers
    from imagekit_registry.cachefiles import prefetch as prefetch
    from imagekit_registry.cachefiles import strategies as strategies
    from imagekit_registry.cachefiles._content import ImageDict, PictureDict
    from imagekit_registry.cachefiles.bulk import Failure, Outcome, generate_many
    from imagekit_registry.cachefiles.deletion import delete_images
    from imagekit_registry.cachefiles.files import (
        Identity,
        ImageCacheFile,
        LazyImageCacheFile,
        get_image,
    )
    from imagekit_registry.cachefiles.prefetch import prefetch_images
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "_content": ["ImageDict", "PictureDict"],
            "backends": [],
            "bulk": ["Failure", "Outcome", "generate_many"],
            "deletion": ["delete_images"],
            "files": ["Identity", "ImageCacheFile", "LazyImageCacheFile", "get_image"],
            "namers": [],
            "prefetch": ["prefetch_images"],
            "strategies": [],
        },
    )

__all__ = [
    "Failure",
    "Identity",
    "ImageCacheFile",
    "ImageDict",
    "LazyImageCacheFile",
    "Outcome",
    "PictureDict",
    "content_required",
    "delete_images",
    "existence_required",
    "generate_many",
    "get_image",
    "prefetch_images",
]

cachefile_registry.make_file = later("imagekit_registry.cachefiles.files", "LazyImageCacheFile")
