"""What is shown instead of an image that cannot be had: one of a few kinds, or what a callable says."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import MethodType
from typing import Any, NoReturn, SupportsIndex
from urllib.parse import quote

import attrs

from imagekit_registry._loading import get_by_qname
from imagekit_registry.cachefiles.dimensions import dimensions, expected_size
from imagekit_registry.cachefiles.existence import complete, known
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import GenerationError, InvalidConfiguration, RetryLater
from imagekit_registry.state import Status

__all__ = ["KINDS", "Fallback", "Pixels", "fallback_for", "placeholder_url"]

#: The kinds that ``IMAGEKIT_ON_ERROR`` and ``ImageSpec.fallback`` may name.
KINDS = ("empty", "placeholder", "raise", "source")

_SMALLEST_SIDE = 1
_LARGEST_SIDE = 65_535
_USUAL_SIZE = (100, 100)

_logger = logging.getLogger("imagekit_registry.fallback")


class _Digits(str):
    """Digits that are given together to who takes them one by one, to put something between them."""

    __slots__ = ()

    def __iter__(self) -> Iterator[str]:
        yield str.__str__(self)

    def __getitem__(self, key: SupportsIndex | slice) -> _Digits:
        return _Digits(super().__getitem__(key))


class Pixels(int):
    """A number of pixels, which a template writes as HTML wants it: without thousand separators.

    Example:
        >>> Pixels(1200) == 1200
        True
    """

    def __str__(self) -> str:
        return _Digits(int.__repr__(self))


@attrs.frozen
class Fallback:
    """What a page shows in place of an image.

    Args:
        url: Its URL; empty to show nothing.
        width: Its width in pixels, if known.
        height: Its height in pixels, if known.
    """

    url: str = ""
    width: int | None = attrs.field(default=None, converter=attrs.converters.optional(Pixels))
    height: int | None = attrs.field(default=None, converter=attrs.converters.optional(Pixels))


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


def fallback_for(file: CacheFile, error: GenerationError | None) -> Fallback:
    """Return what stands in for *file*, as its generator or the settings want it.

    Args:
        file: The cache file that cannot be had.
        error: Why; None if it is only not made yet.

    Raises:
        GenerationError: *error* itself, if failures are to be raised.
        InvalidConfiguration: The generator or the settings ask for something unknown.
    """
    fallback = file.spec.fallback
    kind = conf.ON_ERROR if fallback is None else fallback
    if isinstance(kind, str) and kind not in KINDS:
        if "." not in kind:
            _refuse(kind)
        kind = get_by_qname(kind, "fallback")
    if isinstance(kind, MethodType) and kind.__self__ is file.spec:
        # A function in a class body turns into a method; it takes the file and the error alone.
        kind = kind.__func__
    if kind == "raise" and error is not None:
        raise error
    if error is not None:
        # What is tried again later was told when it was tried.
        is_known = error.is_logged or isinstance(error, RetryLater)
        _logger.log(logging.DEBUG if is_known else logging.WARNING, "%s", error)
        error.is_logged = True
    if callable(kind):
        return _from_callable(kind, file, error)
    if kind == "source":
        return _from_source(file)
    if kind == "placeholder":
        return _placeholder(file, error)
    return Fallback()


def _refuse(kind: str) -> NoReturn:
    raise InvalidConfiguration(
        f"IMAGEKIT_ON_ERROR or a spec's fallback is {kind!r}. It must be one of"
        f" {', '.join(map(repr, KINDS))}, a callable, or the dotted path of one."
    )


def _from_callable(function: Any, file: CacheFile, error: GenerationError | None) -> Fallback:
    answer = function(file, error)
    if isinstance(answer, Fallback):
        return answer
    return Fallback(str(answer), *_size_of(file, error)) if answer else Fallback()


def _from_source(file: CacheFile) -> Fallback:
    try:
        return Fallback(str(file.spec.source.url))
    except Exception as error:  # noqa: BLE001
        # The storage that failed for the image may fail for its source as well.
        _logger.warning("%s: its source has no URL either (%s)", file.spec.describe(), error)
        return Fallback()


def _placeholder(file: CacheFile, error: GenerationError | None) -> Fallback:
    width, height = _size_of(file, error)
    return Fallback(placeholder_url(width, height), width, height)


def _size_of(file: CacheFile, error: GenerationError | None) -> tuple[int, int]:
    """Return the size that the image would have had, or the nearest that can be told."""
    width, height = _known_size(file, error) or _asked_size(file.spec)
    return (
        min(max(width, _SMALLEST_SIDE), _LARGEST_SIDE),
        min(max(height, _SMALLEST_SIDE), _LARGEST_SIDE),
    )


def _known_size(file: CacheFile, error: GenerationError | None) -> tuple[int, int] | None:
    """Return the size by the state; by the source only if the state does not say."""
    record = known(file)
    if record is None:
        return expected_size(file)
    width, height = record.width, record.height
    if width is None and record.status == Status.FAILED:
        # Looked up once for each failure, not at each request; 0: the source does not tell.
        width, height = expected_size(file) or (0, 0)
        complete(file, record, width=width, height=height)
    elif width is None and error is None:
        # It is on its way: the state remembers the size for the next one who looks.
        width, height = dimensions(file)
    return (width, height) if width and height else None


def _asked_size(generator: Any) -> tuple[int, int]:
    """Return the width and height that the last sized processor of a spec was given."""
    for processor in reversed(list(getattr(generator, "processors", None) or [])):
        width, height = getattr(processor, "width", None), getattr(processor, "height", None)
        if isinstance(width, int) or isinstance(height, int):
            return width or height or 0, height or width or 0
    return _USUAL_SIZE
