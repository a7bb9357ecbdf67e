"""What the app does when Django starts, and a model with its fields."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models
from PIL import Image

from imagekit_registry.contrib.versatile.fields import PPOIField, VersatileImageField
from imagekit_registry.contrib.versatile.placeholder import OnDiscPlaceholderImage
from imagekit_registry.contrib.versatile.specs import IMAGE_ID, VersatileImage
from imagekit_registry.models import FocalPointField, ImageSpecField
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.registry import register
from tests.management.conftest import run  # noqa: F401 -- a fixture
from tests.storages import content_of

PHOTOS = Path(__file__).resolve().parents[3] / "demo" / "photos"
SETS = {"all": [("full", "url"), ("small", "thumbnail__90x90"), ("cut", "crop__60x60")]}


@pytest.fixture(autouse=True)
def app(settings: Any) -> None:
    """Register the spec of the app, which finds nothing without it."""
    register.generator(IMAGE_ID, VersatileImage)
    settings.VERSATILEIMAGEFIELD_RENDITION_KEY_SETS = SETS


@pytest.fixture
def model() -> Iterator[Any]:
    """Return a model with the fields, and a table for it."""

    class Picture(models.Model):
        image = VersatileImageField(
            upload_to="pictures", ppoi_field="point", width_field="width", blank=True
        )
        width = models.PositiveIntegerField(null=True)
        point = PPOIField()
        bare = VersatileImageField(upload_to="pictures", blank=True)
        other = VersatileImageField(upload_to="pictures", blank=True, ppoi_field="middle")
        middle = FocalPointField(image_field="other")
        held = VersatileImageField(
            blank=True,
            placeholder_image=OnDiscPlaceholderImage(PHOTOS / "rocket.jpg"),
        )
        focal = ImageSpecField([ResizeToFill(40, 40, anchor="focal")], source="image", format="PNG")

        class Meta:
            app_label = "testapp"

    with connection.schema_editor() as editor:
        editor.create_model(Picture)
    yield Picture
    with connection.schema_editor() as editor:
        editor.delete_model(Picture)
    # Copies of rows look the model up, so that it could not be isolated.
    del apps.all_models["testapp"]["picture"]
    apps.clear_cache()


@pytest.fixture
def picture(model: Any, photos: Path) -> Any:
    """Return a row with an image of 640 x 427 pixels."""
    return model.objects.create(image=content_of(photos / "rocket.jpg"))


def opened(file: Any) -> Any:
    """Return an image, as Pillow opens it."""
    with file.storage.open(file.name) as content:
        return Image.open(io.BytesIO(content.read()))


def opened_or_made(file: Any) -> Any:
    """Return an image of a spec field, which is made now."""
    file.generate()
    return opened(file)
