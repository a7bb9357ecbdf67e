"""Locks: one generation at a time over threads, processes and hosts; nothing is locked for ever."""

from __future__ import annotations

import multiprocessing.util
import os
import signal
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache as default_cache
from django.core.cache import caches

from imagekit_registry.cachefiles.locks import GenerationLock, generation_lock
from imagekit_registry.exceptions import InvalidArgument, LockTimeout
from imagekit_registry.testing import forget_state
from tests.cachefiles import _lock_worker
from tests.conftest import require_service

WORKERS = 8
ROUNDS = 4


@pytest.fixture(scope="module")
def cache_settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Caches of every kind, in places where no other test clears them."""
    backends = "django.core.cache.backends"
    found = {
        "default": {"BACKEND": f"{backends}.locmem.LocMemCache", "LOCATION": "locks"},
        "dummy": {"BACKEND": f"{backends}.dummy.DummyCache"},
        "files": {
            "BACKEND": f"{backends}.filebased.FileBasedCache",
            "LOCATION": str(tmp_path_factory.mktemp("cache")),
        },
        "down": {"BACKEND": "tests.cachefiles._lock_worker.DownCache"},
        "silent": {"BACKEND": "tests.cachefiles._lock_worker.SilentCache"},
    }
    redis = django_settings.CACHES.get("redis")
    if redis is not None:
        location = str(redis["LOCATION"]).rpartition("/")[0] + "/11"
        found["redis"] = {**redis, "LOCATION": location}
    return found


@pytest.fixture(autouse=True)
def own_surroundings(
    settings: Any,
    cache_settings: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """Give each test the caches, a folder for lock files of its own, and no memory of failures."""
    settings.CACHES = cache_settings
    (tmp_path / "host").mkdir()
    # The socket of the fork server lies in there: the path of a test's folder is too long for one.
    multiprocessing.util.get_temp_dir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "host"))
    forget_state()
    yield
    caches["files"].clear()


class Worker:
    """Another process, which takes locks as it is told."""

    def __init__(self, cache_settings: dict[str, Any]) -> None:
        # The server imports Django once, and has no threads when it forks.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.cachefiles._lock_worker"])
        self.connection, other = context.Pipe()
        self.process = context.Process(
            target=_lock_worker.serve, args=(other, cache_settings), daemon=True
        )
        self.process.start()
        other.close()

    def tell(self, op: str, tmp: Path, key: str = "a.jpg", **command: Any) -> None:
        self.connection.send({"op": op, "tmp": str(tmp), "key": key, **command})

    def answer(self) -> Any:
        return self.connection.recv()

    def ask(self, op: str, tmp: Path, key: str = "a.jpg", **command: Any) -> Any:
        self.tell(op, tmp, key, **command)
        return self.answer()

    def let_go(self) -> Any:
        """End what `hold` has begun."""
        self.connection.send({})
        return self.answer()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


@pytest.fixture(scope="module")
def workers(cache_settings: dict[str, Any]) -> Iterator[list[Worker]]:
    """As many processes as ask for one missing image in the stampede."""
    found = [Worker(cache_settings) for _ in range(WORKERS)]
    try:
        assert all(worker.answer() == {"ready": True} for worker in found)
        yield found
    finally:
        for worker in found:
            worker.kill()


@pytest.fixture
def victim(cache_settings: dict[str, Any]) -> Iterator[Worker]:
    """A process that a test may kill."""
    worker = Worker(cache_settings)
    assert worker.answer() == {"ready": True}
    yield worker
    worker.kill()


def host(tmp_path: Path, number: int = 0) -> Path:
    """Return the folder for temporary files of one of several hosts that we play."""
    folder = tmp_path / ("host" if number == 0 else f"host{number}")
    folder.mkdir(exist_ok=True)
    return folder


def lock_files(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "host").rglob("*") if not path.is_dir()]


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def lock(key: str = "a.jpg", cache: str = "default", **kwargs: Any) -> Any:
    arguments: dict[str, Any] = {"timeout": 30, "wait": 30, **kwargs}
    return generation_lock(key, cache=caches[cache], **arguments)


def in_threads(work: Callable[[], Any], count: int = 8) -> list[Any]:
    """Run *work* in several threads that start together; return results and exceptions."""
    start = threading.Barrier(count)
    results: list[Any] = []

    def run() -> None:
        start.wait()
        try:
            results.append(work())
        except BaseException as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def needs(cache: str) -> None:
    if cache == "redis":
        require_service("Redis", "redis" in caches)


SHARED = ["files", "redis"]


@pytest.mark.machine
class TestStampede:
    @pytest.mark.parametrize(
        ("cache", "hosts"),
        [("default", 1), ("redis", 1), ("redis", WORKERS), ("down", 1)],
        ids=["unshared cache", "redis on one host", "redis on eight hosts", "cache down"],
    )
    def test_eight_processes_make_one_missing_image_once(
        self, workers: list[Worker], tmp_path: Path, cache: str, hosts: int
    ) -> None:
        """8 processes x 4 rounds: 1 generation a round, never two at a time, 32 good answers."""
        needs(cache)
        for number in range(ROUNDS):
            result = str(tmp_path / f"{number}.jpg")
            for place, worker in enumerate(workers):
                tmp = host(tmp_path, place % hosts)
                worker.tell("generate", tmp, str(tmp_path / "key"), cache=cache, result=result)
            answers = [worker.answer() for worker in workers]
            assert [answer["acquired"] for answer in answers].count(True) == 1
            assert not any(answer["overlap"] for answer in answers)
            assert [answer["image"] for answer in answers] == ["image"] * WORKERS

    def test_eight_threads_are_inside_one_at_a_time(self) -> None:
        """Without anything to tell that the work is done, each gets its turn, alone."""
        inside: list[int] = []
        most: list[int] = []

        def work() -> bool:
            with lock() as held:
                inside.append(1)
                most.append(len(inside))
                threading.Event().wait(0.005)
                inside.pop()
                return bool(held.acquired)

        assert in_threads(work) == [True] * 8
        assert most == [1] * 8

    @pytest.mark.parametrize("cache", ["default", "dummy", *SHARED, "down", "silent"])
    def test_of_eight_threads_one_works_and_the_others_use_its_result(self, cache: str) -> None:
        """Over every kind of cache, also one that is down, openly or silently."""
        needs(cache)
        made: list[int] = []

        def work() -> bool:
            with lock(cache=cache, until_done=lambda: bool(made)) as held:
                if held.acquired:
                    made.append(1)
                return bool(held.acquired)

        assert sorted(in_threads(work)) == [False] * 7 + [True]
        assert made == [1]


class TestWaiting:
    @pytest.mark.parametrize("cache", ["default", *SHARED, "down"])
    @pytest.mark.parametrize("wait", [0, 0.05])
    def test_waiting_for_a_lock_is_bounded(
        self, workers: list[Worker], tmp_path: Path, cache: str, wait: float
    ) -> None:
        """Who does not get the lock in time gets our exception, which says what to set."""
        needs(cache)
        assert workers[0].ask("hold", host(tmp_path), cache=cache) == {"acquired": True}
        try:
            with (
                pytest.raises(LockTimeout, match="IMAGEKIT_LOCK_WAIT"),
                lock(cache=cache, wait=wait),
            ):
                pytest.fail("two are inside")
        finally:
            assert workers[0].let_go() == {"acquired": True}
        with lock(cache=cache, wait=0) as held:
            assert held.acquired

    def test_other_hosts_wait_for_a_lock_as_well(
        self, workers: list[Worker], tmp_path: Path
    ) -> None:
        """The key in the cache holds apart those who share no lock files."""
        workers[0].ask("hold", host(tmp_path, 1), cache="files")
        with pytest.raises(LockTimeout), lock(cache="files", wait=0):
            pytest.fail("two are inside")
        workers[0].let_go()

    def test_a_waiter_leaves_when_the_work_is_done(
        self, workers: list[Worker], tmp_path: Path
    ) -> None:
        """It need not wait for the lock to be free: the file is there."""
        workers[0].ask("hold", host(tmp_path), cache="default")
        looks: list[int] = []

        def is_done() -> bool:
            looks.append(1)
            return len(looks) == 3

        with lock(until_done=is_done) as held:
            assert not held.acquired
        assert len(looks) == 3
        assert workers[0].let_go() == {"acquired": True}

    def test_work_done_before_the_lock_was_free_is_not_done_again(self, tmp_path: Path) -> None:
        """Between looking and locking somebody may have finished: one looks once more."""
        with lock(until_done=lambda: True) as held:
            assert not held.acquired
        assert lock_files(tmp_path) == []

    def test_an_error_while_looking_frees_the_lock(self) -> None:
        """A storage that fails must not leave the image locked."""

        def fail() -> bool:
            raise ConnectionError("no storage")

        with pytest.raises(ConnectionError), lock(until_done=fail):
            pytest.fail("not reached")
        with lock(wait=0) as held:
            assert held.acquired

    @pytest.mark.parametrize("cache", ["default", *SHARED])
    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
    def test_an_error_while_working_frees_the_lock(
        self, cache: str, error: type[BaseException]
    ) -> None:
        """The next one can try at once."""
        needs(cache)
        with pytest.raises(error), lock(cache=cache):
            raise error
        with lock(cache=cache, wait=0) as held:
            assert held.acquired

    @pytest.mark.parametrize(
        ("timeout", "wait"),
        [(0, 1), (-1, 1), (float("nan"), 1), (1, -1), (1, float("nan"))],
    )
    def test_senseless_times_of_a_lock_are_refused(self, timeout: float, wait: float) -> None:
        """The message names the argument."""
        with (
            pytest.raises(InvalidArgument, match=r"^(timeout|wait) must be"),
            lock(timeout=timeout, wait=wait),
        ):
            pytest.fail("not reached")


class TestNesting:
    @pytest.mark.parametrize("cache", ["default", *SHARED])
    def test_one_thread_may_hold_many_keys(self, cache: str) -> None:
        """An image made from another generated image, or many images of one decode."""
        needs(cache)
        with lock("a", cache) as a, lock("b", cache) as b, lock("c", cache) as c:
            assert [a.acquired, b.acquired, c.acquired] == [True] * 3

    def test_two_threads_with_different_keys_are_inside_together(self) -> None:
        """Each waits, inside, for the other to be inside too."""
        both = threading.Barrier(2, timeout=30)
        keys = iter(["a", "b"])

        def work() -> bool:
            with lock(next(keys)):
                both.wait()
                return True

        assert in_threads(work, 2) == [True, True]

    def test_a_thread_does_not_wait_for_itself(self) -> None:
        """The same key in one thread is a mistake that is told at once, not after the wait."""
        with (
            lock(wait=3600),
            pytest.raises(LockTimeout, match="its own result"),
            lock(wait=3600),
        ):
            pytest.fail("not reached")
        with lock(wait=0) as held:
            assert held.acquired

    @pytest.mark.parametrize("key", ["", "ü" * 5000, "a b\n\0", "\udc80", "../../x"])
    @pytest.mark.parametrize("cache", ["default", *SHARED])
    def test_any_text_is_a_key(self, key: str, cache: str) -> None:
        """Whatever the names of files look like."""
        needs(cache)
        with lock(key, cache) as held:
            assert held.acquired


class TestDeath:
    @pytest.mark.parametrize("cache", ["default", "redis"])
    def test_the_lock_of_a_killed_process_ends_at_once_on_its_host(
        self, victim: Worker, tmp_path: Path, cache: str
    ) -> None:
        """Its key in the cache has an hour to go, but who finds its lock file knows that it is dead."""
        needs(cache)
        victim.ask("hold", host(tmp_path), cache=cache, timeout=3600)
        victim.kill()
        with lock(cache=cache, wait=0) as held:
            assert held.acquired

    def test_locks_of_processes_killed_one_after_the_other_end_at_once(
        self, victim: Worker, cache_settings: dict[str, Any], tmp_path: Path
    ) -> None:
        """Each finds in the lock file who was killed before."""
        other = Worker(cache_settings)
        assert other.answer() == {"ready": True}
        for worker in (victim, other):
            worker.ask("hold", host(tmp_path), cache="files", timeout=3600, wait=0)
            worker.kill()
        with lock(cache="files", wait=0) as held:
            assert held.acquired

    @pytest.mark.parametrize("cache", SHARED)
    def test_the_lock_of_a_killed_process_ends_by_itself_for_other_hosts(
        self, victim: Worker, cache_settings: dict[str, Any], tmp_path: Path, cache: str
    ) -> None:
        """It stands as long as it has time to go."""
        needs(cache)
        other = Worker(cache_settings)
        assert other.answer() == {"ready": True}
        victim.ask("hold", host(tmp_path, 1), "long", cache=cache, timeout=3600)
        other.ask("hold", host(tmp_path, 1), "short", cache=cache, timeout=1)
        for worker in (victim, other):
            worker.kill()
        with pytest.raises(LockTimeout), lock("long", cache, wait=0):
            pytest.fail("it ended too early")
        with lock("short", cache, wait=120) as held:
            assert held.acquired

    def test_a_forked_child_neither_frees_nor_prolongs_its_parent_s_lock(
        self, victim: Worker, workers: list[Worker], tmp_path: Path
    ) -> None:
        """A child leaves the block without effect, locks for itself, and may outlive its parent."""
        answer = victim.ask("fork", host(tmp_path), cache="files", timeout=3600)
        try:
            assert answer["outcome"] == "acquired: True"
            with pytest.raises(LockTimeout), lock(cache="files", wait=0):
                pytest.fail("the child has freed it")
            other = workers[0].ask("hold", host(tmp_path, 1), cache="files", wait=0)
            assert "IMAGEKIT_LOCK_WAIT" in other["error"]
            victim.kill()
            with lock(cache="files", wait=0) as held:
                assert held.acquired
        finally:
            os.kill(answer["child"], signal.SIGKILL)

    @pytest.mark.parametrize("cache", ["default", *SHARED])
    def test_a_forked_child_gets_the_lock_when_its_parent_has_let_go(
        self, victim: Worker, tmp_path: Path, cache: str
    ) -> None:
        """Also where the cache was copied with the process, and still has the parent's key."""
        needs(cache)
        answer = victim.ask("inherit", host(tmp_path), cache=cache, timeout=3600)
        assert answer == {"status": 0}


