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

APPS = {
    "ours": ["imagekit_registry"],
    "ours-vips": ["imagekit_registry"],
    "imagekit": ["imagekit"],
    "sorl": ["sorl.thumbnail"],
    "easy": ["easy_thumbnails"],
    "versatile": ["versatileimagefield"],
    "pictures": ["pictures"],
    "pillow": [],
    "vips": [],
}


def configure(name: str, root: Path) -> None:
    """Set Django up with nothing but what the contender needs."""
    import django
    from django.conf import settings

    cache = {"BACKEND": "benchmarks._counting.CountingCache", "OPTIONS": {"MAX_ENTRIES": 100_000}}
    settings.configure(
        DEBUG=False,
        SECRET_KEY="benchmarks only",
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", *APPS[name]],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": root / "db"}},
        CACHES={"default": cache},
        STORAGES={
            "default": {"BACKEND": "benchmarks._counting.CountingStorage"},
            "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
        },
        MEDIA_ROOT=root / "media",
        MEDIA_URL="/media/",
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        TEMPLATES=[
            {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
        ],
        # The same encoder settings for all: JPEG at 85, WebP at 80, neither progressive nor tried
        # twice for size.
        IMAGEKIT_DECODER="vips" if name == "ours-vips" else "pillow",
        THUMBNAIL_ENGINE="sorl.thumbnail.engines.pil_engine.Engine",
        THUMBNAIL_PRESERVE_FORMAT=True,
        THUMBNAIL_PROGRESSIVE=False,
        THUMBNAIL_QUALITY=85,
        THUMBNAIL_PRESERVE_EXTENSIONS=("png", "webp"),
        VERSATILEIMAGEFIELD_SETTINGS={
            "cache_name": "default",
            "jpeg_resize_quality": 85,
            "webp_resize_quality": 80,
        },
        PICTURES={"FILE_TYPES": ["JPEG"], "QUEUE_NAME": "default"},
    )
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
