"""Specs that the pages use, and a cache that counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.pages import Banner, Wide, registered


@pytest.fixture(autouse=True)
def specs() -> Iterator[None]:
    """Register the specs while the test runs."""
    with registered(banner=Banner, wide=Wide):
        yield


@pytest.fixture
def names(stored_photo: Any) -> list[str]:
    """Return the names of ten photographs."""
    return [stored_photo(name=f"photos/{number}.jpg") for number in range(10)]
