"""Whether Pillow takes a format and its options, found out on an image of a few pixels."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import attrs

from imagekit_registry.exceptions import GenerationError, ImageKitError
from imagekit_registry.imaging import Limits, Recipe, render
from imagekit_registry.specs._spec import format_options

__all__ = ["refusal", "trial"]

#: A grey PNG of one pixel.
_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


def trial(recipe: Recipe) -> str:
    """Return why an image of one pixel cannot be written as *recipe* says; empty if it can.

    Its processors are left out: they are the project's code.

    Raises:
        UnknownFormat: Pillow cannot write the format at all.
    """
    plain = attrs.evolve(recipe, processors=(), autoconvert=True)
    try:
        render(io.BytesIO(_PIXEL), plain, limits=Limits(), format_options=format_options())
    except GenerationError as problem:
        return problem.cause
    return ""


def refusal(format: str, options: Mapping[str, Any]) -> str:
    """Return why Pillow cannot write *format* with *options*; empty if it can."""
    try:
        return trial(Recipe(format=format, options=options))
    except ImageKitError as problem:
        return str(problem)
