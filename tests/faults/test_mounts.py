"""File systems that cannot be written to: really read-only, and really full."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import require

ROOT = Path(__file__).resolve().parents[2]
PLACEHOLDER = 'src="data:image/svg+xml,'


@functools.cache
def _reason() -> str:
    """Return why this process cannot mount anything for itself; empty if it can."""
    if sys.platform != "linux":
        return "mount namespaces are a thing of Linux"
    if not (shutil.which("unshare") and shutil.which("mount")):
        return "the programs unshare and mount are not installed"
    with tempfile.TemporaryDirectory() as folder:
        command = [*_unshare(), "mount", "-t", "tmpfs", "tmpfs", folder]
        tried = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"no mount namespace can be had here: {tried.stderr.strip()}" if tried.returncode else ""


def _unshare() -> list[str]:
    return ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]


@pytest.fixture
def see(tmp_path: Path) -> Any:
    """Return a function that plays a scenario, and gives what was seen and what was logged."""
    require(not _reason(), _reason())

    def play(scenario: str) -> tuple[dict[str, Any], str]:
        command = [*_unshare(), sys.executable, "-m", "tests.faults._mounted", scenario]
        run = subprocess.run(
            [*command, str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            timeout=300,
            check=True,
        )
        seen = json.loads(run.stdout)
        return seen["pages"], "\n".join(seen["log"])

    return play


def _assert_made(page: dict[str, Any]) -> None:
    assert 'src="/media/CACHE/' in page["html"]
    assert (page["error"], page["exists"], page["is whole"]) == ("", True, True)


def _assert_refused(page: dict[str, Any], width: int, height: int) -> None:
    assert PLACEHOLDER in page["html"]
    assert f'width="{width}" height="{height}"' in page["html"]
    assert page["error"].startswith("PublishError: imagekit:thumbnail of 'rocket.jpg': 'CACHE/")
    assert (page["exists"], page["is whole"]) == (False, False)


def test_a_read_only_file_system_shows_what_it_has(see: Any) -> None:
    """What was made before is served; what was not has a stand-in, says why, and heals."""
    pages, log = see("read-only")
    _assert_made(pages["at first"])
    _assert_made(pages["made before"])
    _assert_refused(pages["not yet made"], 300, 200)
    assert "Read-only file system. The file system is read-only." in pages["not yet made"]["error"]
    assert pages["not yet made"]["files"] == 1
    assert "imagekit:thumbnail of 'rocket.jpg': " in log
    assert "Read-only file system" in log
    _assert_made(pages["healed"])


def test_a_full_file_system_keeps_no_part_of_an_image(see: Any) -> None:
    """An image that has no room leaves nothing behind, so that smaller ones have room after it."""
    pages, log = see("full")
    _assert_made(pages["at first"])
    _assert_refused(pages["too large"], 300, 200)
    assert "No space left on device. Make room on the disk." in pages["too large"]["error"]
    assert pages["too large"]["files"] == 1
    assert "imagekit:thumbnail of 'rocket.jpg': " in log
    _assert_made(pages["again"])
    _assert_made(pages["healed"])
