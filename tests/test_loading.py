"""From dotted paths and settings to objects."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from imagekit_registry import get_image
from imagekit_registry._loading import get_by_qname
from imagekit_registry.cachefiles.namers import source_name_as_path
from imagekit_registry.cachefiles.strategies import Optimistic, load_strategy
from imagekit_registry.checks import check_all
from imagekit_registry.exceptions import InvalidConfiguration

#: What django-imagekit writes into Django's settings.
PUBLISHED = {
    "IMAGEKIT_CACHEFILE_NAMER": "imagekit.cachefiles.namers.hash",
    "IMAGEKIT_SPEC_CACHEFILE_NAMER": "imagekit.cachefiles.namers.source_name_as_path",
    "IMAGEKIT_CACHEFILE_DIR": "CACHE/images",
    "IMAGEKIT_DEFAULT_CACHEFILE_BACKEND": "imagekit.cachefiles.backends.Simple",
    "IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY": "imagekit.cachefiles.strategies.JustInTime",
    "IMAGEKIT_DEFAULT_FILE_STORAGE": "default",
    "IMAGEKIT_CACHE_BACKEND": "default",
    "IMAGEKIT_CACHE_PREFIX": "imagekit:",
    "IMAGEKIT_CACHE_TIMEOUT": None,
    "IMAGEKIT_USE_MEMCACHED_SAFE_CACHE_KEY": True,
}


class TestNamesOfDjangoImagekit:
    """It may be installed in the same project, and settings may name its classes."""

    def test_images_are_made_under_the_settings_that_it_publishes(
        self, settings: Any, photos: Any
    ) -> None:
        """Its classes are none of ours, but ours have the same names."""
        for name, value in PUBLISHED.items():
            setattr(settings, name, value)
        name = storages["default"].save("a.jpg", ContentFile((photos / "rocket.jpg").read_bytes()))
        file = get_image("imagekit:thumbnail", source=name, width=30, height=20)
        assert (file.width, file.height) == (30, 20)
        assert storages["default"].exists(str(file.name))
        assert check_all(None) == []

    def test_a_name_of_its_own_leads_to_ours(self) -> None:
        """For strategies of specs as well."""
        assert get_by_qname("imagekit.cachefiles.namers.source_name_as_path", "namer") is (
            source_name_as_path
        )
        strategy = load_strategy("imagekit.cachefiles.strategies.Optimistic")
        assert type(strategy) is Optimistic

    def test_what_we_have_no_counterpart_of_is_its_own(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A name that we lack leads to where it says."""
        package, module = ModuleType("imagekit"), ModuleType("imagekit.extras")
        module.__dict__["namer"] = found = object()
        monkeypatch.setitem(sys.modules, "imagekit", package)
        monkeypatch.setitem(sys.modules, "imagekit.extras", module)
        assert get_by_qname("imagekit.extras.namer", "namer") is found
        with pytest.raises(InvalidConfiguration, match=r"'imagekit\.absent\.namer'"):
            get_by_qname("imagekit.absent.namer", "namer")
