"""Keeps a state store that fails from failing every page."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from django.core.exceptions import SynchronousOnlyOperation
from django.db.transaction import TransactionManagementError

__all__ = ["Breaker", "breaker_of", "forget_breakers"]

logger = logging.getLogger("imagekit_registry.state")

T = TypeVar("T")

#: Shortest and longest time, in seconds, for which a store that failed is left alone.
PAUSE = 2.0
LONGEST_PAUSE = 30.0
#: A failure that took long (a timeout) is followed by a pause this many times as long, so that
#: requests spend little of their time waiting for a store that is gone.
PAUSE_FACTOR = 4
#: Seconds between two lines in the log.
LOG_INTERVAL = 60.0


class Breaker:
    """Calls a store, and stops calling it for a moment when it has raised.

    Args:
        name: What the log calls the store.
        meanwhile: What happens while it is left alone, for the log.
        pause: Shortest time for which it is left alone, in seconds.
        clock: A clock that never goes back, in seconds.
    """

    def __init__(
        self,
        name: str,
        *,
        meanwhile: str = "images are looked up in their storage",
        pause: float = PAUSE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._meanwhile = meanwhile
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._rests_until: float | None = None
        self._logged_at: float | None = None
        self._unlogged = 0
        #: What was raised last.
        self.error: Exception | None = None

    def call(self, operation: Callable[[], T], default: T) -> T:
        """Return what *operation* returns; *default* if it raises or the store is left alone."""
        started = self._clock()
        if self._rests_until is not None and not self._may_try(started):
            return default
        try:
            result = operation()
        except (SynchronousOnlyOperation, TransactionManagementError) as error:
            # Called from an event loop, or in a transaction that was broken before: the store is
            # well, and others may use it.
            self.error = error
            self._log(error)
            return default
        except Exception as error:  # noqa: BLE001 - whatever a store raises, the page goes on
            ended = self._clock()
            pause = min(max(self._pause, PAUSE_FACTOR * (ended - started)), LONGEST_PAUSE)
            self._rests_until = ended + pause
            self.error = error
            self._log(error)
            return default
        self._rests_until = None
        return result

    def _may_try(self, now: float) -> bool:
        """Let one caller through when the pause is over, and keep the others waiting for it."""
        with self._lock:
            if self._rests_until is None:
                return True
            if now < self._rests_until:
                return False
            self._rests_until = now + PAUSE
            return True

    def _log(self, error: Exception) -> None:
        now = self._clock()
        with self._lock:
            if self._logged_at is not None and now - self._logged_at < LOG_INTERVAL:
                self._unlogged += 1
                return
            unlogged, self._unlogged, self._logged_at = self._unlogged, 0, now
        logger.warning(
            "%s failed: %s: %s. Until it answers, %s (%s more errors since this was last logged)",
            self._name,
            type(error).__name__,
            error,
            self._meanwhile,
            unlogged,
        )


_known: dict[str, Breaker] = {}


def breaker_of(name: str, *, meanwhile: str, pause: float = PAUSE) -> Breaker:
    """Return the breaker of what is called *name*, one for the process.

    Args:
        name: What the log calls it.
        meanwhile: What happens while it is left alone, for the log.
        pause: Shortest time for which it is left alone, in seconds.
    """
    known = _known.get(name)
    if known is None:
        known = _known.setdefault(name, Breaker(name, meanwhile=meanwhile, pause=pause))
    return known


def forget_breakers() -> None:
    """Forget what has failed: in a process that was forked, whose parent may have held a lock."""
    _known.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_breakers)
