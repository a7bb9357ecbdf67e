"""What workers run: they make the images that messages from a queue ask for."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.backends import Message
from imagekit_registry.cachefiles.bulk import Generation, Result
from imagekit_registry.exceptions import LockTimeout, RetryLater
from imagekit_registry.workers._files import NothingToDo, find_file

__all__ = ["make_images"]

_logger = logging.getLogger("imagekit_registry.workers")


def make_images(message: Any) -> None:
    """Make the images that *message* asks for, those of one source of one decode.

    What others are making, what has failed a short while ago, and what nobody asks for any more (its
    source has gone or is another one by now) is passed over.

    Args:
        message: What a backend has put into a queue.

    Raises:
        InvalidMessage: It is no message of ours.
        GenerationError: An image cannot be made. Its state says so: pages show what stands in for
            it, and it is tried again later. The queue need not try again.
    """
    order = Message.decode(message)
    files = []
    for image in order.images:
        try:
            files.append(find_file(image))
        except NothingToDo as reason:
            _logger.info("%s: nothing is made: %s", image["spec"], reason)
    errors = []
    # What they are made of comes first, if that is an image as well.
    results = [*_make(_made_sources(files), force=False), *_make(files, force=order.force)]
    for result in results:
        if isinstance(result.error, LockTimeout | RetryLater):
            _logger.info("%s", result.error)
        elif result.error is not None:
            errors.append(result.error)
    if errors:
        for error in errors[1:]:
            errors[0].add_note(str(error))
        raise errors[0]


def _make(files: Sequence[ImageCacheFile], force: bool) -> list[Result]:
    return list(Generation(force=force, here=True).run([files]))


def _made_sources(files: Iterable[ImageCacheFile]) -> list[ImageCacheFile]:
    """Return the sources of *files* that are cache files themselves, with theirs before them."""
    sources = [file.source for file in files if isinstance(file.source, ImageCacheFile)]
    return [*_made_sources(sources), *sources] if sources else []
