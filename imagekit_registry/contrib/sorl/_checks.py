"""What of a project that comes from sorl-thumbnail has no counterpart here."""

from __future__ import annotations

from django.core.checks import CheckMessage

from imagekit_registry.contrib._peers import (
    Problems,
    check_replaced,
    check_tags,
    check_values,
    constant,
    constants,
    find_tags,
)
from imagekit_registry.contrib.sorl.conf import READ, REPLACED, get
from imagekit_registry.contrib.sorl.images import source_of
from imagekit_registry.contrib.sorl.specs import IGNORED, OPTIONS, Thumbnail, parse_geometry
from imagekit_registry.contrib.sorl.templatetags.thumbnail import ThumbnailNode
from imagekit_registry.exceptions import ImageKitError

__all__ = ["LIBRARIES", "check_settings", "check_templates"]

#: The names by which templates load the tag.
LIBRARIES = ("thumbnail", "sorl_thumbnail")


def check_settings(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Return the settings of sorl-thumbnail that are wrong, or have no effect."""
    values = ((name, rule, get(name), default) for name, (default, rule) in READ.items())
    return [*check_values(values), *check_replaced(REPLACED, "imagekit.W021")]


def check_templates(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Return the tags in templates that ask for what there is not, each with its line.

    What a template leaves to variables is not looked at.
    """
    templates = find_tags("thumbnail", ThumbnailNode, LIBRARIES)
    return list(check_tags(templates, "sorl-thumbnail 13", _problems, "imagekit.W022"))


def _problems(node: ThumbnailNode) -> Problems:
    for name, _ in node.options:
        if name not in OPTIONS.keys() | IGNORED | {"options"}:
            text = f"has the option {name!r}, which has no counterpart and makes no difference."
            yield text, f"Remove it, or register a spec. There are {', '.join(sorted(OPTIONS))}."
    source, geometry = constant(node.source), constant(node.geometry)
    known = {name: each for name, each in constants(node.options).items() if name in OPTIONS}
    try:
        if source is not ...:
            source_of(source)
        if geometry is not ...:
            parse_geometry(str(geometry))
        Thumbnail(geometry="9x9", **known)
    except ImageKitError as error:
        yield f"shows no image: {error}", "Images that it asks for are shown as failed ones are."
