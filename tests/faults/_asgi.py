"""An ASGI site of two pages: one with many missing images, one that only answers."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

# ruff: noqa: E402 -- settings come first
import django
from django.conf import settings

OPTIONS = json.loads(os.environ["IMAGEKIT_ASGI"])
settings.configure(
    ALLOWED_HOSTS=["*"],
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    INSTALLED_APPS=["imagekit_registry"],
    MEDIA_ROOT=OPTIONS["media"],
    MEDIA_URL="/media/",
    ROOT_URLCONF=__name__,
    SECRET_KEY="tests only",
    TEMPLATES=[
        {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True},
    ],
    USE_TZ=True,
)
django.setup()

from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.template import Context, Template
from django.urls import path

from imagekit_registry import get_image
from imagekit_registry.signals import generated

PAGE = Template(
    "{% load imagekit %}{% for size in sizes %}{% thumbnail size 'large.jpg' %}{% endfor %}"
)


async def page(request: Any) -> HttpResponse:
    """Render a page of missing images, in the event loop, as async views do."""
    first = int(request.GET["first"])
    sizes = [f"{width}x{width}" for width in range(first, first + 8)]
    return HttpResponse(PAGE.render(Context({"sizes": sizes})))


async def waiting(request: Any) -> HttpResponse:
    """Wait for an image, without letting others wait."""
    file = get_image("imagekit:thumbnail", source="large.jpg", width=700, height=500)
    shown = await file.ashown()
    stored = Path(OPTIONS["media"]) / str(file.name)
    return HttpResponse(f"{shown.width}x{shown.height} {stored.exists()}")


async def threads(request: Any) -> HttpResponse:
    """Tell in which threads images were made; the event loop's is the main one."""
    return HttpResponse(json.dumps(sorted(MADE_IN)))


MADE_IN: set[str] = set()


def _note(sender: Any, **kwargs: Any) -> None:
    MADE_IN.add(threading.current_thread().name)


generated.connect(_note, dispatch_uid="tests")
urlpatterns = [path("page", page), path("waiting", waiting), path("threads", threads)]
application = get_asgi_application()
