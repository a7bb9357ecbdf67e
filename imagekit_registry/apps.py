"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.core.signals import request_finished, request_started
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _

from imagekit_registry.conf import publish_defaults

__all__ = ["ImageKitConfig"]


class ImageKitConfig(AppConfig):
    """Finds every app's ``imagegenerators.py``, connects signals, registers checks."""

    name = "imagekit_registry"
    verbose_name = _("Image variations")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect what must be connected once per process."""
        # What these modules import needs the models, which are loaded by now.
        from imagekit_registry import generatorlibrary
        from imagekit_registry.cachefiles import receivers
        from imagekit_registry.checks import check_all, check_deployed, log_errors
        from imagekit_registry.state import close_request_scope, open_request_scope

        publish_defaults()
        generatorlibrary.register_all()
        receivers.connect()
        request_started.connect(log_errors, dispatch_uid="imagekit_registry.log_errors")
        request_started.connect(
            open_request_scope, dispatch_uid="imagekit_registry.request_started"
        )
        request_finished.connect(
            close_request_scope, dispatch_uid="imagekit_registry.request_finished"
        )
        autodiscover_modules("imagegenerators")
        checks.register(check_all, "imagekit")
        checks.register(check_deployed, "imagekit", deploy=True)
