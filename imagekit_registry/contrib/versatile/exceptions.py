"""Errors by the names that django-versatileimagefield has for them."""

from __future__ import annotations

from imagekit_registry.exceptions import AlreadyRegistered, InvalidArgument

__all__ = ["AlreadyRegistered", "InvalidFilter", "InvalidSizeKey", "MalformedSizedImageKey"]


class MalformedSizedImageKey(InvalidArgument, KeyError):
    """A size is not of the form ``"400x300"``.

    Django's template engine shows nothing for a variable that raises it.
    """

    silent_variable_failure = True

    def __str__(self) -> str:
        return str(self.args[0])


class InvalidSizeKey(InvalidArgument):
    """A key of an image is none, such as ``"crop__400x300"``."""


class InvalidFilter(InvalidArgument):
    """No filter has this name."""
