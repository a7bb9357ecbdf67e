"""Waiting for what workers were told to make."""

from __future__ import annotations

import time
from collections.abc import Iterator

from imagekit_registry.cachefiles.existence import judge
from imagekit_registry.cachefiles.identity import CacheFile, Identity
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import GenerationError
from imagekit_registry.maintenance.inventory import in_chunks
from imagekit_registry.state import CacheFileRecord, StateAccess, Status

__all__ = ["Waiting"]

_SHORTEST_SLEEP, _LONGEST_SLEEP, _GROWTH = 0.05, 1.0, 1.5  # seconds between two looks


class Waiting:
    """Images that workers were told to make, until they are there or have failed."""

    def __init__(self) -> None:
        self._started = time.time()
        self._left: dict[StateAccess, dict[str, Identity]] = {}

    def add(self, file: CacheFile) -> None:
        """Wait for *file* as well, if its backend keeps its state."""
        access, identity = file.cachefile_backend.states, file.identity
        if access is not None:
            self._left.setdefault(access, {})[identity.key] = identity

    def run(self) -> Iterator[tuple[str, GenerationError | None]]:
        """Yield the name of each image that a worker has made; with the error if it could not.

        When nothing has come for ``IMAGEKIT_LOCK_TIMEOUT`` seconds, the rest has failed.
        """
        ends_at = time.monotonic() + conf.LOCK_TIMEOUT
        sleep = _SHORTEST_SLEEP
        while any(self._left.values()):
            settled = list(self._look())
            yield from settled
            if settled:
                ends_at, sleep = time.monotonic() + conf.LOCK_TIMEOUT, _SHORTEST_SLEEP
            elif time.monotonic() >= ends_at:
                break
            else:
                time.sleep(sleep)
                sleep = min(sleep * _GROWTH, _LONGEST_SLEEP)
        for left in self._left.values():
            for identity in left.values():
                cause = (
                    f"no worker has made it, nor anything else for {conf.LOCK_TIMEOUT:g} seconds"
                )
                yield identity.name, _error(identity, cause, "See whether the workers run.")

    def _look(self) -> Iterator[tuple[str, GenerationError | None]]:
        """Yield what is settled by now, and wait for it no longer."""
        for access, left in self._left.items():
            for keys in in_chunks(list(left)):
                for key, record in access.get_many(keys, fresh=True).items():
                    if record.status == Status.FAILED:
                        yield left[key].name, _error(left[key], record.error, "")
                    elif not self._is_made(left[key], record):
                        continue
                    else:
                        yield left[key].name, None
                    del left[key]

    def _is_made(self, identity: Identity, record: CacheFileRecord) -> bool:
        """Return whether *record* is of the new file: by force, there may have been one before."""
        is_there = judge(identity, record, time.time()) == Status.EXISTS
        return is_there and (record.made_at or self._started) >= self._started


def _error(identity: Identity, cause: str, hint: str) -> GenerationError:
    return GenerationError(cause, spec_id=identity.spec_id, source=identity.source_name, hint=hint)
