"""The spec behind django-versatileimagefield's names, found as those of every app are."""

from __future__ import annotations

from imagekit_registry.contrib.versatile.specs import IMAGE_ID, VersatileImage
from imagekit_registry.registry import register

register.generator(IMAGE_ID, VersatileImage)
