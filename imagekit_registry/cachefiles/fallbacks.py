"""What a page shows: of an image that is there, or in place of one that cannot be had."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any, NoReturn, SupportsIndex
from urllib.parse import quote

import attrs

from imagekit_registry._loading import forget_on_change, get_by_qname
from imagekit_registry.cachefiles.dimensions import dimensions, expected_size
from imagekit_registry.cachefiles.existence import complete, known
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.cachefiles.rendering import log_failure
from imagekit_registry.cachefiles.strategies import (
    EagerThenJustInTime,
    Frozen,
    JustInTime,
    OnDemand,
    Optimistic,
    Strategy,
)
from imagekit_registry.cachefiles.verification import next_looks
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import (
    GenerationError,
    InvalidConfiguration,
    RetryLater,
    logged,
)
from imagekit_registry.signals import existence_required
from imagekit_registry.state import CacheFileRecord, StateAccess, Status

__all__ = [
    "KINDS",
    "Fallback",
    "Kept",
    "Pixels",
    "fallback_for",
    "keep",
    "placeholder_url",
    "recall",
]

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


#: Strategies that do no more with a file that is there than look at its record.
_PLAIN_STRATEGIES = frozenset(
    [EagerThenJustInTime, Frozen, JustInTime, OnDemand, Optimistic, Strategy]
)
#: What pages show of images that are there, by the keys of their records.
_kept: dict[str, Kept] = {}
_MOST_KEPT = 10_000


@attrs.frozen(eq=False)
class Kept:
    """What a record shows: the same for as long as it is the one that is known.

    Args:
        shown: URL, width and height; without a URL if the storage may give another one each time.
        record: The record of the file, which exists.
        digest: The digest of its recipe and source.
        key: The key of the record.
        access: The way to it.
        storage: The storage of the file.
        place: Where the storage shows its files and where it keeps them, if the URL is kept.
        due: When it is time to look at the source again, in seconds by `time.monotonic`.
    """

    shown: Fallback
    record: CacheFileRecord
    digest: str
    key: str
    access: StateAccess
    storage: Any
    place: tuple[str, str] | None
    due: float

    def is_current(self) -> bool:
        """Return whether the record is still known, and trusted without a look at the source."""
        return (
            self.access.remembered(self.key) is self.record
            and time.monotonic() < self.due
            # A tenant's storage has another place each time.
            and (self.place is None or self.place == (self.storage.base_url, self.storage.location))
            and not existence_required.receivers
        )


def recall(file: CacheFile) -> Kept | None:
    """Return what is shown of *file* if nothing has changed since; None if it has to be looked up."""
    kept = _kept.get(file.identity.key)
    if (
        kept is None
        or kept.digest != file.identity.digest
        or kept.storage is not file.storage
        or kept.access is not file.cachefile_backend.states
        or not file.cachefile_backend.is_plain
        or type(file.cachefile_strategy) not in _PLAIN_STRATEGIES
        or not kept.is_current()
    ):
        return None
    return kept


def keep(file: CacheFile, record: CacheFileRecord | None, url: str) -> None:
    """Keep what is shown of *file*, if its record says all of it.

    Args:
        file: The cache file, which its strategy has had its chance to make.
        record: What is known of it.
        url: Its URL; empty if it may be another one each time.
    """
    identity, access = file.identity, file.cachefile_backend.states
    if (
        access is None
        or record is None
        or record.status != Status.EXISTS
        or not record.width
        or not record.height
        or not identity.name_is_unique
        # That of a rendition says as well of which image it is one.
        or record.digest.partition("/")[0] != identity.digest
    ):
        return
    due = next_looks.get((identity.key, record.fingerprint)) if record.fingerprint else math.inf
    if due is None:
        return
    storage: Any = file.storage
    shown = Fallback(url, record.width, record.height)
    if len(_kept) >= _MOST_KEPT:
        _kept.clear()
    place = (storage.base_url, storage.location) if url else None
    _kept[identity.key] = Kept(
        shown, record, identity.digest, identity.key, access, storage, place, due
    )


forget_on_change(_kept.clear)


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
    return "data:image/svg+xml," + quote(svg, safe="='/:")


def fallback_for(file: CacheFile, error: GenerationError | None) -> Fallback:
    """Return what stands in for *file*, as its generator or the settings want it.

    Args:
        file: The cache file that cannot be had.
        error: Why; None if it is only not made yet.

    Raises:
        GenerationError: *error* itself, if failures are to be raised.
        InvalidConfiguration: The generator or the settings ask for something unknown.
    """
    pending = file.spec.pending if error is None else None
    fallback = file.spec.fallback
    kind = pending if pending in KINDS else conf.ON_ERROR if fallback is None else fallback
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
        log_failure(error, logging.DEBUG if isinstance(error, RetryLater) else logging.WARNING)
    if callable(kind):
        return _from_callable(kind, file, error)
    if kind == "source":
        return _from_source(file, error)
    if kind in {"placeholder", "raise"}:
        return _placeholder(file, error)
    return Fallback()


def _refuse(kind: str) -> NoReturn:
    raise InvalidConfiguration(
        f"IMAGEKIT_ON_ERROR or a spec's fallback is {kind!r}. It must be one of"
        f" {', '.join(map(repr, KINDS))}, a callable, or the dotted path of one."
    )


def _from_callable(
    function: Callable[[CacheFile, GenerationError | None], object],
    file: CacheFile,
    error: GenerationError | None,
) -> Fallback:
    answer = function(file, error)
    if isinstance(answer, Fallback):
        return answer
    return Fallback(str(answer), *_size_of(file, error)) if answer else Fallback()


def _from_source(file: CacheFile, error: GenerationError | None) -> Fallback:
    url = ""
    # The storage that failed for the image may fail for its source as well.
    with logged(_logger, "%s: its source has no URL either", file.spec.describe()):
        url = str(file.spec.source.url)
    if not url:
        return Fallback()
    # The room of the image to come: nothing moves when it takes the place of its source.
    return Fallback(url, *_size_of(file, error))


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


def _asked_size(generator: object) -> tuple[int, int]:
    """Return the width and height that the last sized processor of a spec was given."""
    for processor in reversed(list(getattr(generator, "processors", None) or [])):
        width, height = getattr(processor, "width", None), getattr(processor, "height", None)
        if isinstance(width, int) or isinstance(height, int):
            return width or height or 0, height or width or 0
    return _USUAL_SIZE
