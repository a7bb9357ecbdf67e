"""What is known of cache files: by their records, and by their storage where those say nothing."""

from __future__ import annotations

import logging
import time
from typing import Any

import attrs
from django.core.cache import BaseCache

from imagekit_registry._loading import get_cache, sanitize_cache_key, storage_reference
from imagekit_registry._storage_calls import StorageTimeout, ask
from imagekit_registry.cachefiles._owners import (
    is_held,
    is_of_another,
    name_taken,
    needs_record,
    reference_to_source,
)
from imagekit_registry.cachefiles.backends._belief import is_believed, is_of_other_recipe
from imagekit_registry.cachefiles.backends._sources import (
    expected_size_of,
    source_fingerprint,
    source_name,
)
from imagekit_registry.cachefiles.state import get_active_state_cache
from imagekit_registry.cachefiles.threads import would_keep_waiting
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import NameTaken, PublishError, RetryLater
from imagekit_registry.state import (
    CacheFileRecord,
    CacheStateStore,
    StateAccess,
    Status,
    get_state_access,
)

__all__ = ["CacheFileState", "FileKnowledge"]

_logger = logging.getLogger("imagekit_registry.cachefiles")

#: Names that were found taken: by whom, and until when (of a clock that never goes back) nobody
#: looks again. A page that shows such an image must not ask the storage each time.
_taken: dict[tuple[str, str], tuple[CacheFileRecord, float]] = {}
_MAX_TAKEN = 1000


class CacheFileState:
    """Words for the state of a cache file."""

    EXISTS = Status.EXISTS
    GENERATING = Status.GENERATING
    DOES_NOT_EXIST = Status.MISSING
    FAILED = Status.FAILED


