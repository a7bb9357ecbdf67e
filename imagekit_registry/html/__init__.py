"""HTML of images: ``<img>``, ``srcset`` and ``<picture>``, for every template language."""

from __future__ import annotations

from imagekit_registry.html._attributes import build_attributes, is_attribute_name
from imagekit_registry.html._batch import active_batch, batched
from imagekit_registry.html._django_batch import waiting
from imagekit_registry.html._elements import ImgMarkup, Markup, PictureMarkup, attempt, show
from imagekit_registry.html._tags import (
    plan_image,
    plan_picture,
    plan_thumbnail,
    thumbnail_file,
)
from imagekit_registry.html._variants import Rendition

__all__ = [
    "ImgMarkup",
    "Markup",
    "PictureMarkup",
    "Rendition",
    "active_batch",
    "attempt",
    "batched",
    "build_attributes",
    "is_attribute_name",
    "plan_image",
    "plan_picture",
    "plan_thumbnail",
    "show",
    "thumbnail_file",
    "waiting",
]
