"""Aliases: options with a name, for a project, an app, a model or a field.

Each is registered as a spec: ``easy:small`` for all the project, ``easy:shop.Product.photo:small``
for one field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.core.signals import setting_changed
from django.db.models import FileField, ImageField, Model
from django.db.models.fields.files import FieldFile
from django.dispatch import receiver

from imagekit_registry.contrib.easy.conf import settings
from imagekit_registry.contrib.easy.specs import AliasedThumbnail
from imagekit_registry.registry import generator_registry, source_group_registry
from imagekit_registry.specs.sourcegroups import ImageFieldSourceGroup

__all__ = ["Aliases", "aliases", "fields_of", "spec_id_of"]

_Options = Mapping[str, Any]


@lru_cache(maxsize=1024)  # each image of a page is asked for by it
def spec_id_of(alias: str, target: str = "") -> str:
    """Return the id of the spec for an alias of a target.

    Example:
        >>> spec_id_of("small", "shop.Product")
        'easy:shop.Product:small'
    """
    return ":".join(filter(None, ["easy", target, alias]))


def fields_of(target: str) -> list[tuple[type[Model], FileField]]:
    """Return the image fields that a target means, each with its model; none for all the project.

    A child or a proxy that a target names has the fields of its parent; with an app these are its
    parent's, if that is of the app as well.

    Raises:
        LookupError: There is no such app, model or field.
    """
    app, _, rest = target.partition(".")
    model_name, _, field_name = rest.partition(".")
    if field_name:
        model = apps.get_model(app, model_name)
        try:
            found = model._meta.get_field(field_name)
        except FieldDoesNotExist as error:
            raise LookupError(str(error)) from error
        return [(model, found)] if isinstance(found, FileField) else []
    if not app:
        return []
    config = apps.get_app_config(app)
    models = [config.get_model(model_name)] if model_name else config.get_models()
    return [
        (model, field)
        for model in models
        for field in model._meta.concrete_fields
        if isinstance(field, ImageField)
        and (model_name or field.model is model or field.model._meta.app_label != app)
    ]


class Aliases:
    """Options by alias and target; what has more of a target comes before what has less.

    Args:
        populate_from_settings: Whether ``THUMBNAIL_ALIASES`` is taken at once.

    Example:
        >>> aliases.set("badge", {"size": (150, 80), "crop": True}, target="shop.Product")
        >>> aliases.get("badge", target="shop.Product.photo")
        {'size': (150, 80), 'crop': True}
    """

    def __init__(self, populate_from_settings: bool = True) -> None:
        self._aliases: dict[str, dict[str, _Options]] = {}
        if populate_from_settings:
            self.populate_from_settings()

    def populate_from_settings(self) -> None:
        """Take the aliases of ``THUMBNAIL_ALIASES``, besides those that there are."""
        for target, named in (settings.THUMBNAIL_ALIASES or {}).items():
            for alias, options in named.items():
                self.set(alias, options, target)

    def set(self, alias: str, options: _Options, target: object = None) -> None:
        """Give options a name, and register their spec.

        A spec that a project has registered under the id itself stays.

        Args:
            alias: The name.
            options: The options, with their ``size``.
            target: A field, model or app, such as ``"shop.Product.photo"``; None: all the project.
        """
        place, spec = _target_of(target), AliasedThumbnail(dict(options))
        self._aliases.setdefault(place, {})[alias] = spec.options
        spec_id = spec_id_of(alias, place)
        if spec_id in generator_registry.get_ids():
            known = generator_registry.lookup(spec_id)
            if known == spec or not isinstance(known, AliasedThumbnail):
                return
            generator_registry.unregister(spec_id)
        generator_registry.register(spec_id, spec)
        if apps.models_ready:
            self.feed()

    def feed(self) -> None:
        """Feed the specs of fields, models and apps from the images in their fields."""
        for place, alias, _ in self.items():
            try:
                fields = fields_of(place)
            except LookupError:
                continue  # the checks say so
            for model, field in fields:
                if self._place_of(alias, _label_of(model, field.name)) == place:
                    group = ImageFieldSourceGroup.shared(model, field.attname)
                    source_group_registry.register(spec_id_of(alias, place), group)

    def get(self, alias: str, target: object = None) -> dict[str, object] | None:
        """Return the options of an alias; None if there is none for the target.

        Args:
            alias: The name.
            target: A text as for `set`, or the file of a field.
        """
        place = self._place_of(alias, _target_of(target))
        return None if place is None else dict(self._aliases[place][alias])

    def spec_id(self, alias: str, target: object = None) -> str | None:
        """Return the id of the spec of an alias; None if there is none for the target."""
        place = self._place_of(alias, _target_of(target))
        return None if place is None else spec_id_of(alias, place)

    def all(
        self, target: object = None, include_global: bool = True
    ) -> dict[str, dict[str, object]]:
        """Return the options of all aliases for a target, by alias.

        Args:
            target: As for `get`.
            include_global: Whether those for all the project are among them.
        """
        found: dict[str, dict[str, object]] = {}
        for place in _places(_target_of(target)):
            if place or include_global:
                known = self._aliases.get(place, {})
                found |= {alias: dict(options) for alias, options in known.items()}
        return found

    def items(self) -> Iterator[tuple[str, str, _Options]]:
        """Yield target, alias and options of each."""
        for place, named in self._aliases.items():
            for alias, options in named.items():
                yield place, alias, options

    def _place_of(self, alias: str, target: str) -> str | None:
        """Return the nearest target that has an alias."""
        found = [place for place in _places(target) if alias in self._aliases.get(place, {})]
        return found[-1] if found else None


def _places(target: str) -> list[str]:
    """Return a target and what it lies in: the project, an app, a model."""
    parts = target.split(".") if target else []
    return ["", *(".".join(parts[: count + 1]) for count in range(len(parts)))]


def _label_of(model: type, field_name: str) -> str:
    return f"{model._meta.app_label}.{model.__name__}.{field_name}"  # type: ignore[attr-defined]


def _target_of(target: object) -> str:
    if isinstance(target, FieldFile):
        return _label_of(type(target.instance), target.field.name)
    return target if isinstance(target, str) else ""


aliases = Aliases()


@receiver(setting_changed, dispatch_uid="imagekit_registry.contrib.easy")
def _take_changed(*, setting: str, **_: object) -> None:
    """Take the aliases of a changed setting; those that it has no more stay."""
    if setting == "THUMBNAIL_ALIASES":
        aliases.populate_from_settings()
