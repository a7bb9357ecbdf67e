"""Asks for a missing image in child processes, each of which kills itself at another moment.

A moment is a number of calls of functions, so that the speed of the machine is no part of it.

Run as ``python -m tests.faults._kill_making MEDIA_ROOT CACHE_FOLDER``; prints what each has left, and
what the next process got, as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.files.storage import FileSystemStorage
from PIL import Image

from imagekit_registry import get_image
from imagekit_registry.cachefiles.publishing import is_temporary

SIZE = (400, 300)
KILLS = 30


class SlowStorage(FileSystemStorage):
    """Saves in a way of its own: straight into the place that it is given, in a thousand steps."""

    def _save(self, name: str, content: Any) -> str:
        path = Path(self.path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.read()
        step = len(data) // 1000 + 1
        with path.open("wb", buffering=0) as file:
            for start in range(0, len(data), step):
                file.write(data[start : start + step])
        return name


def ask() -> bool:
    """Ask for the image as a page does, and tell whether it is whole, and all known of it."""
    width, height = SIZE
    file = get_image("imagekit:thumbnail", source="source.jpg", width=width, height=height)
    if not file.url.startswith("/media/") or (file.width, file.height) != SIZE:
        return False
    record = file.state
    if (record.width, record.height, record.size) != (*SIZE, Path(file.path).stat().st_size):
        return False
    with Image.open(file.path) as image:
        image.load()
        return image.size == SIZE


def in_child(kill_at: int = -1) -> tuple[int, int]:
    """Ask in a child; return how it has ended, and how many calls of functions it took.

    Args:
        kill_at: The number of the call in which the child kills itself; negative: in none.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        calls = 0

        def count(frame: Any, event: str, argument: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        status = 1
        try:
            sys.setprofile(count)
            is_good = ask()
            sys.setprofile(None)
            os.write(writer, str(calls).encode())
            status = 0 if is_good else 2
        finally:
            os._exit(status)
    os.close(writer)
    status = os.waitpid(child, 0)[1]
    calls = int(os.read(reader, 100) or 0)
    os.close(reader)
    return status, calls


def is_whole(path: Path) -> bool:
    """Tell whether a JPEG has both its ends."""
    data = path.read_bytes()
    return data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9"


def main(root: str, cache: str) -> None:
    settings.configure(
        INSTALLED_APPS=["imagekit_registry"],
        MEDIA_ROOT=root,
        MEDIA_URL="/media/",
        CACHES={
            "default": {
                "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
                "LOCATION": cache,
            }
        },
        STORAGES={"default": {"BACKEND": f"{__name__}.SlowStorage"}},
        IMAGEKIT_LOCK_WAIT=60,
        USE_TZ=True,
    )
    django.setup()

    def clean() -> None:
        for path in [*Path(root, "CACHE").rglob("*"), *Path(cache).glob("*.djcache")]:
            if path.is_file():
                path.unlink()

    # What is imported on the way is imported here, or most moments were moments of importing.
    assert get_image("imagekit:thumbnail", source="source.jpg", width=9, height=9).url
    clean()
    calls = in_child()[1]
    clean()
    dice = random.Random(4)
    outcomes = []
    for number in range(KILLS):
        status, _ = in_child(int(calls * (number + dice.random()) / KILLS) + 1)
        found = [path for path in Path(root, "CACHE").rglob("*") if path.is_file()]
        outcome = {
            "killed": os.WIFSIGNALED(status),
            "temporary": sum(is_temporary(path.name) for path in found),
            "final": [is_whole(path) for path in found if not is_temporary(path.name)],
            "next": in_child()[0],
        }
        outcomes.append(outcome)
        clean()
    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    sys.modules["tests.faults._kill_making"] = sys.modules["__main__"]
    main(*sys.argv[1:])
