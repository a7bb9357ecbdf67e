"""The Django app."""

from __future__ import annotations

from functools import partial

from django.apps import AppConfig, apps
from django.core import checks
from django.core.signals import request_finished, request_started
from django.utils.module_loading import autodiscover_modules, import_string
from django.utils.translation import gettext_lazy as _

from imagekit_registry import signals
from imagekit_registry._lazy import later
from imagekit_registry.conf import publish_defaults
from imagekit_registry.registry import ADMIN_PREVIEW_ID, THUMBNAIL_ID, generator_registry

__all__ = ["ImageKitConfig"]

_LIBRARY = "imagekit_registry.generatorlibrary"
_CHECKS = "imagekit_registry.checks"
_RECEIVERS = "imagekit_registry.cachefiles.receivers"
_STATE = "imagekit_registry.state"


class ImageKitConfig(AppConfig):
    """Finds every app's ``imagegenerators.py``, connects signals, registers checks."""

    name = "imagekit_registry"
    verbose_name = _("Image variations")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect what must be connected once per process."""
        # What these modules import needs the models, which are loaded by now.
        from imagekit_registry._openers import register_heif
        from imagekit_registry.specs.sourcegroups import watch_all_images

        publish_defaults()
        register_heif()
        library = {THUMBNAIL_ID: "Thumbnail"}
        if apps.is_installed("django.contrib.admin"):
            library[ADMIN_PREVIEW_ID] = "AdminPreview"
        for spec_id, name in library.items():
            generator_registry.offer(spec_id, partial(import_string, f"{_LIBRARY}.{name}"))
        _connect()
        watch_all_images()
        autodiscover_modules("imagegenerators")
        checks.register(later(_CHECKS, "check_all"), "imagekit")
        checks.register(later(_CHECKS, "check_deployed"), "imagekit", deploy=True)


def _connect() -> None:
    """Connect what is imported with the first request, or the first source that is saved."""
    for signal, module, name in (
        (request_started, _CHECKS, "log_errors"),
        (request_started, _STATE, "open_request_scope"),
        (request_finished, _STATE, "close_request_scope"),
        (signals.source_saved, _RECEIVERS, "on_source_saved"),
        (signals.source_deleted, _RECEIVERS, "on_source_deleted"),
        (signals.sources_saved, _RECEIVERS, "on_sources_saved"),
        (signals.sources_deleted, _RECEIVERS, "on_sources_deleted"),
        (signals.source_moved, _RECEIVERS, "on_source_moved"),
        (signals.source_written, _RECEIVERS, "on_source_written"),
    ):
        signal.connect(later(module, name), weak=False, dispatch_uid=f"imagekit_registry.{name}")
