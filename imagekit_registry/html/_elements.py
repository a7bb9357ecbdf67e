"""What a tag shows, as HTML: an image, for dense screens in several sizes."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from html import escape
from typing import Protocol
from urllib.parse import quote

import attrs

from imagekit_registry._rules import ATTRIBUTE_NAME
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.fallbacks import Fallback, fallback_for
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.cachefiles.renditions import Renditions
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import (
    GenerationError,
    ImageKitError,
    InvalidArgument,
    InvalidConfiguration,
)
from imagekit_registry.generatorlibrary import THUMBNAIL_ID
from imagekit_registry.html._arguments import LONGEST
from imagekit_registry.imaging import Placeholder

_logger = logging.getLogger("imagekit_registry.html")

#: Gives the URL and size of an image, and True; or those of what stands in, and False.
LookUp = Callable[[ImageCacheFile], tuple[Fallback, bool]]

_BLANKS = re.compile(r"\s")
SIDES = frozenset(["height", "width"])


class Markup(Protocol):
    """**Protocol**: HTML to be, and the files that it needs.

    Rendered at once, or by the batch around it when the records of all its images were fetched.
    """

    @property
    def renditions(self) -> Sequence[Renditions]:
        """The images whose records tell which `files` there are; none if nothing has to be told."""

    @property
    def files(self) -> Sequence[ImageCacheFile]:
        """All images that it shows, or lets a browser choose from."""

    def render(self, look: LookUp = ...) -> str:
        """Return the HTML, with the URLs and sizes that *look* gives."""


def is_attribute_name(name: str) -> bool:
    """Return whether *name* can be the name of an HTML attribute.

    Example:
        >>> is_attribute_name("data-id"), is_attribute_name("a b")
        (True, False)
    """
    return ATTRIBUTE_NAME.fullmatch(name) is not None


def look_for_alt(args: Sequence[object], html: Mapping[str, object] | None) -> None:
    """See that the ``<img>`` of a tag has an ``alt``, as ``IMAGEKIT_ALT`` wants it.

    Args:
        args: The tag's unnamed arguments.
        html: The attributes that it gives.

    Raises:
        InvalidConfiguration: There is none, and there has to be one.
    """
    if conf.ALT == "optional" or any(
        str(name).lower() == "alt" for name in [*(html or ()), *conf.IMG]
    ):
        return
    what = f"{THUMBNAIL_ID!r}" if len(args) == 2 else repr(str(args[0]))[:LONGEST]
    text = (
        f"An <img> of {what} has no 'alt'. Write alt=\"...\" after '--', for those who cannot see the"
        ' image; alt="" if it is decoration.'
    )
    if conf.ALT == "require":
        raise InvalidConfiguration(f"{text} IMAGEKIT_ALT is 'require'.")
    _warn_once(text)


@lru_cache(maxsize=1000)
def _warn_once(text: str) -> None:
    _logger.warning("%s", text)


def settle_attributes(
    attributes: Mapping[str, object] | None, defaults: Mapping[str, object] | None = None
) -> dict[str, str | bool]:
    """Return *attributes* as they are now, however late they are written.

    Before them there are those of ``IMAGEKIT_IMG`` and of *defaults*, unless they have the same names.

    Args:
        attributes: Values by name. None and False leave the attribute out.
        defaults: Likewise.

    Raises:
        InvalidArgument: A name is no name of an attribute, or is ``src``, which the tag writes.
    """
    given = {str(name): value for name, value in (attributes or {}).items()}
    names = set(map(str.lower, given))
    others = {**conf.IMG, **(defaults or {})}
    before = {name: value for name, value in others.items() if name.lower() not in names}
    settled: dict[str, str | bool] = {}
    for name, value in {**before, **given}.items():
        if not ATTRIBUTE_NAME.fullmatch(name):
            raise InvalidArgument(f"{name[:50]!r} is no name of an HTML attribute.")
        if name.lower() == "src":
            raise InvalidArgument("The attribute 'src' is written by the tag itself.")
        is_flag = value is True or value is False or value is None
        # A lazy translation, for one, is another text later.
        settled[name] = bool(value) if is_flag else str(value)
    return settled


def build_attributes(attributes: Mapping[str, object]) -> str:
    """Return attributes as HTML, each with a blank before it.

    Args:
        attributes: Values by name. None and False leave the attribute out, True leaves its value
            out; any other value is escaped, also if it was marked safe: what is safe between tags
            may end an attribute.

    Raises:
        InvalidArgument: A name is no name of an attribute.

    Example:
        >>> build_attributes({"alt": 'a "cat"', "hidden": False})
        ' alt="a &quot;cat&quot;"'
    """
    for name in attributes:
        if not ATTRIBUTE_NAME.fullmatch(name):
            raise InvalidArgument(f"{name[:50]!r} is no name of an HTML attribute.")
    return write_attributes(attributes)


def escape_value(value: object) -> str:
    """Return the value of an attribute as it stands between its quotes."""
    return escape(str(value))


def write_attributes(attributes: Mapping[str, object]) -> str:
    parts = [
        f" {name}" if value is True else f' {name}="{escape_value(value)}"'
        for name, value in attributes.items()
        if value is not None and value is not False
    ]
    return "".join(parts)


def look_up(
    file: ImageCacheFile, failures: Mapping[CacheFile, ImageKitError] | None = None
) -> tuple[Fallback, bool]:
    """Return the URL and size of an image, and True; or those of what stands in, and False.

    Args:
        file: The image.
        failures: What has just failed to be made, and why.
    """
    error = failures.get(file) if failures else None
    if error is None:
        try:
            return file.shown(), file.fallback is None
        except GenerationError as found:
            error = found
    if not isinstance(error, GenerationError):
        raise error
    # If failures are to be raised, this raises it (again).
    return fallback_for(file, error), False


def srcset_url(url: str) -> str:
    """Return *url* such that it is one word of a ``srcset``, without a comma at its ends."""
    url = _BLANKS.sub(lambda blank: quote(blank[0]), url)
    start, end = len(url) - len(url.lstrip(",")), len(url.rstrip(","))
    return "%2C" * start + url[start:end] + "%2C" * (len(url) - end)


def add_placeholder(attributes: dict[str, object], placeholder: Placeholder) -> None:
    """Add to the attributes of an ``<img>`` what shows its placeholder, and hashes for scripts."""
    if placeholder.css:
        is_style = conf.PLACEHOLDER_DELIVERY == "style"
        wanted, value = "style", placeholder.css
        if not is_style:
            wanted, value = "class", placeholder.class_name
        name = next((name for name in attributes if name.lower() == wanted), wanted)
        own = attributes.get(name)
        attributes[name] = f"{value}{';' if is_style else ' '}{own}" if own else value
    hashes = {"data-thumbhash": placeholder.thumbhash, "data-blurhash": placeholder.blurhash}
    attributes |= {name: value for name, value in hashes.items() if value} | attributes


def style_rule(files: Sequence[ImageCacheFile]) -> str:
    """Return the CSS rules that are to stand beside the HTML of *files*; empty for none."""
    if conf.PLACEHOLDER_DELIVERY != "nonce":
        return ""
    shown = [file.placeholder.rule for file in files if file.spec.shown_placeholder is not None]
    return "".join(dict.fromkeys(shown))


@attrs.frozen
class ImgMarkup:
    """An ``<img>`` element.

    Args:
        file: The image.
        attributes: Attributes of the element by name. Width and height are added, unless one of
            them is given: the browser then keeps the proportions.
        densities: Larger ones of the image, each with the number of device pixels that a CSS pixel of
            its screens has.

    Raises:
        InvalidArgument: A name is no name of an attribute, or is ``src``, which is written anyway.
    """

    file: ImageCacheFile
    attributes: Mapping[str, str | bool] = attrs.field(default=None, converter=settle_attributes)
    densities: tuple[tuple[float, ImageCacheFile], ...] = ()

    @property
    def renditions(self) -> Sequence[Renditions]:
        """Nothing: what is shown is known without any record."""
        return ()

    @property
    def files(self) -> Sequence[ImageCacheFile]:
        """The image and those that may be shown in its place."""
        return [self.file, *[file for _, file in self.densities]]

    def render(self, look: LookUp = look_up) -> str:
        """Return the element; nothing if there is neither an image nor what stands in for it."""
        shown, is_image = look(self.file)
        if not shown.url:
            return ""
        attributes: dict[str, object] = {**self.attributes}
        if SIDES.isdisjoint(map(str.lower, attributes)):
            attributes |= {"width": shown.width, "height": shown.height}
        attributes["src"] = shown.url
        if is_image and self.file.spec.shown_placeholder is not None:
            add_placeholder(attributes, self.file.placeholder)
        if is_image and (srcset := self._choice(shown.url, look)):
            attributes["srcset"] = srcset
        return f"<img{write_attributes(attributes)}>"

    def _choice(self, own_url: str, look: LookUp) -> str:
        """Return the ``srcset``; empty if there is no other image to choose.

        A browser that has chosen an image shows nothing at all if it does not load: what is not there
        yet is not offered, and what stands in for an image stands in once.
        """
        urls: dict[float, str] = {}
        for density, file in self.densities:
            shown, is_image = look(file)
            if is_image and shown.url and file:
                urls.setdefault(density, srcset_url(shown.url))
        urls = {1: srcset_url(own_url)} | urls if urls else {}
        return " , ".join(f"{url} {density}x" for density, url in urls.items())
