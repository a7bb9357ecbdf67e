"""Storages that tell what was asked of them, and find fault with it."""

from __future__ import annotations

import io
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage
from django.utils.deconstruct import deconstructible

if TYPE_CHECKING:
    _File = File[bytes]
else:
    _File = File


class _Handle(_File):
    """A file that remembers how it was treated."""

    def __init__(self, file: Any, storage: StrictStorage) -> None:
        super().__init__(file, file.name)
        self._storage = storage
        self._is_closed = False
        storage.open_handles += 1

    def close(self) -> None:
        if self._is_closed:
            self._storage.faults.append(f"{self.name} was closed twice")
            return
        self._is_closed = True
        self._storage.open_handles -= 1
        super().close()

    def read(self, *args: Any) -> bytes:
        if self._is_closed:
            self._storage.faults.append(f"{self.name} was read after it was closed")
        file: Any = self.file
        data: bytes = file.read(*args)
        return data


@deconstructible
class CountingStorage(FileSystemStorage):
    """A file system storage that counts the calls of each of its methods."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.calls: Counter[str] = Counter()

    def open(self, name: str, mode: str = "rb") -> Any:
        self.calls["open"] += 1
        return super().open(name, mode)

    def exists(self, name: str) -> bool:
        self.calls["exists"] += 1
        return super().exists(name)

    def size(self, name: str) -> int:
        self.calls["size"] += 1
        return super().size(name)

    def url(self, name: str | None) -> str:
        self.calls["url"] += 1
        return super().url(name)

    def delete(self, name: str) -> None:
        self.calls["delete"] += 1
        super().delete(name)

    def get_modified_time(self, name: str) -> Any:
        self.calls["get_modified_time"] += 1
        return super().get_modified_time(name)

    def listdir(self, path: str) -> Any:
        self.calls["listdir"] += 1
        return super().listdir(path)


@deconstructible
class StrictStorage(CountingStorage):
    """A storage that holds leaks, double closes and reads of closed files against its users."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.open_handles = 0
        self.faults: list[str] = []

    def open(self, name: str, mode: str = "rb") -> Any:
        return _Handle(super().open(name, mode), self)

    def assert_clean(self) -> None:
        """Fail if a handle was left open or mistreated."""
        assert not self.faults, self.faults
        assert self.open_handles == 0, f"{self.open_handles} files were left open"


class RemoteStorage(Storage):
    """A storage without paths, as one in a cloud is; a name that is taken gets a suffix."""

    def __init__(self, base_url: str = "/remote/") -> None:
        self.base_url = base_url
        self.contents: dict[str, bytes] = {}

    def _open(self, name: str, mode: str = "rb") -> Any:
        if name not in self.contents:
            raise FileNotFoundError(name)
        return ContentFile(self.contents[name], name)

    def _save(self, name: str, content: Any) -> str:
        content.seek(0)
        self.contents[name] = content.read()
        return name

    def exists(self, name: str) -> bool:
        return name in self.contents

    def size(self, name: str) -> int:
        return len(self.contents[name])

    def delete(self, name: str) -> None:
        self.contents.pop(name, None)

    def url(self, name: str | None) -> str:
        return f"{self.base_url}{name}"


@deconstructible
class ClosingStorage(RemoteStorage):
    """A storage whose client closes what it has sent, and what is inside of that."""

    def _save(self, name: str, content: Any) -> str:
        name, inner = super()._save(name, content), content.file
        content.close()
        inner.close()
        return name


class BrokenStorage(RemoteStorage):
    """A storage whose methods raise what ``failures`` has for them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.failures: dict[str, Exception] = {}

    def _maybe_fail(self, method: str) -> None:
        if method in self.failures:
            raise self.failures[method]

    def open(self, name: str, mode: str = "rb") -> Any:
        self._maybe_fail("open")
        return super().open(name, mode)

    def exists(self, name: str) -> bool:
        self._maybe_fail("exists")
        return super().exists(name)

    def size(self, name: str) -> int:
        self._maybe_fail("size")
        return super().size(name)

    def url(self, name: str | None) -> str:
        self._maybe_fail("url")
        return super().url(name)

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        self._maybe_fail("save")
        return super().save(name, content, max_length)

    def delete(self, name: str) -> None:
        self._maybe_fail("delete")
        super().delete(name)


class UnbuiltStorage(FileSystemStorage):
    """One whose building fails, as without its settings or its network."""

    def __init__(self, cause: Exception) -> None:
        raise cause


class _Fetched(_File):
    """A file of a storage that may hang."""

    def __init__(self, storage: HangingStorage, data: bytes, name: str) -> None:
        super().__init__(io.BytesIO(data), name)
        self._storage = storage
        storage.handles.append(self)

    def read(self, *args: Any) -> bytes:
        self._storage._begin("read")
        file: Any = self.file
        data: bytes = file.read(*args)
        return data


class HangingStorage(RemoteStorage):
    """A storage some of whose methods do not answer until it is told to.

    Attributes:
        gives_up: Whether its client gives up, without waiting for so long in fact.
        hangs: The methods that hang; "read" is that of the files.
        begun: How often each method was called.
        handles: The files that were opened.
    """

    def __init__(self, base_url: str = "/remote/", *, gives_up: bool = False) -> None:
        super().__init__(base_url)
        self.gives_up = gives_up
        self.hangs: set[str] = set()
        self.begun: Counter[str] = Counter()
        self.handles: list[Any] = []
        self._answers = threading.Event()

    def answer(self) -> None:
        """Let what hangs go on, and hang no more."""
        self.hangs.clear()
        answers, self._answers = self._answers, threading.Event()
        answers.set()

    def _begin(self, method: str) -> None:
        self.begun[method] += 1
        if method in self.hangs and (self.gives_up or not self._answers.wait(60)):
            raise TimeoutError("the storage has not answered in 5 seconds")

    def open(self, name: str, mode: str = "rb") -> Any:
        self._begin("open")
        return _Fetched(self, self.contents[name], name)

    def exists(self, name: str) -> bool:
        self._begin("exists")
        return super().exists(name)

    def size(self, name: str) -> int:
        self._begin("size")
        return super().size(name)

    def get_modified_time(self, name: str) -> Any:
        self._begin("get_modified_time")
        return super().get_modified_time(name)

    def url(self, name: str | None) -> str:
        self._begin("url")
        return super().url(name)

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        self._begin("save")
        return super().save(name, content, max_length)

    def delete(self, name: str) -> None:
        self._begin("delete")
        super().delete(name)


def content_of(path: Any, name: str | None = None) -> ContentFile[bytes]:
    """Return the bytes of a file on the disk as an upload."""
    return ContentFile(path.read_bytes(), name or path.name)
