"""A source file as the decoders see it: bounded in bytes and time, never closed, put back."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from imagekit_registry.exceptions import GenerationError, LimitExceeded, SourceUnavailable

from ._limits import Deadline, Limits

__all__ = ["SourceFile", "open_source"]

#: Bytes that one call asks of the storage; small reads of the decoders come out of this buffer.
BUFFER_SIZE = 64 * 1024


class SourceFile(io.RawIOBase):
    """A read-only view of somebody else's file.

    Reading checks the clock, which is the only way to stop a decoder that is written in C. Whatever
    goes wrong in the file itself is kept in ``error``: the decoders know how to swallow an OSError.
    Closing the view leaves the file open.
    """

    def __init__(self, file: Any, deadline: Deadline) -> None:
        self._file = file
        self._deadline = deadline
        self.error: GenerationError | None = None

    def _fail(self, error: Exception) -> GenerationError:
        self.error = SourceUnavailable(
            f"the file cannot be read ({type(error).__name__}: {error})",
            hint="Check the storage of the source.",
        )
        return self.error

    def readable(self) -> bool:
        """Return True: that is what it is for."""
        return True

    def seekable(self) -> bool:
        """Return True: files that cannot seek have been read into memory."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill *buffer*; return the number of bytes."""
        try:
            self._deadline.check()
        except LimitExceeded as error:
            self.error = error
            raise
        view = memoryview(buffer)
        try:
            data = self._file.read(len(view))
        except Exception as error:
            raise self._fail(error) from error
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to *offset*; return the new position."""
        if whence == io.SEEK_SET and offset < 0:
            raise ValueError(f"negative seek position {offset}")
        try:
            self._file.seek(offset, whence)
            return int(self._file.tell())
        except Exception as error:
            raise self._fail(error) from error

    def tell(self) -> int:
        """Return the position in the file."""
        try:
            return int(self._file.tell())
        except Exception as error:
            raise self._fail(error) from error


class BufferedSource(io.BufferedReader):
    """`SourceFile` with a buffer in front."""

    def __init__(self, view: SourceFile, size: int) -> None:
        super().__init__(view, BUFFER_SIZE)
        self.view = view
        self.size = size


def _position(file: Any) -> int | None:
    """Return where *file* stands, or None if it cannot seek."""
    try:
        if not file.seekable():
            return None
    except AttributeError:
        pass  # some storages' files have no seekable() but do seek
    try:
        return int(file.tell())
    except (AttributeError, OSError):
        return None


def _buffered(file: Any, limits: Limits, deadline: Deadline) -> BinaryIO:
    """Read a file that cannot seek into memory, no more of it than is allowed."""
    left = float("inf") if limits.max_bytes is None else limits.max_bytes + 1
    data = io.BytesIO()
    while left > 0:
        deadline.check()
        # What comes over a network comes in pieces, however much is asked for.
        piece = file.read(int(min(left, BUFFER_SIZE)))
        if not piece:
            break
        data.write(piece)
        left -= len(piece)
    return data


@contextlib.contextmanager
def open_source(file: Any, limits: Limits, deadline: Deadline) -> Iterator[BufferedSource]:
    """Give a view of *file* from its start; afterwards *file* is open and where it was.

    Raises:
        LimitExceeded: The file has more bytes than *limits* allow, or takes longer than *deadline*.
        SourceUnavailable: The file itself raises an exception.
    """
    try:
        start = _position(file)
        inner = file if start is not None else _buffered(file, limits, deadline)
    except LimitExceeded:
        raise
    except Exception as error:
        cause = f"the file cannot be read ({type(error).__name__}: {error})"
        raise SourceUnavailable(cause, hint="Check the storage of the source.") from error
    view = SourceFile(inner, deadline)
    try:
        size = view.seek(0, io.SEEK_END)
        limits.check_bytes(size)
        view.seek(0)
        buffered = BufferedSource(view, size)
        try:
            yield buffered
        finally:
            # The view must not read on from a place that the file's owner no longer expects.
            buffered.detach()
            view.close()
    finally:
        if start is not None:
            with contextlib.suppress(Exception):
                file.seek(start)
