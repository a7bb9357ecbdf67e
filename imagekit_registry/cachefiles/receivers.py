"""What becomes of cache files when their source was saved or deleted."""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any, Literal

import attrs
from django.core.files.storage import Storage
from django.core.signals import setting_changed
from django.dispatch import receiver

from imagekit_registry._loading import (
    get_by_qname,
    get_storage,
    resolve_storage,
    storage_reference,
)
from imagekit_registry.cachefiles import namers
from imagekit_registry.cachefiles.backends import get_default_cachefile_backend
from imagekit_registry.cachefiles.bulk import generate_many
from imagekit_registry.cachefiles.existence import fetch, remember
from imagekit_registry.cachefiles.files import ImageCacheFile, get_image
from imagekit_registry.cachefiles.identity import state_key
from imagekit_registry.cachefiles.listing import Listing
from imagekit_registry.cachefiles.state import get_active_state_cache
from imagekit_registry.cachefiles.strategies import (
    Strategy,
    deletes_when,
    load_strategy,
    makes_when_saved,
    reacts_to,
)
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import GenerationError, ImageKitError, NotRegistered, answer_or
from imagekit_registry.registry import generator_registry, source_group_registry
from imagekit_registry.signals import source_deleted, source_saved, source_written
from imagekit_registry.specs import ImageSpec, SourceReference, has_source, refer_to
from imagekit_registry.specs.sourcegroups import watch_all_images
from imagekit_registry.state import CacheFileRecord, Status, get_state_access

__all__ = ["connect", "records_of"]

Event = Literal["on_source_saved", "on_source_deleted"]

_logger = logging.getLogger("imagekit_registry.cachefiles")


def connect() -> None:
    """Connect to the signals of source groups; done once, when the app is ready."""
    source_saved.connect(_on_source_saved, dispatch_uid="imagekit_registry.strategies")
    source_deleted.connect(_on_source_deleted, dispatch_uid="imagekit_registry.strategies")
    source_written.connect(_on_source_written, dispatch_uid="imagekit_registry.strategies")
    watch_all_images()


def _on_source_saved(sender: object, source: Any, **kwargs: object) -> None:
    _tell("on_source_saved", sender, source)


def _on_source_deleted(sender: object, source: Any, **kwargs: object) -> None:
    _tell("on_source_deleted", sender, source)


def _on_source_written(sender: object, source: Any, **kwargs: object) -> None:
    """Have all that was made of *source* made anew when it is needed next; the files stay."""
    files = [get_image(spec_id, source=source) for spec_id in source_group_registry.ids_of(sender)]
    own = zip(files, fetch(files), strict=True)
    remember([(file, _replaced(record)) for file, record in own if record is not None])
    look = _Look()
    seen: dict[str, CacheFileRecord] = {}
    sources = [refer_to(source), *map(refer_to, files)]
    while sources:
        found = {key: each for key, each in look.find(sources).items() if key not in seen}
        get_state_access().put_many({key: _replaced(each) for key, each in found.items()})
        seen |= found
        sources = [SourceReference(each.name, each.storage) for each in found.values()]


def _replaced(record: CacheFileRecord) -> CacheFileRecord:
    """Return the record of a file whose source is another one by now, whatever that looks like."""
    return attrs.evolve(
        record, status=Status.MISSING, fingerprint="replaced", retry_at=None, failures=0, error=""
    )


def _tell(event: Event, group: object, source: Any) -> None:
    """Tell the strategies of what was made of *source*, and in turn of all that was made of these.

    A strategy that deletes needs the names alone; files are built for the others.
    """
    spec_ids = source_group_registry.ids_of(group)
    if not has_source(source):
        return
    reference = refer_to(source)
    look = _Look()
    records = look.find([reference])
    deleted = _deleted_by_name(spec_ids, event)
    # What has failed has no file that could be found; it is forgotten by its name.
    if event == "on_source_saved" or not look.is_complete:
        for spec_id in deleted:
            name = generator_registry.get(spec_id, source=source).cachefile_name
            where = _defaults().reference
            record = CacheFileRecord(
                name=name, storage=where, status=Status.MISSING, spec_id=spec_id
            )
            records.setdefault(state_key(where, name), record)
    files = [get_image(each, source=source) for each in spec_ids if each not in deleted]
    try:
        _call_all(event, files)
    finally:
        # An error that a developer is shown must not leave former images on the pages.
        others = _Others(event, group, source, look, deleted)
        others.tell(files, records)


