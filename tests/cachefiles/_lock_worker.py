"""A process that takes locks as it is told, for tests of locks between processes."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache

from imagekit_registry.cachefiles.locks import GenerationLock, HostLock, generation_lock
from imagekit_registry.exceptions import LockTimeout

_ = settings.DEBUG  # reads the settings, once for all processes that are forked after this import


class DownCache(BaseCache):
    """A cache whose server is gone: each call raises."""

    calls = 0

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def _fail(self, *args: Any, **kwargs: Any) -> NoReturn:
        type(self).calls += 1
        raise ConnectionError("connection refused")

    add = get = set = touch = delete = clear = _fail


class SilentCache(DownCache):
    """A cache whose server is gone, but which hides it: nothing is kept, nothing raised."""

    def _fail(self, *args: Any, **kwargs: Any) -> Any:
        type(self).calls += 1

    add = get = set = touch = delete = clear = _fail


def lock(
    command: dict[str, Any], **kwargs: Any
) -> contextlib.AbstractContextManager[GenerationLock]:
    """Take the lock in the role of the host whose folder for temporary files is given."""
    tempfile.tempdir = command["tmp"]
    return generation_lock(
        command["key"],
        cache=caches[command["cache"]],
        timeout=command.get("timeout", 30),
        wait=command.get("wait", 30),
        **kwargs,
    )


def generate(command: dict[str, Any], parent: Connection) -> dict[str, Any]:
    """Make a file unless somebody else does, noting whether anybody else was at it."""
    result = Path(command["result"])
    marker = result.with_suffix(".marker")
    overlap = False
    with lock(command, until_done=result.exists) as held:
        if held.acquired:
            try:
                marker.touch(exist_ok=False)
            except FileExistsError:
                overlap = True
            time.sleep(0.02)
            marker.unlink(missing_ok=True)
            # In one step: those who wait take the existing file for the finished one.
            written = result.with_suffix(f".{os.getpid()}")
            written.write_text("image")
            written.replace(result)
    return {"acquired": held.acquired, "overlap": overlap, "image": result.read_text()}


def hold(command: dict[str, Any], parent: Connection) -> dict[str, Any]:
    """Hold the lock until the next message."""
    with lock(command) as held:
        parent.send({"acquired": held.acquired})
        parent.recv()
        return {"acquired": held.acquired}


def fork(command: dict[str, Any], parent: Connection) -> dict[str, Any]:
    """Hold the lock until the next message, with a child forked in the middle of it.

    The child leaves the block as anybody would; then it takes a lock of its own, and lives on.
    """
    reader, writer = os.pipe()
    with lock(command) as held:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            child = os.fork()  # with a thread running, which is the point
        if child != 0:
            outcome = os.read(reader, 100).decode()
            parent.send({"child": child, "outcome": outcome})
            parent.recv()
            return {"acquired": held.acquired}
    try:
        with lock({**command, "key": "the child's", "wait": 5}) as own:
            outcome = f"acquired: {own.acquired}"
    except BaseException as error:
        outcome = repr(error)
    os.write(writer, outcome.encode())
    time.sleep(60)
    os._exit(0)


def inherit(command: dict[str, Any], parent: Connection) -> dict[str, Any]:
    """Let go of the lock after a child was forked, which then takes it."""
    reader, writer = os.pipe()
    with lock(command), warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        child = os.fork()
    if child != 0:
        os.write(writer, b"go")
        return {"status": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}
    os.read(reader, 2)
    try:
        with lock({**command, "wait": 5}) as own:
            status = 0 if own.acquired else 1
    except LockTimeout:
        status = 2
    os._exit(status)


def count(command: dict[str, Any], parent: Connection) -> dict[str, Any]:
    """Add to a number in a file, many times, never resting while somebody else has the lock."""
    tempfile.tempdir = command["tmp"]
    counter = Path(command["counter"])
    for _ in range(command["times"]):
        host = HostLock(command["key"])
        while not host.try_acquire():
            pass
        counter.write_text(str(int(counter.read_text()) + 1))
        host.release()
    return {"counted": command["times"]}


OPERATIONS = {
    "generate": generate,
    "hold": hold,
    "fork": fork,
    "inherit": inherit,
    "count": count,
}


def serve(parent: Connection, cache_settings: dict[str, Any]) -> None:
    """Carry out one command after the other."""
    settings.CACHES = cache_settings
    parent.send({"ready": True})
    while True:
        command = parent.recv()
        try:
            parent.send(OPERATIONS[command["op"]](command, parent))
        except LockTimeout as error:
            parent.send({"error": str(error)})
