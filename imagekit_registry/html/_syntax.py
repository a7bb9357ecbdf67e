"""Tags as they are written in templates, and what is wrong with them: the same in each language."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import attrs

from imagekit_registry.generatorlibrary import THUMBNAIL_ID
from imagekit_registry.html._elements import is_attribute_name
from imagekit_registry.html._tags import (
    TAGS,
    Tag,
    explain_unknown,
    explain_variable,
    split_arguments,
)
from imagekit_registry.registry import generator_registry

#: A value as a template language has it before it is rendered.
V = TypeVar("V")


@attrs.frozen
class WrittenTag(Generic[V]):
    """A tag as it stands in a template: ``{% NAME arguments -- attributes %}``.

    Args:
        name: Its name.
        arguments: Names and values of its arguments in their order; unnamed ones have no name.
        attributes: Names and values of what follows ``--``; None if that is not there.
        variable: What follows ``as``, empty if nothing does; None if ``as`` is not there.
    """

    name: str
    arguments: Sequence[tuple[str, V]]
    attributes: Sequence[tuple[str, V]] | None = None
    variable: str | None = None

    @property
    def tag(self) -> Tag:
        """What it shows."""
        return TAGS[self.name]

    @property
    def args(self) -> list[V]:
        """The unnamed arguments."""
        return [value for name, value in self.arguments if not name]

    @property
    def kwargs(self) -> dict[str, V]:
        """The named arguments."""
        return {name: value for name, value in self.arguments if name}

    @property
    def html(self) -> dict[str, V]:
        """The attributes of the element."""
        return dict(self.attributes or ())

    def explain_mistake(
        self, text_of: Callable[[V], str], constant_of: Callable[[V], object]
    ) -> str:
        """Return what is wrong with it, to be read after its name; empty if nothing is.

        Args:
            text_of: Returns a value as it is written.
            constant_of: Returns what a value is whatever the page shows; None if that depends.
        """
        return (
            self._explain_variable()
            or self._explain_attributes()
            or self._explain_order(text_of)
            or self._explain_arguments(text_of, constant_of)
        )

    def _explain_variable(self) -> str:
        if self.variable is None:
            return ""
        if not self.variable:
            return "has nothing after 'as': write the name of a variable there"
        if not self.variable.isidentifier():
            return f"cannot be put into {self.variable!r}: write the name of a variable after 'as'"
        if self.attributes is not None:
            return (
                f"takes either HTML attributes after '--' or 'as {self.variable}': with a"
                " variable, write the element yourself"
            )
        if self.tag.file is None:
            return f"is several images, and cannot be put into {self.variable!r}"
        return ""

    def _explain_attributes(self) -> str:
        if self.attributes is None:
            return ""
        if not self.attributes:
            return "has nothing after '--'. Leave it out, or write attributes: alt=\"...\""
        names = [name for name, _ in self.attributes]
        for name in names:
            if not is_attribute_name(name):
                return f"has {name!r} after '--', which is no name of an HTML attribute"
            if name.lower() == "src":
                return "has 'src' after '--', which the tag writes itself"
            if names.count(name) > 1:
                return f"has {name!r} twice after '--'"
        return ""

    def _explain_order(self, text_of: Callable[[V], str]) -> str:
        named: set[str] = set()
        for name, value in self.arguments:
            if name in named:
                return f"has {name!r} twice"
            if name and not name.isidentifier():
                return f"has {name!r} before '--': HTML attributes stand after '--'"
            if name:
                named.add(name)
            elif named:
                return f"has {text_of(value)!r} after named arguments; it must come before them"
        return ""

    def _explain_arguments(
        self, text_of: Callable[[V], str], constant_of: Callable[[V], object]
    ) -> str:
        args, kwargs, takes = self.args, self.kwargs, self.tag.takes
        if len(args) not in self.tag.counts:
            given = ", ".join(map(text_of, args)) or "none"
            by = "," if "," in takes else ""
            hint = ""
            if self.tag.counts == (1,) and len(args) == 2:
                hint = f". Name the source: source={text_of(args[1])}"
            elif "source" in kwargs:
                source = text_of(kwargs["source"])
                hint = f". The source has no name here: write {source} after the dimensions"
            return f"takes {takes}{by} as unnamed arguments, not: {given}{hint}"
        for taken in ("id",) if len(args) == 1 else ("height", "id", "source", "width"):
            if taken in kwargs:
                return f"has {taken!r} by name, which comes from the unnamed arguments"
        first = constant_of(args[0])
        if len(args) == 2 and isinstance(first, str) and first in generator_registry.get_ids():
            source = text_of(args[1])
            named = f"source={source}" if 1 in self.tag.counts else f"'100x100' {source}"
            return f"has the id {first!r} in place of dimensions. Write: {first!r} {named}"
        # What a variable names may take anything.
        spec_id = THUMBNAIL_ID if len(args) == 2 else first
        if spec_id is None:
            return ""
        problem = explain_unknown(self.name, len(args), str(spec_id), kwargs)
        if self.variable and self.name != "picture":
            options, _ = split_arguments(self.name, [first, *args[1:]], kwargs)
            problem = problem or explain_variable(options)
        return problem
