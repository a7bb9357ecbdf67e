"""sorl-thumbnail's names of the mixin that gives image fields of the admin a preview."""

from __future__ import annotations

from imagekit_registry.admin import ImageAdminMixin as AdminImageMixin

__all__ = ["AdminImageMixin", "AdminInlineImageMixin"]

AdminInlineImageMixin = AdminImageMixin
