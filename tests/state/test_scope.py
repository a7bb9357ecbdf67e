"""What a process, a block and a request remember, and when they forget it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import django
import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import path
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit_registry.state import Scope, StateAccess, current_scope, state_scope
from imagekit_registry.state.record import CacheFileRecord
from imagekit_registry.state.scope import Memory
from tests.state.conftest import Clock, CountingStore, make, run_threads


class TestMemory:
    @settings(deadline=None)
    @given(st.integers(1, 9), st.lists(st.tuples(st.sampled_from("pgdt"), st.integers(0, 12))))
    def test_the_memory_of_a_process_is_bounded_and_never_wrong(
        self, size: int, steps: list[tuple[str, int]]
    ) -> None:
        """It may forget, but what it returns is the latest, and within its time to live."""
        clock = Clock()
        states = Memory(clock=clock, now=clock)
        states.reset(size, ttl=10)
        truth: dict[str, tuple[CacheFileRecord, float]] = {}
        for number, (step, value) in enumerate(steps):
            key = str(value)
            if step == "p":
                truth[key] = (make(str(number)), clock.now)
                states.put({key: truth[key][0]})
            elif step == "d":
                truth.pop(key, None)
                states.put({key: None})
            elif step == "t":
                clock.now += value
            found = states.get(key)
            record, written = truth.get(key, (None, 0.0))
            assert found is None or (found == record and clock.now - written < 10)
            assert len(states) <= size

    def test_the_memory_of_a_process_keeps_what_was_written_last(self) -> None:
        """When it is full, the oldest one goes; what is written again counts as new."""
        states = Memory(clock=time.monotonic, now=time.time)
        states.reset(10, ttl=10)
        for key in "abcdefghij":
            states.put({key: make(key)})
        states.put({"a": make("a")})
        states.put({"k": make("k")})
        assert [key for key in "abcdefghijk" if states.get(key)] == list("acdefghijk")

    def test_threads_may_use_the_memory_of_a_process_together(self) -> None:
        """Nothing is lost, torn or unbounded under eight threads."""
        states = Memory(clock=time.monotonic, now=time.time)
        states.reset(50, ttl=1_000)
        errors: list[object] = []

        def work(mine: int) -> None:
            for number in range(2_000):
                key = f"{mine}:{number % 20}"
                states.put({key: make(f"{key}:{number}")})
                found = states.get(key)
                if found is not None and found.name != f"{key}:{number}":
                    errors.append(found)
                states.put({key: None})
                if states.get(key) is not None:
                    errors.append(key)
                states.get(f"{(mine + 1) % 8}:{number % 20}")

        run_threads([partial(work, mine) for mine in range(8)])
        assert errors == []
        assert len(states) <= 50


class TestScope:
    def test_nothing_is_remembered_outside_of_a_scope(self) -> None:
        """A worker or a shell has no request, and so no memory that grows."""
        assert current_scope() is None

    def test_a_missing_key_is_asked_for_once(
        self, access: StateAccess, store: CountingStore
    ) -> None:
        """Within the scope; the next request asks again."""
        for _ in range(2):
            with state_scope():
                assert access.get("a") is None
                assert access.get("a") is None
                assert access.get_many(["a"]) == {}
        assert len(store.calls) == 2

    def test_outside_of_a_scope_a_missing_key_is_asked_for_each_time(
        self, access: StateAccess, store: CountingStore
    ) -> None:
        """That a file is absent is too soon untrue to be remembered by a process."""
        access.get("a")
        access.get("a")
        assert len(store.calls) == 2

    def test_a_scope_remembers_where_the_process_does_not(
        self, access_without_local: StateAccess, store: CountingStore
    ) -> None:
        """One request asks for a key once, also with the process's layer off."""
        store.records["a"] = make()
        with state_scope():
            access_without_local.get_many("ab")
            assert access_without_local.get("a") == make()
        assert store.calls == [("get_many", ["a", "b"])]

    def test_an_inner_scope_is_the_outer_one(
        self, access_without_local: StateAccess, store: CountingStore
    ) -> None:
        """A batch tag inside another shares its states, and leaves them there at its end."""
        with state_scope() as outer:
            access_without_local.get("a")
            with state_scope() as inner:
                assert inner is outer
                access_without_local.get("a")
                access_without_local.get("b")
            access_without_local.get("b")
        assert len(store.calls) == 2

    def test_a_scope_ends_after_an_exception(self) -> None:
        """A page that fails leaves no scope behind."""
        with pytest.raises(ZeroDivisionError), state_scope():
            raise ZeroDivisionError
        assert current_scope() is None

    def test_a_scope_sees_a_write(
        self, access_without_local: StateAccess, store: CountingStore
    ) -> None:
        """Also of a key that was known to be absent."""
        with state_scope():
            access_without_local.get("a")
            access_without_local.put("a", make())
            assert access_without_local.get("a") == make()
        assert [name for name, _ in store.calls] == ["get_many", "set_many"]

    def test_a_fresh_look_passes_the_scope_by(
        self, access_without_local: StateAccess, store: CountingStore
    ) -> None:
        """Who waits for another process hears of its work in the same request."""
        with state_scope():
            access_without_local.get("a")
            store.records["a"] = make()
            assert access_without_local.get_many(["a"], fresh=True) == {"a": make()}
            assert access_without_local.get("a") == make()

    def test_threads_have_scopes_of_their_own(self) -> None:
        """Two requests on two threads see nothing of each other."""
        seen: list[Scope | None] = []
        with state_scope():
            run_threads([lambda: seen.append(current_scope())])
        assert seen == [None]

    def test_a_request_that_reads_any_number_remembers_no_more_than_it_may(
        self, access_without_local: StateAccess, store: CountingStore, monkeypatch: Any
    ) -> None:
        """What was read last; an export of all rows must not keep all of their records."""
        monkeypatch.setattr("imagekit_registry.state.scope.MOST_REMEMBERED", 100)
        access = access_without_local
        store.set_many({str(number): make(str(number)) for number in range(300)})
        with state_scope() as scope:
            for start in range(0, 300, 50):
                keys = [str(number) for number in range(start, start + 50)]
                assert len(access.get_many(keys)) == 50
            assert sum(map(len, scope.tables.values())) == 100
            assert access.knows(map(str, range(200, 300)))
            assert len(access.get_many(map(str, range(300)))) == 300


