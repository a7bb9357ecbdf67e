"""State of many cache files at once, and for the length of one request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar

from django.core.cache import BaseCache

from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.state import (
    CacheFileRecord,
    CacheStateStore,
    StateAccess,
    Status,
    state_scope,
)

__all__ = [
    "CacheFileRecord",
    "Status",
    "get_active_state_cache",
    "prefetch_cachefile_states",
    "records_are_known",
    "use_cachefile_state_cache",
]

StateMapping = MutableMapping[str, str | None]

_active: ContextVar[StateMapping | None] = ContextVar("imagekit_state_cache", default=None)


@contextmanager
def use_cachefile_state_cache(state_cache: StateMapping | None = None) -> Iterator[StateMapping]:
    """Answer from *state_cache*, and fill it, while the context lasts.

    Args:
        state_cache: Status words by cache key, as ``backend.get_key(file)`` gives them; None for
            an empty mapping.

    Yields:
        The mapping.

    Example:
        >>> with use_cachefile_state_cache():
        ...     prefetch_cachefile_states([photo.thumbnail for photo in photos])
    """
    mapping: StateMapping = {} if state_cache is None else state_cache
    token = _active.set(mapping)
    try:
        with state_scope():
            yield mapping
    finally:
        _active.reset(token)


def records_are_known(files: Iterable[CacheFile]) -> bool:
    """Return whether the state of all *files* is known without a round trip."""
    for file in files:
        access = file.cachefile_backend.states
        if access is not None and file.name and not access.knows([file.identity.key]):
            return False
    return True


def get_active_state_cache() -> StateMapping | None:
    """Return the mapping that `use_cachefile_state_cache` has made active, or None."""
    return _active.get()


def prefetch_cachefile_states(
    files: Iterable[CacheFile],
    *,
    state_cache: StateMapping | None = None,
    cache: BaseCache | None = None,
) -> None:
    """Fetch the state of many files in one round trip for each store involved.

    Args:
        files: Cache files; those whose backend keeps no state are passed over.
        state_cache: The mapping to fill with status words (None for unknown ones); the active one
            if None. Nothing is fetched if there is neither.
        cache: A Django cache to ask, in place of each backend's own store.
    """
    if state_cache is None:
        state_cache = _active.get()
    if state_cache is None:
        return
    given = None if cache is None else StateAccess(CacheStateStore(cache))
    keys: dict[StateAccess, set[str]] = {}
    for file in files:
        access = given or file.cachefile_backend.states
        if access is not None:
            keys.setdefault(access, set()).add(file.identity.key)
    for access, wanted in keys.items():
        found = access.get_many(wanted)
        for key in wanted:
            state_cache[key] = found[key].status if key in found else None
