"""How an image is offered to browsers: in which formats and sizes, and when it is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidArgument, InvalidConfiguration
from imagekit_registry.imaging.formats import can_write, normalize_format

#: Formats that browsers show.
WEB_FORMATS = ("AVIF", "GIF", "HEIF", "JPEG", "JPEG2000", "JXL", "PNG", "WEBP")
_LAYOUTS = ("fixed", "constrained", "full")
_LOADING = ("lazy", "eager")
_DECODING = ("async", "sync", "auto")
#: Widths, in pixels: of the smallest screens, and of the largest that are common.
_NARROWEST, _WIDEST = 320, 3840
_MOST_WIDTHS = 8
_MOST = 20
_LONGEST_SIDE = 65_535


def _refuse(name: str, expected: str, value: object) -> None:
    raise InvalidArgument(f"Picture: {name!r} must be {expected}, not {str(value)[:50]!r}.")


def _one_of(*words: str) -> Any:
    def check(picture: Picture, attribute: attrs.Attribute[object], value: object) -> None:
        if value is not None and value not in words:
            _refuse(attribute.name, f"one of {', '.join(map(repr, words))}", value)

    return attrs.field(default=None, validator=check)


def _as_tuple(value: object) -> Any:
    if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        return tuple(value)
    return value


def _numbers(what: str, most: float) -> Any:
    def is_right(each: object) -> bool:
        return type(each) in {int, float} and 1 <= each <= most  # type: ignore[operator]

    def check(picture: Picture, attribute: attrs.Attribute[object], value: object) -> None:
        if value is None or (value == "auto" and attribute.name == "widths"):
            return
        if not isinstance(value, tuple) or not 0 < len(value) <= _MOST:
            _refuse(attribute.name, f"{what}, up to {_MOST}", value)
        elif not all(map(is_right, value)):
            _refuse(attribute.name, f"{what} from 1 to {most:,}", value)

    return attrs.field(default=None, converter=_as_tuple, validator=check)


def _check_formats(picture: Picture, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not (
        isinstance(value, tuple) and len(value) <= _MOST and set(value) <= set(WEB_FORMATS)
    ):
        _refuse("formats", f"a tuple of {', '.join(WEB_FORMATS)}", value)


def _normalized(value: object) -> Any:
    value = _as_tuple(value)
    if not isinstance(value, tuple):
        return value
    names = (normalize_format(each) if isinstance(each, str) else each for each in value)
    return tuple(dict.fromkeys(names))


def _check_text(source: Source, attribute: attrs.Attribute[str], value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise InvalidArgument(f"Source: {attribute.name!r} must be a text, not {value!r}.")


@attrs.frozen
class Source:
    """Another crop of an image, for screens of some kind: art direction.

    Args:
        media: The media query for which it is shown, such as ``"(max-width: 600px)"``.
        spec: The id of the spec that makes it, of the same source.

    Raises:
        InvalidArgument: One of them is empty, or no text.
    """

    media: str = attrs.field(validator=_check_text)
    spec: str = attrs.field(validator=_check_text)


def _as_sources(value: object) -> Any:
    value = _as_tuple(value)
    if not isinstance(value, tuple):
        return value
    return tuple(
        Source(*each) if isinstance(each, tuple | list) and len(each) == 2 else each
        for each in value
    )


def _check_sources(picture: Picture, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not (
        isinstance(value, tuple) and all(isinstance(each, Source) for each in value)
    ):
        _refuse("sources", "a tuple of Source", value)


@attrs.frozen(kw_only=True)
class Picture:
    """How an image is offered: what `{% picture %}` makes of a spec.

    What is None is as ``IMAGEKIT_PICTURE`` says, else as told here.

    Args:
        layout: How wide the image is shown. ``"constrained"`` (the default): as wide as the spec makes
            it, or as the screen if that is narrower; ``"full"``: as wide as the screen; ``"fixed"``:
            as wide as the spec makes it, on every screen.
        formats: Offered before the spec's own, best first; ``("AVIF", "WEBP")``. Those that the Pillow
            at hand cannot write are left out.
        widths: Offered, in pixels; ``"auto"``: in steps of ``IMAGEKIT_WIDTH_STEP``.
        densities: For how many device pixels a CSS pixel there is an image, if the layout is
            ``"fixed"``; ``(1, 2)``.
        sizes: How wide the image is shown, as the ``sizes`` attribute has it; by default the layout
            says it.
        placeholder: What is shown while the image loads; none.
        loading: ``"lazy"`` (the default) or ``"eager"``.
        decoding: ``"async"`` (the default), ``"sync"`` or ``"auto"``.
        sources: Other crops, by media query: `Source` objects, or pairs of query and spec id.
        priority: Whether the image is what visitors wait for: it is loaded eagerly, before others.

    Raises:
        InvalidArgument: One of them has a value that makes no sense.

    Example:
        >>> class Hero(ImageSpec):
        ...     processors = [ResizeToFill(1600, 600)]
        ...     picture = Picture(
        ...         layout="full", sources=[Source("(max-width: 600px)", "shop:hero-square")]
        ...     )
    """

    layout: str | None = _one_of(*_LAYOUTS)
    formats: tuple[str, ...] | None = attrs.field(
        default=None, converter=_normalized, validator=_check_formats
    )
    widths: Sequence[float] | str | None = _numbers("'auto' or a tuple of pixels", _LONGEST_SIDE)
    densities: Sequence[float] | None = _numbers("a tuple of numbers", 10)
    sizes: str | None = None
    placeholder: Any = None
    loading: str | None = _one_of(*_LOADING)
    decoding: str | None = _one_of(*_DECODING)
    sources: tuple[Source, ...] | None = attrs.field(
        default=None, converter=_as_sources, validator=_check_sources
    )
    priority: bool | None = None

    def over(self, other: Picture) -> Picture:
        """Return this picture, and where it says nothing what *other* says."""
        return attrs.evolve(other, **_given(self))

    @property
    def is_lazy(self) -> bool:
        """Whether the image is loaded when it comes near to what a visitor sees."""
        return self.loading == "lazy" and not self.priority

    def offered_formats(self) -> tuple[str, ...]:
        """Return the formats that can be written here."""
        return tuple(filter(can_write, self.formats or ()))

    def offered_widths(self, width: int) -> tuple[int, ...]:
        """Return the widths in which an image is offered, in pixels; its own among them.

        Args:
            width: Its own, which the spec gives it.

        Example:
            >>> settle_picture(None).offered_widths(1000)
            (320, 468, 684, 1000, 1414, 2000)
        """
        if self.layout == "fixed":
            return tuple(sorted({width, *(round(width * each) for each in self.densities or ())}))
        if isinstance(self.widths, tuple):
            return tuple(sorted({max(1, round(each)) for each in self.widths}))
        most = max(width, _WIDEST) if self.layout == "full" else 2 * width
        below = _between(min(_NARROWEST, width), width)
        above = _between(width, most)
        while len(below) + len(above) > _MOST_WIDTHS + 1:
            longer = below if len(below) > len(above) else above
            longer[:] = _between(longer[0], longer[-1], len(longer) - 2)
        return tuple(sorted({width, *map(_listed, {*below, *above} - {width})} - {0}))


def _between(first: int, last: int, steps: int = 0) -> list[int]:
    """Return whole numbers from *first* to *last*, each so many times the one before."""
    if first == last:
        return [first]
    ratio = last / first
    steps = steps or max(1, round(math.log(ratio) / math.log(conf.WIDTH_STEP)))
    return [round(first * ratio ** (step / steps)) for step in range(steps + 1)]


def _listed(width: int) -> int:
    """Return the least width of ``IMAGEKIT_WIDTHS`` that is no less; 0 if there is none."""
    listed = conf.WIDTHS
    return min((each for each in listed if each >= width), default=0) if listed else width


_DEFAULT = Picture(
    layout="constrained",
    formats=("AVIF", "WEBP"),
    widths="auto",
    densities=(1, 2),
    loading="lazy",
    decoding="async",
    sources=(),
    priority=False,
)


def _given(picture: Picture) -> dict[str, Any]:
    values = attrs.asdict(picture, recurse=False)
    return {name: value for name, value in values.items() if value is not None}


def settle_picture(*pictures: Picture | None) -> Picture:
    """Return a picture that says all: what the first of *pictures* says, else the next one ...

    What none says is as ``IMAGEKIT_PICTURE`` and the defaults have it.

    Raises:
        InvalidConfiguration: What should be a picture is none, or the setting is wrong.
    """
    try:
        settled = Picture(**conf.PICTURE).over(_DEFAULT)
    except (InvalidArgument, TypeError) as error:
        raise InvalidConfiguration(f"IMAGEKIT_PICTURE is {conf.PICTURE!r}: {error}") from error
    for picture in reversed(pictures):
        if picture is not None:
            if not isinstance(picture, Picture):
                raise InvalidConfiguration(
                    f"A spec's 'picture' is {picture!r}. Write Picture(layout='full'), for example."
                )
            settled = picture.over(settled)
    return settled
