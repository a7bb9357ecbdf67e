"""easy-thumbnails' processors, made of those of this library; and processors of other projects.

Each is a function of the image and of options: ``scale_and_crop(image, size=(100, 100), crop=True)``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import attrs
from PIL import Image

from imagekit_registry._loading import get_by_qname
from imagekit_registry.contrib.easy.conf import settings
from imagekit_registry.contrib.easy.exceptions import EasyThumbnailsError
from imagekit_registry.contrib.easy.options import number_of, size_of
from imagekit_registry.processors import (
    Detail,
    EdgeCrop,
    Grayscale,
    MakeOpaque,
    Processor,
    ProcessorPipeline,
    ResizeCanvas,
    ResizeToCover,
    ResizeToFill,
    ResizeToFit,
    Sharpen,
    SmartResize,
    TrimBorderColor,
)

__all__ = [
    "Called",
    "EasyProcessor",
    "Padded",
    "autocrop",
    "background",
    "colorspace",
    "filters",
    "known_options",
    "processors_for",
    "scale_and_crop",
]

_OURS = ("easy_thumbnails.processors", __name__)
_EDGES = re.compile(r"(?:(-?)(\d+))?,(?:(-?)(\d+))?")
_POINT = re.compile(r"(\d*),(\d*)")


@attrs.frozen(slots=False)
class EasyProcessor:
    """A processor of easy-thumbnails: some of ours, as the options have it.

    Args:
        make: Returns these; its parameters are the options.
    """

    make: Callable[..., Sequence[Processor]]

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of the options."""
        return frozenset(inspect.signature(self.make).parameters)

    def build(self, options: Mapping[str, object]) -> Sequence[Processor]:
        """Return the processors."""
        return self.make(**{name: options[name] for name in self.names & options.keys()})

    def __call__(self, im: Image.Image, *args: object, **options: object) -> Image.Image:
        """Return what they make of an image; options are as for *make*, and others not looked at."""
        known = {name: options[name] for name in self.names & options.keys()}
        return ProcessorPipeline(self.make(*args, **known)).process(im)


@attrs.frozen
class Padded:
    """Put an image on a canvas that is as large as was asked for, if it is smaller.

    Args:
        canvas: The canvas, whose colour shows through transparent parts as well.
    """

    canvas: ResizeCanvas

    #: It says so for itself: what comes first decides how small the source is decoded.
    scale_invariant = False

    def process(self, image: Image.Image) -> Image.Image:
        """Return the canvas with *image* in its middle."""
        if self._is_covered(image.size):
            return image
        return self.canvas.process(MakeOpaque(self.canvas.color or "white").process(image))

    def output_size(self, source_size: tuple[int, int]) -> tuple[int, int]:
        """Return the size of the result, in pixels."""
        if self._is_covered(source_size):
            return source_size
        return self.canvas.width, self.canvas.height

    def _is_covered(self, size: tuple[int, int]) -> bool:
        return size[0] >= self.canvas.width and size[1] >= self.canvas.height


@attrs.frozen
class Called:
    """A function of another project, called with an image and with all options.

    Args:
        path: Its dotted path.
        options: Names and values.
    """

    path: str
    options: tuple[tuple[str, Any], ...]

    def process(self, image: Image.Image) -> Image.Image:
        """Return what the function returns."""
        result: Image.Image = get_by_qname(self.path, "processor")(image, **dict(self.options))
        return result


@attrs.frozen
class _Foreign:
    """What has another project's function called."""

    path: str

    @property
    def names(self) -> frozenset[str]:
        function = get_by_qname(self.path, "processor")
        first, *others = inspect.signature(function).parameters.values()
        kinds = (first.POSITIONAL_OR_KEYWORD, first.KEYWORD_ONLY)
        return frozenset(each.name for each in others if each.kind in kinds)

    def build(self, options: Mapping[str, object]) -> Sequence[Processor]:
        return [Called(self.path, tuple(sorted(options.items())))]


