"""Sources of specs: what they are called, and how they are opened and left."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn, Protocol

import attrs
from django.conf import STATICFILES_STORAGE_ALIAS
from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage, storages
from django.db.models.fields.files import FieldFile

from imagekit_registry._loading import get_by_qname, get_singleton, storage_reference
from imagekit_registry.conf import settings
from imagekit_registry.exceptions import (
    ImageKitError,
    InvalidArgumentType,
    SourceNotFound,
    SourceUnavailable,
    answer_or,
)

_CHUNK_BYTES = 1 << 20

if TYPE_CHECKING:
    _File = File[bytes]
else:
    _File = File


class StoredFile(_File):
    """A file in a storage, opened when it is first read.

    Args:
        name: The file's name in the storage.
        storage: The storage; the default one if None.
    """

    def __init__(self, name: str, storage: Storage | None = None) -> None:
        # As Django's own do, which are opened later.
        self._file: Any = None
        self.name = name
        self.storage = storage or storages["default"]

    def __bool__(self) -> bool:
        return bool(self.name)

    @property
    def file(self) -> Any:  # type: ignore[override]
        """The open file; whoever asks first opens it, and closes it by `close`."""
        if self._file is None:
            self._file = self.storage.open(str(self.name), "rb")
        return self._file

    @property
    def closed(self) -> bool:
        """Whether the file is not open."""
        return self._file is None or bool(self._file.closed)

    def open(self, mode: str | None = None, *args: object, **kwargs: object) -> StoredFile:
        """Open the file, at its start."""
        self.close()
        self._file = self.storage.open(str(self.name), mode or "rb")
        return self

    def close(self) -> None:
        """Close the file; it is opened again when it is read again."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    @property
    def size(self) -> int:
        """The size in bytes, as the storage says."""
        return self.storage.size(str(self.name))

    @property
    def url(self) -> str:
        """The URL of the file."""
        return self.storage.url(str(self.name))

    def __reduce__(self) -> tuple[object, ...]:
        reference = storage_reference(self.storage) or "default"
        # What is no alias is a class with arguments, which only the storage itself knows.
        storage = reference if reference in storages.backends else self.storage
        return (_restore_stored_file, (self.name, storage))


def _restore_stored_file(name: str, storage: Storage | str) -> StoredFile:
    return StoredFile(name, storages[storage] if isinstance(storage, str) else storage)


@attrs.frozen
class SourceReference:
    """How a source is written down: in digests, in state records and in queues.

    Args:
        name: The file's name in its storage, or its path on the disk.
        storage: The storage's alias in ``STORAGES``, or its class and a hash if it has none; empty
            for the default storage; ``"file"`` for a file outside of any storage, ``"content"`` for
            one that has no name.

    Example:
        >>> SourceReference.parse(str(SourceReference("a.jpg", "file"))).storage
        'file'
    """

    name: str
    storage: str = ""

    def __str__(self) -> str:
        # A colon in a name is no end of a storage's alias.
        has_prefix = self.storage or ":" in self.name
        return f"{self.storage}:{self.name}" if has_prefix else self.name

    @classmethod
    def parse(cls, text: str) -> SourceReference:
        """Return the reference that was written down as *text*."""
        storage, separator, name = text.partition(":")
        return cls(name, storage) if separator else cls(text)


def name_of(source: object) -> str | None:
    """Return the name of *source*; None if it has none."""
    name = getattr(source, "name", None)
    return str(name) if name else None


def storage_of(source: object) -> Storage | None:
    """Return the storage that *source* lies in; None if it lies in none."""
    storage: Storage | None = getattr(source, "storage", None)
    return storage


def is_stored(source: object) -> bool:
    """Return whether *source* is there for other processes as well: it is no upload yet."""
    return bool(getattr(source, "_committed", True))


