"""Publish finished files: whole, under exactly the wanted name, with nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import posixpath
import stat
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage
from django.core.files.utils import validate_file_name

from imagekit_registry._storage_calls import StorageTimeout, ask
from imagekit_registry.cachefiles import _atomic
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import ImageKitError, PublishError

if TYPE_CHECKING:
    from imagekit_registry.cachefiles._atomic import Content

__all__ = ["is_temporary", "publish", "sweep_temporaries"]

logger = logging.getLogger(__name__)

# Kept from the moment of import, so that a test that replaces them on the class is obeyed.
_PLAIN = {"save": Storage.save, "_save": vars(FileSystemStorage)["_save"]}

_HINTS = {
    errno.ENOSPC: "Make room on the disk.",
    errno.EDQUOT: "Raise the quota, or make room.",
    errno.EFBIG: "Raise the limit on the size of files.",
    errno.EACCES: "Give the process the right to write there.",
    errno.EPERM: "Give the process the right to write there.",
    errno.EROFS: "The file system is read-only.",
    errno.ENAMETOOLONG: "Use a namer that makes shorter names.",
}


class _Lent(File):  # type: ignore[type-arg]
    """A file for a storage to read; some close what they have read, and it is not theirs."""

    def close(self) -> None:
        """Leave the file open."""


def publish(
    storage: Storage,
    name: str,
    content: Content,
    *,
    replace: bool = False,
    fsync: bool = False,
) -> str:
    """Write *content* under *name*, so that nobody ever sees a part of it.

    On a file system the content goes into a hidden file beside the final one, which then takes
    its name in one step; a process killed on the way leaves at most the hidden file, for
    `sweep_temporaries`. A subclass of ``FileSystemStorage`` that saves in its own way saves that
    hidden file; if it must see the final name (because it records names, say), give it the
    attribute ``imagekit_save_in_place = True``, which costs the atomicity. Any other storage is
    used through ``save``, and is as atomic as that is.

    Args:
        storage: Where to.
        name: Name in the storage, with forward slashes.
        content: A binary file that can seek; read from its beginning, and left open.
        replace: Take the place of a file that has the name. Otherwise that file stays and the
            content is dropped: the same name says the same recipe, and so the same bytes.
        fsync: Wait until file and name are on the disk (file systems only).

    Returns:
        The name of the file: *name*, unless the storage insists on another one. It does when it
        never overwrites and *replace* is set: the new file is then complete under the name that
        is returned before the one at *name* is deleted.

    Raises:
        PublishError: The name is not allowed, or the storage failed; it has the cause.

    Example:
        >>> publish(default_storage, "CACHE/images/a.jpg", io.BytesIO(b"..."))
        'CACHE/images/a.jpg'
    """
    name = str(name).replace("\\", "/")
    try:
        if conf.STORAGE_TIMEOUT is not None:
            content = _copy_of(content)
        validate_file_name(name, allow_relative_path=True)
        if not isinstance(storage, FileSystemStorage) or _must_save_in_place(storage):
            return _save(storage, name, content, replace=replace)
        if _saves_plainly(storage):
            return _write(storage, name, content, replace=replace, fsync=fsync)
        return _save_aside(storage, name, content, replace=replace, fsync=fsync)
    except ImageKitError:
        raise
    except Exception as error:
        raise _explained(error, storage, name) from error


def _copy_of(content: Content) -> Content:
    """Return a copy in memory: a save that is given up reads on while we have gone."""
    content.seek(0)
    return io.BytesIO(content.read())


def _explained(error: Exception, storage: Storage, name: str) -> PublishError:
    """Turn what the storage raised into our own exception, with what to do about it."""
    hint = ""
    if isinstance(error, SuspiciousFileOperation):
        hint = "A name must stay inside its storage: check the namer."
    elif isinstance(error, StorageTimeout):
        hint = error.hint
    elif isinstance(error, OSError) and error.errno is not None:
        hint = _HINTS.get(error.errno, "")
    # An OSError's own text would name the temporary file, which tells the reader nothing.
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    reason = reason.rstrip(".") or type(error).__name__
    where = storage.__class__.__name__
    return PublishError(f"{name!r} could not be written to {where}: {reason}", hint=hint)


def _must_save_in_place(storage: Storage) -> bool:
    return bool(getattr(storage, "imagekit_save_in_place", False))


def _saves_plainly(storage: Storage) -> bool:
    """Tell whether the storage saves files in the way of ``FileSystemStorage`` itself."""
    return all(
        getattr(getattr(storage, method), "__func__", None) is plain
        for method, plain in _PLAIN.items()
    )


def _write(
    storage: FileSystemStorage, name: str, content: Content, *, replace: bool, fsync: bool
) -> str:
    """Write the file ourselves: beside its place, then into it."""
    final = Path(storage.path(name))
    write = partial(_write_now, storage, name, final, content, replace=replace, fsync=fsync)
    # One that is given up ends in the whole file, or in none.
    ask(storage, write, name=name, changes=True)
    return name


def _write_now(
    storage: FileSystemStorage,
    name: str,
    final: Path,
    content: Content,
    *,
    replace: bool,
    fsync: bool,
) -> None:
    for attempt in range(_atomic.RETRIES):
        temporary = final.with_name(_atomic.temporary_name(name))
        try:
            with _removed_on_failure(temporary):
                _atomic.write(storage, temporary, content, fsync=fsync)
                _atomic.place(temporary, final, replace=replace)
        except FileNotFoundError:
            # Somebody tidied the folder away between making it and writing into it.
            if attempt == _atomic.RETRIES - 1:
                raise
        else:
            break
    if fsync:
        _atomic.flush_directory(final.parent, Path(storage.location))


def _save_aside(
    storage: FileSystemStorage, name: str, content: Content, *, replace: bool, fsync: bool
) -> str:
    """Let the storage save a hidden file in its own way, then move that into its place."""
    final = Path(storage.path(name))
    aside = posixpath.join(posixpath.dirname(name), _atomic.temporary_name(name))

    def save() -> str:
        with _removed_on_failure(Path(storage.path(aside))):
            content.seek(0)
            return storage.save(aside, _Lent(content, name=aside))

    def remove(got: str | None) -> None:
        if got is not None:
            storage.delete(got)

    got = ask(storage, save, name=name, changes=True, late=remove)
    if not is_temporary(got):
        return got  # it gives names of its own choice, so that no other one is to be had
    temporary = Path(storage.path(got))
    if not ask(storage, temporary.is_file):  # it keeps its files elsewhere
        ask(storage, partial(storage.delete, got))
        return _save(storage, name, content, replace=replace)

    def place() -> None:
        with _removed_on_failure(temporary):
            if fsync:
                _atomic.flush_file(temporary)
            _atomic.place(temporary, final, replace=replace)
        if fsync:
            _atomic.flush_directory(final.parent, Path(storage.location))

    ask(storage, place, name=name, changes=True)
    return name


@contextlib.contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    """Remove the file if the block ends with an exception, be it a KeyboardInterrupt."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError, ValueError):
            path.unlink(missing_ok=True)
        raise


