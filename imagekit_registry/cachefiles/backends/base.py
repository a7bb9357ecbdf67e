"""The interface of backends: what makes cache files, and knows their state."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from operator import methodcaller
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.cache import BaseCache

from imagekit_registry._loading import get_cache
from imagekit_registry.cachefiles import existence
from imagekit_registry.cachefiles.bulk import generate_many
from imagekit_registry.cachefiles.generation import generate
from imagekit_registry.cachefiles.results import Policy
from imagekit_registry.cachefiles.state import get_active_state_cache
from imagekit_registry.cachefiles.threads import is_in_event_loop
from imagekit_registry.cachefiles.urls import retire
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import NameTaken, PublishError, located
from imagekit_registry.state import (
    CacheFileRecord,
    StateAccess,
    Status,
    get_state_access,
    images_left,
)

if TYPE_CHECKING:
    from imagekit_registry.cachefiles.backends.legacy import ThreeMethodStrategy
    from imagekit_registry.cachefiles.identity import CacheFile

__all__ = ["AbstractCacheFileBackend", "CacheFileState", "CachedFileBackend", "Simple"]


class CacheFileState:
    """Words for the state of a cache file."""

    EXISTS = Status.EXISTS
    GENERATING = Status.GENERATING
    DOES_NOT_EXIST = Status.MISSING
    FAILED = Status.FAILED


class AbstractCacheFileBackend:
    """What makes cache files.

    A class with ``generate`` and ``exists`` is enough: what it lacks is supplied when it is loaded.

    Attributes:
        is_async: Do its files come to exist later, made by somebody else?
        is_plain: Are its files made as all others are, or has it a way of its own?
        asks_storage: Does the storage say whether a file exists of which nothing is known?
        strategy: What decides when its files are made, in place of their own strategies.
        existence_check_timeout: Seconds for which a file that was not there is taken as missing.
    """

    is_async: bool = False
    is_plain: ClassVar[bool] = False
    asks_storage: ClassVar[bool] = False
    strategy: ThreeMethodStrategy | None = None
    existence_check_timeout: float = 5

    # What every subclass must write.

    def generate(self, file: Any, force: bool = False) -> None:
        """Make *file* unless it exists, or have it made; with *force* in any case."""
        raise NotImplementedError(f"{type(self).__qualname__} must define generate()")

    def exists(self, file: Any) -> bool:
        """Return whether *file* exists."""
        raise NotImplementedError(f"{type(self).__qualname__} must define exists()")

    # What has a default.

    @property
    def cache(self) -> BaseCache:
        """The cache that locks are taken in, and that holds the state by default."""
        return get_cache()

    @property
    def states(self) -> StateAccess | None:
        """The way to the records; None: this backend keeps none."""
        return None

    def get_record(self, file: Any) -> CacheFileRecord:
        """Return the state of *file*."""
        status = Status.EXISTS if file.name and self.exists(file) else Status.MISSING
        return existence.new_record(file, status)

    def generate_now(self, file: Any, force: bool = False) -> None:
        """Make *file* here, unless it exists; with *force* in any case."""
        self.generate(file, force)

    def get_key(self, file: CacheFile) -> str:
        """Return the key under which the state of *file* is kept."""
        return file.identity.key

    def get_state(self, file: CacheFile, check_if_unknown: bool = True) -> str | None:
        """Return the status word of *file*, one of `CacheFileState`.

        Args:
            file: The cache file.
            check_if_unknown: Whether to ask the storage if nothing is known; else None is
                returned for that.
        """
        key, words = file.identity.key, get_active_state_cache()
        # A word under a name that several images may have does not say which of them it is about.
        if words is not None and words.get(key) is not None and file.identity.name_is_unique:
            return str(words[key])
        record = self.get_record(file) if check_if_unknown else existence.known(file)
        if words is not None:
            words[key] = record.status if record else None
        return record.status if record else None

    def set_state(self, file: CacheFile, state: str) -> None:
        """Remember a status word for *file*, and nothing else about it.

        All but "exists" end by themselves: what is being made after ``IMAGEKIT_LOCK_TIMEOUT``, what
        failed after ``IMAGEKIT_RETRY_AFTER``, what is missing after `existence_check_timeout`.
        """
        seconds = {
            Status.GENERATING: conf.LOCK_TIMEOUT,
            Status.FAILED: conf.RETRY_AFTER,
            Status.MISSING: self.existence_check_timeout,
        }.get(Status(state))
        retry_at = None if seconds is None else time.time() + seconds
        existence.remember([(file, existence.new_record(file, state, retry_at=retry_at))])

    def hand_over(self, files: Sequence[CacheFile], force: bool = False) -> None:
        """Have *files* of one source made."""
        for file in files:
            self.generate(file, force)

    def delete(self, file: CacheFile) -> None:
        """Remove *file* from its storage, and drop its record.

        Raises:
            PublishError: The storage does not remove it.
        """
        identity = file.identity
        (record,) = existence.fetch([file], fresh=not identity.name_is_unique)
        try:
            existence.refuse_conflict(identity, record)
        except NameTaken:
            # An image of another source, or by another spec, is left.
            return
        names = {*identity.names, record.published_name if record else ""} - {""}
        left = (record or existence.new_record(file, Status.MISSING)).replaced()
        if record is not None:
            existence.remember([(file, left)])
        try:
            with located(identity, "the storage does not remove the file", wrap=PublishError):
                for name in names:
                    file.storage.delete(name)
        except PublishError:
            # What is left does not count, also when the storage is asked next.
            existence.remember([(file, left)])
            raise
        existence.invalidate(file)
        if record is not None and record.was_made:
            name = record.published_name or identity.name
            retire([(file, name, file.spec.url_provider)])

    def _exists(self, file: Any) -> bool:
        """Ask whether *file* exists, whatever its record says."""
        return bool(self.exists(file))


class CachedFileBackend(AbstractCacheFileBackend):
    """A backend that remembers the state of its files, and makes each of them once."""

    asks_storage = True

    _get_states = staticmethod(get_state_access)
    _plain_generate: ClassVar[Callable[..., None] | None] = None

    def __init_subclass__(cls, plain: bool = False, **kwargs: Any) -> None:
        """Find out what a subclass does in its own way.

        Args:
            plain: Whether its ``generate`` comes down to ours.
            **kwargs: As of every class.
        """
        super().__init_subclass__(**kwargs)
        if plain:
            cls._plain_generate = cls.generate
        cls.is_plain = (
            cls.generate is cls._plain_generate
            and cls.generate_now is CachedFileBackend.generate_now
        )
        if cls._exists is not CachedFileBackend._exists:
            cls.asks_storage = False

    # What callers use, and subclasses leave alone.

    # In C: it is asked for in every look at an image, that of a warm page as well.
    states: StateAccess = property(methodcaller("_get_states"), doc="The way to the records.")  # type: ignore[assignment]

    def exists(self, file: Any) -> bool:
        """Return whether *file* exists: by its state; the storage is asked if there is none."""
        return self.get_state(file) == Status.EXISTS

    def get_record(self, file: Any) -> CacheFileRecord:
        """Return the state of *file*; the storage is asked if nothing is known.

        If another image has its name it counts as failed.
        """
        try:
            (record,) = existence.look_up([file], ask_storage=True)
        except NameTaken as error:
            return existence.new_record(file, Status.FAILED, error=error.cause)
        return record or existence.new_record(file, Status.MISSING)

    def generate_now(self, file: Any, force: bool = False) -> None:
        """Make *file* here, once, however many ask for it at the same time; and its siblings with it.

        Args:
            file: The cache file.
            force: Whether to make it even if it exists.

        Raises:
            MissingSource: Its generator has no source.
            RetryLater: It failed a short while ago.
            LockTimeout: Somebody else is making it and was not done in time.
            GenerationError: It cannot be made.
        """
        others = [] if force else [each for each in file.siblings if each is not file]
        if others and (most := images_left()) < len(others):
            del others[max(0, int(most) - 1) :]
        result, *_ = generate([file, *others], Policy(force=force))
        if result.error is not None:
            raise result.error

    # What has a default.

    def _exists(self, file: Any) -> bool:
        """Ask the storage whether *file* exists."""
        return bool(file.name) and any(map(file.storage.exists, file.identity.names))


class Simple(CachedFileBackend, plain=True):
    """Make files at once, where they are asked for.

    In an event loop (an async view) a thread makes them, and nobody waits: until then, URL, width
    and height are those of the image to come, or of the spec's fallback.
    """

    def generate(self, file: Any, force: bool = False) -> None:
        """Make *file* unless it exists; with *force* in any case."""
        if not force and existence.is_known_to_exist(file):
            return
        if not is_in_event_loop():
            self.generate_now(file, force=force)
            return
        for failure in generate_many([file], force=force).failures:
            raise failure.error
