"""Writes the docstrings into the pages of the reference, so that they can be read where the repository is.

    python -m docs.write_reference

A page says what it takes, one name after the other; what stands between the two comments is written anew:

    <!-- docstring: imagekit_registry.processors.Anchor; members: get_tuple -->
    <!-- end -->

``members`` without names are all public ones of a class, or all of a module's ``__all__``.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import attrs

from docs.write_pictures import EXAMPLES, PICTURES

DOCS = Path(__file__).resolve().parent
_MARKED = re.compile(
    r"^<!-- docstring: (?P<name>[\w.]+)(?P<more>; members(?:: (?P<members>[\w, ]+))?)? -->\n"
    r".*?^<!-- end -->$",
    re.MULTILINE | re.DOTALL,
)
_HEADING = re.compile(r"^(#+) ", re.MULTILINE)
_SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Examples?):$")
_ITEM = re.compile(r"^(?P<name>[*\w.,` ]+?): (?P<text>.*)$")
_TITLES = {"Args": "Arguments", "Attributes": "Attributes", "Raises": "Raises"}
_CONSTANTS = (str, int, float, tuple, list, dict, frozenset)
#: Longer signatures have one argument a line.
_WIDTH = 88


def written(page: str) -> str:
    """Return the text of a page with its docstrings as they are now."""
    done: list[str] = []
    end = 0
    for match in _MARKED.finditer(page):
        done.append(page[end : match.start()])
        # One level below the heading that somebody has written above it.
        above = _HEADING.findall(re.sub(_MARKED, "", page[: match.start()]))
        level = len(above[-1]) + 1
        first = match[0].split("\n", 1)[0]
        names = [name.strip() for name in (match["members"] or "").split(",") if name.strip()]
        every = bool(match["more"]) and not names
        text = "\n\n".join(_entries(match["name"], names, every=every, level=level))
        done.append(f"{first}\n\n{text}\n\n<!-- end -->")
        end = match.end()
    return "".join([*done, page[end:]])


def _entries(path: str, members: list[str], *, every: bool, level: int) -> Iterator[str]:
    found = _find(path)
    if inspect.ismodule(found):
        names = members or [name for name in vars(found) if name in found.__all__]
        for name in names:
            member = getattr(found, name)
            if getattr(member, "__name__", name) == name:
                yield _entry(name, member, level)
        return
    yield _entry(path.rpartition(".")[2], found, level)
    for name in members or (_members_of(found) if every else []):
        yield _entry(name, inspect.getattr_static(found, name), level + 1)


def _find(path: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        return getattr(importlib.import_module(module), name)


def _members_of(cls: Any) -> list[str]:
    return [
        name
        for name, member in vars(cls).items()
        if not name.startswith("_") and not isinstance(member, type) and inspect.getdoc(member)
        and (callable(member) or isinstance(member, (property, classmethod, staticmethod)))
    ]  # fmt: skip


def _entry(name: str, member: Any, level: int) -> str:
    parts = [f"{'#' * level} `{name}`"]
    if isinstance(member, _CONSTANTS):
        # What a constant is documented by is its type's.
        return f"{parts[0]}\n\n```py\n{name} = {_shown(member)}\n```"
    if signature := _signature(name, member):
        parts.append(f"```py\n{signature}\n```")
    if isinstance(member, type) and issubclass(member, Exception):
        parts.append(f"Base: {', '.join(f'`{base.__name__}`' for base in member.__bases__)}")
    parts += _from_docstring(inspect.getdoc(getattr(member, "func", member)) or "")
    if name in EXAMPLES and member.__module__.startswith("imagekit_registry.processors"):
        picture = f"../{(PICTURES / name).relative_to(DOCS).as_posix()}.webp"
        parts.append(f"`{EXAMPLES[name][1]}`, before and after:")
        parts.append(f"![A photograph, and what {name} makes of it]({picture})")
    if isinstance(member, enum.EnumType):
        values: Any = member.__members__.items()
        parts.append("\n".join(f"- `{name}`: `{each.value!r}`" for name, each in values))
    return "\n\n".join(parts)


# Signatures.


def _signature(name: str, member: Any) -> str:
    parameters: list[inspect.Parameter]
    is_static = isinstance(member, staticmethod)
    if isinstance(member, (classmethod, staticmethod)):
        member = member.__wrapped__
    if isinstance(member, type):
        init: Any = vars(member).get("__init__", member.__init__)  # type: ignore[misc]
        own_init = init is not object.__init__ and not issubclass(member, enum.Enum)
        if not own_init or getattr(member, "_is_protocol", False):
            return ""
        # attrs writes annotations of its own, which are not those that were written down.
        parameters = list(inspect.signature(init).parameters.values())[1:]
        shown = [_parameter(each, with_type=not attrs.has(member)) for each in parameters]
        returned = ""
    elif inspect.isfunction(member):
        has_self = not is_static and "." in member.__qualname__
        parameters = list(inspect.signature(member).parameters.values())[has_self:]
        shown = list(map(partial(_parameter, with_type=True), parameters))
        annotation = inspect.signature(member).return_annotation
        returned = "" if annotation in {inspect.Signature.empty, "None"} else f" -> {annotation}"
    else:
        return ""
    kinds = [each.kind for each in parameters]
    if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        shown.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    if inspect.Parameter.POSITIONAL_ONLY in kinds:
        shown.insert(sum(kind == inspect.Parameter.POSITIONAL_ONLY for kind in kinds), "/")
    line = f"{name}({', '.join(shown)}){returned}"
    if len(line) <= _WIDTH:
        return line
    inner = "".join(f"    {each},\n" for each in shown)
    return f"{name}(\n{inner}){returned}"


def _parameter(parameter: inspect.Parameter, *, with_type: bool) -> str:
    stars: dict[Any, str] = {
        inspect.Parameter.VAR_POSITIONAL: "*",
        inspect.Parameter.VAR_KEYWORD: "**",
    }
    text = stars.get(parameter.kind, "") + parameter.name
    # What is no text any more is shown by each Python in its own way.
    has_type = with_type and isinstance(parameter.annotation, str)
    if has_type:
        text += f": {parameter.annotation}"
    if parameter.default is inspect.Parameter.empty:
        return text
    shown = _shown(parameter.default)
    return f"{text} = {shown}" if has_type else f"{text}={shown}"


def _shown(value: Any) -> str:
    """Return a value as each Python and each process shows it."""
    if value is attrs.NOTHING:
        return "..."
    if isinstance(value, type) or inspect.isfunction(value):
        return value.__name__
    if isinstance(value, frozenset):
        return f"frozenset({sorted(value)!r})"
    return "..." if " at 0x" in repr(value) else repr(value)


# Docstrings: Google's sections, with the marks of reStructuredText for code.


def _from_docstring(text: str) -> list[str]:
    parts: list[str] = []
    title, lines = "", []
    for line in [*text.split("\n"), "Example:"]:
        section = _SECTION.match(line)
        if section is None:
            lines.append(line)
            continue
        if body := dedent("\n".join(lines)).strip("\n"):
            parts.append(_section(title, body))
        title, lines = section[1], []
    return parts


def _section(title: str, body: str) -> str:
    if title.startswith("Example"):
        language = "python-console" if body.startswith(">>>") else "py"
        return f"```{language}\n{body}\n```"
    text = _marked(body)
    if not title:
        return text
    if title in {"Returns", "Yields"}:
        return f"**{title}:** {text}"
    items = []
    for line in text.split("\n"):
        # What goes on from the line before is indented, whatever it looks like.
        found = _ITEM.match(line)
        if found and not line.startswith(" "):
            names = ", ".join(f"`{name.strip()}`" for name in found["name"].split(","))
            items.append(f"- {names}: {found['text']}")
        else:
            items.append(f"  {line.strip()}" if line.strip() else "")
    return f"**{_TITLES[title]}**\n\n" + "\n".join(items)


def _marked(text: str) -> str:
    """Return *text* with Markdown's marks for code."""
    text = text.replace("``", "`").replace("\\*", "*")
    return re.sub(r"`~[\w.]*\.(\w+)`", r"`\1`", text)


def main() -> None:
    """Write all pages of the reference."""
    for path in sorted((DOCS / "reference").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        if (new := written(text)) != text:
            path.write_text(new, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(DOCS.parent)}\n")


if __name__ == "__main__":
    import django
    from django.conf import settings

    apps = ["contenttypes", "auth", "admin"]
    settings.configure(
        INSTALLED_APPS=[*(f"django.contrib.{app}" for app in apps), "imagekit_registry"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    )
    django.setup()
    main()
