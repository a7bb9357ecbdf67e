"""A site whose images are made beside or after its pages, for servers; it writes down what it makes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import django
from django.conf import settings

FOLDER = Path(os.environ["SITE_FOLDER"])
BACKENDS = "imagekit_registry.cachefiles.backends"
settings.configure(
    SECRET_KEY="tests only",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["imagekit_registry"],
    MEDIA_ROOT=FOLDER,
    ROOT_URLCONF=__name__,
    IMAGEKIT_DEFAULT_CACHEFILE_BACKEND=f"{BACKENDS}.{os.environ['SITE_BACKEND']}",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()

# ruff: noqa: E402 -- what sets Django up comes first
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from imagekit_registry import ImageSpec, get_image, register, signals
from imagekit_registry.processors import ResizeToFit

#: Seconds after which what waits for a test gives up.
PATIENCE = 20


class WaitForTest:
    """A processor that goes on when the test has received its page."""

    def digest_state(self) -> str:
        """Return what tells it from others."""
        return ""

    def process(self, image: Any) -> Any:
        """Wait until the test lets it go on."""
        ends_at = time.monotonic() + PATIENCE
        while not (FOLDER / "go").exists() and time.monotonic() < ends_at:
            time.sleep(0.01)
        return image


@register.generator("site:small")
class Small(ImageSpec):
    """An image of some width."""

    format = "JPEG"

    def __init__(self, source: Any = None, width: int = 100) -> None:
        self.processors = [ResizeToFit(width), WaitForTest()]
        super().__init__(source)


def _show(count: int) -> HttpResponse:
    images = [get_image("site:small", source="a.jpg", width=100 + each) for each in range(count)]
    return HttpResponse(" ".join(f"{each.url} {each.width}" for each in images))


def _page(request: HttpRequest, count: int) -> HttpResponse:
    return _show(count)


async def _async_page(request: HttpRequest, count: int) -> HttpResponse:
    return _show(count)


def _note(sender: Any, file: Any, **kwargs: Any) -> None:
    log = os.open(FOLDER / "made", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, f"{file.name}\n".encode())
    os.close(log)


signals.generated.connect(_note, dispatch_uid="site")
urlpatterns = [path("page/<int:count>", _page), path("async/<int:count>", _async_page)]
wsgi, asgi = get_wsgi_application(), get_asgi_application()
