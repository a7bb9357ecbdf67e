"""What of a project that comes from easy-thumbnails has no counterpart here, or is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning
from django.template import Node
from django.template.base import FilterExpression

from imagekit_registry.contrib._templates import find_tags
from imagekit_registry.contrib.easy.alias import aliases, fields_of
from imagekit_registry.contrib.easy.conf import REPLACED, RULES, settings
from imagekit_registry.contrib.easy.options import size_of
from imagekit_registry.contrib.easy.processors import known_options
from imagekit_registry.contrib.easy.specs import OTHER_OPTIONS, EasyThumbnail
from imagekit_registry.contrib.easy.templatetags.thumbnail import SIZE, ThumbnailNode
from imagekit_registry.exceptions import ImageKitError

_LIBRARIES = ("thumbnail", "easy_thumbnails_tags")


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Return the settings of easy-thumbnails that are wrong, or have no effect."""
    found: list[CheckMessage] = []
    for name, rule in RULES.items():
        if expected := rule(getattr(settings, name)):
            text = f"{name} is {getattr(settings, name)!r}; it must be {expected}."
            hint = f"Leave it out for the default, {getattr(type(settings), name)!r}."
            found.append(Error(text, hint=hint, id="imagekit.E009"))
    for name, instead in REPLACED.items():
        if hasattr(django_settings, name):
            text = f"{name} has no effect on the images of imagekit_registry."
            found.append(Warning(text, hint=f"Remove it; {instead}.", id="imagekit.W031"))
    if not found:
        found += _check_aliases()
    return found


def _check_aliases() -> Iterator[CheckMessage]:
    for target, alias, options in aliases.items():
        for problem, hint in _problems_of(target, options):
            where = f"The alias {alias!r} of {target or 'all targets'!r}"
            yield Warning(f"{where} {problem}", hint=hint, id="imagekit.W032")


def _problems_of(target: str, options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with an alias, and what to do."""
    try:
        fields_of(target)
    except LookupError as error:
        yield f"is for what there is not: {error}", "Write 'app', 'app.Model' or 'app.Model.field'."
    known = known_options() | OTHER_OPTIONS
    for name in options:
        if name not in known and not name.isupper():
            yield f"has the unknown option {name!r}.", f"There are {', '.join(sorted(known))}."
    try:
        size_of(options)
        EasyThumbnail(**options)
    except (ImageKitError, TypeError, ValueError) as error:
        yield f"gives no image: {error}", "Mend its options."


def check_templates(
    app_configs: Sequence[AppConfig] | None, **kwargs: object
) -> list[CheckMessage]:
    """Return the tags in templates that ask for what there is not, each with its line.

    What a template leaves to variables is not looked at.
    """
    found: list[CheckMessage] = []
    for template in find_tags("thumbnail", ThumbnailNode, _LIBRARIES):
        if template.error is not None:
            token = template.error.token  # type: ignore[attr-defined]
            where = f"{template.path}, line {token.lineno}"
            text = f"{where}: {template.error}"
            hint = "Write it as easy-thumbnails takes it, without what has no counterpart."
            found.append(Warning(text, hint=hint, id="imagekit.W033"))
        for node in template.nodes:
            where = f"{template.path}, line {node.token.lineno}: {{% {node.token.contents} %}}"
            found += [
                Warning(f"{where} {text}", hint=hint, id="imagekit.W033")
                for text, hint in _problems_in(node)
            ]
    return found


def _problems_in(node: ThumbnailNode) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a tag, and what to do."""
    size = _literal(node.size)
    named = {alias for _, alias, _ in aliases.items()}
    if isinstance(size, str) and not SIZE.fullmatch(size) and size not in named:
        there = ", ".join(sorted(named)) or "none"
        yield f"has the size or alias {size!r}, which is none.", f"Aliases are: {there}."
    options = {
        name: True if value is True else _literal(value) for name, value in node.options.items()
    }
    known = {name: value for name, value in options.items() if value is not None}
    try:
        EasyThumbnail(size=(9, 9), **known)
    except (ImageKitError, TypeError, ValueError) as error:
        yield f"shows no image: {error}", "Mend its options."


def _literal(expression: FilterExpression | Node | bool) -> Any:
    """Return what stands in a template; None for what is only known later."""
    if not isinstance(expression, FilterExpression) or expression.filters:
        return None
    found = expression.var
    return found if isinstance(found, str) else found.literal
