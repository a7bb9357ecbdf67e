"""A lock between hosts: a lease in a cache that they share."""

from __future__ import annotations

import logging
import math
import os
import secrets
import threading
import time
from typing import Any

from django.core.cache import caches
from django.db import connections

from imagekit_registry._breaker import breaker_of

__all__ = ["CacheLease"]

logger = logging.getLogger("imagekit_registry.locks")

IDLE_SECONDS = 10.0  # for which the renewing thread waits for new work before it ends
BLIND_TRIES = 5


class CacheLease:
    """The right to work on one key, kept in a cache under a token of one's own.

    The cache's interface has no compare-and-delete, so that ending a lease takes two steps: look,
    then delete. In between the lease would have to expire and another owner to take it, although
    it is renewed when two thirds of its time are left; a process that is stopped for so long, at
    just that moment, deletes the other's lease. Then one image may be made twice, with the same
    bytes, and the publishing of each is atomic: nobody sees a difference.

    Args:
        cache: A Django cache that all hosts share.
        alias: Its name in CACHES, for the renewing thread, which needs a connection of its own;
            None: it has none, and is used as it is.
        key: Key in the cache.
        timeout: Seconds after which the lease of a dead owner ends; rounded up to whole ones,
            which is what memcached and Redis take.
    """

    def __init__(self, cache: Any, alias: str | None, key: str, timeout: float) -> None:
        self.cache = cache
        self.alias = alias
        self.key = key
        self.seconds = max(1, math.ceil(timeout))
        self.breaker = breaker_of(
            f"Cache {alias or type(cache).__qualname__!r}, which holds the leases of image generation,",
            meanwhile="each host makes its images for itself",
        )
        self.token = ""
        self.is_released = False
        self.is_interrupted = False
        self._expires_at = 0.0
        self._blind_tries = 0
        self._process = 0

    def try_acquire(self, domain: str) -> bool | None:
        """Take the lease if nobody has it; never waits.

        Args:
            domain: What those share who exclude each other by the lock that the caller holds for
                this key; empty: unknown. An owner from the same domain must be dead, so that its
                lease is taken over at once.

        Returns:
            Whether the lease is ours; None: the cache failed, or does not keep what it is given.
        """
        token = f"{domain}:{secrets.token_hex(16)}"
        outcome = self.breaker.call(lambda: self._try_acquire(token, domain), None)
        if outcome:
            self.token = token
            self._process = os.getpid()
            _renewer.watch(self)
        return outcome

    def _try_acquire(self, token: str, domain: str) -> bool | None:
        began = time.monotonic()
        acquired = bool(self.cache.add(self.key, token, self.seconds))
        if not acquired:
            holder = self.cache.get(self.key)
            if holder is None:
                # Freed between the two calls; or the cache hides that it is down: some do.
                self._blind_tries += 1
                return None if self._blind_tries >= BLIND_TRIES else False
            self._blind_tries = 0
            if not domain or not str(holder).startswith(f"{domain}:"):
                return False
            self.cache.set(self.key, token, self.seconds)
        self._expires_at = began + self.seconds
        return True

    def is_held(self) -> bool:
        """Ask the cache whether the lease is ours, and has been ever since it was taken."""
        if self.is_released or self.is_interrupted or self._process != os.getpid():
            return False
        unknown = object()
        holder = self.breaker.call(lambda: self.cache.get(self.key), unknown)
        if holder is unknown:
            return time.monotonic() < self._expires_at
        if holder != self.token:
            self.is_interrupted = True
        return not self.is_interrupted

    def renew(self) -> None:
        """Extend the lease; called by the renewing thread. A lost one is taken again if free."""
        cache = self.cache if self.alias is None else caches[self.alias]
        began = time.monotonic()
        holder = cache.get(self.key)
        if holder == self.token and cache.touch(self.key, self.seconds):
            self._expires_at = began + self.seconds
            return
        self.is_interrupted = True
        if holder is None and cache.add(self.key, self.token, self.seconds):
            self._expires_at = began + self.seconds
            if self.is_released:  # while we were at it
                cache.delete(self.key)

    def release(self) -> None:
        """End the lease if it is ours; if the cache fails it ends by itself."""
        if not self.token or self.is_released or self._process != os.getpid():
            return
        self.is_released = True
        _renewer.forget(self)
        self.breaker.call(self._release, None)

    def _release(self) -> None:
        # No answer may come from a replica that lags behind: delete what must still be ours.
        may_be_ours = time.monotonic() < self._expires_at and not self.is_interrupted
        holder = self.cache.get(self.key)
        if holder == self.token or (holder is None and may_be_ours):
            self.cache.delete(self.key)


class _Renewer:
    """Extends the leases of this process from one thread, which ends when there are none."""

    def __init__(self) -> None:
        self.forget_all()

    def forget_all(self) -> None:
        """Begin anew: in a fork, the thread is gone and the leases belong to the parent."""
        self.changed = threading.Condition()
        self.due: dict[CacheLease, float] = {}
        self.thread: threading.Thread | None = None
        self.wakes_at = 0.0

    def watch(self, lease: CacheLease) -> None:
        """Renew the lease from now on, each time a third of its life has passed."""
        due = time.monotonic() + lease.seconds / 3
        with self.changed:
            self.due[lease] = due
            if self.thread is None:
                thread = threading.Thread(target=self._run, name="imagekit-leases", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:  # no more threads, or the interpreter is ending
                    logger.warning("Leases are not renewed: %s", error)
                else:
                    self.thread = thread
            elif due < self.wakes_at:  # else it wakes in time, which saves switching threads
                self.changed.notify()

    def forget(self, lease: CacheLease) -> None:
        """Renew the lease no more."""
        with self.changed:
            self.due.pop(lease, None)

    def _run(self) -> None:
        while True:
            lease = self._next()
            if lease is None:
                return
            try:
                lease.breaker.call(lease.renew, None)
                # Nobody else closes what this thread opens, and the next renewal is far away.
                caches.close_all()
                connections.close_all()
            except Exception:
                logger.exception("A connection of the thread that renews leases does not close")

    def _next(self) -> CacheLease | None:
        """Wait for the next lease that is due; None: there was nothing to do for a while."""
        with self.changed:
            while True:
                now = time.monotonic()
                if not self.due:
                    self.wakes_at = now + IDLE_SECONDS
                    self.changed.wait(IDLE_SECONDS)
                    if not self.due:
                        self.thread = None
                        return None
                    continue
                lease = min(self.due, key=self.due.__getitem__)
                self.wakes_at = self.due[lease]
                if self.wakes_at <= now:
                    self.due[lease] = now + lease.seconds / 3
                    return lease
                self.changed.wait(self.wakes_at - now)


_renewer = _Renewer()


def _after_fork() -> None:
    _renewer.forget_all()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
