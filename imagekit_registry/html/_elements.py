"""What a tag shows: an image, or a choice of images, as HTML."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import attrs
from django.utils.safestring import SafeString

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import (
    GenerationError,
    InvalidArgument,
    InvalidArgumentType,
    MissingSource,
)
from imagekit_registry.html._attributes import Attributes, build_attributes
from imagekit_registry.html._resolved import Answers
from imagekit_registry.state import state_scope

__all__ = [
    "Candidate",
    "ImgMarkup",
    "Markup",
    "PictureMarkup",
    "SourceMarkup",
    "attempt",
    "guard",
    "show",
]

_logger = logging.getLogger("imagekit_registry.html")

#: What values from outside can cause: a missing image, a size from a query string.
_INPUT_ERRORS = (InvalidArgument, InvalidArgumentType, MissingSource)
_BLANKS = re.compile(r"\s")


class Markup(Protocol):
    """**Protocol**: HTML to be, and the files that it needs.

    Built by the tags, rendered by them at once or by the batch around them, in the same thread.
    """

    @property
    def files(self) -> Sequence[ImageCacheFile]:
        """The cache files that `render` asks for their state."""

    def render(self, answers: Answers) -> str:
        """Return the HTML."""


T = TypeVar("T")


def attempt(plan: Callable[[], T]) -> T | None:
    """Return what ``plan()`` gives, or None if input from outside makes it impossible.

    Args:
        plan: Makes the cache files of a tag, and no images.

    Raises:
        ImageKitError: ``IMAGEKIT_ON_ERROR`` is ``"raise"``, or a programmer erred.
    """
    try:
        return plan()
    except (*_INPUT_ERRORS, GenerationError) as error:
        # A source without a name is read for its name, so that planning can fail as making can.
        _pass_over(error)
        return None


def guard(render: Callable[[], str]) -> str:
    """Return what ``render()`` gives, or nothing if input from outside makes it impossible.

    Images that cannot be made have been dealt with by then: a `GenerationError` is to be raised.

    Raises:
        ImageKitError: ``IMAGEKIT_ON_ERROR`` is ``"raise"``, or a programmer erred.
    """
    try:
        return render()
    except _INPUT_ERRORS as error:
        _pass_over(error)
        return ""


def _pass_over(error: Exception) -> None:
    if conf.ON_ERROR == "raise":
        raise error
    _logger.warning("%s", error)


def show(plan: Callable[[], Markup]) -> SafeString:
    """Return the HTML of what ``plan()`` gives; what breaks is handled as the settings say.

    Raises:
        ImageKitError: ``IMAGEKIT_ON_ERROR`` is ``"raise"``, or a programmer erred.
    """
    markup = attempt(plan)
    if markup is None:
        return SafeString("")
    files = markup.files
    if len(files) < 2:
        return SafeString(guard(lambda: markup.render(Answers())))
    with state_scope():
        return SafeString(guard(lambda: markup.render(Answers.about(files))))


@attrs.frozen
class Candidate:
    """One image of a ``srcset``.

    Args:
        file: The image.
        density: For how many device pixels a CSS pixel it is; None if it is offered by its width.
        width: How wide it was asked for, in pixels; it may have become narrower.
    """

    file: ImageCacheFile
    density: float | None = None
    width: int = 0


def build_srcset(candidates: Sequence[Candidate], answers: Answers) -> str:
    """Return the value of a ``srcset``; each width once, since a small source has fewer."""
    by_density: dict[str, str] = {}
    by_width: dict[int, str] = {}
    for candidate in candidates:
        shown = answers.offered(candidate.file)
        if shown is None:
            continue
        url = _srcset_url(shown.url)
        if candidate.density is not None:
            by_density.setdefault(f"{candidate.density}x", url)
        else:
            by_width.setdefault(shown.width or candidate.width, url)
    if by_density:
        return " , ".join(f"{url} {density}" for density, url in by_density.items())
    return ", ".join(f"{url} {width}w" for width, url in sorted(by_width.items()))


def _srcset_url(url: str) -> str:
    """Return *url* such that it is one word of a ``srcset``, without a comma at its ends."""
    url = _BLANKS.sub(lambda blank: quote(blank[0]), url)
    start, end = len(url) - len(url.lstrip(",")), len(url.rstrip(","))
    return "%2C" * start + url[start:end] + "%2C" * (len(url) - end)


@attrs.frozen
class ImgMarkup:
    """An ``<img>`` element.

    Args:
        file: The image.
        attributes: Attributes of the element by name. Width and height are added, unless one of
            them is given: the browser then keeps the proportions.
        candidates: Larger or smaller ones of the image, for its ``srcset``.
        sizes: How wide the image is shown, as the ``sizes`` attribute has it.
    """

    file: ImageCacheFile
    attributes: Attributes = attrs.field(factory=dict)
    candidates: tuple[Candidate, ...] = ()
    sizes: str = ""

    @property
    def files(self) -> Sequence[ImageCacheFile]:
        """The image and those that may be shown in its place."""
        return (self.file, *(candidate.file for candidate in self.candidates))

    def render(self, answers: Answers) -> str:
        """Return the element; nothing if there is neither an image nor what stands in for it."""
        return self.render_and_tell(answers)[0]

    def render_and_tell(self, answers: Answers) -> tuple[str, bool]:
        """Return the element, and whether it shows the image and not what stands in for it."""
        shown, is_image = answers.about_one(self.file)
        if not shown.url:
            return "", False
        attributes: dict[str, Any] = dict(self.attributes)
        if not any(name.lower() in {"width", "height"} for name in attributes):
            attributes["width"] = shown.width
            attributes["height"] = shown.height
        attributes["src"] = shown.url
        if self.candidates and is_image:
            attributes.update(self._choice(answers, _srcset_url(shown.url)))
        return f"<img{build_attributes(attributes)} />", is_image

    def _choice(self, answers: Answers, url: str) -> dict[str, str]:
        srcset = build_srcset(self.candidates, answers)
        if not srcset:
            return {}
        if self.candidates[0].density is not None:
            return {"srcset": f"{url} 1x , {srcset}"}
        return {"srcset": srcset, "sizes": self.sizes or "100vw"}


@attrs.frozen
class SourceMarkup:
    """A ``<source>`` element of a picture: the image in another format.

    Args:
        media_type: Of the format, such as ``image/avif``.
        candidates: The image in that format, in one size or several.
        sizes: How wide the image is shown, as the ``sizes`` attribute has it.
    """

    media_type: str
    candidates: tuple[Candidate, ...]
    sizes: str = ""

    def render(self, answers: Answers) -> str:
        """Return the element; nothing if there is no such image."""
        srcset = build_srcset(self.candidates, answers)
        if not srcset:
            return ""
        attributes = {"type": self.media_type, "srcset": srcset}
        if self.candidates[0].density is None:
            attributes["sizes"] = self.sizes or "100vw"
        elif len(self.candidates) == 1:
            attributes["srcset"] = srcset.split()[0]
        return f"<source{build_attributes(attributes)} />"


@attrs.frozen
class PictureMarkup:
    """A ``<picture>`` element: the same image in several formats and sizes.

    Args:
        img: The ``<img>`` within, which browsers show that know none of the formats.
        sources: The other formats, best first.
    """

    img: ImgMarkup
    sources: tuple[SourceMarkup, ...] = ()

    @property
    def files(self) -> Sequence[ImageCacheFile]:
        """All images, of every format and size."""
        others = (each.file for source in self.sources for each in source.candidates)
        return (*self.img.files, *others)

    def render(self, answers: Answers) -> str:
        """Return the element; only the image that stands in, if the image cannot be made."""
        img, is_image = self.img.render_and_tell(answers)
        if not is_image:
            return img
        sources = [source.render(answers) for source in self.sources]
        return f"<picture>{''.join(sources)}{img}</picture>"
