"""Files of one source: what can be made of one decode, and how."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from imagekit_registry.cachefiles.backends import BaseAsync, CachedFileBackend, Simple
from imagekit_registry.cachefiles.backends._belief import is_believed
from imagekit_registry.cachefiles.backends._sources import source_fingerprint
from imagekit_registry.cachefiles.files import ImageCacheFile
from imagekit_registry.cachefiles.state import get_active_state_cache
from imagekit_registry.exceptions import (
    EncodingError,
    GenerationError,
    ImageKitError,
    MissingSource,
    ProcessingError,
    UnknownFormat,
)
from imagekit_registry.specs import ImageSpec, generate_together, has_source, refer_to
from imagekit_registry.state import CacheFileRecord, StateAccess

__all__ = [
    "Answer",
    "Item",
    "explained",
    "fetch",
    "item_of",
    "make",
    "remember_many",
    "source_key",
]


@attrs.define(eq=False)
class Item:
    """One file, with what is known of it.

    Args:
        file: The file.
        backend: Its backend.
        key: The key of its state.
        asks_storage: Whether its storage says if it exists; some backends know better.
        positions: The places at which the file, or another one of its name, was handed in.
        before: Its record, believed or not.
    """

    file: Any
    backend: CachedFileBackend
    key: str
    asks_storage: bool
    positions: list[int] = attrs.field(factory=list)
    before: CacheFileRecord | None = None

    @property
    def believed(self) -> CacheFileRecord | None:
        """The record, if it is still to be believed, and about this very recipe."""
        record = self.before
        return record if record is not None and is_believed(self.file, record) else None


#: What was made of a file: its record, or why there is none, and when the making began.
Answer = tuple[Item, CacheFileRecord | ImageKitError, float]


def item_of(file: Any) -> Item | None:
    """Return *file* with its backend, or None if that has a way of its own to make files.

    Raises:
        MissingSource: The file has no source.
    """
    backend = file.cachefile_backend
    if not isinstance(file, ImageCacheFile) or not _makes_plainly(backend):
        return None
    if not file.name:
        raise MissingSource(f"{file.spec_id} has no source: the image field is empty.")
    asks = type(backend)._exists is CachedFileBackend._exists
    return Item(file, backend, backend.get_key(file), asks)


def _makes_plainly(backend: Any) -> bool:
    cls = type(backend)
    return (
        isinstance(backend, CachedFileBackend)
        and cls.generate in {Simple.generate, BaseAsync.generate}
        and cls.generate_now is CachedFileBackend.generate_now
        and cls.make is CachedFileBackend.make
    )


def source_key(file: Any) -> Any:
    """Return what is equal for files that can be made of one decode."""
    generator = file.generator
    if not _shares(generator):
        return id(file)
    source = generator.source
    is_stored = isinstance(getattr(source, "name", None), str)
    if not is_stored or not getattr(source, "_committed", True):
        return id(source), generator.limits
    return str(refer_to(source)), generator.limits


def _shares(generator: Any) -> bool:
    return (
        isinstance(generator, ImageSpec)
        and type(generator).generate is ImageSpec.generate
        and has_source(generator.source)
    )


# States.


def fetch(items: Iterable[Item], fresh: bool = False) -> None:
    """Fetch the records of *items*, in one round trip for each store involved.

    Args:
        items: Where the records go.
        fresh: Whether to ask the store, past what this process remembers.
    """
    by_access: dict[int, tuple[StateAccess, list[Item]]] = {}
    for item in items:
        access = item.backend.states
        by_access.setdefault(id(access), (access, []))[1].append(item)
    for access, members in by_access.values():
        found = access.get_many([item.key for item in members], fresh=fresh)
        for item in members:
            item.before = found.get(item.key)


def remember_many(records: Iterable[tuple[Any, CacheFileRecord]]) -> None:
    """Write down the states of many files, in one write for each store involved."""
    by_access: dict[int, tuple[StateAccess, dict[str, CacheFileRecord]]] = {}
    active = get_active_state_cache()
    for file, record in records:
        access, key = file.cachefile_backend.states, file.cachefile_backend.get_key(file)
        by_access.setdefault(id(access), (access, {}))[1][key] = record
        if active is not None:
            active[key] = record.status
    for access, mapping in by_access.values():
        access.put_many(mapping)


# Images.


def make(items: Sequence[Item], answers: list[Answer]) -> None:
    """Make and publish *items* of one decode; add an answer for each as soon as there is one.

    Args:
        items: Files of one source.
        answers: Where the answers go.
    """
    started = time.monotonic()
    try:
        seen = source_fingerprint(items[0].file)
    except GenerationError as error:
        answers.extend((item, _copy_for(item.file, error), started) for item in items)
        return
    for item, result in zip(items, _render(items), strict=True):
        file = item.file
        if isinstance(result, ImageKitError):
            answers.append((item, result, started))
            continue
        try:
            answers.append((item, item.backend.publish(file, result, started, seen), started))
        except Exception as error:  # noqa: BLE001 -- receivers of our signals are the project's
            answers.append((item, explained(error, file), started))


def _render(items: Sequence[Item]) -> Sequence[Any]:
    """Return an image or an error for each of *items*."""
    first = items[0].file
    try:
        if not _shares(first.generator):
            return [item.backend._render(item.file) for item in items]
        return generate_together([item.file.generator for item in items])
    except (GenerationError, MissingSource) as error:
        return [_copy_for(item.file, error) for item in items]
    except Exception as error:  # noqa: BLE001 -- specs and processors are the project's code
        if len(items) == 1:
            return [explained(error, first)]
    # One of the specs is at fault; it must not take the others with it.
    return [_render([item])[0] for item in items]


def _copy_for(file: Any, error: ImageKitError) -> ImageKitError:
    """Return *error*, which kept a whole source from being read, as that of one file."""
    own = copy.copy(error)
    own.__cause__ = error.__cause__
    if isinstance(own, GenerationError):
        own.spec_id = file.spec_id
    return own


def explained(error: Exception, file: Any) -> ImageKitError:
    """Return *error* as one of ours, which names the spec, the source and the cause."""
    if isinstance(error, GenerationError):
        return error.located(*_place(file))
    if isinstance(error, UnknownFormat):
        wrapped: GenerationError = EncodingError(str(error))
    elif isinstance(error, ImageKitError):
        return error
    else:
        wrapped = ProcessingError(f"the generator raised {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped.located(*_place(file))


def _place(file: Any) -> tuple[str | None, str | None]:
    """Return the spec id and the source's name of *file*, as far as they can be told."""
    try:
        name = getattr(file.source, "name", None)
        return file.spec_id, str(name) if name else None
    except Exception:  # noqa: BLE001 -- a lazy file that cannot be built
        return None, None
