"""What the app does when Django starts, for the tests of its modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.template import Context, Engine

from imagekit_registry.contrib.easy.alias import aliases
from imagekit_registry.contrib.easy.specs import THUMBNAIL_ID, EasyThumbnail
from imagekit_registry.registry import register
from tests.management.conftest import run  # noqa: F401 -- a fixture

LIBRARY = "imagekit_registry.contrib.easy.templatetags"
ENGINE = Engine(
    debug=True,
    libraries={name: f"{LIBRARY}.{name}" for name in ("thumbnail", "easy_thumbnails_tags")},
)


@pytest.fixture(autouse=True)
def easy_thumbnails() -> Iterator[None]:
    """Register the spec of the app, and forget the aliases of a test after it."""
    register.generator(THUMBNAIL_ID, EasyThumbnail)
    known = aliases._aliases
    aliases._aliases = {}
    yield
    aliases._aliases = known


@pytest.fixture
def show() -> Callable[..., str]:
    """Return a function that renders a template with the library loaded."""

    def render(text: str, /, **context: Any) -> str:
        return ENGINE.from_string("{% load thumbnail %}" + text).render(Context(context))

    return render
