"""Specs that the pages use, and a cache that counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches

from tests.caches import CountingCache
from tests.pages import Banner, Wide, registered


@pytest.fixture(autouse=True)
def specs() -> Iterator[None]:
    """Register the specs while the test runs."""
    with registered(banner=Banner, wide=Wide):
        yield


@pytest.fixture
def name(stored_photo: Any) -> str:
    """Return the name of a stored photograph, of 640 x 427 pixels."""
    return str(stored_photo())


@pytest.fixture
def names(stored_photo: Any) -> list[str]:
    """Return the names of ten photographs."""
    return [stored_photo(name=f"photos/{number}.jpg") for number in range(10)]


@pytest.fixture
def counting(settings: Any) -> Any:
    """Use a cache that counts."""
    settings.CACHES = {"default": {"BACKEND": "tests.caches.CountingCache", "LOCATION": "tags"}}
    caches["default"].clear()
    yield CountingCache.calls
    caches["default"].clear()
