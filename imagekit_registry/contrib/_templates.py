"""The project's templates, compiled to look at the tags in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
from django.template import Engine, Node, Origin, Template, TemplateSyntaxError, engines
from django.template.backends.django import DjangoTemplates
from django.template.loaders import cached, filesystem

_LARGEST = 1_000_000


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
    error: TemplateSyntaxError | None = None


def find_tags(tag: str, node: type[Node], libraries: tuple[str, ...]) -> Iterator[FoundTemplate]:
    """Yield the project's templates, and those of its apps, that use a tag of some libraries.

    Args:
        tag: Its name.
        node: Its class, which tells it from other libraries' tags of this name.
        libraries: The names that these are loaded by, for templates that cannot be compiled.
    """
    loads = re.compile(rf"{{%\s*load\s[^%]*\b({'|'.join(libraries)})\b")
    found = [each.engine for each in engines.all() if isinstance(each, DjangoTemplates)]
    for engine in found:
        for path in _files(engine):
            text = path.read_text("utf-8", errors="replace")
            if not re.search(rf"{{%\s*{tag}\s", text):
                continue
            try:
                origin = Origin(str(path), path.name)
                template = Template(text, origin, path.name, engine)
            except TemplateSyntaxError as error:
                if loads.search(text):
                    yield FoundTemplate(str(path), error=error)
            else:
                yield FoundTemplate(str(path), tuple(template.nodelist.get_nodes_by_type(node)))


def _files(engine: Engine) -> Iterator[Path]:
    """Yield the files in the folders of an engine's loaders, each once."""
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
                yield from sorted(path for path in found if path.stat().st_size <= _LARGEST)
