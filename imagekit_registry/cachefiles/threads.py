"""Making images in threads: beside an event loop, which must not wait for them, or beside a page."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from weakref import WeakSet

from django.core.files.storage import FileSystemStorage, InMemoryStorage
from django.db import connections

from imagekit_registry.exceptions import ImageKitError

__all__ = [
    "Pool",
    "is_far",
    "is_in_event_loop",
    "run_in_background",
    "run_quietly",
    "wait_for_background",
    "would_keep_waiting",
]

#: Images that one process makes at the same time beside its event loop.
_THREADS = 2

_logger = logging.getLogger("imagekit_registry.cachefiles")


def is_in_event_loop() -> bool:
    """Return whether an event loop runs in this thread, and would stand still."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def is_far(storage: object) -> bool:
    """Return whether each question to *storage* is a request to another machine."""
    return storage is not None and not isinstance(storage, FileSystemStorage | InMemoryStorage)


def would_keep_waiting(storage: object) -> bool:
    """Return whether an event loop would stand still while *storage* is asked: it is far away."""
    return is_far(storage) and is_in_event_loop()


class Pool:
    """Threads of this process, and what waits for one of them; all of it is done before the end.

    Args:
        workers: Number of threads, which are started when they are first needed.
        waiting: How much may wait for them.
    """

    def __init__(self, workers: int, waiting: float = math.inf) -> None:
        self._workers = workers
        self._most = workers + waiting
        self.forget()
        _pools.add(self)

    def forget(self) -> None:
        """Begin anew: in a fork the threads are gone, and what they had begun is the parent's."""
        self._lock = Lock()
        self._running: set[str] = set()
        self._executor: ThreadPoolExecutor | None = None

    def is_full(self) -> bool:
        """Return whether nothing more can wait."""
        return len(self._running) >= self._most

    def run(self, key: str, make: Callable[[], object]) -> bool:
        """Call *make* in a thread; not if that is being done for the same *key* already.

        Returns:
            False if nothing more can wait.
        """
        with self._lock:
            if key in self._running:
                return True
            if self.is_full():
                return False
            if self._executor is None:
                # Python calls all that waits before it ends.
                self._executor = ThreadPoolExecutor(self._workers, thread_name_prefix="imagekit")
            self._executor.submit(self._run, key, make)
            self._running.add(key)
        return True

    def _run(self, key: str, make: Callable[[], object]) -> None:
        try:
            run_quietly(make)
        finally:
            with self._lock:
                self._running.discard(key)
            connections.close_all()

    def wait(self) -> None:
        """Wait until everything that was handed over is done."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True)


_pools: WeakSet[Pool] = WeakSet()
_background = Pool(_THREADS)
#: Calls what makes an image in a thread beside the event loop; see `Pool.run`.
run_in_background = _background.run


def run_quietly(make: Callable[[], object]) -> None:
    """Call *make*; the log alone is told of what it raises: nobody waits for it."""
    try:
        make()
    except ImageKitError as error:
        # It is remembered by the state record; whoever looks next is told.
        _logger.debug("%s", error)
    except Exception:
        _logger.exception("an image could not be made in the background")


def wait_for_background() -> None:
    """Wait until everything that was handed to threads is done; for tests and for shutting down."""
    for pool in list(_pools):
        pool.wait()


def _after_fork() -> None:
    for pool in list(_pools):
        pool.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
