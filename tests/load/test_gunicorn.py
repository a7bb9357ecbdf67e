"""The demo under gunicorn, on Redis and PostgreSQL, with many clients and missing images.

Once all is well; once servers stop, connections are cut and processes are killed, every few seconds. CI
runs it for a short time; run it for longer by hand:

    IMAGEKIT_LOAD_SECONDS=30 IMAGEKIT_LOAD_CLIENTS=50 python -m pytest tests/load -s
"""

from __future__ import annotations

import html.parser
import http.client
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from PIL import Image

from imagekit_registry.cachefiles.publishing import is_temporary
from tests.conftest import require, require_service

pytestmark = pytest.mark.machine

ROOT = Path(__file__).resolve().parents[2]
SECONDS = float(os.environ.get("IMAGEKIT_LOAD_SECONDS", "6"))
CLIENTS = int(os.environ.get("IMAGEKIT_LOAD_CLIENTS", "20"))
WORKERS = 4
#: How long it lasts while things fail, and how far apart two failures of a kind are.
FAULTY_SECONDS = max(SECONDS, 11.0)
EVERY = 5.0
#: How often a client asks again for a page that was under way when its server was killed.
RETRIES = 5
#: Clients that ask for the same images, which nobody has made yet, at about the same time.
TOGETHER = 8
#: How much a worker may grow while it serves the same pages over and over, in KiB.
GROWTH = 30_000


