"""sorl-thumbnail's names of Django's own fields."""

from __future__ import annotations

from django.db.models import ImageField
from django.forms import ImageField as ImageFormField

__all__ = ["ImageField", "ImageFormField"]
