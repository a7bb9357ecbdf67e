"""Cache files by the ids of their generators."""

from __future__ import annotations

from typing import Any

from django.utils.functional import SimpleLazyObject

from imagekit_registry.cachefiles.files import ImageCacheFile
from imagekit_registry.registry import generator_registry

__all__ = ["LazyImageCacheFile", "get_image"]


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
