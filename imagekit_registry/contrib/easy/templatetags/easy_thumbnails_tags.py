"""`{% load easy_thumbnails_tags %}`: the same as ``thumbnail``, where another app has that name too."""

from __future__ import annotations

from imagekit_registry.contrib.easy.templatetags.thumbnail import register

__all__ = ["register"]
