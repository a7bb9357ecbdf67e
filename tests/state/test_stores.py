"""The state stores: one contract for all of them, and what each costs its server."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import attrs
import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.exceptions import SynchronousOnlyOperation
from django.core.management import call_command
from django.db import DatabaseError, Error, connections, transaction
from django.db.models.signals import post_delete
from django.test.utils import CaptureQueriesContext

from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.state import (
    CacheStateStore,
    DatabaseStateStore,
    StateAccess,
    StateStore,
    database,
    get_state_store,
)
from imagekit_registry.state.record import CacheFileRecord, Status
from imagekit_registry.state.store import adapt_store
from tests.conftest import require_service

DATABASES = ["default", "postgresql", "mariadb"]
PREFIX = "test-stores:"
every_database = pytest.mark.parametrize("alias", DATABASES)
uses_databases = pytest.mark.django_db(databases="__all__")


def make(name: str = "a.jpg", status: str = Status.EXISTS, **fields: Any) -> CacheFileRecord:
    return CacheFileRecord(name=name, status=status, **fields)


def database_store(alias: str) -> DatabaseStateStore:
    require_service(alias, alias in django_settings.DATABASES)
    return DatabaseStateStore(using=alias)


FULL = make(
    "CACHE/images/Ünï 😀.jpg",
    storage="s3",
    width=300,
    height=200,
    size=5_000_000_000,
    format="JPEG",
    digest="0123456789abcdef",
    spec_id="shop:product:thumbnail",
    source="photos/😀 Bulldog.JPG",
    fingerprint="123-1790000000.25",
    placeholder="data:image/svg+xml,%3Csvg/%3E",
    made_at=1_790_000_000.123456,
    error="",
    failures=0,
    published_name="CACHE/images/other.jpg",
)


class TestEveryStore:
    """What any state store must do; each of ours runs it."""

    @pytest.fixture(params=["locmem", "redis", *DATABASES])
    def store(self, request: pytest.FixtureRequest) -> Iterator[StateStore]:
        if request.param in DATABASES:
            request.getfixturevalue("db")
            yield database_store(request.param)
            return
        alias = {"locmem": "default", "redis": "redis"}[request.param]
        require_service(request.param, alias in django_settings.CACHES)
        store = CacheStateStore(caches[alias])
        yield store
        store.delete_many([PREFIX + key for key in "abcABC"])

    pytestmark = uses_databases

    def test_a_record_comes_back_whole(self, store: StateStore) -> None:
        """Every field, with any text in it, is the same after the round trip."""
        failed = make(
            status=Status.FAILED, error="cannot 😀", failures=3, retry_at=time.time() + 60.5
        )
        store.set_many({PREFIX + "a": FULL, PREFIX + "b": failed})
        found = store.get_many([PREFIX + "a", PREFIX + "b"])
        assert found == {PREFIX + "a": FULL, PREFIX + "b": failed}

    def test_an_unknown_key_is_left_out(self, store: StateStore) -> None:
        """The answer holds what is there and nothing else."""
        store.set_many({PREFIX + "a": FULL})
        assert list(store.get_many([PREFIX + "a", PREFIX + "c"])) == [PREFIX + "a"]

    def test_a_later_record_takes_the_place_of_an_earlier(self, store: StateStore) -> None:
        """Writing is an upsert; a field that the new record lacks is gone."""
        store.set_many({PREFIX + "a": FULL})
        store.set_many({PREFIX + "a": make("b.jpg"), PREFIX + "b": FULL})
        found = store.get_many([PREFIX + "a", PREFIX + "b"])
        assert found == {PREFIX + "a": make("b.jpg"), PREFIX + "b": FULL}

    def test_a_deleted_record_is_gone(self, store: StateStore) -> None:
        """Deleting takes known and unknown keys alike."""
        store.set_many({PREFIX + "a": FULL, PREFIX + "b": FULL})
        store.delete_many([PREFIX + "a", PREFIX + "c"])
        assert list(store.get_many([PREFIX + "a", PREFIX + "b"])) == [PREFIX + "b"]

    def test_upper_and_lower_case_are_two_keys(self, store: StateStore) -> None:
        """``Dog.jpg`` and ``dog.jpg`` are two files, also where a collation thinks otherwise."""
        store.set_many({PREFIX + "a": make("a"), PREFIX + "A": make("A")})
        assert store.get_many([PREFIX + "A"]) == {PREFIX + "A": make("A")}
        assert store.get_many([PREFIX + "a"]) == {PREFIX + "a": make("a")}

    def test_asking_a_store_for_no_keys_is_no_error(self, store: StateStore) -> None:
        """A page without images asks for nothing."""
        store.set_many({})
        store.delete_many([])
        assert store.get_many([]) == {}

    def test_a_store_takes_any_iterable(self, store: StateStore) -> None:
        """Keys may come from a generator."""
        store.set_many({PREFIX + "a": FULL})
        assert store.get_many(PREFIX + key for key in "ab") == {PREFIX + "a": FULL}
        store.delete_many(PREFIX + key for key in "ab")
        assert store.get_many([PREFIX + "a"]) == {}

    def test_every_store_is_a_state_store(self, store: StateStore) -> None:
        """The protocol can be asked for at run time, as the settings are checked by it."""
        assert isinstance(store, StateStore)


class CountingCache(LocMemCache):
    """Local memory that notes the calls it gets."""

    def __init__(self) -> None:
        super().__init__("counting", {})
        self.clear()
        self.calls: list[str] = []
        self.timeouts: list[float | None] = []

    def get_many(self, keys: Any, version: Any = None) -> Any:
        self.calls.append("get_many")
        return super().get_many(keys, version)

    def set_many(self, data: Any, timeout: Any = None, version: Any = None) -> Any:
        self.calls.append("set_many")
        self.timeouts.append(timeout)
        return super().set_many(data, timeout, version)

    def delete_many(self, keys: Any, version: Any = None) -> None:
        self.calls.append("delete_many")
        super().delete_many(keys, version)


class TestCacheStateStore:
    def test_any_number_of_keys_is_one_call_of_the_cache(self) -> None:
        """Reading, writing and deleting hundred records are one round trip each."""
        cache = CountingCache()
        store = CacheStateStore(cache)
        store.set_many({str(number): FULL for number in range(100)})
        store.get_many(map(str, range(100)))
        store.delete_many(map(str, range(100)))
        assert cache.calls == ["set_many", "get_many", "delete_many"]

    @pytest.mark.parametrize("timeout", [None, 300])
    def test_a_file_that_exists_is_kept_as_the_setting_says(
        self, settings: Any, timeout: int | None
    ) -> None:
        """``IMAGEKIT_CACHE_TIMEOUT`` is the time for existing files; None is for ever."""
        settings.IMAGEKIT_CACHE_TIMEOUT = timeout
        cache = CountingCache()
        CacheStateStore(cache).set_many({"a": make()})
        assert cache.timeouts == [timeout]

    @pytest.mark.parametrize(
        ("left", "timeout"), [(5.0, 5), (4.2, 5), (0.2, 1), (-60, 1), (None, 1)]
    )
    def test_a_missing_file_is_kept_until_it_is_looked_for_again(
        self, monkeypatch: pytest.MonkeyPatch, left: float | None, timeout: int
    ) -> None:
        """Whole seconds, rounded up, and one at least: 0 would mean something else to a cache."""
        monkeypatch.setattr(time, "time", lambda: 1_000.0)
        cache = CountingCache()
        retry_at = None if left is None else 1_000.0 + left
        CacheStateStore(cache).set_many({"a": make(status=Status.MISSING, retry_at=retry_at)})
        assert cache.timeouts == [timeout]

    def test_a_failure_is_remembered_beyond_its_next_try(
        self, monkeypatch: pytest.MonkeyPatch, settings: Any
    ) -> None:
        """Or its count were lost each time, and the back-off would never double."""
        settings.IMAGEKIT_RETRY_AFTER_MAX = 1_000.0
        monkeypatch.setattr(time, "time", lambda: 1_000.0)
        cache = CountingCache()
        CacheStateStore(cache).set_many({"a": make(status=Status.FAILED, retry_at=1_060.0)})
        assert cache.timeouts == [1_060]

    def test_records_of_one_timeout_are_one_call_of_the_cache(self, settings: Any) -> None:
        """Records that live equally long travel together."""
        settings.IMAGEKIT_CACHE_TIMEOUT = None
        cache = CountingCache()
        soon = time.time() + 50.5
        CacheStateStore(cache).set_many(
            {
                "a": make(),
                "b": make(),
                "c": make(status=Status.MISSING, retry_at=soon),
                "d": make(status=Status.GENERATING, retry_at=soon),
            }
        )
        assert cache.calls == ["set_many", "set_many"]

    def test_a_value_in_the_cache_that_is_no_record_is_left_out(self) -> None:
        """Another version's records and other people's values count as absent."""
        cache = CountingCache()
        cache.set_many({"a": make().encode(), "b": '{"v":99}', "c": {"state": 1}, "d": "exists"})
        found = CacheStateStore(cache).get_many("abcd")
        assert found == {"a": make(), "d": make(name="")}

    def test_a_renewed_cache_knows_what_was_written_meanwhile_and_nothing_else(self) -> None:
        """Whoever else has it open finds out by the call that asks for records."""
        cache = CountingCache()
        store, other = CacheStateStore(cache), CacheStateStore(cache)
        store.set_many({"a": make(), "b": make()})
        with store.renewed():
            assert set(store.get_many("ab")) == {"a", "b"}
            store.set_many({"b": FULL})
            assert store.get_many("ab") == {"a": make(), "b": FULL}
        cache.calls.clear()
        for each in (store, other):
            assert each.get_many("ab") == {"b": FULL}
        other.set_many({"a": FULL})
        assert store.get_many("ab") == {"a": FULL, "b": FULL}
        assert cache.calls == ["get_many", "get_many", "set_many", "get_many"]

    def test_a_cache_forgets_nothing_if_what_renews_it_is_interrupted(self) -> None:
        """What was written meanwhile is lost, which costs a look."""
        store = CacheStateStore(CountingCache())
        store.set_many({"a": make()})
        with suppress(KeyboardInterrupt), store.renewed():
            store.set_many({"b": make()})
            raise KeyboardInterrupt
        assert set(store.get_many("ab")) == {"a"}

    def test_a_value_that_the_cache_cannot_read_hides_no_other(self) -> None:
        """One damaged value in the cache is one miss, not a page of misses."""
        cache: Any = CountingCache()
        store = CacheStateStore(cache)
        store.set_many({"a": FULL, "b": FULL, "c": FULL})
        cache._cache[cache.make_key("b")] = b"\x80\x05damaged"
        assert store.get_many("abc") == {"a": FULL, "c": FULL}

    def test_a_value_that_redis_cannot_read_hides_no_other(self) -> None:
        """The same with a real server, whose client has exceptions of its own."""
        require_service("redis", "redis" in django_settings.CACHES)
        cache: Any = caches["redis"]
        store = CacheStateStore(cache)
        keys = [PREFIX + key for key in "abc"]
        store.set_many(dict.fromkeys(keys, FULL))
        cache._cache.get_client().set(cache.make_key(keys[1]), b"\x80\x05damaged")
        try:
            assert store.get_many(keys) == {keys[0]: FULL, keys[2]: FULL}
        finally:
            store.delete_many(keys)

    def test_a_cache_that_cannot_be_reached_is_asked_once(self) -> None:
        """A lost connection is passed on at once, not tried again for each key."""

        class Unreachable(CountingCache):
            def get_many(self, keys: Any, version: Any = None) -> Any:
                super().get_many([], version)
                raise ConnectionRefusedError("nobody listens")

            def get(self, *args: Any, **kwargs: Any) -> Any:
                self.calls.append("get")

        cache = Unreachable()
        with pytest.raises(ConnectionRefusedError):
            CacheStateStore(cache).get_many("abc")
        assert cache.calls == ["get_many"]


class WriteRouter:
    """Sends writers to the default database, and readers nowhere."""

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "nowhere"


def statements(queries: CaptureQueriesContext) -> list[str]:
    """Return the first words of the statements, without those of transactions."""
    words = [query["sql"].split(None, 1)[0].upper() for query in queries.captured_queries]
    return [word for word in words if word in {"SELECT", "INSERT", "DELETE", "UPDATE"}]


def broken(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    """Make the server refuse each query on the records' table."""
    if "cachefilerecordrow" in sql:
        sql, params = "SELECT nothing FROM nowhere", ()
    return execute(sql, params, many, context)


