"""System checks: mistakes in settings, fields and specs, told before the first page is asked for.

A check opens no source, makes no image of anybody's, and never raises: what it stumbles over is
an error like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage

from imagekit_registry.checks._settings import check_settings
from imagekit_registry.checks._specs import check_parts, check_source_groups, check_specs
from imagekit_registry.models.fields import spec_fields_of

__all__ = ["MESSAGES", "check_all"]

#: What each id stands for.
MESSAGES = {
    "imagekit.E001": "A field uses a spec id under which nothing is registered.",
    "imagekit.E002": "A spec field has no image field to act on, or does not say which of several.",
    "imagekit.E003": "A spec field's source is no field of its model.",
    "imagekit.E004": "A spec field's source is no ImageField.",
    "imagekit.E005": "A setting names something that cannot be imported.",
    "imagekit.E006": "A setting names something that cannot be used for its purpose.",
    "imagekit.E007": "A setting names a storage that is not in STORAGES.",
    "imagekit.E008": "A setting names a cache that is not in CACHES.",
    "imagekit.E009": "A setting has a value of the wrong type, or out of range.",
    "imagekit.E010": "The decoder is unknown, or what it needs is not installed.",
    "imagekit.E011": "A format cannot be written by the Pillow that is installed.",
    "imagekit.E012": "Pillow refuses the options of a spec or a setting.",
    "imagekit.E013": "A recipe cannot be written down canonically, so its files cannot be named.",
    "imagekit.E014": "Something among the processors of a spec has no process() method.",
    "imagekit.E015": "A spec's storage, backend, strategy or namer cannot be found or used.",
    "imagekit.E016": "Another attribute of a spec has a value that cannot be used.",
    "imagekit.E017": "Sources feed a spec id under which nothing is registered.",
    "imagekit.E018": "A check itself failed; the message says over what.",
    "imagekit.E019": "A backend's queue cannot be used as it is set up.",
    "imagekit.E020": "A field would have the spec id of another field, whose recipe is another one.",
    "imagekit.W001": "A setting that starts with IMAGEKIT_ is none of ours: a slip of the pen.",
    "imagekit.W002": "The state is kept in a dummy cache, which forgets it at once.",
    "imagekit.W003": "A spec field's source is a FileField, which takes anything as an image.",
}


def check_all(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Return everything that is wrong with settings, spec fields and registered specs.

    Registered with Django's checks by the app; see `MESSAGES` for the ids.

    Args:
        app_configs: The apps to look at; None for all. Settings and specs belong to no app and are
            looked at in any case.
        **kwargs: What Django passes besides.
    """
    found = [
        *check_settings(),
        *_check_fields(app_configs),
        *check_specs(),
        *check_source_groups(),
        *check_parts(),
    ]
    # Proxies and subclasses have their parents' fields.
    unique = {(message.id, str(message.msg)): message for message in reversed(found)}
    return list(reversed(unique.values()))


def _check_fields(app_configs: Sequence[AppConfig] | None) -> Iterator[CheckMessage]:
    """Ask the spec fields, which Django does not: they are no columns."""
    for app in apps.get_app_configs() if app_configs is None else app_configs:
        for model in app.get_models():
            for field in spec_fields_of(model):
                yield from field.check(model=model)
