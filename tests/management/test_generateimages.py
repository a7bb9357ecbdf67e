"""``generateimages``: every image of every source, of one decode each."""

from __future__ import annotations

import io
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command

from imagekit_registry import ImageSpec, register, unregister
from imagekit_registry.cachefiles import ImageCacheFile, LazyImageCacheFile, get_image
from imagekit_registry.cachefiles.backends import Threads
from imagekit_registry.exceptions import GenerationError, UnreadableImage
from imagekit_registry.generatorlibrary import THUMBNAIL_ID
from imagekit_registry.management import _commands
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.signals import generated
from imagekit_registry.specs import StoredFile
from imagekit_registry.state import DatabaseStateStore, Status
from imagekit_registry.testing import wait_for_images
from imagekit_registry.workers import make_images
from tests.cachefiles.backends.test_queues import ListQueue
from tests.cachefiles.conftest import Gate
from tests.management.conftest import Group, Later, Result, Small, cached
from tests.storages import CountingStorage, RemoteStorage
from tests.testapp.models import Photo

Run = Callable[..., Result]


class GateOfThreads(Gate):
    """A processor that holds back threads, and lets who has started them pass."""

    def process(self, image: Any) -> Any:
        """Wait in a thread."""
        is_main = threading.current_thread() is threading.main_thread()
        return image if is_main else super().process(image)


def contents() -> dict[str, bytes]:
    """Return the bytes of all cached files."""
    return {name: Path(storages["default"].path(name)).read_bytes() for name in cached()}


class TestPatterns:
    """Which specs are meant."""

    def test_patterns_that_mean_nothing_are_errors_with_near_ids(
        self, run: Run, group: Group
    ) -> None:
        """A slip of the pen must not look like success."""
        result = run("generateimages", "shop:photo:smal")
        assert result.status == 1
        assert "'shop:photo:smal'" in str(result.error)
        assert "shop:photo:small" in str(result.error)
        assert cached() == set()

    def test_patterns_choose_the_specs_whose_images_are_made(
        self, run: Run, group: Group, files: list[ImageCacheFile]
    ) -> None:
        """Only what was asked for is made."""
        result = run("generateimages", "shop:*:small", json=True)
        assert result.document["specs"] == ["shop:photo:small"]
        assert cached() == {files[0].name, files[2].name}


