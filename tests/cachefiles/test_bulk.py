"""Many cache files at once: few round trips, one decode per source, a result for each."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from imagekit_registry.cachefiles import ImageCacheFile, LazyImageCacheFile, generate_many
from imagekit_registry.cachefiles.backends import BaseAsync, Simple
from imagekit_registry.cachefiles.bulk import Generation
from imagekit_registry.cachefiles.locks import lock_of
from imagekit_registry.cachefiles.results import ResultStatus
from imagekit_registry.exceptions import MissingSource, RetryLater, SourceUnavailable
from imagekit_registry.signals import generated, generation_failed
from imagekit_registry.specs import StoredFile
from imagekit_registry.state import Status, get_state_access
from imagekit_registry.testing import forget_state, wait_for_images
from tests.cachefiles.conftest import Small, files_of, wide
from tests.caches import CountingCache
from tests.storages import BrokenStorage, CountingStorage


class Later(BaseAsync):
    """A backend that writes down what it is to make later."""

    def __init__(self) -> None:
        self.scheduled: list[str] = []

    def schedule_generation(self, file: Any, force: bool = False) -> None:
        self.scheduled.append(file.name)


class Loud(Simple):
    """A backend with a way of its own to make files."""

    def __init__(self) -> None:
        self.asked: list[bool] = []

    def generate(self, file: Any, force: bool = False) -> None:
        self.asked.append(force)
        super().generate(file, force)


class TestOneSource:
    """What is made of one source."""

    def test_a_batch_of_one_source_costs_one_read_under_the_lock_and_one_write(
        self, name: str, cache_calls: Counter[str]
    ) -> None:
        """One read finds out what is missing, one more that nobody was faster, one write."""
        generate_many(files_of(name))
        calls = cache_calls
        assert calls["get_many"] == 2
        assert calls["set_many"] == 1
        assert calls["set"] == 0

    def test_a_batch_that_exists_costs_one_read(self, name: str, cache_calls: Counter[str]) -> None:
        """In a fresh process; in a warm one nothing."""
        generate_many(files_of(name))
        forget_state()
        cache_calls.clear()
        files = files_of(name)
        assert generate_many(files).existing == tuple(files)
        assert cache_calls["get_many"] == 1
        assert generate_many(files_of(name)).existing == tuple(files)
        assert sum(cache_calls.values()) == 1

    def test_a_file_is_looked_for_again_under_its_lock(self, counting: CountingStorage) -> None:
        """Whoever held the lock may have published it and not yet written that down."""
        generate_many(files_of(StoredFile("a.jpg", counting), (40,), storage=counting))
        # The third time it is the storage itself, when it saves the hidden file.
        assert counting.calls["exists"] == 3

    def test_a_file_is_found_where_only_its_state_was_lost(self, name: str) -> None:
        """A flushed cache costs a look at the storage, not an image."""
        generate_many(files_of(name))
        caches["default"].clear()
        forget_state()
        files = files_of(name)
        assert generate_many(files).existing == tuple(files)
        assert files[0].state.status == Status.EXISTS

    def test_a_file_that_exists_is_made_again_by_force(self, name: str) -> None:
        """Force replaces what is there."""
        (file,) = files_of(name, (40,))
        generate_many([file])
        first = file.state.made_at
        assert generate_many([file], force=True).made == (file,)
        assert file.state.made_at != first

    def test_records_of_a_batch_hold_dimensions_and_digest(self, name: str) -> None:
        """The records say all that a page asks."""
        (file,) = files_of(name, (80,))
        generate_many([file])
        record = file.state
        assert (record.status, record.width, record.format) == (Status.EXISTS, 80, "JPEG")
        assert (record.digest, record.source) == (file.digest, name)

    def test_what_is_missing_is_made_after_waiting_for_who_has_not_made_it(self, name: str) -> None:
        """What the record said before they began is no news of it."""
        (file, *_) = files_of(name)
        file.generate()
        file.storage.delete(str(file.name))
        held, waits = threading.Event(), threading.Event()

        def hold() -> None:
            with lock_of(file, wait=0):
                held.set()
                waits.wait(1)

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait(10)
        (result,) = Generation(missing_only=True).run([[file]])
        waits.set()
        holder.join()
        assert result.status == ResultStatus.MADE
        assert file.storage.exists(str(file.name))


class TestOutcome:
    """Every file has one result, in the order in which it came."""

    def test_results_keep_the_order_of_the_files_and_lose_none(
        self, name: str, stored_photo: Any
    ) -> None:
        """Sources that alternate, existing and failing files: each is where it belongs."""
        other = stored_photo("coffee.png")
        storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        a, b, c = (files_of(source) for source in (name, other, "photos/bad.jpg"))
        generate_many([a[2], b[0]])
        mixed = [file for three in zip(a, b, c, strict=True) for file in three]
        outcome = generate_many(mixed)
        assert outcome.existing == (b[0], a[2])
        assert outcome.made == (a[0], a[1], b[1], b[2], a[3], b[3])
        assert [failure.file for failure in outcome.failures] == c

    def test_files_of_one_name_share_their_result(self, name: str, decodes: list[Any]) -> None:
        """A file that is given twice is made once."""
        first, second = files_of(name, (80,))[0], files_of(name, (80,))[0]
        made: list[Any] = []
        receiver: Callable[..., None] = lambda **kwargs: made.append(kwargs["file"])  # noqa: E731
        generated.connect(receiver)
        try:
            outcome = generate_many([first, second])
        finally:
            generated.disconnect(receiver)
        assert outcome.made == (first, second)
        assert made == [first]
        assert len(decodes) == 1

    def test_no_files_have_no_results(self) -> None:
        """No file, no round trip, no error."""
        outcome = generate_many([])
        assert (outcome.made, outcome.existing, outcome.failures) == ((), (), ())

    def test_many_files_may_come_from_an_iterator_and_be_lazy(self, name: str) -> None:
        """Anything that yields cache files will do."""
        lazy = LazyImageCacheFile("imagekit:thumbnail", source=name, width=50)
        assert len(generate_many(iter([lazy])).made) == 1
        assert lazy.width == 50

    def test_an_image_of_a_source_without_a_name_is_made(self, photos: Path) -> None:
        """An upload in memory is a source as well, and stays open where it was."""
        source = ContentFile((photos / "rocket.jpg").read_bytes())
        source.seek(9)
        assert len(generate_many(files_of(source, (40, 20))).made) == 2
        assert source.tell() == 9


class TestFailures:
    """A failure is one file's, names spec, source and cause, and is remembered."""

    def test_a_missing_source_is_told_as_a_failure(self) -> None:
        """A row whose file is gone."""
        (failure,) = generate_many(files_of("photos/gone.jpg", (40,))).failures
        assert isinstance(failure.error, SourceUnavailable)

    def test_a_failure_in_a_batch_is_remembered(self, decodes: list[Any]) -> None:
        """A corrupt upload costs one try until the back-off is over, or force."""
        storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        files = files_of("photos/bad.jpg")
        generate_many(files)
        again = generate_many(files)
        assert len(decodes) == 1
        assert {type(failure.error) for failure in again.failures} == {RetryLater}
        generate_many(files, force=True)
        assert len(decodes) == 2
        assert files[0].state.failures == 2

    def test_a_failure_in_a_batch_is_announced(self) -> None:
        """Metrics hear of it."""
        heard: list[Any] = []
        receiver: Callable[..., None] = lambda **kwargs: heard.append(kwargs)  # noqa: E731
        generation_failed.connect(receiver)
        try:
            generate_many(files_of("photos/gone.jpg", (40,)))
        finally:
            generation_failed.disconnect(receiver)
        assert [item["source"] for item in heard] == ["photos/gone.jpg"]

    def test_an_empty_field_is_a_missing_source(self, name: str) -> None:
        """No source, no image; the others are made."""
        good = files_of(name, (40,))
        outcome = generate_many([ImageCacheFile(Small(None)), *good])
        assert outcome.made == tuple(good)
        assert isinstance(outcome.failures[0].error, MissingSource)

    def test_a_failure_of_the_storage_is_no_existing_file(self, name: str) -> None:
        """A storage that does not answer, or does not take the image."""
        storage = BrokenStorage()
        storage.failures["exists"] = ConnectionError("no route")
        (failure,) = generate_many(files_of(name, (40,), storage=storage)).failures
        assert "no route" in str(failure.error)
        forget_state()
        storage.failures = {"save": OSError("disk full")}
        (failure,) = generate_many(files_of(name, (80,), storage=storage)).failures
        assert "disk full" in str(failure.error)

    def test_a_batch_is_made_without_a_cache(self, name: str, settings: Any) -> None:
        """With no cache at all the images are made all the same."""
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
        files = files_of(name)
        assert generate_many(files).made == tuple(files)
        assert generate_many(files_of(name)).existing == tuple(files)


