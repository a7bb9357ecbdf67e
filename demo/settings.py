"""Settings of the demo: SQLite and local memory, for localhost alone.

Environment variables, all optional:

- `DEMO_DATA`: folder of the SQLite file and of the media; the demo's own by default.
- `DEMO_DEBUG`: `0` turns Django's debug mode off.
- `DEMO_REDIS_URL`: a Redis server as cache, such as `redis://127.0.0.1:6379/1`.
- `DEMO_DATABASE`: `postgresql` in place of `sqlite`; with it `DEMO_DATABASE_NAME`, `_USER`, `_PASSWORD`, `_HOST`, `_PORT`.
- `DEMO_PER_PAGE`: photographs on one page of the gallery.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

BASE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("DEMO_DATA") or BASE).resolve()

PHOTOS = BASE / "photos"
PER_PAGE = int(os.environ.get("DEMO_PER_PAGE") or 24)

DEBUG = os.environ.get("DEMO_DEBUG", "1") != "0"
# Everybody can read this key and the demo account's password: nobody but this machine may come in.
SECRET_KEY = "for-the-demo-on-localhost-and-for-nothing-else"
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "imagekit_registry",
    "demo.gallery",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "demo.urls"
WSGI_APPLICATION = "demo.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES: dict[str, dict[str, Any]]
if os.environ.get("DEMO_DATABASE", "sqlite") == "postgresql":
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ.get("DEMO_DATABASE_NAME", "imagekit_demo"),
            "USER": os.environ.get("DEMO_DATABASE_USER", "postgres"),
            "PASSWORD": os.environ.get("DEMO_DATABASE_PASSWORD", ""),
            "HOST": os.environ.get("DEMO_DATABASE_HOST", "127.0.0.1"),
            "PORT": os.environ.get("DEMO_DATABASE_PORT", "5432"),
            "CONN_MAX_AGE": 60,
        }
    }
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA / "demo.sqlite3",
            # Several threads of the development server write; let them wait for each other.
            "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
        }
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES: dict[str, dict[str, Any]]
if os.environ.get("DEMO_REDIS_URL"):
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": os.environ["DEMO_REDIS_URL"],
            "KEY_PREFIX": "imagekit-demo",
        }
    }
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

LANGUAGE_CODE = "en"
USE_TZ = True
STATIC_URL = "/static/"
MEDIA_URL = "/media/"
MEDIA_ROOT = DATA / "media"
LOGIN_URL = "admin:login"
# An upload is held in memory or in a temporary file, never trusted: see IMAGEKIT_MAX_BYTES for its largest size.
FILE_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

# Under DEBUG a broken image would raise; a gallery rather shows a grey box and logs the reason.
IMAGEKIT_ON_ERROR = "placeholder"
# So that the server and the commands know the same, and the admin lists all images.
IMAGEKIT_STATE_STORE = "database"
IMAGEKIT_MAX_BYTES = 25 * 1024 * 1024
# A slow machine may take its time for all images of a photograph.
IMAGEKIT_MAX_SECONDS = 60
# The rules stand in the head of the page: no element has a style of its own.
IMAGEKIT_PLACEHOLDER_DELIVERY = "class"
