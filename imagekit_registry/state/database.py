"""State in a database table, which is also the ledger of what a source has produced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from hashlib import blake2b
from operator import attrgetter
from typing import Any

import attrs
from django.apps import apps
from django.core.checks import CheckMessage, Warning
from django.db import Error, connections, models, router, transaction
from django.utils.connection import ConnectionDoesNotExist

from imagekit_registry.exceptions import InvalidArgument, answer_or
from imagekit_registry.state.record import CacheFileRecord, abridge, restore
from imagekit_registry.state.store import BaseStateStore

__all__ = ["DatabaseStateStore"]

#: The columns that hold a record, by the record's own field names.
_COLUMNS = tuple(attrs.fields_dict(CacheFileRecord))
#: What stands for the name of the file in the column of its key: without it both would say the same.
_NAME = "\x1f"
#: Digests are cut to this: what fits into an integer of every database, and is the last bits of those
#: that the versions before have kept.
_MOST = 2**62


class DatabaseStateStore(BaseStateStore):
    """Keeps records in a table; needs ``imagekit_registry`` migrated.

    Reads and writes go to the database that the routers choose for *writing*: a replica that lags
    behind would bring back what was just replaced. Inside a transaction each call is a savepoint,
    so that an error here does not spoil the caller's work.

    Args:
        using: Alias of the database; None: the one that the routers choose.

    Example:
        >>> store = DatabaseStateStore()
        >>> store.set_many({"a": CacheFileRecord(name="a.jpg", status="exists", source="a.png")})
        >>> [record.name for record in store.by_source("a.png")]
        ['a.jpg']
    """

    is_ledger = True
    is_transactional = True
    has_spaces = True

    def __init__(self, using: str | None = None) -> None:
        self.using = using

    def space(self) -> str:
        """Return the schema, of databases that give one to each tenant; empty for all others."""
        alias = self.using or router.db_for_write(_model())
        try:
            return str(getattr(connections[alias], "schema_name", None) or "")
        except ConnectionDoesNotExist:
            return ""  # The query that follows says so, where that fails no page.

    def get_many(self, keys: Iterable[str]) -> dict[str, CacheFileRecord]:
        """Return the records that are there, by key: one query."""
        space = self.space()
        keys = {key: _digest(key, space) for key in keys}
        found = self._find("key_digest", list(keys.values()))
        # Whoever tries for long enough finds two keys of one digest.
        return {key: record for key, record in found if key in keys}

    def set_many(self, records: Mapping[str, CacheFileRecord]) -> None:
        """Insert or replace *records*: one query.

        A record that a database cannot hold (a name with a NUL or half a surrogate pair) is left
        out rather than losing the others.
        """
        alias, rows = self._rows()
        space = self.space()
        made = [
            rows.model(
                key_digest=_digest(key, space),
                source_digest=_digest(record.source, space),
                key=key.replace(record.name, _NAME, 1) if record.name else key,
                **abridge(record),
            )
            for key, record in records.items()
            if _can_be_held(key, record)
        ]
        if not made:
            return
        with _guarded(alias, writes=True):
            has_target = connections[alias].features.supports_update_conflicts_with_target
            rows.bulk_create(
                # One order for all writers: two that lock the same rows cannot wait for each other.
                sorted(made, key=attrgetter("key_digest")),
                update_conflicts=True,
                update_fields=("key", "source_digest", *_COLUMNS),
                unique_fields=["key_digest"] if has_target else None,
            )

    def delete_many(self, keys: Iterable[str]) -> None:
        """Delete the rows of *keys*: one query."""
        alias, rows = self._rows()
        space = self.space()
        with _guarded(alias, writes=True):
            for digests in _chunks([_digest(key, space) for key in keys], alias):
                # `delete()` would first fetch all rows if any app listens to every model's signals.
                rows.filter(key_digest__in=digests)._raw_delete(alias)

    # Rows that are written stay locked until the transaction ends. Two requests that show the same
    # images would wait for each other; and one of two that have locked them the other way round
    # would be rolled back, by MariaDB with all that it has saved.

    def is_in_transaction(self) -> bool:
        """Return whether what is written now would be part of a transaction of the caller's."""
        alias, _ = self._rows()
        return connections[alias].in_atomic_block

    def after_commit(self, write: Callable[[], object]) -> None:
        """Call *write* when the caller's transaction is committed, and never if it is not."""
        alias, _ = self._rows()
        transaction.on_commit(write, using=alias)

    def by_source(self, *sources: str) -> list[CacheFileRecord]:
        """Return what was made of the source images named *sources*: one query."""
        space = self.space()
        digests = [_digest(source, space) for source in sources]
        found = self._find("source_digest", digests)
        return [record for _, record in found if record.source in sources]

    def iter_items(self, chunk_size: int = 2_000) -> Iterator[tuple[str, CacheFileRecord]]:
        """Yield every key with its record, in no meaningful order and in flat memory.

        Rows may be written and deleted meanwhile: each query begins behind the last row seen, so
        no row comes twice and no transaction stays open.

        Args:
            chunk_size: Number of rows that one query fetches.
        """
        alias, rows = self._rows()
        ordered = rows.order_by("pk").values_list("pk", "key_digest", "key", *_COLUMNS)
        last, space = 0, self.space()
        while True:
            with _guarded(alias, writes=False):
                chunk = list(ordered.filter(pk__gt=last)[:chunk_size])
            for _, digest, written, *values in chunk:
                record = _record(values)
                if record is None:
                    continue
                key = _key(written, record.name)
                # Tenants may share a table.
                if not space or digest == _digest(key, space):
                    yield key, record
            if len(chunk) < chunk_size:
                return
            last = chunk[-1][0]

    def check(self) -> list[CheckMessage]:
        """Return a warning if the table is not there as it is to be; none if nobody can tell.

        No error, which would keep ``manage.py test`` from making it.
        """
        alias, rows = self._rows()
        table = rows.model._meta.db_table
        # A tenant's table is looked for when it is that tenant's turn.
        there = None if self.space() else answer_or(None, _list_columns, alias, table)
        if there is None or there >= {"id", "key_digest", "source_digest", "key", *_COLUMNS}:
            return []
        what = "lacks columns" if there else "does not exist"
        text = f"The table {table} of the database {alias!r} {what}: nothing is known of images."
        database = "" if alias == "default" else f" --database {alias}"
        hint = f"Run manage.py migrate imagekit_registry{database}."
        return [Warning(text, hint=hint, id="imagekit.W006")]

    def _find(self, column: str, digests: list[int]) -> Iterator[tuple[str, CacheFileRecord]]:
        """Yield the key and the record of each row that has one of *digests* in *column*."""
        alias, rows = self._rows()
        ordered = rows.order_by("pk").values_list("key", *_COLUMNS)
        found: list[tuple[Any, ...]] = []
        with _guarded(alias, writes=False):
            for chunk in _chunks(digests, alias):
                found += ordered.filter(**{f"{column}__in": chunk})
        for written, *values in found:
            record = _record(values)
            if record is not None:
                yield _key(written, record.name), record

    def keys_of(self, rows: models.QuerySet[Any]) -> list[str]:
        """Return the keys of some of `rows`: one query."""
        return [_key(written, name) for written, name in rows.values_list("key", "name")]

    def rows(self) -> models.QuerySet[Any]:
        """Return the rows, for who lists them: of all tenants, where these share the table."""
        return self._rows()[1]

    def _rows(self) -> tuple[str, models.QuerySet[models.Model]]:
        model = _model()
        alias = self.using or router.db_for_write(model)
        return alias, model._base_manager.using(alias)


