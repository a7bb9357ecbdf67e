"""What makes cache files, each of them once."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import IO, Any

import attrs

from imagekit_registry._storage_calls import ask
from imagekit_registry.cachefiles._owners import needs_record
from imagekit_registry.cachefiles.backends._belief import is_believed
from imagekit_registry.cachefiles.backends._sources import source_fingerprint, source_name
from imagekit_registry.cachefiles.existence import CacheFileState, FileKnowledge
from imagekit_registry.cachefiles.locks import GenerationLock, generation_lock
from imagekit_registry.cachefiles.publishing import publish
from imagekit_registry.cachefiles.threads import (
    is_in_event_loop,
    run_in_background,
)
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import (
    GenerationError,
    LockTimeout,
    MissingSource,
    NameTaken,
    ProcessingError,
    PublishError,
    RetryLater,
    SourceUnavailable,
)
from imagekit_registry.imaging import read_header
from imagekit_registry.signals import generated, generation_failed
from imagekit_registry.specs import default_limits
from imagekit_registry.state import CacheFileRecord, Status

__all__ = [
    "AbstractCacheFileBackend",
    "CacheFileState",
    "CachedFileBackend",
    "Simple",
]

_logger = logging.getLogger("imagekit_registry.cachefiles")

#: Failures that may be over in a moment: the storage or another worker, not the image.
_PASSING = (LockTimeout, PublishError, SourceUnavailable)


class AbstractCacheFileBackend:
    """The least that a cache file backend offers; duck-typed, so deriving from it is optional."""

    def generate(self, file: Any, force: bool = False) -> None:
        """Make *file* unless it exists, or have it made; with *force* in any case."""
        raise NotImplementedError

    def exists(self, file: Any) -> bool:
        """Return whether *file* exists."""
        raise NotImplementedError


class CachedFileBackend(FileKnowledge, AbstractCacheFileBackend):
    """A backend that remembers the state of its files, and makes each of them once.

    Attributes:
        is_async: Do its files come to exist later, made by somebody else?
    """

    is_async: bool = False

    # What callers use, and subclasses leave alone.

    def generate_now(self, file: Any, force: bool = False) -> None:
        """Make *file* here, once, however many ask for it at the same time.

        Args:
            file: The cache file.
            force: Whether to make it even if it exists.

        Raises:
            MissingSource: Its generator has no source.
            RetryLater: It failed a short while ago.
            LockTimeout: Somebody else is making it and was not done in time.
            GenerationError: It cannot be made.
        """
        if force or self.is_wanting(file):
            self._generate_locked(file, force)

    def make(self, file: Any) -> None:
        """Make *file*, publish it and remember it, whatever its state.

        Raises:
            MissingSource: Its generator has no source.
            GenerationError: It cannot be made.
        """
        started = time.monotonic()
        try:
            if needs_record(file):
                self.refuse_if_taken(file, self._stored(file))
            seen = source_fingerprint(file)
            record = self.publish(file, self._render(file), started, seen)
            self.remove_predecessor(file, self.states.get(self.get_key(file)), record)
        except GenerationError as error:
            failed = self.fail(file, error, started)
            if failed is not None:
                self.remember(file, failed)
            raise
        self.remember(file, record)

    def publish(self, file: Any, content: IO[bytes], started: float, seen: str) -> CacheFileRecord:
        """Publish *content* as *file*; it is for the caller to remember the record.

        Args:
            file: The cache file.
            content: What its generator has made.
            started: When it began to, by ``time.monotonic()``.
            seen: The fingerprint of the source, taken before it was read.

        Returns:
            The new record.

        Raises:
            PublishError: The storage does not take it.
        """
        source = source_name(file)
        try:
            name = publish(file.storage, file.name, content)
        except GenerationError as error:
            raise error.located(file.spec_id, source) from error.__cause__
        size = content.seek(0, io.SEEK_END)
        record = self._record(
            file,
            Status.EXISTS,
            width=getattr(content, "width", None),
            height=getattr(content, "height", None),
            size=size,
            format=getattr(content, "format", None) or "",
            made_at=time.time(),
            fingerprint=seen,
            published_name=name if name != file.name else "",
        )
        if record.width is None:
            record = _with_dimensions(record, content)
        if seen and self._is_replaced_meanwhile(file, seen):
            # Whoever looks next makes the image anew.
            record = attrs.evolve(record, status=Status.MISSING)
        generated.send_robust(
            sender=type(file.generator),
            file=file,
            spec_id=file.spec_id,
            source=source,
            seconds=time.monotonic() - started,
            bytes=size,
        )
        return record

    def remove_predecessor(
        self, file: Any, before: CacheFileRecord | None, record: CacheFileRecord
    ) -> None:
        """Remove what a storage with a will of its own had published under another name.

        Args:
            file: The cache file.
            before: Its record until now.
            record: Its record from now on.
        """
        kept = {"", record.name, record.published_name}
        if before is None or before.published_name in kept:
            return
        try:
            _delete(file, before.published_name)
        except Exception as error:  # noqa: BLE001 -- what client libraries raise; the image is there
            _logger.warning("%s: %r is left over: %s", file.spec_id, before.published_name, error)

    def fail(self, file: Any, error: GenerationError, started: float) -> CacheFileRecord | None:
        """Log and announce that *file* could not be made.

        Returns:
            The record that says so, and when it is to be tried again; None if the failure says
            nothing about the file.
        """
        error.located(file.spec_id, source_name(file))
        if isinstance(error, RetryLater | LockTimeout):
            return None
        self._tell(file, error, started)
        if isinstance(error, NameTaken):
            # The record is of the image that has the name.
            return None
        before = self.states.get(self.get_key(file))
        if before is not None and self._is_still_good(file, before):
            return None
        failures = (before.failures if before else 0) + 1
        if isinstance(error, _PASSING):
            delay = float(self.existence_check_timeout)
        else:
            delay = min(conf.RETRY_AFTER * 2 ** min(failures - 1, 30), conf.RETRY_AFTER_MAX)
        return self._record(
            file,
            Status.FAILED,
            error=error.cause,
            failures=failures,
            retry_at=time.time() + delay,
            # A file that is there is what it was before.
            fingerprint=before.fingerprint if before else "",
        )

    def forget(self, file: Any) -> None:
        """Remove *file* from its storage, and what is known of it.

        An image of another source, or by another spec, that has the same name is left.

        Raises:
            PublishError: The storage does not remove it.
        """
        if needs_record(file):
            record = self._stored(file)
            try:
                self.refuse_if_taken(file, record)
            except NameTaken:
                return
        else:
            record = self.states.get(self.get_key(file))
        names = {file.name, record.published_name if record else ""} - {""}
        try:
            for name in names:
                # Where that ends too late, the file may have been made anew meanwhile.
                _delete(file, name, late=lambda _: self.doubt(file))
        except Exception as error:
            raise PublishError(
                f"the storage does not remove the file ({type(error).__name__}: {error})",
                spec_id=file.spec_id,
                source=source_name(file),
            ) from error
        finally:
            self.doubt(file)

    def expect(self, file: Any) -> None:
        """Write down that somebody was told to make *file*, for ``IMAGEKIT_LOCK_TIMEOUT`` seconds.

        Raises:
            NameTaken: Another image has its name.
        """
        self._alone(file, partial(super().expect, file))

    def amend(self, file: Any, record: CacheFileRecord, **values: Any) -> None:
        """Write down more of what *record* says, unless another one has taken its place."""
        self._alone(file, partial(super().amend, file, record, **values))

    def lock(
        self, file: Any, wait: float, until_done: Callable[[], bool] | None
    ) -> AbstractContextManager[GenerationLock]:
        """Return the lock that whoever makes *file* holds.

        Args:
            file: The cache file.
            wait: Seconds to wait for it.
            until_done: Tells a waiter that the other one has made it.
        """
        return generation_lock(
            self.get_key(file),
            cache=self.cache,
            timeout=conf.LOCK_TIMEOUT,
            wait=wait,
            until_done=until_done,
            place=_place_of(file),
        )

    # What every subclass must write.

    def generate(self, file: Any, force: bool = False) -> None:
        """Make *file* unless it exists, or have it made; with *force* in any case."""
        raise NotImplementedError(f"{type(self).__qualname__} must define generate()")

    # How it is done.

    def _alone(self, file: Any, write: Callable[[], None]) -> None:
        """Write down what is no news of an image; not over that of another one of the name.

        While one is being made there is nothing to write: its maker has the last word.
        """
        if not needs_record(file):
            write()
            return
        with suppress(LockTimeout), self.lock(file, 0, None) as lease:
            if lease.acquired:
                write()

    def _generate_locked(self, file: Any, force: bool) -> None:
        key = self.get_key(file)

        def is_done() -> bool:
            found = self.states.get_many([key], fresh=True).get(key)
            return found is not None and found.status == Status.EXISTS and is_believed(file, found)

        try:
            with self.lock(file, conf.LOCK_WAIT, None if force else is_done) as lease:
                # Whoever held the lock before may have made it, or found that it cannot be made.
                if lease.acquired and (force or self.is_wanting(file, fresh=True)):
                    self.make(file)
        except LockTimeout as error:
            raise error.located(file.spec_id, source_name(file)) from error.__cause__

    def _tell(self, file: Any, error: GenerationError, started: float) -> None:
        _logger.warning("%s", error)
        error.is_logged = True
        generation_failed.send_robust(
            sender=type(file.generator),
            file=file,
            spec_id=file.spec_id,
            source=source_name(file),
            seconds=time.monotonic() - started,
            cause=error.cause,
            error=error,
        )

    def _is_replaced_meanwhile(self, file: Any, seen: str) -> bool:
        """Return whether the source has changed since it was *seen*, before it was read."""
        try:
            if source_fingerprint(file) in {seen, ""}:
                return False
        except SourceUnavailable:
            return False
        before = self.states.get(self.get_key(file))
        # Twice running, it is the storage that does not give the same answer twice.
        return before is None or before.status != Status.MISSING or not before.fingerprint

    def _is_still_good(self, file: Any, before: CacheFileRecord) -> bool:
        """Return whether an image that could not be made anew is there, and what it would be."""
        if before.status != Status.EXISTS or not before.fingerprint:
            return False
        if not is_believed(file, before):
            return False
        try:
            return before.fingerprint == source_fingerprint(file) and self._exists(file)
        except Exception:  # noqa: BLE001 -- what client libraries raise
            return False

    def _render(self, file: Any) -> IO[bytes]:
        try:
            content: IO[bytes] = file.generator.generate()
        except (GenerationError, MissingSource):
            raise
        except Exception as error:
            raise ProcessingError(
                f"the generator raised {type(error).__name__}: {error}",
                spec_id=file.spec_id,
                source=source_name(file),
            ) from error
        if not hasattr(content, "read"):
            raise ProcessingError(
                f"the generator returned a {type(content).__name__}, not an open file",
                spec_id=file.spec_id,
                source=source_name(file),
                hint="Let its generate() return a binary file at its start.",
            )
        return content


def _delete(file: Any, name: str, late: Callable[[None], None] | None = None) -> None:
    ask(file.storage, lambda: file.storage.delete(name), name=name, changes=True, late=late)


def _place_of(file: Any) -> str:
    """Return the path of *file*; empty for a storage that has no paths."""
    try:
        return str(file.storage.path(file.name))
    except Exception:  # noqa: BLE001 -- a name that a storage refuses is refused when it is written
        return ""


def _with_dimensions(record: CacheFileRecord, content: IO[bytes]) -> CacheFileRecord:
    """Return *record* with what the header of *content* says; a generator may make no image."""
    content.seek(0)
    try:
        header = read_header(content, default_limits())
    except GenerationError:
        return record
    return attrs.evolve(record, width=header.width, height=header.height, format=header.format)


class Simple(CachedFileBackend):
    """Make files at once, where they are asked for.

    In an event loop (an async view) a thread makes them, and nobody waits: until then, URL, width
    and height are those of the image to come, or of the spec's fallback.
    """

    def generate(self, file: Any, force: bool = False) -> None:
        """Make *file* unless it exists; with *force* in any case."""
        if not is_in_event_loop():
            self.generate_now(file, force=force)
        elif force or self.is_wanting(file):
            make = partial(self.generate_now, file, force=force)
            run_in_background(self.get_key(file), make)
