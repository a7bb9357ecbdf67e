"""Errors by the names that easy-thumbnails has for them."""

from __future__ import annotations

from imagekit_registry.exceptions import InvalidArgument

__all__ = ["EasyThumbnailsError", "InvalidImageFormatError", "NoSourceGenerator"]


class EasyThumbnailsError(InvalidArgument):
    """Options say nothing that could be made."""


class InvalidImageFormatError(EasyThumbnailsError):
    """There is no source, or it cannot be made an image of.

    Django's template engine shows nothing for a variable that raises it.
    """

    silent_variable_failure = True


class NoSourceGenerator(InvalidImageFormatError):
    """A source is no image that can be read."""
