"""What of a project that comes from sorl-thumbnail has no counterpart here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.template.base import FilterExpression

from imagekit_registry.contrib._templates import find_tags
from imagekit_registry.contrib.sorl.conf import READ, REPLACED, get
from imagekit_registry.contrib.sorl.images import source_of
from imagekit_registry.contrib.sorl.specs import IGNORED, OPTIONS, Thumbnail, parse_geometry
from imagekit_registry.contrib.sorl.templatetags.thumbnail import ThumbnailNode
from imagekit_registry.exceptions import ImageKitError

__all__ = ["check_settings", "check_templates"]

_LIBRARIES = ("thumbnail", "sorl_thumbnail")


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Return the settings of sorl-thumbnail that are wrong, or have no effect.

    Args:
        app_configs: Not looked at.
        **kwargs: What Django passes besides.
    """
    found: list[CheckMessage] = []
    for name, (default, rule) in READ.items():
        if expected := rule(get(name)):
            text = f"{name} is {get(name)!r}; it must be {expected}."
            hint = f"Write {name} = {default!r}, which is the default."
            found.append(Error(text, hint=hint, id="imagekit.E009"))
    found += [
        Warning(
            f"{name} has no effect on the images of imagekit_registry.",
            hint=f"Remove it; {instead}.",
            id="imagekit.W021",
        )
        for name, instead in REPLACED.items()
        if hasattr(settings, name)
    ]
    return found


def check_templates(
    app_configs: Sequence[AppConfig] | None, **kwargs: object
) -> list[CheckMessage]:
    """Return the tags in templates that ask for what there is not, each with its line.

    What a template leaves to variables is not looked at.

    Args:
        app_configs: Not looked at: templates are those of the project and of all its apps.
        **kwargs: What Django passes besides.
    """
    found: list[CheckMessage] = []
    for template in find_tags("thumbnail", ThumbnailNode, _LIBRARIES):
        if template.error is not None:
            text = f"{template.path} cannot be compiled: {template.error}"
            hint = "Write its tags as sorl-thumbnail 13 takes them."
            found.append(Warning(text, hint=hint, id="imagekit.W022"))
        for node in template.nodes:
            found += [
                Warning(
                    f"{template.path}, line {node.token.lineno}: {{% {node.token.contents} %}} {text}",
                    hint=hint,
                    id="imagekit.W022",
                )
                for text, hint in _problems(node)
            ]
    return found


def _problems(node: ThumbnailNode) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a tag, and what to do."""
    for name, _ in node.options:
        if name not in OPTIONS.keys() | IGNORED | {"options"}:
            text = f"has the option {name!r}, which has no counterpart and makes no difference."
            yield text, f"Remove it, or register a spec. There are {', '.join(sorted(OPTIONS))}."
    source, geometry = _literal(node.source), _literal(node.geometry)
    options = {name: value for name, each in node.options if (value := _literal(each)) is not None}
    try:
        if source:
            source_of(source)
        if geometry is not None:
            parse_geometry(geometry)
        known = {name: value for name, value in options.items() if name in OPTIONS}
        Thumbnail(geometry="9x9", **known)
    except ImageKitError as error:
        yield f"shows no image: {error}", "Images that it asks for are shown as failed ones are."


def _literal(expression: FilterExpression) -> Any:
    """Return the text that stands in a template; None for what is only known later."""
    return expression.var if isinstance(expression.var, str) and not expression.filters else None
