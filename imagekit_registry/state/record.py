"""What is remembered of one cache file: the record, and how it is written down."""

from __future__ import annotations

import json
import math
import posixpath
from base64 import b64encode
from enum import StrEnum
from hashlib import blake2b
from typing import Any

import attrs

from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidArgument

__all__ = ["CacheFileRecord", "Status"]

#: Part of every encoded record; a record of another version is read as no record.
VERSION = 3
#: The version before, which is read too: an object of fields by name.
_FORMER = 2
#: Longest error text, longest other text, and longest encoded record, in characters.
MAX_ERROR = 300
MAX_TEXT = 4_000
MAX_ENCODED = 32_000
#: Longest fingerprint that is kept as it is, and what one is written in that is longer, in characters.
_LONGEST_FINGERPRINT = 12
#: What is written for a digest that the name says.
_NAMED = "="
#: Largest number in each of the fields that hold no texts, as far as every database goes.
LARGEST: dict[str, float] = {
    "width": 2**31 - 1,
    "height": 2**31 - 1,
    "size": 2**63 - 1,
    "failures": 2**31 - 1,
    "quality": 100,
    "tries": 2**31 - 1,
    "made_at": 1e11,  # the year 5138
    "retry_at": 1e11,
    "obsolete_at": 1e11,
}


class Status(StrEnum):
    """The four states that a cache file can be in."""

    EXISTS = "exists"
    MISSING = "missing"
    GENERATING = "generating"
    FAILED = "failed"

    @classmethod
    def _missing_(cls, value: object) -> Status:
        raise InvalidArgument(f"status must be one of {', '.join(sorted(cls))}; it is {value!r}")


def _clean_error(text: str) -> str:
    """Return *text* short, and such as every cache and database holds."""
    if not text:
        return ""
    text = str(text).replace("\0", "").encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_ERROR else text[: MAX_ERROR - 1] + "…"


def _shorten(fingerprint: str) -> str:
    """Return *fingerprint* in at most 12 characters, such that equal ones stay equal."""
    if len(fingerprint) <= _LONGEST_FINGERPRINT:
        return fingerprint
    data = fingerprint.encode("utf-8", "surrogatepass")
    return b64encode(blake2b(data, digest_size=9).digest()).decode()


def abridge(record: CacheFileRecord) -> dict[str, Any]:
    """Return the fields of *record* as they are written down: what its name says is not said twice."""
    digest = _NAMED if record.digest and record.digest == _stem(record.name) else record.digest
    return {**vars(record), "digest": digest}


def restore(fields: dict[str, Any]) -> CacheFileRecord:
    """Return the record of which `abridge` has given *fields*.

    Raises:
        InvalidArgument: They are none of this version.
    """
    if fields.get("digest") == _NAMED:
        fields["digest"] = _stem(str(fields["name"]))
    return CacheFileRecord(**fields)


def _stem(name: str) -> str:
    """Return what our namers write the digest as: the name without its folders and its extension."""
    return posixpath.splitext(posixpath.basename(name))[0]


