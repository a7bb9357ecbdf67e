"""The settings of django-versatileimagefield that are read, and what takes the place of the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

__all__ = ["DEFAULTS", "REPLACED", "get", "key_sets"]

#: What ``VERSATILEIMAGEFIELD_SETTINGS`` may hold, with its defaults.
DEFAULTS: Mapping[str, object] = {
    "create_images_on_demand": True,
    "jpeg_resize_quality": 70,
    "lossless_webp": False,
    "placeholder_directory_name": "__placeholder__",
    "progressive_jpeg": False,
    "webp_resize_quality": 70,
}
_STATE = "what is known of images is kept as the IMAGEKIT settings have it"
_FOLDER = "images lie under IMAGEKIT_CACHEFILE_DIR"
#: What to write in the place of those that have no effect.
REPLACED: Mapping[str, str] = {
    "cache_length": _STATE,
    "cache_name": "write IMAGEKIT_CACHE_BACKEND",
    "filtered_directory_name": _FOLDER,
    "image_key_post_processor": "a name is a namer's: IMAGEKIT_SPEC_CACHEFILE_NAMER",
    "sized_directory_name": _FOLDER,
}


def get(name: str) -> Any:
    """Return a value of ``VERSATILEIMAGEFIELD_SETTINGS``, or its default.

    Args:
        name: Its key.
    """
    return getattr(settings, "VERSATILEIMAGEFIELD_SETTINGS", {}).get(name, DEFAULTS[name])


def key_sets() -> Mapping[str, Any]:
    """Return ``VERSATILEIMAGEFIELD_RENDITION_KEY_SETS``: pairs of names and keys, by the set's name."""
    sets: Mapping[str, object] = getattr(settings, "VERSATILEIMAGEFIELD_RENDITION_KEY_SETS", {})
    return sets