class TestBackends:
    """What has a way of its own to make files keeps it."""

    def test_backends_of_workers_are_handed_the_files(self, name: str) -> None:
        """An asynchronous backend schedules each."""
        backend = Later()
        files = files_of(name, cachefile_backend=backend)
        assert generate_many(files).made == tuple(files)
        assert backend.scheduled == [file.name for file in files]

    def test_what_is_found_for_workers_is_written_down_together(
        self, name: str, cache_calls: Counter[str]
    ) -> None:
        """A flushed cache costs one read and one write, however many images are there."""
        generate_many(files_of(name))
        caches["default"].clear()
        forget_state()
        cache_calls.clear()
        files = files_of(name, cachefile_backend=Later())
        assert generate_many(files).existing == tuple(files)
        assert (cache_calls["get_many"], cache_calls["set_many"]) == (1, 1)

    def test_a_storage_is_asked_once_for_what_workers_make(self, counting: CountingStorage) -> None:
        """And not at all while it is on its way, however often it is asked for."""
        backend, source = Later(), StoredFile("a.jpg", counting)
        for times in (1, 0):
            counting.calls.clear()
            files = files_of(source, cachefile_backend=backend, storage=counting)
            generate_many(files)
            assert counting.calls["exists"] == times * len(files)
        assert backend.scheduled == [file.name for file in files]

    def test_a_backend_that_overrides_generate_is_asked_itself(self, name: str) -> None:
        """A backend that overrides generate() is not passed by."""
        backend = Loud()
        (file,) = files_of(name, (40,), cachefile_backend=backend)
        assert generate_many([file]).made == (file,)
        assert generate_many([file]).existing == (file,)
        assert generate_many([file], force=True).made == (file,)
        assert backend.asked == [False, True]


