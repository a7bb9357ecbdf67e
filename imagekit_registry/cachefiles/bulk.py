"""Many files through one pipeline: asked for together, made by source, remembered together.

States, locks and signals of failures are the main thread's; workers open sources, make images and
publish them, so that they need no connection to a database or a cache.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import attrs
from django.db import connections

from imagekit_registry.cachefiles import generation
from imagekit_registry.cachefiles._owners import needs_record
from imagekit_registry.cachefiles._wanted import Inquiry
from imagekit_registry.cachefiles.backends import BaseAsync, CachedFileBackend
from imagekit_registry.cachefiles.generation import Item, fetch, remember_many
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import GenerationError, ImageKitError, LockTimeout
from imagekit_registry.state import CacheFileRecord, Status

__all__ = ["Fate", "Pipeline"]

#: Tasks that wait for each worker, so that none is idle while the main thread looks for more.
AHEAD = 3
#: Tasks whose locks others hold, after which the main thread waits for them.
MAX_CONTENDED = 50


@attrs.frozen
class Fate:
    """What became of one file.

    Args:
        position: The place of the file among all that were handed in, from 0.
        file: The file.
        status: One of the constants of this class.
        error: Why it could not be made.
    """

    MADE = "made"
    EXISTING = "existing"
    FAILED = "failed"
    #: It would be made; the answer of a dry run.
    WANTED = "wanted"

    position: int
    file: Any
    status: str
    error: ImageKitError | None = None


@attrs.define(eq=False)
class _Task:
    """Files of one source, on their way through the pipeline.

    Args:
        items: The files.
        worker: The backend that hands them to a worker; None: they are made here.
    """

    items: list[Item]
    worker: BaseAsync | None = None
    contended: bool = False
    locks: ExitStack = attrs.field(factory=ExitStack)
    todo: list[Item] = attrs.field(factory=list)
    fates: list[Fate] = attrs.field(factory=list)
    answers: list[generation.Answer] = attrs.field(factory=list)
    future: Future[None] | None = None


@attrs.define(eq=False)
class Pipeline:
    """Makes files, those of one source of one decode, with bounded memory for any number.

    Args:
        jobs: Number of threads that make images; 1: this one.
        force: Whether to make files that exist.
        retry: Whether to try again what failed a short while ago.
        missing_only: Whether the storage, asked by the folder, decides what is missing, whatever
            the states say.
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

    _inquiry: Inquiry = attrs.field(init=False)
    _records: list[tuple[Any, CacheFileRecord]] = attrs.field(factory=list, init=False)
    _queue: deque[_Task | Fate] = attrs.field(factory=deque, init=False)
    _contended: deque[_Task] = attrs.field(factory=deque, init=False)
    _running: int = attrs.field(default=0, init=False)
    _executor: ThreadPoolExecutor | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._inquiry = Inquiry(
            force=self.force,
            retry=self.retry,
            missing_only=self.missing_only,
            by_listing=self.by_listing or self.missing_only,
            remember=self._remember,
        )

    def run(self, batches: Iterable[Iterable[Any]]) -> Generator[Fate, None, None]:
        """Make the files of *batches* and yield what becomes of each.

        The states of a batch are asked for together. Fates come in an order that depends on the
        files alone, not on the number of jobs.

        Args:
            batches: Lists of files; the files of one source are best kept in one list.
        """
        if self.jobs > 1 and not self.dry_run:
            self._executor = ThreadPoolExecutor(self.jobs, thread_name_prefix="imagekit")
        count = 0
        try:
            for batch in batches:
                files = list(batch)
                tasks = self._prepare(files, count)
                count += len(files)
                for task in tasks:
                    self._submit(task, wait=0)
                    yield from self._emit(self._window)
                yield from self._emit(self._window)
                if len(self._contended) >= MAX_CONTENDED:
                    yield from self._wait_for_others()
            yield from self._emit(0)
            yield from self._wait_for_others()
        finally:
            self._close()

    @property
    def _window(self) -> int:
        return self.jobs * AHEAD if self._executor is not None else 0

    def _close(self) -> None:
        """End in order, also when interrupted: what was made is remembered, no lock is left."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
        try:
            while self._queue:
                entry = self._queue.popleft()
                if isinstance(entry, _Task):
                    self._collect(entry)
        finally:
            self._flush()

    # From files to tasks.

    def _prepare(self, files: Sequence[Any], offset: int) -> list[_Task]:
        """Find out which of *files* are to be made; return those, source by source."""
        items: dict[tuple[int, str, str], Item] = {}
        for position, file in enumerate(files, offset):
            try:
                item = generation.item_of(file)
                if item is None:
                    self._queue.append(self._make_elsewhere(file, position))
                    continue
                # Several images may have one name; then each is a file of its own.
                which = str(file.digest) if needs_record(file) else ""
                known = items.setdefault((id(item.backend.states), item.key, which), item)
                known.positions.append(position)
            except Exception as error:  # noqa: BLE001 -- a lazy file runs the project's code
                failure = generation.explained(error, file)
                self._queue.append(Fate(position, file, Fate.FAILED, failure))
        # What a worker remembers is older than the message that it was just sent.
        fetch(items.values(), fresh=self.here)
        tasks: dict[Any, _Task] = {}
        for item in items.values():
            try:
                if self._inquiry.is_wanted(item):
                    worker = self._worker_of(item)
                    key = (generation.source_key(item.file), id(worker))
                    tasks.setdefault(key, _Task([], worker)).items.append(item)
                else:
                    self._queue.extend(_fates(item, Fate.EXISTING))
            except Exception as error:  # noqa: BLE001 -- as above
                failure = generation.explained(error, item.file)
                self._queue.extend(_fates(item, Fate.FAILED, failure))
        return list(tasks.values())

    def _make_elsewhere(self, file: Any, position: int) -> Fate:
        """Have a file made by a backend that has its own way to do so."""
        is_async = getattr(file.cachefile_backend, "is_async", False)
        if not self.force and not is_async and file.exists():
            return Fate(position, file, Fate.EXISTING)
        if self.dry_run:
            return Fate(position, file, Fate.WANTED)
        if self.here and isinstance(file.cachefile_backend, CachedFileBackend):
            file.cachefile_backend.generate_now(file, force=self.force)
        else:
            file.generate(force=self.force)
        return Fate(position, file, Fate.MADE)

    def _worker_of(self, item: Item) -> BaseAsync | None:
        """Return the backend that hands a file to a worker; None if it is made here."""
        backend = item.backend
        return backend if isinstance(backend, BaseAsync) and not self.here else None

    def _hand_over(self, task: _Task, backend: BaseAsync) -> None:
        """Hand files of one source to a worker."""
        for item in task.items:
            if _is_known_as(item, Status.EXISTS) and not self.force:
                # Its storage does not have it.
                backend.doubt(item.file)
        for force in (False, True):
            # What has failed a short while ago, and is wanted all the same, is asked for with force.
            items = [
                item
                for item in task.items
                if (self.force or _is_known_as(item, Status.FAILED)) == force
            ]
            try:
                backend.hand_over([item.file for item in items], force=force)
            except Exception as error:  # noqa: BLE001 -- queues raise what their clients raise
                for item in items:
                    failure = generation.explained(error, item.file)
                    self._queue.extend(_fates(item, Fate.FAILED, failure))
            else:
                for item in items:
                    self._queue.extend(_fates(item, Fate.MADE))

    # From tasks to images.

    def _submit(self, task: _Task, wait: float) -> None:
        if self.dry_run:
            for item in task.items:
                self._queue.extend(_fates(item, Fate.WANTED))
            return
        if task.worker is not None:
            self._hand_over(task, task.worker)
            return
        self._queue.append(task)
        self._lock(task, wait)
        self._recheck(task)
        if not task.todo:
            task.locks.close()
        elif self._executor is None:
            generation.make(task.todo, task.answers)
        else:
            self._running += 1
            task.future = self._executor.submit(_work, task)

    def _lock(self, task: _Task, wait: float) -> None:
        """Lock the files of *task*; those that others are making are left for later.

        Only the first is waited for, while no lock is held: so nobody waits in a circle.
        """
        left: list[Item] = []
        # One order for all: the first of a source is the same for everybody.
        for item in sorted(task.items, key=lambda item: item.key):
            may_wait = wait if not task.todo else 0
            try:
                if self._acquire(task, item, may_wait):
                    task.todo.append(item)
                else:
                    task.fates.extend(_fates(item, Fate.EXISTING))
            except LockTimeout as error:
                if wait and may_wait:
                    source = getattr(item.file.source, "name", None)
                    error.located(item.file.spec_id, source)
                    task.fates.extend(_fates(item, Fate.FAILED, error))
                else:
                    left.append(item)
            except ImageKitError as error:
                task.fates.extend(_fates(item, Fate.FAILED, error))
        if left:
            self._contended.append(_Task(left, contended=True))

    def _acquire(self, task: _Task, item: Item, wait: float) -> bool:
        """Lock one file; return False if others have made it while it was waited for."""
        tries = 0

        def is_done() -> bool:
            nonlocal tries
            tries += 1
            if tries == 1 or self.force:
                return False
            fetch([item], fresh=True)
            record = item.believed
            return record is not None and record.status == Status.EXISTS

        lease = task.locks.enter_context(item.backend.lock(item.file, wait, is_done))
        return lease.acquired

    def _recheck(self, task: _Task) -> None:
        """Let go of what others have made between our question and our lock."""
        if not task.todo or (self.force and not any(needs_record(it.file) for it in task.todo)):
            return
        before = {id(item): item.before for item in task.todo}
        fetch(task.todo, fresh=True)
        todo = []
        for item in task.todo:
            try:
                if self._inquiry.is_still_wanted(item, before[id(item)], task.contended):
                    todo.append(item)
                else:
                    task.fates.extend(_fates(item, Fate.EXISTING))
            except GenerationError as error:
                task.fates.extend(_fates(item, Fate.FAILED, error))
        task.todo = todo

    def _wait_for_others(self) -> Iterator[Fate]:
        """Take care of the files that others were making when we came to them."""
        if not self._contended:
            return
        yield from self._emit(0)
        self._flush()
        ends_at = time.monotonic() + conf.LOCK_WAIT
        while self._contended:
            task = self._contended.popleft()
            self._submit(task, wait=max(ends_at - time.monotonic(), 0.001))
            yield from self._emit(0)

    # From images to fates.

    def _emit(self, window: int) -> Iterator[Fate]:
        """Yield what is decided, in order, until no more than *window* tasks are running."""
        while self._queue:
            entry = self._queue[0]
            if isinstance(entry, Fate):
                self._queue.popleft()
                yield entry
                continue
            if entry.future is not None and not entry.future.done() and self._running <= window:
                return
            if entry.future is not None:
                entry.future.result()
            self._queue.popleft()
            yield from self._collect(entry)

    def _collect(self, task: _Task) -> list[Fate]:
        """Write down what has become of a task, and let go of its locks."""
        if task.future is not None:
            self._running -= 1
        fates = task.fates
        try:
            for item, result, started in task.answers:
                file, backend = item.file, item.backend
                if isinstance(result, CacheFileRecord):
                    backend.remove_predecessor(file, item.before, result)
                    self._remember(file, result)
                    fates.extend(_fates(item, Fate.MADE))
                    continue
                if isinstance(result, GenerationError):
                    record = backend.fail(file, result, started)
                    if record is not None:
                        self._remember(file, record)
                fates.extend(_fates(item, Fate.FAILED, result))
        finally:
            task.answers = []
            try:
                if any(needs_record(item.file) for item in task.todo):
                    # Whoever wants the name for another image must find it taken.
                    self._flush()
            finally:
                task.locks.close()
        return sorted(fates, key=lambda fate: fate.position)

    def _remember(self, file: Any, record: CacheFileRecord) -> None:
        if self.dry_run:
            return
        if record.status == Status.EXISTS:
            # Another row may have the same source.
            self._inquiry.listing.add(file.storage, record.published_name or record.name)
        self._records.append((file, record))
        if self.remember_every is not None and len(self._records) >= self.remember_every:
            self._flush()

    def _flush(self) -> None:
        records, self._records = self._records, []
        remember_many(records)


def _is_known_as(item: Item, status: str) -> bool:
    record = item.believed
    return record is not None and record.status == status


def _fates(item: Item, status: str, error: ImageKitError | None = None) -> list[Fate]:
    return [Fate(position, item.file, status, error) for position in item.positions]


def _work(task: _Task) -> None:
    try:
        generation.make(task.todo, task.answers)
    finally:
        # A receiver of a signal may have used the database; its connection must not outlive us.
        connections.close_all()
