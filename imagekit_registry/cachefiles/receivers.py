"""What becomes of cache files when their source was saved or deleted."""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from django.core.files.storage import FileSystemStorage

from imagekit_registry._loading import get_by_qname, get_storage, resolve_storage
from imagekit_registry.cachefiles import namers
from imagekit_registry.cachefiles.bulk import generate_many
from imagekit_registry.cachefiles.files import ImageCacheFile, get_image
from imagekit_registry.cachefiles.identity import state_key
from imagekit_registry.cachefiles.listing import Listing
from imagekit_registry.cachefiles.strategies import (
    Strategy,
    load_strategy,
    makes_when_saved,
    reacts_to,
)
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import GenerationError, ImageKitError, NotRegistered
from imagekit_registry.registry import generator_registry, source_group_registry
from imagekit_registry.signals import source_deleted, source_saved
from imagekit_registry.specs import SourceReference, has_source, refer_to
from imagekit_registry.state import CacheFileRecord, get_state_access

__all__ = ["connect", "records_of"]

Event = Literal["on_source_saved", "on_source_deleted"]

_logger = logging.getLogger("imagekit_registry.cachefiles")


def connect() -> None:
    """Connect to the signals of source groups; done once, when the app is ready."""
    source_saved.connect(_on_source_saved, dispatch_uid="imagekit_registry.strategies")
    source_deleted.connect(_on_source_deleted, dispatch_uid="imagekit_registry.strategies")


def _on_source_saved(sender: Any, source: Any, **kwargs: Any) -> None:
    files = _files_of(sender, source)
    together = []
    try:
        for file in files:
            if makes_when_saved(file.cachefile_strategy):
                # What several specs make of one source is made together, of one decode.
                together.append(file)
            else:
                _call(file.cachefile_strategy.on_source_saved, file)
        for failure in generate_many(together, force=True).failures:
            _report(failure.error)
    finally:
        # An error that a developer is shown must not leave former images on the pages.
        _tell_others("on_source_saved", sender, source, files)


def _on_source_deleted(sender: Any, source: Any, **kwargs: Any) -> None:
    files = _files_of(sender, source)
    try:
        for file in files:
            _call(file.cachefile_strategy.on_source_deleted, file)
    finally:
        _tell_others("on_source_deleted", sender, source, files)


def _files_of(group: Any, source: Any) -> list[ImageCacheFile]:
    spec_ids = source_group_registry.ids_of(group)
    return [get_image(spec_id, source=source) for spec_id in spec_ids]


def _call(callback: Callable[[Any], object], file: ImageCacheFile) -> None:
    try:
        callback(file)
    except GenerationError as error:
        _report(error)


def _report(error: ImageKitError) -> None:
    """Log *error*, or raise it where a developer wants to see it.

    The row is saved; whether its image can be made decides how it is shown, no more.
    """
    if conf.ON_ERROR == "raise":
        raise error
    _logger.warning("%s", error)


# What template tags made of the source is bound to no spec.


def _tell_others(event: Event, group: Any, source: Any, files: list[ImageCacheFile]) -> None:
    """Tell the strategies of what was made of *source* besides *files*, and in turn of all these.

    With what arguments tags have made them is nobody's knowledge, so that most of them cannot be
    made anew here: they are removed, and made when they are asked for next.
    """
    if not has_source(source):
        return
    # Specs of other groups that have the image, those of a child's model say, are told by these.
    bound = {
        spec_id
        for other, spec_id in source_group_registry.pairs()
        if other is group or _is_told_of(other, source)
    }
    seen = {(file.identity.storage, file.identity.name) for file in files}
    sources = [refer_to(source), *(refer_to(file) for file in files)]
    while sources:
        records = records_of(sources)
        sources = []
        for record in records:
            place = (record.storage, record.name)
            if place not in seen and record.spec_id not in bound:
                seen.add(place)
                sources.append(SourceReference(record.name, record.storage))
                _tell_one(event, record, source)


def _is_told_of(group: Any, source: Any) -> bool:
    ask = getattr(group, "is_told_of", None)
    return ask is not None and bool(ask(source))


def _tell_one(event: Event, record: CacheFileRecord, source: Any) -> None:
    file = _built_anew(record, source)
    if file is not None:
        _call(getattr(file.cachefile_strategy, event), file)
    elif reacts_to(_strategy_of(record.spec_id), event):
        _delete(record)


def _built_anew(record: CacheFileRecord, source: Any) -> ImageCacheFile | None:
    """Return the file of *record*, if its spec needs nothing but the source for it."""
    try:
        file = get_image(record.spec_id, source=source)
        return file if file.name == record.name else None
    except Exception:  # noqa: BLE001 -- specs are the project's code, and may want more
        return None


def _strategy_of(spec_id: str) -> Strategy:
    try:
        strategy = getattr(generator_registry.lookup(spec_id), "cachefile_strategy", None)
    except NotRegistered:
        strategy = None
    return load_strategy(strategy or conf.DEFAULT_CACHEFILE_STRATEGY)


def records_of(sources: Iterable[SourceReference]) -> list[CacheFileRecord]:
    """Return the records of what was made of *sources*, as far as that is known.

    A state store that is a ledger, as the database table is, is asked by one query. Without one
    the folders that the default namer gives to each source are listed, on file systems.

    Args:
        sources: What the records have as their source.
    """
    references = list(sources)
    found = get_state_access().by_source([str(reference) for reference in references])
    return found if found is not None else list(_listed(references))


def _listed(references: Iterable[SourceReference]) -> Iterator[CacheFileRecord]:
    storage = get_storage()
    namer = get_by_qname(conf.SPEC_CACHEFILE_NAMER, "namer")
    if namer is not namers.source_name_as_path or not isinstance(storage, FileSystemStorage):
        return
    listing = Listing()
    keys: dict[str, str] = {}
    for reference in references:
        folder = namers.folder_of(reference.name)
        for basename in listing.names(storage, folder) or () if folder else ():
            keys[state_key("", posixpath.join(folder, basename))] = str(reference)
    # Another source may have the same folder: "a.png" beside "a.jpg".
    records = get_state_access().get_many(keys, fresh=True)
    yield from (record for key, record in records.items() if record.source == keys[key])


def _delete(record: CacheFileRecord) -> None:
    """Delete the file of *record*, and drop the record; what cannot be deleted is logged."""
    names = sorted({record.name, record.published_name} - {""})
    if not all(map(namers.is_inside, names)):
        return
    try:
        storage = resolve_storage(record.storage or "default")
        for name in names:
            storage.delete(name)
    except Exception as error:  # noqa: BLE001 -- storages raise what they like
        _logger.warning("%s: %r is left over: %s", record.spec_id, record.name, error)
        return
    get_state_access().drop([state_key(record.storage, record.name)])
