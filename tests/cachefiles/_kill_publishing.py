"""Publishes a slowly read file in child processes, and kills each at a random moment.

Run as ``python -m tests.cachefiles._kill_publishing MEDIA_ROOT KIND``; prints what each left as JSON.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.files.storage import FileSystemStorage

from imagekit_registry.cachefiles.publishing import is_temporary, publish

CONTENT = bytes(range(256)) * 8192  # 2 MiB: more than eight reads
NAME = "CACHE/images/a.jpg"


class SlowContent(io.BytesIO):
    """Takes a while for each read, and may kill its process in one of them."""

    def __init__(self, content: bytes, *, dies_at: int | None) -> None:
        super().__init__(content)
        self.reads = 0
        self.dies_at = dies_at

    def read(self, size: int | None = -1, /) -> bytes:
        time.sleep(0.003)
        if self.reads == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.reads += 1
        return super().read(size)


class OwnWayStorage(FileSystemStorage):
    """Saves files in a way of its own, as many projects' storages do: straight into their place."""

    def _save(self, name: str, content: Any) -> str:
        path = Path(self.path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb", buffering=0) as file:
            for chunk in content.chunks():
                file.write(chunk)
        return name


STORAGES = {"plain": FileSystemStorage, "own way": OwnWayStorage}


def kill_one(storage: FileSystemStorage, dice: random.Random, *, inside: bool) -> dict[str, Any]:
    """Publish in a child that is killed, and tell what it has left."""
    dies_at = dice.randrange(8) if inside else None
    moment = dice.uniform(0, 0.04)
    child = os.fork()
    if child == 0:
        try:
            publish(storage, NAME, SlowContent(CONTENT, dies_at=dies_at))
        finally:
            os._exit(0)
    if not inside:
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    final = Path(storage.path(NAME))
    files = [path for path in Path(storage.location).rglob("*") if path.is_file()]
    hidden = [path for path in files if is_temporary(path.name)]
    left = {
        "killed": os.WIFSIGNALED(status),
        "final": final.read_bytes() == CONTENT if final.exists() else None,
        "hidden": len(hidden),
        "files": len(files) - len(hidden),
    }
    for path in files:
        path.unlink()
    return left


def main(root: str, kind: str) -> None:
    dice = random.Random(20)
    storage = STORAGES[kind](location=root)
    # The child dies in the middle of a read; or at a moment that it has no part in.
    outcomes = [kill_one(storage, dice, inside=bool(number % 2)) for number in range(30)]
    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    settings.DEBUG  # noqa: B018  reads the settings before anything is forked
    django.setup()
    main(*sys.argv[1:])
