"""The state of the images of many objects, in one round trip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from inspect import getmembers_static
from typing import Any

from imagekit_registry.cachefiles.existence import fetch
from imagekit_registry.cachefiles.files import ImageCacheFile
from imagekit_registry.cachefiles.rendering import source_key
from imagekit_registry.cachefiles.strategies import makes_when_required
from imagekit_registry.exceptions import ImageKitError, InvalidArgument
from imagekit_registry.specs import SpecHost

__all__ = ["fetch_together", "prefetch_images"]


def prefetch_images(objects: Iterable[Any], *spec_fields: str) -> list[Any]:
    """Fetch the state of the images of many model instances in one round trip.

    What is missing is made when it is asked for: then all named images of the same source together,
    of one decode.

    Args:
        objects: Model instances, or a queryset of them.
        *spec_fields: Names of their image spec fields; ``"author__avatar"`` or ``"author.avatar"``
            is one of a related object, or of all related objects. Fetch those before
            (``select_related``, ``prefetch_related``): each one that is not there is a query. All
            of the instances' own if none is named.

    Returns:
        The instances, as a list.

    Raises:
        InvalidArgument: The instances have no attribute of such a name.

    Example:
        >>> photos = prefetch_images(Photo.objects.all()[:50], "thumbnail", "banner")
    """
    instances = list(objects)
    paths = [name.replace(".", "__").split("__") for name in spec_fields]
    own = {} if paths else {model: _spec_fields_of(model) for model in set(map(type, instances))}
    fetch_together(
        [each for path in paths or own[type(item)] for each in _follow(item, path)]
        for item in instances
    )
    return instances


def fetch_together(groups: Iterable[Iterable[object]]) -> None:
    """Fetch the state of all images in *groups* in one round trip; other objects are passed over.

    Args:
        groups: Images that will be shown together, such as those of one row: what is missing of one
            source is made of one decode when the first of them is asked for.
    """
    files = []
    for group in groups:
        files += _made_together([each for each in group if isinstance(each, ImageCacheFile)])
    fetch(files)


def _made_together(files: list[ImageCacheFile]) -> list[ImageCacheFile]:
    groups: dict[object, list[ImageCacheFile]] = {}
    for file in files:
        if file.name and makes_when_required(file.cachefile_strategy):
            groups.setdefault((file.cachefile_backend, source_key(file)), []).append(file)
    for group in groups.values():
        for file in group:
            file.siblings = group
    return files


def _spec_fields_of(model: type) -> list[list[str]]:
    # Fields for uploads stand behind a descriptor of Django's.
    return [[name] for name, value in getmembers_static(model) if isinstance(value, SpecHost)]


def _follow(item: object, path: Sequence[str]) -> Iterator[object]:
    """Yield what *path* leads to; nothing where a relation is empty."""
    if item is None:
        return
    if not path:
        yield item
        return
    try:
        value = getattr(item, path[0])
    except ImageKitError:
        # Whoever asks this one for its image is told.
        return
    except AttributeError as error:
        if hasattr(type(item), path[0]):
            # A relation to one object that is not there, or an error inside of a property.
            if hasattr(getattr(type(item), path[0]), "related"):
                return
            raise
        raise InvalidArgument(
            f"prefetch_images: {type(item).__name__} has no attribute {path[0]!r}"
        ) from error
    if len(path) > 1 and hasattr(value, "all"):
        for related in value.all():
            yield from _follow(related, path[1:])
    else:
        yield from _follow(value, path[1:])
