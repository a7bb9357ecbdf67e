"""What sorl-thumbnail has made is found by its names, and taken over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages

from imagekit_registry.contrib.sorl.moving import name_of
from imagekit_registry.specs import StoredFile
from tests.management.conftest import Result

Run = Callable[..., Result]

pytestmark = [pytest.mark.usefixtures("sorl"), pytest.mark.django_db]


@pytest.mark.parametrize(
    ("source", "geometry", "options", "name"),
    [
        (
            "photos/rocket.jpg",
            "240x160",
            {"crop": "center"},
            "cache/54/e6/54e6b74fe04fe1fefe7ee7e39280d4cb.jpg",
        ),
        (
            "photos/rocket.jpg",
            "x80",
            {"quality": 70, "upscale": False},
            "cache/21/79/21799b1a0c2aab7800b4210aba1c9863.jpg",
        ),
        (
            "photos/å.png",
            "300",
            {"format": "PNG"},
            "cache/95/a9/95a92429237df3545c379b2cd5bcf102.png",
        ),
    ],
)
def test_names_are_those_of_sorl_thumbnail(
    source: str, geometry: str, options: dict[str, Any], name: str, settings: Any
) -> None:
    """As version 13.4 has given them."""
    settings.STORAGES = {"default": {"BACKEND": "django.core.files.storage.FileSystemStorage"}}
    assert name_of(StoredFile(source), geometry, options) == name


def test_settings_and_other_storages_are_told_in_names(settings: Any, tmp_path: Path) -> None:
    """As version 13.4 has told them."""
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {
        "default": {"BACKEND": backend},
        "other": {"BACKEND": backend, "OPTIONS": {"location": str(tmp_path)}},
    }
    other = StoredFile("photos/rocket.jpg", storages["other"])
    name = name_of(other, "240x160", {"crop": "20% 80%"})
    assert name == "cache/90/43/9043c06e7a640c815eb249329174fe35.jpg"
    settings.THUMBNAIL_PRESERVE_FORMAT = True
    settings.THUMBNAIL_PROGRESSIVE = False
    settings.THUMBNAIL_PREFIX = "thumbs/"
    name = name_of(StoredFile("photos/å.png"), "300", {})
    assert name == "thumbs/49/73/497390558f64a710786f46ace126a6ac.png"
