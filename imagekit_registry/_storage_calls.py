"""Calls of storages that may hang: waited for so long and no longer, if the project wants that."""

from __future__ import annotations

import io
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from threading import Condition, Event, Lock, Thread, current_thread
from typing import Any, Generic, TypeVar

from django.core.files.storage import FileSystemStorage
from django.core.signals import setting_changed
from django.db import connections
from django.dispatch import receiver

from imagekit_registry._loading import storage_reference
from imagekit_registry.conf import conf

__all__ = ["StorageTimeout", "ask", "ask_for_url", "open_stored", "open_watched"]

logger = logging.getLogger("imagekit_registry.storages")

T = TypeVar("T")

#: Threads that call one storage, at most.
THREADS = 10
#: Seconds for which a storage that has not answered is left alone.
PAUSE = 5.0
#: Seconds after which a thread without work ends. Long: clients keep a connection for each thread.
IDLE_SECONDS = 60.0


class StorageTimeout(TimeoutError):
    """A storage has not answered within ``IMAGEKIT_STORAGE_TIMEOUT``, now or a moment ago."""

    hint = "Check that the storage can be reached; IMAGEKIT_STORAGE_TIMEOUT says how long we wait."


def ask(
    storage: Any,
    call: Callable[[], T],
    *,
    name: str = "",
    changes: bool = False,
    late: Callable[[T | None], object] | None = None,
    is_under_way: bool = False,
) -> T:
    """Return what *call* returns, or raise what it raises, if it ends in time.

    Without ``IMAGEKIT_STORAGE_TIMEOUT`` it is called here and now. With it, a thread calls it. If
    that takes too long it is given up: it goes on until the client of the storage gives up as well,
    and for some seconds nobody asks the storage for anything else.

    Args:
        storage: The storage that *call* asks.
        call: What to do; it takes no arguments.
        name: The file that it is about. While a change of it that was given up is going on, nothing
            that the storage says of it is to be believed, and nothing else can be done to it.
        changes: Whether the file is written or removed.
        late: Called in the thread when a call that was given up has ended, with its result; with
            None if it has raised an exception.
        is_under_way: Whether this goes on with what the storage has begun to give, so that it is
            done even while the storage is left alone.

    Raises:
        StorageTimeout: The storage does not answer.
    """
    seconds = conf.STORAGE_TIMEOUT
    if seconds is None or isinstance(current_thread(), _Thread):
        return call()
    line = _line_to(storage_reference(storage))
    return line.ask(_Call(call, late, name, changes, is_under_way), seconds)


def ask_for_url(storage: Any, give: Callable[..., Any], *args: str) -> str:
    """Return the URL that ``give(*args)`` returns, as `ask` does.

    Most storages make up URLs without asking anybody.

    So pages show the images that are known while the storage hangs, unless its URLs hang as well.

    Raises:
        StorageTimeout: The storage does not answer.
    """
    seconds = conf.STORAGE_TIMEOUT
    if seconds is None or getattr(type(storage), "url", None) is FileSystemStorage.url:
        url: str = give(*args)
        return url
    line = _line_to(f"{storage_reference(storage)} url")
    return line.ask(_Call(lambda: str(give(*args))), seconds)


def open_stored(storage: Any, name: str) -> Any:
    """Open a stored file for reading, as `ask` does, and return what the storage gives.

    Raises:
        StorageTimeout: The storage does not answer.
    """
    return ask(storage, lambda: storage.open(name, "rb"), late=_close)


def open_watched(storage: Any, name: str) -> Any:
    """Open a stored file for reading; what is read from it is waited for as `ask` does.

    Raises:
        StorageTimeout: The storage does not answer.
    """
    file = open_stored(storage, name)
    return file if conf.STORAGE_TIMEOUT is None else _WatchedFile(storage, file)


def _close(file: Any) -> None:
    if file is not None:
        file.close()


class _WatchedFile(io.RawIOBase):
    """A stored file that is open for reading."""

    def __init__(self, storage: Any, file: Any) -> None:
        self._storage = storage
        self._file = file
        self._position: int | None = None
        self._guard = Lock()
        self._is_busy = False
        self._is_given_up = False

    def _ask(self, call: Callable[[], T]) -> T:
        if self._is_given_up:
            raise StorageTimeout("the storage has not answered when this file was read before")

        # All that touches the file is done in there: some open it, or fetch it, at the first touch.
        def call_and_leave() -> T:
            with self._guard:
                self._is_busy = True
            try:
                return call()
            finally:
                with self._guard:
                    self._is_busy = False
                    is_ours_to_close = self.closed
                if is_ours_to_close:
                    self._file.close()

        try:
            return ask(self._storage, call_and_leave, is_under_way=True)
        except StorageTimeout:
            self._is_given_up = True
            raise

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._ask(lambda: bool(self._file.seekable()))

    def readinto(self, buffer: Any, /) -> int:
        data = self._ask(lambda: self._file.read(len(buffer)))
        buffer[: len(data)] = data
        if self._position is not None:
            self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        def seek() -> int:
            self._file.seek(offset, whence)
            return int(self._file.tell())

        self._position = None
        self._position = self._ask(seek)
        return self._position

    def tell(self) -> int:
        if self._position is None:
            self._position = self._ask(lambda: int(self._file.tell()))
        return self._position

    def close(self) -> None:
        """Close the file, unless a thread is hanging in it, which closes it at the end."""
        with self._guard:
            is_ours_to_close = not (self._is_busy or self.closed)
            super().close()
        if is_ours_to_close:
            self._file.close()


