"""The field for what an image is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django import forms
from django.core import checks
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.db.models.query_utils import DeferredAttribute
from django.utils.translation import gettext_lazy as _

from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidArgument, answer_or
from imagekit_registry.models.fields._spec import spec_fields_of
from imagekit_registry.processors.anchors import FocalPoint, place
from imagekit_registry.specs import (
    ImageSpec,
    keep_points_in,
    note_moved_point,
    suggested_point,
)

#: Of the text: four numbers with three digits after the point, and commas between them.
_LENGTH = 32
#: What sizes of crops are worked out for, in pixels: larger than any of them.
_LARGE = (10_000, 10_000)
_SOME = FocalPoint(0.1, 0.2)


def _to_point(value: Any) -> FocalPoint | None:
    """Return the point that a text, a sequence of numbers or nothing tells.

    Raises:
        InvalidArgument: *value* tells none.
    """
    if value is None or value == "":
        return None
    if isinstance(value, FocalPoint):
        return value
    is_several = isinstance(value, Iterable) and not isinstance(value, str)
    return FocalPoint.parse(",".join(map(str, value)) if is_several else str(value))


#: Whether points are being set to what their rows have.
_is_loading = ContextVar("imagekit_point_is_loading", default=False)


class _PointDescriptor(DeferredAttribute):
    """Notes whether a point is moved, so that the next save announces what hangs on it."""

    field: FocalPointField

    def __get__(self, instance: models.Model | None, cls: type[models.Model] | None = None) -> Any:
        if instance is not None and self.field.attname in instance.__dict__:
            return instance.__dict__[self.field.attname]
        token = _is_loading.set(True)
        try:
            return super().__get__(instance, cls)
        finally:
            _is_loading.reset(token)

    def __set__(self, instance: models.Model, value: Any) -> None:
        state, name = instance.__dict__, self.field.attname
        if name not in state and not instance._state.adding and not _is_loading.get():
            # Whether it moves is told by the row alone, which may have gone, or not be asked here.
            answer_or(None, self.__get__, instance)
        # What is none is refused when the row is validated or saved.
        value = answer_or(value, _to_point, value)
        if name in state and state[name] != value:
            note_moved_point(instance, self.field.image_field, state[name])
            for field in spec_fields_of(type(instance)):
                field.forget(instance)
        state[name] = value


class _PointFormField(forms.CharField):
    """Tells its input what detectors have suggested for the image of the form's row."""

    image_field = ""

    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> forms.BoundField:
        if isinstance(form, forms.BaseModelForm):
            # The fields of a form are its own: those of the next row have other inputs.
            point = suggested_point(getattr(form.instance, self.image_field))
            if point is not None:
                self.widget.attrs["data-suggestion"] = str(point)
        return super().get_bound_field(form, field_name)


if TYPE_CHECKING:
    _Field = models.Field[FocalPoint | str | Sequence[float] | None, FocalPoint | None]
else:
    _Field = models.Field


class FocalPointField(_Field):
    """What an image is about: the point that stays where the image is cropped.

    On an instance it gives a `FocalPoint`, or None where nobody has set one. It takes one, a text
    such as ``"0.5,0.333"`` or two numbers. Specs with ``anchor="focal"`` use it. It is one column of
    text, ``"0.500,0.333"``, which is added without touching the image field.

    Args:
        image_field: The name of the image field.
        **kwargs: As for any field of Django; ``blank`` is true by default.

    Example:
        >>> class Photo(models.Model):
        ...     image = models.ImageField(upload_to="photos")
        ...     focal_point = FocalPointField(image_field="image")
        ...     card = ImageSpecField([ResizeToFill(300, 300, anchor="focal")], source="image")
    """

    description = _("Focal point of an image")
    descriptor_class = _PointDescriptor
    default_error_messages = {
        "invalid": _("Enter two numbers from 0 to 1 with a comma between them, such as 0.5,0.333.")
    }

    def __init__(self, image_field: str = "image", **kwargs: Any) -> None:
        self.image_field = image_field
        super().__init__(**{"blank": True, "default": "", **kwargs, "max_length": _LENGTH})

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """Return what migrations need."""
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_length"]
        if type(self) is FocalPointField:
            path = "imagekit_registry.models.FocalPointField"
        return name, path, args, {"image_field": self.image_field, **kwargs}

    def contribute_to_class(
        self, cls: type[models.Model], name: str, private_only: bool = False
    ) -> None:
        """Take a place on a model: specs find the points of its images from now on."""
        super().contribute_to_class(cls, name, private_only=private_only)
        # Models of migrations are made anew for each, and have no code of the project.
        if cls.__module__ != "__fake__":
            keep_points_in(cls, self.image_field, self.attname)

    def get_internal_type(self) -> str:
        """Return the field of Django whose column this one has."""
        return "CharField"

    def to_python(self, value: Any) -> FocalPoint | None:
        """Return the point, or None.

        Raises:
            ValidationError: *value* is none.
        """
        try:
            return _to_point(value)
        except InvalidArgument as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error

    def from_db_value(self, value: Any, *args: object) -> FocalPoint | None:
        """Return the point in a row; None for text that is none, so that a page shows an image."""
        return answer_or(None, _to_point, value)

    def get_prep_value(self, value: Any) -> str:
        """Return the text for a row.

        Raises:
            InvalidArgument: *value* is no point.
        """
        value = super().get_prep_value(value)
        point = _to_point(value)
        return "" if point is None else str(point)

    def value_from_object(self, obj: models.Model) -> Any:
        """Return the text for forms; what is none as it is."""
        value = super().value_from_object(obj)
        return answer_or(value, self.get_prep_value, value)

    def value_to_string(self, obj: models.Model) -> str:
        """Return the text for fixtures."""
        return str(self.value_from_object(obj))

    def formfield(self, *args: Any, **kwargs: Any) -> Any:
        """Return a form field, whose input says of which image it is, and how that is cropped."""
        field = super().formfield(*args, **{"form_class": _PointFormField, **kwargs})
        if isinstance(field, _PointFormField):
            field.image_field = self.image_field
        if field is not None:
            # Of several with the same proportions, the largest.
            crops = {round(width / height, 2): (width, height) for width, height in self._crops()}
            sizes = " ".join(f"{width}x{height}" for width, height in crops.values())
            field.widget.attrs.update({"data-image-field": self.image_field, "data-crops": sizes})
        return field

    def _crops(self) -> list[tuple[int, int]]:
        """Return the sizes, in pixels, of the images that are cropped around the point, sorted."""
        found = []
        for host in spec_fields_of(self.model):
            if answer_or(None, host.source_of, self.model) != self.image_field:
                continue
            spec = answer_or(None, host.get_spec, None)
            if isinstance(spec, ImageSpec) and (size := spec.output_size(_LARGE)):
                given, default = spec.processors or (), conf.DEFAULT_ANCHOR
                if place(given, lambda: _SOME, default) != place(given, lambda: None, default):
                    found.append(size)
        return sorted(found)

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Return what is wrong with this field, for Django's system checks."""
        try:
            field: Any = self.model._meta.get_field(self.image_field)
        except FieldDoesNotExist:
            field = None
        errors = super().check(**kwargs)
        if not isinstance(field, models.ImageField):
            text = (
                f"{self.model._meta.label}.{self.name} is for {self.image_field!r}, which is no"
                " ImageField of the model."
            )
            hint = "Name one with image_field=."
            errors.append(checks.Error(text, hint=hint, obj=self, id="imagekit.E022"))
        return errors
