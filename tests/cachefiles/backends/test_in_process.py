"""Backends whose files are made by the process that shows them, but not while a page waits."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from imagekit_registry import ImageSpec
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.backends import AfterResponse, Threads
from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.signals import generated
from imagekit_registry.specs import StoredFile
from imagekit_registry.state import Status, close_request_scope, open_request_scope
from imagekit_registry.testing import wait_for_images
from tests.cachefiles.conftest import Gate
from tests.conftest import PHOTOS
from tests.serving.test_servers import ROOT, free_port, get, running
from tests.testapp.models import Photo


class Small(ImageSpec):
    """A recipe."""

    processors = [ResizeToFit(60, 60)]
    format = "JPEG"


@pytest.fixture
def made() -> Iterator[list[str]]:
    """Return the names of the threads in which images have been made."""
    names: list[str] = []

    def note(**_: object) -> None:
        names.append(threading.current_thread().name)

    generated.connect(note)
    yield names
    generated.disconnect(note)


class TestThreads:
    """Images of threads of this process."""

    @pytest.fixture
    def image_of(self, name: str, gate: Gate) -> Any:
        """Return a function that gives an image of some width, which the gate holds back."""

        def look(width: int, backend: Threads) -> ImageCacheFile:
            spec = Small(name)
            spec.processors = [ResizeToFit(width), gate]
            return ImageCacheFile(spec, cachefile_backend=backend)

        return look

    def test_a_page_does_not_wait_for_threads(
        self, image_of: Any, gate: Gate, made: list[str]
    ) -> None:
        """It has the URL and the size of the image to come; asked for twice, it is made once."""
        backend = Threads()
        for _ in range(2):
            file = image_of(50, backend)
            assert (file.url, file.width) == (file.storage.url(file.name), 50)
            assert not file
        assert file.state.status == Status.GENERATING
        gate.opened.set()
        wait_for_images()
        assert image_of(50, backend)
        assert [thread.rpartition("_")[0] for thread in made] == ["imagekit"]

    def test_what_threads_cannot_take_is_handed_over_by_a_later_page(
        self, image_of: Any, gate: Gate, made: list[str]
    ) -> None:
        """One is being made and one waits; the third is not said to be on its way."""
        backend = Threads(workers=1, waiting=1)
        files = [image_of(width, backend) for width in (50, 51, 52)]
        open_request_scope()
        assert all(file.url for file in files)
        statuses = [file.state.status for file in files]
        close_request_scope()
        assert statuses == [Status.GENERATING, Status.GENERATING, Status.MISSING]
        gate.opened.set()
        wait_for_images()
        assert len(made) == 2
        assert files[2].url
        wait_for_images()
        assert len(made) == 3

    @pytest.mark.django_db(transaction=True)
    def test_threads_begin_when_the_row_is_committed(
        self, gate: Gate, made: list[str], name: str
    ) -> None:
        """What is known of an image is not written over by the commit."""
        gate.opened.set()
        backend = Threads()
        with transaction.atomic():
            photo = Photo.objects.create(original_image=name)
            assert ImageCacheFile(Small(photo.original_image), cachefile_backend=backend).url
            wait_for_images()
            assert made == []
        wait_for_images()
        assert len(made) == 1
        assert ImageCacheFile(Small(photo.original_image), cachefile_backend=backend)

    def test_images_of_images_are_made_by_threads_one_after_the_other(
        self, name: str, made: list[str]
    ) -> None:
        """The first one is there when the second is made of it."""
        backend = Threads()
        first = ImageCacheFile(Small(name), cachefile_backend=backend)
        second = Small(first)
        second.processors = [ResizeToFit(30, 30)]
        file = ImageCacheFile(second, cachefile_backend=backend)
        assert file.url
        wait_for_images()
        assert (len(made), file.exists(), first.exists()) == (2, True, True)

    @pytest.mark.parametrize("backend", [Threads(), AfterResponse()])
    def test_images_of_open_files_are_made_at_once(
        self, backend: Any, name: str, photos: Path, made: list[str]
    ) -> None:
        """Nobody else moves about in a file that a page reads, or that is gone after it."""
        upload = ContentFile((photos / "rocket.jpg").read_bytes(), name="upload.jpg")
        ImageCacheFile(Small(upload), cachefile_backend=backend).generate()
        assert made == ["MainThread"]
        ImageCacheFile(Small(StoredFile(name)), cachefile_backend=backend).generate(force=True)
        wait_for_images()
        assert len(made) == 2

    @pytest.mark.parametrize("arguments", [{"workers": 0}, {"waiting": -1}])
    def test_threads_that_could_do_nothing_are_refused(self, arguments: Any) -> None:
        """The message says what may be given."""
        with pytest.raises(InvalidConfiguration, match="1 worker or more, and 0 or more waiting"):
            Threads(**arguments)


class TestAfterResponse:
    """Images that are made when the response has been sent."""

    @pytest.fixture
    def page(self, settings: Any, name: str) -> dict[str, Any]:
        """Serve a page of two images at ``/``; return what it has seen."""
        seen: dict[str, Any] = {}

        def view(request: HttpRequest) -> HttpResponse:
            specs = [Small(name), Small(name)]
            specs[1].processors = [ResizeToFit(30, 30)]
            files = [ImageCacheFile(each, cachefile_backend=AfterResponse()) for each in specs]
            seen["urls"] = [file.url for file in files]
            seen["status"] = {file.state.status for file in files}
            return HttpResponse("\n".join(seen["urls"]))

        settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [path("", view)]})
        return seen

    def test_images_are_made_after_the_response(
        self, page: dict[str, Any], client: Client, made: list[str], decodes: list[Any]
    ) -> None:
        """All of them together: of one source by one decode."""
        client.get("/")
        assert page["status"] == {Status.GENERATING}
        assert (made, len(decodes)) == (["MainThread"] * 2, 1)
        client.get("/")
        assert page["status"] == {Status.EXISTS}
        assert len(made) == 2

    def test_images_are_made_at_once_where_nothing_is_answered(
        self, name: str, made: list[str]
    ) -> None:
        """In a command, a worker or a shell."""
        file = ImageCacheFile(Small(name), cachefile_backend=AfterResponse())
        assert file.url
        assert file
        assert len(made) == 1

    def test_an_image_that_fails_after_the_response_is_logged_and_remembered(
        self, page: dict[str, Any], client: Client, name: str, media: Path, caplog: Any
    ) -> None:
        """The server is told nothing; the next page shows what stands in."""
        (media / name).write_bytes(b"no image")
        client.get("/")
        assert "not an image" in caplog.text
        client.get("/")
        assert page["status"] == {Status.FAILED}
        assert all(url.startswith("data:") for url in page["urls"])


SERVERS = {
    "gunicorn": ["gunicorn", "--threads", "4", "wsgi", "--bind", "127.0.0.1:{port}"],
    "uvicorn": ["uvicorn", "asgi", "--port", "{port}"],
    "daphne": ["daphne", "asgi", "--port", "{port}"],
}


@pytest.mark.machine
class TestServers:
    """Real servers."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Return the folder of a site with one photograph."""
        folder = tmp_path / "site"
        folder.mkdir()
        shutil.copy(PHOTOS / "rocket.jpg", folder / "a.jpg")
        return folder

    def serve(self, server: str, backend: str, folder: Path) -> tuple[Any, int]:
        """Return the block in which a server runs, and its port."""
        port = free_port()
        module, *options = [word.format(port=port) for word in SERVERS[server]]
        target = f"{__package__}._site:{'wsgi' if 'wsgi' in options else 'asgi'}"
        options = [target if word in {"wsgi", "asgi"} else word for word in options]
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
            "SITE_BACKEND": backend,
            "SITE_FOLDER": str(folder),
        }
        command = [sys.executable, "-m", module, *options]
        return running(command, port, environment), port

    @pytest.mark.parametrize(
        ("server", "page"),
        [("gunicorn", "page"), ("uvicorn", "page"), ("uvicorn", "async"), ("daphne", "page")],
    )
    def test_a_server_has_sent_the_response_before_images_are_made(
        self, server: str, page: str, folder: Path
    ) -> None:
        """What makes them waits for a file that is written by who has the whole response."""
        block, port = self.serve(server, "AfterResponse", folder)
        with block:
            status, content, _ = get(port, f"/{page}/2")
            assert (status, content.count(b"/CACHE/")) == (200, 2)
            assert not (folder / "made").exists()
            (folder / "go").touch()
            ends_at = time.monotonic() + 20
            while len(lines_of(folder)) < 2:
                assert time.monotonic() < ends_at
                time.sleep(0.05)

    # uvicorn ends itself by the signal that it was sent, whatever its threads do.
    @pytest.mark.parametrize("server", ["gunicorn", "daphne"])
    def test_a_server_that_ends_makes_what_threads_were_handed(
        self, server: str, folder: Path
    ) -> None:
        """More images than there are threads, asked for right before the end."""
        block, port = self.serve(server, "Threads", folder)
        with block:
            assert get(port, "/page/5")[0] == 200
            (folder / "go").touch()
        assert len(lines_of(folder)) == 5


def lines_of(folder: Path) -> list[str]:
    """Return what the site of *folder* has made."""
    log = folder / "made"
    return log.read_text().splitlines() if log.exists() else []
