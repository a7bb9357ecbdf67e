"""The tags for Jinja2.

Add ``"imagekit_registry.jinja2.ImagekitExtension"`` to the environment's extensions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from jinja2 import Environment, StrictUndefined, Undefined, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from markupsafe import Markup as SafeMarkup

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles import get_image as get_cache_file
from imagekit_registry.exceptions import InvalidArgumentType
from imagekit_registry.html import (
    Markup,
    active_batch,
    attempt,
    batched,
    plan_image,
    plan_picture,
    plan_thumbnail,
    show,
    thumbnail_file,
)

__all__ = ["ImagekitExtension"]

_Html = Mapping[str, Any] | None
#: Nodes that pass on what they contain, unchanged and in its place, with their parts.
_TRANSPARENT: dict[type[nodes.Node], tuple[str, ...]] = {
    nodes.For: ("body", "else_"),
    nodes.If: ("body", "elif_", "else_"),
    nodes.Scope: ("body",),
    nodes.ScopedEvalContextModifier: ("body",),
    nodes.With: ("body",),
}


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
        environment.globals.update(
            generateimage=generateimage,
            get_image=get_image,
            get_thumbnail=get_thumbnail,
            picture=picture,
            thumbnail=thumbnail,
        )

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """Return the node of an ``imagebatch`` block."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endimagebatch",), drop_needle=True)
        if self.environment.is_async:
            # What is rendered in pieces, at other times, has no moment at which all is known.
            return body
        for node in body:
            self._let_wait(node)
        call = self.call_method("_render_batch", [nodes.Const(False)], lineno=line)
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _let_wait(self, node: nodes.Node) -> None:
        """Let the calls in *node* wait that are printed as they are."""
        if isinstance(node, nodes.Output):
            node.nodes = [self._waiting_call(part) for part in node.nodes]
        elif isinstance(node, nodes.CallBlock) and self._is_batch(node):
            node.call.args = [nodes.Const(True)]
        elif not getattr(node, "recursive", False):
            for part in _TRANSPARENT.get(type(node), ()):
                for child in getattr(node, part):
                    self._let_wait(child)

    def _waiting_call(self, node: nodes.Expr) -> nodes.Expr:
        if not (
            isinstance(node, nodes.Call)
            and isinstance(node.node, nodes.Name)
            and node.node.name in _PLANS
        ):
            return node
        return nodes.Call(
            self.attr("_wait"),
            [node.node, *node.args],
            node.kwargs,
            node.dyn_args,
            node.dyn_kwargs,
            lineno=node.lineno,
        )

    def _is_batch(self, node: nodes.CallBlock) -> bool:
        target = node.call.node
        return (
            isinstance(target, nodes.ExtensionAttribute)
            and target.identifier == self.identifier
            and target.name == "_render_batch"
        )

    def _wait(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Return a mark, unless the name of our function stands for another one here."""
        batch = active_batch()
        for ours, plan in _PLANS.values():
            if function is ours and batch is not None:
                shown = batch.show(plan(*args, **kwargs))
                return SafeMarkup(shown)  # noqa: S704 -- built of escaped parts
        return function(*args, **kwargs)

    def _render_batch(self, is_inner: bool, caller: Callable[[], str]) -> SafeMarkup:
        # A batch that stands directly in another one leaves the work to that.
        text = caller() if is_inner else batched(caller)
        return SafeMarkup(text)  # noqa: S704 -- rendered by a template


def generateimage(id: str, *, html: _Html = None, **kwargs: Any) -> SafeMarkup:
    """Return the ``<img>`` of a registered generator."""
    return _show(_plan_image(id, html=html, **kwargs))


def thumbnail(*args: Any, html: _Html = None, **kwargs: Any) -> SafeMarkup:
    """Return the ``<img>`` of a thumbnail: of dimensions and source; an id may come before them."""
    return _show(_plan_thumbnail(*args, html=html, **kwargs))


def picture(*args: Any, html: _Html = None, **kwargs: Any) -> SafeMarkup:
    """Return the ``<picture>`` of a spec, or of a thumbnail, in several formats and sizes."""
    return _show(_plan_picture(*args, html=html, **kwargs))


def get_image(id: str, **kwargs: Any) -> ImageCacheFile | None:
    """Return the cache file of a registered generator."""
    return attempt(lambda: get_cache_file(id, **_defined(kwargs)))


def get_thumbnail(*args: Any, **kwargs: Any) -> ImageCacheFile | None:
    """Return the cache file of a thumbnail."""
    values = _arguments("get_thumbnail", args, (2, 3))
    return attempt(lambda: thumbnail_file(values, _defined(kwargs)))


def _plan_image(id: str, *, html: _Html = None, **kwargs: Any) -> Callable[[], Markup]:
    return partial(plan_image, [id], _defined(kwargs), _defined(html or {}))


def _plan_thumbnail(*args: Any, html: _Html = None, **kwargs: Any) -> Callable[[], Markup]:
    values = _arguments("thumbnail", args, (2, 3))
    return partial(plan_thumbnail, values, _defined(kwargs), _defined(html or {}))


def _plan_picture(*args: Any, html: _Html = None, **kwargs: Any) -> Callable[[], Markup]:
    values = _arguments("picture", args, (1, 2, 3))
    return partial(plan_picture, values, _defined(kwargs), _defined(html or {}))


#: The functions that give HTML, by their names in templates, with what plans it.
_PLANS: Mapping[str, tuple[Any, Callable[..., Callable[[], Markup]]]] = {
    "generateimage": (generateimage, _plan_image),
    "picture": (picture, _plan_picture),
    "thumbnail": (thumbnail, _plan_thumbnail),
}


def _show(plan: Callable[[], Markup]) -> SafeMarkup:
    return SafeMarkup(show(plan))  # noqa: S704 -- built of escaped parts


def _arguments(name: str, args: tuple[Any, ...], counts: tuple[int, ...]) -> list[Any]:
    if len(args) not in counts:
        first = "a spec's id, or " if 1 in counts else ""
        raise InvalidArgumentType(
            f"{name}() takes {first}dimensions and source, or a generator's id, dimensions and"
            f" source as unnamed arguments, not {len(args)} of them."
        )
    return [_value(arg) for arg in args]


def _defined(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in values.items()}


def _value(value: Any) -> Any:
    """Return *value*; None for what is undefined, unless that is to be an error."""
    is_nothing = isinstance(value, Undefined) and not isinstance(value, StrictUndefined)
    return None if is_nothing else value
