"""Many cache files at once: their states in one round trip, each source opened once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import attrs

from imagekit_registry.cachefiles._owners import needs_record
from imagekit_registry.cachefiles.backends import CachedFileBackend
from imagekit_registry.cachefiles.bulk import Fate, Pipeline
from imagekit_registry.cachefiles.threads import is_in_event_loop, run_in_background
from imagekit_registry.exceptions import ImageKitError, InvalidArgument
from imagekit_registry.state import StateAccess, Status

__all__ = ["Failure", "Outcome", "generate_many", "prefetch_images", "prefetch_records"]


@attrs.frozen
class Failure:
    """A cache file that could not be made, and why."""

    file: Any
    error: ImageKitError


@attrs.frozen
class Outcome:
    """What became of many cache files: each is in one of the three, in the order it was given in.

    Args:
        made: Those that were made, or handed to a worker.
        existing: Those that existed already, or that somebody else has made meanwhile.
        failures: Those that could not be made.
    """

    made: tuple[Any, ...] = ()
    existing: tuple[Any, ...] = ()
    failures: tuple[Failure, ...] = ()


def generate_many(files: Iterable[Any], *, force: bool = False) -> Outcome:
    """Make many cache files; those of one source together, of one decode.

    The state of all is read in one round trip, and written in another. While a file is being made
    it is locked, as by ``file.generate()``: one that somebody else is making is waited for, up to
    ``IMAGEKIT_LOCK_WAIT`` seconds for all of them together.

    In an event loop (an async view) threads make them, and nobody waits.

    Args:
        files: Cache files; several of one name are made once, and share their fate.
        force: Whether to make them even if they exist.

    Returns:
        What was made, what existed, and what failed; nothing is raised for single files.

    Example:
        >>> generate_many([photo.thumbnail, photo.banner]).failures
        ()
    """
    if is_in_event_loop():
        return _hand_over(list(files), force)
    fates = sorted(Pipeline(force=force).run([files]), key=lambda fate: fate.position)
    return Outcome(
        made=tuple(fate.file for fate in fates if fate.status == Fate.MADE),
        existing=tuple(fate.file for fate in fates if fate.status == Fate.EXISTING),
        failures=tuple(Failure(fate.file, fate.error) for fate in fates if fate.error is not None),
    )


def _hand_over(files: Sequence[Any], force: bool) -> Outcome:
    """Have files made in a thread, unless their state says that this is done, or is in vain."""
    prefetch_records(file for file in files if file.name)
    wanted: list[Any] = []
    existing: list[Any] = []
    failures: list[Failure] = []
    for file in files:
        known = getattr(file.cachefile_backend, "known_record", None)
        record = known(file) if known is not None and file.name and not force else None
        try:
            if record is None or record.status == Status.MISSING:
                _refuse_if_taken(file)
                wanted.append(file)
            elif record.status == Status.EXISTS or file.cachefile_backend.is_wanting(file):
                existing.append(file)
        except ImageKitError as error:
            failures.append(Failure(file, error))
    if wanted:
        key = "\n".join(str(file.name) for file in wanted)
        run_in_background(key, partial(_make_all, wanted, force))
    return Outcome(tuple(wanted), tuple(existing), tuple(failures))


def _refuse_if_taken(file: Any) -> None:
    """Raise `NameTaken` before a thread is started that would raise it."""
    backend = file.cachefile_backend
    if file.name and needs_record(file) and isinstance(backend, CachedFileBackend):
        backend.refuse_if_taken(file, backend.states.get(backend.get_key(file)))


def _make_all(files: Sequence[Any], force: bool) -> None:
    generate_many(files, force=force)


def prefetch_records(files: Iterable[Any]) -> None:
    """Fetch the state of *files*, in one round trip for each store involved."""
    by_access: dict[int, tuple[StateAccess, set[str]]] = {}
    for file in files:
        backend = file.cachefile_backend
        if file.name and isinstance(backend, CachedFileBackend):
            access = backend.states
            by_access.setdefault(id(access), (access, set()))[1].add(backend.get_key(file))
    for access, keys in by_access.values():
        access.get_many(keys)


def prefetch_images(objects: Iterable[Any], *spec_fields: str) -> list[Any]:
    """Fetch the state of the images of many model instances in one round trip.

    Args:
        objects: Model instances, or a queryset of them.
        *spec_fields: Names of their image spec fields; ``"author__avatar"`` or ``"author.avatar"``
            is one of a related object, or of all related objects. Fetch those before
            (``select_related``, ``prefetch_related``): each one that is not there is a query.

    Returns:
        The instances, as a list.

    Raises:
        InvalidArgument: The instances have no attribute of such a name.

    Example:
        >>> photos = prefetch_images(Photo.objects.all()[:50], "thumbnail", "banner")
    """
    instances = list(objects)
    paths = [name.replace(".", "__").split("__") for name in spec_fields]
    files = (file for item in instances for path in paths for file in _follow(item, path))
    prefetch_records(file for file in files if hasattr(file, "cachefile_backend"))
    return instances


def _follow(item: Any, path: Sequence[str]) -> Iterator[Any]:
    """Yield what *path* leads to; nothing where a relation is empty."""
    if item is None:
        return
    if not path:
        yield item
        return
    try:
        value = getattr(item, path[0])
    except ImageKitError:
        # Whoever asks this one for its image is told.
        return
    except AttributeError as error:
        if hasattr(type(item), path[0]):
            # A relation to one object that is not there, or an error inside of a property.
            if hasattr(getattr(type(item), path[0]), "related"):
                return
            raise
        raise InvalidArgument(
            f"prefetch_images: {type(item).__name__} has no attribute {path[0]!r}"
        ) from error
    if len(path) > 1 and hasattr(value, "all"):
        for related in value.all():
            yield from _follow(related, path[1:])
    else:
        yield from _follow(value, path[1:])
