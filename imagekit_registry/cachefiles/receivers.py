"""What becomes of cache files when their source was saved or deleted.

The app connects these to the signals of source groups; they are imported with the first of these.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Literal

import attrs

from imagekit_registry._loading import get_by_qname
from imagekit_registry.cachefiles import namers
from imagekit_registry.cachefiles.bulk import generate_many
from imagekit_registry.cachefiles.deletion import Look, defaults, delete
from imagekit_registry.cachefiles.existence import fetch, remember
from imagekit_registry.cachefiles.files import ImageCacheFile, get_image
from imagekit_registry.cachefiles.identity import state_keys
from imagekit_registry.cachefiles.rendering import log_failure
from imagekit_registry.cachefiles.strategies import (
    Strategy,
    deletes_when,
    load_strategy,
    makes_when_saved,
    reacts_to,
)
from imagekit_registry.cachefiles.verification import forget_content
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import GenerationError, ImageKitError, NotRegistered, answer_or
from imagekit_registry.registry import generator_registry, source_group_registry
from imagekit_registry.specs import ImageSpec, SourceReference, has_source, refer_to
from imagekit_registry.state import CacheFileRecord, Status, get_state_access

__all__ = [
    "mark_stale",
    "on_source_deleted",
    "on_source_moved",
    "on_source_saved",
    "on_source_written",
    "on_sources_deleted",
    "on_sources_saved",
]

Event = Literal["on_source_saved", "on_source_deleted"]
#: A source group, and the source that it tells of.
_Announced = tuple[object, object]

_logger = logging.getLogger("imagekit_registry.cachefiles")


def on_source_saved(
    sender: object, source: object, is_one_of_many: bool = False, **kwargs: object
) -> None:
    """Tell the strategies of what is made of *source*; those of many are told together."""
    if not is_one_of_many:
        _tell("on_source_saved", [(sender, source)])


def on_source_deleted(
    sender: object, source: object, is_one_of_many: bool = False, **kwargs: object
) -> None:
    """Tell the strategies of what was made of *source*; those of many are told together."""
    if not is_one_of_many:
        _tell("on_source_deleted", [(sender, source)])


def on_sources_saved(sources: Sequence[_Announced], **kwargs: object) -> None:
    """Tell the strategies of what is made of *sources*: of one transaction."""
    _tell("on_source_saved", sources)


def on_sources_deleted(sources: Sequence[_Announced], **kwargs: object) -> None:
    """Tell the strategies of what was made of *sources*: of one transaction."""
    _tell("on_source_deleted", sources)


def on_source_moved(sender: object, source: object, former: object, **kwargs: object) -> None:
    """Tell the strategies of what is cropped around the point: the file that was, and that to be."""
    for spec_id in source_group_registry.ids_of(sender):
        old, new = get_image(spec_id, source=former), get_image(spec_id, source=source)
        if old.identity != new.identity:
            if old.name != new.name:
                _call(old.cachefile_strategy.on_source_deleted, old)
            _call(new.cachefile_strategy.on_source_saved, new)


def on_source_written(sender: object, source: object, **kwargs: object) -> None:
    """Have all that was made of *source* made anew when it is needed next; the files stay."""
    forget_content(source)
    mark_stale(source, source_group_registry.ids_of(sender))


def mark_stale(source: object, spec_ids: Iterable[str]) -> None:
    """Have all that was made of *source* made anew when it is needed next; the files stay.

    Args:
        source: What specs take.
        spec_ids: Ids of generators that make something of it; the others are found by records.
    """
    files = [get_image(spec_id, source=source) for spec_id in spec_ids]
    own = zip(files, fetch(files), strict=True)
    remember([(file, record.replaced()) for file, record in own if record is not None])
    look = Look()
    seen: dict[str, CacheFileRecord] = {}
    sources = [refer_to(source), *map(refer_to, files)]
    while sources:
        made = look.find({str(each): each for each in sources})
        found = {key: each for key, each in made.items() if key not in seen}
        get_state_access().put_many({key: each.replaced() for key, each in found.items()})
        seen |= found
        sources = [SourceReference(each.name, each.storage) for each in found.values()]


@attrs.define(eq=False, slots=False)
class _Root:
    """A source of which something was told.

    Args:
        source: The source.
        reference: How records name it.
    """

    source: object
    reference: SourceReference
    groups: list[object] = attrs.field(factory=list, init=False)

    @cached_property
    def spec_ids(self) -> list[str]:
        """The ids of the generators that its groups feed."""
        ids_of = source_group_registry.ids_of
        return list(dict.fromkeys(each for group in self.groups for each in ids_of(group)))

    @cached_property
    def bound(self) -> set[str]:
        """The ids whose groups tell them of the source themselves, those of a child's model for one."""
        told = {id(group): True for group in self.groups}
        bound = set()
        for known in source_group_registry.registered():
            if id(known.group) not in told:
                told[id(known.group)] = bool(known.is_told_of(self.source))
            if told[id(known.group)]:
                bound.add(known.spec_id)
        return bound


