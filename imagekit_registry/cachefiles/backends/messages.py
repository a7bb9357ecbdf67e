"""What is said to workers: which images to make, as signed JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import attrs
from django.core.files.storage import storages
from django.core.signing import BadSignature, Signer
from django.db.models.fields.files import FieldFile

from imagekit_registry._loading import storage_reference
from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.exceptions import ImageKitError, InvalidMessage
from imagekit_registry.generatorlibrary import Rendition
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import has_generator, is_stored, name_of, storage_of

__all__ = ["Message", "describe", "generator_of"]

#: Counts changes of what a message holds: a worker of another version says so, and makes nothing.
VERSION = 1

_SALT = "imagekit_registry.messages"


@attrs.frozen
class Message:
    """What is put into a queue, and what comes out of it.

    Args:
        images: What `describe` gives for each image; one worker makes them together.
        force: Whether they are made even if they exist.

    Example:
        >>> Message.decode(Message(images=[]).encode())
        Message(images=[], force=False)
    """

    images: Sequence[Mapping[str, Any]]
    force: bool = False

    def encode(self) -> dict[str, object]:
        """Return the message as what JSON can hold, with a signature by ``SECRET_KEY``."""
        body = {"version": VERSION, "force": self.force, "images": list(self.images)}
        return {**body, "signature": Signer(salt=_SALT).signature(_canonical(body))}

    @classmethod
    def decode(cls, data: object) -> Message:
        """Return the message that *data* holds.

        Args:
            data: What came out of a queue, read as JSON; it may come from anybody.

        Raises:
            InvalidMessage: It is none of ours, was changed on its way, or is of another version.
        """
        if not isinstance(data, Mapping):
            raise InvalidMessage(f"A message must be an object, not a {type(data).__name__}.")
        body = {name: value for name, value in data.items() if name != "signature"}
        try:
            # As `unsign` takes it: the keys of SECRET_KEY_FALLBACKS are tried as well.
            Signer(salt=_SALT).unsign(f"{_canonical(body)}:{data.get('signature')}")
        except (BadSignature, TypeError, ValueError, RecursionError) as error:
            raise InvalidMessage(
                "The signature of a message is wrong. Let sites and workers have the same"
                " SECRET_KEY, and nobody else write into the queue."
            ) from error
        if body.get("version") != VERSION:
            raise InvalidMessage(
                f"A message has version {body.get('version')!r}, and this worker reads {VERSION}."
                " Restart the workers after an upgrade."
            )
        return cls(images=body["images"], force=body["force"])


def _canonical(body: Mapping[str, object]) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)


class _NotDescribed(Exception):
    """Something of an image cannot be said to another process."""


def describe(file: CacheFile) -> dict[str, object] | None:
    """Return how a worker finds *file* again; None if it could not.

    A worker finds what the registry gave: a generator by its id, from a source that lies in a
    storage or in a field of a saved model instance, and with arguments that JSON can hold.

    Args:
        file: A cache file.
    """
    try:
        return _describe_file(file)
    except _NotDescribed:
        return None


def _describe_file(file: CacheFile) -> dict[str, object]:
    spec, identity = file.spec, file.identity
    registered = spec.rendition_of or spec
    if not registered.spec_id:
        raise _NotDescribed
    image: dict[str, object] = {"spec": registered.spec_id, "digest": identity.digest}
    if isinstance(spec, Rendition):
        image["rendition"] = dict(spec.changes)
    try:
        # With what a worker will read: JSON knows no tuples, for one.
        image["arguments"] = json.loads(
            json.dumps(dict(registered.spec_arguments), allow_nan=False)
        )
        source = {} if spec.source is None else {"source": spec.source}
        twin = cast(Any, type(file))(generator_of(image, **source))
        is_same = (twin.name, twin.identity.digest) == (file.name, identity.digest)
    except (TypeError, ValueError, RecursionError, ImageKitError) as error:
        raise _NotDescribed from error
    if not is_same or not _are_one(twin.storage, file.storage):
        # It has a name of its own, say, or its generator was changed after it was made.
        raise _NotDescribed
    image["source"] = _describe_source(spec.source) if source else None
    return image


def generator_of(image: Mapping[str, Any], **source: object) -> Any:
    """Return the generator of an image that `describe` has described.

    Args:
        image: Its description.
        **source: Its source, by that name; none if it has none.

    Raises:
        NotRegistered: Nothing has its id any more.
    """
    generator = generator_registry.get(image["spec"], **image["arguments"], **source)
    return Rendition(generator, **image["rendition"]) if image.get("rendition") else generator


def _are_one(storage: object, other: object) -> bool:
    """Return whether two storages are the same; a callable gives another object each time."""
    if storage == other:
        return True
    reference = storage_reference(storage)
    # With a "#" it tells the arguments as well; without, the class alone.
    return "#" in reference and reference == storage_reference(other)


def _describe_source(source: Any) -> dict[str, object]:
    if has_generator(source):
        return {"image": _describe_file(source)}
    name = name_of(source)
    if not name or not is_stored(source):
        raise _NotDescribed
    instance = getattr(source, "instance", None) if isinstance(source, FieldFile) else None
    if instance is not None:
        meta = instance._meta
        if instance.pk is None or instance._state.adding:
            # A primary key that has a default, or that is given, is there before the row is.
            raise _NotDescribed
        return {
            "model": meta.label_lower,
            "pk": meta.pk.value_to_string(instance),
            "database": instance._state.db or "",
            "field": source.field.attname,
            "name": name,
        }
    storage = storage_of(source)
    alias = storage_reference(storage) or "default" if storage is not None else ""
    if alias not in storages.backends:
        raise _NotDescribed
    return {"storage": alias, "name": name}
