"""Trees of Django template nodes in which the tags wait for the batch around them.

A tag that waits leaves a mark in the page. That is right only where nothing comes between the mark
and the page: a ``{% cache %}`` would keep the mark, a ``{% filter %}`` would change it. Whether
anything does is known from the tree before it is rendered: a batch renders a copy of its tree, in
which those tags wait that lie in nothing but nodes which pass on what they contain. Whatever lies
in other nodes is the original, and never waits.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import django
from django.db.models import Model
from django.template import Context, Node, NodeList, Template, base, defaulttags
from django.template.backends.django import Template as BackendTemplate
from django.template.base import Variable, VariableNode
from django.template.defaulttags import AutoEscapeControlNode, ForNode, IfNode, WithNode
from django.template.loader_tags import BlockNode, IncludeNode, construct_relative_path
from django.utils.safestring import SafeString

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.exceptions import answer_or
from imagekit_registry.html._batch import active_batch
from imagekit_registry.html._elements import ImgMarkup
from imagekit_registry.specs import SpecHost

_MEMO = "_imagekit_waiting"


class TagNode(Node):
    """A node of a tag that can wait for the batch around it.

    Attributes:
        waits: Whether it does, since a mark can stand for its HTML: true in a copy of it.
    """

    waits = False


class _WaitingNodeList(NodeList):
    """A copy of a node list, *plain*, in which tags wait."""

    def __init__(self, plain: NodeList) -> None:
        super().__init__(_waiting_node(node) for node in plain)
        self.plain = plain
        self.contains_nontext = plain.contains_nontext


def waiting(nodelist: NodeList) -> _WaitingNodeList:
    """Return a copy of *nodelist* in which each `TagNode` waits that can."""
    if isinstance(nodelist, _WaitingNodeList):
        return nodelist
    known: _WaitingNodeList | None = vars(nodelist).get(_MEMO)
    if known is None:
        known = vars(nodelist)[_MEMO] = _WaitingNodeList(nodelist)
    return known


def _waiting_template(template: Any) -> Any:
    if type(template) not in _TEMPLATES:
        return template
    clone = copy.copy(template)
    clone.nodelist = waiting(template.nodelist)
    return clone


def _waiting_node(node: Node) -> Node:
    # By the very type: a subclass may do with its content what it likes.
    if type(node) not in _TRANSPARENT and not isinstance(node, TagNode):
        return node
    clone: Any = copy.copy(node)
    if isinstance(node, TagNode):
        clone.waits = True
    elif isinstance(node, IfNode):
        clone.conditions_nodelists = [
            (condition, waiting(nodelist)) for condition, nodelist in node.conditions_nodelists
        ]
    elif isinstance(node, IncludeNode):
        clone.template = _WaitingTemplate(node)
    elif isinstance(node, VariableNode):
        clone.__class__ = _WaitingVariable if _is_fixed_attribute(node) else VariableNode
    elif "partial_mapping" in vars(node):
        clone.partial_mapping = _WaitingPartials(clone.partial_mapping)
    else:
        for name in node.child_nodelists:
            vars(clone)[name] = waiting(vars(node)[name])
        if isinstance(node, BlockNode):
            clone.__class__ = _WaitingBlock
    return clone  # type: ignore[no-any-return]


#: Nodes that pass on what they contain, unchanged and in its place.
_TRANSPARENT: set[type[Node]] = {
    AutoEscapeControlNode,
    BlockNode,
    ForNode,
    IfNode,
    IncludeNode,
    VariableNode,
    WithNode,
}
_TEMPLATES: set[type] = {Template}
if django.VERSION >= (6, 0):
    _TEMPLATES.add(base.PartialTemplate)
    _TRANSPARENT |= {defaulttags.PartialDefNode, defaulttags.PartialNode}


class _WaitingBlock(BlockNode):
    """A block that may be filled by a template that extends this one."""

    nodelist: _WaitingNodeList

    def __init__(self, name: str, nodelist: NodeList, parent: Node | None = None) -> None:
        super().__init__(name, waiting(nodelist), parent)

    def super(self) -> SafeString:
        """Return the block of the template that is extended, with its images in place.

        It is the value of a variable, which may be filtered.
        """
        plain = BlockNode(self.name, self.nodelist.plain)
        vars(plain).update(vars(self), nodelist=plain.nodelist)
        return plain.super()


class _WaitingTemplate:
    """Stands in an include tag for the expression that gives its template."""

    def __init__(self, node: IncludeNode) -> None:
        self.node = node

    def resolve(self, context: Context) -> Any:
        """Return the template with its tags waiting; what is none of Django's as it is."""
        found: Any = self.node.template.resolve(context)
        if isinstance(found, BackendTemplate):
            found = found.template
        elif found and isinstance(found, str | list | tuple):
            own_name: Any = self.node.origin.template_name
            if isinstance(found, str):
                found = [construct_relative_path(own_name, found)]
            names = tuple(found)
            # Looked up once for all rounds of a loop.
            memory: dict[Any, Any] = context.render_context.dicts[0]
            templates = memory.setdefault(self, {})
            if names not in templates:
                engine = context.template.engine  # type: ignore[union-attr]
                templates[names] = engine.select_template(list(names))
            found = templates[names]
        return _waiting_template(found)


class _WaitingPartials:
    """Stands in a partial tag for the partials of its template."""

    def __init__(self, partials: Any) -> None:
        self.partials = partials

    def __getitem__(self, name: str) -> Any:
        return _waiting_template(self.partials[name])


class _WaitingVariable(VariableNode):
    """A variable such as ``{{ im.url }}`` or ``{{ photo.thumbnail.url }}``: that of a file waits.

    The file is one that a tag has put into a variable, or that of a model's field. Other values are
    the project's: they are left to the template, which asks for them once.
    """

    def render(self, context: Context) -> str:
        """Return the value, or a mark."""
        render = super().render
        batch = active_batch()
        first, *between, _ = self.filter_expression.var.lookups
        value = context.get(first)
        file = batch.deferred_file(value) if batch is not None else None
        if file is not None:
            between = []
        elif batch is not None and between and isinstance(value, Model):
            file = _follow(value, between)
        if batch is None or file is None:
            return render(context)
        found: Any = file
        for name in reversed(between):
            found = {name: found}
        own = Context({first: found}, context.autoescape, context.use_l10n, context.use_tz)
        own.template = context.template
        return batch.add(ImgMarkup(file), lambda _: render(own))


def _follow(row: Model, names: Sequence[str]) -> ImageCacheFile | None:
    """Return the file of a spec field of *row*, or of a related row that is there already."""
    found: Any = row
    for name in names:
        if not isinstance(found, Model):
            return None
        if isinstance(getattr(type(found), name, None), SpecHost):
            # Who asks for it again, as the template does, is told.
            found = answer_or(None, getattr, found, name)
        else:
            found = found._state.fields_cache.get(name)
    return found if isinstance(found, ImageCacheFile) else None


def _is_fixed_attribute(node: VariableNode) -> bool:
    expression = node.filter_expression
    # A filter's argument that is a variable itself may have another value by then.
    is_fixed = not any(is_var for _, args in expression.filters for is_var, _ in args)
    return (
        is_fixed and isinstance(expression.var, Variable) and len(expression.var.lookups or ()) > 1
    )
