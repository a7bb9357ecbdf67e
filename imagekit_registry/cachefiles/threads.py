"""Making images beside an event loop, which must not wait for them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from django.core.files.storage import FileSystemStorage, InMemoryStorage
from django.db import connections

from imagekit_registry.exceptions import ImageKitError

__all__ = [
    "is_in_event_loop",
    "run_in_background",
    "wait_for_background",
    "would_keep_waiting",
]

#: Images that one process makes at the same time beside its event loop.
_THREADS = 2

_logger = logging.getLogger("imagekit_registry.cachefiles")
_lock = Lock()
_running: set[str] = set()
_executor: ThreadPoolExecutor | None = None


def is_in_event_loop() -> bool:
    """Return whether an event loop runs in this thread, and would stand still."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def would_keep_waiting(storage: Any) -> bool:
    """Return whether an event loop would stand still while *storage* is asked: it is far away."""
    is_near = storage is None or isinstance(storage, FileSystemStorage | InMemoryStorage)
    return not is_near and is_in_event_loop()


def run_in_background(key: str, make: Callable[[], None]) -> None:
    """Call *make* in a thread; not if that is being done for the same *key* already."""
    global _executor  # noqa: PLW0603 -- threads are started when they are first needed
    with _lock:
        if key in _running:
            return
        _running.add(key)
        if _executor is None:
            _executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="imagekit")
        _executor.submit(_run, key, make)


def _run(key: str, make: Callable[[], None]) -> None:
    try:
        make()
    except ImageKitError as error:
        # It is remembered by the state record; whoever looks next is told.
        _logger.debug("%s", error)
    except Exception:
        _logger.exception("an image could not be made in the background")
    finally:
        with _lock:
            _running.discard(key)
        connections.close_all()


def wait_for_background() -> None:
    """Wait until everything that was handed over is done; for tests and for shutting down."""
    global _executor
    with _lock:
        executor, _executor = _executor, None
    if executor is not None:
        executor.shutdown(wait=True)


def _after_fork() -> None:
    """Begin anew: in a fork the threads are gone, and what they had begun is the parent's."""
    global _executor, _lock
    _executor, _lock = None, Lock()
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
