"""From what a message says of an image to its cache file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist
from django.core.files.storage import storages

from imagekit_registry.cachefiles import ImageCacheFile, get_image
from imagekit_registry.exceptions import NotRegistered
from imagekit_registry.specs import StoredFile

__all__ = ["NothingToDo", "find_file"]


class NothingToDo(Exception):
    """The image of a message is not wanted any more, or not of this process; it says why."""


def find_file(image: Mapping[str, Any]) -> ImageCacheFile:
    """Return the cache file that part of a message is about.

    Args:
        image: What ``describe`` gave for it in another process.

    Raises:
        NothingToDo: Its source has gone, or source or recipe are others by now.
    """
    arguments = dict(image["arguments"])
    if image["source"] is not None:
        arguments["source"] = _find_source(image["source"])
    try:
        file = get_image(image["spec"], **arguments)
    except NotRegistered as error:
        raise NothingToDo(str(error)) from error
    if file.digest != image["digest"]:
        raise NothingToDo(
            "its recipe or its source is another one here than where it was asked for"
        )
    return file


def _find_source(source: Mapping[str, Any]) -> Any:
    if "image" in source:
        return find_file(source["image"])
    if "model" not in source:
        if source["storage"] not in storages.backends:
            raise NothingToDo(f"there is no storage {source['storage']!r} here")
        return StoredFile(source["name"], storages[source["storage"]])
    try:
        model = apps.get_model(source["model"])
        rows = model._base_manager.using(source["database"] or None)
        instance = rows.get(pk=model._meta.pk.to_python(source["pk"]))
    except (LookupError, ObjectDoesNotExist) as error:
        raise NothingToDo(str(error)) from error
    found = getattr(instance, source["field"])
    if found.name != source["name"]:
        raise NothingToDo("its source is another one by now")
    return found
