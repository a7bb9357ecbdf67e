"""Receivers that send easy-thumbnails' signals, and those that a project connects to them."""

from __future__ import annotations

from typing import Any

from django.db.models import FileField, Model

from imagekit_registry._lazy import later
from imagekit_registry.contrib.easy.signals import saved_file, thumbnail_created

__all__ = [
    "find_uncommitted_filefields",
    "generate_aliases",
    "generate_aliases_global",
    "signal_committed_filefields",
    "tell_of_generated",
]

_announce = later("imagekit_registry.contrib.easy.images", "announce")
_generate_all_aliases = later("imagekit_registry.contrib.easy.files", "generate_all_aliases")
_UNCOMMITTED = "_uncommitted_filefields"


def find_uncommitted_filefields(
    sender: type[Model], instance: Model, update_fields: Any = None, **kwargs: object
) -> None:
    """Take note of the files that are stored as *instance* is saved; a receiver of ``pre_save``."""
    if not saved_file.has_listeners(sender):
        return
    names = []
    for field in sender._meta.concrete_fields:
        is_saved = update_fields is None or {field.name, field.attname} & set(update_fields)
        # A column that was left out of the query has nothing new.
        if isinstance(field, FileField) and is_saved and field.attname in instance.__dict__:
            file = getattr(instance, field.attname)
            if file and not file._committed:
                names.append(field.attname)
    instance.__dict__[_UNCOMMITTED] = names


def signal_committed_filefields(sender: type[Model], instance: Model, **kwargs: object) -> None:
    """Send ``saved_file`` for each of these; a receiver of ``post_save``."""
    for name in instance.__dict__.pop(_UNCOMMITTED, ()):
        if file := getattr(instance, name):
            saved_file.send_robust(sender=sender, fieldfile=file)


def tell_of_generated(file: object, name: str, **kwargs: object) -> None:
    """Send ``thumbnail_created`` for an image of this app; a receiver of ``generated``."""
    if thumbnail_created.receivers:
        _announce(file, name)


def generate_aliases(fieldfile: object, **kwargs: object) -> None:
    """Make the images of all aliases for field, model and app; a receiver of ``saved_file``.

    Example:
        >>> saved_file.connect(generate_aliases)
    """
    _generate_all_aliases(fieldfile, include_global=False)


def generate_aliases_global(fieldfile: object, **kwargs: object) -> None:
    """Make those of the project-wide aliases as well; a receiver of ``saved_file``."""
    _generate_all_aliases(fieldfile, include_global=True)
