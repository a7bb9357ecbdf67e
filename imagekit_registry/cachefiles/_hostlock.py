"""A lock between all threads and processes of one user on one host."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import sys
import tempfile
import threading
from pathlib import Path

from imagekit_registry._breaker import breaker_of

#: The locks that threads of this process have, or are about to take, by the names of their files.
_claims: dict[str, HostLock] = {}


class HostLock:
    """Keeps the threads and processes of one user on one host apart, by a lock file per key.

    The system lets go of the lock when its owner dies, however that comes. The file is removed by
    its owner before the lock ends; who has opened it meanwhile finds that it has lost its name.

    Where no lock file can be had (a full or read-only disk), only the threads of this process are
    kept apart: making an image twice does less harm than making none.

    Args:
        key: What to lock, of any length and characters.
        note: A word that is left in the lock file if the owner is killed.

    Attributes:
        killed: The notes of those who had the lock before and were killed.
    """

    def __init__(self, key: str, note: str = "") -> None:
        encoded = key.encode("utf-8", "surrogatepass")
        self._name = hashlib.blake2b(encoded, digest_size=16).hexdigest()
        self._note = note
        self._thread = threading.get_ident()
        self._path = Path()
        self._descriptor: int | None = None
        self.killed: list[str] = []

    @property
    def is_ours(self) -> bool:
        """Whether it is held, or about to be taken; in a fork it is the parent's."""
        return _claims.get(self._name) is self

    def is_held_by_this_thread(self) -> bool:
        """Tell whether waiting would be waiting for oneself."""
        owner = _claims.get(self._name, self)
        return owner is not self and owner._thread == self._thread

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it, and tell whether it is ours; never waits."""
        if _claims.setdefault(self._name, self) is self and self._descriptor is None:
            breaker = breaker_of(
                f"A lock file in {tempfile.gettempdir()}",
                meanwhile="the processes of this host may make an image twice",
            )
            if not breaker.call(self._take_file, True):
                del _claims[self._name]
        return self.is_ours

    def release(self) -> None:
        """Let go of the lock if it is ours."""
        if self.is_ours:
            if self._descriptor is not None:
                _let_go(self._descriptor, self._path)
                self._descriptor = None
            del _claims[self._name]

    def _take_file(self) -> bool:
        """Open and lock the file; False: somebody else has it, or has removed it meanwhile."""
        self._path = _folder() / self._name
        with contextlib.ExitStack() as stack, contextlib.suppress(TAKEN):
            descriptor = os.open(self._path, FLAGS, 0o600)
            stack.callback(os.close, descriptor)
            _lock(descriptor)
            if _has_name(descriptor, self._path):
                self.killed = os.read(descriptor, 65536).decode("ascii", "replace").split()
                with contextlib.suppress(OSError):  # a full disk: the lock holds without the note
                    os.write(descriptor, f"{self._note}\n".encode())
                self._descriptor = descriptor
                stack.pop_all()
                return True
        return False


def _folder() -> Path:
    """Return the folder of this user's lock files, made if need be; nobody else can write it.

    Anybody may have put a folder, or a link, of this name into the shared folder for temporary
    files before us. What is not a folder of our own is left alone, and the next name is tried.
    """
    if sys.platform == "win32":
        user = 0  # of all files; but each user has a folder for temporary files
    else:
        user = os.geteuid()
    for suffix in ("", "-1", "-2", "-3"):
        folder = Path(tempfile.gettempdir()) / f"imagekit-locks-{user}{suffix}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == user:
            if status.st_mode & 0o077:
                folder.chmod(0o700)
            return folder
    raise PermissionError(errno.EACCES, "other users have taken all names of the folder", folder)


def _has_name(descriptor: int, path: Path) -> bool:
    """Tell whether the open file is the one that has the name now."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    FLAGS = os.O_RDWR | os.O_CREAT
    TAKEN = PermissionError  # also of a file that its owner is removing

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _let_go(descriptor: int, path: Path) -> None:
        os.close(descriptor)
        with contextlib.suppress(OSError):  # somebody has it open
            path.unlink()

else:
    import fcntl

    FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    TAKEN = BlockingIOError

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _let_go(descriptor: int, path: Path) -> None:
        with contextlib.suppress(OSError):
            if _has_name(descriptor, path):
                path.unlink()
        # Explicitly: a copy in a forked child would keep the lock beyond the closing.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)

    def _forget_claims() -> None:
        for lock in _claims.values():
            if lock._descriptor is not None:
                os.close(lock._descriptor)  # an open copy would keep the lock of a killed parent
        _claims.clear()

    os.register_at_fork(after_in_child=_forget_claims)
