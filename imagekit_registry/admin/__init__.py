"""The admin: thumbnails, inputs with previews, and what an operator sees of all images."""

from __future__ import annotations

from django.apps import apps
from django.contrib import admin

from imagekit_registry.admin._images import (
    AdminThumbnail,
    FocalPointWidget,
    ImageAdminMixin,
    ImageAdminWidget,
)
from imagekit_registry.admin._records import CacheFileRecordAdmin, make_images_anew
from imagekit_registry.models import CacheFileRecordRow

__all__ = [
    "AdminThumbnail",
    "CacheFileRecordAdmin",
    "FocalPointWidget",
    "ImageAdminMixin",
    "ImageAdminWidget",
    "make_images_anew",
]

if apps.is_installed("django.contrib.admin") and not admin.site.is_registered(CacheFileRecordRow):
    admin.site.register(CacheFileRecordRow, CacheFileRecordAdmin)