site_store = CountingStore()
site = StateAccess(site_store)


def look(request: HttpRequest) -> JsonResponse:
    for _ in range(3):
        site.get("absent")
    return JsonResponse({"in_scope": current_scope() is not None})


async def look_async(request: HttpRequest) -> JsonResponse:
    return look(request)


def fail(request: HttpRequest) -> HttpResponse:
    site.get("absent")
    raise ZeroDivisionError


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        for _ in range(3):
            site.get("absent")
            yield str(current_scope() is not None)

    return StreamingHttpResponse(parts())


async def stream_async(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> Any:
        for _ in range(3):
            site.get("absent")
            yield str(current_scope() is not None)

    return StreamingHttpResponse(parts())


gathering: dict[str, Any] = {}


async def meet(request: HttpRequest) -> JsonResponse:
    """Wait until two requests are here, then write, meet again, and read."""
    mine, other = request.GET["mine"], request.GET["other"]
    site.put(mine, make(mine))
    await gathering["barrier"].wait()
    gathering["scopes"].append(current_scope())
    scope = current_scope()
    assert scope is not None
    seen = sorted(key for table in scope.tables.values() for key in table)
    return JsonResponse(seen, safe=False, headers={"X-Other": other})


async def leave_a_task(request: HttpRequest) -> HttpResponse:
    async def later() -> bool:
        await gathering["finished"].wait()
        site.get("absent")
        return current_scope() is None

    gathering["task"] = asyncio.create_task(later())
    return HttpResponse()


urlpatterns = [
    path("look", look),
    path("look-async", look_async),
    path("fail", fail),
    path("stream", stream),
    path("stream-async", stream_async),
    path("meet", meet),
    path("leave-a-task", leave_a_task),
]


def http_scope(url: str, query: str = "") -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "path": f"/{url}",
        "query_string": query.encode(),
        "headers": [],
    }


# asgiref ships no types.
_new_communicator: Any = ApplicationCommunicator


async def ask_asgi(application: Any, url: str, query: str = "") -> bytes:
    communicator: Any = _new_communicator(application, http_scope(url, query))
    await communicator.send_input({"type": "http.request", "body": b""})
    start = await communicator.receive_output(5)
    assert start["status"] == 200, start
    body: bytes = b""
    while True:
        part = await communicator.receive_output(5)
        body += part.get("body", b"")
        if not part.get("more_body"):
            break
    await communicator.wait(5)
    return body


def by_client(url: str) -> bytes:
    return Client().get(f"/{url}").getvalue()


def by_async_client(url: str) -> bytes:
    async def ask() -> bytes:
        response = await AsyncClient().get(f"/{url}")
        body: bytes = response.getvalue()
        assert current_scope() is None
        return body

    return asyncio.run(ask())


def by_wsgi(url: str) -> bytes:
    def start_response(*args: Any) -> Callable[[bytes], object]:
        return lambda data: None

    response = WSGIHandler()(RequestFactory().get(f"/{url}").environ, start_response)
    try:
        return b"".join(response)
    finally:
        response.close()


