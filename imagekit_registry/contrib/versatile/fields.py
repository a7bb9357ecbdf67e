"""The image field whose files give images by keys, and the field of their point of interest."""

from __future__ import annotations

from typing import Any

from django.db.models import CharField, ImageField, Model
from django.db.models.query_utils import DeferredAttribute

from imagekit_registry.contrib.versatile.files import VersatileImageFieldFile
from imagekit_registry.contrib.versatile.validators import to_ppoi
from imagekit_registry.specs import keep_points_in, note_moved_point

__all__ = ["PPOIField", "VersatileImageField"]

_MIDDLE = "0.5x0.5"


def _refuse(value: object) -> None:
    to_ppoi(value)


class VersatileImageField(ImageField):
    """An image field whose files give images by keys: ``image.crop["400x300"]``.

    Args:
        verbose_name, name: As for Django's ``ImageField``.
        width_field, height_field: Likewise.
        ppoi_field: The name of the field of the model that has the point of interest: a `PPOIField`,
            or a `FocalPointField`.
        placeholder_image: What an empty field shows: a `OnDiscPlaceholderImage`, or a
            `OnStoragePlaceholderImage`.
        **kwargs: As for Django's ``ImageField``.

    Example:
        >>> class Photo(models.Model):
        ...     image = VersatileImageField(upload_to="photos", ppoi_field="point")
        ...     point = PPOIField()
    """

    attr_class = VersatileImageFieldFile

    def __init__(
        self,
        verbose_name: Any = None,
        name: str | None = None,
        width_field: str | None = None,
        height_field: str | None = None,
        ppoi_field: str | None = None,
        placeholder_image: object = None,
        **kwargs: Any,
    ) -> None:
        self.ppoi_field = ppoi_field
        self.placeholder_image = placeholder_image
        #: The names of placeholders that are known to lie in the storage.
        self.stored_placeholders: set[str] = set()
        super().__init__(verbose_name, name, width_field, height_field, **kwargs)

    def contribute_to_class(self, cls: type[Model], name: str, **kwargs: object) -> None:  # type: ignore[override]
        """Take a place on a model: specs with the anchor ``"focal"`` find its points."""
        super().contribute_to_class(cls, name, **kwargs)
        # Migrations make models of their own.
        if self.ppoi_field and cls.__module__ != "__fake__":
            keep_points_in(cls, name, self.ppoi_field)


class _PPOIDescriptor(DeferredAttribute):
    """Gives and takes pairs; notes that a point is moved."""

    def __set__(self, instance: Model, value: object) -> None:
        state, name = instance.__dict__, self.field.attname
        point = _MIDDLE if value is None else value
        point = to_ppoi(point)
        if name in state and state[name] != point:
            for field in instance._meta.concrete_fields:
                if isinstance(field, VersatileImageField) and field.ppoi_field == name:
                    note_moved_point(instance, field.attname, state[name])
        state[name] = point


class PPOIField(CharField):  # type: ignore[type-arg]
    """The point of interest of an image, as a pair of fractions; in the database ``"0.5x0.5"``.

    Args:
        *args: As for Django's ``CharField``.
        **kwargs: Likewise; the default is the middle.
    """

    descriptor_class = _PPOIDescriptor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        default = self.get_prep_value(to_ppoi(kwargs.get("default", _MIDDLE)))
        super().__init__(
            *args, **{"max_length": 20, **kwargs, "default": default, "editable": False}
        )
        self.validators = [_refuse]

    def from_db_value(self, value: object, *args: object) -> tuple[float, float]:
        """Return the point in a row."""
        return to_ppoi(_MIDDLE if value is None else value)

    def to_python(self, value: object) -> Any:
        """Return the point.

        Raises:
            ValidationError: *value* is none.
        """
        return to_ppoi(_MIDDLE if value is None else value)

    def get_prep_value(self, value: object) -> Any:
        """Return the text for a row."""
        return "x".join(map(str, value)) if isinstance(value, tuple) else value

    def value_to_string(self, obj: Model) -> str:
        """Return the text for fixtures."""
        return str(self.get_prep_value(self.value_from_object(obj)))
