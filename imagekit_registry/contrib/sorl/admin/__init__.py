"""sorl-thumbnail's names of what gives image fields of the admin a preview."""

from __future__ import annotations

from imagekit_registry.contrib.sorl.admin.current import AdminImageMixin

__all__ = ["AdminImageMixin", "AdminInlineImageMixin"]

AdminInlineImageMixin = AdminImageMixin
