"""The demo's own tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.demo._site import ROOT, Demo


def test_the_demos_own_tests_pass_and_leave_no_images(tmp_path: Path) -> None:
    """With fake images, run as its readers run them."""
    site = Demo(tmp_path)
    done = subprocess.run(
        [sys.executable, str(ROOT / "demo" / "manage.py"), "test", "demo.gallery"],
        env=site.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ran 11 tests" in done.stderr
    assert not list(tmp_path.glob("media/**/*"))
