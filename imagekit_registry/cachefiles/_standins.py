"""What stands in for an image that cannot be had: one of a few kinds, or what a callable says."""

from __future__ import annotations

import logging
from typing import Any, NoReturn
from urllib.parse import quote

import attrs

from imagekit_registry._loading import get_by_qname
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import GenerationError, InvalidConfiguration

__all__ = ["KINDS", "StandIn", "placeholder_url", "stand_in_for"]

#: The kinds that ``IMAGEKIT_ON_ERROR`` and ``ImageSpec.fallback`` may name.
KINDS = ("empty", "placeholder", "raise", "source")

_SMALLEST_SIDE = 1
_LARGEST_SIDE = 65_535
_USUAL_SIZE = (100, 100)

_logger = logging.getLogger("imagekit_registry.fallback")


@attrs.frozen
class StandIn:
    """What a page shows in place of an image.

    Args:
        url: Its URL; empty to show nothing.
        width: Its width in pixels, if known.
        height: Its height in pixels, if known.
    """

    url: str = ""
    width: int | None = None
    height: int | None = None


def placeholder_url(width: int, height: int) -> str:
    """Return a data URI of a neutral grey image.

    Args:
        width: In pixels.
        height: In pixels.
    """
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}"><rect width="100%" height="100%" fill="#8883"/></svg>'
    )
    return "data:image/svg+xml," + quote(svg, safe=" ='/:")


def stand_in_for(file: Any, error: GenerationError | None) -> StandIn:
    """Return what stands in for *file*, as its generator or the settings want it.

    Args:
        file: The cache file that cannot be had.
        error: Why; None if it is only not made yet.

    Raises:
        GenerationError: *error* itself, if failures are to be raised.
        InvalidConfiguration: The generator or the settings ask for something unknown.
    """
    fallback = getattr(file.generator, "fallback", None)
    kind = conf.ON_ERROR if fallback is None else fallback
    if isinstance(kind, str) and kind not in KINDS:
        if "." not in kind:
            _refuse(kind)
        kind = get_by_qname(kind, "fallback")
    if callable(kind):
        return _from_callable(getattr(kind, "__func__", kind), file, error)
    if kind == "raise" and error is not None:
        raise error
    if error is not None:
        _logger.warning("%s", error)
    if kind == "source":
        return _from_source(file)
    if kind == "placeholder":
        return _placeholder(file)
    return StandIn()


def _refuse(kind: str) -> NoReturn:
    raise InvalidConfiguration(
        f"IMAGEKIT_ON_ERROR or a spec's fallback is {kind!r}. It must be one of"
        f" {', '.join(map(repr, KINDS))}, a callable, or the dotted path of one."
    )


def _from_callable(function: Any, file: Any, error: GenerationError | None) -> StandIn:
    answer = function(file, error)
    if isinstance(answer, StandIn):
        return answer
    return StandIn(str(answer or ""), *_size_of(file))


def _from_source(file: Any) -> StandIn:
    try:
        return StandIn(str(file.source.url))
    except Exception as error:  # noqa: BLE001
        # The storage that failed for the image may fail for its source as well.
        _logger.warning("%s: its source has no URL either (%s)", file.spec_id, error)
        return StandIn()


def _placeholder(file: Any) -> StandIn:
    width, height = _size_of(file)
    return StandIn(placeholder_url(width, height), width, height)


def _size_of(file: Any) -> tuple[int, int]:
    """Return the size that the image would have had, or the nearest that can be told."""
    width = height = None
    expected = getattr(file.generator, "expected_size", None)
    if expected is not None:
        try:
            width, height = expected() or (None, None)
        except Exception:
            # Most often it is the source that cannot be read: the spec's own words must do.
            _logger.debug("%s: the size of its source is unknown", file.spec_id, exc_info=True)
    if width is None or height is None:
        width, height = _asked_size(file.generator)
    return (
        min(max(width, _SMALLEST_SIDE), _LARGEST_SIDE),
        min(max(height, _SMALLEST_SIDE), _LARGEST_SIDE),
    )


def _asked_size(generator: Any) -> tuple[int, int]:
    """Return the width and height that the last sized processor of a spec was given."""
    for processor in reversed(list(getattr(generator, "processors", None) or [])):
        width, height = getattr(processor, "width", None), getattr(processor, "height", None)
        if isinstance(width, int) or isinstance(height, int):
            return width or height or 0, height or width or 0
    return _USUAL_SIZE
