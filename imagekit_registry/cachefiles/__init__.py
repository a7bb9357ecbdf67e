"""Cache files: what generators make, where it lies, when and how it comes to exist."""

from __future__ import annotations

from imagekit_registry.cachefiles._content import ImageDict
from imagekit_registry.cachefiles.bulk import Failure, Outcome, generate_many
from imagekit_registry.cachefiles.deletion import delete_images
from imagekit_registry.cachefiles.files import (
    Identity,
    ImageCacheFile,
    LazyImageCacheFile,
    get_image,
)
from imagekit_registry.cachefiles.prefetch import prefetch_images
from imagekit_registry.registry import cachefile_registry
from imagekit_registry.signals import content_required, existence_required

__all__ = [
    "Failure",
    "Identity",
    "ImageCacheFile",
    "ImageDict",
    "LazyImageCacheFile",
    "Outcome",
    "content_required",
    "delete_images",
    "existence_required",
    "generate_many",
    "get_image",
    "prefetch_images",
]

cachefile_registry.make_file = LazyImageCacheFile
