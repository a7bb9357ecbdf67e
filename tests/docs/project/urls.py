"""URLs of the project in which the documentation's examples run."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("images/", include("imagekit_registry.serving.urls")),
]
