"""How a check says what is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

from django.core.checks import CheckMessage, Error

__all__ = ["error", "guarded", "nearest", "sentence"]


def sentence(text: object) -> str:
    """Return *text* with a full stop at its end."""
    return f"{str(text).strip().rstrip('.')}."


def error(id: str, text: str, hint: str, obj: Any = None) -> Error:
    """Return an error with the id ``imagekit.<id>``."""
    return Error(sentence(text), hint=hint, obj=obj, id=f"imagekit.{id}")


def nearest(word: object, words: Iterable[str], otherwise: str) -> str:
    """Return a hint with the words that are like *word*, or *otherwise*."""
    near = difflib.get_close_matches(str(word), list(words), n=3)
    return f"Did you mean {' or '.join(map(repr, near))}?" if near else otherwise


def guarded(
    what: str, obj: Any, check: Callable[..., Iterable[CheckMessage]], *args: Any
) -> list[CheckMessage]:
    """Return what *check* finds; an exception that it raises is something found as well.

    Args:
        what: What is being checked, for the message.
        obj: The same, as an object.
        check: The check.
        *args: What it takes.
    """
    found: list[CheckMessage] = []
    try:
        found.extend(check(*args))
    except Exception as problem:  # noqa: BLE001 -- projects' own code runs in here
        cause = f"{type(problem).__name__}: {problem}"
        hint = "Mend what raises this; an image would fail in the same way."
        found.append(error("E018", f"{what} could not be checked ({cause})", hint, obj))
    return found
