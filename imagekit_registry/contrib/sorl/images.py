"""What sorl-thumbnail's tag, filters and functions give: images that know their size."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, Protocol
from urllib.parse import unquote

import attrs
from django.conf import settings
from django.core.files.storage import storages
from django.utils.functional import Promise

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.dimensions import size_to_come
from imagekit_registry.cachefiles.fallbacks import Pixels, placeholder_url
from imagekit_registry.contrib.sorl import conf
from imagekit_registry.contrib.sorl.specs import (
    OPTIONS,
    ORIGINAL_ID,
    THUMBNAIL_ID,
    parse_geometry,
    scale_options,
)
from imagekit_registry.exceptions import InvalidArgument, MissingSource
from imagekit_registry.registry import generator_registry
from imagekit_registry.state import Status

__all__ = [
    "DummyImage",
    "ThumbnailFile",
    "ThumbnailUrl",
    "dummy",
    "is_media_url",
    "size_of",
    "source_of",
    "thumbnail_of",
]

_SCHEME = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)


class ThumbnailUrl(str):
    """The URL of an image, which knows how to have that in a larger size.

    Args:
        url: The URL.
        scaled: Returns the URL of the image so many times as large.
    """

    scaled: Callable[[float], str]

    def __new__(cls, url: str, scaled: Callable[[float], str]) -> ThumbnailUrl:
        """Return *url*."""
        self = super().__new__(cls, url)
        self.scaled = scaled
        return self

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        # Caches keep the text.
        return str, (str(self),)


class _Sized(Protocol):
    """The names that sorl-thumbnail's images have for their size."""

    @property
    def width(self) -> int | None: ...
    @property
    def height(self) -> int | None: ...
    @property
    def url(self) -> str: ...

    @property
    def x(self) -> int | None:
        """The width in pixels."""
        return self.width

    @property
    def y(self) -> int | None:
        """The height in pixels."""
        return self.height

    @property
    def ratio(self) -> float:
        """The width by the height; 0 if these are not known."""
        return self.width / self.height if self.width and self.height else 0.0

    @property
    def src(self) -> str:
        """The URL."""
        return self.url

    def is_portrait(self) -> bool:
        """Return whether it is higher than wide."""
        return (self.height or 0) > (self.width or 0)


class ThumbnailFile(ImageCacheFile, _Sized):
    """A cache file with the attributes that sorl-thumbnail's images have."""

    @property
    def size(self) -> list[int | None]:  # type: ignore[override]  # it is no number of bytes
        """Width and height, in pixels."""
        return [self.width, self.height]

    @property
    def url(self) -> str:
        """The URL, which the filter ``resolution`` takes."""
        return ThumbnailUrl(super().url, self._scaled_url)

    def _scaled_url(self, times: float) -> str:
        options = dict(self.spec.spec_arguments)
        sides = parse_geometry(str(options.pop("geometry")))
        width, height = (str(int(side * times) or 1) if side else "" for side in sides)
        options = scale_options(options, times)
        return thumbnail_of(self.spec.source, f"{width}x{height}", options).url

    @property
    def has_failed(self) -> bool:
        """Whether something else is shown since the image cannot be made."""
        self.shown()
        return self.fallback is not None and self.state.status == Status.FAILED


@attrs.frozen
class DummyImage(_Sized):
    """A placeholder in the size of an image that is not there.

    Args:
        width: In pixels.
        height: In pixels.
    """

    width: int = attrs.field(converter=Pixels)
    height: int = attrs.field(converter=Pixels)

    @property
    def url(self) -> str:
        """That of ``THUMBNAIL_DUMMY_SOURCE``; without it a data URI of a grey image."""
        sides = {"width": int(self.width), "height": int(self.height)}
        source = conf.get("THUMBNAIL_DUMMY_SOURCE")
        url = source % sides if source else placeholder_url(**sides)
        return ThumbnailUrl(url, self._scaled_url)

    def _scaled_url(self, times: float) -> str:
        return DummyImage(int(self.width * times), int(self.height * times)).url

    @property
    def size(self) -> list[int]:
        """Width and height, in pixels."""
        return [self.width, self.height]

    def exists(self) -> bool:
        """Return True."""
        return True


def dummy(geometry: str) -> DummyImage:
    """Return a placeholder of a geometry; ``THUMBNAIL_DUMMY_RATIO`` gives a side that is left free."""
    width, height = parse_geometry(geometry)
    ratio = conf.get("THUMBNAIL_DUMMY_RATIO")
    return DummyImage(width or round((height or 0) * ratio), height or round((width or 0) / ratio))


def is_media_url(url: str) -> bool:
    """Return whether a URL is one of the default storage, as ``MEDIA_URL`` has it."""
    # Without that setting it is "/".
    return len(settings.MEDIA_URL) > 1 and url.startswith(settings.MEDIA_URL)


def source_of(file: object) -> Any:
    """Return what *file* stands for, as specs take it.

    Args:
        file: An image field's file, or any other; or a text: a name in the default storage, a path
            within that, or a URL under ``MEDIA_URL``.

    Raises:
        MissingSource: It is empty.
        InvalidArgument: It is the URL of another site: these are not fetched.
    """
    if not file:
        raise MissingSource("A thumbnail was asked for without a source: it is empty.")
    if not isinstance(file, str | PurePath | Promise):
        return file
    name = str(file).partition("?")[0]
    location = str(getattr(storages["default"], "location", "")).rstrip("/")
    if location and name.startswith(f"{location}/"):
        return name.removeprefix(f"{location}/")
    if is_media_url(name):
        return unquote(name.removeprefix(settings.MEDIA_URL))
    if _SCHEME.match(name):
        raise InvalidArgument(
            f"Images of other sites are not fetched: {name[:100]!r}. Store the image when its address"
            " is given, and make thumbnails of that."
        )
    return name


def thumbnail_of(file: object, geometry: str, options: Mapping[str, object]) -> ThumbnailFile:
    """Return the thumbnail of an image, which is made when it is needed.

    Args:
        file: As for `source_of`.
        geometry: ``"300x200"``, ``"300"`` or ``"x200"``, in pixels.
        options: Those of sorl-thumbnail; unknown ones make no difference.

    Raises:
        MissingSource: There is no image.
        InvalidArgument: Geometry or options make no sense, or the image is of another site.
    """
    known = {name: value for name, value in options.items() if name in OPTIONS}
    generator = generator_registry.get(
        THUMBNAIL_ID, source=source_of(file), geometry=str(geometry), **known
    )
    if conf.get("THUMBNAIL_DUMMY"):
        # A placeholder is shown for what cannot be made, whatever is shown elsewhere.
        generator.fallback = "empty"
    return ThumbnailFile(generator)


def size_of(file: object) -> tuple[int, int] | None:
    """Return width and height of a thumbnail or of any image as it is shown, in pixels.

    A source is opened once: a record keeps what it says.

    Raises:
        MissingSource: There is no image.
        InvalidArgument: It is of another site.
    """
    if isinstance(file, DummyImage | ImageCacheFile):
        width, height = file.width, file.height
    else:
        original = generator_registry.get(ORIGINAL_ID, source=source_of(file))
        width, height = size_to_come(ImageCacheFile(original))
    return (width, height) if width and height else None
