"""Many cache files: grouped by source, in batches and threads, with results in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
from django.db import connections

from imagekit_registry.cachefiles.existence import fetch, invalidate, known, look_up, remember
from imagekit_registry.cachefiles.generation import Making
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.cachefiles.listing import Listing
from imagekit_registry.cachefiles.rendering import completed, explained, source_key
from imagekit_registry.cachefiles.results import (
    Item,
    News,
    Policy,
    Result,
    ResultStatus,
    decide,
    refuse_retry,
)
from imagekit_registry.cachefiles.threads import is_in_event_loop, run_in_background
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import ImageKitError, MissingSource, answer_or
from imagekit_registry.state import Status

if TYPE_CHECKING:
    from imagekit_registry.cachefiles.backends import AbstractCacheFileBackend

__all__ = ["Failure", "Generation", "Outcome", "generate_many"]

#: Groups that wait for each thread, so that none is idle while the main thread looks for more.
AHEAD = 3
#: Groups whose locks others hold, after which the main thread waits for them.
MAX_CONTENDED = 50


@attrs.frozen
class Failure:
    """A cache file that could not be made, and why."""

    file: CacheFile
    error: ImageKitError


@attrs.frozen
class Outcome:
    """What became of many cache files: each is in one of the three, in the order it was given in.

    Args:
        made: Those that were made, or handed to a worker.
        existing: Those that existed already, or that somebody else has made meanwhile.
        failures: Those that could not be made.
    """

    made: tuple[CacheFile, ...] = ()
    existing: tuple[CacheFile, ...] = ()
    failures: tuple[Failure, ...] = ()

    @classmethod
    def of(cls, results: Iterable[Result]) -> Outcome:
        """Return the outcome that *results* tell, in the order of their positions."""
        ordered = sorted(results, key=lambda result: result.position)
        made, existing = (
            tuple(result.file for result in ordered if result.status in statuses)
            for statuses in ({ResultStatus.MADE, ResultStatus.SCHEDULED}, {ResultStatus.EXISTING})
        )
        failed = ((result.file, result.error) for result in ordered)
        return cls(made, existing, tuple(Failure(file, error) for file, error in failed if error))


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
        return _make_in_background(list(files), force)
    return Outcome.of(Generation(force=force).run([files]))


def _make_in_background(files: Sequence[CacheFile], force: bool) -> Outcome:
    """Have files made in a thread, unless their state says that this is done, or is in vain."""
    results: list[Result] = []
    wanted: list[CacheFile] = []
    fetch(files)
    for at, file in enumerate(files):
        try:
            if not force and _is_settled(file):
                results.append(Result(at, file, ResultStatus.EXISTING))
            else:
                wanted.append(file)
                results.append(Result(at, file, ResultStatus.SCHEDULED))
        except ImageKitError as error:
            results.append(Result(at, file, ResultStatus.FAILED, error))
    if wanted:
        key = "\n".join(str(file.name) for file in wanted)
        run_in_background(key, partial(generate_many, wanted, force=force))
    return Outcome.of(results)


def _is_settled(file: CacheFile) -> bool:
    """Return whether *file* exists or is on its way.

    Raises:
        RetryLater: It failed a short while ago.
        NameTaken: Another image has its name.
    """
    if not file.name or file.cachefile_backend.states is None:
        return False
    (record,) = look_up([file], ask_storage=True)
    if record is not None and record.status == Status.FAILED:
        refuse_retry(file, record)
    return record is not None and record.status != Status.MISSING


@attrs.define(eq=False)
class _Running:
    """Files of one source that are being made, by a thread if there is a future."""

    making: Making
    future: Future[None] | None = None


@attrs.define(eq=False)
class Generation:
    """Makes files, those of one source of one decode, with bounded memory for any number.

    Records and locks are the main thread's; threads open sources, make images and publish them, so
    that they need no connection to a database or a cache.

    Args:
        jobs: Number of threads that make images; 1: this one.
        force: Whether to make files that exist.
        retry: Whether to try again what failed a short while ago.
        missing_only: Whether the storage, asked by the folder, decides what is missing, whatever
            the records say.
        dry_run: Whether to make, write and remember nothing.
        here: Whether also those files are made here that their backends hand to workers: this is
            the worker.
        by_listing: Whether to ask the storage by the folder: good for very many files.
        remember_every: Number of records that are written down together; None: all at the end.
    """

    jobs: int = 1
    force: bool = False
    retry: bool = False
    missing_only: bool = False
    dry_run: bool = False
    here: bool = False
    by_listing: bool = False
    remember_every: int | None = None

    _policy: Policy = attrs.field(init=False)
    _news: News = attrs.field(factory=list, init=False)
    _signals: deque[Callable[[], object]] = attrs.field(factory=deque, init=False)
    _queue: deque[_Running | Result] = attrs.field(factory=deque, init=False)
    _contended: deque[list[Item]] = attrs.field(factory=deque, init=False)
    _running: int = attrs.field(default=0, init=False)
    _executor: ThreadPoolExecutor | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        listing = Listing() if self.by_listing or self.missing_only else None
        self._policy = Policy(self.force, self.retry, listing, self.missing_only)

    def run(self, batches: Iterable[Iterable[CacheFile]]) -> Generator[Result, None, None]:
        """Make the files of *batches* and yield what becomes of each.

        The state of a batch is asked for together. Results come in an order that depends on the
        files alone, not on the number of jobs.

        Args:
            batches: Lists of files; the files of one source are best kept in one list.
        """
        if self.jobs > 1 and not self.dry_run:
            self._executor = ThreadPoolExecutor(self.jobs, thread_name_prefix="imagekit")
        count = 0
        window = self.jobs * AHEAD if self._executor is not None else 0
        try:
            for batch in batches:
                files = list(batch)
                groups = self._group(files, count)
                count += len(files)
                for group in groups:
                    self._submit(group)
                    yield from self._emit(window)
                yield from self._emit(window)
                if len(self._contended) >= MAX_CONTENDED:
                    yield from self._wait_for_others()
            yield from self._wait_for_others()
        finally:
            self._close()

    def _close(self) -> None:
        """End in order, also when interrupted: what was made is remembered, no lock is left."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
        try:
            while self._queue:
                entry = self._queue.popleft()
                if isinstance(entry, _Running):
                    self._collect(entry)
        finally:
            self._flush()

    # From files to groups.

    def _group(self, files: Sequence[CacheFile], offset: int) -> list[list[Item]]:
        """Find out which of *files* are to be made; return those, source by source."""
        items: dict[tuple[object, str, str], Item] = {}
        for position, file in enumerate(files, offset):
            try:
                if not file.cachefile_backend.is_plain:
                    self._queue.append(self._make_elsewhere(file, position))
                    continue
                identity = file.identity
                if not identity.name:
                    raise MissingSource(
                        f"{identity.spec_id} has no source: the image field is empty."
                    )
                # Several images may have one name; then each is a file of its own.
                which = "" if identity.name_is_unique else identity.digest
                key = (file.cachefile_backend.states, identity.key, which)
                items.setdefault(key, Item(file)).positions.append(position)
            except Exception as error:  # noqa: BLE001 -- a lazy file runs the project's code
                failure = explained(error, file)
                self._queue.append(Result(position, file, ResultStatus.FAILED, failure))
        # What a worker remembers is older than the message that it was just sent.
        records = fetch([item.file for item in items.values()], fresh=self.here)
        groups: dict[tuple[object, AbstractCacheFileBackend | None], list[Item]] = {}
        if self._policy.listing is not None and self._executor is not None:
            pairs = zip(items.values(), records, strict=True)
            asked = [item.file for item, record in pairs if record is None or self.missing_only]
            self._policy.listing.prepare(asked, self._executor)
        for item, record in zip(items.values(), records, strict=True):
            item.before = record
            try:
                backend = item.file.cachefile_backend
                worker = backend if backend.is_async and not self.here else None
                if decide(item, self._policy, self._news, here=worker is None):
                    groups.setdefault((source_key(item.file), worker), []).append(item)
                else:
                    self._queue.extend(item.results(ResultStatus.EXISTING))
            except Exception as error:  # noqa: BLE001 -- as above
                failure = explained(error, item.file)
                self._queue.extend(item.results(ResultStatus.FAILED, failure))
        if any(worker is not None for _, worker in groups):
            # Who tells a worker need not ask the storage again.
            self._flush()
        return list(groups.values())

    def _make_elsewhere(self, file: CacheFile, position: int) -> Result:
        """Have a file made by a backend that has its own way to do so."""
        backend = file.cachefile_backend
        if not self.force and not backend.is_async and backend.exists(file):
            return Result(position, file, ResultStatus.EXISTING)
        if self.dry_run:
            return Result(position, file, ResultStatus.WANTED)
        if self.here:
            backend.generate_now(file, force=self.force)
        else:
            backend.generate(file, force=self.force)
            if backend.is_async:
                return Result(position, file, ResultStatus.SCHEDULED)
        return Result(position, file, ResultStatus.MADE)

    def _hand_over(self, group: list[Item], backend: AbstractCacheFileBackend) -> None:
        """Hand files of one source to a worker."""
        failed: list[Item] = []
        others: list[Item] = []
        for item in group:
            status = item.status()
            if status == Status.EXISTS and not self.force:
                # Its storage does not have it.
                invalidate(item.file)
            (failed if self.force or status == Status.FAILED else others).append(item)
        # What has failed a short while ago, and is wanted all the same, is asked for with force.
        for items, force in ((others, False), (failed, True)):
            try:
                backend.hand_over([item.file for item in items], force=force)
            except Exception as error:  # noqa: BLE001 -- queues raise what their clients raise
                for item in items:
                    failure = explained(error, item.file)
                    self._queue.extend(item.results(ResultStatus.FAILED, failure))
            else:
                for item in items:
                    # What no worker could find was made at once, as all is by an eager queue.
                    record = known(item.file)
                    is_there = record is not None and record.status == Status.EXISTS
                    is_made = is_there and record != item.before
                    became = ResultStatus.MADE if is_made else ResultStatus.SCHEDULED
                    self._queue.extend(item.results(became))

    # From groups to images.

    def _submit(self, group: list[Item], wait: float = 0) -> None:
        if self.dry_run:
            for item in group:
                self._queue.extend(item.results(ResultStatus.WANTED))
            return
        backend = group[0].file.cachefile_backend
        if backend.is_async and not self.here:
            self._hand_over(group, backend)
            return
        making = Making(group, self._policy, contended=wait > 0)
        running = _Running(making)
        self._queue.append(running)
        left = making.lock(wait)
        if left:
            self._contended.append(left)
        if not making.todo:
            making.locks.close()
        elif self._executor is None:
            making.make()
        else:
            self._running += 1
            running.future = self._executor.submit(_make, making)

    def _wait_for_others(self) -> Iterator[Result]:
        """Take care of the files that others were making when we came to them."""
        yield from self._emit(0)
        self._flush()
        ends_at = time.monotonic() + conf.LOCK_WAIT
        while self._contended:
            group = self._contended.popleft()
            self._submit(group, wait=max(ends_at - time.monotonic(), 0.001))
            yield from self._emit(0)

    # From images to results.

    def _emit(self, window: int) -> Iterator[Result]:
        """Yield what is decided, in order, until no more than *window* groups are running."""
        while self._queue:
            entry = self._queue[0]
            if isinstance(entry, Result):
                self._queue.popleft()
                yield entry
                continue
            if entry.future is not None:
                if not entry.future.done() and self._running <= window:
                    return
                entry.future.result()
            self._queue.popleft()
            yield from self._collect(entry)

    def _collect(self, running: _Running) -> list[Result]:
        """Write down what has become of a group, and let go of its locks."""
        if running.future is not None:
            self._running -= 1
        making = running.making
        with making.locks:
            results = making.finish()
            self._news += making.news
            self._signals += making.signals
            is_full = self.remember_every is not None and len(self._news) >= self.remember_every
            if is_full or any(not item.file.identity.name_is_unique for item in making.todo):
                # Whoever wants such a name for another image must find it taken.
                self._flush()
        return results

    def _flush(self) -> None:
        news, self._news = [] if self.dry_run else self._news, []
        for at, (file, record) in enumerate(news):
            if self.by_listing and record.size is None:
                # It was found, not made. A command has the time; a page reads what it shows.
                news[at] = (file, answer_or(record, completed, file, record))
        if news:
            remember(news)
        while self._signals:
            self._signals.popleft()()


def _make(making: Making) -> None:
    try:
        making.make()
    finally:
        # A receiver of a signal may have used the database; its connection must not outlive us.
        connections.close_all()
