"""What test suites of projects need: fake images, images to upload, and counts of what is asked."""

from __future__ import annotations

from imagekit_registry._breaker import breaker_of
from imagekit_registry.cachefiles.threads import wait_for_background
from imagekit_registry.state import current_scope, forget_local_states
from imagekit_registry.testing._counts import assert_state_trips, assert_storage_calls
from imagekit_registry.testing._fakes import fake_images, generated
from imagekit_registry.testing._uploads import make_image

__all__ = [
    "assert_state_trips",
    "assert_storage_calls",
    "fake_images",
    "forget_state",
    "generated",
    "make_image",
    "wait_for_images",
]


def forget_state() -> None:
    """Forget what this process, and this request or block, remembers of the state of images.

    For tests that change files, caches or tables behind the back of the library: what is asked for
    next is asked of the state store. A storage or a queue that failed is asked again at
    once.

    Example:
        >>> caches["default"].clear()
        >>> forget_state()
    """
    forget_local_states()
    breaker_of.cache_clear()
    scope = current_scope()
    if scope is not None:
        scope.tables.clear()


def wait_for_images() -> None:
    """Wait until threads of this process have made what was handed to them.

    Async views hand them the images that are not there yet.

    Example:
        >>> wait_for_images()
    """
    wait_for_background()
