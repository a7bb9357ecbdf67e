"""Points of interest: as text, or as a pair of numbers."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from imagekit_registry.exceptions import answer_or
from imagekit_registry.processors.anchors import FocalPoint

__all__ = ["to_ppoi", "validate_ppoi"]

#: Digits of a fraction, so that the text of a point has the twenty characters of its column.
_DIGITS = 7


def to_ppoi(value: Any) -> tuple[float, float]:
    """Return the point that a text such as ``"0.5x0.25"`` or a pair of numbers tells.

    Raises:
        ValidationError: *value* is none, or lies outside of the image.
    """
    if isinstance(value, FocalPoint):
        return value.x, value.y
    parts = value.replace(",", "x").split("x") if isinstance(value, str) else value
    none: tuple[float, ...] = ()
    point = answer_or(none, lambda: tuple(float(part) for part in parts))
    if len(point) != 2 or not all(0 <= part <= 1 for part in point):
        message = _("Enter two numbers from 0 to 1 with an x between them, such as 0.5x0.333.")
        raise ValidationError(message, code="invalid_ppoi")
    return round(point[0], _DIGITS), round(point[1], _DIGITS)


def validate_ppoi(
    value: object, return_converted_tuple: bool = False
) -> tuple[float, float] | None:
    """Refuse what is no point of interest.

    Args:
        value: A text, or a pair of numbers.
        return_converted_tuple: Whether the point is returned.

    Raises:
        ValidationError: *value* is none.
    """
    point = to_ppoi(value)
    return point if return_converted_tuple else None
