"""Cache files: what generators make, where it lies, when and how it comes to exist."""

from __future__ import annotations

from imagekit_registry.cachefiles._lookup import LazyImageCacheFile, get_image
from imagekit_registry.cachefiles._many import Failure, Outcome, generate_many, prefetch_images
from imagekit_registry.cachefiles.files import ImageCacheFile
from imagekit_registry.registry import cachefile_registry
from imagekit_registry.signals import content_required, existence_required

__all__ = [
    "Failure",
    "ImageCacheFile",
    "LazyImageCacheFile",
    "Outcome",
    "content_required",
    "existence_required",
    "generate_many",
    "get_image",
    "prefetch_images",
]

cachefile_registry.bind(LazyImageCacheFile)