def _call_all(event: Event, files: Sequence[ImageCacheFile]) -> None:
    together = []
    for file in files:
        if event == "on_source_saved" and makes_when_saved(file.cachefile_strategy):
            # What several specs make of one source is made together, of one decode.
            together.append(file)
        else:
            _call(getattr(file.cachefile_strategy, event), file)
    if together:
        for failure in generate_many(together, force=True).failures:
            _report(failure.error)


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


@attrs.define(eq=False, slots=False)
class _Others:
    """What was made of a source besides the files of its group, and in turn of all these.

    With what arguments tags have made them is nobody's knowledge, so that most of them cannot be
    made anew here: they are removed, and made when they are asked for next.

    Args:
        event: What has happened to the source.
        group: The group that tells of it.
        source: The source.
        look: What finds records.
        deleted: The ids of the group whose files are deleted by their names.
    """

    event: Event
    group: object
    source: Any
    look: _Look
    deleted: set[str]

    def tell(self, files: Sequence[ImageCacheFile], records: dict[str, CacheFileRecord]) -> None:
        """Tell the strategies of *records* by key, and of what was made of these and of *files*."""
        seen = {(file.identity.storage, file.identity.name) for file in files}
        sources = [SourceReference(name, storage) for storage, name in seen]
        while records or sources:
            gone = {}
            for key, record in records.items():
                place = (record.storage, record.name)
                is_deleted = record.spec_id in self.deleted
                if place in seen or (not is_deleted and record.spec_id in self._bound):
                    continue
                seen.add(place)
                if record.status != Status.MISSING or not self.look.is_complete:
                    sources.append(SourceReference(record.name, record.storage))
                if is_deleted or not self._is_told(record):
                    gone[key] = record
            _delete(gone)
            records, sources = self.look.find(sources) if sources else {}, []

    @cached_property
    def _bound(self) -> set[str]:
        """The ids whose groups tell them of the source, those of a child's model for one."""
        told: dict[int, bool] = {id(self.group): True}
        bound = set()
        for known in source_group_registry.registered():
            if id(known.group) not in told:
                told[id(known.group)] = bool(known.is_told_of(self.source))
            if told[id(known.group)]:
                bound.add(known.spec_id)
        return bound

    def _is_told(self, record: CacheFileRecord) -> bool:
        """Tell a strategy of the file of *record*; return False if that comes to deleting it."""
        strategy = _strategy_of(record.spec_id)
        if deletes_when(strategy, self.event):
            return False
        file = _built_anew(record, self.source)
        if file is not None:
            _call(getattr(file.cachefile_strategy, self.event), file)
        return file is not None or not reacts_to(strategy, self.event)


def _built_anew(record: CacheFileRecord, source: Any) -> ImageCacheFile | None:
    """Return the file of *record*, if its spec needs nothing but the source for it."""
    file = answer_or(None, get_image, record.spec_id, source=source)
    return file if file is not None and file.name == record.name else None


def _strategy_of(spec_id: str) -> Strategy:
    try:
        own = getattr(generator_registry.lookup(spec_id), "cachefile_strategy", None)
    except NotRegistered:
        own = None
    return load_strategy(own) if own else _defaults().strategy


def _deleted_by_name(spec_ids: Iterable[str], event: Event) -> set[str]:
    """Return those of *spec_ids* whose files *event* does no more than delete.

    Their names are the default namer's, and their records in the default store.
    """
    deleted: set[str] = set()
    defaults = _defaults()
    for spec_id in spec_ids if defaults.is_plain else ():
        spec: object = generator_registry.lookup(spec_id)
        if not (isinstance(spec, type) and issubclass(spec, ImageSpec)):
            continue
        has_own_place = spec.namer or spec.cachefile_storage or spec.cachefile_backend
        has_own_name = spec.cachefile_name is not ImageSpec.cachefile_name
        own = spec.cachefile_strategy
        if isinstance(own, property) or has_own_place or has_own_name:
            continue
        if deletes_when(load_strategy(own) if own else defaults.strategy, event):
            deleted.add(spec_id)
    return deleted


