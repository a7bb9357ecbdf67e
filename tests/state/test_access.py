"""The layers over a state store: what they ask it, and what a dead one costs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.signals import request_finished
from django.db import DatabaseError, connections, transaction
from django.db.transaction import TransactionManagementError

from imagekit_registry.state import (
    CacheStateStore,
    DatabaseStateStore,
    StateAccess,
    forget_local_states,
    state_scope,
)
from imagekit_registry.state.record import Status
from tests.conftest import require_service
from tests.state.conftest import Clock, CountingStore, make, run_threads
from tests.testapp.models import Plain


@pytest.fixture(params=["postgresql", "mariadb"])
def alias(request: pytest.FixtureRequest) -> str:
    """Return each database that requests can lock rows in."""
    require_service(request.param, request.param in django_settings.DATABASES)
    return str(request.param)


class TestProcessLayer:
    def test_a_second_look_asks_no_store(self, access: StateAccess, store: CountingStore) -> None:
        """A warm page, in a process that has rendered it before, makes no round trip."""
        store.records["a"] = make()
        for _ in range(100):
            assert access.get("a") == make()
            assert access.get_many(["a"]) == {"a": make()}
        assert store.calls == [("get_many", ["a"])]

    def test_a_hundred_keys_are_one_call_of_the_store(
        self, access: StateAccess, store: CountingStore
    ) -> None:
        """A page's states come together, each key asked for once."""
        keys = [str(number) for number in range(100)]
        store.records.update({key: make(key) for key in keys})
        assert len(access.get_many(keys + keys)) == 100
        assert store.calls == [("get_many", keys)]

    def test_only_what_is_unknown_is_asked_for(
        self, access: StateAccess, store: CountingStore
    ) -> None:
        """What a process knows it does not ask again with the rest."""
        store.records.update({key: make(key) for key in "abc"})
        access.get_many("ab")
        assert access.get_many("abc") == {key: make(key) for key in "abc"}
        assert store.calls == [("get_many", ["a", "b"]), ("get_many", ["c"])]

    def test_after_the_time_to_live_the_store_is_asked(
        self, access: StateAccess, store: CountingStore, clock: Clock
    ) -> None:
        """Another host's deletion is seen after ``IMAGEKIT_LOCAL_STATE_TTL`` seconds."""
        store.records["a"] = make()
        access.get("a")
        del store.records["a"]
        clock.now += 9.9
        assert access.get("a") == make()
        clock.now += 0.1
        assert access.get("a") is None

    def test_a_time_to_live_of_zero_turns_the_process_layer_off(
        self, access_without_local: StateAccess, store: CountingStore
    ) -> None:
        """With a time to live of 0 the store is asked each time."""
        store.records["a"] = make()
        access_without_local.get("a")
        access_without_local.get("a")
        assert len(store.calls) == 2

    @pytest.mark.parametrize("status", [Status.FAILED, Status.MISSING])
    def test_what_does_not_exist_is_trusted_until_its_moment(
        self, access: StateAccess, store: CountingStore, clock: Clock, status: str
    ) -> None:
        """And not a moment longer, whatever the time to live."""
        store.records["a"] = make(status=status, retry_at=clock.now + 3)
        access.get("a")
        clock.now += 2.9
        access.get("a")
        assert len(store.calls) == 1
        clock.now += 0.1
        access.get("a")
        access.get("a")
        assert len(store.calls) == 3

    def test_what_does_not_exist_is_not_trusted_beyond_the_time_to_live(
        self, access: StateAccess, store: CountingStore, clock: Clock
    ) -> None:
        """A failure whose next try is in a day may be mended by another host before that."""
        store.records["a"] = make(status=Status.FAILED, retry_at=clock.now + 86_400)
        access.get("a")
        clock.now += 10
        access.get("a")
        assert len(store.calls) == 2

    def test_that_a_file_is_being_made_is_not_remembered(
        self, access: StateAccess, store: CountingStore, clock: Clock
    ) -> None:
        """The page waits for another process: its news must be heard at once."""
        store.records["a"] = make(status=Status.GENERATING, retry_at=clock.now + 30)
        access.get("a")
        store.records["a"] = make()
        assert access.get("a") == make()

    def test_that_a_file_is_made_anew_replaces_what_was_known(
        self, access: StateAccess, clock: Clock
    ) -> None:
        """An existing file that is being replaced does not look finished."""
        access.put("a", make())
        making = make(status=Status.GENERATING, retry_at=clock.now + 30)
        access.put("a", making)
        assert access.get("a") == making

    def test_a_fresh_look_asks_the_store_and_tells_the_layers(
        self, access: StateAccess, store: CountingStore
    ) -> None:
        """What the store says then is what everybody knows from then on."""
        store.records["a"] = make("old")
        access.get("a")
        store.records["a"] = make("new")
        assert access.get_many(["a"], fresh=True) == {"a": make("new")}
        assert access.get("a") == make("new")

    def test_a_fresh_look_forgets_what_the_store_has_lost(
        self, access: StateAccess, store: CountingStore
    ) -> None:
        """A flushed cache takes the process's memory of the key with it."""
        access.put("a", make())
        store.records.clear()
        assert access.get_many(["a"], fresh=True) == {}
        assert access.get("a") is None

    def test_a_write_is_read_back_without_the_store(
        self, access: StateAccess, store: CountingStore
    ) -> None:
        """Who has made an image knows its state."""
        access.put("a", make())
        assert access.get("a") == make()
        assert store.calls == [("set_many", ["a"])]

    def test_many_writes_are_one_call_of_the_store(
        self, access: StateAccess, store: CountingStore
    ) -> None:
        """And so are many deletions; none at all is no call."""
        access.put_many({})
        access.drop([])
        access.put_many({key: make(key) for key in "abc"})
        access.drop("abc")
        assert store.calls == [("set_many", ["a", "b", "c"]), ("delete_many", ["a", "b", "c"])]

    def test_a_record_that_is_dropped_is_gone_from_every_layer(
        self, access: StateAccess, store: CountingStore
    ) -> None:
        """In the store, the process and the request."""
        with state_scope():
            access.put("a", make())
            access.drop(["a"])
            assert access.get("a") is None
        assert access.get("a") is None
        assert store.records == {}

    def test_an_answer_older_than_a_write_is_not_kept(
        self, access: StateAccess, store: CountingStore
    ) -> None:
        """A thread that read before another wrote must not put back the old state."""
        store.records["a"] = make("old")
        store.after_read = lambda: access.put("a", make("new"))
        access.get("a")
        store.after_read = lambda: None
        assert access.get("a") == make("new")

    def test_an_answer_older_than_a_deletion_is_not_kept(
        self, access: StateAccess, store: CountingStore
    ) -> None:
        """Nor bring back a file that another thread has deleted."""
        store.records["a"] = make()
        store.after_read = lambda: access.drop(["a"])
        access.get("a")
        store.after_read = lambda: None
        assert access.get("a") is None

    def test_two_stores_share_nothing(self, clock: Clock) -> None:
        """A backend with a cache of its own has states of its own."""
        one, other = StateAccess(CountingStore()), StateAccess(CountingStore())
        with state_scope():
            one.put("a", make())
            assert other.get("a") is None
        assert one.get("a") == make()

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("IMAGEKIT_LOCAL_STATE_TTL", 5.0),
            ("IMAGEKIT_LOCAL_STATE_SIZE", 10),
            ("MEDIA_ROOT", "/elsewhere"),
        ],
    )
    def test_a_changed_setting_clears_the_process_layer(
        self, access: StateAccess, store: CountingStore, settings: Any, setting: str, value: object
    ) -> None:
        """Tests that override settings see no state of other tests."""
        store.records["a"] = make()
        access.get("a")
        setattr(settings, setting, value)
        access.get("a")
        assert len(store.calls) == 2

    def test_the_process_layer_can_be_cleared(
        self, access: StateAccess, store: CountingStore
    ) -> None:
        """Tests that change files behind our back can say so."""
        access.put("a", make())
        store.records.clear()
        forget_local_states()
        assert access.get("a") is None

    def test_what_a_store_answers_beyond_records_is_ignored(self, access: StateAccess) -> None:
        """A store of somebody else may return anything."""

        class OddStore(CountingStore):
            def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
                return {"a": "exists", "b": None, "z": make()}

        assert StateAccess(OddStore()).get_many(["a", "b"]) == {}