def _save(storage: Storage, name: str, content: Content, *, replace: bool) -> str:
    """Publish by the public interface of any storage."""
    size = content.seek(0, os.SEEK_END)
    replaces, old_size = _look(storage, name) if replace else (False, None)
    got = _save_or_clean(storage, name, content, sizes={size, old_size})
    if _is_same_name(got, name):
        return got
    # The storage chose another name. If it did so because the wanted one was taken, one must go:
    # the former file, if there was one when we began, else ours. Somebody was faster, and has a
    # record that leads to the wanted name.
    if not ask(storage, partial(storage.exists, name)):
        return got
    unwanted, kept = (name, got) if replaces else (got, name)
    try:
        ask(storage, partial(storage.delete, unwanted), name=unwanted, changes=True)
    except Exception as error:  # noqa: BLE001  the image is there, whatever the storage raises
        logger.warning("%s keeps %r beside %r: %s", storage, unwanted, kept, error)
        return kept
    if ask(storage, partial(storage.exists, kept)):
        return kept
    # Two spellings of one file, in a storage that normalises names: that was our own.
    return _save_or_clean(storage, name, content, sizes={size})


def _save_or_clean(storage: Storage, name: str, content: Content, *, sizes: set[int | None]) -> str:
    """Save the content; on failure remove the file if its size is none of *sizes*.

    A storage that writes in place may fail in the middle, and what it leaves would pass for the
    finished image.
    """

    def save() -> str:
        content.seek(0)
        try:
            return storage.save(name, _Lent(content, name=name))
        except BaseException:
            with contextlib.suppress(Exception):
                if _look(storage, name)[1] not in {None, *sizes}:
                    storage.delete(name)
            raise

    def remove_second(got: str | None) -> None:
        # Nobody has waited for the name that the storage chose, so that nobody knows the file.
        if got is not None and not _is_same_name(got, name):
            storage.delete(got)

    return ask(storage, save, name=name, changes=True, late=remove_second)


