"""Ids of the specs that fields have."""

from __future__ import annotations

from django.core import checks
from django.db import models

from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import SpecHost


def default_spec_id(model: type[models.Model], name: str) -> str:
    """Return the id of the spec of a field that has been given none: ``app:model:field``."""
    meta = model._meta
    # An abstract model may lie outside of all apps.
    return f"{meta.app_label or model.__module__}:{meta.object_name}:{name}".lower()


def set_field_spec_id(host: SpecHost, model: type[models.Model], name: str) -> None:
    """Register the spec of a model's field, under the id that it was given or one by its name.

    Two models of an app may have one name, if they are abstract. The second gets an id by its
    module, and the system checks tell of it.

    Raises:
        AlreadyRegistered: Another field was given the same id, for another recipe.
    """
    path = f"{model.__module__}.{model.__qualname__}"
    owner = f"{path}.{name}"
    spec_id = host.spec_id or default_spec_id(model, name)
    if not host.spec_id and host.other_host_of(spec_id) not in {None, owner}:
        host.taken_id, spec_id = spec_id, f"{model._meta.app_label}:{path}:{name}".lower()
    host.set_spec_id(spec_id, owner)


def spec_id_errors(host: SpecHost, where: str) -> list[checks.CheckMessage]:
    """Return an error if the registry knows nothing under a host's id, or another one has its id."""
    errors: list[checks.CheckMessage] = []
    if host.spec_id not in generator_registry.get_ids():
        text = f"{where} uses the image spec {host.spec_id!r}, which is not registered."
        hint = (
            "Give the field processors, a format or a spec, or register a spec with this id in an"
            " imagegenerators.py of an installed app."
        )
        errors.append(checks.Error(text, hint=hint, obj=host, id="imagekit.E001"))
    other = host.other_host_of(host.taken_id) if host.taken_id else None
    if other is not None:
        text = (
            f"{where} would have the spec id {host.taken_id!r}, which is that of {other} and of"
            f" another recipe; it has {host.spec_id!r}."
        )
        hint = "Give the field an id of its own: id=, or spec_id= for a ProcessedImageField."
        errors.append(checks.Error(text, hint=hint, obj=host, id="imagekit.E020"))
    return errors
