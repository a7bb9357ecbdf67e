"""The state of the images of many objects, in one round trip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from inspect import getattr_static, getmembers_static
from itertools import chain
from typing import Any

from django.db.models import prefetch_related_objects

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
            of the instances' own if none is named. Rows that hold the sources of fields such as
            ``ImageSpecField(source="photo__image")`` are fetched here, if they are not there.

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
    shown = [
        [(row, path[-1]) for path in paths or own[type(item)] for row in _rows(item, path[:-1])]
        for item in instances
    ]
    _fetch_source_rows(chain(*shown))
    fetch_together([_attribute(row, name) for row, name in each] for each in shown)
    return instances


def _fetch_source_rows(shown: Iterable[tuple[Any, str]]) -> None:
    """Fetch the related rows that hold the sources of images, by one query for each relation."""
    rows: dict[tuple[type, str], list[Any]] = {}
    for row, name in shown:
        rows.setdefault((type(row), name), []).append(row)
    for (model, name), each in rows.items():
        host = getattr_static(model, name, None)
        if isinstance(host, SpecHost) and host.relation:
            prefetch_related_objects(each, host.relation)


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


def _rows(item: object, path: Sequence[str]) -> Iterator[Any]:
    """Yield the objects that *path* leads to; nothing where a relation is empty."""
    if item is None:
        return
    if not path:
        yield item
        return
    value = _attribute(item, path[0])
    for each in value.all() if hasattr(value, "all") else (value,):
        yield from _rows(each, path[1:])


def _attribute(item: Any, name: str) -> Any:
    """Return an attribute; None where a relation is empty."""
    try:
        return getattr(item, name)
    except ImageKitError:
        # Whoever asks this one for its image is told.
        return None
    except AttributeError as error:
        if hasattr(type(item), name):
            # A relation to one object that is not there, or an error inside of a property.
            if hasattr(getattr(type(item), name), "related"):
                return None
            raise
        raise InvalidArgument(
            f"prefetch_images: {type(item).__name__} has no attribute {name!r}"
        ) from error
