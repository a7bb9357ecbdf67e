"""What an on-demand URL says of its image, and the signature by which we know that we have said it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest
from typing import Any

import attrs
from django.conf import settings
from django.core.files.storage import storages

from imagekit_registry.cachefiles import ImageCacheFile, get_image
from imagekit_registry.cachefiles.existence import is_known_to_exist, known
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.exceptions import InvalidArgument, SourceUnavailable
from imagekit_registry.generatorlibrary import Rendition
from imagekit_registry.specs import SourceReference, StoredFile, has_generator, has_source, refer_to
from imagekit_registry.state import CacheFileRecord

__all__ = ["Demand", "is_signed", "sign", "version_of"]

_PERSON = b"imagekit-serving"
#: 112 bits, written as hexadecimal digits: 28.
_SIGNATURE_BYTES = 14
_VERSION_BYTES = 9
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


# Signatures.


def sign(spec_id: str, token: str, name: str) -> str:
    """Return the signature of the parts of an on-demand URL, by ``SECRET_KEY``: 28 hex digits.

    Args:
        spec_id: The id of the spec.
        token: What `Demand.encode` gives.
        name: The last segment.
    """
    return _signature(settings.SECRET_KEY, _joined(spec_id, token, name))


def is_signed(signature: str, spec_id: str, token: str, name: str) -> bool:
    """Return whether a signature is ours, by ``SECRET_KEY`` or one of ``SECRET_KEY_FALLBACKS``.

    It takes as long for every wrong signature.
    """
    given, text = signature.encode("utf-8", "surrogatepass"), _joined(spec_id, token, name)
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    # Counted: after a match the others are tried as well.
    return sum(compare_digest(given, _signature(key, text).encode()) for key in keys) > 0


def _joined(spec_id: str, token: str, name: str) -> bytes:
    # Neither token nor name holds a slash, so that no two URLs are one text.
    return f"{spec_id}/{token}/{name}".encode("utf-8", "surrogatepass")


def _signature(secret: str | bytes, text: bytes) -> str:
    mac = _keyed(secret).copy()
    mac.update(text)
    return mac.hexdigest()


@lru_cache(maxsize=16)
def _keyed(secret: str | bytes) -> blake2b:
    """Return the hash that begins with a key of ours alone, derived from the project's."""
    data = secret if isinstance(secret, bytes) else secret.encode("utf-8", "surrogatepass")
    key = blake2b(data, digest_size=32, person=_PERSON).digest()
    return blake2b(key=key, digest_size=_SIGNATURE_BYTES, person=_PERSON)


# Tokens.


@attrs.frozen
class Demand:
    """Which image an on-demand URL asks for.

    Args:
        spec_id: The id of a registered spec.
        source: The reference of its source; empty for a generator without one.
        arguments: What else the spec is made with.
        rendition: The format and the width, in pixels, in which its image is asked for, if these are
            not its own.
        version: What tells the content from another one under the same URL, if that was known.
        expires: The moment after which the URL is good for nothing, in whole seconds since the
            epoch; None for never.

    Example:
        >>> demand = Demand("shop:small", "photos/bulldog.jpg", {"width": 100})
        >>> Demand.decode("shop:small", demand.encode()) == demand
        True
    """

    spec_id: str
    source: str = ""
    arguments: Mapping[str, object] = attrs.field(factory=dict)
    rendition: Mapping[str, Any] = attrs.field(factory=dict)
    version: str = ""
    expires: int | None = None

    @classmethod
    def of(cls, file: CacheFile, expires: int | None = None) -> Demand:
        """Return what asks for *file*.

        Args:
            file: A cache file.
            expires: As in `Demand`.

        Raises:
            InvalidArgument: No other process could find the file again: its generator is not
                registered or was changed since, its source is in no storage of ``STORAGES`` or is an
                image of another spec, or JSON cannot hold its arguments.
        """
        spec = file.spec
        original = spec.rendition_of or spec
        changes = spec.changes if isinstance(spec, Rendition) else {}
        rendition = {name: value for name, value in changes.items() if value is not None}
        source = original.source
        if not original.spec_id or (source is not None and not has_source(source)):
            raise _refusal(file, "it has no source, or its generator no id")
        if source is not None and has_generator(source):
            raise _refusal(file, "its source is the image of another spec")
        demand = cls(
            original.spec_id,
            str(refer_to(source)) if source is not None else "",
            original.spec_arguments,
            rendition,
            _version_now(file),
            expires,
        )
        try:
            # With what a view will read: JSON knows no tuples, for one.
            twin = cls.decode(demand.spec_id, demand.encode()).find_file().identity
        except Exception as error:  # the project's recipe may want the row that has the source
            raise _refusal(file, f"it cannot be found ({error})") from error
        if twin != file.identity:
            raise _refusal(file, "another image is found by its id, source and arguments")
        return demand

    def encode(self) -> str:
        """Return the token: base64url of canonical JSON, the same for the same image on all hosts."""
        told = {
            "a": dict(self.arguments),
            "r": dict(self.rendition),
            "s": self.source,
            "v": self.version,
            "x": self.expires,
        }
        text = _encode({name: value for name, value in told.items() if value})
        return base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")

    @classmethod
    def decode(cls, spec_id: str, token: str) -> Demand:
        """Return what the parts of a URL ask for, whose signature is known to be right.

        Raises:
            ValueError: Another version of this package has written the token.
        """
        told = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if not isinstance(told, dict) or told.keys() - {"a", "r", "s", "v", "x"}:
            raise ValueError("the token is none of this version")
        return cls(
            spec_id,
            told.get("s", ""),
            told.get("a", {}),
            told.get("r", {}),
            told.get("v", ""),
            told.get("x"),
        )

    def is_expired(self) -> bool:
        """Return whether the URL has been good for something once."""
        return self.expires is not None and time.time() > self.expires

    def find_file(self, **changes: object) -> ImageCacheFile:
        """Return the cache file that is asked for.

        Args:
            **changes: Arguments of the spec that are others than in the token.

        Raises:
            NotRegistered: Nothing has the id any more.
            InvalidArgumentType: The generator does not take the arguments.
            SourceUnavailable: The storage of the source is none of ``STORAGES``.
        """
        arguments = {**self.arguments, **changes}
        if self.source:
            reference = SourceReference.parse(self.source)
            alias = reference.storage or "default"
            if alias not in storages.backends:
                raise SourceUnavailable(
                    f"STORAGES has no {alias!r}", spec_id=self.spec_id, source=reference.name
                )
            arguments["source"] = StoredFile(reference.name, storages[alias])
        file = get_image(self.spec_id, **arguments)
        return ImageCacheFile(Rendition(file.spec, **self.rendition)) if self.rendition else file


def _refusal(file: CacheFile, why: str) -> InvalidArgument:
    return InvalidArgument(
        f"An image of {file.spec.describe()} has no on-demand URL: {why}. Register its spec, and let"
        " its source lie in a storage of STORAGES."
    )


def version_of(digest: str, record: CacheFileRecord) -> str:
    """Return what tells the content of an image from what was, or will be, under its URL.

    Args:
        digest: The digest of the file.
        record: Its record.

    Returns:
        12 characters; empty if nothing tells of which content of the source the image was made.
    """
    if not record.fingerprint:
        return ""
    data = f"{digest}\n{record.fingerprint}".encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(blake2b(data, digest_size=_VERSION_BYTES).digest()).decode()


def _version_now(file: CacheFile) -> str:
    record = known(file) if is_known_to_exist(file) else None
    return version_of(file.identity.digest, record) if record is not None else ""
