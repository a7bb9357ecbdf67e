"""How a check says what is wrong, and how it tries what only Pillow knows."""

from __future__ import annotations

import base64
import difflib
import io
from collections.abc import Callable, Iterable
from typing import TypeVar

import attrs
from django.core.checks import CheckMessage, Error

from imagekit_registry.exceptions import GenerationError, ImageKitError
from imagekit_registry.imaging import Limits, Recipe, render
from imagekit_registry.specs import format_options

T = TypeVar("T")

#: A grey PNG of one pixel.
_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


def error(number: str, text: str, hint: str, obj: object = None) -> Error:
    """Return an error with the id ``imagekit.<number>``, whose text ends with a full stop."""
    return Error(f"{text.strip().rstrip('.')}.", hint=hint, obj=obj, id=f"imagekit.{number}")


def nearest(word: object, words: Iterable[str], otherwise: str) -> str:
    """Return a hint with the words that are like *word*, or *otherwise*."""
    near = difflib.get_close_matches(str(word), list(words), n=3)
    return f"Did you mean {' or '.join(map(repr, near))}?" if near else otherwise


def reason_of(problem: Exception) -> str:
    """Return what an exception says: our own ones speak for themselves."""
    own = isinstance(problem, ImageKitError)
    return str(problem) if own else f"{type(problem).__name__}: {problem}"


def attempt(load: Callable[[], T]) -> tuple[T | None, Exception | None]:
    """Return what *load* gives, and what it raises instead: projects' own code runs in it."""
    try:
        return load(), None
    except Exception as problem:  # noqa: BLE001 -- see above
        return None, problem


def guarded(
    what: str, obj: object, check: Callable[[], Iterable[CheckMessage]]
) -> list[CheckMessage]:
    """Return what *check* finds; an exception that it raises is something found as well.

    Args:
        what: What is being checked, for the message.
        obj: The same, as an object.
        check: The check.
    """
    found: list[CheckMessage] = []
    _, problem = attempt(lambda: found.extend(check()))
    if problem is not None:
        hint = "Mend what raises this; an image would fail in the same way."
        found.append(
            error("E018", f"{what} could not be checked ({reason_of(problem)})", hint, obj)
        )
    return found


def refusal(recipe: Recipe) -> str:
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
