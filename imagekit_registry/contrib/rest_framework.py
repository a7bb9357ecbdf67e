"""Images in Django REST framework's serializers; needs the extra ``rest``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

from django.apps import apps
from django.db.models import QuerySet
from rest_framework import serializers

from imagekit_registry.cachefiles import ImageCacheFile, ImageDict, get_image
from imagekit_registry.cachefiles.existence import fetch
from imagekit_registry.cachefiles.renditions import fetch_possible, offer_with
from imagekit_registry.exceptions import InvalidArgumentType
from imagekit_registry.specs import Picture, has_source

if apps.is_installed("drf_spectacular"):
    # It finds extensions by their having been imported.
    from imagekit_registry.contrib import drf_spectacular  # noqa: F401

__all__ = ["ImageSpecField"]


class ImageSpecField(serializers.Field):  # type: ignore[misc]
    """A read-only field: an image as a dict of URL, width, height and more, or several by name.

    In a list of a queryset, list or tuple the states of all its images are fetched in one round trip;
    in one of a manager, and in a list inside of another, each row fetches its own. An image that cannot
    be made is told of by the dict; it is no error of the API. A row without an image gives null.

    Args:
        spec: The id of a spec, for which ``source`` names the image field of the row. Without it
            the attribute is an image that knows its spec, such as a spec field of the model.
        specs: Ids of several specs, by the names that their dicts have.
        picture: How the images are offered, over what their specs say: with it their dicts have
            ``srcset``, ``sizes`` and ``sources`` as well, and a list costs one round trip more.
        **kwargs: As for any field, such as ``source``.

    Raises:
        InvalidArgumentType: Both *spec* and *specs* are given.

    Example:
        >>> class PhotoSerializer(serializers.ModelSerializer):
        ...     thumbnail = ImageSpecField()
        ...     images = ImageSpecField(source="image", specs={"card": "shop:card"})
    """

    def __init__(
        self,
        spec: str | None = None,
        specs: Mapping[str, str] | None = None,
        picture: Picture | None = None,
        **kwargs: object,
    ) -> None:
        if spec and specs:
            raise InvalidArgumentType("ImageSpecField: give either 'spec' or 'specs', not both.")
        self.spec, self.specs, self.picture = spec, specs, picture
        self._fetched: object = None
        super().__init__(**{"read_only": True, "allow_null": True, **kwargs})

    def get_attribute(self, instance: object) -> dict[str, ImageCacheFile] | None:
        """Return the images of *instance*, each with its name; None if it has no source."""
        rows = _rows_of(self.root)
        if rows is not None and rows is not self._fetched:
            self._fetched = rows
            peers = self._peers(rows)
            files = [file for peer in peers for file in (self._images_of(peer) or {}).values()]
            fetch(files)
            if self.picture is not None:
                pictures = [offer_with(self.picture, file) for file in files]
                fetch_possible(list(chain(*pictures)))
        return self._images_of(instance)

    def to_representation(
        self, value: Mapping[str, ImageCacheFile]
    ) -> ImageDict | dict[str, ImageDict]:
        """Return the dict of an image, or of several by name."""
        request = self.context.get("request")
        shown = {name: file.as_dict(request, self.picture) for name, file in value.items()}
        return shown if self.specs else shown[""]

    def _images_of(self, instance: object) -> dict[str, ImageCacheFile] | None:
        value = super().get_attribute(instance)
        if isinstance(value, ImageCacheFile) and not (self.spec or self.specs):
            return {"": value} if value.name else None
        if not has_source(value):
            return None
        ids = self.specs or {"": str(self.spec)}
        return {name: get_image(spec_id, source=value) for name, spec_id in ids.items()}

    def _peers(self, rows: Iterable[object]) -> list[object]:
        """Return what this field is asked of for all *rows*; nothing where these have lists inside."""
        inner, serializer = [], self.parent
        while serializer.parent is not self.root:
            inner.append(serializer)
            serializer = serializer.parent
        if any(isinstance(each, serializers.ListSerializer) for each in inner):
            return []
        peers = list(rows)
        for each in reversed(inner):
            peers = [found for peer in peers if (found := each.get_attribute(peer)) is not None]
        return peers


def _rows_of(root: object) -> Iterable[object] | None:
    """Return the rows that a list is made of, if they can be gone through more than once."""
    rows = root.instance if isinstance(root, serializers.ListSerializer) else None
    return rows if isinstance(rows, QuerySet | list | tuple) else None
