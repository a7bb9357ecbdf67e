"""Backends whose files are made by others, later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imagekit_registry.cachefiles.backends._sources import source_name
from imagekit_registry.cachefiles.backends.base import Simple
from imagekit_registry.cachefiles.threads import would_keep_waiting
from imagekit_registry.exceptions import GenerationError, MissingSource
from imagekit_registry.state import Status

__all__ = ["BaseAsync"]


class BaseAsync(Simple):
    """The base of backends whose files are made by a worker."""

    is_async = True

    def generate(self, file: Any, force: bool = False) -> None:
        """Have *file* made, unless it is known to exist or to be on its way.

        A file that is not there ``IMAGEKIT_LOCK_TIMEOUT`` seconds after it was handed to a worker is
        handed to one again: messages get lost, and workers die.

        Raises:
            RetryLater: A worker could not make it, a short while ago.
            GenerationError: No worker can be told.
        """
        self.hand_over([file], force=force)
        if not force and self.get_state(file, check_if_unknown=False) == Status.FAILED:
            # Says why.
            self.is_wanting(file)

    def hand_over(self, files: Sequence[Any], force: bool = False) -> None:
        """Have those of *files* made that are not known to exist, to be on their way, or to fail.

        Args:
            files: Cache files, best of one source: a worker makes them of one decode.
            force: Whether to have all of them made.

        Raises:
            GenerationError: No worker can be told, or another image has the name of one of them.
        """
        handed = [file for file in files if force or not self._is_settled(file)]
        expected = [
            file for file in handed if self.get_state(file, check_if_unknown=False) != Status.EXISTS
        ]
        try:
            for file in expected:
                # Before the worker is told: it may be done sooner than we are.
                self.expect(file)
            if handed:
                self.schedule_together(handed, force=force)
        except Exception as error:
            for file in expected:
                # One that was made here after all, and could not be, has failed: that is known.
                if self.get_state(file, check_if_unknown=False) == Status.GENERATING:
                    self.doubt(file)
            if isinstance(error, GenerationError | MissingSource):
                raise
            raise self._unreachable(handed[0], error) from error

    def _is_settled(self, file: Any) -> bool:
        """Return whether *file* is known to exist, to be on its way, or to fail.

        Where the state is lost the storage knows. A worker would find the file there, but until
        then pages would show what stands in for it; and while the state cannot be kept at all,
        each page would send a message for each image.
        """
        state = self.get_state(file, check_if_unknown=False)
        if state is not None:
            return state in {Status.GENERATING, Status.EXISTS, Status.FAILED}
        if would_keep_waiting(getattr(file, "storage", None)):
            return False
        try:
            record = self.verified(file, self.states.get(self.get_key(file)))
        except GenerationError:
            # The worker will see.
            return False
        if record.status != Status.EXISTS:
            return False
        self.remember(file, record)
        return True

    def _unreachable(self, file: Any, error: Exception) -> GenerationError:
        """Return the exception of ours for what a queue has raised."""
        return GenerationError(
            f"no worker could be told to make the image ({type(error).__name__}: {error})",
            spec_id=file.spec_id,
            source=source_name(file),
            hint="Check that the queue can be reached.",
        )

    # What has a default.

    def schedule_together(self, files: Sequence[Any], force: bool = False) -> None:
        """Hand *files* to workers: one after the other, unless a subclass knows better."""
        for file in files:
            self.schedule_generation(file, force=force)

    # What every subclass must write.

    def schedule_generation(self, file: Any, force: bool = False) -> None:
        """Hand *file* to a worker, which calls ``generate_now`` for it."""
        raise NotImplementedError(f"{type(self).__qualname__} must define schedule_generation()")
