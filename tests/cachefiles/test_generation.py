"""The one way in which files come to exist: each made once, announced, and shown under its name."""

from __future__ import annotations

import io
import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import override_settings
from PIL import Image

from imagekit_registry import ImageSpec, get_image, register, unregister
from imagekit_registry.cachefiles import ImageCacheFile, generate_many
from imagekit_registry.cachefiles.bulk import Generation
from imagekit_registry.cachefiles.locks import lock_of
from imagekit_registry.exceptions import LockTimeout, ProcessingError, RetryLater, UnreadableImage
from imagekit_registry.processors import ResizeToFill, RoundedCorners
from imagekit_registry.signals import generated, generation_failed
from imagekit_registry.state import Status
from imagekit_registry.testing import forget_state
from tests.cachefiles.conftest import Explosive, files_of
from tests.pages import forget_everything, render, served
from tests.storages import ClosingStorage, CountingStorage, RemoteStorage


class Thumbnail(ImageSpec):
    """A recipe."""

    processors = [ResizeToFill(60, 40)]
    format = "JPEG"


@pytest.fixture(autouse=True)
def spec_id() -> Iterator[str]:
    """Register the spec while the test runs."""
    register.generator("tests:backend", Thumbnail)
    yield "tests:backend"
    unregister.generator("tests:backend")


@pytest.fixture
def heard() -> Iterator[list[dict[str, Any]]]:
    """Return what the signals have said, in order."""
    found: list[dict[str, Any]] = []

    def hear(**kwargs: Any) -> None:
        found.append(kwargs)

    for signal in (generated, generation_failed):
        signal.connect(hear)
    yield found
    for signal in (generated, generation_failed):
        signal.disconnect(hear)


