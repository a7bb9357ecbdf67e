"""Shows images whose media folder is a file system of its own: read-only for a while, or full.

Run as ``unshare -m python -m tests.faults._mounted SCENARIO FOLDER`` (``-rm`` by who is not root), so that
what it mounts is seen by this process alone; prints what pages and callers got, as JSON.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.cache import caches
from django.core.files.storage import storages
from django.template import Context, Template
from PIL import Image

from imagekit_registry import get_image
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.exceptions import GenerationError
from imagekit_registry.specs import StoredFile
from imagekit_registry.testing import forget_state
from tests.conftest import PHOTOS

SMALL = 64 * 1024
OLD, NEW, TINY = (60, 40), (300, 200), (16, 16)


class Site:
    """Pages of images whose folder is mounted."""

    def __init__(self, folder: Path) -> None:
        self.media = folder / "mounted"
        self.media.mkdir()
        self.logged: list[str] = []
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: self.logged.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("imagekit_registry").addHandler(handler)

    def mount(self, options: str) -> None:
        """Mount a new file system."""
        self._mount("-t", "tmpfs", "-o", options, "tmpfs")

    def remount(self, options: str) -> None:
        """Change the options of the file system."""
        self._mount("-o", f"remount,{options}")

    def _mount(self, *arguments: str) -> None:
        subprocess.run(["mount", *arguments, str(self.media)], check=True)

    def file(self, size: tuple[int, int]) -> ImageCacheFile:
        """Return an image as a new process sees it, one that nobody has told anything."""
        caches["default"].clear()
        forget_state()
        source = StoredFile("rocket.jpg", storages["originals"])
        width, height = size
        return get_image(
            "imagekit:thumbnail", source=source, width=width, height=height, format="PNG"
        )

    def see(self, size: tuple[int, int]) -> dict[str, Any]:
        """Return what a page and a caller get."""
        html = Template(
            "{% load imagekit %}{% generateimage 'imagekit:thumbnail' source=source width=width"
            " height=height format='PNG' %}"
        ).render(Context({"source": self.file(size).source, "width": size[0], "height": size[1]}))
        error = ""
        try:
            self.file(size).generate()
        except GenerationError as failure:
            error = f"{type(failure).__name__}: {failure}"
        return {
            "html": html,
            "error": error,
            "exists": self.file(size).exists(),
            "is whole": self._is_whole(size),
            "files": sum(path.is_file() for path in self.media.rglob("*")),
        }

    def _is_whole(self, size: tuple[int, int]) -> bool:
        path = self.media / (self.file(size).name or "")
        if not path.exists():
            return False
        with Image.open(path) as image:
            image.load()
            return image.size == size


def read_only(site: Site) -> dict[str, Any]:
    """Make one image, then let nobody write, then let them again."""
    site.mount("size=8m")
    outcomes = {"at first": site.see(OLD)}
    site.remount("ro")
    outcomes |= {"made before": site.see(OLD), "not yet made": site.see(NEW)}
    site.remount("rw")
    return outcomes | {"healed": site.see(NEW)}


def full(site: Site) -> dict[str, Any]:
    """Make images of which one has room, then one that has none, then make room."""
    site.mount(f"size={SMALL}")
    outcomes = {"at first": site.see(TINY), "too large": site.see(NEW), "again": site.see(TINY)}
    site.remount("size=8m")
    return outcomes | {"healed": site.see(NEW)}


SCENARIOS: dict[str, Callable[[Site], dict[str, Any]]] = {"full": full, "read-only": read_only}


def main(scenario: str, folder: Path) -> None:
    site = Site(folder)
    local = "django.core.files.storage.FileSystemStorage"
    settings.configure(
        INSTALLED_APPS=["imagekit_registry"],
        MEDIA_ROOT=site.media,
        MEDIA_URL="/media/",
        STORAGES={
            "default": {"BACKEND": local},
            "originals": {"BACKEND": local, "OPTIONS": {"location": PHOTOS}},
        },
        TEMPLATES=[
            {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
        ],
        USE_TZ=True,
    )
    django.setup()
    json.dump({"pages": SCENARIOS[scenario](site), "log": site.logged}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
