"""A server for what others' services are sent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contrib._sink import Sink, listening


@pytest.fixture
def sink() -> Iterator[Sink]:
    """Run a server that takes down what it is sent."""
    with listening() as sink:
        yield sink
