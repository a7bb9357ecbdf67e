"""What is told of the making of a file: by one line in the log at once, and by a signal when it is known."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from django.dispatch import Signal

from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.cachefiles.rendering import log_failure
from imagekit_registry.exceptions import GenerationError
from imagekit_registry.signals import generated, generation_failed
from imagekit_registry.state import CacheFileRecord

_made = logging.getLogger("imagekit_registry.made")
if not _made.level:
    # A project that logs all that is INFO did not ask for a line for each image; it names this logger.
    _made.setLevel(logging.WARNING)


def report_made(file: CacheFile, record: CacheFileRecord, seconds: float) -> Callable[[], None]:
    """Log that *file* was made.

    Args:
        file: The file.
        record: What is known of it now.
        seconds: How long the files of its source have taken until it was there.

    Returns:
        What sends the signal: for when the record is remembered, so that a receiver may ask the
        file for its URL.
    """
    identity, name = file.identity, record.published_name or record.name
    _made.info(
        "%s of %r: %s of %s x %s pixels, %s bytes, in %.3f s, as %s",
        identity.spec_id,
        identity.source_name,
        record.format or "a file",
        record.width,
        record.height,
        record.size,
        seconds,
        name,
    )
    return partial(_send, generated, file, seconds, bytes=record.size, name=name)


def report_failure(
    file: CacheFile, error: GenerationError, seconds: float, failures: int = 1
) -> Callable[[], None]:
    """Log that *file* could not be made.

    Args:
        file: The file.
        error: Why.
        seconds: How long the files of its source have taken.
        failures: How many tries in a row have failed.

    Returns:
        What sends the signal, as above.
    """
    log_failure(error, failures=failures)
    return partial(_send, generation_failed, file, seconds, cause=error.cause, error=error)


def _send(signal: Signal, file: CacheFile, seconds: float, **more: object) -> None:
    signal.send_robust(
        sender=type(file.generator),
        file=file,
        spec_id=file.identity.spec_id,
        source=file.identity.source_name,
        seconds=seconds,
        **more,
    )
