"""The demo's addresses."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.contrib.staticfiles.views import serve as serve_static
from django.urls import include, path
from django.views.generic import RedirectView
from django.views.static import serve

urlpatterns = [
    path("", include("demo.gallery.urls")),
    path("admin/", admin.site.urls),
    path("images/", include("imagekit_registry.serving.urls")),
    path("favicon.ico", RedirectView.as_view(url=settings.STATIC_URL + "gallery/icon.svg")),
    # Whatever server runs the demo, it is the only one: in production a web server does this.
    path("media/<path:path>", serve, {"document_root": settings.MEDIA_ROOT}),
    path("static/<path:path>", serve_static, {"insecure": True}),
]

admin.site.site_header = "imagekit_registry demo"
admin.site.site_title = "imagekit_registry demo"
admin.site.index_title = "Demo"
