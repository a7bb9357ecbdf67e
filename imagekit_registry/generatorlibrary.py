"""Generators that every project has: those behind the tags and the admin's previews."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from operator import attrgetter
from types import MethodType
from typing import Any, TypeGuard

from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.imaging.formats import normalize_format
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.processors import Thumbnail as ThumbnailProcessor
from imagekit_registry.processors.multiple import multiplied
from imagekit_registry.registry import ADMIN_PREVIEW_ID, THUMBNAIL_ID
from imagekit_registry.specs import BaseImageSpec, ImageSpec, adapt_generator

__all__ = [
    "ADMIN_PREVIEW_ID",
    "THUMBNAIL_ID",
    "AdminPreview",
    "Rendition",
    "Thumbnail",
    "has_renditions",
]

#: A page asks for the same few sizes again and again, and processors do not change.
_processor_of = lru_cache(maxsize=256, typed=True)(ThumbnailProcessor)
_narrower = lru_cache(maxsize=256)(partial(ResizeToFit, upscale=False))


class Thumbnail(ImageSpec):
    """A thumbnail of any image, as the template tag asks for it.

    Args:
        source: An image field's file, any Django ``File``, or a name in the default storage.
        width: In pixels; None leaves it free.
        height: In pixels; None leaves it free.
        anchor: Which part is kept when cropping; None: the part with the most detail.
        crop: Whether to crop; None: if both width and height are given.
        upscale: Whether a smaller image is enlarged.
        format: Pillow's name of the format; None: ``IMAGEKIT_DEFAULT_THUMBNAIL_FORMAT``.
        otherwise: The anchor for a row without a focal point, where the anchor is ``"focal"``.
        closeness: How near a focal point is shown, in per cent.
        placeholder: What is shown until it has loaded, such as ``"lqip"``.
    """

    def __init__(
        self,
        source: object = None,
        width: int | None = None,
        height: int | None = None,
        anchor: str | Sequence[float] | None = None,
        crop: bool | None = None,
        upscale: bool | None = None,
        format: str | None = None,
        *,
        otherwise: str | Sequence[float] | None = None,
        closeness: int = 0,
        placeholder: object = None,
    ) -> None:
        arguments = (width, height, anchor, crop, upscale)
        focal: dict[str, Any] = {"otherwise": otherwise, "closeness": closeness}
        try:
            processor = _processor_of(*arguments, **focal)
        except TypeError:
            # One of them cannot be hashed: an anchor that is a list.
            processor = ThumbnailProcessor(*arguments, **focal)
        self.processors = [processor]
        self.format = format or conf.DEFAULT_THUMBNAIL_FORMAT
        self.placeholder = placeholder
        super().__init__(source)


class AdminPreview(ImageSpec):
    """The preview of an image beside its file input in the admin.

    It is made at once, whatever backend and strategy the project uses: somebody waits for it, and
    a single one. WebP is shown by every browser and holds transparency.
    """

    processors = [ResizeToFit(240, 160, upscale=False)]
    format = "WEBP"
    animated = False
    cachefile_backend = "imagekit_registry.cachefiles.backends.Simple"
    cachefile_strategy = "imagekit_registry.cachefiles.strategies.JustInTime"


#: What a rendition has of its own.
_CHANGED = frozenset(
    ["format", "namer", "options", "picture", "processors", "rendition_of", "spec_arguments"]
)
_KEPT = sorted((BaseImageSpec.__annotations__.keys() | ImageSpec.__annotations__.keys()) - _CHANGED)


class Rendition(ImageSpec):
    """The image of another spec, in another format or size.

    Args:
        spec: The other spec, with its source.
        format: The format, by Pillow's name; None for the other spec's.
        width: The largest width, in pixels; None for the other spec's. Nothing is enlarged.
        times: How many times as wide and high as the other spec makes it, as far as the source has the
            pixels, and the processors can be told.
        quality: The quality, as a number or a word, in place of the one of the spec or among its options.
        placeholder: What is shown until it has loaded, in place of what the other spec says.

    Attributes:
        changes: What it was given beside *spec*, and what that was given if it is one as well.

    Raises:
        InvalidArgument: *spec* is no image spec, or makes its images in a way of its own.
    """

    changes: Mapping[str, str | float | None]

    def __init__(
        self,
        spec: object,
        *,
        format: str | None = None,
        width: int | None = None,
        times: float | None = None,
        quality: int | str | None = None,
        placeholder: str | None = None,
    ) -> None:
        if not has_renditions(spec):
            called = adapt_generator(spec).spec_id or type(spec).__name__
            raise InvalidArgument(
                f"The generator {called!r} makes its images in a way of its own, in one format and"
                " size. Leave out 'formats' and 'widths', or make it an ImageSpec."
            )
        super().__init__(spec.source)
        vars(self).update(zip(_KEPT, attrgetter(*_KEPT)(spec), strict=True))
        self.rendition_of = spec.rendition_of or spec
        if format or width or times:
            # It is one of several to choose from, whose own image has the placeholder.
            self.picture = self.placeholder = None
        elif placeholder is not None:
            self.placeholder = placeholder
        earlier = spec.changes if isinstance(spec, Rendition) else {"format": None, "width": None}
        given = {"format": format, "width": width, "times": times, "quality": quality}
        given["placeholder"] = placeholder
        self.changes = {**earlier, **{name: value for name, value in given.items() if value}}
        namer = spec.namer
        # A function in a class body has become a method of the other spec.
        is_own = isinstance(namer, MethodType) and namer.__self__ is spec
        self.namer = namer.__func__ if is_own else namer
        self.processors = list(spec.processors or ())
        if times is not None:
            self.processors = multiplied(self.processors, times)
        if width is not None:
            self.processors.append(_narrower(width))
        same = format is None or normalize_format(spec.format or "") == format
        self.format = spec.format if same else format
        # Options are those of the spec's own format; another one does not know them.
        self.options = dict(spec.options or {}) if same else None
        if wanted := self.changes.get("quality"):
            self.options = {**(self.options or {}), "quality": wanted}
            if isinstance(wanted, str):
                # Options are Pillow's, which knows numbers.
                self.quality = self.options.pop("quality")


def has_renditions(spec: object) -> TypeGuard[ImageSpec]:
    """Return whether a generator is a spec whose image can be made in other formats and sizes."""
    return isinstance(spec, ImageSpec) and type(spec).generate is ImageSpec.generate
