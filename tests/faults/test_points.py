"""Each call that a way of an image takes fails in turn, or the process is killed there.

CI tries a tenth of the points; all of them are tried by hand, in some minutes:

    IMAGEKIT_FAULT_POINTS=1 python -m pytest tests/faults/test_points.py -s

``IMAGEKIT_FAULT_SEED`` chooses another tenth.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.machine

ROOT = Path(__file__).resolve().parents[2]
PART = os.environ.get("IMAGEKIT_FAULT_POINTS", "0.1")
SEED = os.environ.get("IMAGEKIT_FAULT_SEED", "0")

STORES = ("cache", "database")
#: How many points each way has, with either store: its calls of storages, cache and database, times
#: the ways in which they fail.
POINTS = {
    "cold page": (102, 96),
    "warm page": (12, 12),
    "upload": (10, 8),
    "source saved": (32, 20),
    "source saved, made at once": (74, 60),
    "source deleted": (66, 58),
    "image deleted": (12, 8),
    "generateimages": (80, 78),
    "cleanimages": (128, 112),
    "checkimages --repair": (78, 72),
    "message": (50, 48),
}


@pytest.mark.skipif(sys.platform == "win32", reason="forks and kills")
@pytest.mark.parametrize("store", STORES)
def test_whatever_call_fails_pages_render_and_come_right(store: str, tmp_path: Path) -> None:
    """Nothing half has a name, nothing live is deleted, no status is stuck, and nobody waits for long."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.faults._points", store, PART, SEED, str(tmp_path)],
        cwd=ROOT,
        env={
            **os.environ,
            "TMPDIR": str(tmp_path),
            "PYTHONWARNINGS": "ignore",
            "PYTHONHASHSEED": "0",
        },
        capture_output=True,
        timeout=1800,
        check=False,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    outcome = json.loads(run.stdout)
    print(f"\n{store}: {sum(outcome['points'].values())} points: {outcome['points']}")  # noqa: T201
    assert outcome["faults"] == []
    at = STORES.index(store)
    assert outcome["points"] == {way: counts[at] for way, counts in POINTS.items()}
