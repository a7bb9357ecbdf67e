"""The Django app that stands in the place of easy-thumbnails."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.db.models.signals import post_save, pre_save
from django.utils.translation import gettext_lazy as _

from imagekit_registry._lazy import later

__all__ = ["EasyConfig"]


class EasyConfig(AppConfig):
    """Connects signals, registers checks; the specs are found as those of every app are."""

    name = "imagekit_registry.contrib.easy"
    label = "imagekit_easy"
    verbose_name = _("Thumbnails")

    def ready(self) -> None:
        """Connect what must be connected once per process."""
        # What these modules import needs the models, which are loaded by now.
        from imagekit_registry.contrib.easy import signal_handlers
        from imagekit_registry.contrib.easy.alias import aliases
        from imagekit_registry.signals import generated

        aliases.feed()
        uid = f"{self.name}."
        pre_save.connect(signal_handlers.find_uncommitted_filefields, dispatch_uid=f"{uid}pre")
        post_save.connect(signal_handlers.signal_committed_filefields, dispatch_uid=f"{uid}post")
        generated.connect(signal_handlers.tell_of_generated, dispatch_uid=f"{uid}generated")
        for name in ("check_settings", "check_templates"):
            checks.register(later("imagekit_registry.contrib.easy.moving", name), "imagekit")
