"""Where a spec field has its source: in its own row, or in a related one, ``source="photo__image"``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ObjectDoesNotExist
from django.db import models

from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.specs import StoredFile


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
