"""The tags for Jinja2.

Add ``"imagekit_registry.jinja2.ImagekitExtension"`` to the environment's extensions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import Environment, StrictUndefined, Undefined, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from markupsafe import Markup as SafeMarkup

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.exceptions import InvalidArgumentType
from imagekit_registry.generatorlibrary import THUMBNAIL_ID
from imagekit_registry.html import (
    TAGS,
    attempt,
    batched,
    explain_unknown,
    image_file,
    show,
    thumbnail_file,
)

__all__ = ["ImagekitExtension"]

#: What some tags take and others do not.
_OPTIONS = frozenset[str]().union(*(tag.options for tag in TAGS.values()))
#: Nodes that pass on what they contain, unchanged and in its place, with their parts.
_TRANSPARENT: Mapping[type[nodes.Node], tuple[str, ...]] = {
    nodes.For: ("body", "else_"),
    nodes.If: ("body", "elif_", "else_"),
    nodes.Scope: ("body",),
    nodes.ScopedEvalContextModifier: ("body",),
    nodes.With: ("body",),
}


class _Function:
    """A tag as a function of templates; it gives HTML."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: object, **kwargs: object) -> SafeMarkup:
        return self.show(args, kwargs)

    def show(
        self, args: Sequence[object], kwargs: dict[str, object], *, waits: bool = False
    ) -> SafeMarkup:
        """Return the HTML, or a mark that the batch around it fills in."""
        html: Any = kwargs.pop("html", None) or {}
        values = _check(self.name, self.name, args, kwargs)
        shown = show(TAGS[self.name].plan, *values, _defined(html), waits=waits)
        return SafeMarkup(shown)  # noqa: S704 -- built of escaped parts


def get_image(*args: object, **kwargs: object) -> ImageCacheFile | None:
    """Return the cache file of a registered generator."""
    return attempt(image_file, *_check("get_image", "generateimage", args, kwargs))


def get_thumbnail(*args: object, **kwargs: object) -> ImageCacheFile | None:
    """Return the cache file of a thumbnail."""
    return attempt(thumbnail_file, *_check("get_thumbnail", "thumbnail", args, kwargs))


def _check(
    name: str, tag_name: str, args: Sequence[object], kwargs: Mapping[str, object]
) -> tuple[list[object], dict[str, object]]:
    """Return the arguments of a function, unnamed and named.

    Raises:
        InvalidArgumentType: The unnamed ones are too many or too few, or one is another tag's.
    """
    tag = TAGS[tag_name]
    named = _defined(kwargs)
    unnamed = [_value(arg) for arg in args]
    if tag.counts == (1,) and "id" in named:
        unnamed.insert(0, named.pop("id"))
    if len(unnamed) not in tag.counts:
        raise InvalidArgumentType(
            f"{name}() takes {tag.takes} as unnamed arguments, not {len(unnamed)} of them."
        )
    if others := (_OPTIONS & named.keys()) - tag.options:
        spec_id = named.get("id", THUMBNAIL_ID) if len(unnamed) == 2 else unnamed[0]
        if problem := explain_unknown(tag_name, len(unnamed), str(spec_id), others):
            raise InvalidArgumentType(f"{name}() {problem}.")
    return unnamed, named


def _defined(values: Mapping[str, object]) -> dict[str, object]:
    return {name: _value(value) for name, value in values.items()}


def _value(value: object) -> object:
    """Return *value*; None for what is undefined, unless that is to be an error."""
    is_nothing = isinstance(value, Undefined) and not isinstance(value, StrictUndefined)
    return None if is_nothing else value


class ImagekitExtension(Extension):
    """Adds the tags to Jinja2, as functions; and ``{% imagebatch %}``, as a tag.

    ``generateimage``, ``thumbnail`` and ``picture`` give HTML, ``get_image`` and ``get_thumbnail``
    cache files for variables.

    A batch fetches the state of the images that are printed in it, in its template: a call that
    is filtered or captured, or that stands in a macro or an included template, fetches its own.

    Example:
        >>> template = Environment(extensions=[ImagekitExtension]).from_string(
        ...     "{{ thumbnail('100x80', photo.image, html={'alt': photo.title}) }}"
        ... )
    """

    tags = {"imagebatch"}

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        functions = {name: _Function(name) for name in TAGS}
        environment.globals.update(functions, get_image=get_image, get_thumbnail=get_thumbnail)

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """Return the node of an ``imagebatch`` block."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endimagebatch",), drop_needle=True)
        if self.environment.is_async:
            # What is rendered in pieces, at other times, has no moment at which all is known.
            return body
        for node in body:
            self._let_wait(node)
        arguments = [nodes.ContextReference(), nodes.Const(False)]
        call = self.call_method("_render_batch", arguments, lineno=line)
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _let_wait(self, node: nodes.Node) -> None:
        """Let the calls in *node* wait that are printed as they are."""
        if isinstance(node, nodes.Output):
            for call in node.nodes:
                if not isinstance(call, nodes.Call) or not isinstance(call.node, nodes.Name):
                    continue
                if call.node.name in TAGS:
                    call.args.insert(0, call.node)
                    call.node = self.attr("_wait")
        elif isinstance(node, nodes.CallBlock) and node.call.node == self.attr("_render_batch"):
            node.call.args = [nodes.ContextReference(), nodes.Const(True)]
        elif not (isinstance(node, nodes.For) and node.recursive):
            for child in node.iter_child_nodes(only=_TRANSPARENT.get(type(node), ())):
                self._let_wait(child)

    def _wait(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> object:
        """Return a mark, unless the name of our function stands for another one here."""
        if isinstance(function, _Function):
            return function.show(args, kwargs, waits=True)
        return function(*args, **kwargs)

    def _render_batch(
        self, context: Context, is_inner: bool, caller: Callable[[], str]
    ) -> SafeMarkup:
        # A batch that stands directly in another one leaves the work to that.
        text = caller() if is_inner else batched(caller, context.get("csp_nonce"))
        return SafeMarkup(text)  # noqa: S704 -- rendered by a template
