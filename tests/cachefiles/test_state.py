"""States by the names that django-imagekit has for asking for many at once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.core.cache import caches

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.state import (
    get_active_state_cache,
    prefetch_cachefile_states,
    use_cachefile_state_cache,
)
from imagekit_registry.testing import forget_state
from tests.testapp.models import Thumbnail


@pytest.fixture
def files(cache_calls: Counter[str], stored_photo: Any) -> list[ImageCacheFile]:
    """Return a file that exists and one of which nothing is known."""
    made, unknown = (ImageCacheFile(Thumbnail(stored_photo(name=f"photos/{n}.jpg"))) for n in "ab")
    made.generate()
    forget_state()
    return [made, unknown]


def test_a_mapping_of_states_is_filled_in_one_round_trip(
    files: list[ImageCacheFile], cache_calls: Counter[str]
) -> None:
    """With words for what is known; the active one, or the one that is given."""
    cache_calls.clear()
    with use_cachefile_state_cache() as active:
        assert get_active_state_cache() is active
        prefetch_cachefile_states(files)
        assert [active[file.identity.key] for file in files] == ["exists", None]
    assert dict(cache_calls) == {"get_many": 1}
    given: dict[str, Any] = {}
    prefetch_cachefile_states(files, state_cache=given)
    assert given == active


def test_no_state_is_asked_for_without_a_mapping(
    files: list[ImageCacheFile], cache_calls: Counter[str]
) -> None:
    """There is nobody who would look at it."""
    cache_calls.clear()
    prefetch_cachefile_states(files)
    assert (get_active_state_cache(), not cache_calls) == (None, True)


def test_another_cache_may_be_asked_for_states(files: list[ImageCacheFile]) -> None:
    """In the place of that of the files."""
    given: dict[str, Any] = {}
    prefetch_cachefile_states(files, state_cache=given, cache=caches["default"])
    assert [given[file.identity.key] for file in files] == ["exists", None]
