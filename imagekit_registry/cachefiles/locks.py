"""One generation at a time for one cache file, over threads, processes and hosts."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
import random
import secrets
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import attrs
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.files.storage import FileSystemStorage

from imagekit_registry._breaker import breaker_of
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidArgument, LockTimeout

__all__ = ["PROCESS_CACHES", "GenerationLock", "generation_lock", "lock_of"]

#: Caches that each process has for itself: their keys keep nobody apart, and push out others.
PROCESS_CACHES = LocMemCache | DummyCache

SHORTEST_SLEEP = 0.005  # seconds between two tries of a waiter, at first ...
LONGEST_SLEEP = 0.2  # ... and in the end
GROWTH = 1.5
BLIND_TRIES = 3


@attrs.define
class GenerationLock:
    """What `generation_lock` gives: the right to work, or the news that the work is done.

    Attributes:
        acquired: Whether the work is ours to do; False: somebody else has done it. Stays after the
            end.
    """

    acquired: bool = False


@contextlib.contextmanager
def generation_lock(
    key: str,
    *,
    cache: BaseCache,
    timeout: float,
    wait: float,
    until_done: Callable[[], bool] | None = None,
    place: str = "",
) -> Iterator[GenerationLock]:
    """Let one thread of all processes and hosts into the block at a time, for one *key*.

    A lock file keeps the processes of one user on one host apart. A key in the cache, unless that is
    each process's own (local memory, the dummy), keeps hosts apart. Both end with their owner, even
    one that is killed: the lock file at once, and with it the key for the same host, else the key by
    its timeout. If the cache fails, the lock file remains. Who works for longer than *timeout* may be
    joined by another host.

    Locks of different keys may be nested; take them in one order everywhere (sorted, say), for
    two threads that wait for each other do so for *wait* seconds.

    Args:
        key: What to lock; the same for the same work on all hosts, different for different work.
        cache: A Django cache.
        timeout: Seconds after which the lock of a dead owner on another host ends; rounded up to
            whole ones, which is what memcached and Redis take.
        wait: Seconds to wait for the lock; 0: not at all.
        until_done: Tells whether the work is done. A waiter asks it between its tries, and once
            more when it has the lock; True ends the waiting, with a lock that is not *acquired*.
        place: Where on this host the work ends up, if it does: two projects of one user that have
            the same keys then do not wait for each other.

    Yields:
        The lock. Do the work if it is ``acquired``, else use what the other has made.

    Raises:
        LockTimeout: Somebody else had the lock for all of *wait*; or this very thread has it.
        InvalidArgument: *timeout* is not positive, or *wait* is negative.

    Example:
        >>> with generation_lock(
        ...     name, cache=cache, timeout=30, wait=20, until_done=lambda: storage.exists(name)
        ... ) as lock:
        ...     if lock.acquired:
        ...         make(name)
    """
    if not timeout > 0:
        raise InvalidArgument(f"timeout must be more than 0 seconds, not {timeout!r}")
    if not wait >= 0:
        raise InvalidArgument(f"wait must be 0 seconds or more, not {wait!r}")
    token = secrets.token_hex(16)
    host = HostLock(f"{place}\n{key}" if place else key, token)
    between_hosts = _CacheLock(cache, key, timeout, token)
    try:
        lock = GenerationLock(_acquire(key, host, between_hosts, wait, until_done))
        if not lock.acquired:
            _release(host, between_hosts)
        yield lock
    finally:
        _release(host, between_hosts)


def lock_of(
    file: CacheFile, *, wait: float, until_done: Callable[[], bool] | None = None
) -> contextlib.AbstractContextManager[GenerationLock]:
    """Return the lock that whoever makes *file* holds.

    Args:
        file: The cache file.
        wait: Seconds to wait for it.
        until_done: Tells a waiter that the other one has made it.
    """
    storage = file.storage
    return generation_lock(
        file.identity.key,
        cache=file.cachefile_backend.cache,
        timeout=conf.LOCK_TIMEOUT,
        wait=wait,
        until_done=until_done,
        # The key says which file of the storage it is.
        place=str(storage.location) if isinstance(storage, FileSystemStorage) else "",
    )


def _acquire(
    key: str,
    host: HostLock,
    between_hosts: _CacheLock,
    wait: float,
    until_done: Callable[[], bool] | None,
) -> bool:
    """Return True with both locks; False: the work is done."""
    ends_at = time.monotonic() + wait
    sleep = SHORTEST_SLEEP
    while True:
        is_ours = host.try_acquire() and between_hosts.try_acquire(host.killed)
        if until_done is not None and until_done():
            return False
        if is_ours:
            return True
        if host.is_held_by_this_thread():
            raise LockTimeout(
                f"the image {key!r} is asked for while this thread is making it",
                hint="A generator must not need its own result.",
            )
        left = ends_at - time.monotonic()
        if left <= 0:
            raise LockTimeout(
                f"somebody else was still making {key!r} after {wait:g} seconds",
                hint="IMAGEKIT_LOCK_WAIT sets how long one waits.",
            )
        time.sleep(min(sleep * random.uniform(0.5, 1.5), left))  # noqa: S311
        sleep = min(sleep * GROWTH, LONGEST_SLEEP)


def _release(host: HostLock, between_hosts: _CacheLock) -> None:
    """Let go of what is held; nothing in a child that was forked meanwhile."""
    if host.is_ours:
        try:
            between_hosts.release()
        finally:
            host.release()


class _CacheLock:
    """A key in a cache that hosts share, with a token that tells whose it is.

    The interface of caches has no compare-and-delete, so that letting go takes two steps. If the
    key expires in between, that of another host is deleted, and an image may be made twice: with
    the same bytes, published by each in one step. Nobody sees a difference.
    """

    def __init__(self, cache: BaseCache, key: str, timeout: float, token: str) -> None:
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        self._cache = cache
        self._key = f"{conf.CACHE_PREFIX}lock:{digest}"
        self._seconds = max(1, math.ceil(timeout))
        self._token = token
        self._is_held = False
        self._breaker = breaker_of(
            f"Cache {type(cache).__qualname__}, which holds the locks of image generation,",
            meanwhile="each host makes its images for itself",
        )

    def try_acquire(self, killed: list[str]) -> bool:
        """Take the key if nobody has it, or one of *killed*; True if the cache does not work."""
        if self._is_held or isinstance(self._cache, PROCESS_CACHES):
            return True
        return self._breaker.call(partial(self._try_acquire, killed), True)

    def _try_acquire(self, killed: list[str]) -> bool:
        for _ in range(BLIND_TRIES):
            if self._cache.add(self._key, self._token, self._seconds):
                self._is_held = True
                return True
            owner = self._cache.get(self._key)
            if owner in killed:
                self._cache.set(self._key, self._token, self._seconds)
                self._is_held = True
                return True
            if owner is not None:
                return False
            # Let go between the two calls; or the cache hides that it is down: some do.
        return True

    def release(self) -> None:
        """Delete the key if it is ours; if the cache fails it ends by itself."""
        if self._is_held:
            self._is_held = False
            self._breaker.call(self._release, None)

    def _release(self) -> None:
        # A replica that lags behind knows no owner yet.
        if self._cache.get(self._key) in {None, self._token}:
            self._cache.delete(self._key)


# Between the processes of one user on one host.

#: The locks that threads of this process have, or are about to take, by the names of their files.
_claims: dict[str, HostLock] = {}


class HostLock:
    """Keeps the threads and processes of one user on one host apart, by a lock file per key.

    The system lets go of the lock when its owner dies, however that comes. The file is removed by
    its owner before the lock ends; who has opened it meanwhile finds that it has lost its name.

    Where no lock file can be had (a full or read-only disk), only the threads of this process are
    kept apart: making an image twice does less harm than making none.

    Args:
        key: What to lock, of any length and characters.
        note: A word that is left in the lock file if the owner is killed.

    Attributes:
        killed: The notes of those who had the lock before and were killed.
    """

    def __init__(self, key: str, note: str = "") -> None:
        encoded = key.encode("utf-8", "surrogatepass")
        self._name = hashlib.blake2b(encoded, digest_size=16).hexdigest()
        self._note = note
        self._thread = threading.get_ident()
        self._path = Path()
        self._descriptor: int | None = None
        self.killed: list[str] = []

    @property
    def is_ours(self) -> bool:
        """Whether it is held, or about to be taken; in a fork it is the parent's."""
        return _claims.get(self._name) is self

    def is_held_by_this_thread(self) -> bool:
        """Tell whether waiting would be waiting for oneself."""
        owner = _claims.get(self._name, self)
        return owner is not self and owner._thread == self._thread

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it, and tell whether it is ours; never waits."""
        if _claims.setdefault(self._name, self) is self and self._descriptor is None:
            try:
                if not self._take_file():
                    del _claims[self._name]
            except OSError as error:
                breaker_of(
                    f"A lock file in {tempfile.gettempdir()}",
                    meanwhile="the processes of this host may make an image twice",
                ).log(error)
        return self.is_ours

    def release(self) -> None:
        """Let go of the lock if it is ours."""
        if self.is_ours:
            if self._descriptor is not None:
                _let_go(self._descriptor, self._path)
                self._descriptor = None
            del _claims[self._name]

    def _take_file(self) -> bool:
        """Open and lock the file; False: somebody else has it, or has removed it meanwhile."""
        self._path = _folder() / self._name
        with contextlib.ExitStack() as stack, contextlib.suppress(TAKEN):
            descriptor = os.open(self._path, FLAGS, 0o600)
            stack.callback(os.close, descriptor)
            _lock(descriptor)
            if _has_name(descriptor, self._path):
                self.killed = os.read(descriptor, 65536).decode("ascii", "replace").split()
                with contextlib.suppress(OSError):  # a full disk: the lock holds without the note
                    os.write(descriptor, f"{self._note}\n".encode())
                self._descriptor = descriptor
                stack.pop_all()
                return True
        return False


def _folder() -> Path:
    """Return the folder of this user's lock files, made if need be; nobody else can write it.

    Anybody may have put a folder, or a link, of this name into the shared folder for temporary
    files before us. What is not a folder of our own is left alone, and the next name is tried.
    """
    if sys.platform == "win32":
        user = 0  # of all files; but each user has a folder for temporary files
    else:
        user = os.geteuid()
    for suffix in ("", "-1", "-2", "-3"):
        folder = Path(tempfile.gettempdir()) / f"imagekit-locks-{user}{suffix}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == user:
            if status.st_mode & 0o077:
                folder.chmod(0o700)
            return folder
    raise PermissionError(errno.EACCES, "other users have taken all names of the folder", folder)


def _has_name(descriptor: int, path: Path) -> bool:
    """Tell whether the open file is the one that has the name now."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    FLAGS = os.O_RDWR | os.O_CREAT
    TAKEN = PermissionError  # also of a file that its owner is removing

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _let_go(descriptor: int, path: Path) -> None:
        os.close(descriptor)
        with contextlib.suppress(OSError):  # somebody has it open
            path.unlink()

else:
    import fcntl

    FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    TAKEN = BlockingIOError

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _let_go(descriptor: int, path: Path) -> None:
        with contextlib.suppress(OSError):
            if _has_name(descriptor, path):
                path.unlink()
        # Explicitly: a copy in a forked child would keep the lock beyond the closing.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)

    def _forget_claims() -> None:
        for lock in _claims.values():
            if lock._descriptor is not None:
                os.close(lock._descriptor)  # an open copy would keep the lock of a killed parent
        _claims.clear()

    os.register_at_fork(after_in_child=_forget_claims)