def by_asgi(url: str) -> bytes:
    async def ask() -> bytes:
        body = await ask_asgi(get_asgi_application(), url)
        assert current_scope() is None
        return body

    return asyncio.run(ask())


@pytest.mark.urls(__name__)
class TestRequests:
    @pytest.fixture(autouse=True)
    def without_databases(self) -> Iterator[None]:
        """Leave the connections of other tests open, as Django's test client does."""
        signals = (request_started, request_finished)
        for signal in signals:
            signal.disconnect(close_old_connections)
        yield
        for signal in signals:
            signal.connect(close_old_connections)

    @pytest.fixture(autouse=True)
    def fresh_store(self, settings: Any) -> None:
        settings.MIDDLEWARE = []
        site_store.calls.clear()
        site_store.records.clear()
        site.reset_local()
        gathering.clear()

    @pytest.mark.parametrize(
        "ask",
        [
            by_client,
            pytest.param(
                by_async_client,
                marks=pytest.mark.skipif(
                    django.VERSION < (6, 1),
                    reason="the test client announces requests in a task of its own, unlike ASGI",
                ),
            ),
            by_wsgi,
            by_asgi,
        ],
    )
    @pytest.mark.parametrize("url", ["look", "look-async"])
    def test_a_request_is_a_scope(self, ask: Callable[[str], bytes], url: str) -> None:
        """Under each kind of server, for each kind of view, with no middleware at all."""
        for _ in range(2):
            assert ask(url) == b'{"in_scope": true}'
            assert current_scope() is None
        assert site_store.calls == [("get_many", ["absent"])] * 2

    @pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")
    @pytest.mark.parametrize(
        ("ask", "url"),
        [
            (by_client, "stream"),
            (by_wsgi, "stream"),
            (by_asgi, "stream"),
            (by_asgi, "stream-async"),
        ],
    )
    def test_a_streamed_page_is_in_scope_to_its_end(
        self, ask: Callable[[str], bytes], url: str
    ) -> None:
        """The request lasts until the last part is sent."""
        assert ask(url) == b"TrueTrueTrue"
        assert current_scope() is None
        assert site_store.calls == [("get_many", ["absent"])]

    def test_a_request_that_fails_ends_its_scope(self) -> None:
        """An exception in a view leaves nothing behind."""
        assert Client(raise_request_exception=False).get("/fail").status_code == 500
        assert current_scope() is None

    def test_concurrent_requests_do_not_see_each_other(self) -> None:
        """Two requests on one event loop, both halfway, have a scope each."""

        async def ask() -> list[bytes]:
            gathering.update(barrier=asyncio.Barrier(2), scopes=[])
            application = get_asgi_application()
            queries = ["mine=a&other=b", "mine=b&other=a"]
            return await asyncio.gather(
                *(ask_asgi(application, "meet", query) for query in queries)
            )

        assert asyncio.run(ask()) == [b'["a"]', b'["b"]']
        first, second = gathering["scopes"]
        assert first is not second
        assert not first.is_open
        assert first.tables == {}

    def test_a_task_that_outlives_its_request_is_outside(self) -> None:
        """What it reads is not kept in a scope that nobody will end."""

        async def ask() -> bool:
            gathering["finished"] = asyncio.Event()
            await ask_asgi(get_asgi_application(), "leave-a-task")
            gathering["finished"].set()
            result: bool = await gathering["task"]
            return result

        assert asyncio.run(ask()) is True

    def test_threads_serve_requests_side_by_side(self) -> None:
        """Each request asks once, whoever else is served, and no scope is left."""
        run_threads([lambda: [by_wsgi("look") for _ in range(25)]] * 4)
        assert site_store.calls == [("get_many", ["absent"])] * 100
        gc.collect()
        assert [item for item in gc.get_objects() if type(item) is Scope] == []

    def test_requests_whose_end_is_not_announced_do_not_pile_up(self) -> None:
        """A crash before the response leaves one scope to the thread, until its next request."""

        def serve() -> None:
            for _ in range(50):
                request_started.send(sender=None)
            scope = current_scope()
            outer.append(scope is not None and scope.outer is None)

        outer: list[bool] = []
        run_threads([serve])
        assert outer == [True]

    def test_a_request_inside_a_block_is_its_own(self) -> None:
        """A test that opens a scope and calls a view gets its own scope back."""
        with state_scope() as mine:
            site.get("absent")
            by_client("look")
            assert current_scope() is mine
        assert site_store.calls == [("get_many", ["absent"])] * 2
