"""Images that browsers load before they have read the page: ``<link rel="preload">``, and its header."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

import attrs
from django.utils.safestring import SafeString

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.renditions import Renditions
from imagekit_registry.html._elements import LookUp, look_up, write_attributes
from imagekit_registry.html._picture import PictureMarkup, ShownPicture, ShownSource

_NOT_IN_HEADERS = re.compile(r"[^\x20-\x7e]+")


def _links(shown: ShownPicture) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield URLs and attributes of the links for a picture: for each crop its best format.

    A browser that does not know the format passes its link over. One link matches at a time.
    """
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
        shown = self.picture.resolve(look)
        if shown is None or not shown.is_picture:
            return ""
        html = ""
        for url, values in _links(shown):
            # With it browsers would load one that know no choices.
            href = {"href": None if values["imagesrcset"] else url}
            link = {"rel": "preload", "as": "image", **href, **values, **self.attributes}
            html += f"<link{write_attributes({name: each or None for name, each in link.items()})}>"
        return SafeString(html)

    def header(self, look: LookUp = look_up) -> str:
        """Return the value of a ``Link`` header (RFC 8288) that says the same; empty without an image."""
        shown = self.picture.resolve(look)
        if shown is None or not shown.is_picture:
            return ""
        links = []
        for url, values in _links(shown):
            told: dict[str, str] = {"rel": "preload", "as": "image", **values}
            parts = [f'{name}="{_quoted(value)}"' for name, value in told.items() if value]
            links.append("; ".join([f"<{_quoted(url)}>", *parts]))
        return ", ".join(links)


def _quoted(value: str) -> str:
    # Headers are in ASCII; what a storage quotes is so already.
    value = _NOT_IN_HEADERS.sub(lambda found: quote(found[0]), value)
    return value.replace("\\", "\\\\").replace('"', '\\"')