def _colorspace(bw: object = False, replace_alpha: Any = False) -> Sequence[Processor]:
    opaque = [MakeOpaque(replace_alpha)] if replace_alpha else []
    return [*opaque, Grayscale()] if bw else opaque


def _autocrop(autocrop: object = False) -> Sequence[Processor]:
    return [TrimBorderColor("white", tolerance=0)] if autocrop else []


def _scale_and_crop(
    size: object,
    crop: object = False,
    upscale: object = False,
    zoom: Any = None,
    target: Any = None,
) -> Sequence[Processor]:
    width, height = size_of({"size": size})
    enlarges, closer, point = bool(upscale), number_of("zoom", zoom or 0), _point(target)
    if not (crop and width and height):
        sides = (width or None, height or None)
        return [ResizeToFit(*sides, enlarges, zoom=closer, target=point if closer else None)]
    if crop == "smart":
        return [SmartResize(width, height, enlarges, zoom=closer)]
    edges = _EDGES.fullmatch(crop) if isinstance(crop, str) else None
    if edges is None and crop != "scale":
        return [ResizeToFill(width, height, upscale=enlarges, target=point, zoom=closer)]
    cover = ResizeToCover(width, height, enlarges, zoom=closer)
    if edges is None:
        return [cover]
    from_right, x, from_bottom, y = edges.groups()
    across = {"right" if from_right else "left": min(int(x), 100)} if x else {}
    down = {"bottom" if from_bottom else "top": min(int(y), 100)} if y else {}
    return [cover, EdgeCrop(width, height, **across, **down)]


def _point(target: Any) -> tuple[float, float] | None:
    """Return a target in per cent, ``(20, 80)`` or ``"20,80"``, as fractions; None for no target."""
    if isinstance(target, str):
        found = _POINT.fullmatch(target)
        target = found and [int(part) if part else None for part in found.groups()]
    if not target:
        return None
    try:
        x, y = (min(max(50 if part is None else part, 0), 100) / 100 for part in target)
    except (TypeError, ValueError):
        raise EasyThumbnailsError(
            f"The target {target!r} is none: give two numbers from 0 to 100, such as (20, 80)."
        ) from None
    return x, y


def _filters(detail: object = False, sharpen: object = False) -> Sequence[Processor]:
    return [*([Detail()] if detail else []), *([Sharpen()] if sharpen else [])]


def _background(size: object, background: Any = None) -> Sequence[Processor]:
    width, height = size_of({"size": size})
    if not (background and width and height):
        return []
    return [Padded(ResizeCanvas(width, height, background))]


colorspace = EasyProcessor(_colorspace)
autocrop = EasyProcessor(_autocrop)
scale_and_crop = EasyProcessor(_scale_and_crop)
filters = EasyProcessor(_filters)
background = EasyProcessor(_background)


def _builder(path: str) -> EasyProcessor | _Foreign:
    module, _, name = path.rpartition(".")
    own = globals().get(name) if module in _OURS else None
    return own if isinstance(own, EasyProcessor) else _Foreign(path)


def known_options(paths: Sequence[str] | None = None) -> frozenset[str]:
    """Return the names of the options that processors look at.

    Args:
        paths: Their dotted paths; None: those of ``THUMBNAIL_PROCESSORS``.
    """
    names = (_builder(path).names for path in paths or settings.THUMBNAIL_PROCESSORS)
    return frozenset().union(*names)


def processors_for(options: Mapping[str, object]) -> Sequence[Processor]:
    """Return what is done to an image with these *options*, by ``THUMBNAIL_PROCESSORS``.

    Raises:
        EasyThumbnailsError: They have no size.
        InvalidArgument: One of them cannot be used.
    """
    size_of(options)
    builders = map(_builder, settings.THUMBNAIL_PROCESSORS)
    return [processor for builder in builders for processor in builder.build(options)]
