"""Django settings of the test suite."""

from __future__ import annotations

import os
import socket
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

REQUIRE_SERVICES = os.environ.get("IMAGEKIT_REQUIRE_SERVICES") == "1"


def _answers(driver: str, **arguments: Any) -> bool:
    """Say whether a server lets us in; one that wants another password is none of ours."""
    try:
        import_module(driver).connect(connect_timeout=2, **arguments).close()
    except Exception:
        return False
    return True


def _is_up(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


SECRET_KEY = "tests only"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "imagekit_registry",
    "tests.testapp",
    *(["drf_spectacular"] if find_spec("drf_spectacular") else []),
]
DATABASES: dict[str, dict[str, Any]] = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
}
_POSTGRESQL = {
    "user": os.environ.get("IMAGEKIT_TEST_PG_USER", "postgres"),
    "password": os.environ.get("IMAGEKIT_TEST_PG_PASSWORD", ""),
    "host": "127.0.0.1",
}
_POSTGRESQL_NAME = os.environ.get("IMAGEKIT_TEST_PG_NAME", "postgres")
if REQUIRE_SERVICES or _answers("psycopg", dbname=_POSTGRESQL_NAME, **_POSTGRESQL):
    DATABASES["postgresql"] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _POSTGRESQL_NAME,
        **{name.upper(): value for name, value in _POSTGRESQL.items()},
        "TEST": {"NAME": f"imagekit_tests_{os.getpid()}"},
    }
_MARIADB = {
    "user": os.environ.get("IMAGEKIT_TEST_MARIADB_USER", "root"),
    "password": os.environ.get("IMAGEKIT_TEST_MARIADB_PASSWORD", ""),
    "host": "127.0.0.1",
}
if REQUIRE_SERVICES or _answers("pymysql", **_MARIADB):
    DATABASES["mariadb"] = {
        "ENGINE": "django.db.backends.mysql",
        "NAME": os.environ.get("IMAGEKIT_TEST_MARIADB_NAME", "test"),
        **{name.upper(): value for name, value in _MARIADB.items()},
        "TEST": {"NAME": f"imagekit_tests_{os.getpid()}", "CHARSET": "utf8mb4"},
    }
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    },
}
if REQUIRE_SERVICES or (find_spec("redis") and _is_up(6379)):
    CACHES["redis"] = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://127.0.0.1:6379/9",
        "KEY_PREFIX": f"imagekit-tests-{os.getpid()}",
    }
MEDIA_ROOT = Path(tempfile.gettempdir()) / f"imagekit-tests-{os.getpid()}"
MEDIA_URL = "/media/"
STATIC_URL = "/static/"
ROOT_URLCONF = "tests.urls"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
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
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
