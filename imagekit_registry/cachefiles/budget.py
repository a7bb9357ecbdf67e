"""What one request may spend on making images: ``IMAGEKIT_REQUEST_BUDGET``."""

from __future__ import annotations

import math

from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.cachefiles.strategies import reacts_to
from imagekit_registry.cachefiles.threads import is_in_event_loop
from imagekit_registry.conf import conf
from imagekit_registry.state import current_scope

__all__ = ["images_left", "is_spent", "spend"]


def images_left() -> float:
    """Return how many more images this request may make; infinity outside of requests."""
    budget, scope = conf.REQUEST_BUDGET, current_scope()
    if not budget or scope is None or not scope.of_request:
        return math.inf
    images, seconds = budget.get("images"), budget.get("seconds")
    if seconds is not None and scope.seconds >= seconds:
        return 0
    return math.inf if images is None else max(0, images - scope.images)


def is_spent(file: CacheFile) -> bool:
    """Return whether *file*, which this request would make, is left to later ones."""
    if not conf.REQUEST_BUDGET or file.cachefile_backend.is_async or is_in_event_loop():
        return False
    return images_left() < 1 and reacts_to(file.cachefile_strategy, "on_existence_required")


def spend(images: int, seconds: float) -> None:
    """Take from the budget of this request what the making of *images* has taken."""
    scope = current_scope()
    if scope is not None:
        scope.images += images
        scope.seconds += seconds