def _look(storage: Storage, name: str) -> tuple[bool, int | None]:
    """Return whether there is a file, and its bytes; in doubt there is one, of unknown size.

    Storages raise what they like; the save will tell.
    """
    try:
        if not ask(storage, partial(storage.exists, name)):
            return False, None
        return True, ask(storage, partial(storage.size, name))
    except Exception:  # noqa: BLE001
        return True, None


def _is_same_name(one: str, other: str) -> bool:
    return posixpath.normpath(one.replace("\\", "/")) == posixpath.normpath(other)


def is_temporary(name: str) -> bool:
    """Tell whether *name* is one of the hidden files that `publish` writes into.

    Example:
        >>> is_temporary("CACHE/images/.imagekit-tmp-0123456789abcdef.jpg")
        True
    """
    basename = name.replace("\\", "/").rpartition("/")[2]
    return _atomic.TEMPORARY.fullmatch(basename) is not None


def sweep_temporaries(storage: Storage, directory: str, *, older_than: float) -> list[str]:
    """Remove what killed processes have left of their hidden files.

    Args:
        storage: Where to look; only file systems have such files.
        directory: Folder in the storage, with all that is below it.
        older_than: Seconds since the last write; younger files may be at work.

    Returns:
        The names of the removed files. What cannot be removed is logged and left.

    Raises:
        PublishError: *directory* is outside of the storage.
    """
    if not isinstance(storage, FileSystemStorage):
        return []
    newest = time.time() - older_than
    try:
        return sorted(
            name for name in _temporaries(storage, directory) if _sweep(storage, name, newest)
        )
    except SuspiciousFileOperation as error:
        raise _explained(error, storage, directory) from error


def _temporaries(storage: FileSystemStorage, directory: str) -> Iterator[str]:
    """Yield the hidden files below *directory*; each real folder is entered once."""
    seen = set()
    waiting = [directory]
    while waiting:
        folder = waiting.pop()
        real = Path(storage.path(folder)).resolve()
        if real in seen:  # a symbolic link that leads back
            continue
        seen.add(real)
        try:
            folders, files = storage.listdir(folder)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        waiting.extend(posixpath.join(folder, item) for item in folders)
        yield from (posixpath.join(folder, item) for item in files if is_temporary(item))


def _sweep(storage: FileSystemStorage, name: str, newest: float) -> bool:
    """Remove the file if it was last written at *newest* or before; tell whether it was."""
    path = Path(storage.path(name))
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_mtime > newest:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        logger.warning("%s cannot be removed: %s", path, error)
        return False
    return True
