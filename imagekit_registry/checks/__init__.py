"""System checks: mistakes in settings, fields and specs, told before the first page is asked for.

A check opens no source, makes no image of anybody's, and never raises: what it stumbles over is
an error like any other.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from django.apps import AppConfig
from django.core.checks import CheckMessage, Info
from django.core.signals import request_started
from django.db.models import ImageField

from imagekit_registry.checks._settings import check_settings
from imagekit_registry.checks._specs import (
    check_field,
    check_fields,
    check_openers,
    check_parts,
    check_source_groups,
    check_specs,
    check_urls,
)
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import answer_or, how_to_install
from imagekit_registry.registry import source_group_registry
from imagekit_registry.specs import SpecHost, load_resizer
from imagekit_registry.specs.sourcegroups import (
    ImageFieldSourceGroup,
    get_nonabstract_descendants,
)
from imagekit_registry.validators import ImageLimits

__all__ = ["check_all", "check_deployed", "check_field", "log_errors"]

_logger = logging.getLogger("imagekit_registry.checks")


def check_all(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Return everything that is wrong with settings, spec fields and registered specs.

    Registered with Django's checks by the app; the reference says what each id stands for.

    Args:
        app_configs: The apps to look at; None for all. Settings and specs belong to no app and are
            looked at in any case.
        **kwargs: What Django passes besides.
    """
    found = [
        *check_settings(),
        *check_fields(app_configs),
        *check_specs(),
        *check_source_groups(),
        *check_parts(),
        *check_urls(),
        *check_openers(),
    ]
    # Proxies and subclasses have their parents' fields.
    unique = {(message.id, str(message.msg)): message for message in reversed(found)}
    # Django passes databases to whoever checks: nothing else tells who is about to make the table.
    unwanted = {"imagekit.W006"} if sys.argv[1:2] == ["migrate"] else set()
    return [message for message in reversed(unique.values()) if message.id not in unwanted]


def log_errors(**kwargs: object) -> None:
    """Log errors in settings; a receiver of ``request_started``.

    Servers such as gunicorn run no checks. It is done at the first request of a process alone, and
    without the specs, and what asks servers and databases, which would keep that waiting.

    Args:
        **kwargs: What the signal sends.
    """
    request_started.disconnect(log_errors, dispatch_uid="imagekit_registry.log_errors")
    for message in check_settings():
        if message.is_serious() and not message.is_silenced():
            _logger.error("%s %s (%s)", message.msg, message.hint, message.id)


def check_deployed(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Return what is in use where the site runs, and what it takes: ``check --deploy`` says so.

    Args:
        app_configs: Not looked at.
        **kwargs: What Django passes besides.
    """
    found: list[CheckMessage] = []
    name = answer_or(None, lambda: load_resizer(conf.RESIZER).name)
    if name is not None:  # else `check_settings` says why
        text = f"Images are resized by {name!r}; IMAGEKIT_RESIZER is {conf.RESIZER!r}."
        hint = f"The fastest is 'simd': {how_to_install('simd')}"
        found.append(Info(text, hint=hint, id="imagekit.I001"))
    if unlimited := [str(field) for field in _source_fields() if _takes_anything(field)]:
        text = f"Uploads of any size and format are stored by {', '.join(unlimited)}."
        hint = (
            "Give the fields validators=[ImageLimits(...)], from imagekit_registry.validators. What no"
            " spec can read is then refused in the form, and not found out by a page."
        )
        found.append(Info(text, hint=hint, id="imagekit.I002"))
    return found


def _source_fields() -> list[ImageField]:
    """Return the image fields that feed specs, each once."""
    groups = {group for group, _ in source_group_registry.pairs()}
    fields = {
        field
        for group in groups
        if isinstance(group, ImageFieldSourceGroup)
        for model in get_nonabstract_descendants(group.model_class)
        for field in model._meta.fields
        if field.attname == group.image_field and isinstance(field, ImageField)
    }
    return sorted(fields, key=str)


def _takes_anything(field: ImageField) -> bool:
    # Our own field looks at its uploads itself.
    is_own = isinstance(field, SpecHost) or not field.editable
    return not is_own and not any(isinstance(each, ImageLimits) for each in field.validators)
