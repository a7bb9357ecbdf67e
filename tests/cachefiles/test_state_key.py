"""Where the record of a cache file is kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.files.storage import Storage, storages
from django.db import transaction
from django.test import override_settings

from imagekit_registry import ImageSpec, get_image, register
from imagekit_registry.cachefiles.identity import state_key
from imagekit_registry.cachefiles.namers import source_name_and_field
from tests.storages import content_of
from tests.testapp.models import Concrete

pytestmark = pytest.mark.django_db(transaction=True)

IN_MEMORY = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}


class Bucket(Storage):
    """A storage of a cloud, as far as its record is concerned."""

    bucket_name = "one"
    tenant = "a"

    @property
    def location(self) -> str:
        """The folder of the tenant whose turn it is."""
        return f"tenants/{self.tenant}"


class Named(ImageSpec):
    """A spec whose record tells whose image has a name."""

    format = "JPEG"
    namer = staticmethod(source_name_and_field)


def put(photos: Path, name: str) -> Concrete:
    """Return an instance whose image lies in the storage without having been uploaded."""
    storages["default"].save("abstract/one.jpg", content_of(photos / name))
    return Concrete(image="abstract/one.jpg")


def add(photos: Path, name: str) -> Concrete:
    """Return a new row, whose image always has the same name."""
    row = Concrete.objects.create(image=content_of(photos / name, "one.jpg"))
    assert row.image.name == "abstract/one.jpg"
    return row


def check(row: Concrete) -> tuple[int | None, int | None]:
    """Return the size of an image that a page has shown, which is there."""
    assert row.small.url
    assert row.small.storage.exists(str(row.small.name))
    with row.small.open() as content:
        assert content.read(2)
    return row.small.width, row.small.height


@pytest.fixture(params=["cache", "database"])
def state(request: Any, settings: Any) -> str:
    """Keep the state in each store."""
    settings.IMAGEKIT_STATE_STORE = request.param
    return str(request.param)


class TestStateKey:
    """What was recorded of one place is never taken for another."""

    def test_a_state_key_is_another_one_under_another_media_root(
        self, state: str, photos: Path, tmp_path: Path
    ) -> None:
        """As in test suites that give each class a folder of its own, and keep the cache."""
        for folder in ("one", "two"):
            with override_settings(MEDIA_ROOT=tmp_path / folder):
                check(put(photos, "rocket.jpg"))

    def test_a_state_key_is_another_one_for_each_storage_in_memory(
        self, state: str, photos: Path
    ) -> None:
        """Each is empty when it is made."""
        for _ in range(2):
            with override_settings(STORAGES=IN_MEMORY):
                check(put(photos, "rocket.jpg"))

    def test_a_state_key_is_another_one_of_another_bucket_and_folder(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The alias is the same; a tenant's folder is another one at any moment."""
        bucket = {"BACKEND": f"{__name__}.Bucket"}
        settings.STORAGES = {**settings.STORAGES, "default": bucket, "other": bucket}
        keys = {state_key("", "a.jpg"), state_key("other", "a.jpg")}
        monkeypatch.setattr(Bucket, "tenant", "b")
        keys.add(state_key("", "a.jpg"))
        monkeypatch.setattr(Bucket, "bucket_name", "two")
        keys.add(state_key("", "a.jpg"))
        assert len(keys) == 4

    def test_a_state_key_is_another_one_of_a_name_with_white_space(
        self, name: str, stored_photo: Any
    ) -> None:
        """Two files had one record: each was made anew whenever a page had shown the other."""
        names = ["my photo.jpg", "myphoto.jpg", "my\tphoto.jpg", "my\u00a0photo.jpg"]
        keys = {state_key("", each) for each in names}
        assert len(keys) == len(names)
        assert all(key.isprintable() and " " not in key for key in keys)
        register.generator("tests:named", Named)
        for each in names[:2]:
            file = get_image("tests:named", source=stored_photo(name=each))
            assert not file.url.startswith("data:")

    def test_a_state_key_is_the_same_in_every_process(self, settings: Any, media: Path) -> None:
        """It depends on settings alone."""
        assert state_key("", "a.jpg") == state_key("", "a.jpg")
        before = state_key("", "a.jpg")
        with override_settings(MEDIA_ROOT=media / "other"):
            assert state_key("", "a.jpg") != before
        assert state_key("", "a.jpg") == before


def test_a_fresh_upload_has_no_record_of_an_earlier_one(
    state: str, photos: Path, media: Path
) -> None:
    """Test cases roll back, and some delete the folder: names come again, and are never saved."""
    sizes = []
    for name in ("rocket.jpg", "coffee.png"):
        with transaction.atomic():
            sizes.append(check(add(photos, name)))
            transaction.set_rollback(True)
        shutil.rmtree(media / "abstract")
        shutil.rmtree(media / "CACHE")
    caches["default"].clear()
    with transaction.atomic():
        assert check(add(photos, "coffee.png")) == sizes[1]
        transaction.set_rollback(True)
