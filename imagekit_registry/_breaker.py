"""Keeps a server that fails from failing every page."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import attrs
from django.core.exceptions import SynchronousOnlyOperation
from django.db.transaction import TransactionManagementError

logger = logging.getLogger("imagekit_registry.state")

T = TypeVar("T")

#: Usual shortest, and longest time, in seconds, for which what has failed is left alone.
PAUSE = 2.0
LONGEST_PAUSE = 30.0
#: A failure that took long (a timeout) is followed by a pause this many times as long, so that
#: requests spend little of their time waiting for a server that is gone.
PAUSE_FACTOR = 4
#: Seconds between two lines in the log.
LOG_INTERVAL = 60.0


@attrs.define(eq=False)
class Breaker:
    """Calls a store, a cache or a queue, and stops calling it for a moment when it has raised.

    Args:
        name: What the log calls it.
        meanwhile: What happens while it is left alone, for the log.
        pause: Shortest time for which it is left alone, in seconds.
        clock: A clock that never goes back, in seconds.
    """

    _name: str
    _meanwhile: str = attrs.field(kw_only=True)
    _pause: float = attrs.field(default=PAUSE, kw_only=True)
    _clock: Callable[[], float] = attrs.field(default=time.monotonic, kw_only=True)
    #: What was raised last.
    error: Exception | None = attrs.field(default=None, init=False)
    _rests_until: float | None = attrs.field(default=None, init=False)
    _logs_from: float = attrs.field(default=0.0, init=False)
    _unlogged: int = attrs.field(default=0, init=False)

    def call(self, operation: Callable[[], T], default: T) -> T:
        """Return what *operation* returns; *default* if it raises or is left alone."""
        started = self._clock()
        rests_until = self._rests_until
        if rests_until is not None:
            if started < rests_until:
                return default
            # One caller tries; the others do not wait for it.
            self._rests_until = started + self._pause
        try:
            result = operation()
        except Exception as error:  # noqa: BLE001 - whatever a store raises, the page goes on
            self.error = error
            # Called from an event loop, or in a transaction that was broken before, a store is well,
            # and others may use it.
            if not isinstance(error, SynchronousOnlyOperation | TransactionManagementError):
                ended = self._clock()
                pause = min(max(self._pause, PAUSE_FACTOR * (ended - started)), LONGEST_PAUSE)
                self._rests_until = ended + pause
            self.log(error)
            return default
        self._rests_until = None
        return result

    def log(self, error: Exception) -> None:
        """Log what was raised, unless the last line of this kind is younger than a minute."""
        now = self._clock()
        if now < self._logs_from:
            self._unlogged += 1
            return
        unlogged, self._unlogged, self._logs_from = self._unlogged, 0, now + LOG_INTERVAL
        logger.warning(
            "%s failed: %s: %s. Until it answers, %s (%s more errors since this was last logged)",
            self._name,
            type(error).__name__,
            error,
            self._meanwhile,
            unlogged,
        )


#: Gives the breaker of what has a name, one for the process; with the arguments of `Breaker`.
breaker_of = cache(Breaker)
