"""Tags as Jinja2 reads them."""

from __future__ import annotations

from typing import NoReturn

from jinja2 import nodes
from jinja2.lexer import TokenStream
from jinja2.parser import Parser

from imagekit_registry.html import WrittenTag

__all__ = ["TagReader"]


class TagReader:
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
