"""What lies in a storage, asked by the folder instead of by the file."""

from __future__ import annotations

from django.core.cache import caches

from imagekit_registry.cachefiles import generate_many
from imagekit_registry.cachefiles.bulk import Generation
from imagekit_registry.cachefiles.existence import new_record, remember
from imagekit_registry.specs import StoredFile
from imagekit_registry.state import Status
from tests.cachefiles.conftest import files_of
from tests.storages import CountingStorage


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
