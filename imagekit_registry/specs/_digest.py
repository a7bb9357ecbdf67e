"""One text for one recipe, on every host, process and Python version.

The text is JSON with a tag for each kind of value; its 128-bit BLAKE2b hash (RFC 7693) is the
digest that names a cache file. Nothing is pickled.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
import json
import math
import pathlib
import re
import types
from collections.abc import Mapping, Sequence, Set
from hashlib import blake2b
from typing import Any

import attrs

from imagekit_registry.exceptions import NotCanonical

#: Changes when the way in which recipes are written down changes; every file gets a new name then.
VERSION = 1

_DIGEST_BYTES = 16
_MAX_DEPTH = 50
_REMEDY = (
    "Give its class a method digest_state() that returns what tells one value from another,"
    " made of numbers, strings, lists and dicts"
)
#: Packages whose objects hold files, connections or pixels that their attributes do not show.
_OPAQUE = frozenset(["PIL", "_io", "_thread", "django", "io", "threading"])
# Made once: json.dumps() would make one for each text.
_to_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode
#: The default of a field that each instance makes anew.
_OF_INSTANCE = object()
_OWN_PROCESSOR = re.compile(r"^imagekit_registry\.processors\.[\w.]+$")


def digest(value: object) -> str:
    """Return the digest of *value*: 32 hexadecimal characters.

    Raises:
        NotCanonical: Some part of *value* cannot be written down canonically.

    Example:
        >>> digest([1, "a"]) == digest((1, "a"))
        True
    """
    return digest_of(canonical_text(value))


def digest_of(*texts: str) -> str:
    """Return the digest of what `canonical_text` gave for several parts."""
    data = f"imagekit-registry:{VERSION}:{chr(10).join(texts)}".encode()
    return blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()


def canonical_text(value: object) -> str:
    """Return *value* written down canonically, as JSON.

    Raises:
        NotCanonical: Some part of *value* cannot be written down canonically.
    """
    return _to_json(canonical(value))


def canonical(value: object, depth: int = 0) -> object:  # noqa: PLR0911 -- a table of kinds
    """Return *value* as nested lists, dicts, strings and numbers that say all of it.

    attrs fields that equal their default are left out: a new argument of a processor must not
    rename what was made before the argument existed.

    Args:
        value: A recipe or a part of one.
        depth: How deep the part lies in the whole.

    Raises:
        NotCanonical: A part has no canonical form: an open file, a lambda, an object in a circle.
    """
    if value is None or value is True or value is False:
        return value
    if depth > _MAX_DEPTH:
        raise NotCanonical(f"A recipe holds itself, or is nested deeper than {_MAX_DEPTH} levels.")
    if isinstance(value, enum.Enum):
        return ["enum", _class_name(type(value)), value.name]
    simple = _canonical_simple(value)
    if simple is not None:
        return simple
    deeper = depth + 1
    hook = getattr(value, "digest_state", None)
    if callable(hook) and not isinstance(value, type):
        return ["object", _class_name(type(value)), canonical(hook(), deeper)]
    if attrs.has(type(value)):
        return ["object", _class_name(type(value)), _attrs_state(value, deeper)]
    if isinstance(value, Mapping):
        pairs = [[canonical(key, deeper), canonical(item, deeper)] for key, item in value.items()]
        return ["map", sorted(pairs, key=_sort_key)]
    if isinstance(value, Set):
        return ["set", sorted((canonical(item, deeper) for item in value), key=_sort_key)]
    if isinstance(value, Sequence):
        return _canonical_sequence(value, deeper)
    if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
        return ["name", _importable_name(value)]
    if isinstance(value, types.MethodType):
        return ["method", value.__name__, canonical(value.__self__, deeper)]
    if isinstance(value, functools.partial):
        return ["partial", canonical([value.func, value.args, value.keywords], deeper)]
    return ["object", _class_name(type(value)), _object_state(value, deeper)]


def is_value(processor: object) -> bool:
    """Return whether *processor* is one of ours: frozen, so that its text can be remembered."""
    cls = type(processor)
    return "__attrs_attrs__" in cls.__dict__ and bool(_OWN_PROCESSOR.match(cls.__module__))


def _canonical_simple(value: object) -> object:  # noqa: PLR0911 -- a table of kinds
    """Return the form of a number, text, date or path, or None for anything else."""
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return ["float", repr(float(value))]
        # 2 and 2.0 are the same recipe, as they are the same key of a dict.
        return int(value) if value.is_integer() else float(value)
    if isinstance(value, str):
        # A SafeString is the same text.
        return str.__str__(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return ["bytes", blake2b(bytes(value), digest_size=_DIGEST_BYTES).hexdigest()]
    if isinstance(value, decimal.Decimal):
        return ["decimal", str(value.normalize())]
    if isinstance(value, datetime.date | datetime.time | datetime.datetime):
        return ["time", value.isoformat()]
    if isinstance(value, datetime.timedelta):
        return ["seconds", value.total_seconds()]
    if isinstance(value, pathlib.PurePath):
        return ["path", value.as_posix()]
    return None


def _sort_key(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _canonical_sequence(value: Sequence[object], depth: int) -> object:
    items = [canonical(item, depth) for item in value]
    plain = type(value) in {list, tuple} or not getattr(value, "__dict__", None)
    if plain:
        # Lists and tuples are one: a project may write either. A tag keeps a list that starts
        # with a tag's name apart from that tag.
        return ["list", *items]
    return ["object", _class_name(type(value)), [["list", *items], _dict_state(value, depth)]]


def _class_name(cls: type) -> str:
    """Return the name of a class, without the private module that it may be defined in."""
    if "<locals>" in cls.__qualname__:
        raise NotCanonical(
            f"The class {cls.__qualname__!r} is defined inside a function, so its name does not"
            f" tell it from another. Define it at the top of a module. Or: {_REMEDY}."
        )
    if _OWN_PROCESSOR.match(cls.__module__):
        return f"imagekit_registry.processors.{cls.__qualname__}"
    return f"{cls.__module__}.{cls.__qualname__}"


def _importable_name(value: object) -> str:
    name = getattr(value, "__qualname__", "<unnamed>")
    if "<" in name:
        raise NotCanonical(
            f"{name!r} of {getattr(value, '__module__', '?')} is defined inside a function or"
            " without a name, so it cannot be told from another one on the next start."
            " Define it at the top of a module."
        )
    return f"{value.__module__}.{name}"


def _attrs_state(value: object, depth: int) -> dict[str, object]:
    state: dict[str, object] = {}
    cls: type = type(value)
    for field, default in _fields(cls):
        if default is _OF_INSTANCE:
            default = _converted(field, field.default.factory(value))  # noqa: PLW2901
        item = getattr(value, field.name, None)
        if item is default:
            continue
        form = _field_form(value, field, item, depth)
        if default is attrs.NOTHING or form != _field_form(value, field, default, depth):
            state[field.name] = form
    known = {field.name for field in attrs.fields(cls)}
    for name, item in sorted(getattr(value, "__dict__", {}).items()):
        if name not in known:
            state[name] = canonical(item, depth)
    return state


@functools.cache
def _fields(cls: type) -> list[tuple[Any, Any]]:
    """Return what tells values of an attrs class apart: its fields, each with its default."""
    found = []
    for field in attrs.fields(cls):
        if field.init and field.eq is not False:
            default: Any = field.default
            if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
                default = _OF_INSTANCE if default.takes_self else default.factory()
            is_value = default is not attrs.NOTHING and default is not _OF_INSTANCE
            found.append((field, _converted(field, default) if is_value else default))
    return found


def _converted(field: Any, default: object) -> object:
    # attrs has converters that take more since 24.1.
    takes_more = isinstance(field.converter, attrs.Converter)
    return default if field.converter is None or takes_more else field.converter(default)


def _field_form(value: object, field: Any, item: object, depth: int) -> object:
    """Return the form of what makes values of *field* equal, where it says what that is.

    An ordinary subclass may keep anything under the name of a field.
    """
    is_checked = "__attrs_attrs__" in vars(type(value))
    return canonical(field.eq_key(item) if is_checked and field.eq_key else item, depth)


def _object_state(value: object, depth: int) -> object:
    """Return the state of an ordinary object: what its ``__init__`` has set."""
    cls = type(value)
    name = f"{cls.__module__}.{cls.__qualname__}"
    bases = [vars(base) for base in cls.__mro__ if base is not object]
    is_plain = hasattr(value, "__dict__") or any("__slots__" in base for base in bases)
    is_native = any(isinstance(base.get("__new__"), types.BuiltinFunctionType) for base in bases)
    if not is_plain or is_native or cls.__module__.split(".")[0] in _OPAQUE:
        raise NotCanonical(f"A {name} cannot be written down canonically. {_REMEDY}.")
    slots = [slot for base in cls.__mro__ for slot in _slots(base)]
    state: dict[str, object] = _dict_state(value, depth)
    for name in slots:
        if name not in {"__dict__", "__weakref__"} and hasattr(value, name):
            state[name] = canonical(getattr(value, name), depth)
    return state


def _slots(cls: type) -> tuple[str, ...]:
    slots = vars(cls).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _dict_state(value: object, depth: int) -> dict[str, object]:
    state = getattr(value, "__dict__", {})
    return {name: canonical(item, depth) for name, item in sorted(state.items())}
