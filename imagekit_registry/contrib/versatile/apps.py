"""The Django app that stands in the place of django-versatileimagefield."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.utils.module_loading import autodiscover_modules

__all__ = ["VersatileConfig"]


class VersatileConfig(AppConfig):
    """Finds every app's ``versatileimagefield.py``, with its sizers and filters, and has a check."""

    name = "imagekit_registry.contrib.versatile"
    label = "imagekit_versatile"

    def ready(self) -> None:
        """Connect what must be connected once per process."""
        autodiscover_modules("versatileimagefield")
        checks.register(check_settings, "imagekit")


def check_settings(app_configs: object, **kwargs: object) -> list[checks.CheckMessage]:
    """Return the settings of django-versatileimagefield that have no effect."""
    # What is checked needs the models.
    from imagekit_registry.contrib.versatile.conf import DEFAULTS, REPLACED

    found: list[checks.CheckMessage] = []
    for name in getattr(settings, "VERSATILEIMAGEFIELD_SETTINGS", {}):
        if name not in DEFAULTS:
            known = f"there are {', '.join(sorted(DEFAULTS))}"
            text = f"VERSATILEIMAGEFIELD_SETTINGS[{name!r}] has no effect."
            hint = f"Remove it; {REPLACED.get(name, known)}."
            found.append(checks.Warning(text, hint=hint, id="imagekit.W041"))
    if getattr(settings, "VERSATILEIMAGEFIELD_USE_PLACEHOLDIT", False):
        text = "VERSATILEIMAGEFIELD_USE_PLACEHOLDIT has no effect: nothing of other sites is shown."
        hint = "Give the field placeholder_image=, or show something else in the template."
        found.append(checks.Warning(text, hint=hint, id="imagekit.W041"))
    return found
