"""What a spec makes, in another format or width."""

from __future__ import annotations

from types import MethodType
from typing import Any

from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.imaging.formats import normalize_format
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.specs import ImageSpec

__all__ = ["Rendition"]

_KEPT = (
    "animated",
    "auto_orient",
    "autoconvert",
    "background",
    "cachefile_backend",
    "cachefile_storage",
    "cachefile_strategy",
    "color",
    "decode_small",
    "fallback",
    "limits",
    "metadata",
    "spec_id",
)


class Rendition(ImageSpec):
    """The image of another spec, in another format, or no wider than a width.

    Args:
        spec: The other spec, with its source.
        format: The format, by Pillow's name; None for the other spec's.
        width: The largest width, in pixels; None for the other spec's. Nothing is enlarged.

    Raises:
        InvalidArgument: *spec* is no image spec, or makes its images in a way of its own.
    """

    def __init__(self, spec: Any, *, format: str | None = None, width: int | None = None) -> None:
        if not isinstance(spec, ImageSpec) or type(spec).generate is not ImageSpec.generate:
            called = getattr(spec, "spec_id", None) or type(spec).__name__
            raise InvalidArgument(
                f"The generator {called!r} makes its images in a way of its own, in one format and"
                " size. Leave out 'formats' and 'widths', or make it an ImageSpec."
            )
        super().__init__(spec.source)
        for name in _KEPT:
            setattr(self, name, getattr(spec, name))
        namer = spec.namer
        # A function in a class body has become a method of the other spec.
        is_own = isinstance(namer, MethodType) and namer.__self__ is spec
        self.namer = namer.__func__ if is_own else namer
        self.processors = list(spec.processors or ())
        if width is not None:
            self.processors.append(ResizeToFit(width, upscale=False))
        same = format is None or normalize_format(spec.format or "") == format
        self.format = spec.format if same else format
        # Options are those of the spec's own format; another one does not know them.
        self.options = dict(spec.options or {}) if same else None
