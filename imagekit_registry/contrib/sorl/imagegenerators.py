"""The generators behind sorl-thumbnail's tag and filters, found as those of every app are."""

from __future__ import annotations

from imagekit_registry.contrib.sorl.specs import ORIGINAL_ID, THUMBNAIL_ID, Original, Thumbnail
from imagekit_registry.registry import register

register.generator(THUMBNAIL_ID, Thumbnail)
register.generator(ORIGINAL_ID, Original)