class TestMaking:
    """What is made, and what it costs."""

    def test_the_command_makes_every_image_of_every_source(
        self, run: Run, files: list[ImageCacheFile]
    ) -> None:
        """Then there is nothing left to make."""
        result = run("generateimages", "shop", json=True)
        assert (result.status, result.document["made"], result.document["existing"]) == (0, 4, 0)
        assert cached() == {file.name for file in files}
        assert [file.width for file in files] == [60, 120, 60, 120]
        again = run("generateimages", "shop", json=True)
        assert (again.document["made"], again.document["existing"]) == (0, 4)

    def test_the_command_opens_each_source_once(
        self, run: Run, group: Group, tmp_path: Path, photos: Path
    ) -> None:
        """Two specs share a decode, though their ids differ; the group is gone through once."""
        group.storage = CountingStorage(location=str(tmp_path / "sources"))
        for name in group.names:
            group.storage.save(name, ContentFile((photos / Path(name).name).read_bytes()))
        group.storage.calls.clear()
        group.asked = 0
        assert run("generateimages", "shop", json=True).document["made"] == 4
        assert group.storage.calls["open"] == 2
        assert group.asked == 1

    def test_the_command_takes_one_read_and_one_write_of_states_for_all(
        self, run: Run, group: Group, cache_calls: Counter[str]
    ) -> None:
        """Besides one read per source under its lock."""
        run("generateimages", "shop")
        assert dict(cache_calls) == {"get_many": 3, "set_many": 1}
        cache_calls.clear()
        run("generateimages", "shop")
        assert dict(cache_calls) == {"get_many": 1}

    @pytest.mark.parametrize("jobs", ["2", "4"])
    def test_several_jobs_make_the_same_files(
        self, run: Run, files: list[ImageCacheFile], jobs: str
    ) -> None:
        """Byte by byte."""
        run("generateimages", "shop")
        before = contents()
        result = run("generateimages", "shop", "--force", "--jobs", jobs, "--json")
        assert result.document["made"] == 4
        assert contents() == before

    @pytest.mark.parametrize("arguments", [(), ("--missing",), ("--jobs=2",)], ids=str)
    def test_images_of_a_source_that_many_rows_share_are_made_once(
        self, run: Run, group: Group, arguments: tuple[str, ...]
    ) -> None:
        """However far apart the rows are."""
        group.names = group.names[:1] * 250
        made: list[Any] = []

        def count(**kwargs: Any) -> None:
            made.append(kwargs["file"])

        generated.connect(count)
        try:
            document = run("generateimages", "shop:photo:small", *arguments, "--json").document
        finally:
            generated.disconnect(count)
        assert len(made) == 1
        assert document["made"] + document["existing"] == 250

    def test_the_command_makes_registered_cache_files_too(
        self, run: Run, stored_photo: Any
    ) -> None:
        """Files that no source group knows, also lazy ones."""
        name = stored_photo()

        def lazy() -> list[Any]:
            return [LazyImageCacheFile(THUMBNAIL_ID, source=name, width=width) for width in (9, 8)]

        register.cachefiles(THUMBNAIL_ID, lazy)
        try:
            result = run("generateimages", "imagekit", json=True)
        finally:
            unregister.cachefiles(THUMBNAIL_ID, lazy)
        assert result.document["made"] == 2
        assert [file.exists() for file in lazy()] == [True, True]

    @pytest.mark.django_db
    def test_the_command_makes_the_images_of_model_fields(
        self, run: Run, stored_photo: Any
    ) -> None:
        """Rows without an image are passed over."""
        Photo.objects.create(original_image=stored_photo())
        Photo.objects.create()
        document = run("generateimages", "testapp:photo", json=True).document
        assert (document["made"], document["failed"]) == (3, 0)

    @pytest.mark.django_db
    def test_the_command_keeps_its_threads_away_from_the_database(
        self,
        run: Run,
        settings: Any,
        stored_photo: Any,
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        """Rows and states are the main thread's, inside of whatever transaction it has open."""
        settings.IMAGEKIT_STATE_STORE = "database"
        names = [stored_photo(name=f"photos/{index}.jpg") for index in range(5)]
        for name in [*names, "photos/gone.jpg"]:
            Photo.objects.create(original_image=name)
        with django_capture_on_commit_callbacks(execute=True):
            document = run("generateimages", "testapp:photo", "--jobs=3", "--json").document
        assert (document["made"], document["failed"]) == (15, 3)
        statuses = [record.status for _, record in DatabaseStateStore().iter_items()]
        assert (statuses.count(Status.EXISTS), statuses.count(Status.FAILED)) == (15, 3)

    def test_the_command_hands_files_to_asynchronous_backends(
        self, run: Run, group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Handed over is not made: the report tells one from the other."""
        backend = Later()
        monkeypatch.setattr(Small, "cachefile_backend", backend)
        document = run("generateimages", "shop", "--json").document
        assert (document["made"], document["scheduled"]) == (2, len(backend.scheduled)) == (2, 2)
        result = run("generateimages", "shop:photo:small", "--force")
        assert "0 images made, 2 handed to workers, 0 existed, 0 failed" in result.out

    @pytest.mark.django_db(transaction=True)
    def test_a_queue_that_works_at_once_has_made_its_images(
        self, run: Run, group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As in tests; and as what cannot be told to a worker is."""
        queue = ListQueue()
        monkeypatch.setattr(queue, "send", make_images)
        monkeypatch.setattr(Small, "cachefile_backend", queue)
        for options in ([], ["--force"]):
            document = run("generateimages", "shop:photo:small", "--json", *options).document
            assert (document["made"], document["scheduled"]) == (2, 0)

    @pytest.mark.django_db(transaction=True)
    def test_what_workers_could_not_make_is_tried_again(self, run: Run, group: Group) -> None:
        """As what was made here is: whoever calls the command wants another try."""
        queue = ListQueue()
        Small.cachefile_backend = queue
        try:
            group.names[:] = [storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))]
            run("generateimages", "shop:photo:small")
            with pytest.raises(UnreadableImage):
                make_images(queue.messages.pop())
            result = run("generateimages", "shop:photo:small", "--json")
            assert result.document["scheduled"] == len(queue.messages) == 1
            with pytest.raises(UnreadableImage):
                make_images(queue.messages.pop())
            result = run("generateimages", "shop:photo:small", "--missing", "--json")
        finally:
            Small.cachefile_backend = None
        assert [item["error"] for item in result.document["failures"]] == ["RetryLater"]
        assert queue.messages == []

    @pytest.mark.django_db(transaction=True)
    def test_threads_that_are_full_are_helped_by_the_command(
        self, run: Run, group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing is left for a page that may never come."""
        gate = GateOfThreads()
        monkeypatch.setattr(Small, "cachefile_backend", Threads(workers=1, waiting=0))
        monkeypatch.setattr(Small, "processors", [gate])
        document = run("generateimages", "shop:photo:small", "--json").document
        assert (document["made"], document["scheduled"]) == (1, 1)
        gate.opened.set()
        wait_for_images()
        assert run("generateimages", "shop:photo:small", "--json").document["existing"] == 2

    def test_force_replaces_what_exists(self, run: Run, files: list[ImageCacheFile]) -> None:
        """A new encoder is a reason to."""
        run("generateimages", "shop")
        storages["default"].delete(files[0].name or "")
        storages["default"].save(files[0].name, ContentFile(b"old"))
        assert run("generateimages", "shop", "--force", "--json").document["made"] == 4
        with storages["default"].open(files[0].name or "") as file:
            assert file.read(3) == b"\xff\xd8\xff"


class TestWaiting:
    """``--wait``: what workers were told to make."""

    @pytest.fixture
    def queue(self, monkeypatch: pytest.MonkeyPatch) -> ListQueue:
        """Have the small images made by workers."""
        queue = ListQueue()
        monkeypatch.setattr(Small, "cachefile_backend", queue)
        return queue

    def work(self, queue: ListQueue, count: int) -> threading.Thread:
        """Have a worker make so many messages as soon as they are there."""

        def run() -> None:
            for _ in range(count):
                while not queue.messages:
                    time.sleep(0.01)
                with suppress(GenerationError):
                    make_images(queue.messages.pop())

        worker = threading.Thread(target=run)
        worker.start()
        return worker

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("options", [[], ["--force"]])
    def test_the_command_waits_for_workers(
        self, run: Run, files: list[ImageCacheFile], queue: ListQueue, options: list[str]
    ) -> None:
        """Also for those that make anew what is there."""
        for file in files if options else []:
            queue.generate_now(file)
        worker = self.work(queue, 2)
        result = run("generateimages", "shop:photo:small", "--wait", *options)
        worker.join()
        assert "0 images made, 2 handed to workers, 0 existed, 0 failed" in result.out
        assert result.status == 0
        assert all(file.exists() for file in files if file.spec_id == "shop:photo:small")

    @pytest.mark.django_db(transaction=True)
    def test_what_workers_cannot_make_has_failed(
        self, run: Run, group: Group, queue: ListQueue
    ) -> None:
        """With the reason, as what the command itself cannot make."""
        group.names[1:] = [storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))]
        worker = self.work(queue, 2)
        result = run("generateimages", "shop:photo:small", "--wait", "--json")
        worker.join()
        assert (result.status, result.document["failed"], result.document["scheduled"]) == (1, 1, 2)
        (failure,) = result.document["failures"]
        assert (failure["source"], failure["spec"]) == ("photos/bad.jpg", "shop:photo:small")
        assert "not an image" in failure["cause"]

    @pytest.mark.django_db(transaction=True)
    def test_the_command_gives_up_when_no_worker_comes(
        self, run: Run, group: Group, queue: ListQueue, settings: Any
    ) -> None:
        """After the time for which a message is believed in."""
        settings.IMAGEKIT_LOCK_TIMEOUT = 0.1
        result = run("generateimages", "shop:photo:small", "--wait", "--json")
        assert (result.status, result.document["failed"]) == (1, 2)
        assert "no worker has made it" in result.document["failures"][0]["cause"]


class TestMissing:
    """``--missing``: the storage decides, and is asked by the folder."""

    def test_missing_makes_what_the_storage_has_not_whatever_the_state_says(
        self, run: Run, group: Group, tmp_path: Path
    ) -> None:
        """Somebody has tidied up behind our back."""
        storage = CountingStorage(location=str(tmp_path / "cache"))
        Small.cachefile_storage = storage
        try:
            run("generateimages", "shop:photo:small")
            file = get_image("shop:photo:small", source=group.names[0])
            storage.delete(file.name or "")
            assert run("generateimages", "shop:photo:small", json=True).document["made"] == 0
            storage.calls.clear()
            result = run("generateimages", "shop:photo:small", "--missing", "--json")
        finally:
            Small.cachefile_storage = None
        assert (result.document["made"], result.document["existing"]) == (1, 1)
        assert storage.exists(file.name or "")
        assert storage.calls["listdir"] == 2

    def test_missing_finds_what_a_storage_that_cannot_list_has_named_itself(
        self, run: Run, group: Group
    ) -> None:
        """It is asked for each file by the name that it gave."""

        class Renaming(RemoteStorage):
            """One that keeps no name."""

            def get_available_name(self, name: str, max_length: int | None = None) -> str:
                return f"{name}.{len(self.contents)}"

        Small.cachefile_storage = Renaming()
        try:
            runs = [run("generateimages", "shop:photo:small", "--missing", "--json") for _ in "123"]
        finally:
            Small.cachefile_storage = None
        assert [each.document["made"] for each in runs] == [2, 0, 0]

    @pytest.mark.django_db(transaction=True)
    def test_missing_has_workers_make_their_images(self, run: Run, group: Group) -> None:
        """Their images go the same way as those that are made here."""
        queue = ListQueue()
        Small.cachefile_backend = queue
        try:
            run("generateimages", "shop:photo:small")
            queue.work()
            file = get_image("shop:photo:small", source=group.names[0])
            file.storage.delete(file.name or "")
            result = run("generateimages", "shop:photo:small", "--missing", "--json")
            queue.work()
        finally:
            Small.cachefile_backend = None
        assert (result.document["scheduled"], result.document["existing"]) == (1, 1)
        assert file.storage.exists(file.name or "")

    def test_missing_asks_for_no_file_alone(self, run: Run, group: Group, tmp_path: Path) -> None:
        """A first run over many rows lists folders; it does not look for each file."""
        storage = CountingStorage(location=str(tmp_path / "cache"))
        Small.cachefile_storage = storage
        try:
            for made in (2, 0):
                storage.calls.clear()
                run("generateimages", "shop:photo:small", "--missing")
                # The storage itself looks, for the hidden file that it saves.
                assert storage.calls["exists"] == made
        finally:
            Small.cachefile_storage = None

    def test_missing_hands_what_the_storage_has_not_to_workers(
        self, run: Run, group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And nothing else: the others exist, as a dry run says as well."""
        backend = Later()
        monkeypatch.setattr(Small, "cachefile_backend", backend)
        files = [get_image("shop:photo:small", source=name) for name in group.names]
        for file in files:
            file.cachefile_backend.generate_now(file)
        storages["default"].delete(files[0].name or "")
        ids = ["generateimages", "shop:photo:small", "--missing", "--json"]
        dry = run(*ids, "--dry-run").document
        assert ([item["file"] for item in dry["wanted"]], backend.scheduled) == (
            [files[0].name],
            [],
        )
        assert run(*ids).document["existing"] == 1
        assert backend.scheduled == [files[0].name]

    def test_missing_leaves_what_failed_a_short_while_ago(self, run: Run, group: Group) -> None:
        """Without it, whoever calls the command wants another try."""
        group.names.append(storages["default"].save("photos/bad.jpg", ContentFile(b"no image")))
        assert run("generateimages", "shop").status == 1
        found = run("generateimages", "shop", "--missing", "--json").document["failures"]
        assert {item["error"] for item in found} == {"RetryLater"}
        found = run("generateimages", "shop", "--json").document["failures"]
        assert {item["error"] for item in found} == {"UnreadableImage"}

    def test_the_options_missing_and_force_exclude_each_other(self, run: Run, group: Group) -> None:
        """One says less, the other more."""
        assert "contradict" in str(run("generateimages", "--force", "--missing").error)


class TestReporting:
    """What is said, where, and the exit status."""

    def test_failures_are_told_with_spec_source_and_cause(self, run: Run, group: Group) -> None:
        """As they are found, so that none is kept; the others are made, and the exit status is 1."""
        group.names.insert(0, storages["default"].save("photos/bad.jpg", ContentFile(b"no image")))
        group.names.insert(0, "photos/gone.jpg")
        result = run("generateimages", "shop:photo:small")
        assert result.status == 1
        assert len(cached()) == 2
        assert str(result.error) == "2 images could not be made."
        lines = result.err.splitlines()
        assert lines[0].startswith("shop:photo:small of 'photos/gone.jpg': the source file does")
        assert lines[1].startswith("shop:photo:small of 'photos/bad.jpg': the file is not an im")
        assert "2 images made, 0 existed, 2 failed" in result.out

    def test_findings_are_told_when_they_are_found(
        self, run: Run, group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not at the end: there may be millions of them, and nothing is kept of what was told."""
        group.names[:] = ["photos/gone.jpg", "photos/lost.jpg"]
        told: list[int] = []
        out = io.StringIO()

        def files(self: Group) -> Iterator[Any]:
            for name in self.names * 200:
                told.append(out.getvalue().count("\n"))
                yield StoredFile(name)

        monkeypatch.setattr(Group, "files", files)
        with pytest.raises(CommandError):
            call_command("generateimages", "shop", "--json", stdout=out)

        assert told[0] == 0
        assert told[-1] > 200
        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        assert [line["event"] for line in lines] == ["failure"] * 800 + ["summary"]

    def test_json_is_a_line_for_each_finding_and_nothing_else(self, run: Run, group: Group) -> None:
        """Also when something failed: other programs read it."""
        group.names.append("photos/gone.jpg")
        result = run("generateimages", "shop:photo:small", "--json")
        assert result.status == 1
        document = result.document
        assert (document["command"], document["made"], document["failed"]) == (
            "generateimages",
            2,
            1,
        )
        (failure,) = document["failures"]
        assert (failure["spec"], failure["source"]) == ("shop:photo:small", "photos/gone.jpg")
        assert failure["cause"]
        assert failure["error"] == "SourceNotFound"
        assert failure["file"].startswith("CACHE/images/photos/gone/")

    def test_a_dry_run_lists_and_writes_nothing(
        self, run: Run, files: list[ImageCacheFile]
    ) -> None:
        """Neither files nor states."""
        result = run("generateimages", "shop", "--dry-run", "--json")
        assert [item["file"] for item in result.document["wanted"]] == [f.name for f in files]
        assert result.document["made"] == 0
        assert cached() == set()
        assert "would make CACHE/images" in run("generateimages", "shop", "--dry-run").out

    def test_a_generator_that_fails_to_name_its_files_is_a_failure(
        self, run: Run, group: Group
    ) -> None:
        """A spec with a broken property, or a query that fails, does not stop the others."""

        class Broken(ImageSpec):
            @property
            def processors(self) -> Any:
                raise KeyError("width")

        def query() -> Any:
            raise RuntimeError("no such table")

        register.generator("shop:photo:broken", Broken)
        register.source_group("shop:photo:broken", group)
        register.cachefiles("shop:photo:small", query)
        try:
            result = run("generateimages", "shop", "--json")
        finally:
            unregister.cachefiles("shop:photo:small", query)
            unregister.source_group("shop:photo:broken", group)
            unregister.generator("shop:photo:broken")
        causes = [
            (item["spec"], item["source"], item["cause"]) for item in result.document["failures"]
        ]
        assert result.document["made"] == 4
        assert len(causes) == 3
        assert causes[0][:2] == ("shop:photo:broken", group.names[0])
        assert "KeyError" in causes[0][2]
        assert causes[2][0] == "shop:photo:small"
        assert "no such table" in causes[2][2]

    def test_ctrl_c_ends_in_order(self, run: Run, group: Group, stored_photo: Any) -> None:
        """What was made is kept and remembered; the status is that of an interrupted command."""

        other = stored_photo("chelsea.png")

        class Impatient:
            def process(self, image: Any) -> Any:
                raise KeyboardInterrupt

        class Last(ImageSpec):
            processors = [Impatient()]

        Last.get_hash = lambda self: "1" * 32  # type: ignore[method-assign]
        register.generator("shop:photo:zzz", Last)

        def last() -> list[ImageCacheFile]:
            return [ImageCacheFile(Last(other))]

        register.cachefiles("shop:photo:zzz", last)
        try:
            result = run("generateimages", "shop", "--json")
        finally:
            unregister.cachefiles("shop:photo:zzz", last)
            unregister.generator("shop:photo:zzz")
        assert result.status == 130
        assert result.document["interrupted"]
        assert result.document["made"] == len(cached()) == 4
        assert run("generateimages", "shop", "--json").document["existing"] == 4

    def test_each_file_is_named_on_demand(self, run: Run, files: list[ImageCacheFile]) -> None:
        """With --verbosity 2."""
        out = run("generateimages", "shop", verbosity=2).out
        assert all(f"made     {file.name}" in out for file in files)
        assert run("generateimages", "shop", verbosity=0).out == ""

    def test_lines_of_progress_come_where_there_is_no_terminal(
        self, run: Run, group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A log shows that the command is alive."""
        monkeypatch.setattr(_commands, "LINE_INTERVAL", 0)
        monkeypatch.setattr(_commands, "FIRST_LINE", 0)
        assert "3 of 4 images ..." in run("generateimages", "shop").err
        assert run("generateimages", "shop", "--json").err == ""

    def test_a_bar_of_progress_comes_on_a_terminal(
        self, group: Group, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """If the extra is installed."""
        pytest.importorskip("tqdm")
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        call_command("generateimages", "shop", verbosity=1)
        shown = capsys.readouterr().err
        assert "images" in shown
        assert "4" in shown

    @pytest.mark.parametrize("jobs", ["0", "many"])
    def test_a_wrong_number_of_jobs_is_refused(self, run: Run, group: Group, jobs: str) -> None:
        """By name."""
        assert "--jobs" in str(run("generateimages", f"--jobs={jobs}").error)

    def test_specs_without_sources_have_nothing_to_do_and_that_is_said(self, run: Run) -> None:
        """A spec for tags alone is no error; nothing is said of those that nobody named."""

        class Lonely(ImageSpec):
            processors = [ResizeToFit(10)]

        register.generator("lonely", Lonely)
        try:
            result = run("generateimages", "lonely", "--json")
            said = [run("generateimages", *ids).out for ids in (["lonely"], [])]
        finally:
            unregister.generator("lonely")
        assert (result.status, result.document["made"]) == (0, 0)
        assert result.document["unfed"] == ["lonely"]
        assert ["lonely: no source feeds this spec." in text for text in said] == [True, False]
