"""The interface of backends: the default one makes files at once, and knows their state."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.files.storage import storages

from imagekit_registry import get_image
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.backends import Simple
from imagekit_registry.exceptions import PublishError
from imagekit_registry.state import Status
from imagekit_registry.testing import forget_state
from tests.cachefiles.conftest import Thumbnail


class TestSimple:
    """The default backend."""

    def test_the_record_of_a_file_says_all_that_is_known_of_it(
        self, name: str, spec_id: str
    ) -> None:
        """Status, dimensions, size, format, digest, spec and source."""
        file = get_image(spec_id, source=name)
        file.generate()
        record = file.state
        assert (record.status, record.width, record.height) == (Status.EXISTS, 100, 60)
        assert (record.size, record.format, record.spec_id) == (file.size, "JPEG", spec_id)
        assert (record.source, record.digest) == (name, file.digest)

    def test_files_made_by_force_replace_those_that_exist(self, name: str) -> None:
        """Overwriting ends with one file, at the same name."""
        file = ImageCacheFile(Thumbnail(name))
        file.generate()
        first = Path(file.path).read_bytes()
        ImageCacheFile(Thumbnail(name)).generate(force=True)
        assert Path(file.path).read_bytes() == first
        assert [path.name for path in Path(file.path).parent.iterdir()] == [Path(file.path).name]

    def test_simple_is_the_default(self, name: str) -> None:
        """Files are made at once unless the settings say otherwise."""
        assert type(ImageCacheFile(Thumbnail(name)).cachefile_backend) is Simple


class TestDelete:
    """Files that are deleted."""

    @pytest.mark.parametrize("is_forgotten", [False, True], ids=["recorded", "forgotten"])
    def test_a_file_that_could_not_be_deleted_is_not_shown_again(
        self, name: str, settings: Any, is_forgotten: bool
    ) -> None:
        """One refusal of the storage left the former image on the pages for ever."""
        settings.STORAGES = {
            **settings.STORAGES,
            "broken": {"BACKEND": "tests.storages.BrokenStorage"},
        }
        storage: Any = storages["broken"]
        file = ImageCacheFile(Thumbnail(name), storage=storage)
        file.generate()
        made = storage.contents[file.name]
        storage.contents[file.name] = b"of a former source"
        if is_forgotten:
            caches["default"].clear()
            forget_state()
        storage.failures["delete"] = OSError("503 Slow Down")
        with pytest.raises(PublishError, match="503 Slow Down"):
            file.delete()
        storage.failures.clear()
        assert not ImageCacheFile(Thumbnail(name), storage=storage).exists()
        file = ImageCacheFile(Thumbnail(name), storage=storage)
        assert file.url
        assert storage.contents[file.published_name] == made


class TestStates:
    """State as code written for django-imagekit sets it."""

    @pytest.mark.parametrize(
        ("status", "seconds"),
        [(Status.GENERATING, 30), (Status.FAILED, 60), (Status.MISSING, 5), (Status.EXISTS, None)],
    )
    def test_a_status_set_by_old_code_ends_by_itself(
        self, name: str, status: str, seconds: int | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All but that a file exists."""
        file = ImageCacheFile(Thumbnail(name))
        backend = file.cachefile_backend
        now = time.time()
        monkeypatch.setattr("time.time", lambda: now)
        backend.set_state(file, status)
        assert backend.get_state(file, check_if_unknown=False) == status
        monkeypatch.setattr("time.time", lambda: now + (seconds or 10**8) + 1)
        forget_state()
        expected = None if seconds else status
        assert backend.get_state(file, check_if_unknown=False) == expected
