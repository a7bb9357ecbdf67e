"""Many processes that want one missing image: it is made once, and all of them get it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from PIL import Image

from tests.conftest import PHOTOS, require_service

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 8
ROUNDS = 4


@pytest.fixture(scope="module")
def large_photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a photograph of 12 megapixels, which takes its time."""
    path = tmp_path_factory.mktemp("large") / "large.jpg"
    with Image.open(PHOTOS / "hubble_deep_field.jpg") as image:
        image.convert("RGB").resize((4000, 3000)).save(path, quality=90)
    return path


def _cache(kind: str) -> dict[str, Any]:
    if kind == "unshared":
        return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    require_service("Redis", "redis" in django_settings.CACHES)
    return {**django_settings.CACHES["redis"], "KEY_PREFIX": f"stampede-{uuid.uuid4().hex}"}


@pytest.mark.parametrize("apart", [0, 0.05], ids=["at once", "50 ms apart"])
@pytest.mark.parametrize("kind", ["shared", "unshared"])
def test_one_image_is_made_once(kind: str, apart: float, large_photo: Path, tmp_path: Path) -> None:
    """In each of four rounds: one encode, eight good answers, one URL, one file."""
    media = tmp_path / "stampede"
    media.mkdir()
    for round_ in range(ROUNDS):
        (media / f"round-{round_}.jpg").hardlink_to(large_photo)
    options = {
        "media": str(media),
        "folder": str(tmp_path),
        "rounds": ROUNDS,
        "apart": apart,
        "cache": _cache(kind),
    }
    workers = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.faults._stampede_worker",
                json.dumps({**options, "number": number}),
            ],
            cwd=ROOT,
        )
        for number in range(PROCESSES)
    ]
    try:
        _wait_for(tmp_path, "ready-*", workers)
        for round_ in range(ROUNDS):
            (tmp_path / f"start-{round_}").touch()
            answers = [
                json.loads(path.read_text())
                for path in _wait_for(tmp_path, f"answer-{round_}-*.json", workers)
            ]
            assert [answer["error"] for answer in answers if "error" in answer] == []
            assert sum(answer["made"] for answer in answers) == 1
            assert sum(answer["good"] for answer in answers) == PROCESSES
            assert len({answer["url"] for answer in answers}) == 1
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