def _model() -> type[models.Model]:
    # By name: models stand above this room.
    return apps.get_model("imagekit_registry", "CacheFileRecordRow")


def _list_columns(alias: str, table: str) -> set[str]:
    """Return the names of the columns of a table; none if there is no such table."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        if table not in connection.introspection.table_names(cursor):
            return set()
        return {
            column.name for column in connection.introspection.get_table_description(cursor, table)
        }


@contextmanager
def _guarded(alias: str, *, writes: bool) -> Iterator[None]:
    """Keep an error in the block from spoiling the caller's transaction, or the next call.

    On SQLite a failed query does no harm to its transaction, so reading needs no savepoint there.
    """
    connection = connections[alias]
    is_harmless = not writes and connection.vendor == "sqlite"
    needs_savepoint = connection.in_atomic_block and not is_harmless
    try:
        with transaction.atomic(alias) if needs_savepoint else nullcontext():
            yield
    except Error:
        if connection.autocommit and not connection.in_atomic_block:
            # Workers and commands have no end of request at which Django drops a dead connection.
            connection.close_if_unusable_or_obsolete()
        raise


def _chunks(digests: Sequence[int], alias: str) -> Iterator[Sequence[int]]:
    """Yield *digests* whole, or in parts where the database limits the parameters of a query."""
    size = connections[alias].features.max_query_params or len(digests) or 1
    return (digests[start : start + size] for start in range(0, len(digests), size))


def _digest(text: str, space: str) -> int:
    text = f"{space}\0{text}" if space else text
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return int.from_bytes(digest) % _MOST


def _key(written: str, name: str) -> str:
    """Return the key of a record from its column, in which earlier versions wrote the name too."""
    return written.replace(_NAME, name)


def _can_be_held(key: str, record: CacheFileRecord) -> bool:
    """Return whether every database can hold the row of *record*."""
    text = key + "".join(value for value in vars(record).values() if isinstance(value, str))
    has_surrogates = text.encode(errors="ignore").decode() != text
    return (
        "\0" not in text
        and _NAME not in key
        and not has_surrogates
        and CacheFileRecord.decode(record.encode()) == record
    )


def _record(values: Iterable[object]) -> CacheFileRecord | None:
    """Return the record in the columns of a row; None for one that another version has written."""
    try:
        return restore(dict(zip(_COLUMNS, values, strict=True)))
    except InvalidArgument:
        return None