class TestCacheLock:
    @pytest.mark.parametrize("cache", SHARED)
    def test_the_key_in_the_cache_is_gone_when_the_work_is_done(
        self, workers: list[Worker], tmp_path: Path, cache: str
    ) -> None:
        """Other hosts need not wait for its end."""
        needs(cache)
        with lock(cache=cache):
            pass
        assert workers[0].ask("hold", host(tmp_path, 1), cache=cache, wait=0)["acquired"]
        workers[0].let_go()

    def test_the_key_of_somebody_else_is_not_removed(
        self, workers: list[Worker], tmp_path: Path
    ) -> None:
        """After a flush another host took over: our leaving must not free its lock."""
        with lock(cache="files"):
            caches["files"].clear()
            workers[0].ask("hold", host(tmp_path, 1), cache="files")
        third = workers[1].ask("hold", host(tmp_path, 2), cache="files", wait=0)
        assert "IMAGEKIT_LOCK_WAIT" in third["error"]
        assert workers[0].let_go() == {"acquired": True}

    def test_leaving_raises_nothing_where_the_cache_goes_down(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The key ends by itself."""

        def fail(*args: Any, **kwargs: Any) -> Any:
            raise ConnectionError("gone")

        with lock(cache="files") as held:
            monkeypatch.setattr(type(caches["files"]), "get", fail)
        assert held.acquired

    @pytest.mark.parametrize("name", ["down", "silent"])
    def test_a_cache_that_is_down_is_not_asked_for_every_image(self, name: str) -> None:
        """After the first failures it is left alone for a moment; the host's lock remains."""
        kind: Any = type(caches[name])
        for _ in range(3):
            with lock(cache=name) as held:
                assert held.acquired
        before = kind.calls
        with lock(cache=name):
            pass
        assert kind.calls - before <= (0 if name == "down" else 10)


class TestLockFiles:
    def test_removing_lock_files_lets_nobody_else_in(
        self, workers: list[Worker], tmp_path: Path
    ) -> None:
        """Processes that lock without a pause, so that files vanish while others open them."""
        counter = tmp_path / "counter"
        counter.write_text("0")
        for worker in workers[:3]:
            worker.tell("count", host(tmp_path), counter=str(counter), times=300)
        assert [worker.answer() for worker in workers[:3]] == [{"counted": 300}] * 3
        assert counter.read_text() == "900"

    @pytest.mark.parametrize("cache", ["default", *SHARED])
    def test_lock_files_do_not_pile_up(self, tmp_path: Path, cache: str) -> None:
        """There is one while the block lasts, and none afterwards."""
        needs(cache)
        for key in range(20):
            with lock(f"{key}.jpg", cache):
                assert len(lock_files(tmp_path)) == 1
        assert lock_files(tmp_path) == []

    def test_what_a_killed_process_left_is_used_and_removed(
        self, victim: Worker, tmp_path: Path
    ) -> None:
        """The file of the dead is no lock."""
        victim.ask("hold", host(tmp_path), cache="default")
        victim.kill()
        assert len(lock_files(tmp_path)) == 1
        with lock(wait=0):
            pass
        assert lock_files(tmp_path) == []

    def test_no_descriptor_stays_open(self) -> None:
        """Neither after working nor after waiting in vain."""
        before = open_descriptors()
        for _ in range(5):
            with lock(), pytest.raises(LockTimeout), lock(wait=0):
                pass
        assert open_descriptors() == before

    def test_a_lock_file_that_was_cleaned_away_does_not_take_another_s_with_it(
        self, workers: list[Worker], tmp_path: Path
    ) -> None:
        """A cleaner removed ours and somebody made a new one: that is not ours to remove."""
        with lock():
            lock_files(tmp_path)[0].unlink()
            workers[0].ask("hold", host(tmp_path), cache="default")
        assert len(lock_files(tmp_path)) == 1
        with pytest.raises(LockTimeout), lock(wait=0):
            pytest.fail("two are inside")
        workers[0].let_go()

    def test_the_folder_of_lock_files_is_private(self, tmp_path: Path) -> None:
        """Nobody else may read or write there, also where the folder was open before."""
        folder = tmp_path / "host" / f"imagekit-locks-{os.geteuid()}"
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
        with lock():
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_a_link_laid_in_the_place_of_the_folder_is_not_followed(self, tmp_path: Path) -> None:
        """What somebody else has prepared is left alone, and the lock works all the same."""
        target = tmp_path / "target"
        target.mkdir()
        (tmp_path / "host" / f"imagekit-locks-{os.geteuid()}").symlink_to(target)
        with lock():
            assert list(target.iterdir()) == []
            assert len(lock_files(tmp_path)) == 1

    def test_a_link_laid_in_the_place_of_a_lock_file_is_not_followed(self, tmp_path: Path) -> None:
        """Even within the folder; the threads of the process are kept apart then."""
        with lock():
            name = lock_files(tmp_path)[0]
        target = tmp_path / "target"
        name.symlink_to(target)
        with lock() as held:
            assert held.acquired
            assert not target.exists()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
    def test_a_folder_of_another_user_is_not_used(self, tmp_path: Path) -> None:
        """He could remove our lock files."""
        folder = tmp_path / "host" / f"imagekit-locks-{os.geteuid()}"
        folder.mkdir(mode=0o777)
        os.chown(folder, 65534, 65534)
        with lock():
            assert list(folder.iterdir()) == []
            assert len(lock_files(tmp_path)) == 1

    @pytest.mark.parametrize("kind", ["missing", "file", "taken"])
    def test_threads_are_kept_apart_without_lock_files(
        self,
        tmp_path: Path,
        kind: str,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """No folder can be had: one line in the log, and one thread at a time."""
        place = tmp_path / "host" / "tmp"
        if kind == "file":
            place.write_bytes(b"")
        elif kind == "taken":
            place.mkdir()
            for suffix in ("", "-1", "-2", "-3"):
                (place / f"imagekit-locks-{os.geteuid()}{suffix}").write_bytes(b"")
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        inside: list[int] = []

        def work() -> bool:
            with lock():
                inside.append(1)
                threading.Event().wait(0.005)
                return len([inside.pop()]) == 1 and not inside

        assert in_threads(work, 4) == [True] * 4
        assert caplog.text.count("A lock file in") == 1


class TestCaches:
    def test_the_proxy_of_the_default_cache_is_looked_through(self, settings: Any) -> None:
        """`django.core.cache.cache` stands for another object."""
        settings.CACHES = {**settings.CACHES, "default": settings.CACHES["files"]}
        with generation_lock("a", cache=default_cache, timeout=30, wait=0) as held:
            assert isinstance(held, GenerationLock)
            assert held.acquired

    def test_a_cache_that_is_in_no_setting_works(self, tmp_path: Path) -> None:
        """One that somebody has made by hand."""
        from django.core.cache.backends.filebased import FileBasedCache

        own = FileBasedCache(str(tmp_path / "own"), {})
        with generation_lock("a", cache=own, timeout=30, wait=0) as held:
            assert held.acquired
