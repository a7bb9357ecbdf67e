"""Fixtures of the documentation's tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.docs._markdown import ROOT

Run = Callable[[str, str], dict[str, Any]]


@pytest.fixture(scope="session")
def run_examples() -> Iterator[Run]:
    """Return a function that runs a page, or the docstrings of a module, in a process of its own."""
    if not hasattr(os, "fork"):
        pytest.skip("examples are run in forks")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.docs._zygote"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def run(kind: str, name: str) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"kind": kind, "name": name}) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, "the process that runs examples has ended"
        result: dict[str, Any] = json.loads(answer)
        return result

    yield run
    process.stdin.close()
    process.wait(timeout=20)
    process.stdout.close()