@attrs.frozen(kw_only=True, slots=False)
class CacheFileRecord:
    """What is known of one cache file, so that a page need not ask its storage.

    Args:
        name: Name of the cache file in its storage; empty if only the status is known.
        status: One of `Status`, or its value.
        storage: Alias or other name of the cache file's storage.
        width: Width in pixels; None if not known.
        height: Height in pixels; None if not known.
        size: Size of the file in bytes; None if not known.
        format: Pillow's name of the format, such as ``'JPEG'``.
        digest: Digest of the recipe that the file was made by; for a rendition of a spec's image, a
            slash and that image's digest besides.
        spec_id: Id of the generator.
        source: Name of the source image.
        fingerprint: What the source's content was recognised by when the file was made; of more than 12
            characters, their digest. `is_of_former` compares it.
        placeholder: What is shown until the image has loaded, as `make_placeholder` writes it.
        made_at: When the file was made, in seconds since the epoch.
        error: Why making it failed; cut to 300 characters.
        failures: How many tries in a row have failed.
        retry_at: For a file that does not exist, in seconds since the epoch: from when on the
            record no longer counts.
        published_name: The name that the storage gave the file, if it is not `name`.
        obsolete_at: When `cleanimages` first found that nothing calls for the file, in seconds since
            the epoch; None: something does, as far as is known.
        quality: The quality in which the image was written, if that was searched for.
        tries: Of how many tries.
        limit: Which limit it is beyond, if it failed for that, as `LimitExceeded` calls it; ``other`` for one
            that has no setting.

    Raises:
        InvalidArgument: *status* is none of the four.

    Example:
        >>> record = CacheFileRecord(name="a.jpg", status=Status.EXISTS, width=300, height=200)
        >>> record.encode()
        '[3,"a.jpg","exists",300,200]'
        >>> CacheFileRecord.decode(record.encode()) == record
        True
    """

    name: str
    status: Status = attrs.field(converter=Status)
    storage: str = ""
    width: int | None = None
    height: int | None = None
    size: int | None = None
    format: str = ""
    digest: str = ""
    spec_id: str = ""
    source: str = ""
    fingerprint: str = attrs.field(default="", converter=_shorten)
    placeholder: str = ""
    made_at: float | None = None
    error: str = attrs.field(default="", converter=_clean_error)
    failures: int = 0
    retry_at: float | None = None
    published_name: str = ""
    obsolete_at: float | None = None
    quality: int | None = None
    tries: int | None = None
    limit: str = ""

    def as_missing(self, **changes: Any) -> CacheFileRecord:
        """Return the record of a file that is to be made anew, in what size is not known.

        Args:
            **changes: What else is another.
        """
        return attrs.evolve(self, status=Status.MISSING, width=None, height=None, **changes)

    @property
    def was_made(self) -> bool:
        """Whether there is a file, or was one: browsers may have it."""
        return self.status == Status.EXISTS or self.made_at is not None

    def is_current(self, now: float) -> bool:
        """Return whether the record still counts.

        A file that exists goes on to exist. Everything else ends at `retry_at`, and at once if
        there is none, so that no state is stuck for ever.

        Args:
            now: The present moment, in seconds since the epoch.
        """
        if self.status == Status.EXISTS:
            return True
        return self.retry_at is not None and now < self.retry_at

    def replaced(self) -> CacheFileRecord:
        """Return the record of a file that does not count any more, whether or not it is there.

        Its source is another one by now, whatever that looks like; or it is about to be deleted, and
        who is killed in the middle of that must not leave the word that it exists.
        """
        return self.as_missing(
            fingerprint="replaced", retry_at=None, failures=0, error="", limit=""
        )

    def seconds_kept(self, now: float, existing: int | None) -> int | None:
        """Return for how many whole seconds a cache keeps the record; None: for ever.

        A failure is kept for longer than it counts, or each new one would be counted as the first,
        and the back-off would never grow. So is what tells that a file that is there was made of an
        earlier image: it would pass for the present one as soon as that is forgotten. When a file
        became obsolete is kept until it is removed, and the size of an image to come, which would
        have to be calculated again, like a failure.

        Args:
            now: The present moment, in seconds since the epoch.
            existing: The answer for a file that exists.
        """
        if self.obsolete_at is not None:
            return None
        if self.status == Status.EXISTS:
            return existing
        left = 0.0 if self.retry_at is None else self.retry_at - now
        if self.status == Status.FAILED or self.fingerprint or self.width is not None:
            left = max(left, 0.0) + conf.RETRY_AFTER_MAX
        return max(math.ceil(left), 1)

    def is_of_former(self, fingerprint: str) -> bool:
        """Return whether the file was made of another content than its source has now.

        Args:
            fingerprint: What the source's content is recognised by; empty if that is not known.
        """
        return bool(fingerprint and self.fingerprint) and _shorten(fingerprint) != self.fingerprint

    def encode(self, key: str = "") -> str:
        """Return the record as a short line of ASCII, for a cache: without what is not known.

        Args:
            key: The key that it is kept under: the name, if that is a part of it, is not written again.
        """
        fields = abridge(self)
        start = key.find(self.name) if self.name else -1
        name = self.name if start < 0 else [start, start + len(self.name)]
        told = ((fields[field], _DEFAULTS[field]) for field in _ORDER[1:])
        values = [name, *(None if value == default else value for value, default in told)]
        while values[-1] is None:
            values.pop()
        return _to_json([VERSION, *values])

    @classmethod
    def decode(cls, value: object, key: str = "") -> CacheFileRecord | None:
        """Return the record that `encode` wrote.

        A bare word, as django-imagekit wrote it, is a record of which only the status is known.

        Args:
            value: What came out of a cache: anything at all.
            key: The key that it was written for.

        Returns:
            None for whatever is no record of this version or the one before, whole and within its bounds.
        """
        if not isinstance(value, str) or len(value) > MAX_ENCODED:
            return None
        if value in _WORDS:
            return _WORDS[value]
        try:
            fields = _fields_of(_from_json(value), key)
            if all(map(_is_sound, fields, fields.values())):
                return restore(fields)
        except (InvalidArgument, LookupError, RecursionError, TypeError, ValueError):
            pass  # no JSON, no such status, or a field that is unknown or missing
        return None


def _fields_of(told: Any, key: str) -> dict[str, Any]:
    """Return the fields in what JSON tells; none if it is no record."""
    match told:
        case [int(version), name, *values] if version == VERSION and len(values) < len(_ORDER):
            if isinstance(name, list):
                start, end = name
                name = key[start:end]
                if not name or len(name) != end - start:
                    return {}
            pairs = zip(_ORDER, [name, *values], strict=False)
            return {field: value for field, value in pairs if value is not None}
        case dict():
            return told if told.pop("v", None) == _FORMER else {}
    return {}


def _is_sound(name: str, value: object) -> bool:
    """Return whether what was read for the field *name* is of its type and within its bounds."""
    match value:
        case str():
            longest = MAX_ERROR if name == "error" else MAX_TEXT
            return name not in LARGEST and len(value) <= longest
        case bool():
            return False
        case int():
            return 0 <= value <= LARGEST.get(name, -1)
        case float():
            # NaN compares to nothing, and so is refused.
            return name.endswith("_at") and 0 <= value <= LARGEST.get(name, -1)
    return False


_DEFAULTS = {name: field.default for name, field in attrs.fields_dict(CacheFileRecord).items()}
#: The order in which the fields are written: what most files have first.
_ORDER = (
    *("name", "status", "width", "height", "size", "made_at", "fingerprint", "format", "source"),
    *("spec_id", "digest", "placeholder", "storage", "published_name", "quality", "tries"),
    *("error", "failures", "retry_at", "obsolete_at", "limit"),
)
#: The words that django-imagekit keeps in its cache. Without a moment, only "exists" counts.
_WORDS = {str(status): CacheFileRecord(name="", status=status) for status in Status}
_WORDS["does_not_exist"] = _WORDS[Status.MISSING]
# What is no string or number becomes a string, which `decode` then refuses: encoding never fails.
_to_json = json.JSONEncoder(separators=(",", ":"), default=str).encode
_from_json = json.JSONDecoder().decode
