"""The one way in which cache files come to exist: decide, lock, look again, render, publish, record."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from typing import IO

import attrs

from imagekit_registry.cachefiles.existence import (
    fetch,
    judge,
    new_record,
    refuse_conflict,
    remember,
)
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.cachefiles.locks import lock_of
from imagekit_registry.cachefiles.publishing import publish
from imagekit_registry.cachefiles.rendering import (
    explained,
    name_for,
    properties_of,
    render,
    report_failure,
    report_made,
)
from imagekit_registry.cachefiles.results import (
    Item,
    News,
    Policy,
    Result,
    ResultStatus,
    decide,
    is_missing,
    refuse_retry,
)
from imagekit_registry.cachefiles.urls import retire
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import (
    GenerationError,
    ImageKitError,
    LimitExceeded,
    LockTimeout,
    NameTaken,
    PublishError,
    SourceUnavailable,
    answer_or,
    logged,
)
from imagekit_registry.imaging import step
from imagekit_registry.imaging.formats import format_to_mimetype
from imagekit_registry.specs import fingerprint
from imagekit_registry.state import CacheFileRecord, Status, spend, state_scope

__all__ = ["Making", "generate"]

_logger = logging.getLogger("imagekit_registry.cachefiles")

#: Failures that may be over in a moment: the storage or another worker, not the image.
_PASSING = (LockTimeout, PublishError, SourceUnavailable)


@attrs.define(eq=False)
class Making:
    """The making of files of one source, from their locks to their records.

    Its steps are called in their order; `make` asks neither cache nor database, so that threads may
    call it.

    Args:
        items: The files.
        policy: When they are made.
        contended: Whether somebody else had their locks when they were first wanted.

    Attributes:
        locks: What is to be closed in the end.
        news: What is to be remembered in the end.
        signals: What is to be called when that is remembered: it sends the signals.
    """

    items: list[Item]
    policy: Policy
    contended: bool = False
    locks: ExitStack = attrs.field(factory=ExitStack, init=False)
    news: News = attrs.field(factory=list, init=False)
    signals: list[Callable[[], object]] = attrs.field(factory=list, init=False)
    todo: list[Item] = attrs.field(factory=list, init=False)
    _results: list[Result] = attrs.field(factory=list, init=False)
    _answers: list[tuple[Item, CacheFileRecord | ImageKitError]] = attrs.field(
        factory=list, init=False
    )
    _started: float = attrs.field(default=0.0, init=False)

    def lock(self, wait: float) -> list[Item]:
        """Take the locks of the files that are still to be made then.

        What others have made between our question and our lock is let go of.

        Args:
            wait: Seconds to wait.

        Returns:
            Those that somebody else is making.
        """
        locked, left = self._acquire_all(wait)
        if not locked:
            return left
        if self.policy.force and all(item.file.identity.name_is_unique for item in locked):
            self.todo = locked
            return left
        records = fetch([item.file for item in locked], fresh=True)
        for item, record in zip(locked, records, strict=True):
            before, item.before = item.before, record
            try:
                if self._is_still_wanted(item, before):
                    self.todo.append(item)
                else:
                    self._results += item.results(ResultStatus.EXISTING)
            except GenerationError as error:
                self._results += item.results(ResultStatus.FAILED, error)
        return left

    def _acquire_all(self, wait: float) -> tuple[list[Item], list[Item]]:
        """Return the files that are locked now, and those that somebody else is making.

        Only the first is waited for, while no lock is held: so nobody waits in a circle.
        """
        left: list[Item] = []
        locked: list[Item] = []
        # One order for all: the first of a source is the same for everybody.
        for item in sorted(self.items, key=lambda item: item.file.identity.key):
            seconds = 0 if locked else wait
            try:
                if self._acquire(item, seconds):
                    locked.append(item)
                else:
                    self._results += item.results(ResultStatus.EXISTING)
            except LockTimeout as error:
                if seconds:
                    error.located(item.file.identity.spec_id, item.file.identity.source_name)
                    self._results += item.results(ResultStatus.FAILED, error)
                else:
                    left.append(item)
        return locked, left

    def _acquire(self, item: Item, wait: float) -> bool:
        """Lock one file; return False if others have made it while it was waited for."""

        def is_done() -> bool:
            (record,) = fetch([item.file], fresh=True)
            if record is None or record == item.before:
                # What was known before says nothing: the file may have been lost since.
                return False
            return judge(item.file.identity, record, time.time()) == Status.EXISTS

        until_done = is_done if wait and not self.policy.force else None
        lock = lock_of(item.file, wait=wait, until_done=until_done)
        return self.locks.enter_context(lock).acquired

    def _is_still_wanted(self, item: Item, before: CacheFileRecord | None) -> bool:
        if not item.file.identity.name_is_unique:
            refuse_conflict(item.file.identity, item.before)
        if self.policy.force:
            return True
        if item.before != before:
            status = item.status()
            if status == Status.EXISTS:
                return False
            if status == Status.FAILED and not self.policy.retry:
                return refuse_retry(item.file, item.before)
        is_listed = self.policy.listing is not None and not self.contended
        if is_listed or not item.file.cachefile_backend.asks_storage:
            # For very many files, making one twice costs less than asking for each once more.
            return True
        # Whoever held the lock before may not have written down yet what they made.
        return is_missing(item, self.news)

    def make(self) -> None:
        """Make and publish the files."""
        if not self.todo:
            return
        self._started = time.monotonic()
        identities = [item.file.identity for item in self.todo]
        specs = tuple(dict.fromkeys(identity.spec_id for identity in identities))
        with step("generate", specs=specs, source=identities[0].source_name) as note:
            results, seen = render([item.file for item in self.todo])
            for item, result in zip(self.todo, results, strict=True):
                answer: CacheFileRecord | ImageKitError
                try:
                    if isinstance(result, ImageKitError):
                        answer = result
                    else:
                        answer = self._publish(item, result, seen)
                except Exception as error:  # noqa: BLE001 -- receivers of our signals are the project's
                    answer = explained(error, item.file)
                if isinstance(answer, ImageKitError):
                    note(answer)
                self._answers.append((item, answer))
            is_any_made = any(isinstance(answer, CacheFileRecord) for _, answer in self._answers)
            source = self.todo[0].file.spec.source
            # What was seen before the source was read may have changed until the images are there.
            if is_any_made and seen and fingerprint(source) not in {seen, ""}:
                self._have_made_anew()

    def _have_made_anew(self) -> None:
        """Have images made anew whose source has changed meanwhile."""
        for at, (item, answer) in enumerate(self._answers):
            before = item.before
            # Twice running, it is the storage that does not give the same answer twice.
            is_second = before and before.status == Status.MISSING and before.fingerprint
            if isinstance(answer, CacheFileRecord) and not is_second:
                self._answers[at] = item, answer.as_missing()

    def _publish(self, item: Item, content: IO[bytes], seen: str) -> CacheFileRecord:
        """Publish *content* under the name of a file, and return the new record.

        Args:
            item: The file.
            content: What its generator has made.
            seen: The fingerprint of the source, taken before it was read.

        Raises:
            PublishError: The storage does not take it.
        """
        file, identity, name = item.file, item.file.identity, name_for(item.file, content)
        is_other, is_free = name != identity.name, item.is_name_free
        # A storage may close what it was given.
        size, properties = content.seek(0, io.SEEK_END), properties_of(content, file.spec)
        with step("save"):
            name = publish(
                file.storage,
                name,
                content,
                is_free=is_free and not is_other,
                media_type=format_to_mimetype(properties.get("format", "")) or "",
                headers=file.spec.storage_headers,
            )
        if is_other and not is_free:
            with logged(_logger, "%s: %r is left over", identity.spec_id, identity.name):
                file.storage.delete(identity.name)
        record = new_record(
            file,
            Status.EXISTS,
            size=size,
            made_at=round(time.time(), 3),
            fingerprint=seen,
            published_name=name if name != identity.name else "",
            **properties,
        )
        self.signals.append(report_made(file, record, time.monotonic() - self._started))
        if item.before is not None and item.before.was_made and not item.is_name_free:
            retire([(file, name, file.spec.url_provider)])
        return record

    def finish(self) -> list[Result]:
        """Say what became of the files, and log what failed; `news`, `signals` are the caller's."""
        if self._answers and conf.REQUEST_BUDGET:
            spend(len(self._answers), time.monotonic() - self._started)
        failed: list[tuple[Item, ImageKitError]] = []
        for item, answer in self._answers:
            if isinstance(answer, ImageKitError):
                failed.append((item, answer))
                continue
            if item.before is not None:
                _delete_predecessor(item, item.before, answer)
            self.news.append((item.file, answer))
            if self.policy.listing is not None:
                # Another row may have the same source.
                self.policy.listing.add(item.file.storage, answer.published_name or answer.name)
            self._results += item.results(ResultStatus.MADE)
        # In which one source's failure is logged once.
        with state_scope() if failed else nullcontext():
            for item, error in failed:
                if isinstance(error, GenerationError) and (record := self._fail(item, error)):
                    self.news.append((item.file, record))
                self._results += item.results(ResultStatus.FAILED, error)
        self._answers = []
        return sorted(self._results, key=lambda result: result.position)

    def _fail(self, item: Item, error: GenerationError) -> CacheFileRecord | None:
        """Log and announce that a file could not be made.

        Returns:
            The record that says so, and when it is to be tried again; None if the failure says
            nothing about the file.
        """
        file, identity = item.file, item.file.identity
        error.located(identity.spec_id, identity.source_name)
        # Others may have made it meanwhile.
        (before,) = fetch([file])
        failures = (before.failures if before else 0) + 1
        seconds = time.monotonic() - self._started
        self.signals.append(report_failure(file, error, seconds, failures))
        if isinstance(error, NameTaken) or (before is not None and _is_still_good(file, before)):
            return None
        delay = min(conf.RETRY_AFTER * 2 ** min(failures - 1, 30), conf.RETRY_AFTER_MAX)
        if isinstance(error, _PASSING):
            delay = file.cachefile_backend.existence_check_timeout
        return new_record(
            file,
            Status.FAILED,
            error=error.cause,
            limit=(error.limit or "other") if isinstance(error, LimitExceeded) else "",
            failures=failures,
            retry_at=time.time() + delay,
            # A file that is there is what it was before.
            fingerprint=before.fingerprint if before else "",
        )


