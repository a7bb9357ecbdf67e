"""The plan: how small a source may be decoded for what is to be made of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import attrs

from imagekit_registry.processors import ProcessorPipeline

from ._header import Header
from ._recipe import Recipe

__all__ = ["SAFETY", "Plan", "flat", "needed_size", "overrides", "plan_decode", "recipe_needs"]

Size = tuple[int, int]

OUR_MODULES = "imagekit_registry.processors"
SIZE_METHODS = ("required_size", "scale_invariant")

#: How many times the size that a processor needs is decoded. Scaled back up and compared with the
#: full decode, a thumbnail from a decode at 2.5 times its size is less than 0.3 dB worse than one
#: from all pixels (worst of photographs and a chart: 0.27 dB; at 2 times 0.46 dB).
SAFETY = 2.5
#: The same for what has been filtered by LANCZOS already, and not by averaging (worst, on line pairs
#: of 2 to 6 pixels: 0.2 dB). Photographs would bear 1.3 times (0.1 dB), line pairs do not (0.8 dB).
RENDITION_SAFETY = 2.0


@attrs.frozen
class Plan:
    """What a decoder is asked for.

    Args:
        minimum: Least width and height of the decoded image, as stored (before *orientation* is
            applied), in pixels; None for all pixels as they are.
        exact: What a decoder may give that scales with a good filter itself, as stored, in pixels:
            the size that the processors need, so that they need not scale again.
        orientation: EXIF orientation to apply after decoding; 1 for none.
        color: ``'srgb'`` to convert to sRGB, ``'keep'`` to leave values as they are.

    Example:
        >>> Plan(minimum=(600, 400)).color
        'srgb'
    """

    minimum: Size | None = None
    exact: Size | None = None
    orientation: int = 1
    color: Literal["srgb", "keep"] = "srgb"


def overrides(processor: Any, *names: str) -> bool:
    """Return whether a user's subclass changed ``process`` and none of the methods *names*.

    What those say about sizes is then not about what it does.
    """
    for cls in type(processor).__mro__:
        if any(name in vars(cls) for name in names):
            return False
        if "process" in vars(cls):
            return not cls.__module__.startswith(OUR_MODULES)
    return False


def flat(processors: Iterable[Any]) -> tuple[Any, ...]:
    """Return *processors* with those of pipelines among them in their place."""
    result: list[Any] = []
    for processor in processors:
        result += flat(processor) if type(processor) is ProcessorPipeline else [processor]
    return tuple(result)


def needed_size(processors: Sequence[Any], source_size: Size) -> Size | None:
    """Return the size, in pixels, that *processors* need at least.

    Args:
        processors: Applied in this order.
        source_size: Width and height that the first of them would see, in pixels.

    Returns:
        None if they need every pixel.
    """
    chain = flat(processors)
    if not chain or any(overrides(processor, *SIZE_METHODS) for processor in chain):
        return None
    needed = ProcessorPipeline(chain).required_size(source_size)
    if needed is None or needed[0] >= source_size[0] or needed[1] >= source_size[1]:
        return None
    return max(1, math.ceil(needed[0])), max(1, math.ceil(needed[1]))


def _times(size: Size, factor: float, limit: Size) -> Size | None:
    """Return *size* scaled, or None if it does not stay below *limit*."""
    width, height = math.ceil(size[0] * factor), math.ceil(size[1] * factor)
    return (width, height) if width < limit[0] and height < limit[1] else None


def _stored(size: Size, orientation: int) -> Size:
    return size if orientation < 5 else (size[1], size[0])


def recipe_needs(header: Header, recipe: Recipe) -> Size | None:
    """Return the size that one recipe needs, as stored, in pixels; None for all pixels."""
    if not recipe.decode_small:
        return None
    seen = header.oriented_size if recipe.auto_orient else header.size
    needed = needed_size(recipe.processors, seen)
    if needed is None:
        return None
    return _stored(needed, header.orientation if recipe.auto_orient else 1)


def _largest(sizes: Iterable[Size | None]) -> Size | None:
    """Return the size that covers all *sizes*; None if one of them is None."""
    width = height = 0
    for size in sizes:
        if size is None:
            return None
        width, height = max(width, size[0]), max(height, size[1])
    return width, height


def plan_decode(header: Header, recipes: Iterable[Recipe]) -> Plan:
    """Return the plan that serves all *recipes* with one decode.

    Args:
        header: Of the source.
        recipes: At least one. Where they differ in orientation or colour, the plan leaves pixels as
            they are stored, and each recipe does its own.
    """
    wanted = tuple(recipes)
    exact = _largest(recipe_needs(header, recipe) for recipe in wanted)
    minimum = None if exact is None else _times(exact, SAFETY, header.size)
    if len({(recipe.auto_orient, recipe.color) for recipe in wanted}) > 1:
        return Plan(minimum, exact, 1, "keep")
    first = wanted[0]
    return Plan(minimum, exact, header.orientation if first.auto_orient else 1, first.color)
