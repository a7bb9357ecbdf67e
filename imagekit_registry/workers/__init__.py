"""What workers run: they make the images that messages from a queue ask for."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist
from django.core.files.storage import storages

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.backends import Message
from imagekit_registry.cachefiles.backends.in_process import make_here
from imagekit_registry.cachefiles.backends.messages import generator_of
from imagekit_registry.exceptions import LockTimeout, NotRegistered, RetryLater
from imagekit_registry.specs import StoredFile

__all__ = ["make_images"]

_logger = logging.getLogger("imagekit_registry.workers")


class _NothingToDo(Exception):
    """The image of a message is not wanted any more, or not of this process; it says why."""


def make_images(message: object) -> None:
    """Make the images that *message* asks for, those of one source of one decode.

    What others are making, what has failed a short while ago, and what nobody asks for any more (its
    source has gone or is another one by now) is passed over.

    Args:
        message: What a backend has put into a queue.

    Raises:
        InvalidMessage: It is no message of ours.
        GenerationError: An image cannot be made. Its state says so: pages show its
            fallback, and it is tried again later. The queue need not try again.
    """
    order = Message.decode(message)
    files = []
    for image in order.images:
        try:
            files.append(_find_file(image))
        except _NothingToDo as reason:
            _logger.info("%s: nothing is made: %s", image["spec"], reason)
    errors = []
    for result in make_here(files, force=order.force):
        if isinstance(result.error, LockTimeout | RetryLater):
            _logger.info("%s", result.error)
        elif result.error is not None:
            errors.append(result.error)
    if errors:
        for error in errors[1:]:
            errors[0].add_note(str(error))
        raise errors[0]


def _find_file(image: Mapping[str, Any]) -> ImageCacheFile:
    """Return the cache file that part of a message is about.

    Args:
        image: What ``describe`` gave for it in another process.

    Raises:
        _NothingToDo: Its source has gone, or source or recipe are others by now.
    """
    source = {} if image["source"] is None else {"source": _find_source(image["source"])}
    try:
        file = ImageCacheFile(generator_of(image, **source))
    except NotRegistered as error:
        raise _NothingToDo(str(error)) from error
    if file.digest != image["digest"]:
        raise _NothingToDo(
            "its recipe or its source is another one here than where it was asked for"
        )
    return file


def _find_source(source: Mapping[str, Any]) -> Any:
    if "image" in source:
        return _find_file(source["image"])
    if "model" not in source:
        if source["storage"] not in storages.backends:
            raise _NothingToDo(f"there is no storage {source['storage']!r} here")
        return StoredFile(source["name"], storages[source["storage"]])
    try:
        model = apps.get_model(source["model"])
        rows = model._base_manager.using(source["database"] or None)
        instance = rows.get(pk=model._meta.pk.to_python(source["pk"]))
    except (LookupError, ObjectDoesNotExist) as error:
        raise _NothingToDo(str(error)) from error
    found = getattr(instance, source["field"])
    if found.name != source["name"]:
        raise _NothingToDo("its source is another one by now")
    return found
