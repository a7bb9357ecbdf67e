"""Fixtures for pytest, which loads them where this package is installed, beside pytest-django."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from imagekit_registry.cachefiles import ImageCacheFile

__all__ = ["assert_state_trips", "assert_storage_calls", "fake_images", "make_image"]

# What these use is imported when one is asked for: only then the settings are sure to be there.


@pytest.fixture
def fake_images() -> Iterator[list[ImageCacheFile]]:
    """Have images made without pixels in the test, and return those that are made."""
    from imagekit_registry import testing

    with testing.fake_images() as made:
        yield made


@pytest.fixture
def make_image() -> Callable[..., object]:
    """Return the function that makes an image to upload."""
    from imagekit_registry import testing

    return testing.make_image


@pytest.fixture
def assert_storage_calls() -> Callable[[int], AbstractContextManager[list[str]]]:
    """Return the block that fails unless storages are asked a number of times."""
    from imagekit_registry import testing

    return testing.assert_storage_calls


@pytest.fixture
def assert_state_trips() -> Callable[[int], AbstractContextManager[list[str]]]:
    """Return the block that fails unless the state store is asked a number of times."""
    from imagekit_registry import testing

    return testing.assert_state_trips
