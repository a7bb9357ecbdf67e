"""A process with a prepared Django that forks for each page, so that pages do not meet.

    python -m tests.docs._zygote

reads a JSON line ``{"kind": "page" | "docstrings", "name": ...}`` for each run, and writes one
with ``ran``, ``not_run``, ``skipped`` and ``problems``.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent / "project"


def set_up(data: Path) -> None:
    """Make the project in which examples run."""
    os.environ["IMAGEKIT_DOCS_DATA"] = str(data)
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    sys.path.insert(0, str(PROJECT))
    import django
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    call_command("migrate", verbosity=0)
    connections.close_all()
    warnings.simplefilter("error")
    # What an example opens it may leave to the end of its process.
    warnings.simplefilter("ignore", ResourceWarning)


def run(request: dict[str, str], data: Path) -> dict[str, Any]:
    """Run a page, or the examples in the docstrings of a module."""
    from django.conf import settings
    from django.db import connections

    own = Path(tempfile.mkdtemp(dir=data))
    shutil.copy(data / "db.sqlite3", own)
    connections["default"].settings_dict["NAME"] = own / "db.sqlite3"
    settings.DATA, settings.MEDIA_ROOT = own, own / "media"
    (own / "media").mkdir()
    os.chdir(own)
    if request["kind"] == "page":
        return _run_page(request["name"])
    from tests.docs._docstrings import run_module

    return run_module(request["name"])


def _run_page(name: str) -> dict[str, Any]:
    from tests.docs._markdown import ROOT, blocks_of, missing_need
    from tests.docs._pages import Page

    blocks = blocks_of(ROOT / name)
    page = Page(blocks)
    problems = page.run()
    return {
        "ran": page.ran,
        "not_run": [f"{b.where}: {b.not_run}" for b in blocks if b.not_run],
        "skipped": [
            f"{b.where}: {missing_need(b.needs)}"
            for b in blocks
            if not b.not_run and missing_need(b.needs)
        ],
        "problems": problems,
    }


def fork(request: dict[str, str], data: Path) -> str:
    """Run *request* in a child; return its answer as a line of JSON."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        with os.fdopen(reading) as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        return answer or json.dumps({"problems": ["the process ended without an answer"]})
    os.close(reading)
    try:
        # What examples print is none of the protocol.
        sys.stdout = sys.stderr
        answer = json.dumps(run(request, data))
    except BaseException:
        answer = json.dumps({"problems": [traceback.format_exc()]})
    with os.fdopen(writing, "w") as pipe:
        pipe.write(answer)
    os._exit(0)


def main() -> None:
    """Answer requests until there are no more."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        set_up(data)
        for line in sys.stdin:
            sys.stdout.write(fork(json.loads(line), data) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
