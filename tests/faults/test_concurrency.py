"""Threads and event loops in one process."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from PIL import Image

from imagekit_registry import ImageSpec, get_image, register, unregister
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.signals import generated
from tests.conftest import PHOTOS

ROOT = Path(__file__).resolve().parents[2]


class Small(ImageSpec):
    """A recipe."""

    processors = [ResizeToFill(40, 30)]
    format = "JPEG"


class TestThreads:
    """Sixteen threads over one registry."""

    def test_each_image_is_made_once_and_right(self, stored_photo: Any) -> None:
        """While settings change between the rounds."""
        names = [stored_photo(name=f"photos/{number}.jpg") for number in range(4)]
        register.generator("tests:threads", Small)
        made: list[str] = []

        def note(sender: Any, file: Any, **kwargs: Any) -> None:
            made.append(file.name)

        generated.connect(note)

        def look(number: int) -> bool:
            file = get_image("tests:threads", source=names[number % len(names)])
            with Image.open(file.path) as image:
                image.load()
                return image.size == (40, 30) == (file.width, file.height)

        try:
            for folder in ("one", "two", "three"):
                made.clear()
                with (
                    override_settings(IMAGEKIT_CACHEFILE_DIR=folder),
                    ThreadPoolExecutor(16) as threads,
                ):
                    assert all(threads.map(look, range(64)))
                assert len(made) == len(set(made)) == len(names)
                assert all(name.startswith(f"{folder}/") for name in made)
        finally:
            generated.disconnect(note)
            unregister.generator("tests:threads")


SERVERS = {
    "uvicorn": ["tests.faults._asgi:application", "--log-level", "warning", "--port"],
    "daphne": ["tests.faults._asgi:application", "--verbosity", "0", "--port"],
}


@pytest.fixture(scope="module", params=SERVERS)
def site(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve the ASGI site, and give its port."""
    pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    media = tmp_path_factory.mktemp("asgi")
    with Image.open(PHOTOS / "hubble_deep_field.jpg") as image:
        image.convert("RGB").resize((4000, 3000)).save(media / "large.jpg", quality=90)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", request.param, *SERVERS[request.param], str(port)],
        cwd=ROOT,
        env={**os.environ, "IMAGEKIT_ASGI": json.dumps({"media": str(media)})},
    )
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None, "the server has ended"
            time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=30)


def _get(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read().decode()
        assert response.status == 200, text[:300]
        return text
    finally:
        connection.close()


class TestEventLoop:
    """Async views: sync work never blocks the event loop."""

    def test_a_page_does_not_wait_for_its_images(self, site: int) -> None:
        """The page is answered before they are made, with their sizes; then they are made."""
        html = _get(site, "/page?first=100")
        assert html.count("<img") == 8
        assert 'width="100" height="100"' in html
        deadline = time.monotonic() + 60
        while "True" not in _get(site, "/waiting"):
            assert time.monotonic() < deadline
        assert _get(site, "/page?first=100") == html

    def test_who_wants_to_wait_can(self, site: int) -> None:
        """By the awaitable form; the file is there afterwards."""
        assert _get(site, "/waiting") == "700x500 True"

    def test_no_image_is_made_in_the_loop(self, site: int) -> None:
        """Whoever asks: a page that does not wait, or a view that does."""
        _get(site, "/waiting")
        made_in = json.loads(_get(site, "/threads"))
        assert made_in
        assert "MainThread" not in made_in
