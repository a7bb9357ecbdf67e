"""Sizers and filters by name: the usual ones, and those of a project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import attrs
from django.db.models.fields.files import ImageFieldFile
from PIL import Image

from imagekit_registry.contrib.versatile.datastructures import FilteredImage, SizedImage
from imagekit_registry.contrib.versatile.exceptions import AlreadyRegistered, InvalidFilter
from imagekit_registry.exceptions import InvalidArgument, NotRegistered
from imagekit_registry.processors import Invert, Processor, ResizeToFill, ResizeToFit

__all__ = ["Called", "VersatileImageFieldRegistry", "versatileimagefield_registry"]

Point = tuple[float, float]


#: Gives the processors for an image: of a sizer it is called with width, height and point.
Maker = Callable[..., Sequence[Processor]]


def _thumbnail(width: int, height: int, ppoi: Point) -> Sequence[Processor]:
    """Return what fits an image into a box; nothing is enlarged."""
    return [ResizeToFit(width, height, upscale=False)]


def _crop(width: int, height: int, ppoi: Point) -> Sequence[Processor]:
    """Return what gives exactly a size, with a point in its middle as far as the edges allow."""
    return [ResizeToFill(width, height, target=ppoi)]


def _invert() -> Sequence[Processor]:
    """Return what turns each colour into its opposite."""
    return [Invert()]


@attrs.frozen
class Called:
    """A sizer or filter of a project, whose ``process_image`` writes a file, as a processor.

    Args:
        cls: Its class.
        size: Width and height in pixels; None for a filter.
        ppoi: The point of interest.
    """

    cls: type
    size: tuple[int, int] | None = None
    ppoi: Point = (0.5, 0.5)

    def process(self, image: Image.Image) -> Image.Image:
        """Return what is in the file."""
        maker: Any = object.__new__(self.cls)
        maker.ppoi = self.ppoi
        sizes = {} if self.size is None else {"width": self.size[0], "height": self.size[1]}
        saved = {"format": "PNG"}
        made: BytesIO = maker.process_image(
            image=image, image_format="PNG", save_kwargs=saved, **sizes
        )
        made.seek(0)
        result = Image.open(made)
        result.load()
        return result


@attrs.frozen
class _Own:
    """Has a class of the project called."""

    cls: type

    def __call__(self, *size_and_point: Any) -> Sequence[Processor]:
        return [Called(self.cls, size_and_point[:2] or None, *size_and_point[2:])]


class VersatileImageFieldRegistry:
    """Sizers and filters by the names that templates use.

    Example:
        >>> sorted(versatileimagefield_registry.sizers)
        ['crop', 'thumbnail']
    """

    def __init__(self) -> None:
        self.sizers: dict[str, Maker] = {"crop": _crop, "thumbnail": _thumbnail}
        self.filters: dict[str, Maker] = {"invert": _invert}

    def register_sizer(self, attr_name: str, sizedimage_cls: type) -> None:
        """Register a subclass of `SizedImage`.

        Raises:
            AlreadyRegistered: Another one has the name.
            InvalidArgument: It is no such subclass, or files have an attribute of that name.
        """
        if attr_name in dir(ImageFieldFile):
            raise InvalidArgument(
                f"The sizer {attr_name!r} is called as an attribute of every file."
            )
        _add(self.sizers, attr_name, _own(sizedimage_cls, SizedImage))

    def unregister_sizer(self, attr_name: str) -> None:
        """Remove a sizer.

        Raises:
            NotRegistered: There is none of this name.
        """
        _remove(self.sizers, attr_name)

    def register_filter(self, attr_name: str, filterimage_cls: type) -> None:
        """Register a subclass of `FilteredImage`.

        Raises:
            AlreadyRegistered: Another one has the name.
            InvalidFilter: The name begins with an underscore.
            InvalidArgument: It is no such subclass.
        """
        if attr_name.startswith("_"):
            raise InvalidFilter(f"The filter {attr_name!r} must not begin with an underscore.")
        _add(self.filters, attr_name, _own(filterimage_cls, FilteredImage))

    def unregister_filter(self, attr_name: str) -> None:
        """Remove a filter.

        Raises:
            NotRegistered: There is none of this name.
        """
        _remove(self.filters, attr_name)


def _own(cls: type, base: type) -> _Own:
    if not issubclass(cls, base):
        raise InvalidArgument(f"{cls.__name__} does not derive from {base.__name__}.")
    return _Own(cls)


def _add(known: dict[str, Maker], name: str, maker: Maker) -> None:
    if known.get(name, maker) != maker:
        raise AlreadyRegistered(f"{name!r} is registered already; unregister it first.")
    known[name] = maker


def _remove(known: dict[str, Maker], name: str) -> None:
    if known.pop(name, None) is None:
        raise NotRegistered(f"{name!r} is not registered. There are {', '.join(sorted(known))}.")


versatileimagefield_registry = VersatileImageFieldRegistry()
