"""Clocks that can be put forward; import it before anybody takes `time.time` or `time.monotonic`.

A pause is a step of them, and so is whatever somebody waits for: nobody is kept waiting in fact.
"""

from __future__ import annotations

import time
from collections.abc import Callable

#: How far the clocks are ahead, and how much of that somebody has waited for, in seconds.
ahead = 0.0
waited = 0.0


def step(seconds: float) -> None:
    """Put the clocks forward."""
    global ahead
    ahead += seconds


def _wait(seconds: float) -> None:
    global waited
    waited += seconds
    step(seconds)


def _stepped(clock: Callable[[], float]) -> Callable[[], float]:
    return lambda: clock() + ahead


time.time = _stepped(time.time)
time.monotonic = _stepped(time.monotonic)
time.sleep = _wait  # type: ignore[assignment]
