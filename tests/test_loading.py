"""From dotted paths and settings to objects."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from imagekit_registry import get_image
from imagekit_registry.cachefiles.backends import Threads, load_backend
from imagekit_registry.cachefiles.namers import source_name_as_path
from imagekit_registry.cachefiles.strategies import Optimistic, load_strategy
from imagekit_registry.checks import check_all
from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.state import get_state_store
from imagekit_registry.utils import get_by_qname, get_storage
from tests.storages import RemoteStorage

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


#: What dotted paths lead to.
THREADS = Threads(workers=1)
OTHER_STORAGE = RemoteStorage()
OPTIMISTIC = Optimistic()


class NeedsArguments:
    """A class that cannot be built without an argument."""

    def __init__(self, own: object) -> None:
        self.own = own


class TestInstances:
    """Dotted paths to what is built already, or cannot be."""

    def test_a_path_may_lead_to_an_instance(self) -> None:
        """It was called, as if it were a class."""
        assert load_backend(f"{__name__}.THREADS") is THREADS
        assert load_strategy(f"{__name__}.OPTIMISTIC") is OPTIMISTIC
        assert get_storage(f"{__name__}.OTHER_STORAGE") is OTHER_STORAGE

    @pytest.mark.parametrize("given", [NeedsArguments, f"{__name__}.NeedsArguments"])
    @pytest.mark.parametrize("load", [load_backend, load_strategy])
    def test_a_class_that_needs_arguments_is_refused(self, load: Any, given: Any) -> None:
        """The message says what may be named instead."""
        with pytest.raises(InvalidConfiguration, match="class that needs no arguments, or"):
            load(given)

    def test_a_store_that_needs_arguments_is_refused(self, settings: Any) -> None:
        """As the library's own do."""
        settings.IMAGEKIT_STATE_STORE = "imagekit_registry.state.CacheStateStore"
        with pytest.raises(InvalidConfiguration, match="argument: 'cache'"):
            get_state_store()
