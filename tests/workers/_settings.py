"""A project whose images are made by workers in processes of their own; of what kind, the environment says."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from tests import settings as _base
from tests.settings import *  # noqa: F403

#: Tells this project's queues and keys from those of others.
TAG = os.environ["IMAGEKIT_WORKERS_TAG"]
BACKEND = os.environ["IMAGEKIT_WORKERS_BACKEND"]

_REDIS = "redis://127.0.0.1:6379/9"

INSTALLED_APPS = [*_base.INSTALLED_APPS, "django_rq", "django_dramatiq", "django_tasks_db"]
if not find_spec("django.tasks"):
    INSTALLED_APPS.append("django_tasks")
DATABASES = {"default": {**_base.DATABASES["postgresql"], "NAME": TAG}}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": _REDIS,
        "KEY_PREFIX": TAG,
    }
}
MEDIA_ROOT = Path(os.environ["IMAGEKIT_WORKERS_MEDIA"])

IMAGEKIT_DEFAULT_CACHEFILE_BACKEND = f"imagekit_registry.cachefiles.backends.{BACKEND}"
IMAGEKIT_QUEUE = TAG
IMAGEKIT_LOCK_TIMEOUT = 5.0

# Celery, on RabbitMQ; tests/workers/_celery.py reads these.
CELERY_BROKER_URL = "amqp://guest:guest@127.0.0.1:5672//"

RQ_QUEUES = {
    TAG: {
        "HOST": "127.0.0.1",
        "PORT": 6379,
        "DB": 9,
        "SERIALIZER": "rq.serializers.JSONSerializer",
    }
}

DRAMATIQ_BROKER = {
    "BROKER": "dramatiq.brokers.redis.RedisBroker",
    "OPTIONS": {"url": _REDIS, "namespace": TAG},
    "MIDDLEWARE": [
        "dramatiq.middleware.TimeLimit",
        "dramatiq.middleware.Retries",
        "django_dramatiq.middleware.DbConnectionsMiddleware",
    ],
}

TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", TAG]}}