@uses_databases
class TestDatabaseStateStore:
    @every_database
    def test_a_name_is_written_once(self, alias: str) -> None:
        """The column of keys lacks it; a row whose key holds it, as it did before, is read as well."""
        store = DatabaseStateStore(alias)
        key = f"imagekit:{FULL.name}-state"
        store.set_many({key: FULL})
        rows = store.rows()
        assert not rows.filter(key__contains=FULL.name).exists()
        for _ in range(2):
            assert list(store.iter_items()) == [(key, FULL)]
            assert store.keys_of(rows) == [key]
            rows.update(key=key)

    def test_a_usual_row_is_small(self) -> None:
        """Under 350 bytes in PostgreSQL, of which three indexes take 66."""
        store = database_store("postgresql")
        name = "CACHE/images/photos/2026/11/bulldog/0123456789abcdef0123456789abcdef.jpg"
        digest = "0123456789abcdef0123456789abcdef"
        record = attrs.evolve(FULL, name=name, digest=digest, published_name="", placeholder="")
        store.set_many({f"imagekit::be85520b:{name}-state": record})
        table = store.rows().model._meta.db_table
        with connections["postgresql"].cursor() as cursor:
            cursor.execute(f"SELECT pg_column_size(t.*) FROM {table} t")
            assert cursor.fetchone()[0] <= 270

    def test_two_keys_of_one_digest_are_never_taken_for_each_other(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who names files can find two such keys; one of them is then not kept, nor a source's."""
        monkeypatch.setattr(database, "_digest", lambda text, space: 5)
        store = DatabaseStateStore()
        store.set_many({"a": make("a.jpg", source="a.png")})
        assert store.get_many(["b", "a"]) == {"a": make("a.jpg", source="a.png")}
        assert store.get_many(["b"]) == {}
        assert store.by_source("b.png") == []
        assert len(store.by_source("a.png")) == 1

    def test_a_key_that_cannot_be_told_from_another_is_not_kept(self) -> None:
        """It holds what stands for names."""
        store = DatabaseStateStore()
        store.set_many({"a\x1f": FULL, "b": FULL})
        assert [key for key, _ in store.iter_items()] == ["b"]

    @every_database
    def test_any_number_of_keys_is_one_query_of_the_table(self, alias: str) -> None:
        """Reading, writing and deleting hundred records are one query each."""
        store = database_store(alias)
        records = {str(number): FULL for number in range(30)}
        with CaptureQueriesContext(connections[alias]) as queries:
            store.set_many(records)
            store.set_many(records)
            assert len(store.get_many(records)) == 30
            store.delete_many(records)
        assert statements(queries) == ["INSERT", "INSERT", "SELECT", "DELETE"]

    @pytest.mark.django_db(transaction=True)
    def test_reading_the_table_outside_of_a_transaction_is_one_round_trip(
        self, django_assert_num_queries: Any
    ) -> None:
        """No savepoint, and no transaction, is made for a lone query."""
        store = DatabaseStateStore()
        store.set_many({"a": FULL})
        with django_assert_num_queries(1):
            store.get_many(["a", "b"])
        with django_assert_num_queries(1):
            store.delete_many(["a", "b"])

    @every_database
    def test_more_keys_may_be_asked_for_than_a_query_takes_parameters(self, alias: str) -> None:
        """SQLite takes a limited number; nobody needs to know."""
        store = database_store(alias)
        keys = [str(number) for number in range(33_000)]
        store.set_many({"0": FULL, "32999": FULL})
        assert sorted(store.get_many(keys)) == ["0", "32999"]
        store.delete_many(keys)
        assert store.get_many(["0", "32999"]) == {}

    def test_keys_are_parted_only_where_the_database_has_a_limit(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where hundred parameters are the limit, 250 keys are three queries."""
        features = connections["default"].features
        monkeypatch.setattr(type(features), "max_query_params", 100)
        with CaptureQueriesContext(connections["default"]) as queries:
            DatabaseStateStore().get_many(map(str, range(250)))
        assert statements(queries) == ["SELECT"] * 3

    @every_database
    def test_many_records_are_written(self, alias: str) -> None:
        """More records than one statement holds are all written."""
        store = database_store(alias)
        store.set_many({str(number): FULL for number in range(2_500)})
        assert len(list(store.iter_items())) == 2_500

    def test_listeners_to_every_model_cost_no_query(self) -> None:
        """An app that listens to all deletions does not make us fetch what we delete."""
        seen: list[object] = []

        def listen(**kwargs: Any) -> None:
            seen.append(kwargs["instance"])

        store = DatabaseStateStore()
        store.set_many({"a": FULL})
        post_delete.connect(listen)
        try:
            with CaptureQueriesContext(connections["default"]) as queries:
                store.delete_many(["a"])
        finally:
            post_delete.disconnect(listen)
        assert statements(queries) == ["DELETE"]

    @every_database
    @pytest.mark.parametrize("operation", ["get_many", "set_many", "delete_many", "by_source"])
    def test_an_error_leaves_the_callers_transaction_alone(
        self, alias: str, operation: str
    ) -> None:
        """What the page wrote before stays, and it can go on writing."""
        store = database_store(alias)
        argument: Any = {"get_many": ["a"], "set_many": {"a": FULL}, "delete_many": ["a"]}
        argument = argument.get(operation, "a.jpg")
        groups = Group.objects.using(alias)
        with transaction.atomic(alias):
            groups.create(name="before")
            with connections[alias].execute_wrapper(broken), pytest.raises(DatabaseError):
                getattr(store, operation)(argument)
            groups.create(name="after")
        assert set(groups.values_list("name", flat=True)) >= {"before", "after"}

    @every_database
    def test_the_database_store_works_again_after_an_error(self, alias: str) -> None:
        """A failed call spoils no later one."""
        store = database_store(alias)
        with connections[alias].execute_wrapper(broken), pytest.raises(DatabaseError):
            store.set_many({"a": FULL})
        store.set_many({"a": FULL})
        assert store.get_many(["a"]) == {"a": FULL}

    @every_database
    def test_a_record_past_its_time_comes_back_as_it_is(self, alias: str) -> None:
        """The reader decides by `is_current`, and needs the count of failures."""
        store = database_store(alias)
        record = make(status=Status.FAILED, failures=7, retry_at=1.5)
        store.set_many({"a": record})
        assert store.get_many(["a"]) == {"a": record}

    @every_database
    @pytest.mark.parametrize(
        "bad",
        [
            pytest.param(make("nul\0.jpg"), id="nul"),
            pytest.param(make("half \udce4.jpg"), id="surrogate"),
            pytest.param(make(width=2**40), id="too-wide"),
            pytest.param(make(made_at=float("nan")), id="nan"),
        ],
    )
    def test_a_record_that_a_database_cannot_hold_loses_no_other(
        self, alias: str, bad: CacheFileRecord
    ) -> None:
        """It is left out, and so looked up in storage; the rest of the page is written."""
        store = database_store(alias)
        store.set_many({"bad": bad, "good": FULL})
        assert store.get_many(["bad", "good"]) == {"good": FULL}

    @every_database
    @pytest.mark.parametrize("key", ["x" * 5_000, "nul\0", "half \udce4"], ids=str.split)
    def test_an_odd_key_can_be_asked_for(self, alias: str, key: str) -> None:
        """Keys are found by their digest: no length and no character is an error."""
        store = database_store(alias)
        store.delete_many([key])
        assert store.get_many([key]) == {}

    @every_database
    def test_the_ledger_knows_what_a_source_has_produced(self, alias: str) -> None:
        """Exactly: no other case, no longer name, however long the name is."""
        store = database_store(alias)
        long = "photos/" + "Ä" * 1_000 + ".jpg"
        sources = ["dog.jpg", "Dog.jpg", "dog.jpg ", long, long + "x"]
        store.set_many(
            {f"{n}{s}": make(f"{n}{s}", source=s, spec_id=n) for s in sources for n in "12"}
        )
        for source in sources:
            assert [record.source for record in store.by_source(source)] == [source] * 2
        assert store.by_source("cat.jpg") == []
        assert {record.source for record in store.by_source("dog.jpg", long)} == {"dog.jpg", long}
        assert store.by_source() == []

    @every_database
    def test_the_whole_ledger_is_read_in_chunks(self, alias: str) -> None:
        """Every record once, a query for each chunk, also if rows vanish meanwhile."""
        store = database_store(alias)
        store.set_many({str(number): make(str(number)) for number in range(25)})
        with CaptureQueriesContext(connections[alias]) as queries:
            names = [record.name for _, record in store.iter_items(chunk_size=10)]
        assert sorted(names) == sorted(map(str, range(25)))
        assert statements(queries) == ["SELECT"] * 3
        seen = []
        for key, record in store.iter_items(chunk_size=10):
            assert key == record.name
            seen.append(key)
            store.delete_many([key])
        assert sorted(seen) == sorted(names)

    def test_the_routers_decide_on_the_database_of_the_table_by_writing(
        self, settings: Any
    ) -> None:
        """State is read where it is written: a replica that lags would bring back the past."""
        settings.DATABASE_ROUTERS = [f"{__name__}.WriteRouter"]
        store = DatabaseStateStore()
        store.set_many({"a": FULL})
        assert store.get_many(["a"]) == {"a": FULL}
        assert store.by_source(FULL.source) == [FULL]

    def test_the_database_store_says_so_in_an_event_loop(self) -> None:
        """Django's own exception, which the layers know; nothing else is harmed."""

        async def ask() -> Mapping[str, CacheFileRecord]:
            return DatabaseStateStore().get_many(["a"])

        with pytest.raises(SynchronousOnlyOperation):
            asyncio.run(ask())
        assert DatabaseStateStore().get_many(["a"]) == {}

    def test_the_migrations_match_the_model(self) -> None:
        """No user is asked to make a migration for us."""
        output = io.StringIO()
        call_command("makemigrations", "imagekit_registry", check=True, dry_run=True, stdout=output)
        assert "No changes" in output.getvalue()


@pytest.mark.django_db(transaction=True, databases="__all__")
@pytest.mark.parametrize("alias", ["postgresql", "mariadb"])
def test_two_writers_of_the_same_files_do_not_wait_for_each_other(alias: str) -> None:
    """Both write in one order, whatever order they were given: no deadlock."""
    store = database_store(alias)
    errors: list[Exception] = []

    def write(keys: Iterable[int]) -> None:
        try:
            for _ in range(15):
                store.set_many({str(key): FULL for key in keys})
        except Exception as error:
            errors.append(error)
        finally:
            connections[alias].close()

    orders = [range(200), range(199, -1, -1)]
    writers = [threading.Thread(target=write, args=(order,)) for order in orders]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert errors == []
    assert len(list(store.iter_items())) == 200


@pytest.mark.django_db(transaction=True, databases="__all__")
@pytest.mark.parametrize("alias", ["postgresql", "mariadb"])
def test_a_lost_connection_costs_one_call(alias: str) -> None:
    """A worker has no end of request at which Django would connect anew; it must not stay deaf."""
    store = database_store(alias)
    store.set_many({"a": FULL})
    raw: Any = connections[alias].connection
    raw.close()
    with pytest.raises(Error):
        store.get_many(["a"])
    assert store.get_many(["a"]) == {"a": FULL}


class DictStateStore:
    """The smallest store, as the protocol's documentation shows it."""

    def __init__(self) -> None:
        self.records: dict[str, CacheFileRecord] = {}

    def get_many(self, keys: Iterable[str]) -> dict[str, CacheFileRecord]:
        return {key: self.records[key] for key in keys if key in self.records}

    def set_many(self, records: Mapping[str, CacheFileRecord]) -> None:
        self.records.update(records)

    def delete_many(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.records.pop(key, None)


ready_store = DictStateStore()


def make_store() -> DictStateStore:
    return ready_store


no_store = object()


class TestGetStateStore:
    def test_the_default_state_store_is_the_cache(self) -> None:
        """A project that sets nothing needs no table."""
        assert isinstance(get_state_store(), CacheStateStore)

    def test_the_cache_of_the_state_is_the_one_of_the_setting(self, settings: Any) -> None:
        """``IMAGEKIT_CACHE_BACKEND`` is an alias."""
        settings.CACHES = {
            alias: {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": alias}
            for alias in ("default", "images")
        }
        settings.IMAGEKIT_CACHE_BACKEND = "images"
        get_state_store().set_many({"a": FULL})
        assert caches["images"].get("a") == FULL.encode()
        assert caches["default"].get("a") is None

    def test_threads_keep_their_own_connection(self) -> None:
        """Django has one cache object a thread, since some clients are not safe to share."""
        store = get_state_store()
        assert isinstance(store, CacheStateStore)
        seen: list[object] = [store.cache.__dict__["_connections"]["default"]]
        thread = threading.Thread(
            target=lambda: seen.append(store.cache.__dict__["_connections"]["default"])
        )
        thread.start()
        thread.join()
        assert seen[0] is not seen[1]

    def test_the_word_database_sets_the_table_as_the_state_store(self, settings: Any) -> None:
        """One word moves the state into the database."""
        settings.IMAGEKIT_STATE_STORE = "database"
        assert isinstance(get_state_store(), DatabaseStateStore)

    @pytest.mark.parametrize("name", ["DictStateStore", "make_store", "ready_store"])
    def test_a_dotted_path_names_a_class_a_factory_or_a_store(
        self, settings: Any, name: str
    ) -> None:
        """Whatever is at the path, a store comes of it."""
        settings.IMAGEKIT_STATE_STORE = f"{__name__}.{name}"
        assert isinstance(get_state_store(), DictStateStore)

    def test_the_state_store_is_built_once(self, settings: Any) -> None:
        """Until a setting changes that it depends on."""
        first = get_state_store()
        assert get_state_store() is first
        settings.IMAGEKIT_STATE_STORE = f"{__name__}.DictStateStore"
        second = get_state_store()
        assert second is not first
        assert get_state_store() is second

    @pytest.mark.parametrize(
        "value",
        ["redis", None, 5, "nowhere.Store", f"{__name__}.no_store", f"{__name__}.WriteRouter"],
    )
    def test_a_wrong_state_store_names_the_setting_and_the_remedy(
        self, settings: Any, value: object
    ) -> None:
        """The message is all a person needs to mend it."""
        settings.IMAGEKIT_STATE_STORE = value
        with pytest.raises(InvalidConfiguration, match="IMAGEKIT_STATE_STORE") as caught:
            get_state_store()
        assert "get_many" in str(caught.value) or "dotted path" in str(caught.value)

    def test_an_unknown_cache_names_the_aliases(self, settings: Any) -> None:
        """A typing error in ``IMAGEKIT_CACHE_BACKEND`` shows what could have been meant."""
        settings.IMAGEKIT_CACHE_BACKEND = "imges"
        with pytest.raises(InvalidConfiguration, match=r"IMAGEKIT_CACHE_BACKEND.*'default'"):
            get_state_store()


class LedgerStore(DictStateStore):
    """A store that inherits nothing of ours, and is a ledger in a transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[Callable[[], object]] = []

    def is_in_transaction(self) -> bool:
        return True

    def after_commit(self, write: Callable[[], object]) -> None:
        self.writes.append(write)

    def by_source(self, *sources: str) -> list[CacheFileRecord]:
        return [record for record in self.records.values() if record.source in sources]

    def iter_items(self) -> Iterator[tuple[str, CacheFileRecord]]:
        return iter(self.records.items())


class TestAdaptStore:
    def test_a_store_of_three_methods_gets_the_others(self) -> None:
        """Nobody has to ask what it can."""
        store = adapt_store(DictStateStore())
        store.set_many({"a": FULL})
        assert store.get_many("ab") == {"a": FULL}
        assert (store.is_ledger, store.is_transactional) == (False, False)
        assert not store.is_in_transaction()
        assert (store.by_source(FULL.source), list(store.iter_items())) == ([], [])
        store.delete_many("a")
        assert store.get_many("a") == {}

    def test_what_a_store_of_somebody_else_can_is_used(self) -> None:
        """By its methods, and not by what it inherits from."""
        theirs = LedgerStore()
        access = StateAccess(theirs)
        access.put("a", FULL)
        assert theirs.records == {}
        theirs.writes.pop()()
        assert theirs.records == {"a": FULL}
        assert access.by_source([FULL.source]) == [FULL]
        assert list(access.store.iter_items()) == [("a", FULL)]

    def test_our_stores_are_adapted_to_themselves(self) -> None:
        """What inherits from the base class is taken as it is."""
        store = DatabaseStateStore()
        assert adapt_store(store) is store