class TestEventLoop:
    """An async view does not stand still for images."""

    def test_threads_make_what_is_missing(self, name: str, decodes: list[Any]) -> None:
        """Handed over at once, made of one decode; the next page finds it, or why it is not."""
        storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        good, bad = files_of(name, (60, 30)), files_of("photos/bad.jpg", (60,))

        async def view() -> Any:
            return generate_many([*good, *bad])

        first = asyncio.run(view())
        wait_for_images()
        assert first.made == (*good, *bad)
        assert len(decodes) == 2
        second = asyncio.run(view())
        wait_for_images()
        assert second.existing == tuple(good)
        assert [type(failure.error) for failure in second.failures] == [RetryLater]
        assert len(decodes) == 2


class TestGeneration:
    """The same with several threads, for commands."""

    @pytest.mark.parametrize("jobs", [1, 2, 5])
    def test_any_number_of_jobs_yields_the_same_results_in_the_same_order(
        self, jobs: int, stored_photo: Any
    ) -> None:
        """Results do not depend on which thread was faster."""
        names = [stored_photo(name=f"photos/{index}.jpg") for index in range(8)]
        storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        batches = [files_of(source, (60, 30)) for source in [*names[:4], "photos/bad.jpg"]]
        batches += [files_of(source, (60, 30)) for source in names[4:]]
        results = list(Generation(jobs=jobs).run(batches))
        assert [result.position for result in results] == list(range(18))
        assert [result.status for result in results if result.status != ResultStatus.MADE] == [
            ResultStatus.FAILED
        ] * 2
        assert all(
            result.file.state.width == result.file.width for result in results if not result.error
        )

    def test_generation_takes_no_more_files_than_it_can_work_on(self, stored_photo: Any) -> None:
        """Rows are read as they are needed: memory does not grow with their number."""
        name = stored_photo()
        taken = 0

        def batches() -> Iterator[Any]:
            nonlocal taken
            for index in range(40):
                taken += 1
                yield [ImageCacheFile(wide(20 + index)(name))]

        run = Generation(jobs=2).run(batches())
        next(run)
        assert taken < 20
        run.close()
        assert taken < 20

    @pytest.mark.parametrize("jobs", [1, 2])
    def test_a_generation_that_is_interrupted_remembers_what_it_made(
        self, jobs: int, name: str
    ) -> None:
        """Ctrl-C loses no state and leaves no lock."""
        files = [ImageCacheFile(wide(20 + index)(name)) for index in range(12)]

        def batches() -> Iterator[Any]:
            for index, file in enumerate(files):
                if index == 8:
                    raise KeyboardInterrupt
                yield [file]

        with pytest.raises(KeyboardInterrupt):
            list(Generation(jobs=jobs).run(batches()))
        records = get_state_access().get_many(
            [file.cachefile_backend.get_key(file) for file in files], fresh=True
        )
        on_disk = [file for file in files if storages["default"].exists(file.name or "")]
        assert sorted(record.name for record in records.values()) == sorted(
            str(file.name) for file in on_disk
        )
        assert len(generate_many(files).failures) == 0

    def test_generation_writes_states_by_the_chunk(
        self, name: str, cache_calls: Counter[str]
    ) -> None:
        """Forty files, ten records a write."""
        batches = [[ImageCacheFile(wide(20 + index)(name))] for index in range(40)]
        list(Generation(jobs=2, remember_every=10).run(batches))
        assert cache_calls["set_many"] == 4

    def test_generation_touches_states_in_the_main_thread_only(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Workers need no connection to whatever keeps the state, or the locks."""
        threads: set[int] = set()
        for method in ("get", "get_many", "set", "set_many", "add"):
            original = getattr(CountingCache, method)

            def noted(self: Any, *args: Any, original: Any = original, **kwargs: Any) -> Any:
                threads.add(threading.get_ident())
                return original(self, *args, **kwargs)

            monkeypatch.setattr(CountingCache, method, noted)
        storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        batches = [files_of(name), files_of("photos/bad.jpg")]
        list(Generation(jobs=2).run(batches))
        assert threads <= {threading.get_ident()}

    def test_a_dry_run_of_many_files_makes_and_writes_nothing(
        self, name: str, cache_calls: Counter[str]
    ) -> None:
        """It says what would be made."""
        files = files_of(name)
        generate_many(files[:1])
        cache_calls.clear()
        results = list(Generation(dry_run=True).run([files]))
        assert [result.status for result in results] == [ResultStatus.EXISTING] + [
            ResultStatus.WANTED
        ] * 3
        assert cache_calls["set_many"] == 0
        assert not storages["default"].exists(files[1].name or "")
