"""Django settings of a contender's process, as a module: that is how sites have them."""

from __future__ import annotations

import os
from pathlib import Path

NAME = os.environ["BENCHMARK_CONTENDER"]
ROOT = Path(os.environ["BENCHMARK_ROOT"])
APPS = {
    "ours": ["imagekit_registry"],
    "ours-simd": ["imagekit_registry"],
    "ours-vips": ["imagekit_registry"],
    "ours-own-urls": ["imagekit_registry"],
    "imagekit": ["imagekit"],
    "sorl": ["sorl.thumbnail"],
    "easy": ["easy_thumbnails"],
    "versatile": ["versatileimagefield"],
    "pictures": ["pictures"],
}

DEBUG = False
SECRET_KEY = "benchmarks only"
# Nothing but what the contender needs.
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    *APPS.get(NAME, []),
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ROOT / "db"}}
CACHES = {
    "default": {
        "BACKEND": "benchmarks._counting.CountingCache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}
STORAGE = "OwnUrlStorage" if NAME == "ours-own-urls" else "CountingStorage"
STORAGES = {
    "default": {"BACKEND": f"benchmarks._counting.{STORAGE}"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
MEDIA_ROOT = ROOT / "media"
MEDIA_URL = "/media/"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

# The same encoder settings for all: JPEG at 85, WebP at 80, neither progressive nor tried twice for
# size.
IMAGEKIT_DECODER = "vips" if NAME == "ours-vips" else "pillow"
IMAGEKIT_RESIZER = "simd" if NAME == "ours-simd" else "pillow"
THUMBNAIL_ENGINE = "sorl.thumbnail.engines.pil_engine.Engine"
THUMBNAIL_PRESERVE_FORMAT = True
THUMBNAIL_PROGRESSIVE = False
THUMBNAIL_QUALITY = 85
THUMBNAIL_PRESERVE_EXTENSIONS = ("png", "webp")
VERSATILEIMAGEFIELD_SETTINGS = {
    "cache_name": "default",
    "jpeg_resize_quality": 85,
    "webp_resize_quality": 80,
}
PICTURES = {"FILE_TYPES": ["JPEG"], "QUEUE_NAME": "default"}
