"""`{% load imagekit %}`: images in templates.

{% generateimage 'app:id' source=photo.image key=value -- alt="text" %}
{% thumbnail '100x80' photo.image srcset='2 3' -- alt="text" %}
{% picture 'app:id' source=photo.image formats='AVIF WEBP' widths='320 640' -- alt="text" %}
{% imagepreload 'app:id' source=photo.image %}
{% imagebatch %} ... {% endimagebatch %}
"""

from __future__ import annotations

import re
from typing import NoReturn

from django import template
from django.template.base import FilterExpression, Parser, Token
from django.template.context import Context
from django.utils.safestring import SafeString

from imagekit_registry.generatorlibrary import THUMBNAIL_ID
from imagekit_registry.html import (
    TAGS,
    Tag,
    TagNode,
    active_batch,
    attempt,
    batched,
    explain_unknown,
    is_attribute_name,
    show,
    waiting,
)

__all__ = ["DEFAULT_THUMBNAIL_GENERATOR", "register"]

#: The id of the generator that `thumbnail` uses.
DEFAULT_THUMBNAIL_GENERATOR = THUMBNAIL_ID

register = template.Library()

_KEYWORD = re.compile(r"(\w+)=(.+)", re.DOTALL)
_ATTRIBUTE = re.compile(r"([^\s=\"']+)=(.+)", re.DOTALL)

_Values = dict[str, FilterExpression]


class ImageNode(TagNode):
    """Shows an image, or puts it into a variable.

    Args:
        tag: The tag.
        args: Its unnamed arguments.
        kwargs: Its named arguments.
        html: The attributes of the element.
        variable: The name of the variable; empty to show the image.
    """

    def __init__(
        self, tag: Tag, args: list[FilterExpression], kwargs: _Values, html: _Values, variable: str
    ) -> None:
        self.tag = tag
        self.args = args
        self.kwargs = tuple(kwargs.items())
        self.html = tuple(html.items())
        self.variable = variable

    def render(self, context: Context) -> SafeString:
        """Return the HTML, or a mark that the batch around it fills in."""
        args = [value.resolve(context) for value in self.args]
        kwargs = {name: value.resolve(context) for name, value in self.kwargs}
        if self.variable and self.tag.file is not None:
            file = attempt(self.tag.file, args, kwargs)
            batch = active_batch() if self.waits else None
            # Not by its truth, which would ask for its state.
            if batch is not None and file is not None:
                file = batch.lend(file)
            context[self.variable] = file
            return SafeString("")
        html = {name: value.resolve(context) for name, value in self.html}
        return show(self.tag.plan, args, kwargs, html, waits=self.waits)


class ImageBatchNode(TagNode):
    """``{% imagebatch %}``: the state of all images in it is fetched in one round trip."""

    def __init__(self, nodelist: template.NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: Context) -> SafeString:
        """Return the body; in another batch with marks that that one fills in."""
        nodelist = waiting(self.nodelist)
        if self.waits:
            return nodelist.render(context)
        return batched(lambda: nodelist.render(context))


def _compile(tag: Tag, parser: Parser, token: Token) -> ImageNode:
    name, *bits = token.split_contents()
    variable = ""
    if bits and bits[-1] == "as":
        _refuse(name, "has nothing after 'as': write the name of a variable there")
    if len(bits) >= 2 and bits[-2] == "as":
        variable = bits[-1]
        bits = bits[:-2]
        if not variable.isidentifier():
            _refuse(
                name, f"cannot be put into {variable!r}: write the name of a variable after 'as'"
            )
    html: _Values = {}
    if "--" in bits:
        if variable:
            _refuse(
                name,
                f"takes either HTML attributes after '--' or 'as {variable}': with a variable,"
                " write the element yourself",
            )
        at = bits.index("--")
        bits, html_bits = bits[:at], bits[at + 1 :]
        if not html_bits:
            _refuse(name, "has nothing after '--'. Leave it out, or write attributes: alt=\"...\"")
        html = _compile_attributes(parser, name, html_bits)
    args, kwargs = _compile_arguments(parser, name, bits)
    if len(args) not in tag.counts:
        given = ", ".join(str(arg) for arg in args) or "none"
        by = "," if "," in tag.takes else ""
        _refuse(name, f"takes {tag.takes}{by} as unnamed arguments, not: {given}")
    for taken in ("id",) if len(args) == 1 else ("height", "id", "source", "width"):
        if taken in kwargs:
            _refuse(name, f"has {taken!r} by name, which comes from the unnamed arguments")
    # What a variable names may take anything.
    is_known = len(args) == 2 or (isinstance(args[0].var, str) and not args[0].filters)
    spec_id = THUMBNAIL_ID if len(args) == 2 else str(args[0].var)
    if is_known and (problem := explain_unknown(name, len(args), spec_id, kwargs)):
        _refuse(name, problem)
    if variable and tag.file is None:
        _refuse(name, f"is several images, and cannot be put into {variable!r}")
    return ImageNode(tag, args, kwargs, html, variable)


def _compile_arguments(
    parser: Parser, tag: str, bits: list[str]
) -> tuple[list[FilterExpression], _Values]:
    args: list[FilterExpression] = []
    kwargs: _Values = {}
    for bit in bits:
        if found := _KEYWORD.fullmatch(bit):
            name, value = found.groups()
            if name in kwargs:
                _refuse(tag, f"has {name!r} twice")
            kwargs[name] = parser.compile_filter(value)
        elif kwargs:
            _refuse(tag, f"has {bit!r} after named arguments; it must come before them")
        else:
            args.append(parser.compile_filter(bit))
    return args, kwargs


def _compile_attributes(parser: Parser, tag: str, bits: list[str]) -> _Values:
    html: _Values = {}
    for bit in bits:
        found = _ATTRIBUTE.fullmatch(bit)
        if found is None:
            _refuse(tag, f"has {bit!r} after '--': write name=value there")
        name, value = found.groups()
        if not is_attribute_name(name):
            _refuse(tag, f"has {name!r} after '--', which is no name of an HTML attribute")
        if name.lower() == "src":
            _refuse(tag, "has 'src' after '--', which the tag writes itself")
        if name in html:
            _refuse(tag, f"has {name!r} twice after '--'")
        html[name] = parser.compile_filter(value)
    return html


def _refuse(tag: str, problem: str) -> NoReturn:
    raise template.TemplateSyntaxError(f"{{% {tag} %}} {problem}.")


@register.tag
def generateimage(parser: Parser, token: Token) -> ImageNode:
    """Show the image of a registered generator."""
    return _compile(TAGS["generateimage"], parser, token)


@register.tag
def thumbnail(parser: Parser, token: Token) -> ImageNode:
    """Show a thumbnail of any image."""
    return _compile(TAGS["thumbnail"], parser, token)


@register.tag
def picture(parser: Parser, token: Token) -> ImageNode:
    """Show an image in several formats and sizes."""
    return _compile(TAGS["picture"], parser, token)


@register.tag
def imagepreload(parser: Parser, token: Token) -> ImageNode:
    """Let browsers load a picture before they have read the page: for its ``<head>``."""
    return _compile(TAGS["imagepreload"], parser, token)


@register.tag
def imagebatch(parser: Parser, token: Token) -> ImageBatchNode:
    """Fetch the state of all images in the block in one round trip."""
    if len(token.split_contents()) > 1:
        _refuse("imagebatch", "takes no arguments")
    nodelist = parser.parse(["endimagebatch"])
    parser.delete_first_token()
    return ImageBatchNode(nodelist)
