"""Publish finished files: whole, under exactly the wanted name, with nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import logging
import posixpath
import re
import secrets
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage
from django.core.files.utils import validate_file_name

from imagekit_registry._loading import get_by_qname
from imagekit_registry.exceptions import PublishError, answer_or, logged

__all__ = ["is_temporary", "publish"]

logger = logging.getLogger(__name__)

PREFIX = ".imagekit-tmp-"
# A storage that renames on collision puts an underscore and letters before the extension.
TEMPORARY = re.compile(re.escape(PREFIX) + r"[0-9a-f]{16}(_\w+)?(\.\w+)?", re.ASCII)
# A temporary name is short however long the final one is.
EXTENSION = re.compile(r"\.\w{1,15}", re.ASCII)
TRIES = 5

# What knows object storages stands above this room: here it is an address.
_WITH_HEADERS = "imagekit_registry.contrib.storages.with_headers"

_HINTS = {
    errno.ENOSPC: "Make room on the disk.",
    errno.EDQUOT: "Raise the quota, or make room.",
    errno.EFBIG: "Raise the limit on the size of files.",
    errno.EACCES: "Give the process the right to write there.",
    errno.EPERM: "Give the process the right to write there.",
    errno.EROFS: "The file system is read-only.",
    errno.ENAMETOOLONG: "Use a namer that makes shorter names.",
}


class _KeptOpen(File):  # type: ignore[type-arg]
    """A file for a storage to read; some close what they have read, and it is not theirs."""

    def __init__(self, content: IO[bytes], name: str, media_type: str = "") -> None:
        super().__init__(content, name)
        #: What storages ask for; they guess by the name if there is none.
        self.content_type = media_type or None
        content.seek(0)

    def close(self) -> None:
        """Leave the file open."""


def publish(
    storage: Storage,
    name: str,
    content: IO[bytes],
    *,
    is_free: bool = False,
    media_type: str = "",
    headers: Mapping[str, str] | None = None,
) -> str:
    """Write *content* under *name*, so that nobody ever sees a part of it.

    On a file system the storage saves a hidden file beside the final one, in its own way; then that
    takes the name in one step, and the place of a file that has it. A process killed on the way
    leaves at most the hidden file, which ``cleanimages`` removes. If a subclass of
    ``FileSystemStorage`` must see the final name (because it records names, say), give it the
    attribute ``imagekit_save_in_place = True``, which costs the atomicity. Any other storage is used
    through ``save``, and is as atomic as that is.

    Args:
        storage: Where to.
        name: Name in the storage, with forward slashes.
        content: A binary file that can seek; read from its beginning, and left open.
        is_free: Whether the storage was just found to have no file of the name.
        media_type: What it is, such as ``"image/webp"``; empty: as the name says.
        headers: What an object storage sends with the file; see `ImageSpec.storage_headers`.

    Returns:
        The name of the file: *name*, unless the storage insists on another one. One that never
        overwrites does so where a file has the name: the new file is then complete under the name
        that is returned before the one at *name* is deleted.

    Raises:
        PublishError: The name is not allowed, or the storage failed; it has the cause.

    Example:
        >>> publish(default_storage, "CACHE/images/a.jpg", io.BytesIO(b"..."))
        'CACHE/images/a.jpg'
    """
    name = str(name).replace("\\", "/")
    try:
        validate_file_name(name, allow_relative_path=True)
        if not isinstance(storage, FileSystemStorage):
            with_headers = get_by_qname(_WITH_HEADERS, "way to send headers")
            storage = with_headers(storage, headers or {}, media_type, is_free=is_free)
        elif not getattr(storage, "imagekit_save_in_place", False):
            return _save_beside(storage, name, content)
        return _save_in_place(storage, name, _KeptOpen(content, name, media_type), is_free)
    except Exception as error:
        raise _explained(error, storage, name) from error


def is_temporary(name: str) -> bool:
    """Tell whether *name* is one of the hidden files that `publish` has a storage write.

    Example:
        >>> is_temporary("CACHE/images/.imagekit-tmp-0123456789abcdef.jpg")
        True
    """
    basename = name.replace("\\", "/").rpartition("/")[2]
    return TEMPORARY.fullmatch(basename) is not None


def _temporary_name(name: str) -> str:
    """Return a new hidden name (no folder) with the extension of *name*, 63 bytes or less."""
    suffix = PurePosixPath(name).suffix
    return f"{PREFIX}{secrets.token_hex(8)}{suffix if EXTENSION.fullmatch(suffix) else ''}"


def _save_beside(storage: FileSystemStorage, name: str, content: IO[bytes]) -> str:
    """Let the storage save a hidden file, then give that its name."""
    final = storage.path(name)
    aside = posixpath.join(posixpath.dirname(name), _temporary_name(name))
    left = TRIES
    while True:
        left -= 1
        temporary = Path(storage.path(aside))
        try:
            got = storage.save(aside, _KeptOpen(content, aside))
            if not is_temporary(got):
                return got  # it gives names of its own choice, so that no other one is to be had
            temporary = Path(storage.path(got))
            temporary.replace(final)
            return name
        except BaseException as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            # Somebody may tidy the folder away between its making and the writing into it.
            if not (left and isinstance(error, FileNotFoundError)):
                raise


def _save_in_place(storage: Storage, name: str, content: _KeptOpen, is_free: bool) -> str:
    """Publish by the public interface of any storage."""
    was_there, size_before = (False, None) if is_free else _look(storage, name)
    size = content.size
    try:
        got = storage.save(name, content)
    except BaseException:
        # A storage that writes in place may fail in the middle: half a file would pass for an image.
        with contextlib.suppress(Exception):
            if _look(storage, name)[1] not in {None, size_before, size}:
                storage.delete(name)
        raise
    is_same_name = posixpath.normpath(got.replace("\\", "/")) == posixpath.normpath(name)
    if is_same_name or not storage.exists(name):
        return got
    # The storage chose another name since the wanted one was taken, and one must go: the former
    # file, if there was one when we began, else ours. Somebody was faster, and has a record that
    # leads to the wanted name. Whatever the storage raises then, the image is there.
    unwanted, kept = (name, got) if was_there else (got, name)
    is_gone = False
    with logged(logger, "%s keeps %r beside %r", storage, unwanted, kept):
        storage.delete(unwanted)
        is_gone = True
    if is_gone and not storage.exists(kept):
        # Two spellings of one file, in a storage that normalises names: that was our own.
        content.seek(0)
        return storage.save(name, content)
    return kept


def _look(storage: Storage, name: str) -> tuple[bool, int | None]:
    """Return whether there is a file, and its bytes; in doubt there is one, of unknown size."""
    exists = answer_or(None, storage.exists, name)
    return exists is not False, answer_or(None, storage.size, name) if exists else None


def _explained(error: Exception, storage: Storage, name: str) -> PublishError:
    """Turn what the storage raised into our own exception, with what to do about it."""
    hint = ""
    if isinstance(error, SuspiciousFileOperation):
        hint = "A name must stay inside its storage: check the namer."
    elif isinstance(error, OSError) and error.errno is not None:
        hint = _HINTS.get(error.errno, "")
    # An OSError's own text would name the temporary file, which tells the reader nothing.
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    reason = reason.rstrip(".") or type(error).__name__
    cause = f"{name!r} could not be written to {type(storage).__name__}: {reason}"
    return PublishError(cause, hint=hint)
