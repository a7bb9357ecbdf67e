"""What errors tell their reader to do."""

from __future__ import annotations

import importlib.metadata
import sys

import pytest

from imagekit_registry.cachefiles.backends import Celery
from imagekit_registry.exceptions import (
    InvalidConfiguration,
    InvalidFileBackendError,
    how_to_install,
)
from imagekit_registry.imaging import SimdResizer

#: As an installed distribution tells them.
REQUIREMENTS = [
    "attrs>=24.1",
    'celery>=5.4; extra == "celery"',
    'cykooz-resizer>=4.0; extra == "simd"',
    'pyvips>=3.0; extra == "vips"',
    'pyvips-binary>=8.16; extra == "vips"',
]


@pytest.fixture(autouse=True)
def requirements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell of requirements whatever is installed."""
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: REQUIREMENTS)


def test_what_an_extra_needs_is_told_by_its_own_name() -> None:
    """So that the command works wherever this package came from."""
    assert how_to_install("vips") == "pip install 'pyvips>=3.0' 'pyvips-binary>=8.16'"


def test_an_extra_is_told_by_name_where_nothing_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a checkout that is not installed, and for one that is not known."""
    assert how_to_install("no-such") == "pip install 'imagekit-registry[no-such]'"

    def requires(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    assert how_to_install("vips") == "pip install 'imagekit-registry[vips]'"


def test_errors_of_missing_packages_say_how_to_install_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a resizer, and of a backend."""
    monkeypatch.setitem(sys.modules, "cykooz_resizer", None)
    with pytest.raises(InvalidConfiguration, match=r"pip install 'cykooz-resizer>=4.0'"):
        SimdResizer()
    monkeypatch.setattr(Celery, "requires", ("no_such_module",))
    with pytest.raises(InvalidFileBackendError, match=r"pip install 'celery>=5.4'"):
        Celery()
