"""What a processor makes, larger: for dense screens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import le, truediv
from typing import Any, get_args

import attrs

from . import _fields as fields
from ._protocol import Processor, Size
from .anchors import Anchored, AnchorPoint, FocalPoint
from .base import is_scale_invariant
from .resize import (
    Resize,
    ResizeToCover,
    ResizeToFill,
    ResizeToFit,
    SmartResize,
    Thumbnail,
    _Delegating,
)

__all__ = ["Multiple", "multiplied"]

_Sized = Resize | ResizeToCover | ResizeToFill | ResizeToFit | SmartResize | Thumbnail
_SIZED = frozenset(get_args(_Sized))


@attrs.frozen(slots=False, repr=False)
class Multiple(Anchored, _Delegating):
    """What another processor makes, with sides that are so many times as long.

    That processor may enlarge; beyond what it makes itself, nothing is enlarged: an image that is too
    small for the multiple becomes as large as its pixels go, in the same proportions.

    Args:
        processor: One that scales.
        times: How many times longer the sides are; 1 or more.

    Example:
        >>> Multiple(ResizeToFill(300, 200), 2).output_size((500, 500))
        (500, 333)
        >>> wide = Multiple(ResizeToFill(16, 9), 75)  # proportions, and a width of at most 1200
        >>> wide.output_size((3000, 2000)), wide.output_size((800, 800))
        ((1200, 675), (800, 450))
    """

    processor: _Sized
    times: float = fields.number(1, 10_000)

    def _other(self, source_size: Size) -> _Sized:
        needed = self.processor.required_size(source_size)
        ratios = sorted(map(truediv, source_size, needed))
        # What is needed is rounded, one side more than the other: the larger ratio may be right.
        for most in reversed(ratios):
            enlarged = _enlarge(self.processor, max(1.0, min(self.times, most)))
            if all(map(le, enlarged.required_size(source_size), source_size)):
                break
        return enlarged

    def placed(
        self, ask: Callable[[], FocalPoint | None], default: AnchorPoint | None = None
    ) -> Multiple:
        """Return this processor with an anchor that says all by itself."""
        if not isinstance(self.processor, Anchored):
            return self
        processor = self.processor.placed(ask, default)
        return self if processor is self.processor else _multiple(processor, self.times)


@lru_cache(maxsize=4096, typed=True)
def _multiple(processor: _Sized, times: float) -> Multiple:
    # The same object each time: what is known of a file holds for the very same processors.
    return Multiple(processor, times)


def _enlarge(processor: _Sized, times: float) -> _Sized:
    sides = {"width": processor.width, "height": processor.height}
    changes: Any = {name: round(side * times) for name, side in sides.items() if side}
    return attrs.evolve(processor, **changes)


def multiplied(processors: Iterable[Processor], times: float) -> list[Processor]:
    """Return *processors* such that the image is larger, as far as the source's pixels go.

    It is the last one that scales that makes it larger. After it there may be such as look at single
    pixels; others (borders, blurs, a project's own) would have to be told, so nothing is changed then.

    Args:
        processors: Those of a spec.
        times: How many times as wide the image is to be; 1 or more.

    Example:
        >>> multiplied([ResizeToFit(300, 300), Grayscale()], 2)[0].output_size((1000, 500))
        (600, 300)
    """
    chain = list(processors)
    for index in reversed(range(len(chain))):
        processor = chain[index]
        if isinstance(processor, Multiple):
            chain[index] = _multiple(processor.processor, processor.times * times)
        elif type(processor) in _SIZED:
            chain[index] = _multiple(processor, times)  # type: ignore[arg-type]
        elif is_scale_invariant(processor):
            continue
        break
    return chain
