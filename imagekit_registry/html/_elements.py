"""What a tag shows, as HTML: an image, or a choice of images."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import attrs

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.fallbacks import Fallback, fallback_for
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import GenerationError, ImageKitError, InvalidArgument
from imagekit_registry.imaging import Placeholder

#: What has just failed to be made, and why.
Failures = Mapping[CacheFile, ImageKitError]
NO_FAILURES: Failures = {}

# What the HTML standard allows in a name (13.1.2.3 Attributes): neither control characters nor
# blanks, quotes, angle brackets, slashes and equals signs; "<" is a parse error on top of that.
_ATTRIBUTE_NAME = re.compile(r"""[^\x00-\x20\x7f-\x9f"'<>/=`\ufdd0-\ufdef\ufffe\uffff]+""")
_BLANKS = re.compile(r"\s")
_SIDES = frozenset(["height", "width"])
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})


def is_attribute_name(name: str) -> bool:
    """Return whether *name* can be the name of an HTML attribute.

    Example:
        >>> is_attribute_name("data-id"), is_attribute_name("a b")
        (True, False)
    """
    return _ATTRIBUTE_NAME.fullmatch(name) is not None


def settle_attributes(attributes: Mapping[str, object] | None) -> dict[str, str | bool]:
    """Return *attributes* as they are now, however late they are written.

    Args:
        attributes: Values by name. None and False leave the attribute out.

    Raises:
        InvalidArgument: A name is no name of an attribute, or is ``src``, which the tag writes.
    """
    settled: dict[str, str | bool] = {}
    for name, value in attributes.items() if attributes else ():
        if not _ATTRIBUTE_NAME.fullmatch(str(name)):
            raise InvalidArgument(f"{str(name)[:50]!r} is no name of an HTML attribute.")
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
        if not _ATTRIBUTE_NAME.fullmatch(name):
            raise InvalidArgument(f"{name[:50]!r} is no name of an HTML attribute.")
    return _write_attributes(attributes)


def _write_attributes(attributes: Mapping[str, object]) -> str:
    parts = [
        f" {name}" if value is True else f' {name}="{str(value).translate(_ESCAPED)}"'
        for name, value in attributes.items()
        if value is not None and value is not False
    ]
    return "".join(parts)


def _look_up(file: ImageCacheFile, failures: Failures) -> tuple[Fallback, bool]:
    """Return the URL and size of an image, and True; or those of what stands in, and False."""
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


def _build_choice(
    candidates: Sequence[Candidate], sizes: str, failures: Failures, own_url: str = ""
) -> dict[str, str]:
    """Return the attributes ``srcset`` and ``sizes``; none if there is no image to choose.

    A browser that has chosen an image shows nothing at all if it does not load: what is not there
    yet is not offered, and what stands in for an image stands in once. Each width is offered once,
    since a small source has fewer. *own_url* is that of another image, for plain screens.
    """
    urls: dict[float, str] = {}
    for each in candidates:
        shown, is_image = _look_up(each.file, failures)
        if is_image and shown.url and each.file:
            urls.setdefault(each.density or shown.width or each.width, _srcset_url(shown.url))
    if not urls:
        return {}
    if candidates[0].density is None:
        by_width = [f"{url} {width}w" for width, url in sorted(urls.items())]
        return {"srcset": ", ".join(by_width), "sizes": sizes or "100vw"}
    if own_url:
        urls = {1: _srcset_url(own_url)} | urls
    elif len(candidates) == 1:
        return {"srcset": urls.popitem()[1]}
    return {"srcset": " , ".join(f"{url} {density}x" for density, url in urls.items())}


def _srcset_url(url: str) -> str:
    """Return *url* such that it is one word of a ``srcset``, without a comma at its ends."""
    url = _BLANKS.sub(lambda blank: quote(blank[0]), url)
    start, end = len(url) - len(url.lstrip(",")), len(url.rstrip(","))
    return "%2C" * start + url[start:end] + "%2C" * (len(url) - end)


def _add_placeholder(attributes: dict[str, object], placeholder: Placeholder) -> None:
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
    """Return the CSS rule that is to stand beside the HTML of *files*; empty for none."""
    is_wanted = files and files[0].spec.placeholder is not None
    if not is_wanted or conf.PLACEHOLDER_DELIVERY != "nonce":
        return ""
    return files[0].placeholder.rule


@attrs.frozen
class ImgMarkup:
    """An ``<img>`` element.

    Args:
        file: The image.
        attributes: Attributes of the element by name. Width and height are added, unless one of
            them is given: the browser then keeps the proportions.
        candidates: Larger or smaller ones of the image, for its ``srcset``.
        sizes: How wide the image is shown, as the ``sizes`` attribute has it.

    Raises:
        InvalidArgument: A name is no name of an attribute, or is ``src``, which is written anyway.
    """

    file: ImageCacheFile
    attributes: Mapping[str, str | bool] = attrs.field(default=None, converter=settle_attributes)
    candidates: tuple[Candidate, ...] = ()
    sizes: str = ""

    @property
    def files(self) -> Sequence[ImageCacheFile]:
        """The image and those that may be shown in its place."""
        return [self.file, *[candidate.file for candidate in self.candidates]]

    def render(self, failures: Failures = NO_FAILURES) -> str:
        """Return the element; nothing if there is neither an image nor what stands in for it."""
        return self.render_and_tell(failures)[0]

    def render_and_tell(self, failures: Failures) -> tuple[str, bool]:
        """Return the element, and whether it shows the image and not what stands in for it."""
        shown, is_image = _look_up(self.file, failures)
        if not shown.url:
            return "", False
        attributes: dict[str, object] = {**self.attributes}
        if _SIDES.isdisjoint(map(str.lower, attributes)):
            attributes |= {"width": shown.width, "height": shown.height}
        attributes["src"] = shown.url
        if is_image and self.file.spec.placeholder is not None:
            _add_placeholder(attributes, self.file.placeholder)
        if is_image and self.candidates:
            attributes |= _build_choice(self.candidates, self.sizes, failures, shown.url)
        return f"<img{_write_attributes(attributes)} />", is_image


@attrs.frozen
class PictureMarkup:
    """A ``<picture>`` element: the same image in several formats and sizes.

    Args:
        img: The ``<img>`` within, which browsers show that know none of the formats.
        sources: The image in other formats by media type, best first; each in one size or several.
    """

    img: ImgMarkup
    sources: Mapping[str, tuple[Candidate, ...]] = attrs.field(factory=dict)

    @property
    def files(self) -> Sequence[ImageCacheFile]:
        """All images, of every format and size."""
        return [*self.img.files, *[each.file for some in self.sources.values() for each in some]]

    def render(self, failures: Failures = NO_FAILURES) -> str:
        """Return the element; only the image that stands in, if the image cannot be made."""
        img, is_image = self.img.render_and_tell(failures)
        if not is_image:
            return img
        sources = ""
        for media_type, candidates in self.sources.items():
            if choice := _build_choice(candidates, self.img.sizes, failures):
                sources += f"<source{_write_attributes({'type': media_type} | choice)} />"
        return f"<picture>{sources}{img}</picture>"


#: HTML to be, and the files that it needs; rendered at once, or by the batch around it.
Markup = ImgMarkup | PictureMarkup
