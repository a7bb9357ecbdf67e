"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks

__all__ = ["SorlConfig"]


class SorlConfig(AppConfig):
    """Registers the checks; the generators are found as those of every app are."""

    name = "imagekit_registry.contrib.sorl"
    label = "imagekit_sorl"

    def ready(self) -> None:
        """Connect what must be connected once per process."""
        # It imports the tags, which need the registry of apps.
        from imagekit_registry.contrib.sorl._checks import check_settings, check_templates

        checks.register(check_settings, "imagekit")
        checks.register(check_templates, "imagekit")
