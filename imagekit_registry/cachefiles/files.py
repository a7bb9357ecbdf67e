"""Cache files: images that generators make, and that may not exist yet."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from asgiref.sync import sync_to_async
from django.core.files.storage import Storage
from django.utils.functional import SimpleLazyObject

from imagekit_registry._loading import (
    forget_on_change,
    get_storage,
    resolve_storage,
    storage_reference,
)
from imagekit_registry.cachefiles import existence
from imagekit_registry.cachefiles._content import StoredContent
from imagekit_registry.cachefiles.backends import (
    AbstractCacheFileBackend,
    get_default_cachefile_backend,
    load_backend,
)
from imagekit_registry.cachefiles.dimensions import dimensions
from imagekit_registry.cachefiles.fallbacks import (
    Fallback,
    Pixels,
    fallback_for,
    recall,
)
from imagekit_registry.cachefiles.generation import generate
from imagekit_registry.cachefiles.identity import Identity, identify
from imagekit_registry.cachefiles.pending import is_spent, on_demand
from imagekit_registry.cachefiles.results import Policy
from imagekit_registry.cachefiles.strategies import Strategy, load_strategy
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import (
    GenerationError,
    ImageKitError,
    MissingSource,
)
from imagekit_registry.registry import generator_registry
from imagekit_registry.signals import existence_required
from imagekit_registry.specs import BaseImageSpec, BrokenSpec, adapt_generator
from imagekit_registry.state import CacheFileRecord, state_scope

__all__ = ["Identity", "ImageCacheFile", "LazyImageCacheFile", "get_image"]


class ImageCacheFile(StoredContent):
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

    def __init__(
        self,
        generator: object,
        name: str | None = None,
        storage: Storage | str | Callable[[], Storage] | None = None,
        cachefile_backend: object = None,
        cachefile_strategy: object = None,
    ) -> None:
        self.generator = generator
        self.spec, self.storage, known, own_name = _place(generator, name, storage)
        self._is_named = bool(name)
        if known is not None:
            self.__dict__["identity"] = known
        self._file, self.name = None, own_name  # as Django's own does
        _, default_backend, default_strategy = _defaults()
        backend = cachefile_backend or self.spec.cachefile_backend
        self.cachefile_backend = load_backend(backend) if backend else default_backend
        strategy = cachefile_strategy or self.spec.cachefile_strategy
        self.cachefile_strategy = load_strategy(strategy) if strategy else default_strategy
        own = self.cachefile_backend.strategy
        if own is not None:
            # A three-method backend decides for itself; what else is wanted comes after it.
            self.cachefile_strategy = own.followed_by(self.cachefile_strategy) if strategy else own
        self._fallback: Fallback | None = None

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
        shown = self._require_existence()
        if shown is not None and shown.url:
            return shown.url
        return self._fallback.url if self._fallback else self._url_by(existence.known(self), shown)

    def shown(self) -> Fallback:
        """Return URL, width and height together: one look at the state for all of them.

        Raises:
            MissingSource: The generator has no source.
            GenerationError: The image could not be made, and failures are to be raised.
        """
        shown = self._require_existence()
        if shown is not None and shown.url:
            return shown
        if self._fallback is not None:
            return self._fallback
        record = existence.known(self)
        if record is None or record.width is None or record.height is None:
            return Fallback(self.url, self.width, self.height)
        url = self._url_by(record, shown)
        return self.fallback or Fallback(url, record.width, record.height)

    @property
    def fallback(self) -> Fallback | None:
        """What was shown instead when the image was last asked for; None if it was the image."""
        return self._fallback

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
        shown = self._require_existence()
        if shown is not None:
            return shown.width, shown.height
        if self._fallback is None:
            try:
                return dimensions(self)
            except GenerationError as error:
                # The storage does not say whether there is an image, or how large it is.
                self._fallback = fallback_for(self, error)
        return self._fallback.width, self._fallback.height

    def _require_existence(self) -> Fallback | None:
        """Give the strategy its chance; keep what is shown instead if the image cannot be had.

        Returns:
            What is shown, if that is known to be as it was, or is on demand.
        """
        kept = recall(self)
        if kept is not None or self._file is not None:
            self._fallback = self._fallback if kept is None else None
            return kept.shown if kept is not None else None
        if not self.name:
            self._refuse_without_source()
        with state_scope():
            try:
                if existence_required.receivers:
                    existence_required.send(sender=self, file=self)
                if not (spent := is_spent(self)):
                    self.cachefile_strategy.on_existence_required(self)
                may_make = self.cachefile_strategy.may_make and not spent
                shown = on_demand(self, may_make=may_make)
                is_on_its_way = shown is None and self._is_on_its_way(may_make)
            except GenerationError as error:
                self._fallback = fallback_for(self, error)
                return None
            self._fallback = fallback_for(self, None) if is_on_its_way else None
            return shown

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
            if not self.name:
                self._refuse_without_source()
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

    # Pickles and copies.

    def __getstate__(self) -> dict[str, object]:
        """Leave out the content, and a storage and a backend that can be found again."""
        state = {**self.__dict__, "_file": None, "_fallback": None}
        for name in ("identity", "siblings", "spec"):
            state.pop(name, None)
        storage = state.pop("storage")
        if storage is not _defaults()[0]:
            reference = storage_reference(storage)
            # What is no alias is a class with arguments, which only the storage itself knows.
            state["_storage"] = storage if "." in reference else reference or "default"
        if state["cachefile_backend"] is _backend_of(self.spec):
            del state["cachefile_backend"]
        if state["cachefile_strategy"] is _defaults()[2]:
            del state["cachefile_strategy"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        self.storage = resolve_storage(state.pop("_storage", None))
        self.__dict__.update(state)
        self.spec = adapt_generator(self.generator)
        self.__dict__.setdefault("cachefile_backend", _backend_of(self.spec))
        self.__dict__.setdefault("cachefile_strategy", _defaults()[2])


def _backend_of(spec: BaseImageSpec) -> AbstractCacheFileBackend:
    """Return the backend that the class of a spec names, else that of the settings."""
    backend = type(spec).cachefile_backend
    # While it is unpickled a property may ask for what is not there yet.
    is_named = backend and not isinstance(backend, property)
    return load_backend(backend) if is_named else _defaults()[1]


def _place(
    generator: object, name: str | None, storage: Storage | str | Callable[[], Storage] | None
) -> tuple[BaseImageSpec, Storage, Identity | None, str | None]:
    """Return the spec of a file, one that is broken if its code fails; storage, identity and name."""
    spec = generator if isinstance(generator, BaseImageSpec) else adapt_generator(generator)
    try:
        wanted = storage or spec.cachefile_storage
        found = get_storage(wanted) if wanted else _defaults()[0]
        # What else is the project's code, and asked on each page, is tried as well.
        _ = spec.cachefile_backend, spec.cachefile_strategy, spec.fallback
        known = None if name else identify(spec, found)
        if known is not None:
            return spec, found, known, known.name
        _ = spec.source_name
        own_name = name or spec.cachefile_name
        # A namer of the project's may give a path.
        return spec, found, None, None if own_name is None else str(own_name)
    except ImageKitError:
        raise
    except Exception as error:
        if isinstance(spec, BrokenSpec):
            # It is no spec that fails, but a setting or an argument.
            raise
        return _place(BrokenSpec(spec, error), name, storage)


@cache
def _defaults() -> tuple[Storage, AbstractCacheFileBackend, Strategy]:
    """Return the storage, the backend and the strategy that the settings name."""
    strategy = load_strategy(conf.DEFAULT_CACHEFILE_STRATEGY)
    return get_storage(), get_default_cachefile_backend(), strategy


forget_on_change(_defaults.cache_clear)


class LazyImageCacheFile(SimpleLazyObject):  # type: ignore[type-arg]
    """A cache file that is built when it is first used.

    Args:
        generator_id: The id of a registered generator.
        **kwargs: What the generator takes, such as ``source``.
    """

    def __init__(self, generator_id: str, **kwargs: object) -> None:
        super().__init__(lambda: get_image(generator_id, **kwargs))

    def __repr__(self) -> str:
        str(self)  # builds it
        return repr(self._wrapped)


def get_image(id: str, **kwargs: object) -> ImageCacheFile:
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
