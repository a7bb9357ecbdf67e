"""What a cache file is: worked out once, and the same from then on."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from operator import attrgetter, is_
from types import FunctionType
from typing import TYPE_CHECKING, Any

import attrs
from django.core.files.images import ImageFile
from django.core.files.storage import Storage
from django.db.models.fields.files import FieldFile

from imagekit_registry._loading import (
    forget_on_change,
    sanitize_cache_key,
    storage_place,
    storage_reference,
)
from imagekit_registry.cachefiles import namers
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import answer_or
from imagekit_registry.imaging import Recipe
from imagekit_registry.imaging.formats import AUTO, AUTO_FORMATS, suggest_extension
from imagekit_registry.registry import detector_registry
from imagekit_registry.specs import (
    BaseImageSpec,
    ImageSpec,
    StoredFile,
    reference_of,
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
    "other_name",
    "state_key",
    "state_keys",
]


@attrs.frozen(slots=False)
class Identity:
    """What a cache file is.

    Args:
        name: Its name in its storage; empty without a source.
        names: Those that it may have there: its own, and one for each other format that may be chosen.
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
    names: tuple[str, ...]
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
        spec, storage, name = self.spec, storage_reference(self.storage), self.name or ""
        is_unique = self._is_named or not spec.name_needs_record
        return Identity(
            name=name,
            names=_names(name, spec) if is_unique else (name,),
            storage=storage,
            spec_id=spec.describe(),
            source=reference_of(spec.source),
            source_name=spec.source_name,
            digest=spec.get_hash(),
            key=state_key(storage, name),
            name_is_unique=is_unique,
        )

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


def state_key(storage: str, name: str) -> str:
    """Return the key under which the record of a cache file is kept.

    It says where the file lies: what was recorded under another ``MEDIA_ROOT`` says nothing of it.

    Args:
        storage: The reference of its storage.
        name: Its name in that.
    """
    return state_keys(storage, [name])[0]


def state_keys(storage: str, names: Iterable[str]) -> list[str]:
    """Return the keys of the records of many cache files in one storage; see `state_key`."""
    prefix, place = conf.CACHE_PREFIX, storage_place(storage)
    where = f"{storage}:{place}:" if storage or place else ""
    return [sanitize_cache_key(f"{prefix}{where}{name}-state") for name in names]


def _names(name: str, spec: BaseImageSpec) -> tuple[str, ...]:
    """Return *name*, and one for each other format that may be chosen when the image is made."""
    root, formats = posixpath.splitext(name)[0], smallest_formats(spec.format)
    if (spec.format or "").upper() == AUTO:
        formats = AUTO_FORMATS
    return tuple(dict.fromkeys([name, *(root + suggest_extension(name, each) for each in formats)]))


def other_name(file: CacheFile) -> str:
    """Return under which other name *file* is in its storage; empty if it is under its own."""
    name, *others = file.identity.names
    if not others:
        return ""
    found = next(
        (each for each in (name, *others) if answer_or(False, file.storage.exists, each)), name
    )
    return "" if found == name else found


# What the same spec makes of the same source is the same each time.

#: All that a name and a digest hang on, beside the class, its source and the settings.
_RECIPE = ("spec_id", "namer", *(field.name for field in attrs.fields(Recipe)))
_recipe_of = attrgetter(*(name for name in _RECIPE if name not in {"processors", "spec_id"}))
_PLAIN = (
    *("get_hash", "cachefile_name", "name_needs_record", "source_name"),
    *("describe", "_namer", "_recipe_text"),
)
_Parts = tuple[object, ...]
#: By class, id, source and arguments: the parts, the identity, and what hangs on the row beside these.
_known: dict[_Parts, tuple[_Parts, Identity, _Parts]] = {}
#: Identities that a process remembers.
_MOST_KNOWN = 10_000


def identify(spec: BaseImageSpec, storage: Storage) -> Identity | None:
    """Return what the file of *spec* in *storage* is, worked out once for all files like it.

    Returns:
        None if that hangs on more than the spec's class, its attributes and its source.
    """
    source = spec.source
    if not isinstance(spec, ImageSpec) or not isinstance(source, FieldFile | StoredFile):
        return None
    # An upload that is not stored yet is told by its content.
    if not source.name or not vars(source).get("_committed", True):
        return None
    key = (type(spec), spec.spec_id, source.name, *spec.spec_arguments.values())
    try:
        known = _known.get(key)
    except TypeError:
        return None  # an argument that cannot be hashed
    namer = _own_namer_of(spec) if known is None else None
    if known is None and namer is None:
        return None
    # A tenant's storage may move.
    place = (source.storage, storage, getattr(storage, "location", None))
    parts = (*place, detector_registry.names, *_recipe_of(spec), *(spec.processors or ()))
    # The very same objects: what is equal may be written down in another way.
    if known is not None and _are_same(known[0], parts):
        _, same, of_row = known
        if not of_row or _are_same(of_row, spec.placed_processors()):
            return same
    namer = namer or _own_namer_of(spec)
    if namer is None:
        return None
    reference = storage_reference(storage)
    source_reference, digest, name, placed = spec.named_by(namer)
    is_unique = not getattr(namer, "needs_record", False)
    identity = Identity(
        name=name,
        names=_names(name, spec) if is_unique else (name,),
        storage=reference,
        spec_id=spec.spec_id or spec.describe(),
        source=source_reference,
        source_name=str(source.name),
        digest=digest,
        key=state_key(reference, name),
        name_is_unique=is_unique,
    )
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    # Those of a row whose focal point is their anchor.
    _known[key] = (
        parts,
        identity,
        () if _are_same(placed, spec.processors or ()) else tuple(placed),
    )
    return identity


def _are_same(some: Sequence[object], others: Sequence[object]) -> bool:
    return len(some) == len(others) and all(map(is_, some, others))


def is_told_by_class(spec: BaseImageSpec) -> bool:
    """Return whether name and digest hang on nothing but what specs have by their attributes."""
    return isinstance(spec, ImageSpec) and _own_namer_of(spec) is not None


def _own_namer_of(spec: ImageSpec) -> Callable[[BaseImageSpec], str] | None:
    """Return the namer of a spec whose name and digest are told by its attributes; None for others."""
    cls = type(spec)
    # What a property gives may be another thing the next time.
    if any(getattr(cls, name) is not getattr(ImageSpec, name) for name in _PLAIN) or any(
        isinstance(getattr(cls, name), property) for name in _RECIPE
    ):
        return None
    namer = spec._namer()
    is_ours = isinstance(namer, FunctionType) and namer.__module__ == namers.__name__
    return namer if is_ours and namer is not namers.content_hash else None


forget_on_change(_known.clear)
