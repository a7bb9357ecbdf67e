"""What may be wrong with the fields that have specs: their ids, and where they take their sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import FieldDoesNotExist
from django.db.models import FileField, ImageField, Model

from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.models.fields import (
    ImageSpecField,
    ProcessedImageField,
    related_model,
    spec_fields_of,
)
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import SpecHost
from imagekit_registry.specs.sourcegroups import is_watched
from imagekit_registry.validators import ImageLimits


def check_fields(app_configs: Sequence[AppConfig] | None) -> Iterator[CheckMessage]:
    """Yield what is wrong with the fields of the apps' models; with those of all if None is given."""
    for app in apps.get_app_configs() if app_configs is None else app_configs:
        for model in app.get_models():
            for field in (*spec_fields_of(model), *model._meta.fields):
                if isinstance(field, ImageSpecField | ProcessedImageField):
                    yield from check_field(field, model)


def check_field(
    field: ImageSpecField | ProcessedImageField, model: type[Model]
) -> Iterator[CheckMessage]:
    """Yield what is wrong with one field that has a spec.

    Args:
        field: An `ImageSpecField`, or a `ProcessedImageField`.
        model: The model whose field it is, or inherits.

    Example:
        >>> [error.id for error in check_field(Photo.thumbnail, Photo)]
        []
    """
    where = f"{model._meta.label}.{field.name}"
    yield from _check_id(field, where)
    if isinstance(field, ImageSpecField):
        try:
            source = field.source_of(model)
        except InvalidConfiguration as problem:
            hint = "Add an ImageField, or name the one that is meant with source=."
            yield Error(str(problem), hint=hint, obj=field, id="imagekit.E002")
        else:
            yield from _check_source(field, model, source, where)


def _check_id(field: SpecHost, where: str) -> Iterator[CheckMessage]:
    if field.spec_id not in generator_registry.get_ids():
        text = f"{where} uses the image spec {field.spec_id!r}, which is not registered."
        hint = (
            "Give the field processors, a format or a spec, or register a spec with this id in an"
            " imagegenerators.py of an installed app."
        )
        yield Error(text, hint=hint, obj=field, id="imagekit.E001")
    other = field.other_host_of(field.taken_id) if field.taken_id else None
    if other is not None:
        text = (
            f"{where} would have the spec id {field.taken_id!r}, which is that of {other} and of"
            f" another recipe; it has {field.spec_id!r}."
        )
        hint = "Give the field an id of its own: id=, or spec_id= for a ProcessedImageField."
        yield Error(text, hint=hint, obj=field, id="imagekit.E020")


def _check_source(
    field: ImageSpecField, model: type[Model], source: str, where: str
) -> Iterator[CheckMessage]:
    text = f"{where} has the source {source!r}, which is no ImageField."
    hint = "Name an ImageField of the model with source=."
    try:
        model = related_model(model, source)
        name = source.rpartition("__")[2]
        column = model._meta.get_field(name)
    except InvalidConfiguration as problem:
        text = f"{where} has the source {source!r}, which leads to no image: {problem}."
        hint = "Name foreign keys or one-to-one relations, and then an ImageField."
        yield Error(text, hint=hint, obj=field, id="imagekit.E023")
        return
    except FieldDoesNotExist:
        if not hasattr(model, name):
            text = f"{where} has the source {source!r}, which the model does not have."
            yield Error(text, hint=hint, obj=field, id="imagekit.E003")
        return
    if not isinstance(column, FileField):
        yield Error(text, hint=hint, obj=field, id="imagekit.E004")
    elif not isinstance(column, ImageField):
        if not any(isinstance(each, ImageLimits) for each in column.validators):
            hint = (
                "An ImageField checks that what is uploaded to it is an image; so does another one"
                " with validators=[ImageLimits()]."
            )
            yield Warning(text, hint=hint, obj=field, id="imagekit.W003")
    elif not model._meta.abstract and not is_watched(model, column.attname):
        text = f"Nobody is told what becomes of {model._meta.label}.{name}, {where}'s source."
        hint = "What stands in the place of its descriptor needs an attribute 'descriptor'."
        yield Warning(text, hint=hint, obj=field, id="imagekit.W004")
