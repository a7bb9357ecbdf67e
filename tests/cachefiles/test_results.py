"""What is asked of the making of files, and what became of each."""

from __future__ import annotations

import time

import pytest

from imagekit_registry import ImageSpec
from imagekit_registry.cachefiles import ImageCacheFile, existence
from imagekit_registry.cachefiles.results import Item, Result, ResultStatus, refuse_retry
from imagekit_registry.exceptions import RetryLater
from imagekit_registry.state import Status


class Small(ImageSpec):
    """A recipe."""

    format = "JPEG"


@pytest.fixture
def file(name: str) -> ImageCacheFile:
    """Return a file that does not exist yet."""
    return ImageCacheFile(Small(name))


def test_a_file_that_was_handed_in_twice_has_two_results(file: ImageCacheFile) -> None:
    """One for each place, of the same status."""
    results = Item(file, positions=[0, 3]).results(ResultStatus.MADE)
    assert results == [Result(0, file, ResultStatus.MADE), Result(3, file, ResultStatus.MADE)]


def test_an_item_has_the_status_that_its_record_still_tells(file: ImageCacheFile) -> None:
    """A record past its time tells nothing."""
    soon, ago = time.time() + 60, time.time() - 60
    assert Item(file).status() is None
    for retry_at, status in ((soon, Status.FAILED), (ago, None)):
        record = existence.new_record(file, Status.FAILED, retry_at=retry_at)
        assert Item(file, record).status() == status
    assert Item(file, existence.new_record(file, Status.EXISTS)).status() == Status.EXISTS


@pytest.mark.parametrize(("failures", "times"), [(1, "once"), (3, "3 times")])
def test_a_refused_retry_says_why_and_how_often_it_has_failed(
    failures: int, times: str, file: ImageCacheFile
) -> None:
    """With the spec and the source, and what to do."""
    record = existence.new_record(file, Status.FAILED, error="no ink", failures=failures)
    with pytest.raises(RetryLater, match=rf"no ink.* failed {times} .*force=True") as caught:
        refuse_retry(file, record)
    assert caught.value.source == file.identity.source_name
