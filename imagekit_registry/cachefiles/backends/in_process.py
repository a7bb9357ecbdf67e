"""Backends whose files are made by the process that shows them, but not while a page waits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.fields.files import FieldFile

from imagekit_registry.cachefiles.backends.asynchronous import BaseAsync, forget_announced
from imagekit_registry.cachefiles.bulk import Generation
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.cachefiles.results import Result
from imagekit_registry.cachefiles.threads import Pool, is_in_event_loop, run_quietly
from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.specs import is_open, is_stored
from imagekit_registry.state import Scope, current_scope

__all__ = ["AfterResponse", "Threads", "make_here"]


def make_here(files: Sequence[CacheFile], force: bool = False) -> list[Result]:
    """Make *files* in this process, whatever their backends, those of one source of one decode.

    What they are made of comes first, if that is an image as well.

    Returns:
        What became of each, and of those; nothing is raised for single files.
    """
    sources = _made_sources(files)
    made = list(Generation(here=True).run([sources])) if sources else []
    return [*made, *Generation(force=force, here=True).run([files])]


def _made_sources(files: Sequence[CacheFile]) -> list[CacheFile]:
    """Return the sources of *files* that are cache files themselves, with theirs before them."""
    sources = [file.source for file in files if isinstance(file.source, CacheFile)]
    return [*_made_sources(sources), *sources] if sources else []


def _request() -> Scope | None:
    """Return the scope of the request that is being answered; None if nothing is."""
    scope = current_scope()
    return scope if scope is not None and scope.of_request else None


class _LaterHere(BaseAsync):
    """The base of these backends: what would not be the same later is made at once."""

    def schedule_together(self, files: Sequence[CacheFile], force: bool = False) -> None:
        """Have *files* made later, but for those of uploads and of sources that are being read."""
        at_rest = [file for file in files if is_stored(file.source) and not is_open(file.source)]
        if at_rest:
            self.keep(at_rest, force)
        for file in files:
            if file not in at_rest:
                self.generate_now(file, force)

    def keep(self, files: Sequence[CacheFile], force: bool) -> None:
        """Have *files* made later."""
        raise NotImplementedError


class Threads(_LaterHere):
    """Have images made by threads of this process, which wait for no page, nor pages for them.

    What was handed to them is made before the process ends, unless that is killed: uvicorn, where
    no process manager runs it, ends itself by the signal that it got. What was lost is handed over
    anew by a page, ``IMAGEKIT_LOCK_TIMEOUT`` later at most. While as much waits as may, pages hand
    over nothing more, but later ones do; commands make it themselves.

    Args:
        workers: Number of threads.
        waiting: Number of messages that may wait for them: of single images, or of images that are
            made of one decode.

    Raises:
        InvalidConfiguration: Fewer than one thread, or than nothing waiting.

    Example:
        >>> class Large(ImageSpec):
        ...     cachefile_backend = Threads(workers=4)
    """

    def __init__(self, workers: int = 2, waiting: int = 100) -> None:
        if workers < 1 or waiting < 0:
            raise InvalidConfiguration(
                f"Threads(workers={workers!r}, waiting={waiting!r}): there must be 1 worker or more,"
                " and 0 or more waiting."
            )
        self._pool = Pool(workers, waiting)

    def hand_over(self, files: Sequence[CacheFile], force: bool = False) -> None:
        """Have those of *files* made that are not known to exist, to be on their way, or to fail.

        Raises:
            NameTaken: Another image has the name of one of them.
        """
        if not self._pool.is_full():
            super().hand_over(files, force)
        elif _request() is None:
            # Nobody comes later: who fills the threads, as commands do, helps.
            make_here(files, force)

    def keep(self, files: Sequence[CacheFile], force: bool) -> None:
        """Hand *files* to a thread, when what is known of them is committed."""
        start = partial(self._start, files, force)
        source = files[0].source
        database = source.instance._state.db if isinstance(source, FieldFile) else None
        # In an event loop there is no transaction.
        if not is_in_event_loop() and transaction.get_connection(database).in_atomic_block:
            transaction.on_commit(start, using=database)
        else:
            start()

    def _start(self, files: Sequence[CacheFile], force: bool) -> None:
        key = "\n".join(file.identity.key for file in files)
        if not self._pool.run(key, partial(make_here, files, force)):
            forget_announced(files)


class AfterResponse(_LaterHere):
    """Have images made when the response has been sent: the first page that shows one does not wait.

    The thread that has answered makes them, before it takes the next request. Where nothing is
    answered (in a command, a worker or a shell) they are made at once.

    Example:
        >>> class Large(ImageSpec):
        ...     cachefile_backend = "imagekit_registry.cachefiles.backends.AfterResponse"
    """

    def keep(self, files: Sequence[CacheFile], force: bool) -> None:
        """Keep *files* until the response has been sent."""
        request = _request()
        if request is not None:
            request.at_end[_make_forced if force else _make_missing].extend(files)
        else:
            make_here(files, force)


def _make_missing(files: Sequence[CacheFile], force: bool = False) -> None:
    before = _open_connections()
    run_quietly(partial(make_here, files, force))
    for connection in _open_connections():
        if connection not in before:
            # Django has closed those of the request already.
            connection.close_if_unusable_or_obsolete()


def _open_connections() -> list[BaseDatabaseWrapper]:
    return [each for each in connections.all(initialized_only=True) if each.connection is not None]


_make_forced = partial(_make_missing, force=True)
