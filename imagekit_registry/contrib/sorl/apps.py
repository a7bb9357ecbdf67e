"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks

from imagekit_registry._lazy import later

__all__ = ["SorlConfig"]


class SorlConfig(AppConfig):
    """Registers the checks; the generators are found as those of every app are."""

    name = "imagekit_registry.contrib.sorl"
    label = "imagekit_sorl"

    def ready(self) -> None:
        """Connect what must be connected once per process."""
        for name in ("check_settings", "check_templates"):
            checks.register(later("imagekit_registry.contrib.sorl.moving", name), "imagekit")