class TestDeadStore:
    ERRORS = (
        ConnectionRefusedError("nobody listens"),
        TimeoutError("timed out"),
        DatabaseError("no such table"),
        ValueError("garbage"),
        KeyError("x"),
        RuntimeError("whatever"),
    )

    @pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
    def test_no_error_of_a_store_reaches_the_page(
        self, access: StateAccess, store: CountingStore, clock: Clock, error: Exception
    ) -> None:
        """Any exception of a store is an empty answer."""
        store.error = error
        assert access.get("a") is None
        clock.now += 100
        assert access.get_many("ab") == {}
        clock.now += 100
        access.put("a", make())
        clock.now += 100
        access.drop("b")
        assert len(store.calls) == 4

    def test_a_page_of_a_hundred_images_waits_once_for_a_dead_store(
        self, access: StateAccess, store: CountingStore, clock: Clock
    ) -> None:
        """After a failure the store is left alone for a moment."""

        def time_out() -> None:
            clock.now += 0.25

        store.before_answer = time_out
        store.error = TimeoutError()
        for number in range(100):
            access.get(str(number))
            access.put(str(number), make())
        assert len(store.calls) == 1

    def test_what_is_made_while_a_store_is_dead_is_remembered_by_the_process(
        self, access: StateAccess, store: CountingStore
    ) -> None:
        """A page is not made again by each request because the cache is down."""
        store.error = ConnectionRefusedError()
        access.put("a", make())
        access.put("b", make())
        assert access.get_many("ab") == {"a": make(), "b": make()}
        assert access.get_many("ab", fresh=True) == {"a": make(), "b": make()}

    def test_a_dead_store_is_asked_again_after_a_pause(
        self, access: StateAccess, store: CountingStore, clock: Clock
    ) -> None:
        """And used as before when it is back."""
        store.records["a"] = make()
        store.error = ConnectionRefusedError()
        access.get("a")
        store.error = None
        clock.now += 1.9
        assert access.get("a") is None
        clock.now += 0.1
        assert access.get("a") == make()
        access.put("b", make())
        assert store.records == {"a": make(), "b": make()}

    @pytest.mark.parametrize("change", ["replaced", "dropped"])
    def test_a_store_forgets_what_it_could_not_be_told(
        self, access: StateAccess, store: CountingStore, clock: Clock, change: str
    ) -> None:
        """What it has kept meanwhile is out of date: nobody is to believe it."""
        store.records = {"a": make(), "b": make()}
        store.error = ConnectionRefusedError()
        if change == "dropped":
            access.drop("a")
        else:
            access.put("a", make(status="failed", retry_at=clock.now + 1))
        store.error = None
        clock.now += 100
        assert access.get_many("ab") == {"b": make()}
        assert store.records == {"b": make()}
        access.put("a", make())
        assert access.get_many("ab", fresh=True) == {"a": make(), "b": make()}

    def test_a_store_that_took_long_to_fail_is_left_alone_for_longer(
        self, access: StateAccess, store: CountingStore, clock: Clock
    ) -> None:
        """A server with a timeout of 5 seconds costs a fifth of the time at most."""

        def time_out() -> None:
            clock.now += 5

        store.before_answer = time_out
        store.error = TimeoutError()
        access.get("a")
        clock.now += 19.9
        access.get("a")
        assert len(store.calls) == 1
        clock.now += 0.1
        access.get("a")
        assert len(store.calls) == 2

    def test_one_thread_tries_a_dead_store_after_the_pause_and_the_others_do_not_wait(
        self, access: StateAccess, store: CountingStore, clock: Clock
    ) -> None:
        """Eight requests do not all hang on a server that is still gone."""
        store.error = ConnectionRefusedError()
        access.get("a")
        clock.now += 10
        is_asking, others_are_done = threading.Event(), threading.Event()

        def hang() -> None:
            is_asking.set()
            others_are_done.wait(10)

        store.before_answer = hang
        prober = threading.Thread(target=access.get, args=("a",))
        prober.start()
        assert is_asking.wait(10)
        run_threads([lambda: access.get("b")] * 8)
        others_are_done.set()
        prober.join()
        assert len(store.calls) == 2

    def test_a_dead_store_is_logged_once_a_minute(
        self,
        access: StateAccess,
        store: CountingStore,
        clock: Clock,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """One line, not one an image, which says what failed, how, and how often."""
        store.error = ConnectionRefusedError("nobody listens")
        for _ in range(29):
            access.get("a")
            clock.now += 2
        assert [record.name for record in caplog.records] == ["imagekit_registry.state"]
        assert "CountingStore failed: ConnectionRefusedError: nobody listens" in caplog.text
        clock.now += 2
        access.get("a")
        assert len(caplog.records) == 2
        assert "28 more errors" in caplog.text

    @pytest.mark.django_db(transaction=True)
    def test_a_call_in_an_event_loop_is_only_that_callers_loss(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The database store cannot answer an async view; sync ones go on using it."""
        access = StateAccess(DatabaseStateStore())

        async def view() -> object:
            access.put("b", make())
            return access.get_many("a")

        assert asyncio.run(view()) == {}
        assert "async context" in caplog.text
        access.put("a", make())
        forget_local_states()
        assert access.get("a") == make()

    @pytest.mark.django_db(transaction=True)
    def test_a_transaction_that_was_broken_before_is_only_that_callers_loss(self) -> None:
        """Another's broken transaction says nothing about the store."""
        access = StateAccess(DatabaseStateStore())
        with transaction.atomic():
            transaction.set_rollback(True)
            assert access.get("a") is None
            access.put("b", make())
            with pytest.raises(TransactionManagementError):
                access.store.get_many("a")
        access.put("a", make())
        forget_local_states()
        assert access.get("a") == make()

    def test_no_error_of_a_cache_without_a_server_reaches_the_page(self, settings: Any) -> None:
        """Redis's own exceptions are like all others."""
        settings.CACHES = {
            **settings.CACHES,
            "dead": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": "redis://127.0.0.1:1/0",
            },
        }
        access = StateAccess(CacheStateStore(caches["dead"]))
        assert access.get("a") is None
        access.put("a", make())
        assert access.get("a") == make()


@pytest.mark.django_db(transaction=True, databases="__all__")
class TestTransactions:
    """State in a database, and requests that are a transaction."""

    def test_state_in_transactions_of_the_caller_holds_no_lock_and_loses_nothing(
        self, alias: str
    ) -> None:
        """Two that show the same images the other way round both go on, and save what is theirs."""
        store = DatabaseStateStore(using=alias)
        store.set_many({"a": make("a.jpg"), "b": make("b.jpg")})
        both = threading.Barrier(2, timeout=60)
        errors: list[Exception] = []

        def request(first: str, second: str) -> None:
            access = StateAccess(store)
            try:
                with transaction.atomic(using=alias):
                    Plain.objects.using(alias).create(title=first)
                    access.put(first, make(size=5))
                    both.wait()
                    access.put(second, make(size=5))
            except Exception as error:
                errors.append(error)
            finally:
                connections[alias].close()

        requests = [threading.Thread(target=request, args=keys) for keys in ("ab", "ba")]
        for thread in requests:
            thread.start()
        for thread in requests:
            thread.join()
        assert errors == []
        assert {row.title for row in Plain.objects.using(alias).all()} == {"a", "b"}
        assert [record.size for _, record in store.iter_items()] == [5, 5]

    def test_transactions_write_the_state_when_they_are_committed(self) -> None:
        """In the order in which it came to be."""
        access = StateAccess(DatabaseStateStore())
        with transaction.atomic():
            access.put("a", make(size=1))
            access.put("b", make())
            with transaction.atomic():
                access.put("a", make(size=2))
            access.drop("b")
            assert access.get_many("ab") == {"a": make(size=2)}
            assert access.store.get_many("ab") == {}
        assert access.store.get_many("ab") == {"a": make(size=2)}

    def test_transactions_read_what_they_have_written(self, settings: Any) -> None:
        """A file that was deleted, and made anew in the same transaction, say."""
        settings.IMAGEKIT_LOCAL_STATE_TTL = 0
        access = StateAccess(DatabaseStateStore())
        access.put("a", make(size=1))
        with transaction.atomic():
            access.drop("a")
            assert access.get("a") is None
            access.put("a", make(size=2))
            access.put("b", make())
            assert access.get_many("abc", fresh=True) == {"a": make(size=2), "b": make()}
            access.drop("b")
            assert access.get_many("abc", fresh=True) == {"a": make(size=2)}
        assert access.get_many("abc", fresh=True) == {"a": make(size=2)}

    def test_transactions_of_which_a_part_is_rolled_back_keep_the_rest(self, settings: Any) -> None:
        """What was done to the files of that part is done: the storage is asked for them alone."""
        settings.IMAGEKIT_LOCAL_STATE_TTL = 0
        access = StateAccess(DatabaseStateStore())
        access.put_many({"a": make(size=1), "b": make(size=1)})
        with transaction.atomic():
            access.put("a", make(size=2))
            with transaction.atomic():
                access.drop("b")
                transaction.set_rollback(True)
            assert access.get_many("ab") == {"a": make(size=2)}
        assert access.get_many("ab") == {"a": make(size=2)}
        assert access.store.get_many("ab") == {"a": make(size=2)}

    def test_transactions_that_are_rolled_back_leave_nothing_that_counts(
        self, settings: Any
    ) -> None:
        """Rows come back, but files do not: the storage is asked."""
        settings.IMAGEKIT_LOCAL_STATE_TTL = 0
        access = StateAccess(DatabaseStateStore())
        access.put("a", make())
        access.put("b", make())
        with transaction.atomic():
            access.drop("a")
            transaction.set_rollback(True)
        assert access.get_many("ab") == {"b": make()}
        assert access.store.get_many("ab") == {"b": make()}
        access.put("a", make())
        assert access.get("a") == make()

    def test_transactions_that_are_rolled_back_keep_what_files_were_made_of(
        self, settings: Any
    ) -> None:
        """A file that was made has no record that says it is there; the storage says that."""
        settings.IMAGEKIT_LOCAL_STATE_TTL = 0
        access = StateAccess(DatabaseStateStore())
        access.put("a", make(fingerprint="old"))
        with transaction.atomic():
            access.put_many({"a": make(fingerprint="new"), "b": make(fingerprint="new")})
            transaction.set_rollback(True)
        missing = make(status=Status.MISSING, fingerprint="new")
        assert access.get_many("ab") == {"a": missing, "b": missing}
        assert access.store.get_many("ab") == {"a": missing, "b": missing}

    def test_transactions_that_are_rolled_back_are_told_when_the_request_ends(self) -> None:
        """Another process may be the next to ask."""
        access = StateAccess(DatabaseStateStore())
        access.put("a", make(fingerprint="old"))
        with transaction.atomic():
            access.put("a", make(fingerprint="new"))
            transaction.set_rollback(True)
        assert access.store.get_many("a") == {"a": make(fingerprint="old")}
        request_finished.send(type(self))
        assert access.store.get_many("a") == {"a": make(status=Status.MISSING, fingerprint="new")}

    def test_transactions_show_the_ledger_what_is_yet_to_be_committed(self) -> None:
        """What was made of a source within them can be invalidated within them."""
        access = StateAccess(DatabaseStateStore())
        access.put("a", make("a", source="s"))
        with transaction.atomic():
            access.put_many({"b": make("b", source="s"), "c": make("c", source="other")})
            access.put("b", make("b", source="s", width=2))
            found = access.by_source(["s"])
        assert found == [make("a", source="s"), make("b", source="s", width=2)]


tenant = "a"


def key_of_tenant(key: str, prefix: str, version: int) -> str:
    """Make a key of one tenant's; a ``KEY_FUNCTION``, as sites of several tenants have one."""
    return f"{tenant}:{prefix}:{version}:{key}"


@pytest.mark.django_db(transaction=True)
class TestTenants:
    """One process serves several sites, whose keys are the same."""

    @pytest.fixture
    def switch(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
        """Return a function that makes it another tenant's turn."""
        monkeypatch.setattr(f"{__name__}.tenant", "a")
        return lambda name: monkeypatch.setattr(f"{__name__}.tenant", name)

    @pytest.fixture(params=["key function", "schema"])
    def shared(
        self, request: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[StateAccess]:
        """Return the way to a store that all tenants share."""
        if request.param == "schema":
            connection = type(connections["default"])
            schema = property(lambda self: tenant)
            monkeypatch.setattr(connection, "schema_name", schema, raising=False)
            yield StateAccess(DatabaseStateStore())
            return
        cache = LocMemCache("tenants", {"KEY_FUNCTION": key_of_tenant})
        yield StateAccess(CacheStateStore(cache))
        cache.clear()

    @pytest.mark.parametrize("scoped", [False, True], ids=["", "in a request"])
    def test_a_tenant_never_gets_what_was_recorded_for_another(
        self, shared: StateAccess, switch: Callable[[str], None], scoped: bool
    ) -> None:
        """Neither from the process, nor from the request, nor from the store."""
        with state_scope() if scoped else nullcontext():
            shared.put("k", make(width=1, source="s"))
            assert shared.get("k") is not None
            switch("b")
            assert shared.get("k") is None
            shared.put("k", make(status=Status.FAILED, retry_at=time.time() + 99))
            for name, status in (("a", Status.EXISTS), ("b", Status.FAILED)):
                switch(name)
                found = shared.get("k")
                assert found is not None
                assert found.status == status
            shared.drop(["k"])
            switch("a")
        forget_local_states()
        assert shared.get("k") == make(width=1, source="s")
        if shared.store.is_ledger:
            assert shared.by_source(["s"]) == [make(width=1, source="s")]
            assert dict(shared.store.iter_items()) == {"k": make(width=1, source="s")}
            switch("b")
            assert shared.by_source(["s"]) == []
            assert list(shared.store.iter_items()) == []

    def test_what_a_store_could_not_be_told_of_one_tenant_is_not_told_of_another(
        self, switch: Callable[[str], None], clock: Clock
    ) -> None:
        """A store that has failed is told under the same tenant."""
        cache = LocMemCache("tenants, failing", {"KEY_FUNCTION": key_of_tenant})
        shared = StateAccess(CacheStateStore(cache), clock=clock)
        for name in "ab":
            switch(name)
            shared.put("k", make(width=1))
        with pytest.MonkeyPatch.context() as failing:
            failing.setattr(cache, "delete_many", lambda keys: 1 / 0)
            shared.drop(["k"])
        clock.now += 100
        switch("a")
        assert shared.get_many(["k"], fresh=True) == {"k": make(width=1)}
        switch("b")
        assert shared.get_many(["k"], fresh=True) == {}
        assert shared.store.get_many(["k"]) == {}
        cache.clear()

    def test_what_is_committed_in_the_turn_of_another_tenant_is_not_taken_for_its_own(
        self, switch: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A block within a transaction may be another tenant's."""
        schema = property(lambda self: tenant)
        kind = type(connections["default"])
        monkeypatch.setattr(kind, "schema_name", schema, raising=False)
        shared = StateAccess(DatabaseStateStore())
        with transaction.atomic():
            shared.put("k", make(fingerprint="x"))
            switch("b")
        assert shared.get_many(["k"], fresh=True) == {}
        switch("a")
        assert shared.get_many(["k"], fresh=True) == {
            "k": make(status=Status.MISSING, fingerprint="x")
        }
