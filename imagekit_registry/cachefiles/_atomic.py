"""Put a file into a folder so that nobody ever sees a part of it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from django.core.files.storage import FileSystemStorage

if TYPE_CHECKING:
    from django.core.files import File

    Content = IO[bytes] | File[Any]

PREFIX = ".imagekit-tmp-"
# A storage that renames on collision puts an underscore and letters before the extension.
TEMPORARY = re.compile(re.escape(PREFIX) + r"[0-9a-f]{16}(_\w+)?(\.\w+)?", re.ASCII)
# A temporary name is short however long the final one is.
EXTENSION = re.compile(r"\.\w{1,15}", re.ASCII)
RETRIES = 5


def temporary_name(name: str) -> str:
    """Return a new hidden name (no folder) with the extension of *name*, 63 bytes or less."""
    suffix = PurePosixPath(name).suffix
    if not EXTENSION.fullmatch(suffix):
        suffix = ""
    return f"{PREFIX}{secrets.token_hex(8)}{suffix}"


def write(storage: FileSystemStorage, path: Path, content: Content, *, fsync: bool) -> None:
    """Write *content* to the new file *path* with the permissions that *storage* gives.

    Folders, modes, umask and group are handled as by ``FileSystemStorage._save``.
    """
    make_directories(path.parent, storage.directory_permissions_mode)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        content.seek(0)
        shutil.copyfileobj(content, file, 256 * 1024)
        if fsync:
            file.flush()
            os.fsync(file.fileno())
    if storage.file_permissions_mode is not None:
        path.chmod(storage.file_permissions_mode)
    _take_group(path, Path(storage.location))


def make_directories(directory: Path, mode: int | None) -> None:
    """Make *directory* and what is missing above it, each with *mode* (None: by the umask)."""
    missing = []
    while not directory.exists():
        missing.append(directory)
        directory = directory.parent
    for folder in reversed(missing):
        try:
            folder.mkdir()
        except FileExistsError:
            if not folder.is_dir():  # somebody else made it meanwhile, or it is a file
                raise
        else:
            if mode is not None:
                folder.chmod(mode)


def _take_group(path: Path, location: Path) -> None:
    """Give the file the group of the storage's root, where the system allows it."""
    if os.name != "posix":
        return
    group = location.stat().st_gid
    if path.stat().st_gid != group:
        with contextlib.suppress(PermissionError):
            os.chown(path, -1, group)


def place(temporary: Path, final: Path, *, replace: bool) -> None:
    """Give the whole file *temporary* its *final* name; *temporary* is gone afterwards.

    Args:
        temporary: The written file, in the folder of the final one.
        final: The name it shall have.
        replace: Take the place of a file of that name; otherwise that file stays.
    """
    if replace:
        temporary.replace(final)
        return
    for _ in range(RETRIES):
        if _link(temporary, final) or final.is_file():
            temporary.unlink(missing_ok=True)
            return
        if final.is_symlink():  # it points nowhere, so that nobody can be reading it
            temporary.replace(final)
            return
        if final.is_dir():
            raise IsADirectoryError(f"{final} is a directory")
        # Somebody removed the file between our two looks: the name is free again.
    temporary.replace(final)


def _link(temporary: Path, final: Path) -> bool:
    """Give the file a second name; False: that name is taken."""
    try:
        final.hardlink_to(temporary)
    except FileNotFoundError:
        raise
    except FileExistsError:
        return False
    except (OSError, NotImplementedError):
        # No hard links here (FAT, some network file systems): a rename is as atomic. If another
        # file gets the name between these two lines, the same recipe's same bytes replace it.
        if os.path.lexists(final):
            return False
        temporary.replace(final)
    return True


def flush_file(path: Path) -> None:
    """Wait until the content of the file is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def flush_directory(directory: Path, root: Path) -> None:
    """Wait until the names in *directory*, and its own up to *root*, are on the disk."""
    if os.name != "posix":  # Windows gives no handle of a folder to flush
        return
    for folder in [directory, *directory.parents]:
        with contextlib.suppress(OSError):  # some file systems cannot flush a folder
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        if folder == root:
            break
