"""How many threads of this process make images for on-demand URLs, and how many wait for their turn."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from imagekit_registry.conf import SERVING_DEFAULTS, ServingOptions, conf

_making: set[str] = set()
_condition = threading.Condition()
_waiting = 0


class TooManyMakers(Exception):
    """It is not known when it would be one's turn."""


@contextmanager
def turn(key: str) -> Iterator[None]:
    """Let as many threads into the block as ``IMAGEKIT_SERVING["CONCURRENCY"]`` says.

    Those who want what somebody is making already are let in one after the other, and do not count
    among those who wait.

    Args:
        key: What tells the image from all others.

    Raises:
        TooManyMakers: Too many wait already, or ``IMAGEKIT_LOCK_WAIT`` seconds have passed.
    """
    global _waiting  # noqa: PLW0603 -- one count for the process
    options: ServingOptions = {**SERVING_DEFAULTS, **conf.SERVING}
    most = options["CONCURRENCY"] or os.cpu_count() or 1

    def is_free() -> bool:
        return key not in _making and len(_making) < most

    with _condition:
        if not is_free():
            counts = key not in _making
            if counts and _waiting >= options["WAITING"]:
                raise TooManyMakers
            _waiting += counts
            try:
                if not _condition.wait_for(is_free, conf.LOCK_WAIT):
                    raise TooManyMakers
            finally:
                _waiting -= counts
        _making.add(key)
    try:
        yield
    finally:
        with _condition:
            _making.discard(key)
            _condition.notify_all()
