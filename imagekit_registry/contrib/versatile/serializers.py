"""The field for Django REST framework's serializers; needs the extra ``rest``."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from imagekit_registry.contrib.versatile.utils import (
    Keys,
    build_versatileimagefield_url_set,
    pairs_of,
)

__all__ = ["VersatileImageFieldSerializer"]


class VersatileImageFieldSerializer(serializers.ImageField):  # type: ignore[misc]
    """A read-only field: the URLs of a set of images, by their names.

    Args:
        sizes: The name of a set of ``VERSATILEIMAGEFIELD_RENDITION_KEY_SETS``, or pairs of names and
            keys.
        *args: As for any field.
        **kwargs: Likewise.

    Example:
        >>> class PhotoSerializer(serializers.ModelSerializer):
        ...     image = VersatileImageFieldSerializer(sizes=[("small", "crop__100x100")])
    """

    def __init__(self, sizes: str | Keys, *args: object, **kwargs: object) -> None:
        self.sizes = pairs_of(sizes)
        super().__init__(*args, **{"read_only": True, **kwargs})

    def to_representation(self, value: Any) -> dict[str, str]:
        """Return the URLs; absolute ones, if the serializer knows the request."""
        return build_versatileimagefield_url_set(value, self.sizes, self.context.get("request"))
