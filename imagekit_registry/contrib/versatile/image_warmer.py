"""Making images before they are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from django.db.models import Model, QuerySet

from imagekit_registry.cachefiles import generate_many
from imagekit_registry.contrib.versatile.utils import Keys, pairs_of
from imagekit_registry.exceptions import InvalidArgumentType

__all__ = ["VersatileImageFieldWarmer"]


class VersatileImageFieldWarmer:
    """Makes the images of a set for rows; those of one row of one decode.

    Args:
        instance_or_queryset: A row, or a query for rows.
        rendition_key_set: The name of a set of ``VERSATILEIMAGEFIELD_RENDITION_KEY_SETS``, or pairs
            of names and keys.
        image_attr: The name of the image field; with dots through relations.
        verbose: Not looked at: `generateimages` shows how far it has come.

    Raises:
        InvalidArgumentType: Rows are given in another way.

    Example:
        >>> rows = Photo.objects.none()
        >>> VersatileImageFieldWarmer(rows, [("small", "crop__100x100")], "image").warm()
        (0, [])
    """

    def __init__(
        self,
        instance_or_queryset: Model | QuerySet[Model],
        rendition_key_set: str | Keys,
        image_attr: str,
        verbose: bool = False,
    ) -> None:
        self.rows: Iterable[Model]
        if isinstance(instance_or_queryset, Model):
            self.rows = [instance_or_queryset]
        elif isinstance(instance_or_queryset, QuerySet):
            self.rows = instance_or_queryset
        else:
            raise InvalidArgumentType("Give a row, or a query for rows.")
        self.keys = [key for _, key in pairs_of(rendition_key_set) if key != "url"]
        self.image_attr = image_attr

    def warm(self) -> tuple[int, list[str]]:
        """Make the images.

        Returns:
            How many there are now, and the names of those that could not be made.
        """
        images = [attrgetter(self.image_attr)(row) for row in self.rows]
        files = [image.file_of(key) for image in images if image.source for key in self.keys]
        outcome = generate_many(files)
        failed = [str(failure.file.name) for failure in outcome.failures]
        return len(files) - len(failed), failed
