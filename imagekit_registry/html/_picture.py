"""An image in several formats and sizes: which of them are offered, and how HTML and headers say so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

import attrs
from django.utils.safestring import SafeString

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.existence import known
from imagekit_registry.cachefiles.renditions import Renditions
from imagekit_registry.html._elements import (
    SIDES,
    LookUp,
    add_placeholder,
    look_up,
    srcset_url,
    write_attributes,
)
from imagekit_registry.imaging.formats import format_to_mimetype
from imagekit_registry.specs import Picture

#: Of its bytes, what a smaller file must do without to be offered beside the next larger one; and
#: what one in a better format must.
_LARGEST_SHARE = 0.9
_LARGEST_SHARE_OF_FORMAT = 0.95
_NOT_IN_HEADERS = re.compile(r"[^\x20-\x7e]+")


@attrs.frozen
class _Offered:
    """A file that is there."""

    url: str
    width: int
    size: int


def _offered(renditions: Renditions, look: LookUp) -> dict[str, list[_Offered]]:
    """Return what is there by its format, best first, each in order of width.

    A browser that has chosen a file shows nothing at all if it does not load: what is not there yet is
    not offered.
    """
    found: dict[str, dict[int, _Offered]] = {}
    for each in renditions.offered:
        shown, is_image = look(each.file)
        files = found.setdefault(each.format, {})
        if is_image and shown.url and each.file:
            record = known(each.file)
            size = record.size if record is not None else None
            width = shown.width or each.width
            files[width] = _Offered(srcset_url(shown.url), width, size or 0)
    # Best formats first, that of the spec last.
    own = found.pop("", {})
    return worth_while({**found, "": own})


def worth_while(found: Mapping[str, Mapping[int, _Offered]]) -> dict[str, list[_Offered]]:
    """Return, of files by format and width, those that have fewer bytes than what a browser has else.

    Formats come best first, that of the spec last.
    """
    paying: dict[str, Mapping[int, _Offered]] = {}
    reference: Mapping[int, _Offered] = {}
    for format in reversed([*found]):
        files = found[format]
        if files and _pays(files, reference):
            paying[format] = reference = files
    return {format: _smaller(paying[format]) for format in reversed(paying)}


def _pays(files: Mapping[int, _Offered], others: Mapping[int, _Offered]) -> bool:
    """Return whether a format has fewer bytes than the next one, as far as both are known."""
    both = [width for width in files if width in others and files[width].size * others[width].size]
    size, other = (sum(each[width].size for width in both) for each in (files, others))
    return not both or size < _LARGEST_SHARE_OF_FORMAT * other


def _smaller(files: Mapping[int, _Offered]) -> list[_Offered]:
    """Return those with fewer bytes than the next larger one, in order of width."""
    ordered = [files[width] for width in sorted(files)]
    kept = ordered[-1:]
    for each in reversed(ordered[:-1]):
        if not each.size or not kept[-1].size or each.size <= _LARGEST_SHARE * kept[-1].size:
            kept.append(each)
    return kept[::-1]


@attrs.frozen
class ShownSource:
    """A ``<source>`` of a picture, by its attributes.

    Args:
        srcset: The files.
        sizes: How wide the image is shown; empty if files are told by densities.
        media: The media query for which it is; empty for every screen.
        type: The media type; empty for what every browser shows.
        width: The width in pixels, of another crop; None for the image's.
        height: Likewise, the height.
    """

    srcset: str
    sizes: str = ""
    media: str = ""
    type: str = ""
    width: int | None = None
    height: int | None = None


@attrs.frozen
class ShownPicture:
    """What is shown of a picture: as text it is the element.

    Args:
        url: The URL of the image in the size and format of its spec.
        width: Its width in pixels, if known.
        height: Likewise, its height.
        srcset: The files that a browser may choose from; empty if there is one.
        sizes: How wide the image is shown; empty if nothing is to be chosen by it.
        sources: The ``<source>`` elements, in their order.
        attributes: The attributes of the ``<img>``, beside those.
        is_picture: Whether there is a ``<picture>`` around it.

    Example:
        >>> picture = ShownPicture("/media/hero.jpg", 320, 160, attributes={"alt": ""})
        >>> str(picture)
        '<picture><img alt="" width="320" height="160" src="/media/hero.jpg"></picture>'
    """

    url: str
    width: int | None
    height: int | None
    srcset: str = ""
    sizes: str = ""
    sources: tuple[ShownSource, ...] = ()
    attributes: Mapping[str, object] = attrs.field(factory=dict, repr=False)
    is_picture: bool = True

    def __str__(self) -> str:
        return self.__html__()

    def __html__(self) -> SafeString:
        attributes = {**self.attributes}
        if SIDES.isdisjoint(map(str.lower, attributes)):
            attributes |= {"width": self.width, "height": self.height}
        attributes |= {"src": self.url, "srcset": self.srcset or None, "sizes": self.sizes or None}
        html = f"<img{write_attributes(attributes)}>"
        if self.is_picture:
            html = f"<picture>{''.join(map(_write_source, self.sources))}{html}</picture>"
        return SafeString(html)


def _write_source(source: ShownSource) -> str:
    values = attrs.asdict(source)
    order = ("media", "type", "srcset", "sizes", "width", "height")
    return f"<source{write_attributes({name: values[name] or None for name in order})}>"


@attrs.frozen(eq=False)
class PictureMarkup:
    """A ``<picture>`` element, or an ``<img>`` with a ``srcset``: one image in several files.

    Args:
        renditions: The image as it is offered; before it its other crops.
        picture: How it is offered; it says all.
        attributes: Attributes of the ``<img>`` by name.
        is_picture: Whether there is a ``<picture>`` around the ``<img>``.
    """

    renditions: Sequence[Renditions]
    picture: Picture
    attributes: Mapping[str, str | bool]
    is_picture: bool = True

    @property
    def files(self) -> Sequence[ImageCacheFile]:
        """All images that are offered; their records tell which these are."""
        # Of another crop it is enough to know how wide it is.
        images = [each.file for each in self.renditions[:-1] if each.fixed_size is None]
        offered = [each.file for some in self.renditions for each in some.offered]
        return [self.renditions[-1].file, *images, *offered]

    def render(self, look: LookUp = look_up) -> str:
        """Return the element; only the image that stands in, if the image cannot be made."""
        shown = self.resolve(look)
        return "" if shown is None else str(shown)

    def resolve(self, look: LookUp = look_up) -> ShownPicture | None:
        """Return what is shown; None if there is neither an image nor what stands in for it."""
        *crops, own = self.renditions
        shown, is_image = look(own.file)
        if not shown.url:
            return None
        # What stands in for an image may be no picture, and is written by itself.
        if not is_image:
            return ShownPicture(
                shown.url, shown.width, shown.height, "", "", (), self.attributes, is_picture=False
            )
        attributes: dict[str, object] = {**self.attributes}
        if own.file.spec.shown_placeholder is not None:
            add_placeholder(attributes, own.file.placeholder)
        for crop in crops:
            if crop.fixed_size is None:
                look(crop.file)
        sources = [each for crop in crops for each in self._sources(crop, look).values()]
        choices = self._sources(own, look, srcset_url(shown.url))
        last = choices.pop("", ShownSource(""))
        return ShownPicture(
            shown.url,
            shown.width,
            shown.height,
            last.srcset,
            last.sizes if last.srcset else "",
            (*sources, *choices.values()),
            attributes,
            self.is_picture,
        )

    def _sources(
        self, renditions: Renditions, look: LookUp, own_url: str = ""
    ) -> dict[str, ShownSource]:
        """Return the choices that there are of one crop by format, that of its spec last."""
        width, height = renditions.size
        sizes = "" if self.picture.layout == "fixed" else self._sizes(width)
        sides = {"width": width, "height": height} if renditions.media and width else {}
        found = {}
        for format, files in _offered(renditions, look).items():
            type = (format_to_mimetype(format) or "") if format else ""
            is_choice = [each.url for each in files] != [own_url]
            srcset = self._srcset(files, width) if is_choice else ""
            found[format] = ShownSource(srcset, sizes, renditions.media, type, **sides)
        return found

    def _srcset(self, files: Sequence[_Offered], width: int) -> str:
        if self.picture.layout == "fixed" and width:
            return ", ".join(f"{each.url} {round(each.width / width, 2):g}x" for each in files)
        return ", ".join(f"{each.url} {each.width}w" for each in files)

    def _sizes(self, width: int) -> str:
        if self.picture.sizes:
            return self.picture.sizes
        is_limited = self.picture.layout == "constrained" and width
        sizes = f"(min-width: {width}px) {width}px, 100vw" if is_limited else "100vw"
        # Then the browser waits for the layout, and knows better.
        return f"auto, {sizes}" if self._is_auto else sizes

    @property
    def _is_auto(self) -> bool:
        names = {name.lower(): value for name, value in self.attributes.items()}
        return names.get("loading") == "lazy" and len(SIDES & names.keys()) != 1


def _links(shown: ShownPicture | None) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield URLs and attributes of the links for a picture: for each crop its best format.

    A browser that does not know the format passes its link over. One link matches at a time.
    """
    if shown is None or not shown.is_picture:
        return
    whole = ShownSource(shown.srcset, shown.sizes)
    best: dict[str, ShownSource] = {}
    for each in [*shown.sources, whole]:
        best.setdefault(each.media, each)
    earlier: list[str] = []
    for media, each in best.items():
        conditions = [*(f"(not ({other}))" for other in earlier), *([media] if media else [])]
        url = each.srcset.split(" ")[0] or shown.url
        yield (
            url,
            {
                "imagesrcset": each.srcset,
                "imagesizes": each.sizes,
                "media": " and ".join(conditions),
                "type": each.type,
                "fetchpriority": "high",
            },
        )
        if "," in media or not media.startswith("("):
            # It cannot be said of the others that they are for screens that are none of these.
            return
        earlier.append(media)


