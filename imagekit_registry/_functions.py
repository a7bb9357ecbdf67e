"""Functions of a project by name: its own kinds of placeholders, and detectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from imagekit_registry.exceptions import AlreadyRegistered

if TYPE_CHECKING:
    from PIL import Image

G = TypeVar("G")


class _Functions(Generic[G]):
    """Functions by name."""

    #: What they are, for messages and in the names of `register` and `unregister`.
    kind: ClassVar[str]

    def __init__(self) -> None:
        self._functions: dict[str, G] = {}
        #: The names, in the order of their registration; another object after each change.
        self.names: tuple[str, ...] = ()

    def _add(self, name: str, function: G) -> None:
        if self._functions.get(name, function) != function:
            raise AlreadyRegistered(
                f"The {self.kind} {name!r} is already registered, for {self._functions[name]!r}."
                f" To replace it, call unregister.{self.kind}({name!r}) first."
            )
        self._functions[name] = function
        self.names = tuple(self._functions)

    def unregister(self, name: str) -> None:
        """Remove what is registered under *name*; nothing happens if nothing is."""
        self._functions.pop(name, None)
        self.names = tuple(self._functions)

    def get(self, name: str) -> G | None:
        """Return the function that is registered under *name*, or None."""
        return self._functions.get(name)


class PlaceholderRegistry(_Functions["Callable[[Image.Image], str]"]):
    """A project's own kinds of placeholders, by name, for ``placeholder = "name"`` of specs."""

    kind = "placeholder"

    def register(self, name: str, make: Callable[[Image.Image], str]) -> None:
        """Register a function that makes placeholders.

        Args:
            name: What specs call the kind; none of those that we have.
            make: Takes the finished image, a Pillow image in RGB of at most 32 pixels to a side, and
                returns a value of the CSS property ``background``, or a data URI.

        Raises:
            AlreadyRegistered: Another function has the name. Unregister that one first.

        Example:
            >>> register.placeholder("edge", lambda image: "#%02x%02x%02x" % image.getpixel((0, 0)))
        """
        self._add(name, make)


class DetectorRegistry(_Functions["Callable[[Image.Image], Iterable[Sequence[float]]]"]):
    """What finds faces, or whatever images of a project are about; by name.

    It suggests the focal point of a source where the row has none: of several detectors, the first
    that finds something. Their names are a part of the recipes that they have a say in.
    """

    kind = "detector"

    def register(
        self, name: str, detect: Callable[[Image.Image], Iterable[Sequence[float]]]
    ) -> None:
        """Register a function that finds what images are about.

        It is called by whoever makes the images, a worker say, once for each source: in any thread,
        several at a time.

        Args:
            name: What it is called; another name makes other files.
            detect: Takes the upright source, a Pillow image in RGB of at most 640 pixels to a side,
                and returns boxes: left, top, width and height, in pixels of it, and weight. The point
                is their middle by weight. None is found: an empty list.

        Raises:
            AlreadyRegistered: Another function has the name. Unregister that one first.

        Example:
            >>> register.detector("sky", lambda image: [(0, 0, image.width, image.height / 3, 1)])
        """
        self._add(name, detect)
