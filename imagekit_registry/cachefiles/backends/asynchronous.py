"""Backends whose files are made by others, later: by workers in general, and through queues."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from django.core.checks import CheckMessage
from django.db import transaction

from imagekit_registry._breaker import breaker_of
from imagekit_registry.cachefiles import existence
from imagekit_registry.cachefiles.backends.base import Simple
from imagekit_registry.cachefiles.backends.messages import Message, describe
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.cachefiles.results import refuse_retry
from imagekit_registry.cachefiles.threads import is_in_event_loop, run_in_background
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import (
    GenerationError,
    ImageKitError,
    InvalidFileBackendError,
    NameTaken,
    how_to_install,
    located,
    logged,
)
from imagekit_registry.state import Status

__all__ = ["BaseAsync", "QueueBackend", "forget_announced"]

_logger = logging.getLogger("imagekit_registry.cachefiles")

_UNREACHABLE = "no worker could be told to make the image"
_REACH_IT = "Check that the queue can be reached."


class BaseAsync(Simple, plain=True):
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
        record = existence.known(file)
        if not force and record is not None and record.status == Status.FAILED:
            refuse_retry(file, record)

    def hand_over(self, files: Sequence[CacheFile], force: bool = False) -> None:
        """Have those of *files* made that are not known to exist, to be on their way, or to fail.

        Args:
            files: Cache files, best of one source: a worker makes them of one decode.
            force: Whether to have all of them made.

        Raises:
            GenerationError: No worker can be told, or another image has the name of one of them.
        """
        handed = [file for file in files if force or not self._is_settled(file)]
        if not handed:
            return
        told = [file for file in handed if not _is_known_as(file, Status.EXISTS)]
        try:
            with located(handed[0].identity, _UNREACHABLE, hint=_REACH_IT):
                for file in told:
                    # Before the worker is told: it may be done sooner than we are.
                    existence.announce(file)
                self.schedule_together(handed, force=force)
        except ImageKitError:
            forget_announced(told)
            raise

    def _is_settled(self, file: CacheFile) -> bool:
        """Return whether *file* is known to exist, to be on its way, or to fail.

        Where the state is lost the storage knows. A worker would find the file there, but until
        then pages would show a fallback for it; and while the state cannot be kept at all, each
        page would send a message for each image.
        """
        try:
            (record,) = existence.look_up([file], ask_storage=True)
        except NameTaken:
            raise
        except GenerationError:
            # The worker will see.
            return False
        return record is not None and record.status != Status.MISSING

    # What has a default.

    def schedule_together(self, files: Sequence[CacheFile], force: bool = False) -> None:
        """Hand *files* to workers: one after the other, unless a subclass knows better."""
        for file in files:
            self.schedule_generation(file, force=force)

    # What every subclass must write.

    def schedule_generation(self, file: Any, force: bool = False) -> None:
        """Hand *file* to a worker, which calls ``generate_now`` for it."""
        raise NotImplementedError(f"{type(self).__qualname__} must define schedule_generation()")


def _is_known_as(file: CacheFile, status: Status) -> bool:
    record = existence.known(file)
    return record is not None and record.status == status


def forget_announced(files: Sequence[CacheFile]) -> None:
    """Drop what says that *files* are on their way.

    One that was made here after all, and could not be, has failed: that is known.
    """
    for file in files:
        if _is_known_as(file, Status.GENERATING):
            existence.invalidate(file)


class QueueBackend(BaseAsync):
    """The base of backends that put a message into a queue, for workers in other processes.

    A message says in JSON which images to make. It is put into the queue when the transaction that
    has saved their source is committed. What no other process could find again (an image of a
    generator that is not registered, or of an upload that is not saved) is made at once, here.

    Attributes:
        requires: Names of modules, of which one must be installed.
        extra: The extra of this package that installs it.
        queue_name: The queue; None: the one that ``IMAGEKIT_QUEUE`` names, else the library's own.

    Raises:
        InvalidFileBackendError: What the backend needs is not installed.
    """

    requires: tuple[str, ...]
    extra: str
    queue_name: str | None = None

    def __init__(self) -> None:
        reasons = []
        for name in self.requires:
            try:
                import_module(name)
            except ImportError as error:
                reasons.append(str(error))
            else:
                return
        raise InvalidFileBackendError(
            f"The backend {type(self).__name__} needs {' or '.join(self.requires)}, which cannot be"
            f" imported ({'; '.join(reasons)}). Install it: {how_to_install(self.extra)}"
        )

    # What callers use, and subclasses leave alone.

    @property
    def queue(self) -> str | None:
        """The name of the queue; None for the library's own."""
        return self.queue_name or conf.QUEUE

    def schedule_generation(self, file: Any, force: bool = False) -> None:
        """Put a message for *file* into the queue.

        Raises:
            GenerationError: The queue does not take it.
        """
        self.schedule_together([file], force=force)

    def schedule_together(self, files: Sequence[CacheFile], force: bool = False) -> None:
        """Put one message for *files* into the queue, when their source is committed.

        Raises:
            GenerationError: The queue does not take it.
        """
        told, images, here = [], [], []
        for file in files:
            image = describe(file)
            if image is None:
                here.append(file)
            else:
                told.append(file)
                images.append(image)
        if told:
            self._pass_on(told, Message(images, force=force).encode(), _database_of(images[0]))
        # Last: one that cannot be made must not keep the others from being told.
        for file in here:
            Simple.generate(self, file, force=force)

    # What has a default.

    def check(self) -> list[CheckMessage]:
        """Return what is wrong with the queue, for ``manage.py check``."""
        return []

    def waiting(self) -> int | None:
        """Return how many messages wait in the queue, for an operator; None if it cannot be asked.

        Whatever the queue's client raises may leave it.
        """
        return None

    # What every subclass must write.

    def send(self, message: dict[str, object]) -> None:
        """Put *message*, which JSON can hold, into the queue; raise whatever its client raises."""
        raise NotImplementedError(f"{type(self).__qualname__} must define send()")

    # How it is done.

    def _pass_on(
        self, files: Sequence[CacheFile], message: dict[str, object], database: str | None
    ) -> None:
        """Send *message* when the loop does not wait for it, and a worker would see the row."""
        if is_in_event_loop():
            # The loop must not wait for a broker. No two messages are the same work.
            key = f"message {message['signature']}"
            run_in_background(key, partial(self._send_later, files, message))
        elif transaction.get_connection(database).in_atomic_block:
            transaction.on_commit(partial(self._send_later, files, message), using=database)
        else:
            self._send(files[0], message)

    def _send(self, file: CacheFile, message: dict[str, object]) -> None:
        """Send *message*; a queue that has just failed is left alone for a moment.

        Raises:
            GenerationError: The queue does not take it.
        """
        failures: list[ImageKitError] = []

        def attempt() -> bool:
            try:
                self.send(message)
            except ImageKitError as error:
                # The queue is well: it has made the image at once, and that has failed.
                failures.append(error)
            return True

        # A page of many images waits for a broker that is gone once.
        breaker = breaker_of(
            f"The queue of {type(self).__qualname__}",
            meanwhile="no worker is told of missing images",
        )
        if breaker.call(attempt, default=False):
            for failure in failures:
                raise failure
        elif breaker.error is not None:
            unreachable = located(file.identity, _UNREACHABLE, hint=_REACH_IT).error(breaker.error)
            # The breaker has said so, once for all images of the page.
            unreachable.is_logged = True
            raise unreachable

    def _send_later(self, files: Sequence[CacheFile], message: dict[str, object]) -> None:
        """Send after the caller has gone on: nobody is left to be told of a failure but the log."""
        # What is raised after a commit breaks a request.
        with logged(_logger, "No worker was told of an image"):
            self._send(files[0], message)
            return
        forget_announced(files)


def _database_of(image: Mapping[str, Any]) -> str | None:
    """Return the alias of the database that holds the row an image is made of, if one does."""
    source = image["source"] or {}
    if "image" in source:
        return _database_of(source["image"])
    return source.get("database") or None