def _tell(event: Event, announced: Sequence[_Announced]) -> None:
    """Tell the strategies of what was made of sources, and in turn of all that was made of these.

    A strategy that deletes needs the names alone; files are built for the others.
    """
    roots: dict[str, _Root] = {}
    for group, source in announced:
        if has_source(source):
            reference = refer_to(source)
            roots.setdefault(str(reference), _Root(source, reference)).groups.append(group)
    _forget_contents([root.source for root in roots.values()])
    look = Look()
    records = look.find({name: root.reference for name, root in roots.items()})
    deleted = _deleted_by_name(
        dict.fromkeys(spec_id for r in roots.values() for spec_id in r.spec_ids), event
    )
    if event == "on_source_saved" or not look.is_complete:
        # What a former source was too broken for has a record, and no file that could be listed.
        by_name = _by_name(roots, deleted)
        known = look.known(by_name)
        # Most of a saved source are new: there is no file. A forgotten one is older, and so stale.
        records = (known if event == "on_source_saved" else by_name | known) | records
    files = [
        (get_image(each, source=root.source), root)
        for root in roots.values()
        for each in root.spec_ids
        if each not in deleted
    ]
    try:
        _call_all(event, [file for file, _ in files])
    finally:
        # An error that a developer is shown must not leave former images on the pages.
        _Others(event, roots, look, deleted).tell(files, records)


def _forget_contents(sources: Iterable[object]) -> None:
    """Forget what *sources* held, if anything is named by it."""
    if _is_any_named_by_content(generator_registry.version, conf.SPEC_CACHEFILE_NAMER):
        for source in sources:
            forget_content(source)


@lru_cache(maxsize=1)
def _is_any_named_by_content(version: int, default: str) -> bool:
    """Return whether a spec of the registry, in its *version*, has the namer `content_hash`."""
    specs = map(generator_registry.lookup, generator_registry.get_ids())
    wanted = [default, *(getattr(spec, "namer", None) for spec in specs)]
    loaded = [get_by_qname(each, "namer") if isinstance(each, str) else each for each in wanted]
    return namers.content_hash in loaded


def _by_name(roots: Mapping[str, _Root], spec_ids: set[str]) -> dict[str, CacheFileRecord]:
    """Return records, by key, of the files of *spec_ids*: what they may be called, and no more."""
    found = {}
    where = defaults().reference
    for source, root in roots.items():
        for spec_id in spec_ids.intersection(root.spec_ids):
            file = answer_or(None, get_image, spec_id, source=root.source)
            # What cannot be named, by a lambda among its processors say, has no file.
            names = file.identity.names if file is not None else ()
            for key, name in zip(state_keys(where, names), names, strict=True):
                found[key] = CacheFileRecord(
                    name=name,
                    storage=where,
                    status=Status.MISSING,
                    spec_id=spec_id,
                    source=source,
                )
    return found


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


