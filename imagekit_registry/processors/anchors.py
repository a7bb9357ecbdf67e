"""Which part of an image is kept: anchors, and the focal point of a row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from functools import cache, lru_cache
from operator import is_
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import attrs

from imagekit_registry.exceptions import InvalidArgument, answer_or

from . import _fields as fields
from ._protocol import Processor

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Anchor", "AnchorPoint", "Anchored", "FocalPoint", "place"]

#: The anchor that stands for the focal point of the row that holds the source.
FOCAL = "focal"
#: Anchors of what cuts, beside those of `Anchor`: where the image has the most detail, and what
#: libvips believes that people look at.
ENTROPY = ("auto", "entropy")
ATTENTION = "attention"
#: The longest side, in pixels, of what is looked at to find a point.
_SEEN_SIDE = 640
#: An anchor as arguments give it: words, letters out of `Anchor`, percentages such as "20% 80%", or
#: fractions of width and height.
AnchorPoint = str | Sequence[float] | Sequence[str]


@attrs.frozen
class FocalPoint:
    """What an image is about: a point, perhaps with a box around it, in fractions of the image.

    Args:
        x: Of the point, from 0 (left) to 1 (right).
        y: Of the point, from 0 (top) to 1 (bottom).
        width: Of the box, whose middle is the point, as a fraction of the image's; 0: no box.
        height: Of the box, likewise.

    Raises:
        InvalidArgument: One of them is not from 0 to 1.

    Example:
        >>> str(FocalPoint(0.5, 1 / 3))
        '0.500,0.333'
    """

    # As many digits as are kept, so that a point is equal to itself when it is read again.
    x: float = fields.number(0, 1, digits=3)
    y: float = fields.number(0, 1, digits=3)
    width: float = fields.number(0, 1, digits=3, default=0.0)
    height: float = fields.number(0, 1, digits=3, default=0.0)

    @classmethod
    def parse(cls, text: str) -> FocalPoint:
        """Return the point that *text* tells: two numbers, or four, with commas between them.

        Raises:
            InvalidArgument: They are others.

        Example:
            >>> FocalPoint.parse("0.5,0.25")
            FocalPoint(x=0.5, y=0.25, width=0.0, height=0.0)
        """
        none: list[float] = []
        numbers = answer_or(none, lambda: [float(part) for part in text.split(",")])
        if len(numbers) not in {2, 4}:
            raise InvalidArgument(
                f"The focal point {text[:50]!r} is none. Write x and y as fractions of width and"
                " height, such as '0.5,0.333'; width and height of a box may follow."
            )
        return cls(*numbers)

    @property
    def anchor(self) -> tuple[float, float, float, float]:
        """The point as an anchor: four numbers."""
        return self.x, self.y, self.width, self.height

    def __str__(self) -> str:
        numbers = self.anchor if self.width or self.height else self.anchor[:2]
        return ",".join(f"{number:.3f}" for number in numbers)


_PERCENTAGE = re.compile(r"(\d{1,3}(?:\.\d+)?)%", re.ASCII)
_AXES = (
    {"left": 0.0, "center": 0.5, "right": 1.0},
    {"top": 0.0, "center": 0.5, "bottom": 1.0},
)


class Anchor:
    """Points of an image to hold on to: by words, letters, percentages or fractions of the sides."""

    TOP_LEFT = "tl"
    TOP = "t"
    TOP_RIGHT = "tr"
    BOTTOM_LEFT = "bl"
    BOTTOM = "b"
    BOTTOM_RIGHT = "br"
    CENTER = "c"
    LEFT = "l"
    RIGHT = "r"

    _FRACTIONS: ClassVar[dict[str, tuple[float, float]]] = {
        f"{row}{column}" or "c": (x, y)
        for row, y in (("t", 0), ("", 0.5), ("b", 1))
        for column, x in (("l", 0), ("", 0.5), ("r", 1))
    }
    _LETTERS: ClassVar[dict[frozenset[str], str]] = {
        frozenset(f"{row} {column}".split()): f"{row[:1]}{column[:1]}".replace("c", "") or "c"
        for row in ("top", "center", "bottom", "")
        for column in ("left", "center", "right", "")
        if row or column
    }

    @staticmethod
    def get_letters(anchor: str) -> str:
        """Return an anchor in words, such as ``"top left"``, by its letters; any other as it is."""
        words = frozenset(anchor.lower().replace("-", " ").split())
        return Anchor._LETTERS.get(words, anchor)

    @staticmethod
    def get_tuple(anchor: AnchorPoint) -> tuple[float, float]:
        """Return an anchor as fractions of width and height.

        Percentages are as CSS has them in ``object-position``: "20% 80%" is the point at a fifth of the
        width and four fifths of the height; in place of either may stand a word.

        Raises:
            InvalidArgument: *anchor* is neither a known word, nor two percentages from 0 to 100, nor a
                pair of numbers from 0 to 1.

        Example:
            >>> Anchor.get_tuple("tr"), Anchor.get_tuple("25% bottom")
            ((1, 0), (0.25, 1.0))
        """
        if isinstance(anchor, str):
            found = Anchor._FRACTIONS.get(Anchor.get_letters(anchor)) or _read_percentages(anchor)
            if found is None:
                raise InvalidArgument(
                    f"The anchor {anchor!r} is unknown. Use words such as 'top left' or 'center', one"
                    f" of {', '.join(sorted(Anchor._FRACTIONS))}, percentages of width and height"
                    " such as '20% 80%', or a pair of numbers from 0 to 1."
                )
            return found
        try:
            x, y = (float(part) for part in anchor)
        except (TypeError, ValueError):
            x = y = -1.0
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise InvalidArgument(f"The anchor {anchor!r} is no pair of numbers from 0 to 1.")
        return x, y


def _read_percentages(anchor: str) -> tuple[float, float] | None:
    """Return what ``"20% 80%"`` or ``"20% top"`` mean; None for what has no percentage."""
    words = anchor.lower().split()
    if "%" not in anchor or len(words) != 2:
        return None
    found = map(_PERCENTAGE.fullmatch, words)
    x, y = (
        float(percentage[1]) / 100 if percentage else axis.get(word, -1.0)
        for percentage, word, axis in zip(found, words, _AXES, strict=True)
    )
    return (x, y) if 0 <= x <= 1 and 0 <= y <= 1 else None


@cache
def find_vips() -> ModuleType | None:
    """Return the module of libvips; None where it is not installed."""
    try:
        import pyvips
    except (ImportError, OSError):  # the package, or the library that it loads
        return None
    found: ModuleType = pyvips
    return found


def _is_chain(anchor: Sequence[object]) -> bool:
    """Return whether these are several anchors, of which the first one that can be had counts."""
    return bool(anchor) and all(isinstance(each, str) for each in anchor)


def anchor_place(anchor: AnchorPoint) -> tuple[float, ...]:
    """Return an anchor as fractions of width and height: a pair, or the four of a focal point.

    Raises:
        InvalidArgument: It is none.
    """
    if isinstance(anchor, tuple) and len(anchor) == 4:
        return Anchor.get_tuple(anchor[:2]) + Anchor.get_tuple(anchor[2:])
    return Anchor.get_tuple(anchor)


def find_place(image: Image.Image, anchor: AnchorPoint | None) -> tuple[float, ...]:
    """Return an anchor of *image* as fractions of width and height: a pair, or four for a point.

    Args:
        image: Where libvips looks for what people look at, if that is the anchor.
        anchor: None for the middle.
    """
    vips = find_vips() if anchor == ATTENTION else None
    if vips is None:
        return anchor_place(anchor or Anchor.CENTER)
    from .utils import true_color  # models need points, and none of that

    small = true_color(image).convert("RGB")
    small.thumbnail((_SEEN_SIDE, _SEEN_SIDE))
    width, height = small.size
    seen = vips.Image.new_from_memory(small.tobytes(), width, height, 3, "uchar")
    # It looks for the best part of a size, and tells the best point within that.
    part = max(1, width // 2), max(1, height // 2)
    options = {"interesting": "attention", "attention_x": True, "attention_y": True}
    _, found = seen.copy(interpretation="srgb").smartcrop(*part, **options)
    x, y = found["attention_x"] / width, found["attention_y"] / height
    return min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0), 0.0, 0.0


def anchor_field(*words: str, **options: Any) -> AnchorPoint | None:
    """Return a field for an anchor, or None; one point is equal however it is written.

    Args:
        *words: Other anchors than those of `Anchor`.
        **options: Of `attrs.field`.
    """

    def convert(value: object) -> object:
        if isinstance(value, str):
            return Anchor.get_letters(str.__str__(value))
        if isinstance(value, FocalPoint):
            return value.anchor
        if not isinstance(value, list | tuple):
            return value
        if words and _is_chain(value):
            return tuple(map(convert, value))
        return answer_or(value, lambda: tuple(map(float, value)))

    def check(
        instance: object, attribute: attrs.Attribute[object], value: AnchorPoint | None
    ) -> None:
        if value is not None:
            try:
                key(value)
            except InvalidArgument as error:
                raise InvalidArgument(f"{type(instance).__name__}: {error}") from None

    def key(value: AnchorPoint | None) -> object:
        if isinstance(value, str) and value in words:
            return ENTROPY[0] if value in ENTROPY else value
        if words and isinstance(value, tuple) and _is_chain(value):
            return tuple(map(key, value))
        return None if value is None else anchor_place(value)

    made: AnchorPoint | None
    made = attrs.field(converter=convert, validator=check, eq=key, **options)
    return made


class _Positioned(Protocol):
    anchor: AnchorPoint | None
    x: int | None
    y: int | None


def refuse_two_positions(processor: _Positioned) -> None:
    """Raise `InvalidArgument` if a processor was given both an anchor and coordinates."""
    if processor.anchor and (processor.x is not None or processor.y is not None):
        raise InvalidArgument(
            f"{type(processor).__name__}: give either 'anchor' or 'x' and 'y', not both."
        )


class Anchored:
    """The base of processors that cut an image to the part around an anchor.

    Attributes:
        anchor: The anchor; ``"focal"`` is told by whoever knows the row, before the image is made.
        otherwise: The anchor where that is ``"focal"`` and the row has no point, or none is known; or
            several, such as ``("attention", "top")``: the first that can be had counts.
        closeness: How near a focal point is shown, in per cent.
    """

    # For subclasses whose constructors say nothing of them.
    anchor: AnchorPoint | None = None
    otherwise: AnchorPoint | None = None
    closeness: int = 0

    @property
    def is_cutting(self) -> bool:
        """Whether an anchor makes a difference."""
        return True

    @property
    def known_anchor(self) -> AnchorPoint | None:
        """The anchor; that for rows without a point, while nobody has said whether there is one."""
        anchor: Any = self.otherwise if self.anchor == FOCAL else self.anchor
        chain = anchor if isinstance(anchor, tuple) and _is_chain(anchor) else (anchor,)
        return next((each for each in chain if each != ATTENTION or find_vips()), ENTROPY[0])

    def placed(
        self, ask: Callable[[], FocalPoint | None], default: AnchorPoint | None = None
    ) -> Self:
        """Return this processor with an anchor that says all by itself.

        Args:
            ask: Returns the focal point, if there is one; called where one is needed.
            default: The anchor where none was given.
        """
        anchor = self.anchor
        if anchor is None and default is not None and self.is_cutting:
            anchor = default
        if anchor == FOCAL:
            point = ask()
            anchor = self.otherwise if point is None else point.anchor
        if anchor is self.anchor:
            return self
        if "__attrs_attrs__" in vars(type(self)):
            moved: Self = _move(self, tuple(anchor) if isinstance(anchor, list) else anchor)
            return moved
        # An ordinary subclass has a constructor of its own, and is free to be changed.
        twin = copy(self)
        twin.anchor = anchor
        return twin


@lru_cache(maxsize=4096, typed=True)
def _move(processor: Any, anchor: AnchorPoint | None) -> Any:
    # The same object each time: what is known of a file holds for the very same processors.
    return attrs.evolve(processor, anchor=anchor, otherwise=None)


def place(
    processors: Iterable[Processor],
    ask: Callable[[], FocalPoint | None],
    default: AnchorPoint | None = None,
) -> list[Processor]:
    """Return *processors* with anchors that say all by themselves; arguments as for `Anchored`."""
    placed: list[Processor] = []
    for processor in processors:
        if isinstance(processor, Anchored):
            placed.append(processor.placed(ask, default))
        elif isinstance(processor, list):
            inner = place(processor, ask, default)
            if all(map(is_, processor, inner)):
                placed.append(processor)
            else:
                twin = copy(processor)
                twin[:] = inner
                placed.append(twin)
        else:
            placed.append(processor)
    return placed