class FileKnowledge:
    """What a backend knows of its files.

    Attributes:
        existence_check_timeout: Seconds for which a file that was not there is taken as missing.
    """

    existence_check_timeout: float = 5

    _cache: BaseCache | None = None
    _own_states: tuple[BaseCache, StateAccess] | None = None

    # What callers use, and subclasses leave alone.

    @property
    def cache(self) -> BaseCache:
        """The cache that leases are taken in, and that holds the state by default."""
        return self._cache if self._cache is not None else get_cache()

    @property
    def states(self) -> StateAccess:
        """The way to the state records."""
        if self._cache is None:
            return get_state_access()
        if self._own_states is None or self._own_states[0] is not self._cache:
            self._own_states = (self._cache, StateAccess(CacheStateStore(self._cache)))
        return self._own_states[1]

    def get_key(self, file: Any) -> str:
        """Return the key under which the state of *file* is kept."""
        memo: tuple[str, str] | None = getattr(file, "_state_key", None)
        if memo is not None and memo[0] == file.name:
            return memo[1]
        storage = getattr(file, "storage", None)
        reference = storage_reference(storage) if storage is not None else ""
        where = f"{reference}:" if reference else ""
        key = sanitize_cache_key(f"{conf.CACHE_PREFIX}{where}{file.name}-state")
        # A page asks for URL, width and height, each by this key.
        file._state_key = (file.name, key)
        return key

    def get_state(self, file: Any, check_if_unknown: bool = True) -> str | None:
        """Return the status word of *file*, one of `CacheFileState`.

        Args:
            file: The cache file.
            check_if_unknown: Whether to ask the storage if nothing is known; else None is
                returned for that.
        """
        key = self.get_key(file)
        mapping = get_active_state_cache()
        # A word under a name that several images may have does not say which of them it is about.
        if mapping is not None and mapping.get(key) is not None and not needs_record(file):
            return str(mapping[key])
        record = self.get_record(file) if check_if_unknown else self.known_record(file)
        if mapping is not None:
            mapping[key] = record.status if record else None
        return record.status if record else None

    def set_state(self, file: Any, state: str) -> None:
        """Remember a status word for *file*, and nothing else about it.

        All but "exists" end by themselves: what is being made after ``IMAGEKIT_LOCK_TIMEOUT``, what
        failed after ``IMAGEKIT_RETRY_AFTER``, what is missing after `existence_check_timeout`.
        """
        seconds = {
            Status.GENERATING: conf.LOCK_TIMEOUT,
            Status.FAILED: conf.RETRY_AFTER,
            Status.MISSING: self.existence_check_timeout,
        }.get(state)
        retry_at = None if seconds is None else time.time() + seconds
        self.remember(file, self._record(file, state, retry_at=retry_at))

    def exists(self, file: Any) -> bool:
        """Return whether *file* exists: by its state; the storage is asked if there is none."""
        return self.get_state(file) == Status.EXISTS

    def known_record(self, file: Any) -> CacheFileRecord | None:
        """Return what is known of *file* without asking the storage; None if nothing is."""
        record = self.states.get(self.get_key(file))
        return record if record is not None and is_believed(file, record) else None

    def get_record(self, file: Any) -> CacheFileRecord:
        """Return the state of *file*; the storage is asked if nothing is known.

        If another image has its name it counts as failed.
        """
        try:
            return self._known_or_verified(file)
        except NameTaken as error:
            return self._record(file, Status.FAILED, error=error.cause)

    def get_dimensions(self, file: Any) -> tuple[int | None, int | None]:
        """Return width and height in pixels; as they will be, if the file does not exist yet."""
        record = self.states.get(self.get_key(file))
        if record is None or not is_believed(file, record):
            if would_keep_waiting(getattr(file, "storage", None)):
                return expected_size_of(file) or (None, None)
            record = self._verify(file, record)
        if record.width is None or record.height is None:
            record = self._measure(file, record)
        # 0 says that the source of an image that failed does not tell.
        return record.width or None, record.height or None

    def is_wanting(self, file: Any, fresh: bool = False) -> bool:
        """Return whether *file* is yet to be made.

        Args:
            file: The cache file.
            fresh: Whether to take nobody's word that it is missing: asked by who holds its lock.

        Raises:
            RetryLater: It failed a short while ago.
            NameTaken: Another image has its name.
            PublishError: The storage does not say whether it exists.
        """
        record = self._ask_again(file) if fresh else self._known_or_verified(file)
        if record.status == Status.FAILED:
            times = "once" if record.failures == 1 else f"{record.failures} times"
            raise RetryLater(
                record.error or "it could not be made",
                spec_id=file.spec_id,
                source=source_name(file),
                hint=f"It has failed {times} and is tried again later;"
                " generate(force=True) tries now.",
            )
        return record.status != Status.EXISTS

    def verified(self, file: Any, before: CacheFileRecord | None) -> CacheFileRecord:
        """Return what the storage says of *file*; it is for the caller to remember it.

        Args:
            file: The cache file.
            before: The record of it that there is, believed or not.

        Raises:
            NameTaken: Another image has its name.
            PublishError: The storage does not say whether it exists.
            SourceUnavailable: That of the source does not answer.
        """
        self.refuse_if_taken(file, before)
        try:
            exists = self._exists(file)
        except Exception as error:
            # Storages of other projects raise what their client libraries raise.
            raise _unanswered(file, error) from error
        if exists and not self._is_outdated(file, before):
            if before is not None and before.status == Status.EXISTS:
                return before
            return self._record(file, Status.EXISTS, fingerprint=source_fingerprint(file))
        is_on_its_way = before is not None and before.status == Status.GENERATING
        if before is not None and is_on_its_way and not exists and is_believed(file, before):
            # That it is not there yet is no news.
            return before
        retry_at = time.time() + self.existence_check_timeout
        # Failures are counted until it is made: each doubles the time to the next try.
        failures = before.failures if before is not None else 0
        record = self._record(file, Status.MISSING, retry_at=retry_at, failures=failures)
        if exists and before is not None:
            # What is there was made by another recipe or of another image; the record goes on
            # saying so until it is made anew.
            record = attrs.evolve(record, digest=before.digest, fingerprint=before.fingerprint)
        return record

    def refuse_if_taken(self, file: Any, record: CacheFileRecord | None) -> None:
        """Raise an exception if another image has the name of *file*.

        It can have if the name is from a namer with ``needs_record``. Storage and registry are
        asked only if the record is of another image.

        Args:
            file: The cache file.
            record: What there is under its name.

        Raises:
            NameTaken: *record* is of an image of another source, or by another spec, and both are
                still there.
        """
        if record is None or not needs_record(file) or not is_of_another(file, record):
            return
        place = (self.get_key(file), str(file.digest))
        holder, ends_at = _taken.get(place, (None, 0.0))
        is_known = holder == record and time.monotonic() < ends_at
        if not is_known:
            if not is_held(file, record):
                return
            if len(_taken) >= _MAX_TAKEN:
                _taken.clear()
            _taken[place] = (record, time.monotonic() + self.existence_check_timeout)
        error = name_taken(file, record)
        # It was told when it was found out.
        error.is_logged = is_known
        raise error

    def remember(self, file: Any, record: CacheFileRecord) -> None:
        """Write down the state of *file*."""
        key = self.get_key(file)
        self.states.put(key, record)
        mapping = get_active_state_cache()
        if mapping is not None:
            mapping[key] = record.status

    def expect(self, file: Any) -> None:
        """Write down that somebody was told to make *file*, for ``IMAGEKIT_LOCK_TIMEOUT`` seconds.

        Raises:
            NameTaken: Another image has its name.
        """
        record = self._record(file, Status.GENERATING, retry_at=time.time() + conf.LOCK_TIMEOUT)
        before = self._stored(file) if needs_record(file) else self.states.get(self.get_key(file))
        self.refuse_if_taken(file, before)
        if before is not None:
            # How often it has failed, and what a file that is there was made by and of.
            record = attrs.evolve(record, failures=before.failures)
            if not needs_record(file):
                record = attrs.evolve(record, digest=before.digest, fingerprint=before.fingerprint)
        self.remember(file, record)

    def amend(self, file: Any, record: CacheFileRecord, **values: Any) -> None:
        """Write down more of what *record* says, unless another one has taken its place."""
        if (self._stored(file) or record) == record:
            self.remember(file, attrs.evolve(record, **values))

    def doubt(self, file: Any) -> None:
        """Forget what is known of *file*; the storage is asked when it is needed next."""
        self.states.drop([self.get_key(file)])
        mapping = get_active_state_cache()
        if mapping is not None:
            mapping.pop(self.get_key(file), None)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the cache: it is found again by the settings."""
        own = {"_cache", "_own_states"}
        return {name: value for name, value in self.__dict__.items() if name not in own}

    # What has a default.

    def _exists(self, file: Any) -> bool:
        """Ask the storage whether *file* exists."""
        name, storage = file.name, file.storage
        return bool(name and ask(storage, lambda: storage.exists(name), name=name))

    # How it is done.

    def _stored(self, file: Any) -> CacheFileRecord | None:
        """Return the record that the store has, past what this process remembers."""
        key = self.get_key(file)
        return self.states.get_many([key], fresh=True).get(key)

    def _ask_again(self, file: Any) -> CacheFileRecord:
        """Return the state of *file*; that it is missing is the storage's to say.

        Whoever held the lock before may have made it. Where the cache is not shared, only the
        storage knows.
        """
        record = self._stored(file)
        if (
            record is not None
            and record.status in {Status.EXISTS, Status.FAILED}
            and is_believed(file, record)
        ):
            return record
        return self._verify(file, record)

    def _known_or_verified(self, file: Any) -> CacheFileRecord:
        record = self.states.get(self.get_key(file))
        if record is not None and is_believed(file, record):
            return record
        if would_keep_waiting(getattr(file, "storage", None)):
            # Not written down: whoever makes the file, in a thread, asks first.
            return self._record(file, Status.MISSING)
        return self._verify(file, record)

    def _verify(self, file: Any, before: CacheFileRecord | None) -> CacheFileRecord:
        """Ask the storage, and remember the answer; *before* is what the record has said."""
        record = self.verified(file, before)
        if not needs_record(file):
            self.remember(file, record)
        elif (
            before is not None
            and before.status == Status.EXISTS
            and before != record
            and is_believed(file, before)
        ):
            self.amend(file, before, **attrs.asdict(record))
        # Else no record says as much, and one of another image may have been written meanwhile.
        return record

    def _is_outdated(self, file: Any, record: CacheFileRecord | None) -> bool:
        """Return whether an existing file was made by another recipe, or of another image."""
        if record is not None and is_of_other_recipe(file, record):
            return True
        if needs_record(file) and (record is None or record.status != Status.EXISTS):
            # Whatever is there, nobody says that it is this image.
            return True
        if record is not None and record.fingerprint:
            now = source_fingerprint(file)
            return bool(now) and now != record.fingerprint
        # Without a record the times tell, if one clock has set both.
        source, storage = file.source, file.storage
        if not hasattr(source, "storage") or source.storage is not storage:
            return False
        try:
            made = ask(storage, lambda: storage.get_modified_time(file.name))
            changed = ask(storage, lambda: storage.get_modified_time(source.name))
        except StorageTimeout as error:
            raise _unanswered(file, error) from error
        except Exception:  # noqa: BLE001 -- many storages have no times, each says so in its way
            return False
        return bool(changed > made)

    def _measure(self, file: Any, record: CacheFileRecord) -> CacheFileRecord:
        """Return *record* with dimensions: of the file, or of the one that is yet to be made."""
        if record.status == Status.EXISTS:
            if would_keep_waiting(getattr(file, "storage", None)):
                return record
            try:
                width, height = file.measure()
            except FileNotFoundError:
                self.doubt(file)
                return record
            except Exception as error:  # noqa: BLE001 -- what the clients of storages raise
                _logger.warning("%s: %r cannot be measured: %s", file.spec_id, file.name, error)
                return record
        else:
            size = expected_size_of(file)
            if size is None:
                return record
            width, height = size
        if needs_record(file):
            self.amend(file, record, width=width, height=height)
        else:
            self.remember(file, attrs.evolve(record, width=width, height=height))
        return attrs.evolve(record, width=width, height=height)

    def _record(self, file: Any, status: str, **values: Any) -> CacheFileRecord:
        return CacheFileRecord(
            name=file.name,
            storage=storage_reference(file.storage) if hasattr(file, "storage") else "",
            status=status,
            digest=getattr(file, "digest", ""),
            spec_id=getattr(file, "spec_id", ""),
            source=reference_to_source(file),
            **values,
        )


def _unanswered(file: Any, error: Exception) -> PublishError:
    return PublishError(
        f"the storage does not say whether {file.name!r} exists ({type(error).__name__}: {error})",
        spec_id=file.spec_id,
        source=source_name(file),
        hint="Check that the storage of the cache files can be reached.",
    )
