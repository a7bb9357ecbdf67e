"""The gallery's app."""

from __future__ import annotations

from django.apps import AppConfig


class GalleryConfig(AppConfig):
    """Photographs and the images that are made of them."""

    name = "demo.gallery"
    verbose_name = "Gallery"
    default_auto_field = "django.db.models.BigAutoField"
