"""One contender in one process: ``python -m benchmarks._worker NAME``.

Each line on stdin is a JSON list, method and arguments; each line on stdout is a JSON answer. The
contenders cannot share a process: three of them call their tags or their app the same.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from benchmarks._sources import DATA


def configure(name: str, root: Path) -> None:
    """Set Django up for a contender whose files lie under *root*."""
    import django

    os.environ["BENCHMARK_CONTENDER"] = name
    os.environ["BENCHMARK_ROOT"] = str(root)
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks._settings"
    django.setup()


def main(name: str) -> None:
    """Answer until stdin ends."""
    # What a library prints must not look like an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    DATA.mkdir(exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=DATA))
    try:
        (root / "media" / "photos").mkdir(parents=True)
        configure(name, root)
        from django.core.management import call_command

        from benchmarks._contenders import make_contender
        from benchmarks._counting import count_opens

        call_command("migrate", verbosity=0)
        count_opens(str(root / "media"))
        contender = make_contender(name, root / "media")
        for line in sys.stdin:
            method, *args = json.loads(line)
            answer: dict[str, Any]
            try:
                answer = {"result": getattr(contender, method)(*args)}
            except Exception:  # noqa: BLE001 -- told to the other side
                answer = {"error": traceback.format_exc()}
            print(json.dumps(answer), file=answers, flush=True)
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
