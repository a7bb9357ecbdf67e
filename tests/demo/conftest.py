"""Fixtures of the demo's tests: one server for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.demo._site import Demo, Visitor


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Return a demo with the photographs loaded, in a folder of its own."""
    site = Demo(tmp_path_factory.mktemp("demo"))
    site.manage("migrate", "--verbosity", "0")
    site.manage("loaddemo")
    return site


@pytest.fixture(scope="session")
def address(demo: Demo) -> Iterator[str]:
    """Return the address of the demo's server."""
    with demo.serve() as address:
        yield address


@pytest.fixture
def visitor(address: str) -> Visitor:
    """Return somebody who has not been on the site before."""
    return Visitor(address)
