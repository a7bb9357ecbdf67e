"""Sources that are overwritten behind our back, and when that is found."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.files.storage import storages

from imagekit_registry import get_image, register
from imagekit_registry.testing import forget_state
from tests.cachefiles.test_receivers import Tag, is_dark, upload
from tests.testapp.models import Plain

pytestmark = pytest.mark.django_db(transaction=True)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["cache", "database"])
def clock(request: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, media: Path) -> Clock:
    """Keep the state in each store, count calls to the storage, and stop the clock."""
    settings.IMAGEKIT_STATE_STORE = request.param
    counting = {"BACKEND": "tests.storages.CountingStorage"}
    settings.STORAGES = {**settings.STORAGES, "default": counting}
    register.generator("tests:tag", Tag)
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    media.mkdir(exist_ok=True)
    overwrite(media, "white")
    return made


def overwrite(media: Path, colour: str) -> None:
    """Write the source, as another program does."""
    (media / "a.jpg").write_bytes(upload(colour).read())


def show() -> bool:
    """Show the image, and return whether it is dark."""
    file = get_image("tests:tag", source="a.jpg")
    assert file.url
    assert file.width == 33
    return is_dark(file)


class TestVerifying:
    """A source is looked at again, once in a while."""

    def test_an_overwritten_source_shows_a_minute_later(self, clock: Clock, media: Path) -> None:
        """By itself, on file systems."""
        assert not show()
        overwrite(media, "black")
        clock.now += 59
        assert not show()
        clock.now += 2
        assert show()

    def test_no_storage_is_asked_between_two_looks_at_a_source(self, clock: Clock) -> None:
        """A warm page stays warm."""
        storage: Any = storages["default"]
        show()
        before = dict(storage.calls)
        for _ in range(9):
            clock.now += 6
            file = get_image("tests:tag", source="a.jpg")
            assert file.url
            assert file.width == 33
        asked = {name: count for name, count in storage.calls.items() if name != "url"}
        assert asked == {name: count for name, count in before.items() if name != "url"}

    @pytest.mark.parametrize(("seconds", "finds"), [(0, False), (5, True)])
    def test_sources_are_looked_at_as_often_as_the_setting_says(
        self, clock: Clock, media: Path, settings: Any, seconds: int, finds: bool
    ) -> None:
        """Also never."""
        settings.IMAGEKIT_VERIFY_SOURCES_EVERY = seconds
        assert not show()
        overwrite(media, "black")
        clock.now += 6 if seconds else 1e6
        assert show() == finds


def test_times_are_compared_where_the_state_is_lost(media: Path) -> None:
    """An image field has another object for the default storage than cache files have."""
    register.generator("tests:tag", Tag)
    row = Plain.objects.create(image=upload("white"))
    assert get_image("tests:tag", source=row.image).url
    path = Path(row.image.path)
    path.write_bytes(upload("black").read())
    os.utime(path, (2_000_000_000, 2_000_000_000))
    caches["default"].clear()
    forget_state()
    file = get_image("tests:tag", source=row.image)
    assert file.url
    assert is_dark(file)
