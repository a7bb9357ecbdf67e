"""A site that serves images: ours or Wagtail's, as ``SERVING_NAME`` says, for gunicorn."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import django
from django.conf import settings

__all__ = ["application", "prepare"]

NAME = os.environ["SERVING_NAME"]
ROOT = Path(os.environ["SERVING_ROOT"])
APPS = {
    "ours": ["imagekit_registry"],
    "wagtail": ["wagtail.images", "wagtail.admin", "wagtail.users", "wagtail.documents", "wagtail.search", "wagtail", "taggit", "modelcluster", "modelsearch"],
}  # fmt: skip
LOCAL = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}

settings.configure(
    SECRET_KEY="benchmarks only",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", *APPS[NAME]],
    # Nothing but what the views need: no middleware, and what is looked up is in the process.
    MIDDLEWARE=[],
    CACHES={"default": LOCAL, "renditions": {**LOCAL, "OPTIONS": {"MAX_ENTRIES": 100_000}}},
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": ROOT / f"{NAME}.sqlite3",
            "CONN_MAX_AGE": None,
            "OPTIONS": {"init_command": "PRAGMA journal_mode=wal", "timeout": 20},
        }
    },
    MEDIA_ROOT=ROOT / NAME,
    MEDIA_URL="/media/",
    STATIC_URL="/static/",
    ROOT_URLCONF=__name__,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    WAGTAILIMAGES_JPEG_QUALITY=85,
    WAGTAILADMIN_BASE_URL="http://127.0.0.1",
)
django.setup()

# ruff: noqa: E402 -- what sets Django up comes first
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import include, path, re_path

if NAME == "ours":
    from imagekit_registry import ImageSpec, get_image, register
    from imagekit_registry.processors import ResizeToFill
    from imagekit_registry.serving import ImageView, image_urls

    @register.generator("bench:small")
    class Small(ImageSpec):
        """What all of them make."""

        processors = [ResizeToFill(300, 200)]
        format = "JPEG"
        options = {"quality": 85}

    def urls_of(names: list[str]) -> list[str]:
        """Return the URL of the image of each of *names*."""
        return [get_image("bench:small", source=name).demand_url() for name in names]

    def routes(mode: str) -> Any:
        """Return the URLs of a mode."""
        return include(image_urls(ImageView.as_view(mode=mode)))

    urlpatterns = [path("stream/", routes("stream")), path("redirect/", routes("redirect"))]
else:
    from wagtail.images import get_image_model
    from wagtail.images.utils import generate_signature
    from wagtail.images.views.serve import ServeView

    FILTER = "fill-300x200"

    def urls_of(names: list[str]) -> list[str]:
        """Return the URL of the rendition of each of *names*."""
        model = get_image_model()
        fields = {"width": 1600, "height": 1200, "title": "a photograph"}
        model.objects.bulk_create([model(file=name, **fields) for name in names])
        pairs = dict(model.objects.values_list("file", "pk"))
        return [
            f"/stream/{generate_signature(pairs[name], FILTER)}/{pairs[name]}/{FILTER}/a.jpg"
            for name in names
        ]

    def route(action: str) -> Any:
        """Return the URL of an action."""
        parts = (
            r"/(?P<signature>[^/]*)/(?P<image_id>\d*)/(?P<filter_spec>[^/]*)/(?P<filename>[^/]*)$"
        )
        return re_path(f"^{action}{parts}", ServeView.as_view(action=actions[action]))

    actions = {"stream": "serve", "redirect": "redirect"}
    urlpatterns = [route(each) for each in actions]

application = get_wsgi_application()


def prepare() -> None:
    """Make the tables, and print the URLs of the images of the sources that are named on stdin."""
    call_command("migrate", verbosity=0)
    print(json.dumps(urls_of(json.load(sys.stdin))))
