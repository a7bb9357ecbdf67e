"""What a cache file is: worked out once, and the same from then on."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from operator import attrgetter, is_
from types import FunctionType
from typing import TYPE_CHECKING, Any

import attrs
from django.core.files.images import ImageFile
from django.core.files.storage import Storage
from django.core.signals import setting_changed
from django.db.models.fields.files import FieldFile
from django.dispatch import receiver

from imagekit_registry._loading import sanitize_cache_key, storage_place, storage_reference
from imagekit_registry.cachefiles import namers
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import answer_or
from imagekit_registry.imaging import Recipe
from imagekit_registry.imaging.formats import suggest_extension
from imagekit_registry.registry import detector_registry
from imagekit_registry.specs import (
    BaseImageSpec,
    ImageSpec,
    StoredFile,
    has_source,
    refer_to,
    smallest_formats,
)
from imagekit_registry.state import CacheFileRecord

if TYPE_CHECKING:
    from imagekit_registry.cachefiles.backends import AbstractCacheFileBackend
    from imagekit_registry.cachefiles.strategies import Strategy

__all__ = [
    "CacheFile",
    "Identity",
    "identify",
    "is_told_by_class",
    "known_identity",
    "other_name",
    "published_names",
    "remember_identity",
    "state_key",
]


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


class CacheFile(ImageFile):
    """What the modules of this room know of an `ImageCacheFile`, the only class that derives from it."""

    generator: Any
    spec: BaseImageSpec
    storage: Storage
    cachefile_backend: AbstractCacheFileBackend
    cachefile_strategy: Strategy
    #: Files of the same source that are asked for together: who misses one makes all that are missing.
    siblings: Sequence[CacheFile] = ()

    _is_named: bool

    @cached_property
    def identity(self) -> Identity:
        """What the file is: name, storage, spec id, source, digest and the key of its record."""
        is_unique = self._is_named or not self.spec.name_needs_record
        identity = identify(self, name_is_unique=is_unique)
        if not self._is_named:
            remember_identity(self.spec, self.storage, identity)
        return identity

    @property
    def source(self) -> Any:
        """The source image that this one is made of; None for a generator without one."""
        return self.spec.source

    @property
    def digest(self) -> str:
        """The digest of source and recipe; empty if the generator has none."""
        return self.identity.digest

    def __str__(self) -> str:
        return self.name or ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name or 'None'}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CacheFile):
            return NotImplemented
        if self.name != other.name or self.storage != other.storage:
            return False
        are_told_by_name = self.identity.name_is_unique and other.identity.name_is_unique
        return are_told_by_name or self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def spec_id(self) -> str:
        """What errors, records and logs call the generator: its id, or its class."""
        return self.spec.describe()

    @property
    def state(self) -> CacheFileRecord:
        """The record of the file."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """The URL; that of the fallback while the image cannot be had."""
        raise NotImplementedError


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


# What only shows when the image is there.


def published_names(file: CacheFile, format: str | None = None) -> list[str]:
    """Return the names that *file* may have in its storage: its own, and one for each other format.

    Args:
        file: The cache file.
        format: The format that it has, if that is known: there is one name for it.
    """
    name, own = file.identity.name, smallest_formats(file.spec.format)
    if not own or not file.identity.name_is_unique:
        return [name]
    root = posixpath.splitext(name)[0]
    if format is not None:
        return [root + suggest_extension(name, format)]
    return list(dict.fromkeys([name, *(root + suggest_extension(name, each) for each in own)]))


def other_name(file: CacheFile) -> str:
    """Return under which other name *file* is in its storage; empty if it is under its own."""
    names = published_names(file)
    if len(names) == 1:
        return ""
    found = next((name for name in names if answer_or(False, file.storage.exists, name)), "")
    return "" if found == names[0] else found


# What the same spec makes of the same source is the same each time.

#: All that a name and a digest hang on, beside the class, its source and the settings.
_recipe_of = attrgetter(
    "spec_id",
    "namer",
    *(field.name for field in attrs.fields(Recipe) if field.name != "processors"),
)
_PLAIN = ("get_hash", "cachefile_name", "name_needs_record", "describe", "_namer", "_recipe_text")
_Parts = tuple[object, ...]
#: By class, id, source and arguments: the parts, the identity, and what hangs on the row beside these.
_known: dict[_Parts, tuple[_Parts, Identity, _Parts]] = {}
#: Identities that a process remembers.
_MOST_KNOWN = 10_000


def known_identity(spec: BaseImageSpec, storage: Storage) -> Identity | None:
    """Return what the file of *spec* in *storage* is, if that was worked out before."""
    source = spec.source
    if not isinstance(source, FieldFile | StoredFile):
        return None
    try:
        known = _known.get((type(spec), spec.spec_id, source.name, *spec.spec_arguments.values()))
    except TypeError:
        return None  # an argument that cannot be hashed
    if known is None:
        return None
    # The very same objects: what is equal may be written down in another way.
    parts = _parts(spec, source, storage)
    if len(parts) != len(known[0]) or not all(map(is_, known[0], parts)):
        return None
    is_of_row = known[2] and not all(map(is_, known[2], _placed(spec)))
    return None if is_of_row else known[1]


def remember_identity(spec: BaseImageSpec, storage: Storage, identity: Identity) -> None:
    """Remember what the file of *spec* is, if its class, its source and its recipe say all of it."""
    source = spec.source
    if isinstance(source, FieldFile | StoredFile) and is_told_by_class(spec):
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        key = (type(spec), spec.spec_id, source.name, *spec.spec_arguments.values())
        with suppress(TypeError):
            _known[key] = (_parts(spec, source, storage), identity, _placed(spec))


def is_told_by_class(spec: BaseImageSpec) -> bool:
    """Return whether name and digest hang on nothing but what specs have by their attributes."""
    cls = type(spec)
    if not isinstance(spec, ImageSpec) or any(
        getattr(cls, name) is not getattr(ImageSpec, name) for name in _PLAIN
    ):
        return False
    namer = spec._namer()
    is_ours = isinstance(namer, FunctionType) and namer.__module__ == namers.__name__
    return is_ours and namer is not namers.content_hash


def _placed(spec: BaseImageSpec) -> _Parts:
    """Return the processors with their anchors; none if these hang on nothing but the spec."""
    if not isinstance(spec, ImageSpec):
        return ()
    placed = spec.placed_processors()
    return () if all(map(is_, placed, spec.processors or ())) else tuple(placed)


def _parts(spec: BaseImageSpec, source: FieldFile | StoredFile, storage: Storage) -> _Parts:
    # An upload that is not stored yet is told by its content; a tenant's storage may move.
    is_stored, places = vars(source).get("_committed"), (getattr(storage, "location", None),)
    processors = spec.processors or () if isinstance(spec, ImageSpec) else ()
    others = (*places, detector_registry.names, *_recipe_of(spec), *processors)
    return (source.storage, is_stored, storage, *others)


@receiver(setting_changed, dispatch_uid="imagekit_registry.identity")
def _forget_on_change(*, setting: str, **_: object) -> None:
    if setting.startswith("IMAGEKIT_") or setting in {"STORAGES", "MEDIA_ROOT"}:
        _known.clear()
