"""What a page does about an image that is not there yet, and that it does not make."""

from __future__ import annotations

import re
import time

from imagekit_registry._loading import get_by_qname
from imagekit_registry.cachefiles.dimensions import size_to_come
from imagekit_registry.cachefiles.existence import fetch, is_known_to_exist, judge
from imagekit_registry.cachefiles.fallbacks import Fallback
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.cachefiles.strategies import reacts_to
from imagekit_registry.cachefiles.threads import is_in_event_loop
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidArgument, InvalidConfiguration
from imagekit_registry.state import Status, current_scope, images_left

__all__ = ["PENDING", "demand_url", "is_spent", "on_demand", "parse_pending", "wait_for"]

#: What ``ImageSpec.pending`` may say, beside a time to wait.
PENDING = ("demand", "placeholder", "source")

_WAIT = re.compile(r"wait:(\d+)(ms|s)", re.ASCII)
_SHORTEST_SLEEP, _LONGEST_SLEEP, _GROWTH = 0.005, 0.05, 1.5  # seconds between two looks

# What makes these URLs stands above this room, whose files they ask for: here it is an address.
_DEMAND_URL = "imagekit_registry.serving.urls.demand_url"


def demand_url(file: CacheFile, expires: float | None = None) -> str:
    """Return the on-demand URL of *file*; arguments and errors as of `ImageCacheFile.demand_url`."""
    url: str = get_by_qname(_DEMAND_URL, "maker of on-demand URLs")(file, expires)
    return url


def parse_pending(text: object) -> float:
    """Return the seconds that a page waits, by the attribute ``pending`` of a spec.

    Raises:
        InvalidConfiguration: The attribute cannot be *text*.

    Example:
        >>> parse_pending("wait:250ms"), parse_pending("source")
        (0.25, 0.0)
    """
    if text is None or text in PENDING:
        return 0.0
    found = _WAIT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise InvalidConfiguration(
            f"A spec's pending is {text!r}. It must be one of {', '.join(map(repr, PENDING))}, or"
            " 'wait:250ms' with any number of milliseconds (ms) or seconds (s)."
        )
    return int(found[1]) / (1000 if found[2] == "ms" else 1)


def on_demand(file: CacheFile, *, may_make: bool) -> Fallback | None:
    """Return on-demand URL and size of *file*, if strategy or spec want that and it is to be made.

    Args:
        file: The cache file.
        may_make: Whether it is made at once if no URL can say what is to be made.

    Returns:
        None if it is known to exist, or exists by now.

    Raises:
        GenerationError: It could not be made.
        InvalidConfiguration: The project's URLs do not include those.
    """
    kind = file.cachefile_strategy.pending or file.spec.pending
    if kind != "demand" or not file.name or is_known_to_exist(file):
        return None
    try:
        url = demand_url(file)
    except InvalidArgument:
        if may_make:
            file.cachefile_backend.generate(file)
        return None
    return Fallback(url, *size_to_come(file))


def is_spent(file: CacheFile) -> bool:
    """Return whether *file*, which this request would make, is left to later ones by its budget."""
    if not conf.REQUEST_BUDGET or file.cachefile_backend.is_async or is_in_event_loop():
        return False
    return images_left() < 1 and reacts_to(file.cachefile_strategy, "on_existence_required")


def wait_for(file: CacheFile) -> None:
    """Wait until others have made *file*, or have failed, for as long as its spec says.

    All images of a request are waited for together: none adds its own time. Event loops never wait.
    """
    seconds = parse_pending(file.spec.pending)
    if not seconds or is_in_event_loop():
        return
    scope = current_scope()
    ends_at = time.monotonic() + seconds
    if scope is not None:
        ends_at = scope.waits_until = min(scope.waits_until or ends_at, ends_at)
    sleep = _SHORTEST_SLEEP
    while (left := ends_at - time.monotonic()) > 0:
        time.sleep(min(sleep, left))
        sleep = min(sleep * _GROWTH, _LONGEST_SLEEP)
        (record,) = fetch([file], fresh=True)
        status = record and judge(file.identity, record, time.time())
        if status in {Status.EXISTS, Status.FAILED}:
            return
