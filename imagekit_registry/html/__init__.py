"""HTML of images: ``<img>``, ``srcset`` and ``<picture>``, for every template language."""

from __future__ import annotations

from imagekit_registry.html._arguments import parse_dimensions
from imagekit_registry.html._batch import Batch, active_batch, attempt, batched, defer
from imagekit_registry.html._django_batch import TagNode, waiting
from imagekit_registry.html._elements import (
    ImgMarkup,
    Markup,
    build_attributes,
    is_attribute_name,
)
from imagekit_registry.html._picture import PictureMarkup, PreloadMarkup, ShownPicture, ShownSource
from imagekit_registry.html._syntax import WrittenTag
from imagekit_registry.html._tags import (
    TAGS,
    Tag,
    explain_unknown,
    image_file,
    picture_file,
    picture_parts,
    plan_image,
    plan_picture,
    plan_preload,
    plan_thumbnail,
    preload_header,
    thumbnail_file,
)
from imagekit_registry.html._written import show

__all__ = [
    "TAGS",
    "Batch",
    "ImgMarkup",
    "Markup",
    "PictureMarkup",
    "PreloadMarkup",
    "ShownPicture",
    "ShownSource",
    "Tag",
    "TagNode",
    "WrittenTag",
    "active_batch",
    "attempt",
    "batched",
    "build_attributes",
    "defer",
    "explain_unknown",
    "image_file",
    "is_attribute_name",
    "parse_dimensions",
    "picture_file",
    "picture_parts",
    "plan_image",
    "plan_picture",
    "plan_preload",
    "plan_thumbnail",
    "preload_header",
    "show",
    "thumbnail_file",
    "waiting",
]
