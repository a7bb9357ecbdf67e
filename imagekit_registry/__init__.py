"""Image variations for Django: specs registered once, looked up by name everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagekit_registry._lazy import lazy_names

if TYPE_CHECKING:
    from imagekit_registry.cachefiles import delete_images, get_image, prefetch_images
    from imagekit_registry.imaging import Target
    from imagekit_registry.registry import register, unregister
    from imagekit_registry.specs import ImageSpec, Picture, Source
    from imagekit_registry.specs.static import static_image
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "cachefiles": ["delete_images", "get_image", "prefetch_images"],
            "imaging": ["Target"],
            "processors": [],
            "registry": ["register", "unregister"],
            "specs": ["ImageSpec", "Picture", "Source"],
            "specs.static": ["static_image"],
        },
    )

__all__ = [
    "ImageSpec",
    "Picture",
    "Source",
    "Target",
    "delete_images",
    "get_image",
    "prefetch_images",
    "register",
    "static_image",
    "unregister",
]

__version__ = "0.2.0"
