"""From what happens to sources to the strategies of the files that are made of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from imagekit_registry.cachefiles._file import ImageCacheFile
from imagekit_registry.cachefiles._many import generate_many
from imagekit_registry.cachefiles.strategies import Optimistic, PreCache
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import GenerationError, ImageKitError
from imagekit_registry.registry import generator_registry, source_group_registry
from imagekit_registry.signals import source_deleted, source_saved

__all__ = ["connect"]

_logger = logging.getLogger("imagekit_registry.cachefiles")


def connect() -> None:
    """Connect to the signals of source groups; done once, when the app is ready."""
    source_saved.connect(_on_source_saved, dispatch_uid="imagekit_registry.strategies")
    source_deleted.connect(_on_source_deleted, dispatch_uid="imagekit_registry.strategies")


# Strategies that do no more than make the file: what several specs make of one source is then made
# together, of one decode.
_MAKERS = (Optimistic.on_source_saved, PreCache.on_source_saved)


def _on_source_saved(sender: Any, source: Any, **kwargs: Any) -> None:
    together = []
    for file in _files_of(sender, source):
        callback = getattr(file.cachefile_strategy, "on_source_saved", None)
        if getattr(callback, "__func__", None) in _MAKERS:
            together.append(file)
        elif callback is not None:
            _call(callback, file)
    for failure in generate_many(together, force=True).failures:
        _take(failure.error)


def _on_source_deleted(sender: Any, source: Any, **kwargs: Any) -> None:
    for file in _files_of(sender, source):
        callback = getattr(file.cachefile_strategy, "on_source_deleted", None)
        if callback is not None:
            _call(callback, file)


def _files_of(group: Any, source: Any) -> list[ImageCacheFile]:
    ids = source_group_registry.ids_of(group)
    return [ImageCacheFile(generator_registry.get(id, source=source)) for id in ids]


def _call(callback: Callable[[Any], Any], file: ImageCacheFile) -> None:
    try:
        callback(file)
    except GenerationError as error:
        _take(error)


def _take(error: ImageKitError) -> None:
    """Log *error*, or raise it where a developer wants to see it.

    The row is saved; whether its image can be made decides how it is shown, no more.
    """
    if conf.ON_ERROR == "raise":
        raise error
    _logger.warning("%s", error)
