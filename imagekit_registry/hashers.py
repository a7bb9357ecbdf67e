"""The digest under the name that code written for django-imagekit imports."""

from __future__ import annotations

from imagekit_registry.specs import digest

__all__ = ["pickle"]


def pickle(obj: object) -> str:
    """Return the digest of *obj*: 32 hexadecimal characters. Nothing is pickled, whatever the name.

    Raises:
        NotCanonical: Some part of *obj* cannot be written down canonically.

    Example:
        >>> pickle({"a": 1, "b": 2}) == pickle({"b": 2, "a": 1})
        True
    """
    return digest(obj)
