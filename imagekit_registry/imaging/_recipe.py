"""The recipe: everything that decides what comes out of a source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, TypeVar

import attrs

from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.processors import Processor

from .formats import normalize_format
from .placeholders import Maker
from .qualities import Quality, check_quality

T = TypeVar("T")


def _tuple(value: Iterable[Processor] | None) -> tuple[Processor, ...]:
    return tuple(value or ())


def _options(value: Mapping[str, object] | None) -> Mapping[str, object]:
    return MappingProxyType(dict(value or {}))


def _format(value: str | None) -> str | None:
    return normalize_format(value) if value else None


def _choice(default: T, *others: T) -> T:
    """Return a field for one of these."""

    def check(_recipe: Recipe, attribute: attrs.Attribute[T], value: T) -> None:
        if value not in (default, *others):
            names = " or ".join(map(repr, (default, *others)))
            raise InvalidArgument(f"{attribute.name} must be {names}, not {value!r}")

    return attrs.field(default=default, validator=check)


@attrs.frozen
class Recipe:
    """What to make of a source image.

    Args:
        processors: Objects with ``process(image)``, applied in this order.
        format: Pillow's name of the format to write; None for that of the source, or WebP or JPEG
            for what not every browser shows: see `formats.default_format`; ``"auto"`` for PNG if any
            part of the result is transparent, else JPEG: then animations become stills;
            ``'smallest'`` for that with the fewest bytes of those that are given to `render_many`.
        options: Pillow's save options for that format.
        autoconvert: Whether colours are converted to a mode that the format can hold.
        auto_orient: Whether the camera's orientation tag is applied (and dropped) first.
        color: ``'srgb'`` converts an embedded profile to sRGB; ``'keep'`` keeps it and its values,
            where mode and format of the result can carry them. PQ and HLG become sRGB always.
        metadata: ``'strip'``, ``'keep'``, ``'copyright'`` (artist and copyright only, from EXIF,
            IPTC or XMP data) or ``'rights'`` (these and the digital source type, in XMP as well).
            What is kept holds no thumbnail, and promises no gain map and no video.
        animated: Whether all frames are kept where the format can hold them.
        background: Colour under transparent pixels where the format has no alpha; None: white.
        decode_small: Whether a source may be decoded at a smaller scale where quality allows.
        quality: ``'low'``, ``'medium'``, ``'high'``, ``'max'``, 0 to 100 or a `Target`, where *options*
            say none; None for that of the format's options.
        never_larger: Whether a still JPEG, PNG or WebP of which the result would show every pixel as
            it is, in the same format and no fewer bytes, is taken itself, without its metadata.
        skip_if: ``'fits'``: such a source is taken in any case, and nothing is encoded.
        placeholder: What makes the placeholders of the finished image, by kind.

    Raises:
        InvalidArgument: *color*, *metadata*, *quality* or *skip_if* has another value.

    Example:
        >>> Recipe(format="jpg").format
        'JPEG'
    """

    processors: tuple[Processor, ...] = attrs.field(default=(), converter=_tuple)
    format: str | None = attrs.field(default=None, converter=_format)
    options: Mapping[str, object] = attrs.field(default=None, converter=_options)
    autoconvert: bool = True
    auto_orient: bool = True
    color: Literal["srgb", "keep"] = _choice("srgb", "keep")
    metadata: Literal["strip", "keep", "copyright", "rights"] = _choice(
        "strip", "keep", "copyright", "rights"
    )
    animated: bool = True
    background: str | int | Sequence[int] | None = None
    decode_small: bool = True
    quality: Quality | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(
            lambda _recipe, _attribute, value: check_quality(value)
        ),
    )
    never_larger: bool = False
    skip_if: Literal["fits"] | None = _choice(None, "fits")
    placeholder: Mapping[str, Maker] = attrs.field(factory=dict)
