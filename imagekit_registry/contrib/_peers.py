"""What the apps share that stand in the place of other libraries: looks at settings, templates and tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.files.storage import Storage
from django.db import DatabaseError
from django.db.models import QuerySet
from django.db.models.fields.files import FieldFile
from django.template import Engine, Node, Origin, Template, engines
from django.template.backends.django import DjangoTemplates
from django.template.base import FilterExpression, Variable
from django.template.loaders import cached, filesystem

from imagekit_registry._rules import Rule
from imagekit_registry.cachefiles.listing import Listing
from imagekit_registry.exceptions import answer_or
from imagekit_registry.maintenance.inventory import file_columns

_LARGEST = 1_000_000
_CONSTANTS = {"True": True, "False": False, "None": None}

#: What is wrong with something, and what to do.
Problems = Iterable[tuple[str, str]]


def check_settings(
    values: Iterable[tuple[str, Rule, object, object]], replaced: Mapping[str, str], check_id: str
) -> Iterator[CheckMessage]:
    """Yield an error for each setting whose value is wrong, a warning for each without effect here.

    Args:
        values: Names of settings, each with its rule, its value and its default.
        replaced: What takes the place of those without effect, by name.
        check_id: The id of the warnings.
    """
    for name, rule, value, default in values:
        if expected := rule(value):
            text = f"{name} is {value!r}; it must be {expected}."
            hint = f"Write {name} = {default!r}, which is the default."
            yield Error(text, hint=hint, id="imagekit.E009")
    for name, instead in replaced.items():
        if hasattr(settings, name):
            text = f"{name} has no effect on the images of imagekit_registry."
            yield Warning(text, hint=f"Remove it; {instead}.", id=check_id)


@attrs.frozen
class FoundTemplate:
    """A template that uses a tag.

    Args:
        path: Of its file.
        nodes: The nodes of the tag; none if it cannot be compiled.
        error: Why it cannot be compiled.
    """

    path: str
    nodes: tuple[Any, ...] = ()
    error: Exception | None = None


def find_tags(node: type[Node], libraries: tuple[str, ...]) -> Iterator[FoundTemplate]:
    """Yield the project's templates, and those of its apps, that use the tag ``thumbnail`` of a library.

    Args:
        node: Its class, which tells it from other libraries' tags of this name.
        libraries: The names that these are loaded by, for templates that cannot be compiled.
    """
    loads = re.compile(rf"{{%\s*load\s[^%]*\b({'|'.join(libraries)})\b")
    found = [each.engine for each in engines.all() if isinstance(each, DjangoTemplates)]
    for engine in found:
        for path, name in _files(engine):
            text = path.read_text("utf-8", errors="replace")
            if not re.search(r"{%\s*thumbnail\s", text):
                continue
            try:
                template = Template(text, Origin(str(path), name), name, engine)
            except Exception as error:  # noqa: BLE001 -- tags raise what they like
                if loads.search(text):
                    yield FoundTemplate(str(path), error=error)
            else:
                yield FoundTemplate(str(path), tuple(template.nodelist.get_nodes_by_type(node)))


def check_tags(
    templates: Iterable[FoundTemplate],
    peer: str,
    problems: Callable[[Any], Problems],
    check_id: str,
) -> Iterator[CheckMessage]:
    """Yield a warning for each tag that asks for what there is not, with its line.

    Args:
        templates: What `find_tags` yields.
        peer: The library whose tag it is.
        problems: Tells what is wrong with a node.
        check_id: The id of the warnings.
    """
    for template in templates:
        if template.error is not None:
            token = template.error.token  # type: ignore[attr-defined]  # the parser's, of each
            text = f"{template.path}, line {token.lineno}, cannot be compiled: {template.error}"
            hint = f"Write its tags as {peer} takes them, without what has no counterpart."
            yield Warning(text, hint=hint, id=check_id)
        for node in template.nodes:
            where = f"{template.path}, line {node.token.lineno}: {{% {node.token.contents} %}}"
            for text, hint in problems(node):
                yield Warning(f"{where} {text}", hint=hint, id=check_id)


def constant(expression: object) -> Any:
    """Return the value that stands in a template; ``...`` for what is known only when it is shown."""
    if not isinstance(expression, FilterExpression):
        return True if expression is True else ...
    value = expression.var
    if expression.filters or value is None:
        return ...
    if isinstance(value, Variable):
        return _CONSTANTS.get(str(value.var), ...) if value.literal is None else value.literal
    return str(value)


def constants(expressions: Iterable[tuple[str, object]]) -> dict[str, Any]:
    """Return the options of a tag that stand in a template, by name."""
    values = ((name, constant(expression)) for name, expression in expressions)
    return {name: value for name, value in values if value is not ...}


def read_rows(rows: QuerySet[Any], notes: list[str]) -> Iterator[Any]:
    """Yield rows; of a table that cannot be read, as it is not there, add a note."""
    try:
        yield from rows.iterator()
    except DatabaseError as error:
        cause = f"cannot be read ({type(error).__name__}: {error})"
        notes.append(
            f"{rows.model._meta.label} {cause}: what was made of its images is made again."
        )


def stored_files(notes: list[str]) -> Iterator[FieldFile]:
    """Yield what rows have in their file fields, of all models; *notes* are for `read_rows`."""
    for model, field in file_columns():
        rows = model._base_manager.order_by().exclude(**{field.attname: ""})
        for row in read_rows(rows, notes):
            file: FieldFile = field.value_from_object(row)
            if file:
                yield file


def names_beside(listing: Listing, storage: Storage, folder: str, start: str) -> Iterator[str]:
    """Yield the names in a folder that begin with *start*, none where a storage cannot list."""
    names = answer_or(None, listing.names, storage, folder)
    yield from sorted(name for name in names or () if name.startswith(start))


def _files(engine: Engine) -> Iterator[tuple[Path, str]]:
    """Yield the files in the folders of an engine's loaders, each once, with the template's name."""
    seen: set[Path] = set()
    loaders = list(engine.template_loaders)
    while loaders:
        loader = loaders.pop()
        if isinstance(loader, cached.Loader):
            loaders += loader.loaders
        elif isinstance(loader, filesystem.Loader):
            for folder in map(Path, loader.get_dirs()):
                found = {path for path in folder.rglob("*") if path.is_file()} - seen
                seen |= found
                for path in sorted(path for path in found if path.stat().st_size <= _LARGEST):
                    yield path, path.relative_to(folder).as_posix()
