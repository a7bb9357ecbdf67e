"""Old three-method image cache backends (validate, invalidate, clear), and one of our own."""

from __future__ import annotations

from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from imagekit_registry.cachefiles._owners import is_of_another, needs_record
from imagekit_registry.cachefiles.backends.base import Simple
from imagekit_registry.state import StateAccess, Status, get_database_access

__all__ = ["DatabaseImageCacheBackend", "ImageCacheBackendAdapter", "is_three_method_backend"]

_METHODS = ("validate", "invalidate", "clear")


def is_three_method_backend(value: Any) -> bool:
    """Return whether *value* offers ``validate``, ``invalidate`` and ``clear``."""
    return all(callable(getattr(value, name, None)) for name in _METHODS)


class ThreeMethodStrategy:
    """Tells a three-method backend what happens to a file.

    Args:
        backend: The three-method backend.
        then: A strategy whose ``on_source_saved`` and ``on_source_deleted`` are called as well.
    """

    def __init__(self, backend: Any, then: Any = None) -> None:
        self.backend = backend
        self.then = then

    def followed_by(self, strategy: Any) -> ThreeMethodStrategy:
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
        self._then("on_source_saved", file)

    def on_source_deleted(self, file: Any) -> None:
        """The row that held the source is gone, or holds another image now."""
        if _is_replaced(file.source):
            # The backend was told of the new image; `clear` is for models that are deleted.
            file.delete()
        else:
            self.backend.clear(file)
        self._then("on_source_deleted", file)

    def _then(self, method: str, file: Any) -> None:
        callback = getattr(self.then, method, None)
        if callback is not None:
            callback(file)


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

    _known: ClassVar[WeakKeyDictionary[Any, ImageCacheBackendAdapter]] = WeakKeyDictionary()

    def __init__(self, image_cache_backend: Any) -> None:
        self.image_cache_backend = image_cache_backend
        self.strategy = ThreeMethodStrategy(image_cache_backend)

    @classmethod
    def of(cls, image_cache_backend: Any) -> ImageCacheBackendAdapter:
        """Return the adapter of a three-method backend; always the same one, where possible."""
        try:
            known = cls._known.get(image_cache_backend)
            if known is None:
                known = cls._known.setdefault(image_cache_backend, cls(image_cache_backend))
        except TypeError:
            # Objects with slots, or that cannot be hashed, are not remembered.
            return cls(image_cache_backend)
        return known


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

    @property
    def states(self) -> StateAccess:
        """The way to the rows, whatever store the settings name."""
        return get_database_access()

    def _exists(self, file: Any) -> bool:
        return False

    def validate(self, file: Any) -> None:
        """Make *file*, unless its row says that it is valid."""
        file.generate()

    def invalidate(self, file: Any) -> None:
        """Mark *file* as not valid: it is made again when it is asked for next."""
        if not needs_record(file):
            self.remember(file, self._record(file, Status.MISSING))
            return
        record = self._stored(file)
        if record is not None and not is_of_another(file, record):
            self.amend(file, record, status=Status.MISSING)

    def clear(self, file: Any) -> None:
        """Remove *file* and its row."""
        file.delete()
