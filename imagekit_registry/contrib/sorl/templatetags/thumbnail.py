"""sorl-thumbnail's ``{% load thumbnail %}``.

{% thumbnail photo.image "100x100" crop="center" as im %}
    <img src="{{ im.url }}" width="{{ im.width }}" height="{{ im.height }}">
{% empty %}
    No picture
{% endthumbnail %}
<img src="{% thumbnail photo.image "100x100" %}">
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
from django import template
from django.template.base import (
    FilterExpression,
    NodeList,
    Parser,
    Token,
    render_value_in_context,
)
from django.template.context import Context
from django.template.defaultfilters import stringfilter

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.existence import fetch
from imagekit_registry.contrib.sorl import conf
from imagekit_registry.contrib.sorl.images import (
    DummyImage,
    ThumbnailFile,
    ThumbnailUrl,
    dummy,
    is_media_url,
    size_of,
    source_of,
    thumbnail_of,
)
from imagekit_registry.contrib.sorl.specs import parse_geometry
from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.html import Batch, TagNode, active_batch, attempt, waiting
from imagekit_registry.state import state_scope

__all__ = ["ThumbnailNode", "register"]

register = template.Library()

_OPTION = re.compile(r"(\w+)=(.+)", re.DOTALL)
_SYNTAX = '{% thumbnail source "100x80" [option=value ...] [as name] %}'
# Other attributes may have angle brackets between their quotes; the counts bound what a text can cost.
_HTML_IMAGE = re.compile(
    r"""(<img\b(?:[^<>"']|"[^"]{0,2000}"|'[^']{0,2000}'){0,500}?\ssrc=(["']))(.{1,2000}?)(\2)""",
    re.IGNORECASE | re.DOTALL,
)
_MARKDOWN_IMAGE = re.compile(r"(!\[[^\]]{0,2000}\] ?\()()([^)\s]{1,2000})([^)]{0,2000}\))")


@attrs.define(eq=False, repr=False, slots=False)
class ThumbnailNode(TagNode):
    """Shows a block with an image in a variable, or the other block; or the image's URL.

    Args:
        source: The image.
        geometry: Its size.
        options: Names and values, in their order: later ones win.
        variable: The name of the variable; empty for the URL.
        nodelist_file: What is shown with the image.
        nodelist_empty: What is shown without.
    """

    child_nodelists = ("nodelist_file", "nodelist_empty")

    source: FilterExpression
    geometry: FilterExpression
    options: Sequence[tuple[str, FilterExpression]]
    variable: str
    nodelist_file: NodeList
    nodelist_empty: NodeList

    def render(self, context: Context) -> str:
        """Return the block, or the URL.

        In an ``{% imagebatch %}`` the image of a block is taken to be there: whether it is, is asked for
        all of them together, and one that cannot be made is shown by its fallback.
        """
        batch = active_batch() if self.waits and self.variable else None
        image = attempt(self._find, context, batch)
        if image is None:
            return self.nodelist_empty.render(context)
        if not self.variable:
            return str(render_value_in_context(image.url, context))
        shown = self.nodelist_file if batch is None else waiting(self.nodelist_file)
        with context.push(**{self.variable: image}):
            return shown.render(context)

    def _find(self, context: Context, batch: Batch | None) -> ImageCacheFile | DummyImage | None:
        """Return the image; None if there is none to show."""
        source, geometry = self.source.resolve(context), self.geometry.resolve(context)
        options: dict[str, Any] = {}
        for name, expression in self.options:
            value = expression.resolve(context)
            if name == "options" and not isinstance(value, Mapping):
                raise InvalidArgument(
                    f"The options of {{% thumbnail %}} must be a dictionary, not {value!r}."
                )
            options |= value if name == "options" else {name: value}
        has_other = bool(self.nodelist_empty)
        if source:
            image = thumbnail_of(source, geometry, options)
            if batch is not None and not conf.get("THUMBNAIL_DUMMY"):
                return batch.defer(image)
            if not image.has_failed:
                return image
            if not conf.get("THUMBNAIL_DUMMY"):
                return None if has_other or not image.url else image
        is_dummy = conf.get("THUMBNAIL_DUMMY") and not has_other
        return dummy(str(geometry)) if is_dummy else None


@register.tag
def thumbnail(parser: Parser, token: Token) -> ThumbnailNode:
    """Show a thumbnail of any image, as sorl-thumbnail does."""
    _, *bits = token.split_contents()
    variable = bits[-1] if len(bits) >= 2 and bits[-2] == "as" else ""
    bits = bits[:-2] if variable else bits
    if len(bits) < 2 or "as" in bits[:2]:
        raise template.TemplateSyntaxError(
            f"{{% {token.contents} %}} lacks a source or a geometry. Write {_SYNTAX}."
        )
    source, geometry, *rest = bits
    options = []
    for bit in rest:
        found = _OPTION.fullmatch(bit)
        if found is None:
            raise template.TemplateSyntaxError(
                f"{{% thumbnail %}} has {bit!r}, which is no option=value. Write {_SYNTAX}."
            )
        options.append((found[1], parser.compile_filter(found[2])))
    shown, other = NodeList(), NodeList()
    if variable:
        shown = parser.parse(["empty", "endthumbnail"])
        if parser.next_token().contents == "empty":
            other = parser.parse(["endthumbnail"])
            parser.delete_first_token()
    expressions = parser.compile_filter(source), parser.compile_filter(geometry)
    return ThumbnailNode(*expressions, options, variable, shown, other)


# Sizes.


@register.filter
def is_portrait(file: object) -> bool:
    """Return whether an image is higher than wide; False of what is none."""
    if conf.get("THUMBNAIL_DUMMY"):
        return bool(conf.get("THUMBNAIL_DUMMY_RATIO") < 1)
    size = attempt(size_of, file) if file else None
    return size is not None and size[1] > size[0]


@register.filter
def margin(file: object, geometry: object) -> str:
    """Return the CSS margin that centres an image in a box of a geometry."""
    spare = attempt(_spare, file, geometry)
    if spare is None:
        return "auto"
    left, top = (math.floor(each / 2) for each in spare)
    return f"{top}px {spare[0] - left}px {spare[1] - top}px {left}px"


@register.filter
def background_margin(file: object, geometry: object) -> str:
    """Return the CSS position that centres a background image in a box of a geometry."""
    spare = attempt(_spare, file, geometry)
    return "auto" if spare is None else f"{spare[0] / 2:g}px {spare[1] / 2:g}px"


def _spare(file: object, geometry: object) -> tuple[int, int] | None:
    """Return how much wider and higher a box is than an image; None if that has no size."""
    if not file or isinstance(file, DummyImage) or conf.get("THUMBNAIL_DUMMY"):
        return None
    size = size_of(file)
    if size is None:
        return None
    (width, height), ratio = parse_geometry(geometry), size[0] / size[1]
    width, height = width or round((height or 0) * ratio), height or round((width or 0) / ratio)
    return width - size[0], height - size[1]


@register.filter
def resolution(url: str, times: object) -> str:
    """Return the URL of a thumbnail in a larger size, such as ``"2x"``, which is made as it is.

    Any other URL is returned as it is: what it shows is not known.
    """
    if not isinstance(url, ThumbnailUrl):
        return url
    return attempt(_scaled, url, times) or url


def _scaled(url: ThumbnailUrl, times: object) -> str:
    try:
        number = float(str(times).strip("x"))
    except ValueError:
        number = 0.0
    if not 0 < number <= 10:
        raise InvalidArgument(f"A resolution is a number up to 10 such as '2x', not {times!r}.")
    return url.scaled(number)


# Texts.


def _with_thumbnails(value: str, pattern: re.Pattern[str], write: Callable[[str], str]) -> str:
    """Return *value* with thumbnails in the place of images that lie under ``MEDIA_URL``."""
    width = str(conf.get("THUMBNAIL_FILTER_WIDTH"))
    images: dict[str, ThumbnailFile] = {}
    for found in pattern.finditer(value):
        url = html.unescape(found[3])
        # The folder of all media, which a text may name as well, is no image.
        if is_media_url(url) and source_of(url):
            images[found[3]] = thumbnail_of(url, width, {})

    def replace(found: re.Match[str]) -> str:
        image = images.get(found[3])
        if image is None or attempt(partial(getattr, image), "has_failed"):
            return found[0]
        return f"{found[1]}{write(image.url)}{found[4]}"

    with state_scope():
        fetch(list(images.values()))
        return pattern.sub(replace, value)


@register.filter(is_safe=True)
@stringfilter
def html_thumbnails(value: str) -> str:
    """Return HTML with thumbnails in the place of its images; those of other sites stay."""
    return _with_thumbnails(value, _HTML_IMAGE, html.escape)


@register.filter(is_safe=True)
@stringfilter
def markdown_thumbnails(value: str) -> str:
    """Return Markdown with thumbnails in the place of its images; those of other sites stay."""
    return _with_thumbnails(value, _MARKDOWN_IMAGE, str)
