"""A lock between all threads and processes of one user on one host."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import logging
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import attrs

__all__ = ["HostLock"]

logger = logging.getLogger("imagekit_registry.locks")

RETRIES = 10
FOLDER = "imagekit-locks"
LOG_INTERVAL = 60.0  # seconds


@attrs.frozen
class _Held:
    """A lock file that is open and locked.

    Args:
        descriptor: Its file descriptor; closing it lets go of the lock.
        path: Where it lies.
        domain: What tells this host and folder from all others; empty: cannot be told.
    """

    descriptor: int
    path: Path
    domain: str


class HostLock:
    """Keeps the threads and processes of one user on one host apart, by a lock file per key.

    The system lets go of the lock when its owner dies, however that comes. The file is removed
    by its owner before the lock ends, so that files do not pile up; who has opened it meanwhile
    finds that it has lost its name, and starts again.

    Where no lock file can be had (a full or read-only disk), only the threads of this process are
    kept apart: making an image twice does less harm than making none.

    Args:
        key: What to lock, of any length and characters.
    """

    def __init__(self, key: str) -> None:
        self._name = hashlib.blake2b(
            key.encode("utf-8", "surrogatepass"), digest_size=16
        ).hexdigest()
        self._held: _Held | None = None
        self._is_claimed = False
        self._process = 0

    @property
    def domain(self) -> str:
        """What is the same for all who share the lock files; empty: unknown, or not locked."""
        return self._held.domain if self._held else ""

    def is_held_by_this_thread(self) -> bool:
        """Tell whether waiting would be waiting for oneself."""
        return _process.claims.get(self._name) == threading.get_ident()

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it; never waits."""
        if not _process.claim(self._name):
            return False
        self._is_claimed = True
        self._process = os.getpid()
        try:
            self._held = _take(self._name)
        except BlockingIOError:
            self.release()
            return False
        except (OSError, NotImplementedError) as error:
            _process.complain(error)
        except BaseException:
            self.release()
            raise
        else:
            _process.descriptors.add(self._held.descriptor)
        return True

    def release(self) -> None:
        """Let go of the lock, if held."""
        if self._process != os.getpid():
            return  # a child of the process that took it: not ours to let go
        held, self._held = self._held, None
        if held is not None:
            _process.descriptors.discard(held.descriptor)
            with contextlib.suppress(OSError):
                _let_go(held)
        if self._is_claimed:
            self._is_claimed = False
            _process.claims.pop(self._name, None)


class _Process:
    """What the threads of this process share."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: in a fork, locks and their files belong to the parent."""
        self.guard = threading.Lock()
        self.claims: dict[str, int] = {}
        self.descriptors: set[int] = set()
        self.complained_at: float | None = None

    def after_fork(self) -> None:
        # An open copy here would keep the lock alive if the parent were killed.
        for descriptor in self.descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.forget()

    def claim(self, name: str) -> bool:
        """Give the lock to this thread, among those of the process."""
        with self.guard:
            if name in self.claims:
                return False
            self.claims[name] = threading.get_ident()
            return True

    def complain(self, error: BaseException) -> None:
        """Say, once a minute, that there is no lock file."""
        now = time.monotonic()
        with self.guard:
            if self.complained_at is not None and now - self.complained_at < LOG_INTERVAL:
                return
            self.complained_at = now
        logger.warning(
            "No lock file in %s: %s. The processes of this host may make an image twice",
            tempfile.tempdir,
            error,
        )


_process = _Process()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.after_fork)


if sys.platform == "win32":
    import msvcrt

    def _take(name: str) -> _Held:
        folder = Path(tempfile.gettempdir()) / FOLDER  # Windows gives each user a folder there
        folder.mkdir(exist_ok=True)
        path = folder / name
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_BINARY)
        except PermissionError as error:  # its owner is removing it
            raise BlockingIOError(errno.EWOULDBLOCK, "locked") from error
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            os.close(descriptor)
            raise BlockingIOError(errno.EWOULDBLOCK, "locked") from error
        return _Held(descriptor, path, "")

    def _let_go(held: _Held) -> None:
        msvcrt.locking(held.descriptor, msvcrt.LK_UNLCK, 1)
        os.close(held.descriptor)
        held.path.unlink(missing_ok=True)  # fails, as it should, while somebody has it open

else:
    import fcntl

    def _take(name: str) -> _Held:
        folder, path = _open_folder()
        try:
            for _ in range(RETRIES):
                descriptor = _open_locked(name, folder)
                if _is_the_named(descriptor, name, folder):
                    return _Held(descriptor, path / name, _domain(folder))
                os.close(descriptor)  # its owner removed it after we had opened it
        finally:
            os.close(folder)
        raise BlockingIOError(errno.EWOULDBLOCK, "locked")

    def _open_locked(name: str, folder: int) -> int:
        """Open and lock the file; raise BlockingIOError if somebody else has locked it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        descriptor = os.open(name, flags, 0o600, dir_fd=folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _is_the_named(descriptor: int, name: str, folder: int | None) -> bool:
        """Tell whether the open file is the one that has the name now."""
        try:
            named = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(named, os.fstat(descriptor))

    def _let_go(held: _Held) -> None:
        try:
            if _is_the_named(held.descriptor, str(held.path), None):
                held.path.unlink()
        finally:
            # Explicitly: a copy in a forked child would keep the lock beyond the closing.
            fcntl.flock(held.descriptor, fcntl.LOCK_UN)
            os.close(held.descriptor)

    def _open_folder() -> tuple[int, Path]:
        """Open the folder of this user's lock files, made if need be; nobody else can write it.

        Anybody may have put a folder, or a link, of this name into the shared folder for temporary
        files before us. What is not a folder of our own is left alone, and the next name is tried.
        """
        user = os.geteuid()
        for suffix in ("", "-1", "-2", "-3"):
            path = Path(tempfile.gettempdir()) / f"{FOLDER}-{user}{suffix}"
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
            try:
                folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            except OSError:
                continue
            status = os.fstat(folder)
            if status.st_uid == user:
                if status.st_mode & 0o077:
                    os.fchmod(folder, 0o700)
                return folder, path
            os.close(folder)
        raise PermissionError(errno.EACCES, "other users have taken all names of the folder", path)

    def _domain(folder: int) -> str:
        """Return what no other running system and no other folder has; empty if unknown."""
        status = os.fstat(folder)
        boot = _boot()
        return f"{boot}-{status.st_dev:x}-{status.st_ino:x}" if boot else ""

    @functools.cache
    def _boot() -> str:
        """Return what Linux calls this run of the kernel; containers are told apart by folder."""
        try:
            return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        except (OSError, ValueError):
            return ""
