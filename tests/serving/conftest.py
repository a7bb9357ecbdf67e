"""Specs whose images are made on demand, and what asks for them."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from django.urls import include, path

from imagekit_registry import ImageSpec, get_image, register
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.strategies import OnDemand
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.serving import image_urls

SPEC = "serving:small"


class Small(ImageSpec):
    """An image that pages leave to who asks for it."""

    processors = [ResizeToFit(100, 100)]
    format = "WEBP"
    cachefile_strategy = OnDemand


class Wide(ImageSpec):
    """An image in several widths, which need no signature of their own."""

    format = "JPEG"
    cachefile_strategy = OnDemand
    serving_arguments = ("width",)

    def __init__(self, source: Any = None, width: int = 100) -> None:
        self.processors = [ResizeToFit(width)]
        super().__init__(source)


@pytest.fixture(autouse=True)
def specs() -> None:
    """Register the specs; the fixture of all tests takes them out again."""
    register.generator(SPEC, Small)
    register.generator("serving:wide", Wide)


@pytest.fixture
def small(name: str) -> Callable[[], ImageCacheFile]:
    """Return a function that gives the cache file anew, as each page does."""
    return lambda: get_image(SPEC, source=name)


@pytest.fixture
def serve(settings: Any) -> Callable[..., None]:
    """Return a function that puts another view behind the on-demand URLs."""

    def put(view: Any) -> None:
        urls: Any = ModuleType("urls of one test")
        urls.urlpatterns = [path("images/", include(image_urls(view)))]
        settings.ROOT_URLCONF = urls

    return put
