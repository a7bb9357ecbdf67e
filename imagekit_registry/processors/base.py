"""Processors for colour and orientation, and what holds processors together."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal, Self

import attrs
from PIL import Image, ImageEnhance, ImageOps

from imagekit_registry.exceptions import InvalidArgument, answer_or

from . import _fields as fields
from ._fields import Color
from ._protocol import Processor, Size
from .anchors import Anchor
from .utils import has_alpha, true_color

__all__ = ["Adjust", "Anchor", "MakeOpaque", "ProcessorPipeline", "Reflection", "Transpose"]


class BaseProcessor:
    """The base of the shipped processors.

    The shipped ones are frozen. A subclass that is no attrs class may set attributes in an
    ``__init__`` of its own, as an ordinary class does; it is compared by them.

    Example:
        >>> class Square(ResizeToFill):
        ...     def __init__(self, side):
        ...         super().__init__(side, side)
        ...         self.side = side
        >>> Square(50) == Square(50)
        True
    """

    #: Is the result for a smaller decode the smaller result?
    scale_invariant = False

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        """Free an ordinary subclass from what attrs made its base: frozen, equal by fields."""
        if "__attrs_attrs__" not in cls.__dict__ and "_is_free" not in cls.__dict__:
            type.__setattr__(cls, "_is_free", True)
            for name, method in _FREE_METHODS.items():
                owner = next(base for base in cls.__mro__ if name in vars(base))
                if "__attrs_attrs__" in vars(owner) or owner is object:
                    type.__setattr__(cls, name, method)
        return super().__new__(cls)

    # Here and not by attrs, which takes half as long again for each class otherwise.
    def __repr__(self) -> str:
        state = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({state})"


def _equal(self: object, other: object) -> bool:
    return vars(self) == vars(other) if type(self) is type(other) else NotImplemented


def _hash(self: object) -> int:
    return hash(type(self))  # attributes may be lists: the class must do


_FREE_METHODS = {
    "__setattr__": object.__setattr__,
    "__delattr__": object.__delattr__,
    "__eq__": _equal,
    "__hash__": _hash,
}


def output_size_of(processor: object, size: Size) -> Size | None:
    """Return what *processor* says of its result's size; None if it does not say."""
    predict: Callable[[Size], Size | None] | None = getattr(processor, "output_size", None)
    return None if predict is None else predict(size)


def is_scale_invariant(processor: object) -> bool:
    """Return whether the result of *processor* for a smaller decode is the smaller result."""
    return bool(getattr(processor, "scale_invariant", False))


def is_ours(cls: type[object]) -> bool:
    """Return whether a class is one of the shipped processors."""
    return cls.__module__.startswith(__package__ or "")


def overrides(processor: Processor, *names: str) -> bool:
    """Return whether a user's subclass changed ``process`` and none of the methods *names*.

    What those say about sizes is then not about what it does.
    """
    for cls in type(processor).__mro__:
        if any(name in vars(cls) for name in names):
            return False
        if "process" in vars(cls):
            return not is_ours(cls)
    return False


def foreseen_size(processor: Processor, size: Size) -> Size | None:
    """Return the size of what *processor* is going to make of *size*; None if that cannot be told.

    Its own mistakes show when it is run.
    """
    if overrides(processor, "output_size"):
        return None
    return answer_or(None, output_size_of, processor, size)


class ProcessorPipeline(list[Processor]):
    """Processors in a row, which act as one.

    Example:
        >>> pipeline = ProcessorPipeline([Adjust(contrast=1.2), ResizeToFill(50, 50)])
        >>> pipeline.output_size((640, 427))
        (50, 50)
    """

    def process(self, image: Image.Image) -> Image.Image:
        """Return what the processors make of *image*, one after another."""
        for processor in self:
            image = processor.process(image)
        return image

    def output_size(self, source_size: Size) -> Size | None:
        """Return the size in pixels of the result; None if one of the processors does not say."""
        size: Size | None = source_size
        for processor in self:
            size = size and output_size_of(processor, size)
        return size

    def required_size(self, source_size: Size) -> Size | None:
        """Return the least size in pixels of a decode that serves; None if every pixel is needed.

        The first processor that is not about single pixels decides.
        """
        first = next((each for each in self if not is_scale_invariant(each)), None)
        ask: Callable[[Size], Size | None] | None = getattr(first, "required_size", None)
        return None if ask is None else ask(source_size)