class _Call(Generic[T]):
    """A call of a storage, on its way through a line."""

    def __init__(
        self,
        call: Callable[[], T],
        late: Callable[[T | None], object] | None = None,
        name: str = "",
        changes: bool = False,
        is_under_way: bool = False,
    ) -> None:
        self._call = call
        self._late = late
        self._context = copy_context()
        self._result: T | None = None
        self._error: BaseException | None = None
        self.name = name
        self.changes = changes
        self.is_under_way = is_under_way
        #: Whether it is the one that finds out whether the storage answers again.
        self.is_probe = False
        self.is_over = False
        self.is_over_in_time = Event()

    def run(self) -> None:
        try:
            self._result = self._context.run(self._call)
        except BaseException as error:  # noqa: BLE001 -- it is raised where it is waited for
            self._error = error

    def run_late(self) -> None:
        try:
            if self._late is not None:
                self._context.run(self._late, self._result)
        except Exception as error:  # noqa: BLE001 -- storages raise what they like
            logger.warning("What a storage did too late cannot be tidied up: %s", error)

    def outcome(self) -> T:
        try:
            if self._error is not None:
                raise self._error
            return self._result  # type: ignore[return-value]  # None only if T may be None
        finally:
            # The traceback of the error leads here: a circle that would keep the result alive.
            self._error = self._result = None


class _Thread(Thread):
    """A thread that calls a storage; it does not keep the process from ending."""

    def __init__(self, line: _Line) -> None:
        super().__init__(name="imagekit-storage", daemon=True)
        self._line = line

    def run(self) -> None:
        while (call := self._line.next_call()) is not None:
            call.run()
            _close_connections()
            if not self._line.finish(call):
                call.run_late()
                _close_connections()
                self._line.forget(call)
            del call


def _close_connections() -> None:
    # Nobody else closes what this thread has opened.
    try:
        connections.close_all()
    except Exception:
        logger.exception("A connection of a thread that calls storages does not close")


class _Line:
    """The way to one storage: its threads, and whether it answers."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._waiting: deque[_Call[Any]] = deque()
        #: Calls that were given up, and that go on.
        self._hanging: list[_Call[Any]] = []
        self._threads = 0
        self._idle = 0
        self._rests_until: float | None = None
        self._is_closed = False

    def ask(self, call: _Call[T], seconds: float) -> T:
        with self._changed:
            self._admit(call, seconds)
            self._waiting.append(call)
            self._wake_a_thread()
        try:
            call.is_over_in_time.wait(seconds)
        finally:  # of an exception as well, such as that of a worker's time limit
            is_over = self._is_over_or_given_up(call)
        if not is_over:
            raise StorageTimeout(f"the storage has not answered in {seconds:g} seconds")
        return call.outcome()

    def _admit(self, call: _Call[Any], seconds: float) -> None:
        if call.name and any(call.name == other.name for other in self._hanging if other.changes):
            raise StorageTimeout("the storage has not ended an earlier change of the file")
        if len(self._hanging) >= THREADS:
            raise StorageTimeout(f"the storage has not answered {THREADS} calls that go on")
        if self._rests_until is None or call.is_under_way:
            return
        now = time.monotonic()
        if now < self._rests_until:
            raise StorageTimeout(
                f"the storage has not answered in {seconds:g} seconds, a moment ago"
            )
        # This one finds out; who comes meanwhile does not wait for it.
        call.is_probe = True
        self._rests_until = now + seconds + PAUSE

    def _wake_a_thread(self) -> None:
        if len(self._waiting) <= self._idle or self._threads >= THREADS:
            self._changed.notify()
            return
        try:
            _Thread(self).start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            if not self._threads:
                self._waiting.pop()
                raise
        else:
            self._threads += 1

    def _is_over_or_given_up(self, call: _Call[Any]) -> bool:
        with self._changed:
            if call.is_over:
                return True
            if call in self._waiting:
                self._waiting.remove(call)
            else:
                self._hanging.append(call)
            self._rests_until = time.monotonic() + PAUSE
            return False

    def next_call(self) -> _Call[Any] | None:
        with self._changed:
            self._idle += 1
            try:
                self._changed.wait_for(lambda: self._waiting or self._is_closed, IDLE_SECONDS)
            finally:
                self._idle -= 1
            if self._waiting:
                return self._waiting.popleft()
            self._threads -= 1
            return None

    def finish(self, call: _Call[Any]) -> bool:
        """Tell who waits that the call has ended; return False if it was given up."""
        with self._changed:
            if call in self._hanging:
                return False
            call.is_over = True
            if call.is_probe:
                self._rests_until = None
        call.is_over_in_time.set()
        return True

    def forget(self, call: _Call[Any]) -> None:
        """Take note that a call that was given up has ended, and left nothing to be tidied up."""
        with self._changed:
            self._hanging.remove(call)

    def close(self) -> None:
        """Let the threads end when they have nothing to do any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


_lines: dict[str, _Line] = {}


def _line_to(reference: str) -> _Line:
    line = _lines.get(reference)
    return line if line is not None else _lines.setdefault(reference, _Line())


@receiver(setting_changed, dispatch_uid="imagekit_registry.storage_calls")
def _forget_lines(*, setting: str, **kwargs: Any) -> None:
    if setting in {"IMAGEKIT_STORAGE_TIMEOUT", "MEDIA_ROOT", "STORAGES"}:
        while _lines:
            _lines.popitem()[1].close()


if hasattr(os, "register_at_fork"):
    # The threads are the parent's.
    os.register_at_fork(after_in_child=_lines.clear)
