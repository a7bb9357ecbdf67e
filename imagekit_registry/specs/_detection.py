"""Focal points that detectors suggest, of sources for which no editor has set one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

import attrs

from imagekit_registry import imaging, processors
from imagekit_registry._loading import get_cache
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import GenerationError, ProcessingError, answer_or
from imagekit_registry.processors.anchors import FocalPoint
from imagekit_registry.registry import detector_registry
from imagekit_registry.specs._digest import digest
from imagekit_registry.specs._sources import fingerprint, has_source, is_stored, reference_of

if TYPE_CHECKING:
    from PIL import Image

    from imagekit_registry.imaging import Encoded, Recipe
    from imagekit_registry.specs._spec import ImageSpec

#: Makes the images of one source.
Render = Callable[["Sequence[Recipe]"], "list[Encoded | GenerationError]"]

_logger = logging.getLogger("imagekit_registry.specs")

#: The longest side of what detectors are shown, in pixels.
_SEEN_SIDE = 640


def asked_detectors(spec: ImageSpec) -> tuple[str, ...]:
    """Return the detectors that say what *spec* keeps; none where a row does, or nobody is asked."""
    asked: set[str] = set()

    def ask() -> FocalPoint | None:
        asked.update(detector_registry.names)
        return None

    spec.placed_processors(ask)
    return detector_registry.names if asked else ()


def with_suggestions(specs: Sequence[ImageSpec], render: Render) -> list[Recipe]:
    """Return the recipes of *specs*, which share one source, around what detectors find in it.

    Args:
        specs: The specs.
        render: Makes images of the source.
    """
    suggest = cache(partial(_suggest_point, specs[0].source, render))
    return [
        attrs.evolve(spec.recipe, processors=tuple(spec.placed_processors(suggest)))
        if asked_detectors(spec)
        else spec.recipe
        for spec in specs
    ]


def suggested_point(source: object) -> FocalPoint | None:
    """Return the point that detectors have suggested for *source*, from what is kept; None without one.

    Nobody looks at the source for that: where there are detectors, its fingerprint is asked for.
    """
    if not (detector_registry.names and has_source(source) and is_stored(source)):
        return None
    return answer_or(None, FocalPoint.parse, _kept_under(_key_of(source)) or "")


def _key_of(source: object) -> str:
    """Return the key under which it is kept what was found in *source*; empty if it tells no content."""
    seen = fingerprint(source)
    told = seen and digest([reference_of(source), seen, detector_registry.names])
    return told and f"{conf.CACHE_PREFIX}point:{told}"


def _kept_under(key: str) -> str | None:
    """Return the text of the point; an empty one if nothing was found, None if nobody has looked."""
    kept = answer_or(None, get_cache().get, key) if key else None
    return kept if isinstance(kept, str) else None


def _suggest_point(source: object, render: Render) -> FocalPoint | None:
    """Return the point that detectors suggest; they look at a source once, and what they say is kept."""
    key = _key_of(source)
    kept = _kept_under(key)
    if kept is not None:
        return answer_or(None, FocalPoint.parse, kept)
    look = _Detectors()
    recipe = imaging.Recipe(
        processors=(processors.ResizeToFit(_SEEN_SIDE, _SEEN_SIDE, upscale=False), look),
        format="PNG",
        animated=False,
    )
    (made,) = render([recipe])
    if isinstance(made, ProcessingError):
        # Without a suggestion there is an image all the same; the next one of the source asks again.
        _logger.warning("No point is suggested for %s: %s", source, made.cause)
    elif isinstance(made, GenerationError):
        raise made
    elif key:
        answer_or(None, get_cache().set, key, str(look.found or ""), conf.CACHE_TIMEOUT)
    return look.found


class _Detectors:
    """Shows an image to one detector after the other, until one finds something."""

    found: FocalPoint | None = None

    def process(self, image: Image.Image) -> Image.Image:
        for name in detector_registry.names:
            detect = detector_registry.get(name)
            if detect is not None and (boxes := list(detect(image.convert("RGB")))):
                self.found = _point_amid(boxes, image.size)
                break
        # Nobody looks at what is made here.
        return image.crop((0, 0, 1, 1))


def _point_amid(boxes: Sequence[Sequence[float]], size: tuple[int, int]) -> FocalPoint:
    """Return the middle of *boxes* by their weights, and the box around it that holds them all."""
    weights = [max(0.0, weight) for *_, weight in boxes]
    if not any(weights):
        weights = [1.0] * len(boxes)
    middles, extents = [], []
    for axis, side in enumerate(size):
        starts = [min(max(box[axis] / side, 0.0), 1.0) for box in boxes]
        ends = [min(max((box[axis] + box[axis + 2]) / side, 0.0), 1.0) for box in boxes]
        sums = (w * (a + b) / 2 for w, a, b in zip(weights, starts, ends, strict=True))
        middle = sum(sums) / sum(weights)
        middles.append(middle)
        extents.append(min(1.0, 2 * max(middle - min(starts), max(ends) - middle)))
    return FocalPoint(*middles, *extents)
