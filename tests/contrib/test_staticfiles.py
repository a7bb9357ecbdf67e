"""Images of static files, made by ``collectstatic``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from django.core.management import CommandError, call_command

from imagekit_registry import ImageSpec, get_image, register, static_image
from imagekit_registry.contrib.staticfiles import StaticImagesMixin
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.specs.static import StaticSourceGroup


class Hashed(StaticImagesMixin, ManifestStaticFilesStorage):  # type: ignore[misc]  # as in the stubs
    """One that has something else to do with what is collected."""


class Hero(ImageSpec):
    """A spec for files of the site's own."""

    processors = [ResizeToFill(60, 40)]
    format = "WEBP"


@pytest.fixture(
    params=["imagekit_registry.contrib.staticfiles.StaticImagesMixin", f"{__name__}.Hashed"]
)
def folder(request: Any, tmp_path: Path, settings: Any, photos: Path) -> Path:
    """Return the folder of the site's static files, with a photograph that is to be collected."""
    folder = tmp_path / "assets"
    (folder / "img").mkdir(parents=True)
    shutil.copy(photos / "rocket.jpg", folder / "img" / "hero.jpg")
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": request.param}}
    settings.STATICFILES_DIRS = [folder]
    settings.STATIC_ROOT = tmp_path / "collected"
    settings.STATIC_URL = "/static/"
    finders.get_finder.cache_clear()  # type: ignore[attr-defined]
    register.generator("tests:hero", Hero)
    register.source_group("tests:hero", StaticSourceGroup("img/*"))
    return folder


def collect(**options: Any) -> None:
    call_command("collectstatic", interactive=False, verbosity=0, **options)


def is_made() -> bool:
    return get_image("tests:hero", source=static_image("img/hero.jpg")).exists()


def test_images_are_made_of_what_is_collected(folder: Path) -> None:
    """And not before, nor by ``--dry-run``."""
    collect(dry_run=True)
    assert not is_made()
    collect()
    assert is_made()


def test_collecting_ends_with_an_image_that_cannot_be_made(folder: Path) -> None:
    """A version is not deployed without what its pages show."""
    (folder / "img" / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(CommandError):
        collect()
    assert is_made()