class TestLog:
    """One line for each event."""

    def test_an_image_that_is_made_is_a_line_for_who_asks_for_it(
        self, spec_id: str, name: str, caplog: Any
    ) -> None:
        """By its own logger alone: who logs all that is INFO gets no line for each image."""
        file = get_image(spec_id, source=name)
        with caplog.at_level(logging.INFO):
            file.generate()
            assert caplog.messages == []
        with caplog.at_level(logging.INFO, "imagekit_registry.made"):
            file.generate(force=True)
        (line,) = caplog.messages
        assert re.fullmatch(
            rf"tests:backend of 'photos/rocket.jpg': JPEG of 60 x 40 pixels, {file.size} bytes,"
            rf" in 0\.\d{{3}} s, as {re.escape(str(file.name))}",
            line,
        )

    def test_the_level_that_a_project_gives_the_logger_is_kept(self) -> None:
        """Django sets up LOGGING before our modules are imported."""
        code = (
            "import logging; logging.getLogger('imagekit_registry.made').setLevel('INFO')\n"
            "import django; django.setup()\n"
            "import imagekit_registry.cachefiles\n"
            "print(logging.getLogger('imagekit_registry.made').level)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        assert int(done.stdout) == logging.INFO

    def test_a_failure_that_repeats_is_one_line_with_its_count_when_that_has_doubled(
        self, spec_id: str, caplog: Any
    ) -> None:
        """Not one for each try: the second and the fourth say how many there were."""
        bad = storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        for _ in range(7):
            with pytest.raises(UnreadableImage):
                get_image(spec_id, source=bad).generate(force=True)
        assert [line.partition("failed ")[2] for line in caplog.messages] == [
            "",
            "2 times.",
            "4 times.",
        ]
        assert all("tests:backend of 'photos/bad.jpg': " in line for line in caplog.messages)


class TestSignals:
    """What logs and metrics are told."""

    def test_a_signal_is_sent_once_when_an_image_was_made(
        self, name: str, spec_id: str, heard: list[dict[str, Any]]
    ) -> None:
        """Once: spec, source, seconds and bytes."""
        file = get_image(spec_id, source=name)
        for _ in range(2):
            file.generate()
        (news,) = heard
        assert news["signal"] is generated
        assert news["sender"] is Thumbnail
        assert news["file"] is file
        assert (news["spec_id"], news["source"]) == (spec_id, name)
        assert news["bytes"] == storages["default"].size(str(file.name))
        assert news["seconds"] > 0

    def test_a_signal_is_sent_once_a_try_when_an_image_cannot_be_made(
        self, spec_id: str, heard: list[dict[str, Any]]
    ) -> None:
        """Once a try, not once a request: spec, source, seconds and cause."""
        name = storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        for _ in range(3):
            assert get_image(spec_id, source=name).url.startswith("data:")
        (news,) = heard
        assert news["signal"] is generation_failed
        assert (news["spec_id"], news["source"]) == (spec_id, name)
        assert news["cause"] == "the file is not an image, or is damaged"
        assert isinstance(news["error"], UnreadableImage)
        assert news["seconds"] > 0

    @pytest.mark.parametrize("jobs", [0, 1, 2])
    def test_a_receiver_may_ask_for_the_url_of_what_was_made(
        self, name: str, spec_id: str, jobs: int
    ) -> None:
        """Whoever fills a CDN does: by then the image is known, and nobody waits for its lock."""
        told: list[str] = []

        def ask(*, file: ImageCacheFile, **kwargs: Any) -> None:
            told.append(f"{file.url} {file.width}")

        file = get_image(spec_id, source=name)
        broken = storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        for signal in (generated, generation_failed):
            signal.connect(ask)
        try:
            if jobs:
                list(Generation(jobs=jobs).run([[file, get_image(spec_id, source=broken)]]))
            else:
                assert file.url
                assert get_image(spec_id, source=broken).url
        finally:
            for signal in (generated, generation_failed):
                signal.disconnect(ask)
        made, failed = told
        assert made == f"{file.url} 60"
        assert failed.startswith("data:")

    def test_a_receiver_that_fails_costs_no_image(self, name: str, spec_id: str) -> None:
        """Metrics that are down are no reason for a page to be."""

        def fail(**kwargs: Any) -> None:
            raise ConnectionError("no metrics")

        bad = storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        for signal in (generated, generation_failed):
            signal.connect(fail)
        try:
            assert get_image(spec_id, source=name).url.startswith("/media/")
            assert get_image(spec_id, source=bad).url.startswith("data:")
        finally:
            for signal in (generated, generation_failed):
                signal.disconnect(fail)
        assert get_image(spec_id, source=name).state.width == 60
        assert get_image(spec_id, source=bad).state.status == Status.FAILED


class TestNames:
    """A storage that gives a new file another name if one is taken."""

    def test_the_record_holds_the_name_that_it_got(self, name: str) -> None:
        """However often the image is made anew there is one file, and its URL leads to it."""
        storage = RemoteStorage()
        file = ImageCacheFile(Thumbnail(name), storage=storage)
        for _ in range(4):
            file.generate(force=True)
            (stored,) = storage.contents
            fresh = ImageCacheFile(Thumbnail(name), storage=storage)
            assert fresh.url == f"/remote/{stored}"
            assert fresh.published_name == stored
            assert fresh.read(3) == b"\xff\xd8\xff"
            fresh.close()

    def test_a_storage_may_close_what_it_has_saved(self, name: str) -> None:
        """Clients of clouds do; size and dimensions are known before."""
        storage = ClosingStorage()
        for force in (False, True):
            file = ImageCacheFile(Thumbnail(name), storage=storage)
            file.generate(force)
            record = file.state
            assert (record.status, record.width, record.height) == (Status.EXISTS, 60, 40)
            assert record.size == len(storage.contents[str(file.published_name)])

    def test_a_name_that_it_got_is_deleted_with_the_file(self, name: str) -> None:
        """Nothing is left of it."""
        storage = RemoteStorage()
        file = ImageCacheFile(Thumbnail(name), storage=storage)
        for _ in range(2):
            file.generate(force=True)
        assert list(storage.contents) != [file.name]
        file.delete()
        assert storage.contents == {}
        assert not file.exists()

    def test_a_file_has_the_wanted_name_where_nothing_is_known_of_a_former_one(
        self, name: str
    ) -> None:
        """The first file of all is exact in its name, also when the cache was flushed."""
        storage = RemoteStorage()
        file = ImageCacheFile(Thumbnail(name), storage=storage)
        file.generate()
        forget_everything()
        file.generate()
        assert list(storage.contents) == [file.name]


class TestWaiting:
    """Somebody else makes the image."""

    @pytest.fixture
    def elsewhere(self, name: str, spec_id: str, settings: Any) -> Iterator[threading.Event]:
        """Let another thread hold the lock of the image until the event."""
        settings.IMAGEKIT_LOCK_WAIT = 0.05
        held, done = threading.Event(), threading.Event()
        file = get_image(spec_id, source=name)

        def hold() -> None:
            with lock_of(file, wait=0):
                held.set()
                done.wait(60)

        holder = threading.Thread(target=hold)
        holder.start()
        assert held.wait(60)
        yield done
        done.set()
        holder.join()

    def test_a_page_shows_what_stands_in_when_it_has_waited_in_vain(
        self, name: str, spec_id: str, elsewhere: threading.Event, heard: list[dict[str, Any]]
    ) -> None:
        """Of the right size, and for this page alone: it is no failure of the image."""
        tag = "{% generateimage 'tests:backend' source=photo %}"
        html = render(tag, photo=name)
        assert "data:image/svg+xml," in html
        assert 'width="60" height="40"' in html
        assert heard == []
        assert get_image(spec_id, source=name).state.status == Status.MISSING
        elsewhere.set()
        with override_settings(IMAGEKIT_LOCK_WAIT=60):
            assert "/media/CACHE/" in render(tag, photo=name)

    def test_waiting_in_vain_raises_where_failures_are_to_be_raised(
        self, name: str, spec_id: str, elsewhere: threading.Event, settings: Any
    ) -> None:
        """It says what to set."""
        settings.IMAGEKIT_ON_ERROR = "raise"
        with pytest.raises(LockTimeout, match="IMAGEKIT_LOCK_WAIT") as caught:
            _ = get_image(spec_id, source=name).url
        assert (caught.value.spec_id, caught.value.source) == (spec_id, name)


class TestLocks:
    """Nobody makes what somebody else is making."""

    def test_a_batch_waits_for_locks_of_others_and_uses_their_images(self, name: str) -> None:
        """Two callers, four files, one decode; the second finds what the first has made."""
        started, proceed = threading.Event(), threading.Event()

        class Slow:
            def process(self, image: Any) -> Any:
                started.set()
                assert proceed.wait(10)
                return image

        spec = type("SlowSpec", (ImageSpec,), {"processors": [Slow()], "format": "JPEG"})
        spec.get_hash = lambda self: "0" * 32  # type: ignore[attr-defined]
        files = [ImageCacheFile(spec(name)), ImageCacheFile(spec(name))]
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(generate_many, [files[0]])
            assert started.wait(10)
            second = pool.submit(generate_many, [files[1]])
            proceed.set()
            outcomes = [first.result(20), second.result(20)]
        assert outcomes[0].made == (files[0],)
        assert outcomes[1].existing == (files[1],)

    def test_who_has_waited_for_an_image_that_failed_does_not_try_it_again(self, name: str) -> None:
        """What is remembered of it says why, and when it is its time again."""
        started, proceed = threading.Event(), threading.Event()
        tries: list[int] = []

        class Bad:
            def process(self, image: Any) -> Any:
                tries.append(1)
                started.set()
                assert proceed.wait(10)
                raise RuntimeError("no ink")

        spec = type("BadSpec", (ImageSpec,), {"processors": [Bad()], "format": "JPEG"})
        spec.get_hash = lambda self: "1" * 32  # type: ignore[attr-defined]
        files = [ImageCacheFile(spec(name)), ImageCacheFile(spec(name))]
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(generate_many, [files[0]])
            assert started.wait(10)
            second = pool.submit(generate_many, [files[1]])
            time.sleep(0.05)
            proceed.set()
            errors = [each.result(20).failures[0].error for each in (first, second)]
        assert [type(error) for error in errors] == [ProcessingError, RetryLater]
        assert tries == [1]

    def test_a_lock_that_does_not_end_is_a_failure_of_that_file_alone(
        self, name: str, settings: Any
    ) -> None:
        """The wait is bounded, and over all files together; the rest is made meanwhile."""
        settings.IMAGEKIT_LOCK_WAIT = 0.05
        files = files_of(name)
        held, done = threading.Event(), threading.Event()

        def hold() -> None:
            with lock_of(files[1], wait=0):
                held.set()
                done.wait(20)

        holder = threading.Thread(target=hold)
        holder.start()
        assert held.wait(10)
        try:
            outcome = generate_many(files)
        finally:
            done.set()
            holder.join()
        assert outcome.made == (files[0], files[2], files[3])
        (failure,) = outcome.failures
        assert isinstance(failure.error, LockTimeout)
        assert failure.error.source == name
        assert generate_many(files).made == (files[1],)

    def test_a_failure_leaves_no_lock_behind(self, name: str) -> None:
        """After a failure the very same thread can try again."""
        bad = ImageCacheFile(type("Bad", (ImageSpec,), {"processors": [Explosive()]})(name))
        for _ in range(2):
            (failure,) = generate_many([bad], force=True).failures
            assert isinstance(failure.error, ProcessingError)


class RenamingStorage(RemoteStorage):
    """A storage that gives every file a name of its own choice."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return a name that is not the one that was asked for."""
        stem, dot, extension = name.rpartition(".")
        return f"{stem}_{len(self.contents)}{dot}{extension}"


class TestRenamingStorages:
    """Storages that insist on a name of their own."""

    def test_the_record_holds_the_name_that_the_file_got(self, name: str) -> None:
        """One file, found under the name it has, and no litter after it is made again."""
        storage = RenamingStorage()
        for force in (False, True, True):
            file = ImageCacheFile(Thumbnail(name), storage=storage)
            file.generate(force=force)
            assert len(storage.contents) == 1
            assert file.url == f"/remote/{next(iter(storage.contents))}"
            assert file.size == len(next(iter(storage.contents.values())))
        file.delete()
        assert storage.contents == {}


class Light(ImageSpec):
    """A recipe whose format hangs on what is in the picture."""

    processors = [ResizeToFill(60, 40)]
    format = "auto"
    options = {"quality": 70}


class TestFormatByTransparency:
    """What is transparent is a PNG, all else a JPEG."""

    @pytest.fixture(autouse=True)
    def light(self) -> None:
        """Register the spec."""
        register.generator("tests:light", Light)

    @staticmethod
    def store(mode: str, color: Any, name: str = "photos/logo.png") -> str:
        """Put a picture of one colour under *name* in the place of what is there."""
        content = io.BytesIO()
        Image.new(mode, (120, 80), color).save(content, "PNG")
        storage: Any = storages["default"]
        storage.delete(name)
        return str(storage.save(name, ContentFile(content.getvalue())))

    @pytest.mark.parametrize(
        ("mode", "color", "format"),
        [
            ("RGB", "red", "JPEG"),
            ("RGBA", (255, 0, 0, 255), "JPEG"),
            ("RGBA", (255, 0, 0, 254), "PNG"),
            ("LA", (200, 0), "PNG"),
            ("CMYK", None, "JPEG"),
        ],
        ids=["opaque", "opaque alpha", "transparent", "grey", "cmyk"],
    )
    def test_extension_type_and_bytes_agree(self, mode: str, color: Any, format: str) -> None:
        """Also where the name had to be known before the picture was."""
        if mode == "CMYK":
            source = storages["default"].save("photos/print.tiff", ContentFile(b""))
            with storages["default"].open(source, "wb") as stored:
                Image.new("CMYK", (120, 80)).save(stored, "TIFF")
        else:
            source = self.store(mode, color)
        file = get_image("tests:light", source=source)
        image = served(file.url)
        assert (image.format, image.size) == (format, (60, 40))
        assert file.url.endswith({"JPEG": ".jpg", "PNG": ".png"}[format])
        assert file.media_type == {"JPEG": "image/jpeg", "PNG": "image/png"}[format]
        if format == "PNG":
            assert image.convert("RGBA").getchannel("A").getextrema() != (255, 255)

    def test_what_a_processor_makes_transparent_is_a_png(self, name: str) -> None:
        """Not the source decides, but the result."""
        unregister.generator("tests:light")

        class Round(Light):
            processors = [ResizeToFill(60, 40), RoundedCorners(10)]

        register.generator("tests:light", Round)
        assert name.endswith(".jpg")
        assert served(get_image("tests:light", source=name).url).format == "PNG"

    def test_a_warm_page_asks_the_storage_nothing_but_a_url(self, tmp_path: Any) -> None:
        """The record says under which name it is."""
        storage = CountingStorage(location=str(tmp_path), base_url="/elsewhere/")
        Light.cachefile_storage = storage
        try:
            source = self.store("RGBA", (0, 0, 0, 0))
            url = get_image("tests:light", source=source).url
            storage.calls.clear()
            forget_state()
            assert get_image("tests:light", source=source).url == url
        finally:
            del Light.cachefile_storage
        assert url.endswith(".png")
        assert storage.calls.keys() == {"url"}

    def test_a_lost_record_costs_time_alone(self) -> None:
        """It is made again, under the same name."""
        source = self.store("RGBA", (0, 0, 0, 0))
        url = get_image("tests:light", source=source).url
        forget_everything()
        assert get_image("tests:light", source=source).url == url

    def test_a_picture_that_is_replaced_leaves_no_other_behind(self, media: Any) -> None:
        """Whichever of the two was transparent, and what was deleted is gone."""
        for color in ((1, 2, 3, 255), (0, 0, 0, 0), (4, 5, 6, 255)):
            source = self.store("RGBA", color)
            file = get_image("tests:light", source=source)
            file.generate(force=True)
            (made,) = [path for path in media.rglob("CACHE/**/*") if path.is_file()]
            assert made.name == file.url.rpartition("/")[2]
        file.delete()
        assert not [path for path in media.rglob("CACHE/**/*") if path.is_file()]

    def test_other_save_options_give_another_name(self, settings: Any, name: str) -> None:
        """Those of either format."""
        names = {get_image("tests:light", source=name).name}
        for options in ({"JPEG": {"quality": 50}}, {"PNG": {"optimize": True}}):
            settings.IMAGEKIT_FORMAT_OPTIONS = options
            names.add(get_image("tests:light", source=name).name)
        assert len(names) == 3
