"""A site with one spec on demand, for servers; it writes down what it makes."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import django
from asgiref.sync import sync_to_async
from django.conf import settings

settings.configure(
    SECRET_KEY="tests only",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["imagekit_registry"],
    MEDIA_ROOT=os.environ["SITE_MEDIA"],
    MEDIA_URL="/media/",
    ROOT_URLCONF=__name__,
    IMAGEKIT_SERVING={
        "MODE": os.environ["SITE_MODE"],
        "PERMISSION": os.environ.get("SITE_PERMISSION"),
    },
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()

# ruff: noqa: E402 -- what sets Django up comes first
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from imagekit_registry import ImageSpec, get_image, register, signals
from imagekit_registry.cachefiles.strategies import OnDemand
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.serving import AsyncImageView, ImageView, image_urls


@register.generator("site:small")
class Small(ImageSpec):
    """An image that is made when it is asked for."""

    processors = [ResizeToFit(300, 300)]
    format = "JPEG"
    cachefile_strategy = OnDemand


async def let_staff(request: HttpRequest, file: Any) -> bool:
    """Let those see an image who say that they may."""
    await asyncio.sleep(0.01)
    # As a query would be made.
    return await sync_to_async(request.headers.get)("X-Staff") == "yes"


def _page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(get_image("site:small", source="large.jpg").url)


def _note(sender: Any, file: Any, **kwargs: Any) -> None:
    log = os.open(os.environ["SITE_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, f"{file.name}\n".encode())
    os.close(log)


signals.generated.connect(_note, dispatch_uid="site")
view: type[ImageView] = AsyncImageView if os.environ["SITE_ASYNC"] else ImageView
urlpatterns = [path("page", _page), path("images/", include(image_urls(view.as_view())))]
wsgi, asgi = get_wsgi_application(), get_asgi_application()
