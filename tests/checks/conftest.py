"""Specs with mistakes, and what the checks say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.checks import CheckMessage

from imagekit_registry import ImageSpec, register, unregister


def ids(messages: list[CheckMessage]) -> list[str | None]:
    return [message.id for message in messages]


@pytest.fixture
def registered() -> Iterator[Callable[[str, Any], None]]:
    """Return a function that registers a generator until the end of the test."""
    known: list[str] = []

    def add(id: str, generator: Any) -> None:
        register.generator(id, generator)
        known.append(id)

    yield add
    for id in known:
        unregister.generator(id)


def spec(**attributes: Any) -> type[ImageSpec]:
    """Return a spec class with these attributes."""
    return type("Declared", (ImageSpec,), attributes)
