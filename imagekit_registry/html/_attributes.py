"""HTML attributes: names that are names, values that stay values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

from imagekit_registry.exceptions import InvalidArgument

__all__ = ["Attributes", "build_attributes", "is_attribute_name", "settle_attributes"]

#: What a tag is given to write: True stands for an attribute without a value.
Attributes = Mapping[str, "str | bool"]

# What the HTML standard allows in a name (13.1.2.3 Attributes): neither control characters nor
# blanks, quotes, angle brackets, slashes and equals signs; "<" is a parse error on top of that.
_NAME = re.compile(r"""[^\x00-\x20\x7f-\x9f"'<>/=`\ufdd0-\ufdef\ufffe\uffff]+""")


def is_attribute_name(name: str) -> bool:
    """Return whether *name* can be the name of an HTML attribute.

    Example:
        >>> is_attribute_name("data-id"), is_attribute_name("a b")
        (True, False)
    """
    return _NAME.fullmatch(name) is not None


def settle_attributes(attributes: Mapping[str, Any] | None) -> Attributes:
    """Return *attributes* as they are now, however late they are written.

    Args:
        attributes: Values by name. None and False leave the attribute out.

    Raises:
        InvalidArgument: A name is no name of an attribute, or is ``src``, which the tag writes.
    """
    settled: dict[str, str | bool] = {}
    for name, value in (attributes or {}).items():
        if not is_attribute_name(str(name)):
            raise InvalidArgument(f"{str(name)[:50]!r} is no name of an HTML attribute.")
        if name.lower() == "src":
            raise InvalidArgument("The attribute 'src' is written by the tag itself.")
        if value is True or value is None or value is False:
            settled[name] = bool(value)
        else:
            # A lazy translation, for one, is another text later.
            settled[name] = str(value)
    return settled


def build_attributes(attributes: Mapping[str, Any]) -> str:
    """Return attributes as HTML, each with a blank before it.

    Args:
        attributes: Values by name. None and False leave the attribute out, True leaves its value
            out; any other value is escaped, also if it was marked safe: what is safe between tags
            may end an attribute.

    Raises:
        InvalidArgument: A name is no name of an attribute.

    Example:
        >>> build_attributes({"alt": 'a "cat"', "hidden": False})
        ' alt="a &quot;cat&quot;"'
    """
    parts = []
    for name, value in attributes.items():
        if not _NAME.fullmatch(name):
            raise InvalidArgument(f"{name[:50]!r} is no name of an HTML attribute.")
        if value is True:
            parts.append(f" {name}")
        elif value is not None and value is not False:
            parts.append(f' {name}="{escape(str(value))}"')
    return "".join(parts)