@attrs.frozen
class _Defaults:
    """What the settings say of files whose specs say nothing.

    Args:
        storage: Their storage.
        reference: The reference of that.
        strategy: Their strategy.
        has_folders: Whether their namer gives a folder to each source.
        is_plain: Whether that, their backend and its store are all ours, so that names and records
            are enough to delete them.
    """

    storage: Storage
    reference: str
    strategy: Strategy
    has_folders: bool
    is_plain: bool


@cache
def _defaults() -> _Defaults:
    storage, backend = get_storage(), get_default_cachefile_backend()
    namer = get_by_qname(conf.SPEC_CACHEFILE_NAMER, "namer")
    has_folders = namer is namers.source_name_as_path
    is_ours = backend.strategy is None and backend.states is get_state_access()
    return _Defaults(
        storage,
        storage_reference(storage),
        load_strategy(conf.DEFAULT_CACHEFILE_STRATEGY),
        has_folders,
        has_folders and is_ours,
    )


@receiver(setting_changed, dispatch_uid="imagekit_registry.receivers")
def _forget_defaults(**_: object) -> None:
    _defaults.cache_clear()


@attrs.define(eq=False)
class _Look:
    """Looks for what was made of sources.

    Attributes:
        is_complete: Whether every file that the default namer has given to the sources so far has
            a record.
    """

    is_complete: bool = attrs.field(factory=lambda: _defaults().has_folders)

    def find(self, sources: Sequence[SourceReference]) -> dict[str, CacheFileRecord]:
        """Return the records of what was made of *sources*, by key."""
        access, defaults = get_state_access(), _defaults()
        names = [str(source) for source in sources]
        if access.store.is_ledger:
            self.is_complete = False
            found = access.by_source(names) or []
            return {state_key(record.storage, record.name): record for record in found}
        listing = Listing()
        keys: dict[str, str] = {}
        for source, name in zip(sources, names, strict=True) if defaults.has_folders else ():
            folder = namers.folder_of(source.name)
            files = listing.names(defaults.storage, folder) if folder else None
            self.is_complete = self.is_complete and files is not None
            for basename in files or ():
                key = state_key(defaults.reference, posixpath.join(folder, basename))
                keys[key] = name
        records = access.get_many(keys, fresh=True) if keys else {}
        self.is_complete = self.is_complete and len(records) == len(keys)
        # Another source may have the same folder: "a.png" beside "a.jpg".
        return {key: record for key, record in records.items() if record.source == keys[key]}


def records_of(sources: Iterable[SourceReference]) -> list[CacheFileRecord]:
    """Return the records of what was made of *sources*, as far as that is known.

    A state store that is a ledger, as the database table is, is asked by one query. Without one
    the folders that the default namer gives to each source are listed, where the storage can.

    Args:
        sources: What the records have as their source.
    """
    return list(_Look().find(list(sources)).values())


def _delete(records: Mapping[str, CacheFileRecord]) -> None:
    """Delete the files of *records* by key, and drop these; what cannot be deleted is logged."""
    gone = []
    left = {}
    defaults = _defaults()
    for key, record in records.items():
        names = sorted({record.name, record.published_name} - {""})
        if not all(map(namers.is_inside, names)):
            continue
        try:
            is_default = record.storage == defaults.reference
            storage = (
                defaults.storage if is_default else resolve_storage(record.storage or "default")
            )
            for name in names:
                storage.delete(name)
        except Exception as error:  # noqa: BLE001 -- storages raise what they like
            _logger.warning("%s: %r is left over: %s", record.spec_id, record.name, error)
            left[key] = _replaced(record)
        else:
            gone.append(key)
    access = get_state_access()
    access.drop(gone)
    if left:
        access.put_many(left)
    words = get_active_state_cache() or {}
    for key in records:
        words.pop(key, None)
