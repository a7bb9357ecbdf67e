"""Whether a cache file is left over, and how that is known."""

from __future__ import annotations

import inspect
import posixpath
import re
from functools import lru_cache
from typing import Any

import attrs
from django.core.files.storage import InvalidStorageError, storages
from django.utils.module_loading import import_string

from imagekit_registry.cachefiles._inventory import Inventory
from imagekit_registry.cachefiles._listing import Listing
from imagekit_registry.cachefiles.records import CacheFileRecord
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import NotRegistered
from imagekit_registry.imaging import Recipe
from imagekit_registry.imaging.formats import extension_to_mimetype
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import ImageSpec, StoredFile, refer_to

__all__ = ["Judge", "Reason", "is_folder", "is_inside", "source_stem"]

# What our namers make: DIGEST.jpg, and bulldog.DIGEST12.jpg; a storage may have added a suffix.
_DIGEST_ALONE = re.compile(r"^[0-9a-f]{32}(_\w{7})?(\.\w{1,10})?$")
_DIGEST_LAST = re.compile(r"^(?P<stem>.+)\.[0-9a-f]{12}(_\w{7})?(\.\w{1,10})?$")


class Reason:
    """Why a file is removed, or left."""

    SOURCE_GONE = "its source does not exist any more"
    NO_ROW = "no row has its source any more"
    FORMER = "it was made by a former recipe"
    NO_SPEC = "no spec of its id is registered any more"
    UNKNOWN = "nothing is known of it, and no row calls for it"
    CRASHED = "a process was killed while writing it"


def is_folder(name: Any) -> bool:
    """Return whether *name* is that of a folder inside a storage, and not of the storage itself."""
    text = name.replace("\\", "/") if isinstance(name, str) else ""
    parts = text.split("/")
    return bool(text.strip("/. ")) and not (
        posixpath.isabs(text) or ".." in parts or ":" in parts[0]
    )


def is_inside(name: str) -> bool:
    """Return whether *name* lies under ``IMAGEKIT_CACHEFILE_DIR``."""
    folder = conf.CACHEFILE_DIR.rstrip("/")
    return name.startswith(f"{folder}/") and ".." not in name.split("/")


def source_stem(name: str) -> str | None:
    """Return the name, without extension, of the source that a cache file is named after.

    Returns:
        Empty if the name tells only the digest; None if it is not of the shape that namers make.

    Example:
        >>> source_stem("CACHE/images/photos/bulldog/0123456789abcdef0123456789abcdef.jpg")
        'photos/bulldog'
    """
    inner = name[len(conf.CACHEFILE_DIR.rstrip("/")) + 1 :]
    folder, basename = posixpath.split(inner)
    media_type = extension_to_mimetype(posixpath.splitext(basename)[1]) or "image/"
    if not media_type.startswith("image/"):
        # Django's hashed static files have names like ours: "base.0123456789ab.css".
        return None
    if _DIGEST_ALONE.match(basename):
        return folder
    found = _DIGEST_LAST.match(basename)
    return posixpath.join(folder, found["stem"]) if found else None


class Judge:
    """Says of single files whether they are left over; in doubt they are not.

    Args:
        inventory: What is called for.
    """

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self._listing = Listing()
        self._stems: dict[tuple[str, str], set[str]] = {}
        self._exists = lru_cache(maxsize=10_000)(self._ask)

    def of_record(self, record: CacheFileRecord) -> str:
        """Return why the file of *record*, which nothing calls for, is left over; empty: it is not.

        Sources are looked up in their storages. What a template tag has made is called for by no
        row: it is left over if its source is gone, or if its spec, which must take nothing but a
        source, gives another name today.
        """
        registered = _lookup(record.spec_id)
        if registered is None and not _is_class(record.spec_id):
            return Reason.NO_SPEC
        if not record.source:
            return ""
        if self._is_gone(record.source):
            return Reason.SOURCE_GONE
        if registered is None or self.inventory.problems:
            return ""
        if not _takes_only_a_source(registered):
            return ""
        name = self._name_today(record)
        if record.spec_id in self.inventory.fed:
            return Reason.NO_ROW if name == record.name else Reason.FORMER
        is_former = name and name != record.name and _is_static(registered)
        return Reason.FORMER if is_former else ""

    def of_name(self, name: str) -> str:
        """Return why a listed file, of which there is no record, is left over; empty: it is not."""
        stem = source_stem(name)
        if not stem:
            return ""
        folder, basename = posixpath.split(stem)
        for alias in storages.backends:
            stems = self._stems_in(alias, folder)
            if stems is None or basename in stems:
                return ""
        return Reason.SOURCE_GONE

    def _stems_in(self, alias: str, folder: str) -> set[str] | None:
        """Return the names, without extensions, of the files in a folder; None: who knows."""
        key = (alias, folder)
        if key not in self._stems:
            if len(self._stems) > 100:
                self._stems.clear()
            try:
                names = self._listing.names(storages[alias], folder)
            except InvalidStorageError:
                names = set()
            if names is None:
                return None
            self._stems[key] = {posixpath.splitext(name)[0] for name in names} | set(names)
        return self._stems[key]

    def _is_gone(self, reference: str) -> bool:
        """Return whether the source of that reference is certainly not there any more."""
        alias, separator, name = reference.partition(":")
        if not separator or alias not in {*storages.backends, "file", "content"}:
            alias, name = "default", reference
        if alias in {"file", "content"}:
            return False
        try:
            return not self._exists(alias, name)
        except Exception:  # noqa: BLE001 -- a storage that does not answer says nothing
            return False

    @staticmethod
    def _ask(alias: str, name: str) -> bool:
        return bool(storages[alias].exists(name))

    @staticmethod
    def _name_today(record: CacheFileRecord) -> str:
        """Return the name that the spec gives the file today; empty if that cannot be told."""
        alias, separator, name = record.source.partition(":")
        if not separator or alias not in storages.backends:
            alias, name = "default", record.source
        try:
            source = StoredFile(name, storages[alias])
            if str(refer_to(source)) != record.source:
                return ""
            spec = generator_registry.get(record.spec_id, source=source)
            return str(spec.cachefile_name or "")
        except Exception:  # noqa: BLE001 -- the project's code, which may need a model's instance
            return ""


def _lookup(id: str) -> Any:
    try:
        return generator_registry.lookup(id)
    except NotRegistered:
        return None


@lru_cache(maxsize=1000)
def _is_class(path: str) -> bool:
    """Return whether *path* is that of a class: a spec that is used without an id."""
    try:
        return isinstance(import_string(path), type)
    except Exception:  # noqa: BLE001 -- an id is no path; a module may fail in any way
        return False


def _is_static(cls: type[ImageSpec]) -> bool:
    """Return whether a spec is the same recipe for every object that has the source."""
    names = attrs.fields_dict(Recipe)
    return (
        not any(isinstance(inspect.getattr_static(cls, name), property) for name in names)
        and cls.get_hash is ImageSpec.get_hash
        and cls.cachefile_name is ImageSpec.cachefile_name
        and cls.namer is None
    )


def _takes_only_a_source(registered: Any) -> bool:
    """Return whether a generator's files depend on nothing but the source and the recipe."""
    if not (isinstance(registered, type) and issubclass(registered, ImageSpec)):
        return False
    try:
        return set(inspect.signature(registered).parameters) == {"source"}
    except (TypeError, ValueError):
        return False
