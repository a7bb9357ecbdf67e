"""What all backends share that tell their workers through a queue."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from django.core.checks import CheckMessage
from django.db import transaction

from imagekit_registry._breaker import breaker_of
from imagekit_registry.cachefiles.backends.asynchronous import BaseAsync
from imagekit_registry.cachefiles.backends.base import Simple
from imagekit_registry.cachefiles.backends.messages import Message, describe
from imagekit_registry.cachefiles.threads import is_in_event_loop, run_in_background
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import ImageKitError, InvalidFileBackendError
from imagekit_registry.state import Status

__all__ = ["QueueBackend"]

_logger = logging.getLogger("imagekit_registry.cachefiles")


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
            f" imported ({'; '.join(reasons)}). Install it:"
            f" pip install 'imagekit-registry[{self.extra}]'."
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

    def schedule_together(self, files: Sequence[Any], force: bool = False) -> None:
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

    # What every subclass must write.

    def send(self, message: dict[str, Any]) -> None:
        """Put *message*, which JSON can hold, into the queue; raise whatever its client raises."""
        raise NotImplementedError(f"{type(self).__qualname__} must define send()")

    # How it is done.

    def _pass_on(self, files: Sequence[Any], message: dict[str, Any], database: str | None) -> None:
        """Send *message* when the loop does not wait for it, and a worker would see the row."""
        if is_in_event_loop():
            # The loop must not wait for a broker. No two messages are the same work.
            key = f"message {message['signature']}"
            run_in_background(key, partial(self._send_later, files, message))
        elif transaction.get_connection(database).in_atomic_block:
            transaction.on_commit(partial(self._send_later, files, message), using=database)
        else:
            self._send(files[0], message)

    def _send(self, file: Any, message: dict[str, Any]) -> None:
        raised: list[Exception] = []
        found: list[ImageKitError] = []

        def attempt() -> bool:
            try:
                self.send(message)
            except ImageKitError as error:
                # The queue is well: it has made the image at once, and that has failed.
                found.append(error)
            except Exception as error:
                raised.append(error)
                raise
            return True

        # A page of many images waits for a broker that is gone once.
        breaker = breaker_of(
            f"The queue of {type(self).__qualname__}",
            meanwhile="no worker is told of missing images",
        )
        if not breaker.call(attempt, default=False):
            error = raised[0] if raised else ConnectionError("it has failed a moment ago")
            failure = self._unreachable(file, error)
            # The breaker has said so, once for all images of the page.
            failure.is_logged = True
            raise failure from error
        if found:
            raise found[0]

    def _send_later(self, files: Sequence[Any], message: dict[str, Any]) -> None:
        """Send after the caller has gone on: nobody is left to be told of a failure but the log."""
        try:
            self._send(files[0], message)
        except Exception as error:  # noqa: BLE001 -- what is raised after a commit breaks a request
            _logger.warning("%s", error)
            for file in files:
                # One that the queue has made at once, and could not, has failed: that is known.
                if self.get_state(file, check_if_unknown=False) == Status.GENERATING:
                    self.doubt(file)


def _database_of(image: Mapping[str, Any]) -> str | None:
    """Return the alias of the database that holds the row an image is made of, if one does."""
    source = image["source"] or {}
    if "image" in source:
        return _database_of(source["image"])
    return source.get("database") or None