def _delete_predecessor(item: Item, before: CacheFileRecord, record: CacheFileRecord) -> None:
    """Delete what was published under another name, which the storage has chosen, or the format."""
    name = before.published_name or before.name
    if name in {"", record.published_name or record.name}:
        return
    with logged(_logger, "%s: %r is left over", item.file.identity.spec_id, name):
        item.file.storage.delete(name)


def _is_still_good(file: CacheFile, before: CacheFileRecord) -> bool:
    """Return whether an image that could not be made anew is there, and what it would be."""
    if judge(file.identity, before, time.time()) != Status.EXISTS or not before.fingerprint:
        return False
    now = fingerprint(file.spec.source)
    if not now or before.is_of_former(now):
        return False
    return answer_or(False, file.cachefile_backend._exists, file)


# All steps, for files of one source.


def generate(files: Sequence[CacheFile], policy: Policy | None = None) -> list[Result]:
    """Make *files* of one source, of one decode; each once, however many ask for it.

    Files that somebody else is making are waited for, up to ``IMAGEKIT_LOCK_WAIT`` seconds.

    Args:
        files: Cache files of one source, whose backends make them here.
        policy: When they are made; None: those that are missing.

    Returns:
        What became of each; nothing is raised for single files.
    """
    policy = policy or Policy()
    pairs = zip(files, fetch(files), strict=True)
    items = [Item(*pair, [at]) for at, pair in enumerate(pairs)]
    results: list[Result] = []
    wanted = []
    news: News = []
    for item in items:
        try:
            if decide(item, policy, news):
                wanted.append(item)
            else:
                results += item.results(ResultStatus.EXISTING)
        except ImageKitError as error:
            results += item.results(ResultStatus.FAILED, error)
    if news:
        remember(news)
    making = Making(wanted, policy)
    ends_at = time.monotonic() + conf.LOCK_WAIT
    while making.items:
        left = making.lock(max(ends_at - time.monotonic(), 0.001) if making.contended else 0)
        making.make()
        with making.locks:
            results += making.finish()
            remember(making.news)
        for send in making.signals:
            send()
        making = Making(left, policy, contended=True)
    return sorted(results, key=lambda result: result.position)
