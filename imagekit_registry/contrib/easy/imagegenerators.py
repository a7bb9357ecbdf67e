"""The specs behind easy-thumbnails' names, found as those of every app are; aliases have their own."""

from __future__ import annotations

from imagekit_registry.contrib.easy.specs import THUMBNAIL_ID, EasyThumbnail
from imagekit_registry.registry import register

register.generator(THUMBNAIL_ID, EasyThumbnail)
