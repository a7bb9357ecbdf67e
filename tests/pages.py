"""Pages that use the tags, as browsers read them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any

from django.core.cache import caches
from django.core.files.storage import storages
from django.template import Context, Template
from PIL import Image

from imagekit_registry import ImageSpec, register, unregister
from imagekit_registry.processors import ResizeToFill, ResizeToFit
from imagekit_registry.testing import forget_state
from tests.caches import CountingCache


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(html: str, tag: str = "img") -> list[dict[str, Any]]:
    """Return the attributes of every element of a kind, as a browser reads them."""
    parser = _Elements()
    parser.feed(html)
    return [attributes for name, attributes in parser.found if name == tag]


def render(source: str, **context: Any) -> str:
    """Render a template that loads the library."""
    return Template("{% load imagekit %}" + source).render(Context(context))


class Banner(ImageSpec):
    """A spec of the test project."""

    processors = [ResizeToFill(120, 40)]
    format = "JPEG"


class Wide(ImageSpec):
    """A spec that keeps the proportions."""

    processors = [ResizeToFit(600, 600, upscale=False)]
    format = "JPEG"
    options = {"quality": 70}


@contextmanager
def registered(**specs: Any) -> Iterator[None]:
    """Register specs as ``tests:NAME`` while the context lasts."""
    for name, spec in specs.items():
        register.generator(f"tests:{name}", spec)
    try:
        yield
    finally:
        for name in specs:
            unregister.generator(f"tests:{name}")


def served(url: str) -> Image.Image:
    """Return the image behind a URL."""
    with storages["default"].open(url.removeprefix("/media/")) as file:
        image = Image.open(file)
        image.load()
        return image


def be_fresh() -> None:
    """Be a process that has rendered nothing yet, beside a cache that knows all."""
    forget_state()
    CountingCache.calls.clear()


def forget_everything() -> None:
    """Be a process that has rendered nothing yet, beside an empty cache."""
    caches["default"].clear()
    be_fresh()
