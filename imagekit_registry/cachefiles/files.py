"""Cache files: images that generators make, and that may not exist yet."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import IO, Any, Self, TypeVar

from asgiref.sync import sync_to_async
from django.core.files.base import File
from django.core.files.images import ImageFile
from django.core.files.storage import Storage
from django.dispatch import Signal
from django.utils.functional import SimpleLazyObject

from imagekit_registry._loading import get_storage, resolve_storage, storage_reference
from imagekit_registry.cachefiles import existence
from imagekit_registry.cachefiles.backends import get_default_cachefile_backend, load_backend
from imagekit_registry.cachefiles.fallbacks import Fallback, Pixels, fallback_for
from imagekit_registry.cachefiles.generation import Policy, generate
from imagekit_registry.cachefiles.identity import Identity, identify
from imagekit_registry.cachefiles.strategies import Strategy, load_strategy
from imagekit_registry.cachefiles.threads import is_in_event_loop
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import GenerationError, MissingSource, PublishError, located
from imagekit_registry.imaging.formats import extension_to_mimetype, format_to_mimetype
from imagekit_registry.registry import generator_registry
from imagekit_registry.signals import content_required, existence_required
from imagekit_registry.specs import adapt_generator
from imagekit_registry.state import CacheFileRecord, Status

__all__ = ["Identity", "ImageCacheFile", "LazyImageCacheFile", "get_image"]

_T = TypeVar("_T")

_REACH_IT = "Check that the storage of the cache files can be reached."


class _ReadOnlyFile(ImageFile):
    """The content of a file in a storage, opened when it is first read.

    Subclasses say by `_open` how.
    """

    _file: IO[bytes] | None = None

    def _open(self) -> IO[bytes]:
        raise NotImplementedError

    def _get_file(self) -> Any:
        if self._file is None:
            self._file = self._open()
        return self._file

    def _set_file(self, file: Any) -> None:
        self._file = file

    def _del_file(self) -> None:
        self._file = None

    file = property(_get_file, _set_file, _del_file)

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


class ImageCacheFile(_ReadOnlyFile):
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
        spec = self.spec = adapt_generator(generator)
        self._is_named = bool(name)
        super().__init__(None, name or spec.cachefile_name)
        self._file = None
        self.storage = resolve_storage(storage or spec.cachefile_storage)
        backend = cachefile_backend or spec.cachefile_backend
        self.cachefile_backend = (
            load_backend(backend) if backend else get_default_cachefile_backend()
        )
        strategy = cachefile_strategy or spec.cachefile_strategy
        own = self.cachefile_backend.strategy
        self.cachefile_strategy: Strategy
        if own is not None:
            # A three-method backend decides for itself; what else is wanted comes after it.
            self.cachefile_strategy = own.followed_by(load_strategy(strategy)) if strategy else own
        else:
            self.cachefile_strategy = load_strategy(strategy) if strategy else _default_strategy()
        self._fallback: Fallback | None = None

    # What it is, without looking anywhere.

    @cached_property
    def identity(self) -> Identity:
        """What the file is: name, storage, spec id, source, digest and the key of its record."""
        is_unique = self._is_named or not self.spec.name_needs_record
        return identify(self, name_is_unique=is_unique)

    @property
    def source(self) -> Any:
        """The source image that this one is made of; None for a generator without one."""
        return self.spec.source

    @property
    def spec_id(self) -> str:
        """What errors, records and logs call the generator: its id, or its class."""
        return self.spec.describe()

    @property
    def digest(self) -> str:
        """The digest of source and recipe; empty if the generator has none."""
        return self.identity.digest

    def __str__(self) -> str:
        return self.name or ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name or 'None'}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ImageCacheFile):
            return NotImplemented
        if self.name != other.name or self.storage != other.storage:
            return False
        are_told_by_name = self.identity.name_is_unique and other.identity.name_is_unique
        return are_told_by_name or self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.name)

    # What its state says.

    @property
    def state(self) -> CacheFileRecord:
        """The record of this file: status, width, height, size, format, digest, error ...

        Reading it makes no image. A backend that keeps no state is asked for existence.
        """
        return self.cachefile_backend.get_record(self)

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
        if self._fallback is not None:
            return bool(self._fallback.url)
        try:
            return not self.cachefile_strategy.should_verify_existence(self) or self.exists()
        except GenerationError:
            # The storage does not say; its error is for those who ask for the image itself.
            return False

    @property
    def url(self) -> str:
        """The URL; that of the fallback while the image cannot be had.

        Raises:
            MissingSource: The generator has no source.
            GenerationError: The image could not be made, and failures are to be raised.
        """
        self._require_existence()
        if self._fallback is not None:
            return self._fallback.url
        return self._url_of(self.published_name)

    def _url_of(self, name: str) -> str:
        try:
            with located(
                self.identity,
                f"the storage gives no URL for {name!r}",
                wrap=PublishError,
                hint=_REACH_IT,
            ):
                return self.storage.url(name)
        except PublishError as failure:
            self._fallback = fallback_for(self, failure)
            return self._fallback.url

    def shown(self) -> Fallback:
        """Return URL, width and height together: one look at the state for all of them.

        Raises:
            MissingSource: The generator has no source.
            GenerationError: The image could not be made, and failures are to be raised.
        """
        self._require_existence()
        if self._fallback is not None:
            return self._fallback
        record = existence.known(self)
        if record is None or record.width is None or record.height is None:
            return Fallback(self.url, self.width, self.height)
        url = self._url_of(record.published_name or self._required_name())
        return self.fallback or Fallback(url, record.width, record.height)

    @property
    def fallback(self) -> Fallback | None:
        """What was shown instead when the image was last asked for; None if it was the image."""
        return self._fallback

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
        width = self._get_image_dimensions()[0]
        return None if width is None else Pixels(width)

    @property
    def height(self) -> int | None:  # type: ignore[override]
        """The height in pixels; None if it cannot be known before the image is made."""
        height = self._get_image_dimensions()[1]
        return None if height is None else Pixels(height)

    def _get_image_dimensions(self) -> tuple[int | None, int | None]:
        self._require_existence()
        if self._fallback is None:
            try:
                return existence.dimensions(self)
            except GenerationError as error:
                # The storage does not say whether there is an image, or how large it is.
                self._fallback = fallback_for(self, error)
        return self._fallback.width, self._fallback.height

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
    def media_type(self) -> str:
        """The media type, such as ``image/jpeg``; ``application/octet-stream`` if unknown."""
        format = self.state.format or self.spec.format
        if format:
            return format_to_mimetype(format) or "application/octet-stream"
        dot = (self.name or "").rfind(".")
        extension = self.name[dot:] if self.name and dot >= 0 else ""
        return extension_to_mimetype(extension) or "application/octet-stream"

    def _require_existence(self) -> None:
        """Give the strategy its chance; keep what is shown instead if the image cannot be had."""
        if self._file is not None:
            return
        try:
            self._announce(existence_required, self.cachefile_strategy.on_existence_required)
            is_on_its_way = self._is_on_its_way()
        except GenerationError as error:
            self._fallback = fallback_for(self, error)
        else:
            self._fallback = fallback_for(self, None) if is_on_its_way else None

    def _announce(self, signal: Signal, callback: Callable[[Any], object]) -> None:
        if signal.receivers:
            signal.send(sender=self, file=self)
        callback(self)

    def _is_on_its_way(self) -> bool:
        """Return whether something else is shown until the image is there."""
        if self.spec.fallback is None and self.identity.name_is_unique:
            return False
        if not self.identity.name_is_unique:
            return not self._is_recorded()
        is_made_later = self.cachefile_backend.is_async or is_in_event_loop()
        return is_made_later and not self.exists()

    def _is_recorded(self) -> bool:
        """Return whether what is under the name is this image; if that is not known it is made.

        A strategy that relies on its existence, or a backend that asks the storage for the name,
        cannot tell.

        Raises:
            GenerationError: The image cannot be made; another one may have its name.
        """
        if self.cachefile_backend.states is None or not self.name:
            return True
        for is_last in (False, True):
            record = existence.known(self)
            if record is not None and record.status == Status.EXISTS:
                return True
            if not is_last:
                self.generate()
        return False

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

    async def ashown(self) -> Fallback:
        """Return URL, width and height together; the image is made in a thread if it is missing.

        Raises:
            MissingSource: The generator has no source.
            GenerationError: The image could not be made, and failures are to be raised.
        """
        return await sync_to_async(self.shown)()

    def _generate(self) -> None:
        """Make the file here and now, whatever its state."""
        (result,) = generate([self], Policy(force=True))
        if result.error is not None:
            raise result.error

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

    # Its content.

    def _open(self) -> IO[bytes]:
        self._announce(content_required, self.cachefile_strategy.on_content_required)
        if not self.identity.name_is_unique:
            self._is_recorded()
        return self._ask_storage(self._open_stored, "the content of")

    def _open_stored(self, name: str) -> Any:
        return self.storage.open(name, "rb")

    def _ask_storage(self, ask: Callable[[str], _T], what: str) -> _T:
        """Return what ``ask(name)`` gives; a file that has gone is made again, if it is wanted.

        Raises:
            FileNotFoundError: The file has gone, and its strategy does not make it again.
            PublishError: The storage does not answer.
        """
        cause = f"the storage does not give {what} {self.name!r}"
        for is_last in (False, True):
            name = self.published_name
            try:
                with located(self.identity, cause, wrap=PublishError, hint=_REACH_IT):
                    return ask(name)
            except PublishError as error:
                if not isinstance(error.__cause__, FileNotFoundError):
                    raise
                if is_last:
                    raise error.__cause__ from None
                # The state said that it exists. The storage is right.
                existence.invalidate(self)
                self._announce(content_required, self.cachefile_strategy.on_content_required)
        raise AssertionError("unreachable")

    # Pickles and copies.

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the content, and a storage that can be found again."""
        state = dict(self.__dict__)
        state["_file"] = None
        state["_fallback"] = None
        state.pop("identity", None)
        del state["spec"]
        storage = state.pop("storage")
        if storage is not get_storage():
            reference = storage_reference(storage)
            # What is no alias is a class with arguments, which only the storage itself knows.
            state["_storage"] = storage if "." in reference else reference or "default"
        if state["cachefile_backend"] is get_default_cachefile_backend():
            del state["cachefile_backend"]
        if state["cachefile_strategy"] is _default_strategy():
            del state["cachefile_strategy"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        self.storage = resolve_storage(state.pop("_storage", None))
        self.__dict__.update(state)
        self.spec = adapt_generator(self.generator)
        if "cachefile_backend" not in state:
            self.cachefile_backend = get_default_cachefile_backend()
        if "cachefile_strategy" not in state:
            self.cachefile_strategy = _default_strategy()


def _default_strategy() -> Strategy:
    return load_strategy(conf.DEFAULT_CACHEFILE_STRATEGY)


class LazyImageCacheFile(SimpleLazyObject):  # type: ignore[type-arg]
    """A cache file that is built when it is first used.

    Args:
        generator_id: The id of a registered generator.
        **kwargs: What the generator takes, such as ``source``.
    """

    def __init__(self, generator_id: str, **kwargs: Any) -> None:
        super().__init__(lambda: get_image(generator_id, **kwargs))

    def __repr__(self) -> str:
        str(self)  # builds it
        return repr(self._wrapped)


def get_image(id: str, **kwargs: Any) -> ImageCacheFile:
    """Return the cache file of a registered generator.

    Args:
        id: The generator's id.
        **kwargs: What the generator takes, such as ``source``.

    Raises:
        NotRegistered: Nothing has the id.
        InvalidArgumentType: The generator does not take these arguments.

    Example:
        >>> get_image("imagekit:thumbnail", source="photos/bulldog.jpg", width=100).url
        '/media/CACHE/images/photos/bulldog/0f3bf3b92d4b9f8fd9f05f2d9b1ff6c2.jpg'
    """
    return ImageCacheFile(generator_registry.get(id, **kwargs))
