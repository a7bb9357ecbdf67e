"""How many bytes a record takes: ``python -m benchmarks._records 100000``, as Markdown.

In a database of its own in the PostgreSQL of this machine, which is dropped again, and in database 14 of
its Redis, which must be empty.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import batched
from typing import Any

NAME = "imagekit_bytes_of_a_record"
SERVER = {"USER": "postgres", "HOST": "127.0.0.1"}
SPECS = 4


def configure() -> Any:
    """Set Django up, and return a model with four spec fields."""
    os.environ.update(BENCHMARK_CONTENDER="ours", BENCHMARK_ROOT="unused")
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks._settings"
    import django
    from django.conf import settings

    engine = "django.db.backends.postgresql"
    settings.DATABASES = {"default": {"ENGINE": engine, "NAME": NAME, **SERVER}}
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES["redis"] = {"BACKEND": backend, "LOCATION": "redis://127.0.0.1:6379/14"}
    django.setup()
    from django.db import models

    from imagekit_registry.models import ImageSpecField
    from imagekit_registry.processors import ResizeToFit

    fields: dict[str, Any] = {"__module__": __name__, "image": models.ImageField()}
    for number in range(SPECS):
        processors = [ResizeToFit(100 * (number + 1))]
        fields[f"thumbnail{number}"] = ImageSpecField(processors, "JPEG", source="image")
    fields["Meta"] = type("Meta", (), {"app_label": "shop"})
    return type("Photo", (models.Model,), fields)


def records(model: Any, count: int) -> Iterator[tuple[str, Any]]:
    """Yield keys and records such as a site has."""
    from imagekit_registry.cachefiles.existence import new_record

    chance, now = random.Random(1), 1_790_000_000.0
    for number in range(count // SPECS):
        photo = model(image=f"photos/2026/11/IMG_{number:06}.jpg")
        seen = f"{chance.randrange(500_000, 9_000_000)}/{datetime.fromtimestamp(now, UTC)}"
        for width in range(100, 100 * SPECS + 1, 100):
            now += chance.random()
            file = getattr(photo, f"thumbnail{width // 100 - 1}")
            size = {"width": width, "height": chance.randrange(50, width), "format": "JPEG"}
            told = {"size": chance.randrange(2_000, 40_000), "made_at": round(now, 3)}
            yield file.identity.key, new_record(file, "exists", fingerprint=seen, **size, **told)


def in_postgresql(count: int) -> list[tuple[str, float]]:
    """Return the bytes of a row's table, and of each column and index."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, pg_relation_size(oid), relkind FROM pg_class WHERE relkind IN ('r', 'i')"
            " AND relname ~ '^imagekit' AND relname !~ 'migrations'"
        )
        parts = [(f"{kind} {name}", size / count) for name, size, kind in cursor.fetchall()]
        table = "imagekit_registry_cachefilerecordrow"
        cursor.execute(f"SELECT pg_total_relation_size('{table}')")
        parts.insert(0, ("**PostgreSQL**", cursor.fetchone()[0] / count))
        cursor.execute(f"SELECT * FROM {table} LIMIT 0")
        columns = [column.name for column in cursor.description]
        sizes = ", ".join(f'avg(pg_column_size("{column}"))' for column in columns)
        cursor.execute(f"SELECT {sizes} FROM {table}")
        return parts + [
            (f"column {n}", s or 0) for n, s in zip(columns, cursor.fetchone(), strict=True)
        ]


def main(count: int) -> None:
    """Print a table of bytes."""
    import psycopg
    import redis

    server = psycopg.connect(user=SERVER["USER"], host=SERVER["HOST"], autocommit=True)
    client = redis.Redis(db=14)
    if client.dbsize():
        sys.exit("Database 14 of Redis is not empty: empty it, or stop what uses it.")
    server.execute(f"DROP DATABASE IF EXISTS {NAME}")
    server.execute(f"CREATE DATABASE {NAME}")
    model = configure()
    from django.core.cache import caches
    from django.core.management import call_command
    from django.db import connection

    from imagekit_registry.state import CacheStateStore, DatabaseStateStore

    try:
        call_command("migrate", "imagekit_registry", verbosity=0)
        before = client.info("memory")["used_memory"]
        stores = DatabaseStateStore(), CacheStateStore(caches["redis"])
        for chunk in batched(records(model, count), 500, strict=False):
            for store in stores:
                store.set_many(dict(chunk))
        used = client.info("memory")["used_memory"] - before
        keys = list(client.scan_iter(count=1_000))[:1_000]
        told = sum(client.memory_usage(key) for key in keys) / len(keys)
        cells = in_postgresql(count)
        cells += [("**Redis**, MEMORY USAGE", told), ("used_memory", used / count)]
        print("| a record | bytes |\n| --- | ---: |")
        print("\n".join(f"| {title} | {size:.1f} |" for title, size in cells))
    finally:
        client.flushdb()
        connection.close()
        server.execute(f"DROP DATABASE {NAME}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
