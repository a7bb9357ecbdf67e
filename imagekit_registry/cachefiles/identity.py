"""What a cache file is: worked out once, and the same from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs
from django.core.files.storage import Storage

from imagekit_registry._loading import sanitize_cache_key, storage_place, storage_reference
from imagekit_registry.conf import conf
from imagekit_registry.specs import BaseImageSpec, has_source, refer_to
from imagekit_registry.state import CacheFileRecord

if TYPE_CHECKING:
    from imagekit_registry.cachefiles.backends import AbstractCacheFileBackend
    from imagekit_registry.cachefiles.strategies import Strategy

__all__ = ["CacheFile", "Identity", "identify", "state_key"]


@attrs.frozen(slots=False)
class Identity:
    """What a cache file is.

    Args:
        name: Its name in its storage; empty without a source.
        storage: The reference of that storage, as ``storage_reference`` gives it.
        spec_id: The id of its generator, or the dotted path of the generator's class.
        source: How records name its source; empty without one.
        source_name: What messages call its source; None without a name.
        digest: The digest of source and recipe; empty if the generator has none.
        key: The key of its record.
        name_is_unique: Whether the name says source and recipe. If not, only the record tells
            whose image is there.
    """

    name: str
    storage: str
    spec_id: str
    source: str
    source_name: str | None
    digest: str
    key: str
    name_is_unique: bool


class CacheFile(Protocol):
    """**Protocol:** what the modules of this room know of an `ImageCacheFile`."""

    name: str | None
    storage: Storage
    generator: object
    spec: BaseImageSpec
    cachefile_backend: AbstractCacheFileBackend
    cachefile_strategy: Strategy

    @property
    def identity(self) -> Identity:
        """What the file is."""
        ...

    @property
    def spec_id(self) -> str:
        """What errors, records and logs call the generator."""
        ...

    @property
    def state(self) -> CacheFileRecord:
        """The record of the file."""
        ...

    @property
    def url(self) -> str:
        """The URL; that of the fallback while the image cannot be had."""
        ...

    @property
    def width(self) -> int | None:
        """The width in pixels."""
        ...

    @property
    def height(self) -> int | None:
        """The height in pixels."""
        ...


def identify(file: CacheFile, *, name_is_unique: bool) -> Identity:
    """Return what *file* is.

    Args:
        file: The cache file.
        name_is_unique: Whether its name says source and recipe.
    """
    spec = file.spec
    source = spec.source
    name, storage = file.name or "", storage_reference(file.storage)
    return Identity(
        name=name,
        storage=storage,
        spec_id=spec.describe(),
        source=str(refer_to(source)) if has_source(source) else "",
        source_name=spec.source_name,
        digest=spec.get_hash(),
        key=state_key(storage, name),
        name_is_unique=name_is_unique,
    )


def state_key(storage: str, name: str) -> str:
    """Return the key under which the record of a cache file is kept.

    It says where the file lies: what was recorded under another ``MEDIA_ROOT`` says nothing of it.

    Args:
        storage: The reference of its storage.
        name: Its name in that.
    """
    prefix, place = conf.CACHE_PREFIX, storage_place(storage)
    where = f"{storage}:{place}:" if storage or place else ""
    return sanitize_cache_key(f"{prefix}{where}{name}-state")
