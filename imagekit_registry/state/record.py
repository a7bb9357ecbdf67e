"""What is remembered of one cache file: the record, and how it is written down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import attrs

from imagekit_registry.exceptions import InvalidArgument

__all__ = ["CacheFileRecord", "Status"]

#: Part of every encoded record; a record of another version is read as no record.
VERSION = 1
#: Longest error text, longest other text, and longest encoded record, in characters.
MAX_ERROR = 300
MAX_TEXT = 4_000
MAX_ENCODED = 32_000
#: Largest width, height and failure count, and largest size in bytes, that a record may hold.
MAX_COUNT = 2**31 - 1
MAX_SIZE = 2**63 - 1
#: Latest moment that a record may hold, in seconds since the epoch (the year 5138).
MAX_MOMENT = 1e11


class Status(StrEnum):
    """The four states that a cache file can be in."""

    EXISTS = "exists"
    GENERATING = "making"
    FAILED = "failed"
    MISSING = "missing"


def _check_status(instance: CacheFileRecord, attribute: attrs.Attribute[str], value: str) -> None:
    if value not in list(Status):
        raise InvalidArgument(f"status must be one of {', '.join(sorted(Status))}; it is {value!r}")


def _clean_error(text: str) -> str:
    """Return *text* short, and such as every cache and database holds."""
    if not text:
        return ""
    text = str(text).replace("\0", "").encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_ERROR else text[: MAX_ERROR - 1] + "…"


@attrs.frozen(kw_only=True)
class CacheFileRecord:
    """What is known of one cache file, so that a page need not ask its storage.

    Args:
        name: Name of the cache file in its storage; empty if only the status is known.
        status: One of the constants of `Status`.
        storage: Alias or other name of the cache file's storage.
        width: Width in pixels; None if not known.
        height: Height in pixels; None if not known.
        size: Size of the file in bytes; None if not known.
        format: Pillow's name of the format, such as ``'JPEG'``.
        digest: Digest of the recipe that the file was made by.
        spec_id: Id of the generator.
        source: Name of the source image.
        fingerprint: What the source's content was recognised by when the file was made.
        placeholder: A tiny stand-in for the image, such as a colour or a data URI.
        made_at: When the file was made, in seconds since the epoch.
        error: Why making it failed; cut to 300 characters.
        failures: How many tries in a row have failed.
        retry_at: For a file that does not exist, in seconds since the epoch: from when on the
            record is no longer believed.
        published_name: The name that the storage gave the file, if it is not `name`.

    Raises:
        InvalidArgument: *status* is none of the four.

    Example:
        >>> record = CacheFileRecord(name="a.jpg", status=Status.EXISTS, width=300, height=200)
        >>> record.encode()
        '{"v":1,"s":"e","n":"a.jpg","w":300,"h":200}'
        >>> CacheFileRecord.decode(record.encode()) == record
        True
    """

    name: str
    status: str = attrs.field(validator=_check_status)
    storage: str = ""
    width: int | None = None
    height: int | None = None
    size: int | None = None
    format: str = ""
    digest: str = ""
    spec_id: str = ""
    source: str = ""
    fingerprint: str = ""
    placeholder: str = ""
    made_at: float | None = None
    error: str = attrs.field(default="", converter=_clean_error)
    failures: int = 0
    retry_at: float | None = None
    published_name: str = ""

    def is_current(self, now: float) -> bool:
        """Return whether the record is still to be believed.

        A file that exists is believed to exist. Everything else ends at `retry_at`, and at once
        if there is none, so that no state is stuck for ever.

        Args:
            now: The present moment, in seconds since the epoch.
        """
        if self.status == Status.EXISTS:
            return True
        return self.retry_at is not None and now < self.retry_at

    def encode(self) -> str:
        """Return the record as a short line of ASCII, for a cache."""
        data: dict[str, Any] = {
            "v": VERSION,
            "s": _LETTERS[self.status],
            "n": self.name,
        }
        for key, field, default in _OPTIONAL:
            value = getattr(self, field)
            if value != default:
                data[key] = value
        return _to_json(data)

    @classmethod
    def decode(cls, value: object) -> CacheFileRecord | None:
        """Return the record that `encode` wrote.

        A bare word, as django-imagekit wrote it, is a record of which only the status is known.

        Args:
            value: What came out of a cache: anything at all.

        Returns:
            None for whatever is no record of this version, whole and within its bounds.
        """
        if not isinstance(value, str):
            return None
        if value[:1] != "{":
            return _WORDS.get(value)
        if len(value) > MAX_ENCODED:
            return None
        try:
            data = _from_json(value)
        except (ValueError, RecursionError):
            return None
        if data.pop("v", None) != VERSION:
            return None
        fields = _read_fields(data)
        return cls(**fields) if fields is not None else None


def _read_fields(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the arguments of a record, or None unless every one is known, typed and in bounds."""
    fields: dict[str, Any] = {}
    for key, value in data.items():
        name, kind, limit = _FIELDS.get(key, _UNKNOWN)
        given = type(value)
        if given is str:
            if kind is not str or len(value) > limit:
                return None
        elif given is int or (given is float and kind is float):
            # Written so that NaN, which compares to nothing, is refused.
            if kind is str or not 0 <= value <= limit:
                return None
        else:
            return None
        fields[name] = value
    try:
        fields["status"] = _STATUSES[fields["status"]]
    except KeyError:
        return None
    return fields if "name" in fields else None


_UNKNOWN: tuple[str, type, float] = ("", type(None), -1)
#: What each key of an encoded record stands for: the field, its type and its limit.
_FIELDS: dict[str, tuple[str, type, float]] = {
    "s": ("status", str, 1),
    "n": ("name", str, MAX_TEXT),
    "st": ("storage", str, MAX_TEXT),
    "w": ("width", int, MAX_COUNT),
    "h": ("height", int, MAX_COUNT),
    "b": ("size", int, MAX_SIZE),
    "f": ("format", str, MAX_TEXT),
    "d": ("digest", str, MAX_TEXT),
    "i": ("spec_id", str, MAX_TEXT),
    "o": ("source", str, MAX_TEXT),
    "fp": ("fingerprint", str, MAX_TEXT),
    "p": ("placeholder", str, MAX_TEXT),
    "t": ("made_at", float, MAX_MOMENT),
    "e": ("error", str, MAX_ERROR),
    "c": ("failures", int, MAX_COUNT),
    "r": ("retry_at", float, MAX_MOMENT),
    "pn": ("published_name", str, MAX_TEXT),
}
_OPTIONAL = [
    (key, name, attrs.fields_dict(CacheFileRecord)[name].default)
    for key, (name, _, _) in _FIELDS.items()
    if name not in {"name", "status"}
]
_LETTERS = {Status.EXISTS: "e", Status.GENERATING: "g", Status.FAILED: "f", Status.MISSING: "m"}
_STATUSES = {letter: status for status, letter in _LETTERS.items()}
#: The words that django-imagekit keeps in its cache, and ours. Only "exists" is believed.
_WORDS: dict[str, CacheFileRecord] = {
    word: CacheFileRecord(name="", status=status)
    for word, status in {
        "exists": Status.EXISTS,
        "generating": Status.GENERATING,
        "does_not_exist": Status.MISSING,
        "making": Status.GENERATING,
        "failed": Status.FAILED,
        "missing": Status.MISSING,
    }.items()
}
# What is no string or number becomes a string, which `decode` then refuses: encoding never fails.
_to_json = json.JSONEncoder(separators=(",", ":"), default=str).encode
_from_json = json.JSONDecoder().decode
