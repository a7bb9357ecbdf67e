"""A source file as the decoders see it: bounded in bytes, pixels and time, never closed, put back."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Protocol, TypeAlias, TypeVar, cast

import attrs
from PIL import Image, UnidentifiedImageError

from imagekit_registry.exceptions import (
    GenerationError,
    LimitExceeded,
    SourceUnavailable,
    UnreadableImage,
)

from .formats import SAFE_FORMATS

if TYPE_CHECKING:
    from typing_extensions import Buffer

T = TypeVar("T")

#: Bytes that one call asks of the storage; small reads of the decoders come out of this buffer.
BUFFER_SIZE = 64 * 1024
#: Bytes of a file that cannot seek which are held in memory; what has more goes onto the disk.
_MOST_IN_MEMORY = 8 * 1024 * 1024
#: An animation may have this many times the pixels of the largest still, over all its frames.
ANIMATION_PIXELS = 4
#: The same for an animation that is read: frames need not be large to make a large canvas be painted.
SOURCE_ANIMATION_PIXELS = 5
#: A JPEG may have this many times the pixels of the largest other source, if it is decoded small.
SMALL_DECODE_PIXELS = 4
#: The canvas of an animation may have this share of the pixels of the largest still: several are held.
CANVAS_SHARE = 4
#: Bytes that decoding may take for each pixel of the largest source.
BYTES_PER_PIXEL = 8
#: What is no result yet, but goes on to another processor, may be larger than the largest result.
STEP_PIXELS = 2
#: Formats, some of them with a mode, whose encoders take several times the time or the memory of
#: others: how many times.
ENCODING_COST = {"AVIF": 2, "JPEG2000": 4, "WEBP RGBA": 2}


def _upper(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.upper() for name in names)


def _exceeded(what: str, limit: str, hint: str) -> LimitExceeded:
    return LimitExceeded(f"{what} that are allowed", limit=limit, hint=hint)


def _pixels(limit: int, times: int) -> str:
    # The number is the one that a project has written down, so that it finds it.
    return f"the {times} x {limit} pixels" if times > 1 else f"the {limit} pixels"


@attrs.frozen(kw_only=True)
class Limits:
    """How much an image may cost. ``None`` takes a limit away.

    Args:
        max_bytes: Largest source file, in bytes.
        max_pixels: Largest source, in pixels (width x height), checked before it is decoded. A JPEG
            counts as large as it is decoded, and may have four times as many where it is decoded
            small. What is decoded may take 8 bytes of memory for each, which formats and modes that need
            more reach earlier; all the frames of an animation may have five times as many.
        max_frames: Most frames of an animation.
        max_seconds: Longest time for all the work on one source, in seconds.
        max_output_pixels: Largest result, in pixels (width x height).
        max_missing: Largest share of its rows (of a WebP: of its bytes) that a still may lack because
            its file is cut off, of 0 to 1; 0 takes whole files only.
        allowed_formats: Formats that sources may have, by Pillow's names.

    Example:
        >>> Limits(max_pixels=10_000, allowed_formats=["png"]).check_pixels((200, 200))
        Traceback (most recent call last):
        ...
        imagekit_registry.exceptions.LimitExceeded: the image is 200 x 200 pixels, ...
    """

    max_bytes: int | None = None
    max_pixels: int | None = None
    max_frames: int | None = None
    max_seconds: float | None = None
    max_output_pixels: int | None = None
    max_missing: float | None = 0.1
    allowed_formats: frozenset[str] = attrs.field(default=SAFE_FORMATS, converter=_upper)

    def check_bytes(self, count: int) -> None:
        """Raise `LimitExceeded` if a source of *count* bytes is too large."""
        if self.max_bytes is not None and count > self.max_bytes:
            what = f"the file has {count} bytes, more than the {self.max_bytes}"
            raise _exceeded(what, "bytes", "Use a smaller file.")

    def check_pixels(self, size: tuple[int, int], times: int = 1) -> None:
        """Raise `LimitExceeded` if a source of *size* has more pixels than *times* the limit."""
        width, height = size
        if self.max_pixels is not None and width * height > self.max_pixels * times:
            most = _pixels(self.max_pixels, times)
            what = f"the image is {width} x {height} pixels, more than {most}"
            raise _exceeded(what, "pixels", "Use an image of fewer pixels.")

    def check_memory(self, count: int) -> None:
        """Raise `LimitExceeded` if decoding a source takes more than *count* bytes may be."""
        if self.max_pixels is not None and count > self.max_pixels * BYTES_PER_PIXEL:
            cause = (
                f"decoding the image would take {count // 1_000_000} MB of memory, more than the"
                f" {self.max_pixels * BYTES_PER_PIXEL // 1_000_000} MB that"
                f" {self.max_pixels} pixels may take"
            )
            hint = "Use an image of fewer pixels, or save it as JPEG."
            raise LimitExceeded(cause, limit="memory", hint=hint)

    def check_animation(self, size: tuple[int, int], frames: int) -> None:
        """Raise `LimitExceeded` if painting all the *frames* of an animation costs too much."""
        if self.max_pixels is None:
            return
        width, height = size
        what = f"{width} x {height} pixels,"
        most = self.max_pixels // CANVAS_SHARE
        if width * height > most:
            cause = f"the animation is {what} more than the {most} pixels that are allowed for one"
            raise LimitExceeded(cause, limit="memory", hint="Use a smaller animation.")
        if width * height * frames > self.max_pixels * SOURCE_ANIMATION_PIXELS:
            allowed = _pixels(self.max_pixels, SOURCE_ANIMATION_PIXELS)
            what = f"the animation is {frames} frames of {what} together more than {allowed}"
            raise _exceeded(what, "memory", "Use a shorter or smaller animation.")

    def check_frames(self, count: int) -> None:
        """Raise `LimitExceeded` if an animation has too many frames."""
        if self.max_frames is not None and count > self.max_frames:
            what = f"the animation has more than the {self.max_frames} frames"
            raise _exceeded(what, "frames", "Use a shorter animation.")

    def check_output(self, size: tuple[int, int], frames: int = 1, *, is_last: bool = True) -> None:
        """Raise `LimitExceeded` if a result of *size* is too large.

        Args:
            size: Width and height, in pixels.
            frames: How many there are of them.
            is_last: Whether it is what comes out in the end; what goes on to another processor may
                be larger.
        """
        if self.max_output_pixels is None:
            return
        width, height = size
        limit, times = self.max_output_pixels, 1 if is_last else STEP_PIXELS
        what = f"{width} x {height} pixels,"
        if width * height > limit * times:
            what = f"the result would be {what} more than {_pixels(limit, times)}"
            raise _exceeded(what, "output", "Ask for a smaller image.")
        times *= ANIMATION_PIXELS
        if width * height * frames > limit * times:
            most = _pixels(limit, times)
            what = f"the result would be {frames} frames of {what} together more than {most}"
            hint = "Ask for a smaller image, or use a shorter animation."
            raise _exceeded(what, "output", hint)

    def check_encoding(self, size: tuple[int, int], format: str, mode: str) -> None:
        """Raise `LimitExceeded` if *format* takes too much for a result of *size* and *mode*."""
        cost = ENCODING_COST.get(format) or ENCODING_COST.get(f"{format} {mode}", 1)
        if self.max_output_pixels is None or size[0] * size[1] * cost <= self.max_output_pixels:
            return
        cause = (
            f"the result would be {size[0]} x {size[1]} pixels, more than the"
            f" {self.max_output_pixels // cost} pixels that are allowed for {format}"
        )
        raise LimitExceeded(cause, limit="output", hint="Ask for a smaller image.")


class Deadline:
    """The moment at which the work on one source must be over.

    Made before the source is opened, it covers the opening as well.

    Args:
        seconds: How long the work may take; None for as long as it likes.

    Example:
        >>> deadline = Deadline(seconds=10)
        >>> deadline.check()
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return self._end is not None and time.monotonic() > self._end

    @property
    def left(self) -> float | None:
        """The seconds that are left, 0 if none are; None for any number."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Raise `LimitExceeded` if the time is over."""
        if self.is_over:
            cause = f"the work took longer than the {self.seconds} seconds that are allowed"
            hint = "Use a smaller or simpler image, or see why its storage is slow."
            raise LimitExceeded(cause, limit="seconds", hint=hint)


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
        #: In bytes.
        self.size = 0
        #: What is read, once, where the file ends.
        self.tail = b""

    # What is read from is there to be read, and what cannot seek has been read into memory. The
    # buffer asks before each seek, and sooner where no function of Python answers.
    readable = seekable = staticmethod(partial(bool, True))

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill *buffer*; return the number of bytes."""
        try:
            self._deadline.check()
        except LimitExceeded as error:
            self.error = error
            raise
        view = memoryview(buffer)
        data = self._ask(lambda: self._file.read(len(view)))
        if not data:
            data, self.tail = self.tail[: len(view)], self.tail[len(view) :]
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to *offset*; return the new position."""
        if whence == io.SEEK_SET and offset < 0:
            raise ValueError(f"negative seek position {offset}")
        self._ask(lambda: self._file.seek(offset, whence))
        return self.tell()

    def tell(self) -> int:
        """Return the position in the file."""
        return self._ask(lambda: int(self._file.tell()))

    def _ask(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except Exception as error:
            self.error = _unavailable(error)
            raise self.error from error


#: A buffer in front of a `SourceFile`, which is its ``raw``.
BufferedSource: TypeAlias = "io.BufferedReader[SourceFile]"


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
    """Read a file that cannot seek, no more of it than is allowed; a large one onto the disk."""
    left = float("inf") if limits.max_bytes is None else limits.max_bytes + 1
    with contextlib.ExitStack() as unless_complete:
        data = unless_complete.enter_context(SpooledTemporaryFile(_MOST_IN_MEMORY))
        while left > 0:
            deadline.check()
            # What comes over a network comes in pieces, however much is asked for.
            piece = file.read(int(min(left, BUFFER_SIZE)))
            if not piece:
                break
            data.write(piece)
            left -= len(piece)
        unless_complete.pop_all()
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
        view.size = view.seek(0, io.SEEK_END)
        limits.check_bytes(view.size)
        view.seek(0)
        buffered = io.BufferedReader(view, BUFFER_SIZE)
        try:
            yield buffered
        finally:
            # The view must not read on from a place that the file's owner no longer expects.
            buffered.detach()
            view.close()
    finally:
        if start is None:
            inner.close()
        else:
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
    # The buffer lets go of it in the end.
    view: SourceFile | None = source.raw
    try:
        yield
    except GenerationError:
        raise
    except Exception as error:
        # Pillow's plugins raise almost any class for hostile data, so none is left out.
        if view is not None and view.error is not None:
            raise view.error from error
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
    if "supported" in text:  # a rare kind
        cause = f"this kind of image is not supported ({text})"
        return UnreadableImage(cause, hint="Save it as a JPEG or PNG.")
    return UnreadableImage(f"the image is damaged ({text})", hint="Upload the file again.")
