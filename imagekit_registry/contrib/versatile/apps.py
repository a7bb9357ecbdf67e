"""The Django app that stands in the place of django-versatileimagefield."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.utils.module_loading import autodiscover_modules

from imagekit_registry._lazy import later

__all__ = ["VersatileConfig"]


class VersatileConfig(AppConfig):
    """Finds every app's ``versatileimagefield.py``, with its sizers and filters, and has a check."""

    name = "imagekit_registry.contrib.versatile"
    label = "imagekit_versatile"

    def ready(self) -> None:
        """Connect what must be connected once per process."""
        autodiscover_modules("versatileimagefield")
        check = later("imagekit_registry.contrib.versatile.moving", "check_settings")
        checks.register(check, "imagekit")
