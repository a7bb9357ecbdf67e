"""On-demand URLs under real servers: many clients, several processes, and nginx in front of them."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Barrier

import pytest
from PIL import Image

from tests.conftest import PHOTOS, require

pytestmark = pytest.mark.machine

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = 50
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
CONFIGURATION = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://127.0.0.1:{behind}; }}
        location /media/CACHE/ {{ internal; alias {media}/CACHE/; }}
    }}
}}
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a site that has a photograph of 24 megapixels."""
    media = tmp_path / "site"
    media.mkdir()
    with Image.open(PHOTOS / "hubble_deep_field.jpg") as image:
        image.resize((6000, 4000), Image.Resampling.NEAREST).save(media / "large.jpg")
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
        "TMPDIR": str(tmp_path),
        "SITE_ASYNC": "",
        "SITE_LOG": str(tmp_path / "made.log"),
        "SITE_MEDIA": str(media),
        "SITE_MODE": "stream",
    }


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], port: int, environment: Mapping[str, str]) -> Iterator[None]:
    """Run a server until the end of the block, which begins when it listens."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        ends_at = time.monotonic() + 60
        while time.monotonic() < ends_at and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def get(port: int, path: str, **headers: str) -> tuple[int, bytes, Mapping[str, str]]:
    """Return the status, the content and the headers of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read(), dict(response.getheaders())
    finally:
        connection.close()


def stampede(port: int, url: str) -> Counter[tuple[int, bytes]]:
    """Have many clients ask for *url* at the same moment, and return what they got."""
    barrier = Barrier(CLIENTS)

    def ask(number: int) -> tuple[int, bytes]:
        barrier.wait()
        return get(port, url)[:2]

    with ThreadPoolExecutor(CLIENTS) as threads:
        return Counter(threads.map(ask, range(CLIENTS)))


def gunicorn(port: int) -> list[str]:
    """Return the command of a server with two processes."""
    options = ["--workers", "2", "--threads", "25", "--bind", f"127.0.0.1:{port}"]
    return [sys.executable, "-m", "gunicorn", *options, "tests.serving._site:wsgi"]


def uvicorn(port: int) -> list[str]:
    """Return the command of a server with an event loop in each of two processes."""
    options = ["--workers", "2", "--port", str(port)]
    return [sys.executable, "-m", "uvicorn", *options, "tests.serving._site:asgi"]


def test_one_cold_url_is_encoded_once_over_processes(environment: dict[str, str]) -> None:
    """All clients get the image, and nobody is asked to come back."""
    port = free_port()
    environment["SITE_ASYNC"] = "1"
    with running(uvicorn(port), port, environment):
        url = get(port, "/page")[1].decode()
        answers = stampede(port, url)
        assert get(port, f"{url}x")[0] == 403
    assert [status for status, _ in answers] == [200]
    assert sum(answers.values()) == CLIENTS
    assert len(Path(environment["SITE_LOG"]).read_text().splitlines()) == 1


@pytest.mark.parametrize("is_async", ["", "1"])
@pytest.mark.parametrize("server", [gunicorn, uvicorn])
def test_an_async_permission_refuses_and_lets_in(
    server: Callable[[int], list[str]], is_async: str, environment: dict[str, str]
) -> None:
    """Either view, with an event loop around it or without."""
    port = free_port()
    environment |= {"SITE_ASYNC": is_async, "SITE_PERMISSION": "tests.serving._site.let_staff"}
    with running(server(port), port, environment):
        url = get(port, "/page")[1].decode()
        assert get(port, url)[0] == 403
        with ThreadPoolExecutor(CLIENTS) as threads:
            answers = threads.map(lambda _: get(port, url, **{"X-Staff": "yes"})[0], range(CLIENTS))
        assert set(answers) == {200}


@pytest.mark.parametrize("server", [gunicorn, uvicorn])
def test_nginx_sends_what_only_it_can_reach(
    server: Callable[[int], list[str]], environment: dict[str, str], tmp_path: Path
) -> None:
    """Whole, in parts, or not at all if the browser has it; nobody else gets at the file."""
    require(NGINX is not None, "nginx is not on this machine")
    behind, port = free_port(), free_port()
    folder = tmp_path / "nginx"
    folder.mkdir()
    media = environment["SITE_MEDIA"]
    configuration = tmp_path / "nginx.conf"
    # Processes of nginx may run as another user, who must get to the files.
    user = "user root;" if os.geteuid() == 0 else ""
    text = CONFIGURATION.format(folder=folder, port=port, behind=behind, media=media)
    configuration.write_text(user + text)
    environment["SITE_MODE"] = "accel"
    environment["SITE_ASYNC"] = "1" if server is uvicorn else ""
    with ExitStack() as servers:
        servers.enter_context(running(server(behind), behind, environment))
        command = [str(NGINX), "-e", str(folder / "early.log"), "-c", str(configuration)]
        servers.enter_context(running(command, port, environment))
        url = get(port, "/page")[1].decode()
        ((status, content),) = stampede(port, url)
        assert (status, content[:3]) == (200, b"\xff\xd8\xff")
        _, _, headers = get(port, url)
        assert headers["Content-Type"] == "image/jpeg"
        assert headers["Cache-Control"] == "public, max-age=60"
        assert "X-Accel-Redirect" not in headers
        assert get(port, url, **{"If-None-Match": headers["ETag"]})[:2] == (304, b"")
        assert get(port, url, Range="bytes=5-9")[:2] == (206, content[5:10])
        shown = get(port, "/page")[1].decode()
        assert shown.startswith("/media/CACHE/")
        assert get(port, shown)[0] == 404
    assert len(Path(environment["SITE_LOG"]).read_text().splitlines()) == 1
