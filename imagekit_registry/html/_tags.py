"""From the arguments of a tag to what it shows; the same for each template language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imagekit_registry.cachefiles import ImageCacheFile, get_image
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidArgument, InvalidArgumentType
from imagekit_registry.generatorlibrary import THUMBNAIL_ID
from imagekit_registry.html._arguments import (
    Sides,
    parse_dimensions,
    parse_formats,
    parse_numbers,
)
from imagekit_registry.html._attributes import settle_attributes
from imagekit_registry.html._elements import Candidate, ImgMarkup, PictureMarkup, SourceMarkup
from imagekit_registry.html._variants import Rendition

__all__ = ["plan_image", "plan_picture", "plan_thumbnail", "thumbnail_file"]

#: Arguments of the generator that a thumbnail's unnamed arguments stand for.
_UNNAMED = ("height", "source", "width")

_DENSEST = 10
_WIDEST = 65_535
_WITH_FLAGS = ("crop", "upscale")
_TRUE = frozenset(["1", "true", "yes", "on"])
_FALSE = frozenset(["0", "false", "no", "off", ""])

_Values = Mapping[str, Any]


def plan_image(
    args: Sequence[Any], kwargs: _Values, html: Mapping[str, Any] | None = None
) -> ImgMarkup:
    """Return the ``<img>`` of a registered generator.

    Args:
        args: The generator's id.
        kwargs: What the generator takes, such as ``source``.
        html: Attributes of the element.
    """
    (id,) = args
    return ImgMarkup(get_image(id, **kwargs), settle_attributes(html))


def plan_thumbnail(
    args: Sequence[Any], kwargs: _Values, html: Mapping[str, Any] | None = None
) -> ImgMarkup:
    """Return the ``<img>`` of a thumbnail.

    Args:
        args: Dimensions (``"100x80"``, ``"100x"`` or ``"x80"``, in pixels) and source; before them
            the id of a generator that takes ``width`` and ``height``, in place of the shipped one.
        kwargs: ``srcset``: densities for which there is a larger one, such as ``"2 3"``, None for
            none; and what else the generator takes: ``anchor``, ``crop``, ``upscale``, ``format``.
        html: Attributes of the element.
    """
    thumbnail = _Thumbnail(args, kwargs)
    file = thumbnail.at(*thumbnail.sides)
    return ImgMarkup(file, settle_attributes(html), thumbnail.denser())


def thumbnail_file(args: Sequence[Any], kwargs: _Values) -> ImageCacheFile:
    """Return the cache file of a thumbnail; arguments as for `plan_thumbnail`."""
    thumbnail = _Thumbnail(args, kwargs)
    return thumbnail.at(*thumbnail.sides)


def plan_picture(
    args: Sequence[Any], kwargs: _Values, html: Mapping[str, Any] | None = None
) -> PictureMarkup:
    """Return the ``<picture>`` of a spec or of a thumbnail: in several formats and sizes.

    Args:
        args: The id of a spec, or what a thumbnail has.
        kwargs: ``formats``: offered before the spec's own, best first: ``"AVIF WEBP"``;
            ``widths``: offered in pixels, ``"320 640 1280"``, a spec's image without enlarging it;
            ``sizes``: how wide the image is shown, as the ``sizes`` attribute has it; and what the
            spec or the thumbnail takes.
        html: Attributes of the ``<img>`` element within.

    Raises:
        InvalidArgument: The generator is no image spec, or a format or width makes no sense.
    """
    rest = dict(kwargs)
    formats = parse_formats(rest.pop("formats", None))
    numbers = parse_numbers(rest.pop("widths", None), "widths", _WIDEST)
    widths = sorted({max(1, round(number)) for number in numbers})
    sizes = str(rest.pop("sizes", None) or "")
    if len(args) == 1:
        (id,) = args
        file = get_image(id, **rest)
        candidates = tuple(
            Candidate(_rendition(file, width=width), width=width) for width in widths
        )
    else:
        thumbnail = _Thumbnail(args, rest)
        file = thumbnail.at(*thumbnail.sides)
        candidates = thumbnail.at_widths(widths) if widths else thumbnail.denser()
    img = ImgMarkup(file, settle_attributes(html), candidates, sizes)
    sources = []
    own_format = getattr(file.generator, "format", None)
    base = () if widths else (Candidate(file, 1.0),)
    for format, media_type in formats:
        if format != (own_format or "").upper():
            others = tuple(
                Candidate(_rendition(each.file, format=format), each.density, each.width)
                for each in (*base, *candidates)
            )
            sources.append(SourceMarkup(media_type, others, sizes))
    return PictureMarkup(img, tuple(sources))


def _rendition(file: ImageCacheFile, **changes: Any) -> ImageCacheFile:
    return ImageCacheFile(Rendition(file.generator, **changes))


class _Thumbnail:
    """A thumbnail in any size: the arguments of its tag, understood.

    Raises:
        InvalidArgument: The dimensions, the densities or a flag make no sense.
    """

    def __init__(self, args: Sequence[Any], kwargs: _Values) -> None:
        *id, dimensions, source = args
        self.sides: Sides = parse_dimensions(dimensions)
        self.arguments = _clean(kwargs)
        named = self.arguments.pop("id", None)
        self.id: Any = id[0] if id else named or THUMBNAIL_ID
        for name in _UNNAMED:
            if name in self.arguments:
                raise InvalidArgumentType(
                    f"The argument {name!r} of a thumbnail is given by name; it comes from the"
                    " unnamed ones."
                )
        self.srcset = (
            self.arguments.pop("srcset")
            if "srcset" in self.arguments
            else conf.DEFAULT_THUMBNAIL_SRCSET_SCALES
        )
        self.arguments["source"] = source

    def at(self, width: int | None, height: int | None) -> ImageCacheFile:
        """Return its file in a size, in pixels."""
        return get_image(self.id, width=width, height=height, **self.arguments)

    def denser(self) -> tuple[Candidate, ...]:
        """Return larger ones, for denser screens."""
        scales = parse_numbers(self.srcset, "srcset", _DENSEST)
        return tuple(
            Candidate(self.at(*(_times(side, scale) for side in self.sides)), scale)
            for scale in dict.fromkeys(scales)
            if scale != 1
        )

    def at_widths(self, widths: Sequence[int]) -> tuple[Candidate, ...]:
        """Return it in several widths, in pixels, in the proportions of its dimensions."""
        width, height = self.sides
        if width is None:
            raise InvalidArgument(
                f"The argument 'widths' needs a width in the dimensions, which are 'x{height}'."
            )
        return tuple(
            Candidate(self.at(each, height and max(1, round(height * each / width))), width=each)
            for each in widths
        )


def _times(side: int | None, scale: float) -> int | None:
    # Cut off, not rounded, as django-imagekit does.
    return None if side is None else max(1, int(side * scale))


def _clean(arguments: _Values) -> dict[str, Any]:
    """Return arguments of a thumbnail with what templates write as text made what it means."""
    cleaned = dict(arguments)
    for name in _WITH_FLAGS:
        value = cleaned.get(name)
        if isinstance(value, str):
            word = value.strip().lower()
            if word not in _TRUE | _FALSE:
                raise InvalidArgument(f"The argument {name!r} must be 1 or 0, not {value[:50]!r}.")
            cleaned[name] = word in _TRUE
    format = cleaned.get("format")
    if format is not None and not isinstance(format, str):
        raise InvalidArgumentType(
            f"The argument 'format' must be the name of a format, not {format!r}."
        )
    return cleaned
