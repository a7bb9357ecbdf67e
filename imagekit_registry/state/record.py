"""What is remembered of one cache file: the record, and how it is written down."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import attrs

from imagekit_registry.exceptions import InvalidArgument

__all__ = ["CacheFileRecord", "Status"]

#: Part of every encoded record; a record of another version is read as no record.
VERSION = 2
#: Longest error text, longest other text, and longest encoded record, in characters.
MAX_ERROR = 300
MAX_TEXT = 4_000
MAX_ENCODED = 32_000
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
        fingerprint: What the source's content was recognised by when the file was made.
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
        '{"v":2,"name":"a.jpg","status":"exists","width":300,"height":200}'
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
    fingerprint: str = ""
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

    def encode(self) -> str:
        """Return the record as a short line of ASCII, for a cache: without what is not known."""
        told = {name: value for name, value in vars(self).items() if value != _DEFAULTS[name]}
        return _to_json({"v": VERSION, **told})

    @classmethod
    def decode(cls, value: object) -> CacheFileRecord | None:
        """Return the record that `encode` wrote.

        A bare word, as django-imagekit wrote it, is a record of which only the status is known.

        Args:
            value: What came out of a cache: anything at all.

        Returns:
            None for whatever is no record of this version, whole and within its bounds.
        """
        if not isinstance(value, str) or len(value) > MAX_ENCODED:
            return None
        if value in _WORDS:
            return _WORDS[value]
        try:
            fields = _from_json(value)
            if not isinstance(fields, dict) or fields.pop("v", None) != VERSION:
                return None
            if all(map(_is_sound, fields, fields.values())):
                return cls(**fields)
        except (InvalidArgument, RecursionError, TypeError, ValueError):
            pass  # no JSON, no such status, or a field that is unknown or missing
        return None


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
#: The words that django-imagekit keeps in its cache. Without a moment, only "exists" counts.
_WORDS = {str(status): CacheFileRecord(name="", status=status) for status in Status}
_WORDS["does_not_exist"] = _WORDS[Status.MISSING]
# What is no string or number becomes a string, which `decode` then refuses: encoding never fails.
_to_json = json.JSONEncoder(separators=(",", ":"), default=str).encode
_from_json = json.JSONDecoder().decode
