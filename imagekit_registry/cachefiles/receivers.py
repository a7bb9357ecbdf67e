"""From what happens to sources to the strategies of the files that are made of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from imagekit_registry._loading import storage_reference
from imagekit_registry.cachefiles._ledger import made_of, reference_of, remove
from imagekit_registry.cachefiles._lookup import get_image
from imagekit_registry.cachefiles._many import generate_many
from imagekit_registry.cachefiles.files import ImageCacheFile
from imagekit_registry.cachefiles.strategies import Optimistic, PreCache, load_strategy
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import GenerationError, ImageKitError, NotRegistered
from imagekit_registry.registry import generator_registry, source_group_registry
from imagekit_registry.signals import source_deleted, source_saved
from imagekit_registry.specs import has_source, refer_to
from imagekit_registry.state import CacheFileRecord

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
    files = _files_of(sender, source)
    together = []
    try:
        for file in files:
            callback = getattr(file.cachefile_strategy, "on_source_saved", None)
            if getattr(callback, "__func__", None) in _MAKERS:
                together.append(file)
            elif callback is not None:
                _call(callback, file)
        for failure in generate_many(together, force=True).failures:
            _take(failure.error)
    finally:
        # An error that a developer is shown must not leave former images on the pages.
        _tell_the_others("on_source_saved", sender, source, files)


def _on_source_deleted(sender: Any, source: Any, **kwargs: Any) -> None:
    files = _files_of(sender, source)
    try:
        for file in files:
            callback = getattr(file.cachefile_strategy, "on_source_deleted", None)
            if callback is not None:
                _call(callback, file)
    finally:
        _tell_the_others("on_source_deleted", sender, source, files)


def _tell_the_others(method: str, group: Any, source: Any, files: list[ImageCacheFile]) -> None:
    """Tell the strategies of what was made of *source* besides *files*, and in turn of all these.

    Template tags make such files. With what arguments is nobody's knowledge, so that most of them
    cannot be made anew here: they are removed, and made when they are asked for next.
    """
    if not has_source(source):
        return
    # Specs of other groups that have the image, those of a child's model say, are told by these.
    bound = {id for other, id in source_group_registry.pairs() if _has(other, group, source)}
    seen = {(storage_reference(file.storage), str(file.name)) for file in files}
    sources = [refer_to(source), *(refer_to(file) for file in files)]
    while sources:
        records = made_of(sources)
        sources = []
        for record in records:
            place = (record.storage, record.name)
            if place in seen or record.spec_id in bound:
                continue
            seen.add(place)
            sources.append(reference_of(record))
            _tell_one(method, record, source)


def _has(other: Any, group: Any, source: Any) -> bool:
    is_told_of = getattr(other, "is_told_of", None)
    return other is group or (is_told_of is not None and bool(is_told_of(source)))


def _tell_one(method: str, record: CacheFileRecord, source: Any) -> None:
    file = _built_anew(record, source)
    strategy = _strategy_of(record.spec_id) if file is None else file.cachefile_strategy
    callback = getattr(strategy, method, None)
    if callback is None:
        return
    if file is None:
        remove(record)
    else:
        _call(callback, file)


def _built_anew(record: CacheFileRecord, source: Any) -> ImageCacheFile | None:
    """Return the file of *record*, if its spec needs nothing but the source for it."""
    try:
        file = get_image(record.spec_id, source=source)
        return file if file.name == record.name else None
    except Exception:  # noqa: BLE001 -- specs are the project's code, and may want more
        return None


def _strategy_of(spec_id: str) -> Any:
    try:
        strategy = getattr(generator_registry.lookup(spec_id), "cachefile_strategy", None)
    except NotRegistered:
        strategy = None
    return load_strategy(strategy or conf.DEFAULT_CACHEFILE_STRATEGY)


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
