"""The content of an image as the body of an answer: whole, or the part that was asked for."""

from __future__ import annotations

import re
from typing import IO

from asgiref.sync import sync_to_async

_CHUNK_BYTES = 1 << 16
_RANGE = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.ASCII | re.IGNORECASE)
#: No file is longer; nor does Python read longer numbers without complaint.
_MOST_DIGITS = 18


def parse_range(header: str, size: int) -> range | None:
    """Return the bytes that a ``Range`` header asks for.

    Args:
        header: Its value; it may be anything.
        size: The number of bytes that there are.

    Returns:
        Their positions; none of them if the range lies behind the end; None if the header is to be
        ignored: it is of another unit, asks for several ranges, or makes no sense.

    Example:
        >>> parse_range("bytes=2-3", 10), parse_range("bytes=-3", 10)
        (range(2, 4), range(7, 10))
    """
    found = _RANGE.fullmatch(header)
    if not found or max(map(len, found.groups())) > _MOST_DIGITS:
        return None
    first, last = found.groups()
    if not first:
        return range(max(0, size - int(last)), size) if last else None
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


class Part:
    """Some bytes of an open file, one chunk after the other.

    Args:
        file: The file, which is closed with the part.
        positions: Which of its bytes.
    """

    def __init__(self, file: IO[bytes], positions: range) -> None:
        self.file = file
        self.left = len(positions)
        file.seek(positions.start)

    def read(self) -> bytes:
        """Return the next chunk; nothing at the end."""
        chunk = self.file.read(min(_CHUNK_BYTES, self.left)) if self.left else b""
        self.left -= len(chunk)
        return chunk

    def read_all(self) -> bytes:
        """Return all of it, and close the file."""
        with self.file:
            return b"".join(iter(self.read, b""))

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class SyncPart(Part):
    """A part, for servers that wait for it."""

    def __iter__(self) -> SyncPart:
        return self

    def __next__(self) -> bytes:
        if chunk := self.read():
            return chunk
        raise StopIteration


class AsyncPart(Part):
    """A part that threads read, for servers that must not wait."""

    def __aiter__(self) -> AsyncPart:
        return self

    async def __anext__(self) -> bytes:
        if chunk := await sync_to_async(self.read, thread_sensitive=False)():
            return chunk
        raise StopAsyncIteration
