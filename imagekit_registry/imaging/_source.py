"""A source file as the decoders see it: bounded in bytes and time, never closed, put back."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import IO, Any, Protocol, cast

from PIL import Image, UnidentifiedImageError

from imagekit_registry.exceptions import (
    GenerationError,
    LimitExceeded,
    SourceUnavailable,
    UnreadableImage,
)

from ._limits import Deadline, Limits

#: Bytes that one call asks of the storage; small reads of the decoders come out of this buffer.
BUFFER_SIZE = 64 * 1024


class Readable(Protocol):
    """**Protocol:** a binary file; what cannot be sought in is read into memory."""

    def read(self, size: int = -1, /) -> bytes:
        """Return so many bytes, or fewer; none at the end."""


class SourceFile(io.RawIOBase):
    """A read-only view of somebody else's file.

    Reading checks the clock, which is the only way to stop a decoder that is written in C. Whatever
    goes wrong in the file itself is kept in ``error``: the decoders know how to swallow an OSError.
    Closing the view leaves the file open.
    """

    def __init__(self, file: IO[bytes], deadline: Deadline) -> None:
        self._file = file
        self._deadline = deadline
        self.error: GenerationError | None = None
        #: What is read, once, where the file ends.
        self.tail = b""

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
        with self._kept():
            data = self._file.read(len(view))
        if not data:
            data, self.tail = self.tail[: len(view)], self.tail[len(view) :]
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to *offset*; return the new position."""
        if whence == io.SEEK_SET and offset < 0:
            raise ValueError(f"negative seek position {offset}")
        with self._kept():
            self._file.seek(offset, whence)
            return int(self._file.tell())

    def tell(self) -> int:
        """Return the position in the file."""
        with self._kept():
            return int(self._file.tell())

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.error = _unavailable(error)
            raise self.error from error


class BufferedSource(io.BufferedReader):
    """`SourceFile` with a buffer in front."""

    def __init__(self, view: SourceFile, size: int) -> None:
        super().__init__(view, BUFFER_SIZE)
        self.view = view
        self.size = size


def _unavailable(error: Exception) -> SourceUnavailable:
    cause = f"the file cannot be read ({type(error).__name__}: {error})"
    return SourceUnavailable(cause, hint="Check the storage of the source.")


def _position(file: IO[bytes]) -> int | None:
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


def _buffered(file: Readable, limits: Limits, deadline: Deadline) -> IO[bytes]:
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
def open_source(file: Readable, limits: Limits, deadline: Deadline) -> Iterator[BufferedSource]:
    """Give a view of *file* from its start; afterwards *file* is open and where it was.

    Raises:
        LimitExceeded: The file has more bytes than *limits* allow, or takes longer than *deadline*.
        SourceUnavailable: The file itself raises an exception.
    """
    inner = cast("IO[bytes]", file)
    try:
        start = _position(inner)
        if start is None:
            inner = _buffered(file, limits, deadline)
    except LimitExceeded:
        raise
    except Exception as error:
        raise _unavailable(error) from error
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
                inner.seek(start)


@contextlib.contextmanager
def translated(source: BufferedSource) -> Iterator[None]:
    """Turn whatever opening and decoding raises into our exceptions.

    Args:
        source: The file at work; an error of the file itself comes before what Pillow made of it.

    Raises:
        GenerationError: Something went wrong inside the block.
    """
    try:
        yield
    except GenerationError:
        raise
    except Exception as error:
        # Pillow's plugins raise almost any class for hostile data, so none is left out.
        if source.view.error is not None:
            raise source.view.error from error
        raise _cause(error) from error


def _cause(error: Exception) -> GenerationError:
    """Say in our words what an exception of Pillow means."""
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        hint = "Use an image of fewer pixels."
        return LimitExceeded("the image has too many pixels", limit="pixels", hint=hint)
    if isinstance(error, MemoryError):
        return LimitExceeded("the image needs more memory than there is", hint="Use a smaller one.")
    if isinstance(error, UnidentifiedImageError):
        cause = "the file is not an image, or is damaged"
        return UnreadableImage(cause, hint="Upload another file.")
    text = str(error).strip().rstrip(".") or type(error).__name__
    if isinstance(error, ValueError) and "too " in text.lower():
        cause = f"the image's metadata is larger than allowed ({text})"
        return LimitExceeded(cause, hint="Save the image without its metadata.")
    return UnreadableImage(f"the image is damaged ({text})", hint="Upload the file again.")