def _call(callback: Callable[[ImageCacheFile], object], file: ImageCacheFile) -> None:
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
    if isinstance(error, GenerationError):
        log_failure(error)
    else:
        _logger.warning("%s", error)


@attrs.define(eq=False)
class _Others:
    """What was made of sources besides the files of their groups, and in turn of all these.

    With what arguments tags have made them is nobody's knowledge, so that most of them cannot be
    made anew here: they are removed, and made when they are asked for next.

    Args:
        event: What has happened to the sources.
        roots: The sources, by what records call them; and what was made of them, as it is found.
        look: What finds records.
        deleted: The ids whose files are deleted by their names.
    """

    event: Event
    roots: dict[str, _Root]
    look: Look
    deleted: set[str]

    def tell(
        self, files: Sequence[tuple[ImageCacheFile, _Root]], records: dict[str, CacheFileRecord]
    ) -> None:
        """Tell the strategies of *records* by key, and of what was made of these and of *files*."""
        seen = set()
        sources = {}
        # What has another name by now is of a former content.
        by_content = {f.spec_id for f, _ in files if f.spec._namer() is namers.content_hash}
        for file, root in files:
            identity = file.identity
            seen.add((identity.storage, identity.name))
            reference = SourceReference(identity.name, identity.storage)
            sources[name := str(reference)] = reference
            self.roots[name] = root
        while records or sources:
            gone, made = {}, []
            for key, record in records.items():
                place, root = (record.storage, record.name), self.roots[record.source]
                is_deleted = record.spec_id in self.deleted | by_content
                if place in seen or (not is_deleted and record.spec_id in root.bound):
                    continue
                seen.add(place)
                if record.status != Status.MISSING or not self.look.is_complete:
                    made.append((SourceReference(record.name, record.storage), root))
                if is_deleted or not self._is_told(record, root.source):
                    gone[key] = record
            delete(gone)
            for reference, root in made:
                sources[name := str(reference)] = reference
                self.roots.setdefault(name, root)
            records, sources = self.look.find(sources) if sources else {}, {}

    def _is_told(self, record: CacheFileRecord, source: object) -> bool:
        """Tell a strategy of the file of *record*; return False if that comes to deleting it."""
        strategy = _strategy_of(record.spec_id)
        if strategy is not None and deletes_when(strategy, self.event):
            return False
        file = _built_anew(record, source)
        if file is not None:
            _call(getattr(file.cachefile_strategy, self.event), file)
            return True
        return strategy is not None and not reacts_to(strategy, self.event)


def _built_anew(record: CacheFileRecord, source: object) -> ImageCacheFile | None:
    """Return the file of *record*, if its spec needs nothing but the source for it."""
    file = answer_or(None, get_image, record.spec_id, source=source)
    return file if file is not None and file.name == record.name else None


def _strategy_of(spec_id: str) -> Strategy | None:
    """Return the strategy of a generator; None if only its files tell."""
    try:
        own = getattr(generator_registry.lookup(spec_id), "cachefile_strategy", None)
    except NotRegistered:
        own = None
    if isinstance(own, property):
        return None
    return load_strategy(own) if own else defaults().strategy


def _deleted_by_name(spec_ids: Iterable[str], event: Event) -> set[str]:
    """Return those of *spec_ids* whose files *event* does no more than delete.

    Their names are the default namer's, and their records in the default store.
    """
    deleted: set[str] = set()
    usual = defaults()
    for spec_id in spec_ids if usual.is_plain else ():
        spec: object = generator_registry.lookup(spec_id)
        if not (isinstance(spec, type) and issubclass(spec, ImageSpec)):
            continue
        has_own_place = spec.namer or spec.cachefile_storage or spec.cachefile_backend
        has_own_name = spec.cachefile_name is not ImageSpec.cachefile_name
        own = spec.cachefile_strategy
        if isinstance(own, property) or has_own_place or has_own_name:
            continue
        if deletes_when(load_strategy(own) if own else usual.strategy, event):
            deleted.add(spec_id)
    return deleted
