"""Many processes that want one missing image: it is made once, and all of them get it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connections
from PIL import Image

from tests.conftest import PHOTOS, require_service

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 8
ROUNDS = 4


@pytest.fixture(scope="module")
def large_photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a photograph of 24 megapixels, which takes its time."""
    path = tmp_path_factory.mktemp("large") / "large.jpg"
    with Image.open(PHOTOS / "hubble_deep_field.jpg") as image:
        image.convert("RGB").resize((6000, 4000)).save(path, quality=90)
    return path


LOCAL_MEMORY = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


@pytest.fixture
def redis() -> dict[str, Any]:
    """Return the settings of a cache that all processes share."""
    require_service("Redis", "redis" in django_settings.CACHES)
    return {**django_settings.CACHES["redis"], "KEY_PREFIX": f"stampede-{uuid.uuid4().hex}"}


@pytest.fixture
def postgresql(django_db_blocker: Any) -> Iterator[dict[str, Any]]:
    """Return the settings of a database of its own, with the tables for cache and state."""
    require_service("PostgreSQL", "postgresql" in django_settings.DATABASES)
    database = django_settings.DATABASES["postgresql"]
    name = f"imagekit_stampede_{uuid.uuid4().hex[:12]}"
    with django_db_blocker.unblock(), connections["postgresql"]._nodb_cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
        try:
            kept = ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")
            yield {key: database[key] for key in kept if key in database} | {"NAME": name}
        finally:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


pytestmark = pytest.mark.machine

at_once_and_apart = pytest.mark.parametrize("apart", [0, 0.05], ids=["at once", "50 ms apart"])


class TestOneImageIsMadeOnce:
    """In each of four rounds: one encode, eight good answers, one URL, one file."""

    @at_once_and_apart
    def test_one_image_is_made_once_with_a_shared_cache(
        self, apart: float, large_photo: Path, tmp_path: Path, redis: Any
    ) -> None:
        """The key in the cache, and the lock file, both hold."""
        _stampede(large_photo, tmp_path, redis, apart=apart)

    @at_once_and_apart
    def test_one_image_is_made_once_without_a_shared_cache(
        self, apart: float, large_photo: Path, tmp_path: Path
    ) -> None:
        """The lock file alone holds; each process finds in the storage that the work is done."""
        _stampede(large_photo, tmp_path, LOCAL_MEMORY, apart=apart)

    def test_one_image_is_made_once_on_eight_hosts(
        self, large_photo: Path, tmp_path: Path, redis: Any
    ) -> None:
        """The key in the cache alone holds: no host sees the lock files of another."""
        _stampede(large_photo, tmp_path, redis, hosts=PROCESSES)

    def test_one_image_is_made_once_on_eight_hosts_with_all_state_in_a_database(
        self, large_photo: Path, tmp_path: Path, postgresql: Any
    ) -> None:
        """Locks in Django's database cache, records in the table."""
        cache = {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "locks"}
        _stampede(large_photo, tmp_path, cache, apart=0.05, hosts=PROCESSES, database=postgresql)


class TestTwoImagesOfOneName:
    """In each of four rounds: one of them is made, once, and the others are told whose it is."""

    @at_once_and_apart
    def test_one_of_two_images_of_one_name_is_made_with_a_shared_cache(
        self, apart: float, large_photo: Path, tmp_path: Path, redis: Any
    ) -> None:
        """The lock is by name, and the record is written before it is let go."""
        _stampede(large_photo, tmp_path, redis, apart=apart, rivals=True)

    def test_one_of_two_images_of_one_name_is_made_on_eight_hosts_with_a_database(
        self, large_photo: Path, tmp_path: Path, postgresql: Any
    ) -> None:
        """As with a cache."""
        cache = {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "locks"}
        _stampede(large_photo, tmp_path, cache, hosts=PROCESSES, database=postgresql, rivals=True)


def _stampede(
    large_photo: Path,
    tmp_path: Path,
    cache: dict[str, Any],
    *,
    apart: float = 0,
    hosts: int = 1,
    database: dict[str, Any] | None = None,
    rivals: bool = False,
) -> None:
    """Let eight processes ask for one image, four times over.

    Args:
        large_photo: What the image is made of.
        tmp_path: An empty folder.
        cache: The settings of the cache.
        apart: Seconds between the question of one process and that of the next.
        hosts: Number of folders for lock files, which processes of one host share.
        database: The settings of the database, if there is one.
        rivals: Whether every other process asks for an image of another source that would get the
            same name.
    """
    media = tmp_path / "stampede"
    media.mkdir()
    for round_ in range(ROUNDS):
        (media / f"round-{round_}.jpg").hardlink_to(large_photo)
        if rivals:
            with Image.open(large_photo) as image:
                image.resize((400, 600)).save(media / f"round-{round_}.jpeg")
    options = {
        "media": str(media),
        "folder": str(tmp_path),
        "rounds": ROUNDS,
        "apart": apart,
        "cache": cache,
        "database": database,
        "rivals": rivals,
    }
    workers = []
    for number in range(PROCESSES):
        host = tmp_path / f"host-{number % hosts}"
        host.mkdir(exist_ok=True)
        arguments = json.dumps({**options, "number": number})
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.faults._stampede_worker", arguments],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(host)},
        )
        workers.append(worker)
    try:
        _wait_for(tmp_path, "ready-*", workers)
        for round_ in range(ROUNDS):
            (tmp_path / f"start-{round_}").touch()
            answers = [
                json.loads(path.read_text())
                for path in _wait_for(tmp_path, f"answer-{round_}-*.json", workers)
            ]
            errors = [answer["error"] for answer in answers if "error" in answer]
            refused = [error for error in errors if error.startswith("NameTaken: tests:rival of")]
            assert errors == refused
            assert len(refused) == (PROCESSES // 2 if rivals else 0)
            assert sum(answer["made"] for answer in answers) == 1
            shown = [answer for answer in answers if "error" not in answer]
            assert all(answer["good"] for answer in shown)
            assert len({answer["url"] for answer in shown}) == 1
            made = [path for path in media.rglob("*") if path.is_file() and "CACHE" in path.parts]
            assert len(made) == round_ + 1
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def _wait_for(folder: Path, pattern: str, workers: list[subprocess.Popen[bytes]]) -> list[Path]:
    """Return the files that all workers write, however long they take within reason."""
    deadline = time.monotonic() + 120
    while len(found := sorted(folder.glob(pattern))) < PROCESSES:
        failed = [worker.returncode for worker in workers if worker.poll() not in (None, 0)]
        assert not failed, f"workers ended with {failed}"
        assert time.monotonic() < deadline, f"only {len(found)} of {PROCESSES} wrote {pattern}"
        time.sleep(0.01)
    return found
