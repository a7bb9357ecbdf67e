"""A project into which somebody has moved from sorl-thumbnail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from PIL import Image

from imagekit_registry.contrib.sorl import get_thumbnail
from imagekit_registry.contrib.sorl.images import ThumbnailFile
from imagekit_registry.contrib.sorl.specs import ORIGINAL_ID, THUMBNAIL_ID, Original, Thumbnail
from imagekit_registry.registry import generator_registry
from tests.management.conftest import run  # noqa: F401 -- a fixture
from tests.pages import served

Render = Callable[..., str]


@pytest.fixture
def sorl(settings: Any) -> Callable[..., str]:
    """Install the app; return a function that renders a template which loads its tags."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "imagekit_registry.contrib.sorl"]
    # Modules are imported once, and what another test has registered is gone.
    generator_registry.register(THUMBNAIL_ID, Thumbnail)
    generator_registry.register(ORIGINAL_ID, Original)

    def render(template: str, /, **context: Any) -> str:
        from django.template import engines

        return engines["django"].from_string("{% load thumbnail %}" + template).render(context)

    return render


@pytest.fixture
def name(stored_photo: Any) -> str:
    """Return the name of a stored photograph of 640 x 427 pixels."""
    return str(stored_photo())


@pytest.fixture
def broken() -> str:
    """Return the name of a stored file that is no image."""
    return str(storages["default"].save("photos/broken.jpg", ContentFile(b"no image")))


def store(image: Image.Image, name: str, **options: Any) -> str:
    """Put an image into the default storage, and return its name."""
    path = Path(storages["default"].path(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return name


def thumb(source: Any, geometry: str, **options: Any) -> ThumbnailFile:
    """Return what ``get_thumbnail`` gives where there is an image."""
    file = get_thumbnail(source, geometry, **options)
    assert isinstance(file, ThumbnailFile)
    return file


def shown(file: Any) -> Image.Image:
    """Return the picture that a page shows."""
    return served(file.url)