class _Images(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.urls += [value for name, value in attrs if name == "src" and value]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read()


class Site:
    """The demo, served by gunicorn.

    Args:
        folder: Where its files go.
        redis_port: Where its Redis server listens.
        store: What ``IMAGEKIT_STATE_STORE`` is.
    """

    def __init__(self, folder: Path, redis_port: int = 6379, store: str = "cache") -> None:
        name = f"imagekit_load_{uuid.uuid4().hex[:12]}"
        database = django_settings.DATABASES["postgresql"]
        self.database = database
        self.name = name
        self.folder = folder
        self.port = _free_port()
        self.made = folder / "made.log"
        self.redis_url = f"redis://127.0.0.1:{redis_port}/12"
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.load._settings",
            "IMAGEKIT_LOAD_STORE": store,
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
            "DEMO_DATA": str(folder),
            "DEMO_DEBUG": "0",
            "DEMO_REDIS_URL": self.redis_url,
            "DEMO_DATABASE": "postgresql",
            "DEMO_DATABASE_NAME": name,
            "DEMO_DATABASE_USER": database["USER"],
            "DEMO_DATABASE_PASSWORD": database["PASSWORD"],
            "IMAGEKIT_LOAD_LOG": str(self.made),
        }

    def __enter__(self) -> Site:
        self._sql(f'CREATE DATABASE "{self.name}"')
        self._manage("migrate", "--verbosity", "0")
        self._manage("loaddemo")
        shutil.rmtree(self.folder / "media" / "CACHE", ignore_errors=True)
        self._flush()
        self.log = (self.folder / "gunicorn.log").open("wb")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "gunicorn",
                "--workers",
                str(WORKERS),
                "--timeout",
                "120",
                "--bind",
                f"127.0.0.1:{self.port}",
                "tests.load._wsgi:application",
            ],
            cwd=ROOT,
            env=self.environment,
            stdout=self.log,
            stderr=self.log,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            assert self.process.poll() is None, (self.folder / "gunicorn.log").read_text()
            time.sleep(0.1)
        raise AssertionError("gunicorn does not answer")

    def __exit__(self, *args: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.close()
        self._sql(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')
        self._flush()

    def _manage(self, *args: str) -> None:
        command = [sys.executable, str(ROOT / "demo" / "manage.py"), *args]
        subprocess.run(command, cwd=ROOT, env=self.environment, check=True, capture_output=True)

    def _sql(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(
            host="127.0.0.1",
            dbname=self.database["NAME"],
            user=self.database["USER"],
            password=self.database["PASSWORD"],
            autocommit=True,
        ) as connection:
            connection.execute(statement)

    def _flush(self) -> None:
        import redis

        with redis.Redis.from_url(self.redis_url) as client:
            client.flushdb()

    def cut(self) -> None:
        """End all connections to the database."""
        self._sql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}'"
        )

    def times_made(self) -> Counter[str]:
        """Return how often each image was made."""
        return Counter(json.loads(line) for line in self.made.read_text().splitlines())

    def workers(self) -> list[int]:
        """Return the process ids of gunicorn's workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return sorted(map(int, children.read_text().split()))

    def measure(self) -> dict[int, tuple[int, int]]:
        """Return, for each worker, its open file descriptors and its memory in KiB."""
        found = {}
        for pid in self.workers():
            status = Path(f"/proc/{pid}/status").read_text()
            memory = int(status.split("VmRSS:")[1].split()[0])
            found[pid] = (len(list(Path(f"/proc/{pid}/fd").iterdir())), memory)
        return found


class _Client(threading.Thread):
    """Looks at the gallery, at a page of new images, and at the images, again and again."""

    turns = itertools.count()

    def __init__(
        self, port: int, until: float, errors: list[str], served: Counter[str], retries: int
    ) -> None:
        super().__init__()
        self.retries = retries
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.until = until
        self.errors = errors
        self.served = served

    def run(self) -> None:
        try:
            while time.monotonic() < self.until:
                self.look("/")
                self.look(f"/fresh/{50 + next(self.turns) // TOGETHER}")
        except Exception as error:
            self.errors.append(f"{type(error).__name__}: {error}")
        finally:
            self.connection.close()

    def get(self, address: str) -> tuple[int, bytes]:
        """Ask as a browser does: again, if the server goes away, or says that it is to be asked again."""
        for left in reversed(range(self.retries + 1)):
            try:
                status, content = _get(self.connection, address)
            except (OSError, http.client.HTTPException):
                self.connection.close()
                if not left:
                    raise
            else:
                if status != 503 or not left:
                    return status, content
            self.served["asked again"] += 1
            time.sleep(0.2)
        raise AssertionError

    def look(self, address: str) -> None:
        status, page = self.get(address)
        if status != 200:
            self.errors.append(f"{address}: {status}")
            return
        self.served["pages"] += 1
        parser = _Images()
        parser.feed(page.decode())
        if not parser.urls:
            self.errors.append(f"{address}: no image")
        for url in parser.urls:
            if not url.startswith("/"):
                self.errors.append(f"stand-in on the page: {url[:60]}")
                continue
            status, content = self.get(url)
            self.served["images"] += 1
            if status != 200 or not content:
                self.errors.append(f"{url}: {status}")


def _run(site: Site, seconds: float, retries: int = 0) -> tuple[list[str], Counter[str]]:
    errors: list[str] = []
    served: Counter[str] = Counter()
    until = time.monotonic() + seconds
    clients = [_Client(site.port, until, errors, served, retries) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return errors, served


def _require_servers() -> None:
    pytest.importorskip("gunicorn", reason="gunicorn is not installed")
    require_service("Redis", "redis" in django_settings.CACHES)
    require_service("PostgreSQL", "postgresql" in django_settings.DATABASES)


def _assert_flat(before: Any, after: Any) -> None:
    """Fail if a worker has more open files, or more memory, than the largest had before."""
    # A worker may have had nothing to do yet when the others were measured for the first time.
    most_handles, most_memory = (max(values) for values in zip(*before.values(), strict=True))
    for handles, memory in after.values():
        assert handles <= most_handles + 5
        assert memory <= most_memory + GROWTH


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="there is no /proc to count in")
def test_many_clients_get_every_image_which_is_made_once(tmp_path: Path) -> None:
    """No error, no image made twice, no handle leaked, memory flat."""
    _require_servers()
    with Site(tmp_path) as site:
        errors, served = _run(site, SECONDS / 2)
        assert errors == []
        before: Any = site.measure()
        more_errors, more = _run(site, SECONDS / 2)
        after = site.measure()
    assert more_errors == []
    assert served["pages"]
    assert more["pages"]
    made = site.times_made()
    assert len(made) > 20, "hardly anything was made: the pages had no missing images"
    assert {name: count for name, count in made.items() if count > 1} == {}
    assert sorted(before) == sorted(after), "a worker has died"
    _assert_flat(before, after)
    print(f"\n{CLIENTS} clients: {served + more}, made {len(made)}, workers {after}")  # noqa: T201


class _Redis:
    """A Redis server of our own, which may be stopped."""

    def __init__(self, folder: Path) -> None:
        self.port = _free_port()
        self.folder = folder
        self.start()

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        arguments = ("--port", str(self.port), "--save", "", "--dir", str(self.folder))
        self.process = subprocess.Popen(["redis-server", *arguments], stdout=subprocess.DEVNULL)
        while self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("redis-server does not start")

    def stop(self) -> None:
        """Stop it."""
        self.process.kill()
        self.process.wait(timeout=30)


@contextmanager
def _failing(site: Site, redis: _Redis) -> Iterator[Counter[str]]:
    """Have things fail in turn, each of them every few seconds, while the block lasts."""
    done: Counter[str] = Counter()
    is_over = threading.Event()

    def kill() -> None:
        os.kill(site.workers()[0], signal.SIGKILL)

    def fail() -> None:
        for fault in itertools.cycle((redis.stop, kill, redis.start, site.cut)):
            if is_over.wait(EVERY / 4):
                break
            fault()
            done[fault.__name__] += 1
        if redis.process.poll() is not None:
            redis.start()

    thread = threading.Thread(target=fail)
    thread.start()
    try:
        yield done
    finally:
        is_over.set()
        thread.join()


@pytest.mark.parametrize("store", ["cache", "database"])
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="there is no /proc to count in")
def test_no_page_fails_while_servers_stop_and_processes_are_killed(
    tmp_path: Path, store: str
) -> None:
    """Each image is whole and made twice at most; what was under way in a killed process is asked again."""
    _require_servers()
    require(shutil.which("redis-server") is not None, "redis-server is not installed")
    redis = _Redis(tmp_path)
    try:
        with Site(tmp_path, redis.port, store) as site:
            errors, _ = _run(site, 1)
            assert errors == []
            before = site.measure()
            with _failing(site, redis) as done:
                errors, served = _run(site, FAULTY_SECONDS, RETRIES)
            assert errors == []
            errors, _ = _run(site, 1, RETRIES)
            assert errors == []
            _assert_flat(before, site.measure())
            made = site.times_made()
    finally:
        redis.stop()
    print(f"\n{store}: {CLIENTS} clients: {served}, {done}, made {len(made)}")  # noqa: T201
    assert {"stop", "start", "kill", "cut"} <= set(done)
    assert len(made) > 20, "hardly anything was made: the pages had no missing images"
    assert {name: count for name, count in made.items() if count > 2} == {}
    for path in (tmp_path / "media" / "CACHE").rglob("*.*"):
        if not is_temporary(path.name):
            with Image.open(path) as image:
                image.load()
