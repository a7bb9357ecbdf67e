"""The table of records."""

from __future__ import annotations

import importlib
from hashlib import blake2b

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import override_settings

from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.models import records as module
from imagekit_registry.state import CacheFileRecord, DatabaseStateStore, Status


def test_models_say_what_to_add_where_the_app_is_not_installed() -> None:
    """Code for django-imagekit worked without; the setting and the line are named."""
    installed = ["django.contrib.contenttypes"]
    with (
        override_settings(INSTALLED_APPS=installed),
        pytest.raises(InvalidConfiguration, match="Add the line 'imagekit_registry', to INSTALLED"),
    ):
        importlib.reload(module)


@pytest.mark.django_db(transaction=True)
def test_records_of_a_version_before_are_kept_when_rows_get_numbers() -> None:
    """What is known of images is not found out once more, however many rows there are."""
    at = [("imagekit_registry", "0004_quality_and_tries")]
    MigrationExecutor(connection).migrate(at)
    fingerprint = "2754257/2026-09-21 14:13:20.123456+00:00"
    former = MigrationExecutor(connection).loader.project_state(at).apps
    rows = former.get_model("imagekit_registry", "CacheFileRecordRow").objects
    store = DatabaseStateStore()
    records = {
        f"key {number}.jpg": CacheFileRecord(
            name=f"{number}.jpg",
            status=Status.EXISTS,
            source="a.png",
            width=number,
            digest=f"{number}",
            fingerprint=fingerprint,
        )
        for number in range(2_001)
    }
    columns = {field.name for field in rows.model._meta.fields}
    try:
        rows.bulk_create(
            rows.model(
                key_digest=blake2b(key.encode(), digest_size=16).hexdigest(),
                source_digest=blake2b(b"a.png", digest_size=16).hexdigest(),
                key=key,
                **{name: value for name, value in vars(record).items() if name in columns}
                | {"fingerprint": fingerprint},
            )
            for key, record in records.items()
        )
        assert [message.id for message in store.check()] == ["imagekit.W006"]
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes("imagekit_registry"))
    assert store.check() == []
    assert dict(store.iter_items()) == records
    assert store.get_many(["key 7.jpg"]) == {"key 7.jpg": records["key 7.jpg"]}
    assert (
        store.rows().filter(digest="=", fingerprint=records["key 7.jpg"].fingerprint).count()
        == 2_001
    )
    assert len(store.by_source("a.png")) == 2_001
