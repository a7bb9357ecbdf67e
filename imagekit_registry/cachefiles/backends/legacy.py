"""Backends of other interfaces: bare ones, those of the old ImageKit, and one of our own like these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from imagekit_registry.cachefiles import existence
from imagekit_registry.cachefiles.backends.base import AbstractCacheFileBackend, Simple
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.cachefiles.strategies import Strategy
from imagekit_registry.state import Status, get_database_access

__all__ = [
    "BackendAdapter",
    "DatabaseImageCacheBackend",
    "ImageCacheBackendAdapter",
    "adapter_of",
    "is_three_method_backend",
]

_T = TypeVar("_T")

_METHODS = ("validate", "invalidate", "clear")
_adapters: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def is_three_method_backend(value: object) -> bool:
    """Return whether *value* offers ``validate``, ``invalidate`` and ``clear``."""
    return all(callable(getattr(value, name, None)) for name in _METHODS)


def adapter_of(backend: Any, adapt: Callable[[Any], _T]) -> _T:
    """Return the adapter of a backend; always the same one, where possible.

    Args:
        backend: The backend.
        adapt: The class of the adapter.
    """
    try:
        known: _T | None = _adapters.get(backend)
        return _adapters.setdefault(backend, adapt(backend)) if known is None else known
    except TypeError:
        # Objects with slots, or that cannot be hashed, are not remembered.
        return adapt(backend)


class BackendAdapter(AbstractCacheFileBackend):
    """A backend that has ``generate`` and ``exists`` alone, with all that backends have.

    Args:
        backend: The backend.
    """

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.is_async = bool(getattr(backend, "is_async", False))

    def generate(self, file: Any, force: bool = False) -> None:
        """Make *file* unless it exists; with *force* in any case."""
        self.backend.generate(file, force)

    def exists(self, file: Any) -> bool:
        """Return whether *file* exists."""
        return bool(self.backend.exists(file))


class ThreeMethodStrategy(Strategy):
    """Tells a three-method backend what happens to a file.

    Args:
        backend: The three-method backend.
        then: A strategy whose ``on_source_saved`` and ``on_source_deleted`` are called as well.
    """

    def __init__(self, backend: Any, then: Strategy | None = None) -> None:
        self.backend = backend
        self.then = then or Strategy()

    def followed_by(self, strategy: Strategy) -> ThreeMethodStrategy:
        """Return the same strategy with another one behind it."""
        return ThreeMethodStrategy(self.backend, strategy)

    def on_existence_required(self, file: Any) -> None:
        """URL, width or height are asked for."""
        self.backend.validate(file)

    def on_content_required(self, file: Any) -> None:
        """The content is about to be read."""
        self.backend.validate(file)

    def on_source_saved(self, file: Any) -> None:
        """A new image was saved to the source."""
        self.backend.invalidate(file)
        self.then.on_source_saved(file)

    def on_source_deleted(self, file: Any) -> None:
        """The row that held the source is gone, or holds another image now."""
        if _is_replaced(file.source):
            # The backend was told of the new image; `clear` is for models that are deleted.
            file.delete()
        else:
            self.backend.clear(file)
        self.then.on_source_deleted(file)


def _is_replaced(source: Any) -> bool:
    """Return whether the model instance of a source holds another image, or none, by now."""
    field = getattr(source, "field", None)
    instance = getattr(source, "instance", None)
    if field is None or instance is None or field.attname not in instance.__dict__:
        return False
    now = instance.__dict__[field.attname]
    return str(getattr(now, "name", now) or "") != str(source.name)


class ImageCacheBackendAdapter(Simple):
    """A cache file backend in which a three-method backend decides.

    Files are made and remembered as `Simple` does; ``validate`` decides whether they are made when
    they are asked for, ``invalidate`` and ``clear`` what becomes of them with their sources.

    Args:
        image_cache_backend: The three-method backend.
    """

    def __init__(self, image_cache_backend: Any) -> None:
        self.image_cache_backend = image_cache_backend
        self.strategy = ThreeMethodStrategy(image_cache_backend)


class DatabaseImageCacheBackend(Simple):
    """A three-method backend that keeps the state (valid or not) in a database table.

    A file counts as missing unless its row says that it is valid: no request asks the storage.

    Example:
        >>> thumbnail = ImageSpecField(
        ...     [ResizeToFill(50, 50)],
        ...     image_field="original_image",
        ...     image_cache_backend=DatabaseImageCacheBackend(),
        ... )
    """

    def __init__(self) -> None:
        self.strategy = ThreeMethodStrategy(self)

    #: To the rows, whatever store the settings name.
    _get_states = staticmethod(get_database_access)

    def _exists(self, file: Any) -> bool:
        return False

    def validate(self, file: Any) -> None:
        """Make *file*, unless its row says that it is valid."""
        file.generate()

    def invalidate(self, file: CacheFile) -> None:
        """Mark *file* as not valid: it is made again when it is asked for next."""
        if file.identity.name_is_unique:
            existence.remember([(file, existence.new_record(file, Status.MISSING))])
            return
        (record,) = existence.fetch([file], fresh=True)
        if record is not None and not existence.is_of_another(file.identity, record):
            existence.complete(file, record, status=Status.MISSING)

    def clear(self, file: Any) -> None:
        """Remove *file* and its row."""
        file.delete()
