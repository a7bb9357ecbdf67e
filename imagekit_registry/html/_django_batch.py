"""Trees of Django template nodes in which the tags wait for the batch around them.

A tag that waits leaves a mark in the page. That is right only where nothing comes between the mark
and the page: a ``{% cache %}`` would keep the mark, a ``{% filter %}`` would change it. Whether
anything does is known from the tree before it is rendered: a batch renders a copy of its tree, in
which those tags wait that lie in nothing but nodes which pass on what they contain. Whatever lies
in other nodes is the original, and never waits.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from django.template import Context, Node, NodeList, Template, base, defaulttags
from django.template.base import FilterExpression, Variable, VariableNode
from django.template.defaulttags import AutoEscapeControlNode, ForNode, IfNode, WithNode
from django.template.loader_tags import BlockNode, IncludeNode, construct_relative_path
from django.utils.safestring import SafeString

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.html._batch import active_batch, waiting_file
from imagekit_registry.html._resolved import Answers

__all__ = ["waiting"]

_MEMO = "_imagekit_waiting"
#: What a partial is rendered from; Django has them since 6.0.
_PartialTemplate = getattr(base, "PartialTemplate", Template)


class _WaitingNodeList(NodeList):
    """A node list in which tags wait.

    Args:
        plain: The node list that it is a copy of.
    """

    def __init__(self, plain: NodeList) -> None:
        super().__init__(_waiting_node(node) for node in plain)
        self.plain = plain
        self.contains_nontext = plain.contains_nontext


def waiting(nodelist: NodeList) -> NodeList:
    """Return a copy of *nodelist* in which the tags wait, as far as they can.

    A node takes part by a method ``in_batch()`` that returns its stand-in there.
    """
    if isinstance(nodelist, _WaitingNodeList):
        return nodelist
    known: NodeList | None = nodelist.__dict__.get(_MEMO)
    if known is None:
        known = nodelist.__dict__[_MEMO] = _WaitingNodeList(nodelist)
    return known


def _waiting_node(node: Node) -> Node:
    in_batch = getattr(node, "in_batch", None)
    if in_batch is not None:
        stand_in: Node = in_batch()
        return stand_in
    # By the very type: a subclass may do with its content what it likes.
    rebuild = _REBUILD.get(type(node))
    return rebuild(node) if rebuild is not None else node


def _with_nodelists(*names: str) -> Callable[[Any], Node]:
    def rebuild(node: Any) -> Node:
        clone: Node = copy.copy(node)
        for name in names:
            setattr(clone, name, waiting(getattr(node, name)))
        return clone

    return rebuild


def _rebuild_if(node: IfNode) -> Node:
    clone = copy.copy(node)
    clone.conditions_nodelists = [
        (condition, waiting(nodelist)) for condition, nodelist in node.conditions_nodelists
    ]
    return clone


class _WaitingBlock(BlockNode):
    """A block that may be filled by a template that extends this one."""

    def __init__(self, name: str, nodelist: NodeList, parent: Any = None) -> None:
        super().__init__(name, waiting(nodelist), parent)

    def super(self) -> SafeString:
        """Return the block of the template that is extended, with its images in place.

        It is the value of a variable, which may be filtered.
        """
        nodelist: Any = getattr(self.nodelist, "plain", self.nodelist)
        plain = BlockNode(self.name, nodelist)
        if hasattr(self, "context"):
            plain.context = self.context
        return plain.super()


def _rebuild_block(node: BlockNode) -> Node:
    clone = _WaitingBlock(node.name, node.nodelist, node.parent)
    clone.origin, clone.token = node.origin, node.token
    return clone


class _WaitingTemplate:
    """Stands in an include tag for the expression that gives its template."""

    def __init__(self, node: IncludeNode) -> None:
        self.node = node

    def resolve(self, context: Context) -> Any:
        """Return the template with its tags waiting; anything but a template of Django as it is."""
        found: Any = self.node.template.resolve(context)
        if callable(getattr(found, "render", None)):
            return _waiting_template(getattr(found, "template", found))
        own_name: Any = self.node.origin.template_name
        names = found or ()
        names = (
            (construct_relative_path(own_name, names),) if isinstance(names, str) else tuple(names)
        )
        # Looked up once for all rounds of a loop.
        memory: dict[Any, Any] = context.render_context.dicts[0]
        cache = memory.setdefault(self, {})
        if names not in cache:
            engine = context.template.engine  # type: ignore[union-attr]
            cache[names] = _waiting_template(engine.select_template(list(names)))
        return cache[names]


def _rebuild_include(node: IncludeNode) -> Node:
    clone = copy.copy(node)
    clone.template = _WaitingTemplate(node)  # type: ignore[assignment]
    return clone


def _waiting_template(template: Any) -> Any:
    if type(template) not in {Template, _PartialTemplate}:
        return template
    nodelist: Any = waiting(template.nodelist)
    known = nodelist.__dict__.get("template")
    if known is None:
        known = copy.copy(template)
        known.nodelist = nodelist
        nodelist.template = known
    return known


class _WaitingPartials:
    """Stands in a partial tag for the partials of its template."""

    def __init__(self, partials: Any) -> None:
        self.partials = partials

    def __getitem__(self, name: str) -> Any:
        return _waiting_template(self.partials[name])


def _rebuild_partial(node: Any) -> Node:
    clone: Any = copy.copy(node)
    clone.partial_mapping = _WaitingPartials(node.partial_mapping)
    return clone  # type: ignore[no-any-return]


class _WaitingVariable(Node):
    """A variable such as ``{{ im.url }}``: of a file that a tag has put into a variable, it waits."""

    def __init__(self, node: VariableNode) -> None:
        self.node = node
        self.expression: FilterExpression = node.filter_expression
        self.name: str = self.expression.var.lookups[0]

    def render(self, context: Context) -> str:
        """Return the value, or a mark."""
        batch = active_batch()
        file = waiting_file(context.get(self.name)) if batch is not None else None
        if batch is None or file is None:
            return self.node.render(context)
        own = Context({self.name: file}, context.autoescape, context.use_l10n, context.use_tz)
        own.template = context.template
        return SafeString(batch.add(_Value(file, lambda: self.node.render(own))))


class _Value:
    """What a variable shows of a file."""

    def __init__(self, file: ImageCacheFile, render: Callable[[], str]) -> None:
        self.files = (file,)
        self._render = render

    def render(self, answers: Answers) -> str:
        """Return it as the template has it: filtered and escaped."""
        return self._render()


def _rebuild_variable(node: VariableNode) -> Node:
    expression = node.filter_expression
    is_attribute = isinstance(expression.var, Variable) and len(expression.var.lookups or ()) > 1
    # A filter's argument that is a variable itself may have another value by then.
    is_fixed = not any(is_var for _, args in expression.filters for is_var, _ in args)
    if not is_attribute or not is_fixed:
        return node
    clone = _WaitingVariable(node)
    clone.origin, clone.token = node.origin, node.token
    return clone


#: Nodes that pass on what they contain, unchanged and in its place.
_REBUILD: dict[type, Callable[[Any], Node]] = {
    AutoEscapeControlNode: _with_nodelists("nodelist"),
    BlockNode: _rebuild_block,
    ForNode: _with_nodelists("nodelist_loop", "nodelist_empty"),
    IfNode: _rebuild_if,
    IncludeNode: _rebuild_include,
    VariableNode: _rebuild_variable,
    WithNode: _with_nodelists("nodelist"),
}
if hasattr(defaulttags, "PartialNode"):  # Django 6.0 and later
    _REBUILD[defaulttags.PartialDefNode] = _with_nodelists("nodelist")
    _REBUILD[defaulttags.PartialNode] = _rebuild_partial
