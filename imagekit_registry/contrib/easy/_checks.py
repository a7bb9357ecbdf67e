"""What of a project that comes from easy-thumbnails has no counterpart here, or is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from django.core.checks import CheckMessage, Warning

from imagekit_registry.contrib._peers import (
    Problems,
    check_replaced,
    check_tags,
    check_values,
    constant,
    constants,
    find_tags,
)
from imagekit_registry.contrib.easy.alias import aliases, fields_of
from imagekit_registry.contrib.easy.conf import REPLACED, RULES, settings
from imagekit_registry.contrib.easy.options import size_of
from imagekit_registry.contrib.easy.processors import known_options
from imagekit_registry.contrib.easy.specs import OTHER_OPTIONS, EasyThumbnail
from imagekit_registry.contrib.easy.templatetags.thumbnail import RE_SIZE, ThumbnailNode
from imagekit_registry.exceptions import ImageKitError

__all__ = ["check_settings", "check_templates"]

_LIBRARIES = ("thumbnail", "easy_thumbnails_tags")


def check_settings(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Return the settings of easy-thumbnails that are wrong, or have no effect."""
    values = (
        (name, rule, getattr(settings, name), getattr(type(settings), name))
        for name, rule in RULES.items()
    )
    found = [*check_values(values), *check_replaced(REPLACED, "imagekit.W031")]
    return found or list(_check_aliases())


def _check_aliases() -> Iterator[CheckMessage]:
    for target, alias, options in aliases.items():
        for problem, hint in _problems_of(target, options):
            where = f"The alias {alias!r} of {target or 'all targets'!r}"
            yield Warning(f"{where} {problem}", hint=hint, id="imagekit.W032")


def _problems_of(target: str, options: Mapping[str, object]) -> Problems:
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


def check_templates(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Return the tags in templates that ask for what there is not, each with its line.

    What a template leaves to variables is not looked at.
    """
    templates = find_tags("thumbnail", ThumbnailNode, _LIBRARIES)
    return list(check_tags(templates, "easy-thumbnails", _problems_in, "imagekit.W033"))


def _problems_in(node: ThumbnailNode) -> Problems:
    """Yield what is wrong with a tag, and what to do."""
    size = constant(node.size)
    named = {alias for _, alias, _ in aliases.items()}
    if isinstance(size, str) and not RE_SIZE.fullmatch(size) and size not in named:
        there = ", ".join(sorted(named)) or "none"
        yield f"has the size or alias {size!r}, which is none.", f"Aliases are: {there}."
    try:
        EasyThumbnail(size=(9, 9), **constants(node.options.items()))
    except (ImageKitError, TypeError, ValueError) as error:
        yield f"shows no image: {error}", "Mend its options."