def has_source(source: object) -> bool:
    """Return whether there is anything to read: an empty image field is no source."""
    if source is None:
        return False
    if isinstance(source, FieldFile | StoredFile) or has_generator(source):
        return name_of(source) is not None
    return bool(source) or hasattr(source, "read")


def has_generator(source: object) -> bool:
    """Return whether *source* is what another generator makes, and may not be there yet."""
    return hasattr(source, "generator")


def reference_of(source: object) -> str:
    """Return how records and digests name *source*; empty if there is none."""
    return str(refer_to(source)) if has_source(source) else ""


def refer_to(source: object) -> SourceReference:
    """Return how *source* is written down.

    A file without a name is told by its content, which is read for that. So is an upload that is not
    stored yet: it may have the name of another one.
    """
    name, storage = getattr(source, "name", None), storage_of(source)
    if not name or not is_stored(source):
        return SourceReference(_content_digest(source), "content")
    if storage is not None:
        return SourceReference(_with_slashes(str(name)), storage_reference(storage))
    if isinstance(name, str) and not _is_upload(source):
        return SourceReference(_with_slashes(name), "file")
    return SourceReference(_content_digest(source), "content")


def _is_upload(source: object) -> bool:
    """Return whether the name of an open file is one that was given to it, and no path."""
    if not is_open(source):
        return False
    inner = getattr(source, "file", source)
    return isinstance(inner, io.BytesIO) or name_of(inner) != name_of(source)


def _with_slashes(name: str) -> str:
    # Where a backslash separates no folders, "a\\b" and "a/b" are two files.
    return name.replace(os.sep, "/")


def _content_digest(source: object) -> str:
    digest = blake2b(digest_size=16)
    with open_source(source) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def fingerprint(source: object) -> str:
    """Return what tells whether the file under a source's name is still the same.

    Returns:
        Its ETag, of a storage that has a method ``get_etag(name)``, else its modification time; after
        its size in bytes on a file system, or where there is no other. Elsewhere each is a request.
        Empty if the storage tells nothing, or for a source outside of any storage.
    """
    storage, name = storage_of(source), name_of(source)
    if storage is None or not name:
        return ""
    reader = _reader_of(storage)
    if reader is not None:
        return answer_or("", reader.fingerprint, name)
    etag = (
        answer_or("", lambda: str(storage.get_etag(name))) if hasattr(storage, "get_etag") else ""
    )
    # Many storages lack them, and each says so in its way.
    changed = etag or answer_or("", lambda: str(storage.get_modified_time(name)))
    if changed and not isinstance(storage, FileSystemStorage):
        return changed
    size = answer_or("", lambda: str(storage.size(name)))
    return "/".join(filter(None, (size, changed)))


class SourceReader(Protocol):
    """**Protocol:** what tells the fingerprint of a file in a storage together with its content.

    Called by whoever makes images: one call of `open` for all images of a source.
    """

    def open(self, name: str) -> tuple[IO[bytes], str]:
        """Return the content, which need not seek, and its fingerprint.

        Raises:
            FileNotFoundError: There is no such file.
        """

    def fingerprint(self, name: str) -> str:
        """Return the fingerprint of the file as it is now."""


# What knows these storages stands above this room, or is imported with the first static file alone.
_READER_OF = "imagekit_registry.contrib.storages.reader_of"
_FOUND_READER = "imagekit_registry.specs.static.FoundReader"


def _reader_of(storage: object) -> SourceReader | None:
    reader: SourceReader | None = None
    if settings.DEBUG and storage_reference(storage) == STATICFILES_STORAGE_ALIAS:
        reader = get_singleton(_FOUND_READER, "reader of sources")
    elif not (
        isinstance(storage, FileSystemStorage | InMemoryStorage) or hasattr(storage, "get_etag")
    ):
        reader = get_by_qname(_READER_OF, "reader of sources")(storage)
    return reader


#: A source that was opened before it is asked for, and what gives its content or raises the reason.
_opened: ContextVar[tuple[object, Callable[[], Any]] | None] = ContextVar("_opened", default=None)