@attrs.frozen(eq=False)
class PreloadMarkup:
    """The ``<link rel="preload">`` of a picture, one for each of its crops.

    Args:
        picture: The picture.
        attributes: More attributes of the elements, such as ``crossorigin``.
    """

    picture: PictureMarkup
    attributes: Mapping[str, str | bool]

    @property
    def renditions(self) -> Sequence[Renditions]:
        """Those of the picture."""
        return self.picture.renditions

    @property
    def files(self) -> Sequence[ImageCacheFile]:
        """Those of the picture."""
        return self.picture.files

    def render(self, look: LookUp = look_up) -> str:
        """Return the elements; nothing while there is no image, or what stands in for it is shown."""
        html = ""
        for url, values in _links(self.picture.resolve(look)):
            # With it browsers would load one that know no choices.
            href = {"href": None if values["imagesrcset"] else url}
            link = {"rel": "preload", "as": "image", **href, **values, **self.attributes}
            html += f"<link{write_attributes({name: each or None for name, each in link.items()})}>"
        return SafeString(html)

    def header(self, look: LookUp = look_up) -> str:
        """Return the value of a ``Link`` header (RFC 8288) that says the same; empty without an image."""
        links = []
        for url, values in _links(self.picture.resolve(look)):
            told: dict[str, str] = {"rel": "preload", "as": "image", **values}
            parts = [f'{name}="{_quoted(value)}"' for name, value in told.items() if value]
            links.append("; ".join([f"<{_quoted(url)}>", *parts]))
        return ", ".join(links)


def _quoted(value: str) -> str:
    # Headers are in ASCII; what a storage quotes is so already.
    value = _NOT_IN_HEADERS.sub(lambda found: quote(found[0]), value)
    return value.replace("\\", "\\\\").replace('"', '\\"')
