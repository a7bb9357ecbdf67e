"""Rules of settings: what ``manage.py check`` asks of a value by itself, without importing anything.

Those of the options in a setting that is a dict stand beside the options.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from typing import Any, TypedDict

#: Says what a value must be, such as "a number, 0 or more"; None of a value that is right.
Rule = Callable[[object], str | None]


def rule_for(expected: str, is_right: Callable[[Any], bool]) -> Rule:
    """Return a rule that says what is *expected* of a value that is not right."""
    return lambda value: None if is_right(value) else expected


def optional(rule: Rule) -> Rule:
    """Return a rule that takes None besides."""

    def take_none(value: object) -> str | None:
        expected = None if value is None else rule(value)
        return expected and f"{expected}, or None"

    return take_none


def dotted_path(what: str) -> Rule:
    """Return a rule for a text that may be the dotted path of *what*."""
    return rule_for(f"the dotted path of a {what}", lambda value: isinstance(value, str))


def one_of(*words: str) -> Rule:
    """Return a rule for some words, a callable, or a text that may be the dotted path of one."""
    return rule_for(
        f"one of {', '.join(map(repr, words))}, a function, or the dotted path of one",
        lambda value: (
            value in words or callable(value) or (isinstance(value, str) and "." in value)
        ),
    )


def options(rules: Mapping[str, Rule]) -> Rule:
    """Return a rule for a dict of options, each of which has its own one."""

    def judge(value: object) -> str | None:
        if not isinstance(value, Mapping) or value.keys() - rules.keys():
            return f"a dict with none but these keys: {', '.join(map(repr, rules))}"
        for key, option in value.items():
            if expected := rules[key](option):
                return f"a dict whose {key!r} is {expected}"
        return None

    return judge


# What the HTML standard allows in a name (13.1.2.3 Attributes): neither control characters nor
# blanks, quotes, angle brackets, slashes and equals signs; "<" is a parse error on top of that.
ATTRIBUTE_NAME = re.compile(r"""[^\x00-\x20\x7f-\x9f"'<>/=`\ufdd0-\ufdef\ufffe\uffff]+""")
_PERCENTAGE = r"(?:100|\d\d?(?:\.\d+)?)%"
_ANCHOR = re.compile(
    r"focal|entropy|auto|c|[tb]?[lr]?(?<=\w)|(?:(?:top|bottom|left|right|center)[ -]?){1,2}"
    rf"|(?:{_PERCENTAGE}|left|center|right) (?:{_PERCENTAGE}|top|center|bottom)"
)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_list(value: Any, is_right: Callable[[Any], bool]) -> bool:
    is_list = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    return is_list and all(map(is_right, value))


def _is_folder(value: object) -> bool:
    text = value.replace("\\", "/") if isinstance(value, str) else ""
    parts = text.split("/")
    is_above = text.startswith("/") or ".." in parts or ":" in parts[0]
    return bool(text.strip("/. ")) and not is_above


def _is_attribute(name: object) -> bool:
    return isinstance(name, str) and bool(ATTRIBUTE_NAME.fullmatch(name)) and name.lower() != "src"


def _is_format_options(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(v, Mapping) for v in value.values())


def _is_anchor(value: Any) -> bool:
    if isinstance(value, str):
        return bool(_ANCHOR.fullmatch(value))
    return _is_list(value, lambda x: _is_number(x) and 0 <= x <= 1) and len(value) == 2


positive = rule_for("a number, more than 0", lambda value: _is_number(value) and value > 0)
not_negative = rule_for("a number, 0 or more", lambda value: _is_number(value) and value >= 0)
share = rule_for("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
one_or_more = rule_for("a number, 1 or more", lambda value: _is_number(value) and value >= 1)
boolean = rule_for("True or False", lambda value: isinstance(value, bool))
text = rule_for("a string", lambda value: isinstance(value, str))
name = rule_for("a name", lambda value: isinstance(value, str) and value != "")
names = rule_for(
    "a list of names", lambda value: _is_list(value, lambda item: isinstance(item, str))
)
scales = rule_for(
    "a list of numbers above 0",
    lambda value: _is_list(value, lambda item: _is_number(item) and item > 0),
)
anchor = rule_for(
    "'focal', 'entropy', an anchor such as 'top left' or '20% 80%', or two fractions of width and"
    " height",
    _is_anchor,
)
folder = rule_for("the name of a folder inside the storage: relative, without '..'", _is_folder)
widths = rule_for(
    "a list of whole numbers, 1 or more",
    lambda value: _is_list(value, lambda item: type(item) is int and item >= 1),
)
picture = rule_for(
    "a dict of the arguments of Picture, such as {'formats': ('WEBP',)}",
    lambda value: isinstance(value, Mapping) and all(isinstance(key, str) for key in value),
)
attributes = rule_for(
    "a dict of attributes of <img> beside 'src', such as {'loading': 'lazy'}",
    lambda value: isinstance(value, Mapping) and all(map(_is_attribute, value)),
)
more_than_one = rule_for("a number, more than 1", lambda value: _is_number(value) and value > 1)
format_options = rule_for("a dict of formats, each with a dict of its options", _is_format_options)


class ServingOptions(TypedDict, total=False):
    """How on-demand URLs are answered, where a view does not say it itself; see the reference."""

    MODE: str
    PERMISSION: str | None
    CONCURRENCY: int | None
    WAITING: int
    EXPIRES: float | None


SERVING_DEFAULTS = ServingOptions(
    MODE="auto", PERMISSION=None, CONCURRENCY=None, WAITING=64, EXPIRES=None
)
SERVING_MODES = ("accel", "auto", "redirect", "sendfile", "stream")
SERVING_RULES: Mapping[str, Rule] = {
    "MODE": rule_for(f"one of {', '.join(map(repr, SERVING_MODES))}", SERVING_MODES.__contains__),
    "PERMISSION": optional(dotted_path("function of request and file")),
    "CONCURRENCY": optional(one_or_more),
    "WAITING": not_negative,
    "EXPIRES": optional(one_or_more),
}


class RequestBudget(TypedDict, total=False):
    """What one request may spend on making images; see the reference."""

    images: int | None
    seconds: float | None


BUDGET_RULES: Mapping[str, Rule] = {
    "images": optional(not_negative),
    "seconds": optional(not_negative),
}
