"""Settings: with our defaults, wherever code written for django-imagekit reads them."""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.conf import settings as _django_settings

from imagekit_registry import ImageSpec
from imagekit_registry.conf import conf, publish_defaults
from imagekit_registry.conf import settings as ours
from imagekit_registry.utils import suggest_extension

django_settings: Any = _django_settings
FROM_DJANGO_IMAGEKIT = {
    "CACHEFILE_NAMER": "imagekit_registry.cachefiles.namers.hash",
    "SPEC_CACHEFILE_NAMER": "imagekit_registry.cachefiles.namers.source_name_as_path",
    "CACHEFILE_DIR": "CACHE/images",
    "DEFAULT_CACHEFILE_BACKEND": "imagekit_registry.cachefiles.backends.Simple",
    "DEFAULT_CACHEFILE_STRATEGY": "imagekit_registry.cachefiles.strategies.JustInTime",
    "DEFAULT_FILE_STORAGE": "default",
    "CACHE_BACKEND": "default",
    "CACHE_PREFIX": "imagekit:",
    "USE_MEMCACHED_SAFE_CACHE_KEY": True,
    "DEFAULT_THUMBNAIL_FORMAT": None,
    "DEFAULT_THUMBNAIL_SRCSET_SCALES": None,
}


def flat_namer(generator: Any) -> str:
    """Name a file as namers written for django-imagekit do."""
    stem = os.path.splitext(os.path.basename(generator.source.name))[0]
    extension = suggest_extension(generator.source.name, generator.format)
    return os.path.join(django_settings.IMAGEKIT_CACHEFILE_DIR, f"{stem}{extension}")


class TestDefaults:
    """What a setting is if the project sets none."""

    @pytest.mark.parametrize("place", [ours, django_settings], ids=["ours", "django"])
    @pytest.mark.parametrize(("name", "default"), FROM_DJANGO_IMAGEKIT.items())
    def test_both_places_have_the_defaults(self, place: Any, name: str, default: Any) -> None:
        """Under `imagekit_registry.conf.settings` and under `django.conf.settings`."""
        assert getattr(place, f"IMAGEKIT_{name}") == default

    @pytest.mark.parametrize(("debug", "timeout"), [(False, None), (True, 300)])
    def test_the_timeout_hangs_on_debug(
        self, settings: Any, debug: bool, timeout: int | None
    ) -> None:
        """Developers see what changes within five minutes; a site keeps it for ever."""
        settings.DEBUG = debug
        found = ours.IMAGEKIT_CACHE_TIMEOUT
        assert found == timeout

    def test_a_namer_written_for_django_imagekit_works(self, settings: Any) -> None:
        """It reads the folder where Django has its settings, whether a project sets one or not."""

        class Flat(ImageSpec):
            namer = flat_namer
            format = "PNG"

        spec = Flat(source="photos/bulldog.jpg")
        assert spec.cachefile_name == "CACHE/images/bulldog.png"
        settings.IMAGEKIT_CACHEFILE_DIR = "made"
        assert spec.cachefile_name == "made/bulldog.png"

    def test_what_the_project_sets_is_left_alone(self, settings: Any) -> None:
        """A default takes no value's place."""
        settings.IMAGEKIT_CACHEFILE_DIR = "made"
        publish_defaults()
        assert django_settings.IMAGEKIT_CACHEFILE_DIR == "made"
        assert (ours.IMAGEKIT_CACHEFILE_DIR, conf.CACHEFILE_DIR) == ("made", "made")

    def test_other_settings_are_djangos(self) -> None:
        """`imagekit_registry.conf.settings` stands in for Django's own."""
        assert ours.MEDIA_URL == django_settings.MEDIA_URL
        assert not hasattr(ours, "IMAGEKIT_NOTHING")
