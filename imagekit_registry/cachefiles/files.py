"""Cache files: images that generators make, and that may not exist yet."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import IO, Any

from asgiref.sync import sync_to_async
from django.core.files.base import File
from django.core.files.images import ImageFile
from django.core.files.storage import Storage

from imagekit_registry import _storage_calls
from imagekit_registry._loading import (
    get_by_qname,
    get_storage,
    resolve_storage,
    storage_reference,
)
from imagekit_registry.cachefiles.backends import get_default_cachefile_backend, load_backend
from imagekit_registry.cachefiles.fallbacks import StandIn, stand_in_for
from imagekit_registry.cachefiles.strategies import load_strategy
from imagekit_registry.cachefiles.threads import is_in_event_loop
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import (
    GenerationError,
    ImageKitError,
    MissingSource,
    PublishError,
)
from imagekit_registry.imaging import Deadline, read_header
from imagekit_registry.imaging.formats import extension_to_mimetype, format_to_mimetype
from imagekit_registry.signals import content_required, existence_required
from imagekit_registry.specs import default_limits
from imagekit_registry.state import CacheFileRecord, Status

__all__ = ["ImageCacheFile"]


class ImageCacheFile(ImageFile):
    """The image that a generator makes, as a file in a storage.

    Making the object makes no image: the file's strategy decides when it must exist, its backend
    makes it and remembers its state. URL, dimensions and size come from that state; the file is
    opened only to be read.

    Args:
        generator: What makes the image; a spec with its source.
        name: The file's name in its storage; the namer's if None.
        storage: A storage, its alias, a dotted path or a callable; that of the generator, else
            that of the settings if None.
        cachefile_backend: What makes the file; that of the generator, else of the settings.
        cachefile_strategy: What decides when; that of the generator, else of the settings.

    Raises:
        InvalidConfiguration: A storage, backend, strategy or namer cannot be found.

    Example:
        >>> file = ImageCacheFile(Thumbnail(source="photos/bulldog.jpg"))
        >>> file.url, file.width, file.height
        ('/media/CACHE/images/photos/bulldog/5ff3233527c5ac3e4b596343b440ff67.jpg', 100, 60)
    """

    storage: Storage

    def __init__(
        self,
        generator: Any,
        name: str | None = None,
        storage: Storage | str | Callable[[], Storage] | None = None,
        cachefile_backend: Any = None,
        cachefile_strategy: Any = None,
    ) -> None:
        self.generator = generator
        named, needs_record = (name, False) if name else _name_for(generator)
        super().__init__(None, named)
        self._needs_record = needs_record
        self._file: IO[bytes] | None = None
        self.storage = resolve_storage(storage or getattr(generator, "cachefile_storage", None))
        backend = cachefile_backend or getattr(generator, "cachefile_backend", None)
        self.cachefile_backend = (
            load_backend(backend) if backend else get_default_cachefile_backend()
        )
        strategy = cachefile_strategy or getattr(generator, "cachefile_strategy", None)
        own = getattr(self.cachefile_backend, "strategy", None)
        if own is not None:
            # A three-method backend decides for itself; what else is wanted comes after it.
            self.cachefile_strategy = own.followed_by(load_strategy(strategy)) if strategy else own
        else:
            self.cachefile_strategy = load_strategy(strategy) if strategy else _default_strategy()
        self._stand_in: StandIn | None = None

    # What it is, without looking anywhere.

    @property
    def needs_record(self) -> bool:
        """Whether the name does not say what this is an image of, so that its record must.

        It is so for names of namers with ``needs_record``: without a record of this very image the
        file counts as missing, whatever lies under its name.
        """
        return self._needs_record

    @property
    def source(self) -> Any:
        """The source image that this one is made of; None for a generator without one."""
        return getattr(self.generator, "source", None)

    @property
    def spec_id(self) -> str:
        """What errors, records and logs call the generator: its id, or its class."""
        generator = self.generator
        known: str | None = getattr(generator, "spec_id", None)
        cls = type(generator)
        return known or f"{cls.__module__}.{cls.__qualname__}"

    @property
    def digest(self) -> str:
        """The digest of source and recipe; empty if the generator has none."""
        get_hash = getattr(self.generator, "get_hash", None)
        return str(get_hash()) if get_hash else ""

    def __str__(self) -> str:
        return self.name or ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name or 'None'}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ImageCacheFile):
            return NotImplemented
        if self.name != other.name or self.storage != other.storage:
            return False
        may_differ = self._needs_record or other._needs_record
        return not may_differ or self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.name)

    # What its state says.

    @property
    def state(self) -> CacheFileRecord:
        """The record of this file: status, width, height, size, format, digest, error ...

        Reading it makes no image. A backend that keeps no state is asked for existence.
        """
        look_up = getattr(self.cachefile_backend, "get_record", None)
        if look_up is not None:
            record: CacheFileRecord = look_up(self)
            return record
        exists = bool(self.name) and self.cachefile_backend.exists(self)
        return CacheFileRecord(
            name=self.name or "", status=Status.EXISTS if exists else Status.MISSING
        )

    def exists(self) -> bool:
        """Return whether the file exists, as far as is known; nothing is made."""
        return bool(self.name) and bool(self.cachefile_backend.exists(self))

    def __bool__(self) -> bool:
        """Return whether there is an image to show, after the strategy had its chance to make it."""
        if not self.name:
            return False
        try:
            self._require_existence()
        except (GenerationError, MissingSource):
            return False
        if self._stand_in is not None:
            return bool(self._stand_in.url)
        verify = getattr(self.cachefile_strategy, "should_verify_existence", None)
        if verify is not None:
            check = verify(self)
        else:
            # A backend that makes files at once has made it by now, if the strategy wanted it.
            check = getattr(self.cachefile_backend, "is_async", False) or is_in_event_loop()
        try:
            return self.exists() if check else True
        except GenerationError:
            # The storage does not say; its error is for those who ask for the image itself.
            return False

    @property
    def url(self) -> str:
        """The URL; that of a stand-in while the image cannot be had.

        Raises:
            MissingSource: The generator has no source.
            GenerationError: The image could not be made, and failures are to be raised.
        """
        self._require_existence()
        if self._stand_in is not None:
            return self._stand_in.url
        return self._url_of(self.published_name)

    def _url_of(self, name: str) -> str:
        try:
            return _storage_calls.ask_for_url(self.storage, self.storage.url, name)
        except Exception as error:  # noqa: BLE001 -- what client libraries raise
            failure = self._failure(f"the storage gives no URL for {name!r}", error)
            self._stand_in = stand_in_for(self, failure)
            return self._stand_in.url

    def _failure(self, text: str, error: Exception) -> PublishError:
        """Return what a storage has raised as an exception of ours."""
        failure = PublishError(
            f"{text} ({type(error).__name__}: {error})",
            spec_id=self.spec_id,
            source=str(getattr(self.source, "name", "")) or None,
            hint="Check that the storage of the cache files can be reached.",
        )
        failure.__cause__ = error
        return failure

    def shown(self) -> StandIn:
        """Return URL, width and height together: one look at the state for all of them.

        Raises:
            MissingSource: The generator has no source.
            GenerationError: The image could not be made, and failures are to be raised.
        """
        self._require_existence()
        if self._stand_in is not None:
            return self._stand_in
        known = getattr(self.cachefile_backend, "known_record", None)
        record: CacheFileRecord | None = known(self) if known else None
        if record is None or record.width is None or record.height is None:
            return StandIn(self.url, self.width, self.height)
        url = self._url_of(record.published_name or self._required_name())
        return self.stand_in or StandIn(url, record.width, record.height)

    @property
    def stand_in(self) -> StandIn | None:
        """What stood in for the image when it was last shown; None if it was the image itself."""
        return self._stand_in

    @property
    def published_name(self) -> str:
        """The name in the storage: `name`, unless the storage insisted on another.

        Raises:
            FileNotFoundError: The image does not exist, and another one may have the name; see
                `needs_record`.
        """
        known = getattr(self.cachefile_backend, "known_record", None)
        record: CacheFileRecord | None = known(self) if known else None
        if known and self._needs_record and (record is None or record.status != Status.EXISTS):
            raise FileNotFoundError(
                f"{self.spec_id}: no image of {self.source} is recorded as {self.name!r}"
            )
        return (record.published_name if record else "") or self._required_name()

    def _required_name(self) -> str:
        if not self.name:
            raise MissingSource(
                f"An image of {self.spec_id} was asked for, but it has no source. Check the image"
                " field before, or check whether the image is true."
            )
        return self.name

    @property
    def path(self) -> str:
        """The path in the local file system, of storages that have paths."""
        self._require_existence()
        return self.storage.path(self.published_name)

    @property
    def width(self) -> int | None:  # type: ignore[override]
        """The width in pixels; None if it cannot be known before the image is made."""
        return self._dimensions()[0]

    @property
    def height(self) -> int | None:  # type: ignore[override]
        """The height in pixels; None if it cannot be known before the image is made."""
        return self._dimensions()[1]

    def _get_image_dimensions(self) -> tuple[int | None, int | None]:
        return self._dimensions()

    def _dimensions(self) -> tuple[int | None, int | None]:
        self._require_existence()
        if self._stand_in is not None:
            return self._stand_in.width, self._stand_in.height
        measure = getattr(self.cachefile_backend, "get_dimensions", None)
        if measure is not None:
            try:
                size: tuple[int | None, int | None] = measure(self)
            except GenerationError as error:
                # The storage does not say whether there is an image, or how large it is.
                self._stand_in = stand_in_for(self, error)
                return self._stand_in.width, self._stand_in.height
            return size
        return self.measure()

    def measure(self) -> tuple[int, int]:
        """Read width and height, in pixels, from the header of the stored file.

        Raises:
            UnreadableImage: The stored file is no image.
            OSError: The storage does not give the file.
        """
        limits = default_limits()
        deadline = Deadline(limits.max_seconds)
        with _storage_calls.open_watched(self.storage, self.published_name) as file:
            header = read_header(file, limits, deadline)
        return header.width, header.height

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
        known = getattr(self.cachefile_backend, "known_record", None)
        record: CacheFileRecord | None = known(self) if known else None
        if record is not None and record.size is not None:
            return record.size
        return int(self._ask_storage(self._size_of, "the size of"))

    @property
    def media_type(self) -> str:
        """The media type, such as ``image/jpeg``; ``application/octet-stream`` if unknown."""
        format = self.state.format or getattr(self.generator, "format", None)
        if format:
            return format_to_mimetype(format) or "application/octet-stream"
        dot = (self.name or "").rfind(".")
        extension = self.name[dot:] if self.name and dot >= 0 else ""
        return extension_to_mimetype(extension) or "application/octet-stream"

    def _require_existence(self) -> None:
        """Give the strategy its chance; keep what stands in if the image cannot be made."""
        if self._file is not None:
            return
        try:
            self._notify(existence_required, "on_existence_required")
            is_on_its_way = self._is_on_its_way()
        except GenerationError as error:
            self._stand_in = stand_in_for(self, error)
        else:
            self._stand_in = stand_in_for(self, None) if is_on_its_way else None

    def _is_on_its_way(self) -> bool:
        """Return whether something else is shown until the image is there."""
        if self._needs_record:
            return not self._is_recorded()
        return (
            getattr(self.generator, "fallback", None) is not None
            and (getattr(self.cachefile_backend, "is_async", False) or is_in_event_loop())
            and not self.exists()
        )

    def _is_recorded(self) -> bool:
        """Return whether what is under the name is this image; if that is not known it is made.

        A strategy that relies on its existence, or a backend that asks the storage for the name,
        cannot tell.

        Raises:
            GenerationError: The image cannot be made; another one may have its name.
        """
        known = getattr(self.cachefile_backend, "known_record", None)
        if known is None or not self.name:
            return True
        for is_last in (False, True):
            record: CacheFileRecord | None = known(self)
            if record is not None and record.status == Status.EXISTS:
                return True
            if not is_last:
                self.generate()
        return False

    def _notify(self, signal: Any, method: str) -> None:
        if signal.receivers:
            signal.send(sender=self, file=self)
        callback = getattr(self.cachefile_strategy, method, None)
        if callback is not None:
            callback(self)

    # What is done with it.

    def generate(self, force: bool = False) -> None:
        """Have the file made by its backend: at once, or by a worker.

        Args:
            force: Whether to make it even if it exists.

        Raises:
            MissingSource: The generator has no source.
            GenerationError: The image cannot be made.
        """
        if force or self._file is None:
            self._required_name()
            self.cachefile_backend.generate(self, force)

    async def agenerate(self, force: bool = False) -> None:
        """Have the file made, in a thread; for async views that want to wait for it.

        Raises:
            MissingSource: The generator has no source.
            GenerationError: The image cannot be made.

        Example:
            >>> async def show(request, photo):
            ...     await photo.thumbnail.agenerate()
            ...     return render(request, "photos/photo.html", {"photo": photo})
        """
        await sync_to_async(self.generate)(force)

    async def ashown(self) -> StandIn:
        """Return URL, width and height together; the image is made in a thread if it is missing.

        Raises:
            MissingSource: The generator has no source.
            GenerationError: The image could not be made, and failures are to be raised.
        """
        return await sync_to_async(self.shown)()

    def _generate(self) -> None:
        """Make the file here and now, whatever its state."""
        self.cachefile_backend.make(self)

    def delete(self) -> None:
        """Remove the file from its storage, and what is known of it; at once.

        No rollback brings the file back: it is made again when it is asked for. In a transaction
        ``transaction.on_commit(file.delete)`` leaves it until the commit, as is done for strategies.

        Raises:
            PublishError: The storage does not remove it.
        """
        self.close()
        self._file = None
        self._stand_in = None
        if self.name:
            forget = getattr(self.cachefile_backend, "forget", None)
            if forget is not None:
                forget(self)
            else:
                self._delete(self.name)

    def _delete(self, name: str) -> None:
        try:
            remove = partial(self.storage.delete, name)
            _storage_calls.ask(self.storage, remove, name=name, changes=True)
        except Exception as error:
            raise self._failure("the storage does not remove the file", error) from error

    # Its content.

    def _get_file(self) -> Any:
        if self._file is None:
            self._notify(content_required, "on_content_required")
            if self._needs_record:
                self._is_recorded()
            self._file = self._ask_storage(self._open_stored, "the content of")
        return self._file

    def _open_stored(self, name: str) -> Any:
        return _storage_calls.open_stored(self.storage, name)

    def _size_of(self, name: str) -> Any:
        return _storage_calls.ask(self.storage, lambda: self.storage.size(name))

    def _ask_storage(self, ask: Callable[[str], Any], what: str) -> Any:
        """Return what ``ask(name)`` gives; a file that has gone is made again, if it is wanted.

        Raises:
            FileNotFoundError: The file has gone, and its strategy does not make it again.
            PublishError: The storage does not answer.
        """
        try:
            try:
                return ask(self.published_name)
            except FileNotFoundError:
                # The state said that it exists. The storage is right.
                doubt = getattr(self.cachefile_backend, "doubt", None)
                if doubt is None:
                    raise
                doubt(self)
                self._notify(content_required, "on_content_required")
                return ask(self.published_name)
        except (FileNotFoundError, ImageKitError):
            raise
        except Exception as error:
            text = f"the storage does not give {what} {self.name!r}"
            raise self._failure(text, error) from error

    def _set_file(self, file: Any) -> None:
        self._file = file

    def _del_file(self) -> None:
        self._file = None

    file = property(_get_file, _set_file, _del_file)

    def open(self, mode: str = "rb", *args: Any, **kwargs: Any) -> ImageCacheFile:  # type: ignore[override]
        """Open the content for reading, at its start.

        Raises:
            ValueError: *mode* is one for writing: a cache file is written by its backend.
        """
        if set(mode) - set("rb"):
            raise ValueError(f"A cache file can be opened for reading only, not in mode {mode!r}.")
        if self._file is None or self._file.closed:
            self._file = None
            self._get_file()
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

    # Pickles and copies.

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the content, and a storage that can be found again."""
        state = dict(self.__dict__)
        state["_file"] = None
        state["_stand_in"] = None
        state.pop("_state_key", None)
        state.pop("_believed", None)
        storage = state.pop("storage")
        if storage is not get_storage():
            reference = storage_reference(storage)
            # What is no alias is a class with arguments, which only the storage itself knows.
            state["_storage"] = storage if "." in reference else reference or "default"
        for name in ("cachefile_backend", "cachefile_strategy"):
            if _is_from_settings(state[name], name):
                del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        self.storage = resolve_storage(state.pop("_storage", None))
        self.__dict__.update(state)
        if "cachefile_backend" not in state:
            self.cachefile_backend = get_default_cachefile_backend()
        if "cachefile_strategy" not in state:
            self.cachefile_strategy = _default_strategy()


def _is_from_settings(value: Any, name: str) -> bool:
    if name == "cachefile_backend":
        return value is get_default_cachefile_backend()
    return value is _default_strategy()


def _default_strategy() -> Any:
    return load_strategy(conf.DEFAULT_CACHEFILE_STRATEGY)


def _name_for(generator: Any) -> tuple[str | None, bool]:
    """Return the name of a generator's file, and whether it leaves it to a record what that is."""
    try:
        name: str | None = generator.cachefile_name
    except AttributeError:
        if hasattr(type(generator), "cachefile_name"):
            # The generator names its files; what is missing is missing inside of it.
            raise
        namer = get_by_qname(conf.CACHEFILE_NAMER, "namer")
        return namer(generator), bool(getattr(namer, "needs_record", False))
    return name, bool(getattr(generator, "name_needs_record", False))
