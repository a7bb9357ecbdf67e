"""The tags for Jinja2.

Add ``"imagekit_registry.jinja2.ImagekitExtension"`` to the environment's extensions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NoReturn

from jinja2 import Environment, StrictUndefined, Undefined, nodes, pass_context, pass_eval_context
from jinja2.ext import Extension
from jinja2.lexer import TokenStream
from jinja2.parser import Parser
from jinja2.runtime import Context
from markupsafe import Markup as SafeMarkup
from markupsafe import escape

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.exceptions import InvalidArgumentType
from imagekit_registry.generatorlibrary import THUMBNAIL_ID
from imagekit_registry.html import (
    TAGS,
    ImgMarkup,
    ShownPicture,
    WrittenTag,
    active_batch,
    attempt,
    batched,
    defer,
    explain_unknown,
    show,
)
from imagekit_registry.specs.static import static_image

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


#: What every macro has beside its parameters.
_OF_MACROS = {"caller", "kwargs", "varargs"}

#: What a variable stands for.
_File = ImageCacheFile | ShownPicture | None
#: Values of a tag, unnamed and named.
_Values = Sequence[object]
_Named = Mapping[str, object]


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
        html = _value(kwargs.pop("html", None)) or {}
        if not isinstance(html, Mapping):
            raise InvalidArgumentType(
                f"{self.name}() takes a dict of attributes as html, such as {{'alt': '...'}}, not"
                f" {str(html)[:50]!r}."
            )
        values = _check(self.name, self.name, args, kwargs)
        shown = show(TAGS[self.name].plan, *values, _defined(html), waits=waits)
        return SafeMarkup(shown)  # noqa: S704 -- built of escaped parts


def get_image(*args: object, **kwargs: object) -> _File:
    """Return the cache file of a registered generator; None if it has no source."""
    return attempt(_file_of, "generateimage", *_check("get_image", "generateimage", args, kwargs))


def get_thumbnail(*args: object, **kwargs: object) -> _File:
    """Return the cache file of a thumbnail; None if it has no source."""
    return attempt(_file_of, "thumbnail", *_check("get_thumbnail", "thumbnail", args, kwargs))


def _file_of(name: str, args: _Values, kwargs: _Named) -> _File:
    """Return what a tag puts into a variable.

    Raises:
        MissingSource: There is no image.
    """
    find = TAGS[name].file
    file = find and find(args, kwargs)
    if isinstance(file, ImageCacheFile) and not file.name:
        # Raises it now: Django's templates show nothing for a variable that does, Jinja2 fails.
        file.generate()
    return file


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
        hint = " Name the source: source=..." if tag.counts == (1,) and unnamed else ""
        raise InvalidArgumentType(
            f"{name}() takes {tag.takes} as unnamed arguments, not {len(unnamed)} of them.{hint}"
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


def _dict_of(values: Mapping[str, nodes.Expr]) -> nodes.Dict:
    return nodes.Dict([nodes.Pair(nodes.Const(name), value) for name, value in values.items()])


class _TagReader:
    """Reads a tag from the tokens of a template, up to the end of its block."""

    #: What values begin with, and what names of HTML attributes have between their words.
    _FIRST = frozenset(
        ["add", "float", "integer", "lbrace", "lbracket", "lparen", "name", "string", "sub"]
    )
    _SIGNS = frozenset(["colon", "dot", "sub"])

    def __init__(self, parser: Parser, name: str) -> None:
        self.parser = parser
        self.stream: TokenStream = parser.stream
        self.name = name
        self.line = parser.stream.current.lineno

    def read(self) -> WrittenTag[nodes.Expr]:
        """Return the tag.

        Raises:
            TemplateSyntaxError: It is written wrongly.
        """
        arguments: list[tuple[str, nodes.Expr]] = []
        attributes: list[tuple[str, nodes.Expr]] | None = None
        variable = None
        while self.stream.current.type != "block_end":
            if self._is_at("name:as") and self.stream.look().type != "assign":
                next(self.stream)
                word = self.stream.next_if("name")
                variable = word.value if word else ""
            elif attributes is not None:
                attributes.append((self._attribute(), self._value()))
            elif self._is_at("sub") and self.stream.look().type == "sub":
                self.stream.skip(2)
                attributes = []
            else:
                arguments.append((self._argument(), self._value()))
        written = WrittenTag(self.name, arguments, attributes, variable)
        if problem := written.explain_mistake(_text_of, _constant_of):
            self._refuse(problem)
        if variable and not nodes.Name(variable, "store").can_assign():
            self._refuse(f"cannot be put into {variable!r}, which is a constant")
        return written

    def _is_at(self, token: str) -> bool:
        return self.stream.current.test(token)

    def _argument(self) -> str:
        """Return the name of an argument; it is empty if it has none."""
        if self._is_at("name") and self.stream.look().type == "assign":
            name: str = next(self.stream).value
            next(self.stream)
            return name
        if self._is_at("assign"):
            self._refuse("has '=' after what names no argument: HTML attributes stand after '--'")
        return ""

    def _attribute(self) -> str:
        """Return the name of an attribute, which may have signs in it, or be written as a string."""
        name, last = "", ""
        while (token := next(self.stream)).type != "assign":
            # "2x" is a number and a name here.
            follows = token.type in {"integer", "name"} and last in {"", "integer", *self._SIGNS}
            if not (follows or token.type in self._SIGNS or (token.type == "string" and not name)):
                given = name or str(token.value)
                self._refuse(f"has {given!r} after '--': write name=value there")
            name += str(token.value)
            last = token.type
        return name

    def _value(self) -> nodes.Expr:
        """Return a constant, a name with what follows it, or what stands in parentheses; filtered."""
        token = self.stream.current
        if token.type not in self._FIRST:
            self._refuse(f"has {token.value!r}: put an expression like that into parentheses")
        if token.type in {"float", "integer", "string"}:
            # Two strings that stand side by side are two arguments.
            value: nodes.Expr = nodes.Const(next(self.stream).value, lineno=token.lineno)
        else:
            value = self.parser.parse_unary(with_filter=False)
        return self.parser.parse_filter(value) or value

    def _refuse(self, problem: str) -> NoReturn:
        environment = self.parser.environment
        begin, end = environment.block_start_string, environment.block_end_string
        self.parser.fail(f"{begin} {self.name} {end} {problem}.", self.line)


def _text_of(value: nodes.Expr) -> str:
    """Return *value* as it is written, for a message."""
    if isinstance(value, nodes.Const):
        return repr(value.value)
    if isinstance(value, nodes.Name):
        return value.name
    if isinstance(value, nodes.Getattr):
        return f"{_text_of(value.node)}.{value.attr}"
    return "(...)"


def _constant_of(value: nodes.Expr) -> object:
    return value.value if isinstance(value, nodes.Const) else None


class ImagekitExtension(Extension):
    """Adds the tags to Jinja2: as statements, with the syntax of Django's tags, and as functions.

    ``{% generateimage %}``, ``{% thumbnail %}`` and the others stand in the marks of the
    environment. As functions they give HTML, and ``get_image`` and ``get_thumbnail`` cache files;
    ``static_image`` gives a static file as a source for all of them.

    ``{% imagebatch %}`` fetches the state of the images that are printed in it, in its template:
    what is filtered or captured, or stands in a macro or an included template, fetches its own.

    Example:
        >>> template = Environment(extensions=[ImagekitExtension]).from_string(
        ...     "{% thumbnail '100x80' photo.image -- alt=photo.title %}"
        ... )
    """

    tags = {"imagebatch", *TAGS}

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        functions = {name: _Function(name) for name in TAGS}
        environment.globals.update(
            functions, get_image=get_image, get_thumbnail=get_thumbnail, static_image=static_image
        )

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """Return the node of a tag, or of an ``imagebatch`` block.

        Raises:
            TemplateSyntaxError: The tag is written wrongly.
        """
        token = next(parser.stream)
        if token.value == "imagebatch":
            return self._parse_batch(parser, token.lineno)
        written = _TagReader(parser, token.value).read()
        arguments: list[nodes.Expr] = [
            nodes.Const(written.name),
            nodes.List(written.args),
            _dict_of(written.kwargs),
            _dict_of(written.html),
        ]
        if written.variable:
            call = self.call_method("_lend", arguments[:-1], lineno=token.lineno)
            target = nodes.Name(written.variable, "store")
            return nodes.Assign(target, call, lineno=token.lineno)
        call = self.call_method("_show", arguments, lineno=token.lineno)
        return nodes.Output([call], lineno=token.lineno)

    def _parse_batch(self, parser: Parser, line: int) -> nodes.Node:
        body = parser.parse_statements(("name:endimagebatch",), drop_needle=True)
        if self.environment.is_async:
            # What is rendered in pieces, at other times, has no moment at which all is known.
            return nodes.Scope(body, lineno=line)
        deferred: set[str] = set()
        for node in body:
            self._let_wait(node, deferred)
        # The block is a macro, which has a caller and arguments of its own; those around it are meant.
        names = {each.name for node in body for each in node.find_all(nodes.Name)}
        outer = {name: nodes.Name(name, "load") for name in sorted(names & _OF_MACROS)}
        arguments = [nodes.ContextReference(), nodes.Const(False), _dict_of(outer)]
        call = self.call_method("_render_batch", arguments, lineno=line)
        parameters = [nodes.Name(name, "param") for name in outer]
        defaults = [nodes.Const(None) for _ in outer]
        return nodes.CallBlock(call, parameters, defaults, body).set_lineno(line)

    def _let_wait(self, node: nodes.Node, deferred: set[str]) -> None:
        """Let what is printed as it is in *node* wait: tags, calls, and attributes of *deferred* files."""
        if isinstance(node, nodes.Output):
            node.nodes = [self._waiting(each, deferred) for each in node.nodes]
        elif isinstance(node, nodes.Assign):
            call, target = node.node, node.target
            if isinstance(call, nodes.Call) and call.node == self.attr("_lend"):
                call.args.append(nodes.Const(True))
                if isinstance(target, nodes.Name):
                    deferred.add(target.name)
        elif isinstance(node, nodes.CallBlock) and node.call.node == self.attr("_render_batch"):
            node.call.args[1] = nodes.Const(True)
        elif not (isinstance(node, nodes.For) and node.recursive):
            for child in node.iter_child_nodes(only=_TRANSPARENT.get(type(node), ())):
                self._let_wait(child, deferred)

    def _waiting(self, value: nodes.Expr, deferred: set[str]) -> nodes.Expr:
        if isinstance(value, nodes.Getattr):
            file = value.node
            # What finalizes values is not given a mark in place of one.
            if (
                isinstance(file, nodes.Name)
                and file.name in deferred
                and not self.environment.finalize
            ):
                arguments: list[nodes.Expr] = [file, nodes.Const(value.attr)]
                return self.call_method("_attribute", arguments, lineno=value.lineno)
        elif isinstance(value, nodes.Call):
            if value.node == self.attr("_show"):
                value.args.append(nodes.Const(True))
            elif isinstance(value.node, nodes.Name) and value.node.name in TAGS:
                value.args.insert(0, value.node)
                value.node = self.attr("_wait")
        return value

    @pass_eval_context
    def _attribute(self, context: nodes.EvalContext, file: object, name: str) -> object:
        batch = active_batch()
        deferred = batch.deferred_file(file) if batch is not None else None
        if batch is None or deferred is None:
            return self.environment.getattr(file, name)
        to_html = escape if context.autoescape else str
        return batch.add(
            ImgMarkup(deferred), lambda _: to_html(self.environment.getattr(deferred, name))
        )

    def _show(
        self, name: str, args: _Values, kwargs: _Named, html: _Named, waits: bool = False
    ) -> SafeMarkup:
        named, attributes = _defined(kwargs), _defined(html)
        html_of = show(TAGS[name].plan, [*map(_value, args)], named, attributes, waits=waits)
        return SafeMarkup(html_of)  # noqa: S704 -- built of escaped parts

    # Templates that are compiled, and kept by a cache of Jinja2, call it by this name.
    def _lend(self, name: str, args: _Values, kwargs: _Named, waits: bool = False) -> _File:
        return defer(_file_of, name, [*map(_value, args)], _defined(kwargs), waits=waits)

    @pass_context
    def _wait(
        self, context: Context, function: Callable[..., object], /, *args: object, **kwargs: object
    ) -> object:
        """Return a mark, unless the name of our function stands for another one here."""
        if isinstance(function, _Function):
            return function.show(args, kwargs, waits=True)
        return context.call(function, *args, **kwargs)

    def _render_batch(
        self, context: Context, is_inner: bool, outer: _Named, caller: Callable[..., str]
    ) -> SafeMarkup:
        render = partial(caller, **outer)
        # A batch that stands directly in another one leaves the work to that.
        text = render() if is_inner else batched(render, context.get("csp_nonce"))
        return SafeMarkup(text)  # noqa: S704 -- rendered by a template
