"""Processes that are killed while they make an image."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PHOTOS

pytestmark = pytest.mark.machine

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(sys.platform == "win32", reason="forks and kills")
def test_sigkill_at_any_moment_leaves_nothing_or_the_whole_file_and_is_healed(
    tmp_path: Path,
) -> None:
    """30 kills from the first question to the last byte; the next process gets the image at once."""
    media, cache, locks = (tmp_path / name for name in ("site", "cache", "locks"))
    for folder in (media, cache, locks):
        folder.mkdir()
    (media / "source.jpg").write_bytes((PHOTOS / "rocket.jpg").read_bytes())
    run = subprocess.run(
        [sys.executable, "-m", "tests.faults._kill_making", str(media), str(cache)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(locks)},
        capture_output=True,
        timeout=300,
        check=True,
        text=True,
    )
    outcomes = json.loads(run.stdout)
    assert len(outcomes) == 30
    assert all(all(outcome["final"]) for outcome in outcomes)
    # At once: the key of the dead one in the cache has half a minute to go.
    assert [outcome["next"] for outcome in outcomes] == [0] * 30
    # Killed before, while and after the file was written: otherwise this says nothing.
    assert sum(outcome["killed"] for outcome in outcomes) >= 25
    assert sum(outcome["temporary"] for outcome in outcomes) >= 3
    assert sum(bool(outcome["final"]) for outcome in outcomes) >= 1
    assert sum(not (outcome["temporary"] or outcome["final"]) for outcome in outcomes) >= 3
