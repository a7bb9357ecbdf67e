"""Validators for image fields: how large an upload may be, and of which format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import IO, Any

import attrs
from django.core.exceptions import ValidationError
from django.core.files import File
from django.db.models.fields.files import FieldFile
from django.utils.translation import gettext_lazy as _

from imagekit_registry import imaging
from imagekit_registry.exceptions import (
    GenerationError,
    InvalidArgument,
    LimitExceeded,
    UnreadableImage,
)
from imagekit_registry.forms.fields import ERROR_MESSAGES, explain_limit
from imagekit_registry.imaging.formats import normalize_format
from imagekit_registry.specs import default_limits, is_stored, open_source

__all__ = ["ImageLimits"]

_MESSAGES = {
    **ERROR_MESSAGES,
    "too_small": _("The image is too small. It must have at least %(width)s by %(height)s pixels."),
    "too_large": _("The image is too large. It may have at most %(width)s by %(height)s pixels."),
    "wrong_format": _("The image is of the format %(format)s. Upload one of these: %(formats)s."),
}


def _formats(names: Iterable[str] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    given = () if isinstance(names, str) else tuple(names)
    if not given or not all(isinstance(name, str) for name in given):
        # Which formats there are is not known yet: plugins and openers may come later.
        raise InvalidArgument(
            "ImageLimits: 'formats' must be a list of names of formats, such as ['JPEG', 'PNG'], not"
            f" {(names if isinstance(names, str) else given)!r}."
        )
    return tuple(sorted(set(map(normalize_format, given))))


def _pair(size: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if size is None else tuple(size)


def _check_pair(
    instance: object, attribute: attrs.Attribute[Any], value: Sequence[int] | None
) -> None:
    if value is not None and len(value) != 2:
        raise ValueError(
            f"{attribute.name!r} must be a width and a height in pixels, not {value!r}"
        )


_positive = attrs.validators.optional([attrs.validators.instance_of(int), attrs.validators.gt(0)])


@attrs.frozen(kw_only=True)
class ImageLimits:
    """Refuses uploads to an image field that are too large, too small or of a wrong format.

    For Django's own ``ImageField``, of models, forms and serializers. What is left out is what the
    settings allow, so that no upload gets by that specs could not read. The header is read, no
    pixels. What is stored already passes: a row can be saved whose image came before the limits.

    Args:
        max_pixels: Most pixels: width times height.
        max_bytes: Largest file, in bytes.
        min_size: Least width and height, in pixels, of the image as people see it.
        max_size: The same for the largest ones.
        formats: Formats that are taken, by Pillow's names; JPEG means MPO as well.
        full_decode: Whether all pixels are read, so that a damaged or cut off file is refused. It costs
            as much as making an image; a JPEG has to stay below ``IMAGEKIT_MAX_PIXELS`` then.

    Raises:
        ValueError: A limit is not positive, *min_size* or *max_size* is no pair, or *formats* names none.
        TypeError: A number is none.

    Example:
        >>> class Photo(models.Model):
        ...     image = models.ImageField(
        ...         validators=[ImageLimits(max_bytes=10_000_000, formats=["JPEG", "PNG"])]
        ...     )
    """

    max_pixels: int | None = attrs.field(default=None, validator=_positive)
    max_bytes: int | None = attrs.field(default=None, validator=_positive)
    min_size: Sequence[int] | None = attrs.field(
        default=None, converter=_pair, validator=_check_pair
    )
    max_size: Sequence[int] | None = attrs.field(
        default=None, converter=_pair, validator=_check_pair
    )
    formats: Iterable[str] | None = attrs.field(default=None, converter=_formats)
    full_decode: bool = False

    def __call__(self, value: File[Any]) -> None:
        """Look at an upload.

        Raises:
            ValidationError: It is refused: ``invalid_image``, ``too_many_pixels``,
                ``too_many_bytes``, ``too_many_frames``, ``too_complex``, ``too_small``,
                ``too_large`` or ``wrong_format``.
        """
        if not value or (isinstance(value, FieldFile) and is_stored(value)):
            return
        limits = self._limits()
        try:
            with open_source(value) as file:
                header = imaging.read_header(file, limits)
                self._check_header(header, limits)
                if self.full_decode:
                    _read_pixels(file, limits)
        except LimitExceeded as error:
            code, params = explain_limit(error.limit, limits)
            raise _refusal(code, params) from error
        except GenerationError as error:
            raise _refusal("invalid_image") from error

    def _limits(self) -> imaging.Limits:
        limits = default_limits()
        return attrs.evolve(
            limits,
            max_bytes=_least(self.max_bytes, limits.max_bytes),
            max_pixels=_least(self.max_pixels, limits.max_pixels),
            max_missing=0 if self.full_decode else limits.max_missing,
        )

    def _check_header(self, header: imaging.Header, limits: imaging.Limits) -> None:
        format = "JPEG" if header.format == "MPO" else header.format
        if self.formats is not None and format not in self.formats:
            raise _refusal("wrong_format", {"format": format, "formats": ", ".join(self.formats)})
        if self.max_pixels is not None:
            limits.check_pixels(header.size)  # a JPEG that is decoded small may have more
        width, height = header.oriented_size
        if self.min_size is not None and (width < self.min_size[0] or height < self.min_size[1]):
            raise _refusal("too_small", _sides(self.min_size))
        if self.max_size is not None and (width > self.max_size[0] or height > self.max_size[1]):
            raise _refusal("too_large", _sides(self.max_size))

    def deconstruct(self) -> tuple[str, tuple[()], dict[str, object]]:
        """Return path and arguments, for migrations."""
        fields = attrs.fields(type(self))
        given = {each.name: getattr(self, each.name) for each in fields}
        changed = {
            each.name: given[each.name] for each in fields if given[each.name] != each.default
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", (), changed


def _sides(size: Sequence[int]) -> dict[str, str]:
    return {"width": str(size[0]), "height": str(size[1])}


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _read_pixels(file: IO[bytes], limits: imaging.Limits) -> None:
    plan = imaging.Plan(color="keep")
    with imaging.get_decoder("pillow").open(file, limits) as opened:
        frames = opened.header.frames
        if frames == 1:
            opened.decode(plan)
        elif sum(1 for _ in opened.frames(plan)) < frames:
            raise UnreadableImage("a frame is damaged")


def _refusal(code: str, params: dict[str, str] | None = None) -> ValidationError:
    return ValidationError(_MESSAGES[code], code=code, params=params)
