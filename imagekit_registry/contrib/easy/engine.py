"""The address at which easy-thumbnails has the exception for what it cannot read."""

from __future__ import annotations

from imagekit_registry.contrib.easy.exceptions import NoSourceGenerator

__all__ = ["NoSourceGenerator"]
