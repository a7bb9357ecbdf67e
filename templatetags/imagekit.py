"""`{% load imagekit %}`: images in templates.

{% generateimage 'app:id' source=photo.image key=value -- alt="text" %}
{% thumbnail '100x80' photo.image srcset='2 3' -- alt="text" %}
{% picture 'app:id' source=photo.image formats='AVIF WEBP' widths='320 640' -- alt="text" %}
{% imagepreload 'app:id' source=photo.image %}
{% imagebatch %} ... {% endimagebatch %}
{% static_image 'img/hero.jpg' as hero %}
"""

from __future__ import annotations

import re
from typing import NoReturn

from django import template
from django.template.base import FilterExpression, Parser, Token
from django.template.context import Context
from django.utils.safestring import SafeString

from imagekit_registry.generatorlibrary import THUMBNAIL_ID
from imagekit_registry.html import TagNode, WrittenTag, batched, defer, show, waiting
from imagekit_registry.specs.static import static_image as static_file

__all__ = ["DEFAULT_THUMBNAIL_GENERATOR", "register"]

#: The id of the generator that `thumbnail` uses.
DEFAULT_THUMBNAIL_GENERATOR = THUMBNAIL_ID

register = template.Library()

_NAMED = re.compile(r"([^\s=\"']+)=(.+)", re.DOTALL)


class ImageNode(TagNode):
    """Shows an image, or puts it into a variable.

    Args:
        written: The tag, without a mistake.
    """

    def __init__(self, written: WrittenTag[FilterExpression]) -> None:
        self.tag = written.tag
        self.args = written.args
        self.kwargs = tuple(written.kwargs.items())
        self.html = tuple(written.html.items())
        self.variable = written.variable

    def render(self, context: Context) -> SafeString:
        """Return the HTML, or a mark that the batch around it fills in."""
        args = [value.resolve(context) for value in self.args]
        kwargs = {name: value.resolve(context) for name, value in self.kwargs}
        if self.variable and self.tag.file is not None:
            context[self.variable] = defer(self.tag.file, args, kwargs, waits=self.waits)
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
        return batched(lambda: nodelist.render(context), context.get("csp_nonce"))


class StaticImageNode(template.Node):
    """Puts a static file into a variable, for the other tags to take as a source."""

    def __init__(self, path: FilterExpression, variable: str) -> None:
        self.path, self.variable = path, variable

    def render(self, context: Context) -> SafeString:
        """Return nothing."""
        context[self.variable] = static_file(self.path.resolve(context))
        return SafeString("")


def _compile(parser: Parser, token: Token) -> ImageNode:
    name, *bits = token.split_contents()
    variable = attributes = None
    if bits and bits[-1] == "as":
        variable, bits = "", bits[:-1]
    elif len(bits) >= 2 and bits[-2] == "as":
        variable, bits = bits[-1], bits[:-2]
    if "--" in bits:
        at = bits.index("--")
        attributes = []
        for bit in bits[at + 1 :]:
            attribute, value = _split(bit)
            if not attribute:
                _refuse(name, f"has {bit!r} after '--': write name=value there")
            attributes.append((attribute, parser.compile_filter(value)))
        bits = bits[:at]
    arguments = [(key, parser.compile_filter(value)) for key, value in map(_split, bits)]
    written = WrittenTag(name, arguments, attributes, variable)
    if problem := written.explain_mistake(str, _constant):
        _refuse(name, problem)
    return ImageNode(written)


def _split(bit: str) -> tuple[str, str]:
    """Return the name and the value of an argument; the name is empty if it has none."""
    found = _NAMED.fullmatch(bit)
    return (found[1], found[2]) if found else ("", bit)


def _constant(value: FilterExpression) -> object:
    return value.var if isinstance(value.var, str) and not value.filters else None


def _refuse(tag: str, problem: str) -> NoReturn:
    raise template.TemplateSyntaxError(f"{{% {tag} %}} {problem}.")


@register.tag
def generateimage(parser: Parser, token: Token) -> ImageNode:
    """Show the image of a registered generator."""
    return _compile(parser, token)


@register.tag
def thumbnail(parser: Parser, token: Token) -> ImageNode:
    """Show a thumbnail of any image."""
    return _compile(parser, token)


@register.tag
def picture(parser: Parser, token: Token) -> ImageNode:
    """Show an image in several formats and sizes."""
    return _compile(parser, token)


@register.tag
def imagepreload(parser: Parser, token: Token) -> ImageNode:
    """Let browsers load a picture before they have read the page: for its ``<head>``."""
    return _compile(parser, token)


@register.tag
def imagebatch(parser: Parser, token: Token) -> ImageBatchNode:
    """Fetch the state of all images in the block in one round trip."""
    if len(token.split_contents()) > 1:
        _refuse("imagebatch", "takes no arguments")
    nodelist = parser.parse(["endimagebatch"])
    parser.delete_first_token()
    return ImageBatchNode(nodelist)


@register.tag
def static_image(parser: Parser, token: Token) -> StaticImageNode:
    """Take a static file as a source."""
    name, *bits = token.split_contents()
    if len(bits) != 3 or bits[1] != "as":
        _refuse(name, "takes a path and a variable: {% static_image 'img/hero.jpg' as hero %}")
    return StaticImageNode(parser.compile_filter(bits[0]), bits[2])


register.filter("static_image", static_file)
