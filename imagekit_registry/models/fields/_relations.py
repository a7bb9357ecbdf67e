"""Where a spec field has its source: in its own row, or in a related one, ``source="photo__image"``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.core import checks
from django.core.exceptions import FieldDoesNotExist, ObjectDoesNotExist
from django.db import models

from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.specs import StoredFile
from imagekit_registry.specs.sourcegroups import is_watched
from imagekit_registry.validators import ImageLimits


@cache
def steps(source: str) -> tuple[Sequence[str], str]:
    """Return the relations that lead to the row with a source, and the name of its image there."""
    *relations, name = source.split("__")
    return tuple(relations), name


@cache
def _no_image() -> StoredFile:
    """Return what stands for the image of a row that is not there: as empty as an empty field."""
    return StoredFile("")


def follow(instance: models.Model, source: str) -> Any:
    """Return the source that is called *source* from *instance*; one without a file if nothing is related."""
    row: Any = instance
    relations, name = steps(source)
    for relation in relations:
        try:
            row = getattr(row, relation)
        except ObjectDoesNotExist:
            row = None
        if row is None:
            return _no_image()
    return getattr(row, name)


def is_loaded(instance: models.Model, source: str) -> bool:
    """Return whether `follow` asks the database for nothing."""
    row: Any = instance
    relations, name = steps(source)
    for relation in relations:
        field: Any = row._meta.get_field(relation)
        if not field.is_cached(row):
            return False
        row = field.get_cached_value(row)
        if row is None:
            return True
    return name in row.__dict__


def related_model(model: type[models.Model], source: str) -> type[models.Model]:
    """Return the model of the row that has a source; *model* itself if no relation is named.

    Raises:
        InvalidConfiguration: It is not led to by relations to one row each.
    """
    for relation in steps(source)[0]:
        try:
            field: Any = model._meta.get_field(relation)
        except FieldDoesNotExist:
            raise InvalidConfiguration(f"{model._meta.label} has no {relation!r}") from None
        is_to_one = field.many_to_one or field.one_to_one
        if not is_to_one or not isinstance(field.related_model, type):
            raise InvalidConfiguration(
                f"{model._meta.label}.{relation} is no relation to one row of a model"
            )
        model = field.related_model
    return model


def source_errors(
    host: object, model: type[models.Model], source: str, where: str
) -> list[checks.CheckMessage]:
    """Return what is wrong with the source of a spec field, for Django's system checks.

    Args:
        host: The field.
        model: Its model.
        source: What it names.
        where: What messages call the field.
    """
    text = f"{where} has the source {source!r}, which is no ImageField."
    hint = "Name an ImageField of the model with source=."
    try:
        model, name = related_model(model, source), steps(source)[1]
        field = model._meta.get_field(name)
    except InvalidConfiguration as problem:
        text = f"{where} has the source {source!r}, which leads to no image: {problem}."
        hint = "Name foreign keys or one-to-one relations, and then an ImageField."
        return [checks.Error(text, hint=hint, obj=host, id="imagekit.E023")]
    except FieldDoesNotExist:
        if hasattr(model, name):
            return []
        text = f"{where} has the source {source!r}, which the model does not have."
        return [checks.Error(text, hint=hint, obj=host, id="imagekit.E003")]
    if isinstance(field, models.FileField) and not isinstance(field, models.ImageField):
        if any(isinstance(each, ImageLimits) for each in field.validators):
            return []
        hint = (
            "An ImageField checks that what is uploaded to it is an image; so does another one"
            " with validators=[ImageLimits()]."
        )
        return [checks.Warning(text, hint=hint, obj=host, id="imagekit.W003")]
    if not isinstance(field, models.ImageField):
        return [checks.Error(text, hint=hint, obj=host, id="imagekit.E004")]
    if model._meta.abstract or is_watched(model, field.attname):
        return []
    text = f"Nobody is told what becomes of {model._meta.label}.{name}, {where}'s source."
    hint = "What stands in the place of its descriptor needs an attribute 'descriptor'."
    return [checks.Warning(text, hint=hint, obj=host, id="imagekit.W004")]
