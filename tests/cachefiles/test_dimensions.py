"""Width and height of cache files: by the record, by the stored file, or as they will be."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from imagekit_registry import ImageSpec
from imagekit_registry.cachefiles import ImageCacheFile, existence
from imagekit_registry.cachefiles.dimensions import dimensions, expected_size
from imagekit_registry.cachefiles.strategies import Optimistic
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.state import Status
from tests.storages import CountingStorage


class Fitted(ImageSpec):
    """A recipe whose result depends on the source."""

    processors = [ResizeToFit(100, 100)]
    format = "JPEG"
    cachefile_strategy = Optimistic


def test_an_image_that_is_not_made_yet_has_the_size_that_it_will_have(name: str) -> None:
    """By the header of its source; nothing is made."""
    file = ImageCacheFile(Fitted(name))
    assert dimensions(file) == expected_size(file) == (100, 67)
    assert not file.exists()


def test_a_made_image_has_the_size_of_its_record(name: str, tmp_path: Any) -> None:
    """No storage is asked."""
    storage = CountingStorage(location=tmp_path)
    file = ImageCacheFile(Fitted(name), storage=storage)
    file.generate()
    storage.calls.clear()
    assert dimensions(file) == (100, 67)
    assert not storage.calls


def test_a_record_without_a_size_gets_that_of_the_stored_file(name: str, tmp_path: Any) -> None:
    """The file is opened once."""
    storage = CountingStorage(location=tmp_path)
    file = ImageCacheFile(Fitted(name), storage=storage)
    file.generate()
    existence.remember([(file, existence.new_record(file, Status.EXISTS))])
    storage.calls.clear()
    assert [dimensions(file), dimensions(file)] == [(100, 67), (100, 67)]
    assert file.size == file.state.size == len((tmp_path / file.name).read_bytes())
    assert dict(storage.calls) == {"open": 1}


def test_a_record_of_a_file_that_has_gone_is_dropped(name: str) -> None:
    """Whoever asks next asks the storage."""
    file = ImageCacheFile(Fitted(name))
    file.generate()
    existence.remember([(file, existence.new_record(file, Status.EXISTS))])
    file.storage.delete(file.identity.name)
    assert dimensions(file) == (None, None)
    assert existence.known(file) is None
    assert dimensions(file) == (100, 67)


@pytest.mark.parametrize("content", [b"", b"no image"], ids=["empty", "text"])
def test_a_source_that_is_no_image_tells_no_size(content: bytes) -> None:
    """And raises nothing."""
    source = storages["default"].save("photos/bad.jpg", ContentFile(content))
    assert expected_size(ImageCacheFile(Fitted(source))) is None
