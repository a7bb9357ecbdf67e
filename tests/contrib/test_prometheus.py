"""Counts and histograms of images, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from imagekit_registry import get_image
from imagekit_registry.exceptions import GenerationError
from imagekit_registry.signals import generated, generation_failed, looked_up
from imagekit_registry.state import get_state_access
from imagekit_registry.testing import forget_state
from tests.pages import Banner, registered

prometheus_client = pytest.importorskip("prometheus_client")


@pytest.fixture
def registry() -> Iterator[Any]:
    """Return a registry that counts what becomes of images."""
    from imagekit_registry.contrib import prometheus

    registry = prometheus_client.CollectorRegistry()
    prometheus.connect(registry)
    with registered(banner=Banner):
        yield registry
    for signal in (generated, generation_failed, looked_up):
        assert signal.disconnect(dispatch_uid="imagekit_registry.prometheus")


def test_an_image_that_is_made_is_counted_with_its_bytes_and_seconds(
    registry: Any, name: str
) -> None:
    """By spec: one made, a few milliseconds, and the bytes of its file."""
    file = get_image("tests:banner", source=name)
    file.generate()
    spec = {"spec": "tests:banner"}
    assert registry.get_sample_value("imagekit_images_made_total", spec) == 1
    assert registry.get_sample_value("imagekit_making_seconds_count", spec) == 1
    assert 0 < registry.get_sample_value("imagekit_making_seconds_sum", spec) < 10
    size = Path(file.path).stat().st_size
    assert registry.get_sample_value("imagekit_image_bytes_sum", spec) == size
    bounds = {"spec": "tests:banner", "le": "16384.0"}
    assert registry.get_sample_value("imagekit_image_bytes_bucket", bounds) == (size <= 16384)


def test_a_failure_is_counted_by_its_cause(registry: Any) -> None:
    """Which is the kind of the exception: what it says has no end, and names files."""
    bad = storages["default"].save("photos/secret.jpg", ContentFile(b"no image"))
    with pytest.raises(GenerationError):
        get_image("tests:banner", source=bad).generate()
    failed = {"spec": "tests:banner", "cause": "UnreadableImage"}
    assert registry.get_sample_value("imagekit_images_failed_total", failed) == 1
    assert registry.get_sample_value("imagekit_images_made_total", {"spec": "tests:banner"}) is None


def test_look_ups_are_counted_by_their_outcome(registry: Any, name: str) -> None:
    """Each question to the store, and each to the storage; what a process remembers is none."""

    def counts() -> list[Any]:
        outcomes = ("record", "no_record", "file", "no_file")
        return [
            registry.get_sample_value("imagekit_lookups_total", {"outcome": outcome}) or 0
            for outcome in outcomes
        ]

    file = get_image("tests:banner", source=name)
    assert not file.exists()
    assert counts() == [0, 1, 0, 1]
    file.generate()
    records, *others = counts()
    forget_state()
    assert file.exists()
    assert counts() == [records + 1, *others]
    for _ in range(3):
        assert file.url
        assert file.exists()
    assert counts() == [records + 1, *others]
    get_state_access().drop([file.identity.key])
    assert file.exists()
    assert counts() == [records + 1, others[0] + 1, others[1] + 1, others[2]]


def test_no_file_of_a_user_is_named(registry: Any, stored_photo: Any) -> None:
    """Whatever becomes of it: labels are specs, causes and outcomes."""
    good = stored_photo(name="photos/secret.jpg")
    bad = storages["default"].save("photos/secret2.jpg", ContentFile(b"no image"))
    get_image("tests:banner", source=good).generate()
    with pytest.raises(GenerationError):
        get_image("tests:banner", source=bad).generate()
    text = prometheus_client.generate_latest(registry).decode()
    assert "imagekit_images_failed_total" in text
    assert "secret" not in text


def test_connecting_again_counts_once(registry: Any, name: str) -> None:
    """As where a project's ``ready()`` is called twice."""
    from imagekit_registry.contrib import prometheus

    prometheus.connect(registry)
    get_image("tests:banner", source=name).generate()
    made = registry.get_sample_value("imagekit_images_made_total", {"spec": "tests:banner"})
    assert made == 1
