"""The address at which sorl-thumbnail has the admin's file input, and its mixin."""

from __future__ import annotations

from imagekit_registry.admin import ImageAdminMixin as AdminImageMixin
from imagekit_registry.admin import ImageAdminWidget as AdminImageWidget

__all__ = ["AdminImageMixin", "AdminImageWidget"]
