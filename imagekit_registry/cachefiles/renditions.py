"""The renditions of an image that a picture offers: which there are, as its records tell."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from functools import cached_property
from itertools import chain

import attrs

from imagekit_registry.cachefiles.dimensions import (
    expected_size,
    fixed_size,
    note_size,
    recorded_size,
)
from imagekit_registry.cachefiles.existence import fetch, known
from imagekit_registry.cachefiles.files import ImageCacheFile, get_image
from imagekit_registry.cachefiles.strategies import makes_when_required
from imagekit_registry.cachefiles.threads import is_in_event_loop, would_keep_waiting
from imagekit_registry.exceptions import UnknownExtension, answer_or
from imagekit_registry.generatorlibrary import Rendition, has_renditions
from imagekit_registry.imaging.formats import extension_to_format, normalize_format
from imagekit_registry.specs import Picture, settle_picture, storage_of
from imagekit_registry.state import Status

__all__ = ["Candidate", "Renditions", "fetch_possible", "offer", "offer_own", "offer_with"]

#: What has so much of the width of a wider one is not made beside it.
_AS_WIDE = 0.95
_UNKNOWN = (0, 0)


@attrs.frozen
class Candidate:
    """One of the images that a browser may choose from.

    Args:
        file: The image.
        width: How wide it is asked for, in pixels.
        format: Its format; empty for that of the spec.
    """

    file: ImageCacheFile
    width: int
    format: str = ""


class Renditions:
    """One image in the formats and sizes that a picture offers.

    In which sizes hangs on its own, and on that of its source: both are told by records, so that
    nothing is opened for a page whose images are there.

    Args:
        file: The image in the size and format of its spec.
        picture: How it is offered; it says all.
        media: The media query for which it is shown; empty for every screen.
    """

    def __init__(self, file: ImageCacheFile, picture: Picture, media: str = "") -> None:
        self.file, self.picture, self.media = file, picture, media

    @cached_property
    def fixed_size(self) -> tuple[int, int] | None:
        """Width and height of the image in pixels, if they are the same for each source."""
        return fixed_size(self.file.spec)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height of the image in pixels; zeros if nobody can tell."""
        return self.fixed_size or self._size_of(self.file)

    @cached_property
    def possible(self) -> Sequence[Candidate]:
        """What may be offered, if the source is large enough; asks for the record of `file`."""
        own, width = self.file, self.size[0]
        if not has_renditions(own.generator):
            return [Candidate(own, width)]
        widths = self.picture.offered_widths(width) if width else (0,)
        formats = [each for each in self.picture.offered_formats() if each != _format_of(own)]
        return [
            Candidate(self._make(format, each), each, format)
            for format in ("", *formats)
            for each in widths
        ]

    def _make(self, format: str, width: int) -> ImageCacheFile:
        own = self.size[0]
        size: dict[str, float] = {}
        if 0 < width < own:
            size = {"width": width}
        elif width > own:
            size = {"times": width / own}
        if not size and not format:
            return self.file
        return ImageCacheFile(Rendition(self.file.generator, format=format or None, **size))  # type: ignore[arg-type]

    @cached_property
    def offered(self) -> Sequence[Candidate]:
        """What is offered; asks for the records of what is possible.

        Of sizes that the source does not have, the largest alone is made: as large as it gets.
        """
        record = known(self.file)
        if record is not None and record.status == Status.FAILED:
            # Something else is shown, and nothing chosen.
            return []
        own, most = self.size[0], max(each.width for each in self.possible)
        largest = next(each for each in self.possible if each.width == most)
        reached = self._size_of(largest.file)[0] if most > own else own
        return [
            each
            for each in self.possible
            if each.width <= own
            or each.width < reached * _AS_WIDE
            or (each.width == most and reached > own)
        ]

    def _size_of(self, file: ImageCacheFile) -> tuple[int, int]:
        size = recorded_size(file)
        if size is None and would_keep_waiting(storage_of(self.file.spec.source)):
            return expected_size(file) or _UNKNOWN
        if size is None:
            source = self._source_size
            size = (source and answer_or(None, file.spec.output_size, source)) or _UNKNOWN
            is_offered = file is self.file or size[0] > self.size[0]
            is_here = is_offered and makes_when_required(file.cachefile_strategy)
            if not is_here or file.cachefile_backend.is_async or is_in_event_loop() or not source:
                # It may be long until its record says so by itself; of what the source is too small
                # for, it never does.
                note_size(file, size)
        return size

    @cached_property
    def _source_size(self) -> tuple[int, int] | None:
        # Read once for all sizes. What is wrong with it is told by who makes an image of it.
        return answer_or(None, self.file.spec.source_size)


def _format_of(file: ImageCacheFile) -> str:
    if file.spec.format:
        return normalize_format(file.spec.format)
    try:
        return extension_to_format(posixpath.splitext(file.name or "")[1])
    except UnknownExtension:
        return ""


def offer(file: ImageCacheFile, picture: Picture) -> list[Renditions]:
    """Return an image, and before it its other crops, as *picture* offers them.

    Args:
        file: The image.
        picture: How it is offered; it says all.

    Raises:
        NotRegistered: The spec of another crop is not there.
    """
    spec = file.generator
    quality = spec.changes.get("quality") if isinstance(spec, Rendition) else None
    crops = []
    for each in picture.sources or ():
        crop = get_image(each.spec, source=file.spec.source)
        if quality is not None:
            crop = ImageCacheFile(Rendition(crop.generator, quality=quality))  # type: ignore[arg-type]
        crops.append(Renditions(crop, picture, each.media))
    return [*crops, Renditions(file, picture)]


def offer_own(file: ImageCacheFile) -> list[Renditions]:
    """Return what the picture of a file's spec offers; nothing if the spec has none."""
    spec = file.spec
    if spec.picture is None or not has_renditions(spec):
        return []
    return offer(file, settle_picture(spec.picture))


def offer_with(picture: Picture, file: ImageCacheFile) -> list[Renditions]:
    """Return what *picture* offers of a file, over what the picture of its spec says."""
    own = file.spec.picture if has_renditions(file.spec) else None
    return offer(file, settle_picture(picture, own))


def fetch_possible(renditions: Sequence[Renditions], others: Sequence[ImageCacheFile] = ()) -> None:
    """Fetch all that is known of what may be offered, and of *others*; in a `state_scope`.

    That is one round trip, and one before it if some are as wide as only their records say.
    """
    unknown = [each.file for each in renditions if each.fixed_size is None]
    if unknown:
        fetch([*unknown, *others])
    images = [[some.file, *[each.file for each in some.possible]] for some in renditions]
    fetch([*others, *chain(*images)])