class SameSizeProcessor(BaseProcessor):
    """The base of processors that keep the size."""

    def output_size(self, source_size: Size) -> Size | None:
        """Return the size of the result: that of the source."""
        return source_size


class PointProcessor(SameSizeProcessor):
    """The base of processors that look at single pixels."""

    scale_invariant = True

    def required_size(self, source_size: Size) -> Size | None:
        """Return None: what it is given is all it needs, but alone it is given everything."""
        return None


def on_colors(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Return *image* with *change* done to its colours, and its transparency as it was."""
    if image.mode != "L" or "transparency" in image.info:
        image = true_color(image)
    if image.mode != "RGBA":
        return change(image)
    result = change(image.convert("RGB"))
    result.putalpha(image.getchannel("A"))
    return result


@attrs.frozen(slots=False, repr=False)
class Adjust(PointProcessor):
    """Change colour, brightness, contrast and sharpness, in this order.

    Args:
        color: Saturation: 0 is grey, 1 leaves it as it is, more is more colourful.
        brightness: 0 is black, 1 leaves it as it is, more is brighter.
        contrast: 0 is an even grey, 1 leaves it as it is, more has more contrast.
        sharpness: 0 is blurred, 1 leaves it as it is, 2 is sharpened.

    Raises:
        InvalidArgument: A factor is not from -100 to 100.

    Example:
        >>> Adjust(contrast=1.2, sharpness=1.1)
        Adjust(color=1.0, brightness=1.0, contrast=1.2, sharpness=1.1)
    """

    color: float = fields.number(-100, 100, default=1.0)
    brightness: float = fields.number(-100, 100, default=1.0)
    contrast: float = fields.number(-100, 100, default=1.0)
    sharpness: float = fields.number(-100, 100, default=1.0)

    @property
    def scale_invariant(self) -> bool:  # type: ignore[override]
        """Whether a smaller image gives the smaller result: not where sharpness looks around."""
        return self.sharpness == 1.0

    def process(self, image: Image.Image) -> Image.Image:
        """Return an adjusted copy; grey stays grey, and transparency stays as it is."""
        return on_colors(image, self._enhance)

    def _enhance(self, colors: Image.Image) -> Image.Image:
        for enhance, factor in (
            (ImageEnhance.Color, self.color),
            (ImageEnhance.Brightness, self.brightness),
            (ImageEnhance.Contrast, self.contrast),
            (ImageEnhance.Sharpness, self.sharpness),
        ):
            if factor != 1.0:
                colors = enhance(colors).enhance(factor)
        return colors


@attrs.frozen(slots=False, repr=False)
class Reflection(BaseProcessor):
    """Add a reflection that fades out below the image.

    Args:
        background_color: What it fades into.
        size: The reflection's height, as a share (0 to 1) of the image's.
        opacity: How strong it is at its upper edge, from 0 to 1.
    """

    background_color: Color = fields.color(default="#FFFFFF")
    size: float = fields.number(0, 1, default=0.0)
    opacity: float = fields.number(0, 1, default=0.6)

    def process(self, image: Image.Image) -> Image.Image:
        """Return *image* with its reflection below."""
        image = true_color(image)
        width, height = image.size
        depth = int(height * self.size)
        if depth == 0:
            return image
        color = fields.rgba(self.background_color)
        opaque = image.mode == "RGB" and color[3] == 255
        image = image.convert("RGBA")
        mirrored = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).crop((0, 0, width, depth))
        # From the opacity at the upper edge to nothing at the lower one.
        start = int(255 - 255 * self.opacity)
        fade = Image.linear_gradient("L").resize((width, depth))
        fade = fade.point([start + round(value * (255 - start) / 255) for value in range(256)])
        background = Image.new("RGBA", (width, depth), color)
        result = Image.new("RGBA", (width, height + depth), color)
        result.paste(image, (0, 0))
        result.paste(Image.composite(background, mirrored, fade), (0, height))
        return result.convert("RGB") if opaque else result

    def output_size(self, source_size: Size) -> Size:
        """Return the size of the result, in pixels."""
        width, height = source_size
        return width, height + int(height * self.size)


@attrs.frozen(slots=False, init=False, repr=False)
class Transpose(BaseProcessor):
    """Turn or mirror the image.

    Args:
        *methods: What is done, in this order, out of the constants of this class; `AUTO`, which is
            also what no method means, follows the EXIF orientation and nothing else.

    Raises:
        InvalidArgument: A method is unknown.

    Example:
        >>> Transpose(Transpose.ROTATE_90, Transpose.FLIP_HORIZONTAL)
        Transpose(methods=(<Transpose.ROTATE_90: 2>, <Transpose.FLIP_LEFT_RIGHT: 0>))
    """

    AUTO: ClassVar[Literal["auto"]] = "auto"
    FLIP_HORIZONTAL: ClassVar[Image.Transpose] = Image.Transpose.FLIP_LEFT_RIGHT
    FLIP_VERTICAL: ClassVar[Image.Transpose] = Image.Transpose.FLIP_TOP_BOTTOM
    ROTATE_90: ClassVar[Image.Transpose] = Image.Transpose.ROTATE_90
    ROTATE_180: ClassVar[Image.Transpose] = Image.Transpose.ROTATE_180
    ROTATE_270: ClassVar[Image.Transpose] = Image.Transpose.ROTATE_270

    methods: tuple[Image.Transpose | Literal["auto"], ...] = ("auto",)

    def __init__(self, *methods: Image.Transpose | Literal["auto"]) -> None:
        known: list[Image.Transpose | Literal["auto"]] = []
        for method in methods or ("auto",):
            try:
                known.append("auto" if method == "auto" else Image.Transpose(method))
            except ValueError:
                raise InvalidArgument(
                    f"Transpose: {method!r} is no method. Use Transpose.AUTO, FLIP_HORIZONTAL,"
                    " FLIP_VERTICAL, ROTATE_90, ROTATE_180 or ROTATE_270."
                ) from None
        object.__setattr__(self, "methods", tuple(known))

    def process(self, image: Image.Image) -> Image.Image:
        """Return a turned copy."""
        if "auto" in self.methods:
            return ImageOps.exif_transpose(image)
        for method in self.methods:
            image = image.transpose(method)  # type: ignore[arg-type]  # "auto" is none of them
        return image

    def output_size(self, source_size: Size) -> Size | None:
        """Return the size of the result in pixels; None where it hangs on the EXIF orientation."""
        if "auto" in self.methods:
            return None
        kinds = Image.Transpose
        turning = {kinds.ROTATE_90, kinds.ROTATE_270, kinds.TRANSPOSE, kinds.TRANSVERSE}
        turns = sum(method in turning for method in self.methods)
        return source_size if turns % 2 == 0 else (source_size[1], source_size[0])


@attrs.frozen(slots=False, repr=False)
class MakeOpaque(PointProcessor):
    """Put the image on a plain background, so that nothing shines through.

    Args:
        background_color: The colour of the background.
    """

    background_color: Color = fields.color(default=(255, 255, 255))

    def process(self, image: Image.Image) -> Image.Image:
        """Return an opaque copy, in RGB."""
        image = true_color(image)
        if not has_alpha(image):
            return image
        background = Image.new("RGBA", image.size, fields.rgba(self.background_color))
        background.alpha_composite(image)
        return background.convert("RGB")