@contextmanager
def reading(source: object) -> Iterator[str]:
    """Give the fingerprint of what `open_source` reads of *source* in the block, when it is first asked.

    It is asked for before that; or comes with the content, by one request, where a storage can
    tell both.
    """
    reader = None
    if not is_open(source) and not has_generator(source) and is_stored(source):
        reader = _reader_of(storage_of(source))
    if reader is None:
        yield fingerprint(source)
        return
    content, seen = None, ""
    try:
        content, seen = reader.open(str(name_of(source)))
    except Exception as error:  # noqa: BLE001 -- `open_source` tells what client libraries raise
        _opened.set((source, partial(_raise, error)))
    else:
        _opened.set((source, lambda: content))
    try:
        yield seen
    finally:
        _opened.set(None)
        if content is not None:
            content.close()


def _raise(error: Exception) -> NoReturn:
    raise error


@contextmanager
def open_source(source: object) -> Iterator[IO[bytes]]:
    """Open *source* for reading from its start, and leave it as it was.

    A source that is open stays open, at the position that it had. A closed one that lies in a
    storage is opened anew, beside the source object, which stays closed.

    Raises:
        SourceUnavailable: The file does not exist, or its storage does not give it.
        GenerationError: The source is a cache file, which cannot be made.
    """
    if is_open(source):
        with _at_start(source) as file:
            yield file
        return
    try:
        handle = _open_again(source)
    except ImageKitError:
        # It is an image itself, which could not be made.
        raise
    except FileNotFoundError as error:
        name = name_of(source)
        hint = "Restore the file, or clear the image field that names it."
        if "://" in (name or ""):
            hint = "Images of other sites are not fetched: store it, and give its name."
        raise SourceNotFound(SourceNotFound.CAUSE, source=name, hint=hint) from error
    except (OSError, ValueError, SuspiciousFileOperation) as error:
        raise SourceUnavailable(
            f"the source file cannot be opened ({type(error).__name__}: {error})",
            source=name_of(source),
        ) from error
    except Exception as error:
        # Storages of other projects raise what their client libraries raise.
        raise SourceUnavailable(
            f"the storage does not give the source file ({type(error).__name__}: {error})",
            source=name_of(source),
        ) from error
    with handle:
        yield handle


def is_open(source: object) -> bool:
    """Return whether *source* is open for reading, at a position that whoever opened it relies on."""
    closed = getattr(source, "closed", None)
    if closed is None:
        return hasattr(source, "read")
    return not closed


@contextmanager
def _at_start(source: Any) -> Iterator[IO[bytes]]:
    if isinstance(source, io.TextIOBase):
        cause, hint = "it is open for text, not for bytes", "Open it with the mode 'rb'."
        raise SourceUnavailable(cause, source=name_of(source), hint=hint)
    try:
        position = source.tell()
        source.seek(0)
    except (AttributeError, OSError, ValueError) as error:
        raise SourceUnavailable(
            f"the source cannot be read from its start ({type(error).__name__}: {error})",
            source=name_of(source),
            hint="Give what can seek: io.BytesIO(source.read()), say.",
        ) from error
    try:
        yield source
    finally:
        source.seek(position)


def _open_again(source: Any) -> Any:
    opened = _opened.get()
    if opened is not None and opened[0] is source:
        _opened.set(None)
        return opened[1]()
    if has_generator(source):
        return source.open()
    storage = storage_of(source)
    name: Any = getattr(source, "name", None)
    if storage is not None and is_stored(source):
        reader = _reader_of(storage)
        return storage.open(name, "rb") if reader is None else reader.open(name)[0]
    if isinstance(name, str):
        return Path(name).open("rb")
    if hasattr(source, "read"):
        raise ValueError("it is closed and has no name")
    raise InvalidArgumentType(
        f"{type(source).__name__} is no source: give an image field's file, any other file that is"
        " open for bytes, or the name of one in the default storage."
    )
