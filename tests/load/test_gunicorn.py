"""The demo under gunicorn, on Redis and PostgreSQL, with many clients and missing images.

CI runs it for a few seconds; run it for longer by hand:

    IMAGEKIT_LOAD_SECONDS=30 IMAGEKIT_LOAD_CLIENTS=50 python -m pytest tests/load -s
"""

from __future__ import annotations

import html.parser
import http.client
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from tests.conftest import require_service

pytestmark = pytest.mark.machine

ROOT = Path(__file__).resolve().parents[2]
SECONDS = float(os.environ.get("IMAGEKIT_LOAD_SECONDS", "6"))
CLIENTS = int(os.environ.get("IMAGEKIT_LOAD_CLIENTS", "20"))
WORKERS = 4
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
    """The demo, served by gunicorn."""

    def __init__(self, folder: Path) -> None:
        name = f"imagekit_load_{uuid.uuid4().hex[:12]}"
        database = django_settings.DATABASES["postgresql"]
        self.database = database
        self.name = name
        self.folder = folder
        self.port = _free_port()
        self.made = folder / "made.log"
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "demo.settings",
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
            "DEMO_DATA": str(folder),
            "DEMO_DEBUG": "0",
            "DEMO_REDIS_URL": "redis://127.0.0.1:6379/12",
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

        with redis.Redis.from_url("redis://127.0.0.1:6379/12") as client:
            client.flushdb()

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

    def __init__(self, port: int, until: float, errors: list[str], served: Counter[str]) -> None:
        super().__init__()
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

    def look(self, address: str) -> None:
        status, page = _get(self.connection, address)
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
            status, content = _get(self.connection, url)
            self.served["images"] += 1
            if status != 200 or not content:
                self.errors.append(f"{url}: {status}")


def _run(site: Site, seconds: float) -> tuple[list[str], Counter[str]]:
    errors: list[str] = []
    served: Counter[str] = Counter()
    until = time.monotonic() + seconds
    clients = [_Client(site.port, until, errors, served) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return errors, served


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="there is no /proc to count in")
def test_many_clients_get_every_image_which_is_made_once(tmp_path: Path) -> None:
    """No error, no image made twice, no handle leaked, memory flat."""
    pytest.importorskip("gunicorn", reason="gunicorn is not installed")
    require_service("Redis", "redis" in django_settings.CACHES)
    require_service("PostgreSQL", "postgresql" in django_settings.DATABASES)
    with Site(tmp_path) as site:
        errors, served = _run(site, SECONDS / 2)
        assert errors == []
        before: Any = site.measure()
        more_errors, more = _run(site, SECONDS / 2)
        after = site.measure()
    assert more_errors == []
    assert served["pages"]
    assert more["pages"]
    made = Counter(json.loads(line) for line in site.made.read_text().splitlines())
    assert len(made) > 20, "hardly anything was made: the pages had no missing images"
    assert {name: count for name, count in made.items() if count > 1} == {}
    assert sorted(before) == sorted(after), "a worker has died"
    # A worker may have had nothing to do yet when the others were measured for the first time.
    most_handles, most_memory = (max(values) for values in zip(*before.values(), strict=True))
    for handles, memory in after.values():
        assert handles <= most_handles + 5
        assert memory <= most_memory + GROWTH
    print(f"\n{CLIENTS} clients: {served + more}, made {len(made)}, workers {after}")  # noqa: T201
