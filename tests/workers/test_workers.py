"""Images that workers make: real queues, real workers, and what an enemy writes into the queues."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from tests.conftest import require_service
from tests.settings import _is_up

ROOT = Path(__file__).resolve().parents[2]
BACKENDS = ["Celery", "RQ", "Dramatiq", "Tasks"]

pytestmark = pytest.mark.machine


class Project:
    """A project with a database, a folder and queues of its own."""

    def __init__(self, backend: str, folder: Path) -> None:
        self.name = f"imagekit_workers_{uuid.uuid4().hex[:12]}"
        self.folder = folder
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.workers._settings",
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
            "IMAGEKIT_WORKERS_BACKEND": backend,
            "IMAGEKIT_WORKERS_TAG": self.name,
            "IMAGEKIT_WORKERS_MEDIA": str(folder / "media"),
        }

    def __enter__(self) -> Project:
        self._sql(f'CREATE DATABASE "{self.name}"')
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._sql(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')
        import redis

        client = redis.Redis(port=6379, db=9)
        for key in client.scan_iter(f"*{self.name}*"):
            client.delete(key)

    def _sql(self, statement: str) -> None:
        import psycopg

        database = django_settings.DATABASES["postgresql"]
        connection = psycopg.connect(
            dbname="postgres",
            user=database["USER"],
            password=database["PASSWORD"],
            host=database["HOST"],
            autocommit=True,
        )
        with connection:
            connection.execute(statement)

    def play(self) -> dict[str, Any]:
        """Run the scenario, and return what it has seen."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.workers._scenario", str(self.folder)],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report


@pytest.fixture(scope="module", params=BACKENDS)
def seen(request: Any, tmp_path_factory: Any) -> Iterator[dict[str, Any]]:
    """Give what a site and its worker have seen."""
    require_service("PostgreSQL", "postgresql" in django_settings.DATABASES)
    require_service("Redis", "redis" in django_settings.CACHES)
    if request.param == "Celery":
        require_service("RabbitMQ", _is_up(5672))
    with Project(request.param, tmp_path_factory.mktemp("workers")) as project:
        yield project.play()


def test_pages_know_the_images_to_come(seen: dict[str, Any]) -> None:
    """URL and size are right before there is a file, and stay as they are."""
    assert [(tag["width"], tag["height"]) for tag in seen["first"]] == [("50", "50"), ("120", "80")]
    assert seen["again"] == seen["first"]
    assert seen["then"] == seen["first"]
    assert seen["files_before"] == []


def test_workers_make_the_images(seen: dict[str, Any]) -> None:
    """Each image is made by the worker, of the row and with the arguments that the page had."""
    assert seen["made"], seen["log"]
    assert seen["settled"], seen["log"]
    assert seen["sizes"] == [[50, 50], [120, 80]]


def test_messages_are_sent_once_and_after_the_commit(seen: dict[str, Any]) -> None:
    """A worker does not look for a row that it cannot see yet, nor is it told twice."""
    assert seen["sent_before_commit"] == 0
    assert len(seen["messages"]) == 2


def test_messages_of_every_queue_are_json(seen: dict[str, Any]) -> None:
    """Each tells spec, source and digest, in JSON; no pickle is in a queue."""
    for text in seen["messages"]:
        assert "\\x80\\x04" not in ascii(text)
        json.loads(text)
        assert "photos/rocket" in text
    assert "testapp:photo:thumbnail" in "".join(seen["messages"])


def test_a_poisoned_queue_runs_nothing(seen: dict[str, Any]) -> None:
    """Pickles and forged messages make no image and run no code; the worker goes on."""
    assert not seen["ran"], seen["log"]
    assert seen["alive"], seen["log"]
    assert seen["made_after_poison"], seen["log"]
    names = {name.split("/")[-2] for name in seen["files_after"]}
    assert names == {"rocket", "hubble"}


def test_what_a_worker_cannot_make_is_remembered(seen: dict[str, Any]) -> None:
    """The state says why, the page shows what stands in."""
    assert seen["failed"], seen["log"]
    assert "does not exist" in seen["error"]
    assert seen["broken"][0]["src"].startswith("data:image/svg+xml")
