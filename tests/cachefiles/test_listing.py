"""What lies in a storage, asked by the folder instead of by the file."""

from __future__ import annotations

import itertools
import tracemalloc
from pathlib import Path
from threading import Barrier
from typing import Any
from unittest.mock import patch

from django.core.cache import caches
from django.core.files.storage import FileSystemStorage
from hypothesis import given
from hypothesis import strategies as st

from imagekit_registry.cachefiles import generate_many
from imagekit_registry.cachefiles.bulk import Generation
from imagekit_registry.cachefiles.existence import new_record, remember
from imagekit_registry.cachefiles.listing import Hashes, Listing
from imagekit_registry.specs import StoredFile
from imagekit_registry.state import Status
from tests.cachefiles.conftest import files_of
from tests.storages import CountingStorage, content_of


def test_generation_of_what_is_missing_lists_each_folder_once(counting: CountingStorage) -> None:
    """The storage decides; it is asked by the folder and not by the file."""
    files = files_of(StoredFile("a.jpg", counting), storage=counting)
    generate_many(files)
    counting.delete(files[2].name or "")
    caches["default"].clear()
    remember([(files[2], new_record(files[2], Status.EXISTS))])
    counting.calls.clear()
    results = list(Generation(missing_only=True).run([files]))
    statuses = {result.position: result.status for result in results}
    assert statuses == {0: "existing", 1: "existing", 2: "made", 3: "existing"}
    assert (counting.calls["listdir"], counting.calls["open"]) == (1, 1)
    assert counting.calls["exists"] <= 1


class Folders(FileSystemStorage):
    """A storage of as many files as are wanted, which are nowhere; it counts its listings."""

    def __init__(self, count: int) -> None:
        super().__init__("nowhere")
        self.count = count
        self.listed: list[str] = []

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return names that differ by the folder."""
        self.listed.append(path)
        return [], [f"{path}-{number}.jpg" for number in range(self.count)]


def test_each_folder_is_listed_once_in_whatever_order_files_are_asked_for() -> None:
    """Rows lie in the order of their keys, and their images in folders by the year, the user ..."""
    storage, listing = Folders(60_000), Listing()
    folders = [str(number) for number in range(4)]

    for number, folder in itertools.product(range(0, 60_000, 2_999), folders):
        assert listing.has(storage, f"{folder}/{folder}-{number}.jpg")
        assert not listing.has(storage, f"{folder}/other-{number}.jpg")

    assert storage.listed == folders


def test_what_is_made_meanwhile_is_there() -> None:
    """However much it is."""
    storage, listing = Folders(10), Listing()
    assert not listing.has(storage, "a/new-0.jpg")

    for number in range(5_000):
        listing.add(storage, f"a/new-{number}.jpg")

    assert all(listing.has(storage, f"a/new-{number}.jpg") for number in range(5_000))
    assert listing.has(storage, "a/a-9.jpg")
    assert not listing.has(storage, "a/new-5000.jpg")
    assert storage.listed == ["a"]


@given(st.lists(st.integers(0, 60)))
def test_a_set_of_hashes_holds_what_was_added(items: list[int]) -> None:
    """Each once, whatever others are in the same part."""
    with patch("imagekit_registry.cachefiles.listing.PARTS", 3):
        hashes = Hashes(items[:5])
        for item in items:
            hashes.add(item)
        found = [number for number in range(61) if number in hashes]
    assert found == sorted(set(items))
    assert len(hashes) == len(set(items))


def test_a_set_of_hashes_takes_little_memory() -> None:
    """Little more than 8 bytes a name, at any moment."""
    hashes = Hashes()
    tracemalloc.start()
    try:
        for number in range(100_000):
            hashes.add(("storage", f"CACHE/images/photos/{number}.jpg"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(hashes) == 100_000
    assert peak < 10 * 100_000


def test_jobs_ask_a_storage_at_the_same_time(
    counting: CountingStorage, monkeypatch: Any, photos: Path
) -> None:
    """A storage behind a network takes its time for each folder."""
    together = Barrier(2, timeout=10)
    real = counting.listdir

    def listdir(path: str) -> Any:
        together.wait()
        return real(path)

    monkeypatch.setattr(counting, "listdir", listdir)
    counting.save("b.jpg", content_of(photos / "rocket.jpg"))
    sources = [StoredFile(name, counting) for name in ("a.jpg", "b.jpg")]
    files = [file for source in sources for file in files_of(source, storage=counting)]

    results = list(Generation(jobs=2, missing_only=True).run([files]))

    assert {result.status for result in results} == {"made"}
    assert not together.broken
