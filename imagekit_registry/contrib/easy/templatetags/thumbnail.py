"""`{% load thumbnail %}`: easy-thumbnails' tag and filters.

{% thumbnail photo.image 100x100 crop="smart" upscale as im %}
{{ photo.image|thumbnail_url:"small" }}
{% with photo.image|thumbnailer as images %}{{ images.small.tag }}{% endwith %}
"""

from __future__ import annotations

import difflib
import logging
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import attrs
from django import template
from django.template import TemplateSyntaxError, VariableDoesNotExist
from django.template.base import FilterExpression, Parser, Token
from django.template.context import Context
from django.utils.html import escape

from imagekit_registry.contrib.easy.alias import aliases
from imagekit_registry.contrib.easy.conf import settings
from imagekit_registry.contrib.easy.files import ThumbnailFile, get_thumbnailer
from imagekit_registry.contrib.easy.processors import known_options
from imagekit_registry.contrib.easy.specs import OTHER_OPTIONS
from imagekit_registry.exceptions import ImageKitError

__all__ = ["RE_SIZE", "ThumbnailNode", "register"]

register = template.Library()

_logger = logging.getLogger("imagekit_registry.contrib.easy")
#: A size as it stands in a tag.
RE_SIZE = re.compile(r"(\d+)x(\d+)")
#: What goes wrong with a source, an alias or an option.
_PROBLEMS = (ImageKitError, KeyError, OSError, TypeError, ValueError)

_Values = Mapping[str, FilterExpression | bool]


def _attempt(make: Callable[[], object]) -> Any:
    """Return what *make* gives; nothing if it fails, unless ``THUMBNAIL_DEBUG`` is on."""
    try:
        return make()
    except (*_PROBLEMS, TemplateSyntaxError, VariableDoesNotExist) as error:
        if settings.THUMBNAIL_DEBUG:
            raise
        _logger.debug("A thumbnail is left out: %s", error)
        return ""


@attrs.define(eq=False, repr=False, slots=False)
class ThumbnailNode(template.Node):
    """Shows the URL of an image, or puts the image into a variable.

    Args:
        source: The source.
        size: A size, or an alias.
        options: The other options.
        variable: The name of the variable; empty to show the URL.
    """

    source: FilterExpression
    size: FilterExpression
    options: _Values
    variable: str

    def render(self, context: Context) -> str:
        """Return the URL, or nothing."""
        file = _attempt(lambda: self._make(context))
        if self.variable:
            context[self.variable] = file
            return ""
        return escape(file.url) if file else ""

    def _make(self, context: Context) -> Any:
        source = self.source.resolve(context)
        if not source:
            raise TemplateSyntaxError(f"{self.source.token!r} is no source of an image.")
        size = self.size.resolve(context)
        options = {
            name: value if isinstance(value, bool) else value.resolve(context)
            for name, value in self.options.items()
        }
        for name in {"quality", "subsampling"} & options.keys():
            options[name] = self._number(name, options[name])
        thumbnailer = get_thumbnailer(source)
        if not isinstance(size, str):
            return thumbnailer.get_thumbnail({**options, "size": size})
        if found := RE_SIZE.fullmatch(size):
            sides = int(found[1]), int(found[2])
            return thumbnailer.get_thumbnail({**options, "size": sides})
        named = aliases.get(size, thumbnailer.alias_target)
        if named is None:
            raise TemplateSyntaxError(
                f"{size!r} is no size, such as '100x80', and no alias of THUMBNAIL_ALIASES."
            )
        if options:
            return thumbnailer.get_thumbnail({**named, **options})
        return thumbnailer[size]

    @staticmethod
    def _number(name: str, value: Any) -> int:
        try:
            return int(value)
        except (TypeError, ValueError):
            raise TemplateSyntaxError(f"{name}={value!r} is no number.") from None


@register.tag
def thumbnail(parser: Parser, token: Token) -> ThumbnailNode:
    """Show the URL of an image, or put the image into a variable.

    The size is ``100x80``, with 0 for a side that is free, a variable that holds that or a pair of
    numbers, or an alias.

    Example:
        {% thumbnail photo.image 100x100 crop="smart" upscale as im %}<img src="{{ im.url }}">
    """
    name, *bits = token.split_contents()
    variable = ""
    if len(bits) > 3 and bits[-2] == "as":
        variable = bits[-1]
        bits = bits[:-2]
    if len(bits) < 2:
        raise TemplateSyntaxError(
            f"The tag '{name}' takes a source and a size, then options, then 'as' and a variable:"
            f" {{% {name} photo.image 100x100 crop as im %}}."
        )
    source, size, *rest = bits
    options: dict[str, FilterExpression | bool] = {}
    known = known_options() - {"size"} | OTHER_OPTIONS
    for bit in rest:
        option, separator, value = bit.partition("=")
        if option not in known:
            _refuse(name, option, known)
        options[option] = parser.compile_filter(value) if separator and value else True
    quoted = f'"{size}"' if RE_SIZE.fullmatch(size) else size
    return ThumbnailNode(
        parser.compile_filter(source), parser.compile_filter(quoted), options, variable
    )


def _refuse(tag: str, option: str, known: frozenset[str]) -> NoReturn:
    if option == "HIGH_RESOLUTION":
        hint = "Load imagekit, whose tag 'thumbnail' makes several densities: srcset='2'."
    else:
        near = difflib.get_close_matches(option, known, n=1) or [", ".join(sorted(known))]
        hint = f"Did you mean {near[0]!r}?" if near[0] in known else f"There are {near[0]}."
    raise TemplateSyntaxError(f"The tag '{tag}' has no option {option!r}. {hint}")


@register.filter
def thumbnailer(obj: object, relative_name: str | None = None) -> Any:
    """Return what makes images of a file, by alias.

    Args:
        obj: The file, a name, or a storage.
        relative_name: The name of the file in the storage.

    Example:
        {% with photo.image|thumbnailer as images %}{{ images.small.url }}{% endwith %}
    """
    return get_thumbnailer(obj, relative_name) if obj else ""


@register.filter
def thumbnailer_passive(obj: object) -> Any:
    """Return the same, which gives only images that are there.

    Args:
        obj: As for `thumbnailer`.
    """
    if not obj:
        return ""
    found = get_thumbnailer(obj)
    found.generate = False
    return found


@register.filter
def thumbnail_url(source: object, alias: str) -> str:
    """Return the URL of the image of an alias; nothing if it cannot be had.

    Args:
        source: The file, or its name.
        alias: The alias.

    Example:
        <img src="{{ photo.image|thumbnail_url:'small' }}" alt="">
    """
    file = _attempt(lambda: get_thumbnailer(source)[alias])
    return file.url if file else ""


@register.filter
def data_uri(thumbnail: ThumbnailFile) -> str:
    """Return an image as a data URI (RFC 2397).

    Args:
        thumbnail: The image.

    Example:
        {% thumbnail photo.image 25x25 crop as im %}<img src="{{ im|data_uri }}" alt="">
    """
    if not thumbnail:
        return ""
    with thumbnail.open() as file:
        content = b64encode(file.read()).decode()
    return f"data:{thumbnail.media_type};base64,{content}"
