"""Form fields."""

from __future__ import annotations

from imagekit_registry.forms.fields import ProcessedImageField

__all__ = ["ProcessedImageField"]
