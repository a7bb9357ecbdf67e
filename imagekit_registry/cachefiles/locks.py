"""One generation at a time for one cache file, over threads, processes and hosts."""

from __future__ import annotations

import contextlib
import hashlib
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.core.cache import caches
from django.core.cache.backends.base import InvalidCacheBackendError
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache

from imagekit_registry.cachefiles._hostlock import HostLock
from imagekit_registry.cachefiles._leases import CacheLease
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidArgument, LockTimeout

__all__ = ["Lease", "generation_lock", "is_shared"]

SHORTEST_SLEEP = 0.005  # seconds between two tries of a waiter, at first ...
LONGEST_SLEEP = 0.2  # ... and in the end
GROWTH = 1.5


class Lease:
    """What `generation_lock` gives: the right to work, or the news that the work is done.

    Args:
        host: The lock between the processes of this host.
        shared: The lock between hosts; None: the cache is not shared.
    """

    def __init__(self, host: HostLock, shared: CacheLease | None) -> None:
        self._host = host
        self._shared = shared
        self._has_host = False
        self._acquired = False

    @property
    def acquired(self) -> bool:
        """Whether the work is ours to do; False: somebody else has done it. Stays after the end."""
        return self._acquired

    def is_held(self) -> bool:
        """Tell whether nobody else can have begun the same work since the lock was taken.

        Asks the cache, if it is shared; False once the cache has lost the lease. While the cache
        does not answer, the lease counts as held until it would have ended.

        Example:
            >>> with generation_lock("a.jpg", cache=cache, timeout=30, wait=20) as lease:
            ...     lease.is_held()
            True
        """
        if not (self._acquired and self._has_host):
            return False
        return self._shared is None or self._shared.is_held()

    def _try(self) -> bool:
        """Take first the lock of the host, then the lease; keep the former while trying again."""
        if not self._has_host:
            self._has_host = self._host.try_acquire()
        if self._has_host and not self._acquired:
            self._acquired = self._try_shared()
        return self._acquired

    def _try_shared(self) -> bool:
        if self._shared is None:
            return True
        outcome = self._shared.try_acquire(self._host.domain)
        if outcome is None:  # a cache that is down costs time at most: the lock of the host holds
            self._shared = None
            return True
        return outcome

    def _release(self) -> None:
        """Let go of whatever is held; the lease first, since its owner is known by the host lock."""
        try:
            if self._shared is not None:
                self._shared.release()
        finally:
            if self._has_host:
                self._has_host = False
                self._host.release()


@contextlib.contextmanager
def generation_lock(
    key: str,
    *,
    cache: Any,
    timeout: float,
    wait: float,
    until_done: Callable[[], bool] | None = None,
    place: str = "",
) -> Iterator[Lease]:
    """Let one thread of all processes and hosts into the block at a time, for one *key*.

    A lock file keeps the processes of one user on one host apart. A lease in the cache, where
    that is shared, keeps hosts apart; a thread renews it as long as the block lasts. Both end with
    their owner, even one that is killed: the lock file at once, and with it the lease for the
    same host, else the lease by its timeout. If the cache fails, the lock file remains.

    Locks of different keys may be nested; take them in one order everywhere (sorted, say), for
    two threads that wait for each other do so for *wait* seconds.

    Args:
        key: What to lock; the same for the same work on all hosts, different for different work.
        cache: A Django cache; see `is_shared`.
        timeout: Seconds after which the lease of a dead owner ends.
        wait: Seconds to wait for the lock; 0: not at all.
        until_done: Tells whether the work is done. A waiter asks it between its tries, and once
            more when it has the lock; True ends the waiting, with a lease that is not *acquired*.
        place: Where on this host the work ends up, if it does: two projects of one user that have
            the same keys then do not wait for each other.

    Yields:
        The lease. Do the work if it is ``acquired``, else use what the other has made.

    Raises:
        LockTimeout: Somebody else had the lock for all of *wait*; or this very thread has it.
        InvalidArgument: *timeout* is not positive, or *wait* is negative.

    Example:
        >>> with generation_lock(
        ...     name, cache=cache, timeout=30, wait=20, until_done=lambda: storage.exists(name)
        ... ) as lease:
        ...     if lease.acquired:
        ...         make(name)
    """
    if not timeout > 0:
        raise InvalidArgument(f"timeout must be more than 0 seconds, not {timeout!r}")
    if not wait >= 0:
        raise InvalidArgument(f"wait must be 0 seconds or more, not {wait!r}")
    lease = Lease(HostLock(f"{place}\n{key}" if place else key), _shared_lease(key, cache, timeout))
    try:
        _wait_for(lease, key, wait, until_done)
        yield lease
    finally:
        lease._release()


def _wait_for(lease: Lease, key: str, wait: float, until_done: Callable[[], bool] | None) -> None:
    """Return when the lease is acquired, or released because the work is done."""
    ends_at = time.monotonic() + wait
    sleep = SHORTEST_SLEEP
    while True:
        lease._try()
        if until_done is not None and until_done():
            lease._release()
            lease._acquired = False
            return
        if lease.acquired:
            return
        if lease._host.is_held_by_this_thread() and not lease._has_host:
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


def _shared_lease(key: str, cache: Any, timeout: float) -> CacheLease | None:
    alias, real = _resolve(cache)
    if not _is_shared(real):
        return None
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return CacheLease(real, alias, f"{conf.CACHE_PREFIX}lease:{digest}", timeout)


def is_shared(cache: Any) -> bool:
    """Tell whether other processes see what one puts into *cache*.

    Args:
        cache: A Django cache, or ``django.core.cache.cache``.

    Returns:
        False for local memory and the dummy; True for all others.

    Example:
        >>> is_shared(LocMemCache("example", {}))
        False
    """
    return _is_shared(_resolve(cache)[1])


def _is_shared(cache: Any) -> bool:
    return not isinstance(cache, LocMemCache | DummyCache)


def _resolve(cache: Any) -> tuple[str | None, Any]:
    """Return the alias of a cache, or None, and the cache that stands behind a proxy."""
    for alias in caches:
        try:
            real = caches[alias]
        except (ImportError, InvalidCacheBackendError):  # another one, that cannot be used
            continue
        if cache == real:
            return alias, real
    return None, cache
