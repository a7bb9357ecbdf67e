"""Settings: with our defaults, wherever code written for django-imagekit reads them."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import pytest
from django.conf import settings as _django_settings

from imagekit_registry import ImageSpec
from imagekit_registry.conf import conf, publish_defaults
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

    @pytest.mark.parametrize(("name", "default"), FROM_DJANGO_IMAGEKIT.items())
    def test_djangos_settings_and_ours_have_the_same_defaults(
        self, name: str, default: Any
    ) -> None:
        """Under `imagekit_registry.conf.conf` and under `django.conf.settings`."""
        assert getattr(conf, name) == default
        assert getattr(django_settings, f"IMAGEKIT_{name}") == default

    def test_code_for_django_imagekit_finds_djangos_settings_beside_ours(self) -> None:
        """It imports them from there, too."""
        assert importlib.import_module("imagekit_registry.conf").settings is _django_settings

    @pytest.mark.parametrize(("debug", "timeout"), [(False, None), (True, 300)])
    def test_the_timeout_hangs_on_debug(
        self, settings: Any, debug: bool, timeout: int | None
    ) -> None:
        """Developers see what changes within five minutes; a site keeps it for ever."""
        settings.DEBUG = debug
        found = conf.CACHE_TIMEOUT
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
        assert conf.CACHEFILE_DIR == "made"

    def test_a_setting_that_is_none_of_ours_is_not_there(self) -> None:
        """A slip of the pen is told, and does not pass as None."""
        assert not hasattr(conf, "NOTHING")
        with pytest.raises(AttributeError, match="There is no setting IMAGEKIT_NOTHING"):
            conf.NOTHING  # type: ignore[attr-defined]  # noqa: B018

    def test_reading_a_setting_calls_django_and_nothing_else(self) -> None:
        """A page reads two dozen for each of its images."""
        assert conf.CACHE_PREFIX == "imagekit:"
        calls: list[str] = []
        before = sys.getprofile()
        sys.setprofile(lambda frame, event, _: calls.append(event))
        try:
            conf.CACHE_PREFIX  # noqa: B018
        finally:
            sys.setprofile(before)
        assert calls.count("call") == 1
