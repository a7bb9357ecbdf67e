"""The tags: from their arguments to what they show, the same for each template language."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

import attrs

from imagekit_registry.cachefiles import ImageCacheFile, get_image
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidArgument, InvalidArgumentType, NotRegistered
from imagekit_registry.generatorlibrary import THUMBNAIL_ID, Rendition
from imagekit_registry.html._elements import Candidate, ImgMarkup, Markup, PictureMarkup
from imagekit_registry.imaging.formats import can_write, normalize_format
from imagekit_registry.registry import generator_registry

_DIMENSIONS = re.compile(r"\s*(\d{0,5})\s*x\s*(\d{0,5})\s*", re.ASCII)
_ONE_SIDE = re.compile(r"\s*([1-9]\d{0,4})\s*", re.ASCII)
_LONGEST = 50
_MOST_NUMBERS = 20
_MOST_FORMATS = 10
#: Formats that browsers show, with their media types.
_ON_THE_WEB = {
    "AVIF": "image/avif",
    "GIF": "image/gif",
    "HEIF": "image/heif",
    "JPEG": "image/jpeg",
    "JPEG2000": "image/jp2",
    "JXL": "image/jxl",
    "PNG": "image/png",
    "WEBP": "image/webp",
}
_DENSEST = 10
_WIDEST = 65_535
_ON = frozenset(["1", "true", "yes", "on"])
_OFF = frozenset(["0", "false", "no", "off", ""])

# What templates give may be anything.
Unnamed = Sequence[Any]
Named = Mapping[str, Any]


def plan_image(args: Unnamed, kwargs: Named, html: Named | None = None) -> ImgMarkup:
    """Return the ``<img>`` of a registered generator.

    Args:
        args: The generator's id.
        kwargs: What the generator takes, such as ``source``.
        html: Attributes of the element.
    """
    return ImgMarkup(get_image(*args, **kwargs), html)


def image_file(args: Unnamed, kwargs: Named) -> ImageCacheFile:
    """Return the cache file of a registered generator; arguments as for `plan_image`."""
    return get_image(*args, **kwargs)


def plan_thumbnail(args: Unnamed, kwargs: Named, html: Named | None = None) -> ImgMarkup:
    """Return the ``<img>`` of a thumbnail.

    Args:
        args: Dimensions (``"100x80"``, ``"100x"`` or ``"x80"``, in pixels) and source; before them
            the id of a generator that takes ``width`` and ``height``, in place of the shipped one.
        kwargs: ``srcset``: densities for which there is a larger one, such as ``"2 3"``, None for
            none; and what else the generator takes: ``anchor``, ``crop``, ``upscale``, ``format``.
        html: Attributes of the element.
    """
    thumbnail = _Thumbnail(args, kwargs)
    return ImgMarkup(thumbnail.file(), html, thumbnail.for_densities())


def thumbnail_file(args: Unnamed, kwargs: Named) -> ImageCacheFile:
    """Return the cache file of a thumbnail; arguments as for `plan_thumbnail`."""
    return _Thumbnail(args, kwargs).file()


def plan_picture(args: Unnamed, kwargs: Named, html: Named | None = None) -> PictureMarkup:
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
        file = get_image(*args, **rest)
        candidates = tuple(
            Candidate(ImageCacheFile(Rendition(file.generator, width=width)), width=width)
            for width in widths
        )
    else:
        thumbnail = _Thumbnail(args, rest)
        file = thumbnail.file()
        candidates = thumbnail.for_widths(widths) if widths else thumbnail.for_densities()
    img = ImgMarkup(file, html, candidates, sizes)
    own_format = file.spec.format or ""
    offered = candidates if widths else (Candidate(file, 1.0), *candidates)
    sources = {
        media_type: tuple(
            attrs.evolve(each, file=ImageCacheFile(Rendition(each.file.generator, format=format)))
            for each in offered
        )
        for format, media_type in formats
        if format != own_format.upper()
    }
    return PictureMarkup(img, sources)


class _Thumbnail:
    """A thumbnail in any size: the arguments of its tag, understood.

    Raises:
        InvalidArgument: The dimensions or a flag make no sense.
        InvalidArgumentType: An argument is given twice, or is of the wrong type.
    """

    def __init__(self, args: Unnamed, kwargs: Named) -> None:
        *first, dimensions, source = args
        try:
            self.sides = parse_dimensions(dimensions)
        except InvalidArgument as error:
            if isinstance(source, str) and _DIMENSIONS.fullmatch(source[:_LONGEST]):
                raise InvalidArgument(
                    f"The dimensions {source[:_LONGEST]!r} are given after the source. Dimensions"
                    " come first: '100x80' photo.image."
                ) from error
            raise
        arguments = {**kwargs}
        for name in ("crop", "upscale"):
            if name in arguments and isinstance(value := arguments[name], str):
                word = value.strip().lower()
                if word not in _ON | _OFF:
                    raise InvalidArgument(
                        f"The argument {name!r} must be 1 or 0, not {value[:50]!r}."
                    )
                arguments[name] = word in _ON
        format = arguments.get("format")
        if format is not None and not isinstance(format, str):
            raise InvalidArgumentType(
                f"The argument 'format' must be the name of a format, not {format!r}."
            )
        for name in ("height", "source", "width"):
            if name in arguments:
                raise InvalidArgumentType(
                    f"The argument {name!r} of a thumbnail is given by name; it comes from the"
                    " unnamed ones."
                )
        named = arguments.pop("id", None)
        self.spec_id = first[0] if first else named or THUMBNAIL_ID
        self.srcset = arguments.pop("srcset", conf.DEFAULT_THUMBNAIL_SRCSET_SCALES)
        self.arguments = {**arguments, "source": source}

    def file(self, scale: float = 1) -> ImageCacheFile:
        """Return its file, in its own size or a multiple of that."""
        # Cut off, not rounded, as django-imagekit does.
        return self._in_size(*[side and (int(side * scale) or 1) for side in self.sides])

    def _in_size(self, width: int | None, height: int | None) -> ImageCacheFile:
        return get_image(self.spec_id, width=width, height=height, **self.arguments)

    def for_densities(self) -> tuple[Candidate, ...]:
        """Return larger ones, for denser screens."""
        if self.srcset is None:
            return ()
        scales = dict.fromkeys(parse_numbers(self.srcset, "srcset", _DENSEST))
        return tuple(Candidate(self.file(scale), scale) for scale in scales if scale != 1)

    def for_widths(self, widths: Sequence[int]) -> tuple[Candidate, ...]:
        """Return it in several widths, in pixels, in the proportions of its dimensions."""
        width, height = self.sides
        if width is None:
            raise InvalidArgument(
                f"The argument 'widths' needs a width in the dimensions, which are 'x{height}'."
            )
        candidates = []
        for each in widths:
            file = self._in_size(each, height and (round(height * each / width) or 1))
            candidates.append(Candidate(file, width=each))
        return tuple(candidates)


@attrs.frozen
class Tag:
    """A tag, as every template language has it.

    Args:
        plan: Returns what it shows, of unnamed and named arguments and HTML attributes.
        file: Returns its cache file for a variable; None if it shows several.
        counts: How many unnamed arguments it may have.
        takes: What these are, for messages.
        options: Named arguments that it keeps for itself; a thumbnail's besides, if it shows one.
    """

    plan: Callable[[Unnamed, Named, Named | None], Markup]
    file: Callable[[Unnamed, Named], ImageCacheFile] | None
    counts: tuple[int, ...]
    takes: str
    options: frozenset[str] = frozenset()


def explain_unknown(tag: str, count: int, spec_id: str, names: Iterable[str]) -> str:
    """Return what is wrong with the names of arguments; empty if nothing is, or nobody can tell.

    Args:
        tag: The name of the tag.
        count: How many unnamed arguments it has.
        spec_id: The id of its generator, which may take anything.
        names: The names of its named arguments.
    """
    try:
        parameters = inspect.signature(generator_registry.lookup(spec_id)).parameters
    except (NotRegistered, TypeError, ValueError):
        return ""
    takes = {*parameters, *TAGS[tag].options}
    if count > 1:
        takes = (takes | TAGS["thumbnail"].options) - {"height", "source", "width"}
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    for name in () if takes_any else names:
        if name in takes:
            continue
        others = [other for other, each in TAGS.items() if name in each.options]
        near = difflib.get_close_matches(name, takes, n=1)
        hint = f"It takes {', '.join(sorted(takes))}; HTML attributes stand after '--'"
        if others or near:
            hint = (
                f"{' and '.join(others)} can have it" if others else f"Perhaps {near[0]!r} is meant"
            )
        return f"has {name!r}, which {spec_id!r} does not take. {hint}"
    return ""


# Dimensions, scales, widths and formats as templates write them.


def parse_dimensions(dimensions: object) -> tuple[int | None, int | None]:
    """Return width and height, in pixels; None for a side that is left free.

    Args:
        dimensions: ``"100x80"``, ``"100x"`` or ``"x80"``.

    Raises:
        InvalidArgument: *dimensions* is something else, or names no side at all.

    Example:
        >>> parse_dimensions("100x")
        (100, None)
    """
    # Cut: what comes from a query string may be long, and is remembered.
    return _parse_dimensions(str(dimensions)[:_LONGEST])


@lru_cache(maxsize=256)
def _parse_dimensions(text: str) -> tuple[int | None, int | None]:
    found = _DIMENSIONS.fullmatch(text)
    sides = [int(side) if side else None for side in found.groups()] if found else []
    if not any(sides) or 0 in sides:
        hint = "write '100x80', '100x' or 'x80', in pixels"
        if one := _ONE_SIDE.fullmatch(text):
            hint = f"write '{one[1]}x' for a width, 'x{one[1]}' for a height"
        elif any(sides):
            width, height = (side or "" for side in sides)
            hint = f"leave a side out to leave it free: '{width}x{height}'"
        raise InvalidArgument(f"The dimensions {text!r} are none: {hint}.")
    return sides[0], sides[1]


def _split(value: object, most: int) -> list[Any]:
    """Return what is in a list, or in a text with blanks between the parts."""
    if value is None:
        return []
    parts = value.replace(",", " ").split() if isinstance(value, str) else value
    # One more than there may be: the list may be endless.
    return list(islice(parts, most + 1)) if isinstance(parts, Iterable) else [parts]


def parse_numbers(value: object, argument: str, most: float) -> list[float]:
    """Return the numbers of a list, or of a text with blanks between them.

    Args:
        value: Numbers, a text of them, or None for none.
        argument: What they are the argument for, for the message.
        most: The largest that makes sense.

    Raises:
        InvalidArgument: One of them is no number above 0 and up to *most*, or they are too many.

    Example:
        >>> parse_numbers("1.5 2", "srcset", 10)
        [1.5, 2.0]
    """
    try:
        numbers = [float(part) for part in _split(value, _MOST_NUMBERS)]
    except (TypeError, ValueError, OverflowError):
        numbers = [0.0]
    if len(numbers) > _MOST_NUMBERS or not all(0 < number <= most for number in numbers):
        raise InvalidArgument(
            f"The argument {argument!r} must be up to {_MOST_NUMBERS} numbers above 0 and up to"
            f" {most:g}, such as '2 3', not {str(value)[:_LONGEST]!r}."
        )
    return numbers


def parse_formats(value: object) -> list[tuple[str, str]]:
    """Return formats with their media types; those that cannot be written here are left out.

    Args:
        value: Names of formats, a text of them, or None for none.

    Raises:
        InvalidArgument: One of them is no image format of the web, or they are too many.

    Example:
        >>> parse_formats("webp jpg")
        [('WEBP', 'image/webp'), ('JPEG', 'image/jpeg')]
    """
    names = _split(value, _MOST_FORMATS)
    formats: dict[str, str] = {}
    for name in names:
        format = normalize_format(name) if isinstance(name, str) else ""
        if format not in _ON_THE_WEB or len(names) > _MOST_FORMATS:
            raise InvalidArgument(
                f"The argument 'formats' must be up to {_MOST_FORMATS} of"
                f" {', '.join(_ON_THE_WEB)}, such as 'AVIF WEBP', not {str(value)[:_LONGEST]!r}."
            )
        if can_write(format):
            formats[format] = _ON_THE_WEB[format]
    return list(formats.items())


_SIZED = "dimensions and source, or a generator's id, dimensions and source"
#: By their names.
TAGS: Mapping[str, Tag] = {
    "generateimage": Tag(plan_image, image_file, (1,), "the generator's id"),
    "picture": Tag(
        plan_picture,
        None,
        (1, 2, 3),
        f"the spec's id, or {_SIZED}",
        frozenset(["formats", "sizes", "widths"]),
    ),
    "thumbnail": Tag(plan_thumbnail, thumbnail_file, (2, 3), _SIZED, frozenset(["srcset"])),
}
