"""The content of cache files: opened when it is first read, and asked for by published names."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any, Self, TypeVar

from django.core.files.base import File

from imagekit_registry.cachefiles import existence
from imagekit_registry.cachefiles._told import ToldFile
from imagekit_registry.cachefiles.budget import is_spent
from imagekit_registry.cachefiles.pending import wait_for
from imagekit_registry.cachefiles.threads import is_in_event_loop
from imagekit_registry.exceptions import PublishError, located
from imagekit_registry.signals import content_required
from imagekit_registry.state import Status

T = TypeVar("T")

REACH_IT = "Check that the storage of the cache files can be reached."


class StoredContent(ToldFile):
    """The content of a cache file, which its strategy may have made before it is read."""

    _file: IO[bytes] | None

    @property
    def published_name(self) -> str:
        """The name in the storage: `name`, unless the storage insisted on another.

        Raises:
            FileNotFoundError: The image does not exist, and another one may have the name.
        """
        record = existence.known(self)
        exists = record is not None and record.status == Status.EXISTS
        keeps_state = self.cachefile_backend.states is not None
        if not exists and keeps_state and not self.identity.name_is_unique:
            raise FileNotFoundError(
                f"{self.spec_id}: no image of {self.spec.source} is recorded as {self.name!r}"
            )
        name = record.published_name if record is not None else ""
        return name or self.name or self._refuse_without_source()

    @property
    def size(self) -> int:
        """The size in bytes.

        Raises:
            MissingSource: The generator has no source.
            PublishError: The storage does not tell.
        """
        if self._file is not None and not self._file.closed:
            return int(File(self._file).size)
        self._require_existence()
        record = existence.known(self)
        if record is not None and record.size is not None:
            return record.size
        return self._ask_storage(self.storage.size, "the size of")

    @property
    def path(self) -> str:
        """The path in the local file system, of storages that have paths."""
        self._require_existence()
        return self.storage.path(self.published_name)

    def open(self, mode: str | None = "rb", *args: Any, **kwargs: Any) -> Self:
        """Open the content for reading, at its start.

        Raises:
            ValueError: *mode* is one for writing: a cache file is written by its backend.
        """
        if set(mode or "") - set("rb"):
            raise ValueError(f"A cache file can be opened for reading only, not in mode {mode!r}.")
        if self._file is None or self._file.closed:
            self._file = self._open()
        else:
            self._file.seek(0)
        return self

    @property
    def closed(self) -> bool:
        """Whether the content is not open."""
        return self._file is None or self._file.closed

    def close(self) -> None:
        """Close the content, if it is open."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _get_file(self) -> Any:
        if self._file is None:
            self._file = self._open()
        return self._file

    def _set_file(self, file: Any) -> None:
        self._file = file

    def _del_file(self) -> None:
        self._file = None

    file = property(_get_file, _set_file, _del_file)

    def delete(self) -> None:
        """Remove the file from its storage, and what is known of it; at once.

        No rollback brings the file back: it is made again when it is asked for. In a transaction
        ``transaction.on_commit(file.delete)`` leaves it until the commit, as is done for strategies.

        Raises:
            PublishError: The storage does not remove it.
        """
        self.close()
        self._fallback = None
        if self.name:
            self.cachefile_backend.delete(self)

    # How it is had.

    def generate(self, force: bool = False) -> None:
        """Have the file made by its backend."""
        raise NotImplementedError

    def _require_content(self) -> None:
        if content_required.receivers:
            content_required.send(sender=self, file=self)
        self.cachefile_strategy.on_content_required(self)

    def _is_recorded(self) -> bool:
        """Return whether what is under the name is this image; if that is not known it is made.

        A strategy that relies on its existence, or a backend that asks the storage for the name,
        cannot tell.

        Raises:
            GenerationError: The image cannot be made; another one may have its name.
        """
        if self.cachefile_backend.states is None or not self.name:
            return True
        if not existence.is_known_to_exist(self) and self._may_be_made():
            self.generate()
        return existence.is_known_to_exist(self)

    def _may_be_made(self) -> bool:
        """Return whether who needs the file may have it made."""
        return self.cachefile_strategy.may_make and not is_spent(self)

    def _is_on_its_way(self) -> bool:
        """Return whether something else is shown until the image is there."""
        if not self.identity.name_is_unique:
            return not self._is_recorded()
        may_make = self._may_be_made()
        if may_make and self.spec.fallback is None and self.spec.pending is None:
            return False
        is_made_later = self.cachefile_backend.is_async or is_in_event_loop()
        if (may_make and not is_made_later) or self.cachefile_backend.exists(self):
            return False
        if may_make:
            wait_for(self)
        return not existence.is_known_to_exist(self)

    def _open(self) -> IO[bytes]:
        self._require_content()
        if not self.identity.name_is_unique:
            self._is_recorded()
        return self._ask_storage(self._open_stored, "the content of")

    def _open_stored(self, name: str) -> Any:
        return self.storage.open(name, "rb")

    def _ask_storage(self, ask: Callable[[str], T], what: str) -> T:
        """Return what ``ask(name)`` gives; a file that has gone is made again, if it is wanted.

        Raises:
            FileNotFoundError: The file has gone, and its strategy does not make it again.
            PublishError: The storage does not answer.
        """
        cause = f"the storage does not give {what} {self.name!r}"
        with located(
            self.identity, cause, wrap=PublishError, hint=REACH_IT, passes=FileNotFoundError
        ):
            try:
                return ask(self.published_name)
            except FileNotFoundError:
                # The state said that it exists. The storage is right.
                existence.invalidate(self)
                self._require_content()
                return ask(self.published_name)
