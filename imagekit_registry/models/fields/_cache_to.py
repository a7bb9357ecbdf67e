"""The old ImageKit's ``cache_to``: a namer that knows the model instance."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import Any

from imagekit_registry.cachefiles.namers import source_name_and_field
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidArgumentType
from imagekit_registry.imaging.formats import suggest_extension

__all__ = ["CacheTo"]


class CacheTo:
    """A namer made of the old ``cache_to`` argument.

    Args:
        target: A callable ``(instance, path, specname, extension)`` that returns the name of the
            cache file in its storage, or a folder for files with the old names, below the folders of
            their sources.

    Attributes:
        needs_record: Whether the names do not say what the files are made of; see `namers`. So it is
            for a folder, and for a callable that has such an attribute.

    Raises:
        InvalidArgumentType: *target* is neither.

    Example:
        >>> def beside(instance, path, specname, extension):
        ...     return f"thumbs/{instance.pk}_{specname}{extension}"
        >>> thumbnail = ImageSpecField(image_field="original_image", cache_to=beside)
    """

    def __init__(self, target: Callable[[Any, str, str, str], str] | str) -> None:
        if not callable(target) and not isinstance(target, str):
            raise InvalidArgumentType(
                "cache_to must be a callable (instance, path, specname, extension) that returns a"
                f" file name, or a folder's name; not {target!r}."
            )
        self.target = target
        self.needs_record = isinstance(target, str) or bool(getattr(target, "needs_record", False))

    def __call__(self, generator: Any) -> str:
        """Return the name of the cache file of a spec with a model field's source."""
        if isinstance(self.target, str):
            name = posixpath.relpath(source_name_and_field(generator), conf.CACHEFILE_DIR)
            return posixpath.join(self.target, name)
        source = generator.source
        path = str(source.name)
        spec_name = (generator.spec_id or type(generator).__name__).rsplit(":", 1)[-1]
        return str(
            self.target(
                getattr(source, "instance", None),
                path,
                spec_name,
                suggest_extension(path, generator.format),
            )
        )
