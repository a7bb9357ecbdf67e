"""`{% load imagekit %}`: images in templates.

{% generateimage 'app:id' source=photo.image key=value -- alt="text" %}
{% thumbnail '100x80' photo.image srcset='2 3' -- alt="text" %}
{% picture 'app:id' source=photo.image formats='AVIF WEBP' widths='320 640' -- alt="text" %}
{% imagebatch %} ... {% endimagebatch %}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn

import attrs
from django import template
from django.template.base import FilterExpression, Parser, Token
from django.template.context import Context
from django.utils.safestring import SafeString

from imagekit_registry.cachefiles import ImageCacheFile, get_image
from imagekit_registry.html import (
    Markup,
    active_batch,
    attempt,
    batched,
    is_attribute_name,
    plan_image,
    plan_picture,
    plan_thumbnail,
    show,
    thumbnail_file,
    waiting,
)

__all__ = ["register"]

register = template.Library()

_KEYWORD = re.compile(r"(\w+)=(.+)", re.DOTALL)
_ATTRIBUTE = re.compile(r"([^\s=\"']+)=(.+)", re.DOTALL)

_PLANS: Mapping[str, Callable[..., Markup]] = {
    "generateimage": plan_image,
    "picture": plan_picture,
    "thumbnail": plan_thumbnail,
}
_FILES: Mapping[str, Callable[..., ImageCacheFile]] = {
    "generateimage": lambda args, kwargs: get_image(*args, **kwargs),
    "thumbnail": thumbnail_file,
}


@attrs.frozen
class _Call:
    """A tag as it is written: its arguments, HTML attributes and variable."""

    tag: str
    args: tuple[FilterExpression, ...]
    kwargs: Mapping[str, FilterExpression]
    html: Mapping[str, FilterExpression]
    variable: str | None

    def resolve(self, context: Context) -> tuple[list[Any], dict[str, Any]]:
        """Return arguments and keyword arguments with the context's values."""
        return (
            [arg.resolve(context) for arg in self.args],
            {name: value.resolve(context) for name, value in self.kwargs.items()},
        )

    def plan(self, context: Context) -> Callable[[], Markup]:
        """Return what plans the HTML, with the context's values."""
        args, kwargs = self.resolve(context)
        html = {name: value.resolve(context) for name, value in self.html.items()}
        return partial(_PLANS[self.tag], args, kwargs, html)

    def file(self, context: Context) -> ImageCacheFile | None:
        """Return the cache file for the variable, or None."""
        args, kwargs = self.resolve(context)
        return attempt(lambda: _FILES[self.tag](args, kwargs))


def _parse(parser: Parser, token: Token) -> _Call:
    tag, *bits = token.split_contents()
    variable = None
    if bits and bits[-1] == "as":
        _refuse(tag, "has nothing after 'as': write the name of a variable there")
    if len(bits) >= 2 and bits[-2] == "as":
        variable = bits[-1]
        bits = bits[:-2]
        if not variable.isidentifier():
            _refuse(
                tag, f"cannot be put into {variable!r}: write the name of a variable after 'as'"
            )
    html: dict[str, FilterExpression] = {}
    if "--" in bits:
        if variable:
            _refuse(
                tag,
                f"takes either HTML attributes after '--' or 'as {variable}': with a variable,"
                " write the element yourself",
            )
        at = bits.index("--")
        bits, html_bits = bits[:at], bits[at + 1 :]
        if not html_bits:
            _refuse(tag, "has nothing after '--'. Leave it out, or write attributes: alt=\"...\"")
        html = _parse_attributes(parser, tag, html_bits)
    args: list[FilterExpression] = []
    kwargs: dict[str, FilterExpression] = {}
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
    return _Call(tag, tuple(args), kwargs, html, variable)


def _parse_attributes(parser: Parser, tag: str, bits: list[str]) -> dict[str, FilterExpression]:
    html: dict[str, FilterExpression] = {}
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


def _check(call: _Call, counts: tuple[int, ...], expected: str) -> None:
    """Refuse arguments that are too many or too few, or given twice."""
    if len(call.args) not in counts:
        given = ", ".join(str(arg) for arg in call.args) or "none"
        _refuse(call.tag, f"takes {expected} as unnamed arguments, not: {given}")
    taken = ("id",) if len(call.args) == 1 else ("height", "id", "source", "width")
    for name in taken:
        if name in call.kwargs:
            _refuse(call.tag, f"has {name!r} by name, which comes from the unnamed arguments")


class ImageNode(template.Node):
    """Shows an image, or puts it into a variable."""

    def __init__(self, call: _Call) -> None:
        self.call = call

    def render(self, context: Context) -> SafeString:
        """Return the HTML."""
        if self.call.variable:
            context[self.call.variable] = self.call.file(context)
            return SafeString("")
        return show(self.call.plan(context))

    def in_batch(self) -> ImageNode:
        """Return the node that stands for this one where a mark can stand for the HTML."""
        node = WaitingImageNode(self.call)
        node.origin, node.token = self.origin, self.token
        return node


class WaitingImageNode(ImageNode):
    """Leaves a mark, which the batch around it fills in."""

    def render(self, context: Context) -> SafeString:
        """Return a mark, or the HTML if nothing has to be fetched for that."""
        batch = active_batch()
        if batch is None:
            return super().render(context)
        if self.call.variable:
            file = self.call.file(context)
            # Not by its truth, which would ask for its state.
            context[self.call.variable] = batch.lend(file) if file is not None else None
            return SafeString("")
        return batch.show(self.call.plan(context))


class ImageBatchNode(template.Node):
    """``{% imagebatch %}``: the state of all images in it is fetched in one round trip."""

    def __init__(self, nodelist: template.NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: Context) -> SafeString:
        """Return the body."""
        return batched(lambda: waiting(self.nodelist).render(context))

    def in_batch(self) -> InnerBatchNode:
        """Return the node that stands for this one in a batch: that one does the work."""
        node = InnerBatchNode(waiting(self.nodelist))
        node.origin, node.token = self.origin, self.token
        return node


class InnerBatchNode(template.Node):
    """The body of a batch within a batch."""

    def __init__(self, nodelist: template.NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: Context) -> SafeString:
        """Return the body, with marks that the batch around it fills in."""
        return self.nodelist.render(context)


_THUMBNAIL = "dimensions and source, or a generator's id, dimensions and source,"


@register.tag
def generateimage(parser: Parser, token: Token) -> ImageNode:
    """Show the image of a registered generator."""
    call = _parse(parser, token)
    _check(call, (1,), "the generator's id")
    return ImageNode(call)


@register.tag
def thumbnail(parser: Parser, token: Token) -> ImageNode:
    """Show a thumbnail of any image."""
    call = _parse(parser, token)
    _check(call, (2, 3), _THUMBNAIL)
    return ImageNode(call)


@register.tag
def picture(parser: Parser, token: Token) -> ImageNode:
    """Show an image in several formats and sizes."""
    call = _parse(parser, token)
    _check(call, (1, 2, 3), f"the spec's id, or {_THUMBNAIL}")
    if call.variable:
        _refuse(call.tag, f"is several images, and cannot be put into {call.variable!r}")
    return ImageNode(call)


@register.tag
def imagebatch(parser: Parser, token: Token) -> ImageBatchNode:
    """Fetch the state of all images in the block in one round trip."""
    if len(token.split_contents()) > 1:
        _refuse("imagebatch", "takes no arguments")
    nodelist = parser.parse(["endimagebatch"])
    parser.delete_first_token()
    return ImageBatchNode(nodelist)
