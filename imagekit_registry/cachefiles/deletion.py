"""What was made of sources, found by records, names and folders: to know of it, or to delete it."""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Collection, Iterator, Mapping
from functools import cache

import attrs
from django.apps import apps
from django.core.files.storage import Storage, storages
from django.db.models import FileField

from imagekit_registry._loading import (
    forget_on_change,
    get_by_qname,
    get_storage,
    resolve_storage,
    storage_place,
    storage_reference,
)
from imagekit_registry.cachefiles import namers
from imagekit_registry.cachefiles.backends import get_default_cachefile_backend
from imagekit_registry.cachefiles.existence import known
from imagekit_registry.cachefiles.files import ImageCacheFile, get_image
from imagekit_registry.cachefiles.identity import state_key, state_keys
from imagekit_registry.cachefiles.listing import Listing, names_in
from imagekit_registry.cachefiles.rendering import log_failure
from imagekit_registry.cachefiles.state import get_active_state_cache
from imagekit_registry.cachefiles.strategies import Strategy, load_strategy
from imagekit_registry.cachefiles.urls import retire
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import GenerationError, PublishError, answer_or, logged
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import ImageSpec, SourceReference, StoredFile, has_source, refer_to
from imagekit_registry.state import CacheFileRecord, Status, get_state_access

__all__ = ["Look", "defaults", "delete", "delete_images", "find_images"]


_logger = logging.getLogger("imagekit_registry.cachefiles")


@attrs.frozen
class Defaults:
    """What the settings say of files whose specs say nothing.

    Args:
        storage: Their storage.
        reference: The reference of that.
        strategy: Their strategy.
        has_folders: Whether their namer gives a folder to each source.
        is_plain: Whether that, their backend and its store are all ours, so that names and records
            are enough to delete them.
    """

    storage: Storage
    reference: str
    strategy: Strategy
    has_folders: bool
    is_plain: bool


@cache
def defaults() -> Defaults:
    """Return what the settings say of files whose specs say nothing."""
    storage, backend = get_storage(), get_default_cachefile_backend()
    namer = get_by_qname(conf.SPEC_CACHEFILE_NAMER, "namer")
    has_folders = namer in {namers.source_name_as_path, namers.content_hash}
    is_ours = backend.strategy is None and backend.states is get_state_access()
    return Defaults(
        storage,
        storage_reference(storage),
        load_strategy(conf.DEFAULT_CACHEFILE_STRATEGY),
        has_folders,
        namer is namers.source_name_as_path and is_ours,
    )


forget_on_change(defaults.cache_clear)


@attrs.define(eq=False)
class Look:
    """Looks for what was made of sources.

    Attributes:
        is_complete: Whether every file that the default namer has given to the sources so far has
            a record.
        is_answered: Whether a ledger has told of all records, and not only of some.
    """

    is_complete: bool = attrs.field(factory=lambda: defaults().has_folders)
    is_answered: bool = True

    def find(self, sources: Mapping[str, SourceReference]) -> dict[str, CacheFileRecord]:
        """Return the records of what was made of *sources*, by key.

        Args:
            sources: The sources, by what records call them.
        """
        access, usual = get_state_access(), defaults()
        if access.store.is_ledger:
            self.is_complete = False
            found = access.by_source(list(sources))
            self.is_answered = self.is_answered and found is not None
            return {state_key(record.storage, record.name): record for record in found or ()}
        folders = {namers.folder_of(each.name) for each in sources.values() if usual.has_folders}
        listed = {each: names_in(usual.storage, each) if each else None for each in folders}
        self.is_complete = self.is_complete and None not in listed.values()
        paths = [
            posixpath.join(folder, basename)
            for folder, files in listed.items()
            for basename in files or ()
        ]
        if not paths:
            return {}
        records = access.get_many(state_keys(usual.reference, paths), fresh=True)
        self.is_complete = self.is_complete and len(records) == len(paths)
        # Another source may have the same folder: "a.png" beside "a.jpg".
        return {key: record for key, record in records.items() if record.source in sources}

    def known(self, files: Mapping[str, CacheFileRecord]) -> dict[str, CacheFileRecord]:
        """Return those of *files*, by key, that may have a record which `find` has not found.

        Each with all that its record says of it, such as the name that it was published under.
        """
        access = get_state_access()
        if access.store.is_ledger:
            return {} if self.is_answered else dict(files)
        return {
            key: attrs.evolve(record, spec_id=files[key].spec_id, source=files[key].source)
            for key, record in access.get_many(files).items()
        }


def delete(records: Mapping[str, CacheFileRecord]) -> int:
    """Delete the files of *records* by key, and drop these.

    Returns:
        How many cannot be deleted: the log says why.
    """
    gone, left = [], {}
    shown: list[tuple[CacheFileRecord, Storage]] = []
    usual, access = defaults(), get_state_access()
    names = {key: {each.name, each.published_name} - {""} for key, each in records.items()}
    replaced = {key: record.replaced() for key, record in records.items()}
    was_made = {key for key, record in records.items() if record.was_made}
    there = [key for key, record in records.items() if record.status == Status.EXISTS]
    access.put_many({key: replaced[key] for key in there})
    for key in [key for key in records if all(map(namers.is_inside, names[key]))]:
        record = records[key]
        # Of a file that nothing was known of it is not said yet.
        left[key] = replaced[key]
        with logged(_logger, "%s: %r is left over", record.spec_id, record.name):
            is_default = record.storage == usual.reference
            storage = usual.storage if is_default else resolve_storage(record.storage or "default")
            for name in sorted(names[key]):
                storage.delete(name)
            gone.append(key)
            del left[key]
            if key in was_made:
                shown.append((record, storage))
    access.drop(gone)
    if left:
        access.put_many(left)
    words = get_active_state_cache() or {}
    for key in records:
        words.pop(key, None)
    retire(_as_shown(*each) for each in shown)
    return len(left)


def _as_shown(record: CacheFileRecord, storage: Storage) -> tuple[StoredFile, str, object]:
    """Return what `retire` needs to know the URL of a file that was deleted."""
    spec = answer_or(None, generator_registry.lookup, record.spec_id)
    name = record.published_name or record.name
    # Of a factory's object it may be a property, which is the project's code.
    provider = answer_or(None, lambda: getattr(spec, "url_provider", None))
    return StoredFile(name, storage), name, provider


def delete_images(source: object) -> None:
    """Delete every image that was made of a source, and in turn of those; the source itself stays.

    An image is found by its record, which says the source; by the name that a registered spec gives
    it; and in the folder of the source's images, where storages can be listed. A file without a
    record is left if it may be of another source: of ``a.png`` beside ``a.jpg``, or of a file of
    that name in another storage.

    It is done at once: in a transaction, call it by ``transaction.on_commit``. Pages make an image
    again that they still show.

    Args:
        source: What specs take: an image field's file, any other ``File``, or the name of a file in
            the default storage. The file itself may be gone already.

    Raises:
        PublishError: A storage did not delete an image; the others are deleted.

    Example:
        >>> delete_images(photo.image)
    """
    source = ImageSpec(source).source
    if not has_source(source):
        return
    own, failures = refer_to(source), 0
    listing, look = Listing(), Look()
    seen = {state_key(own.storage, own.name)}
    sources = [own]
    for file in _files_of(source, own):
        sources.append(SourceReference(file.identity.name, file.identity.storage))
        try:
            file.delete()
        except GenerationError as error:
            failures += 1
            log_failure(error)
    while sources:
        found = _unrecorded(sources, listing) | look.find({str(each): each for each in sources})
        found = {key: record for key, record in found.items() if key not in seen}
        failures += delete(found)
        seen |= found.keys()
        sources = [SourceReference(each.name, each.storage) for each in found.values()]
    if failures or not look.is_answered:
        raise PublishError(
            "not all of its images could be deleted",
            source=own.name,
            hint="The log says why. Call this again.",
        )


def find_images(source: object) -> list[CacheFileRecord]:
    """Return the records of the images that were made of a source, as far as that is known.

    A database of records, which is a ledger, knows all of them by one query. Otherwise the folder that
    the default namer gives to the source is listed, if the storage can.

    Args:
        source: As for `delete_images`.
    """
    source = ImageSpec(source).source
    if not has_source(source):
        return []
    reference = refer_to(source)
    return list(Look().find({str(reference): reference}).values())


def _files_of(source: object, own: SourceReference) -> Iterator[ImageCacheFile]:
    """Yield the files that registered specs make of a source which need nothing else for it."""
    for spec_id in generator_registry.get_ids():
        file = answer_or(None, get_image, spec_id, source=source)
        # A generator may have a source of its own, and a namer give the name of another image.
        if file is None or not file.name or file.identity.source != str(own):
            continue
        is_own = file.identity.name_is_unique or known(file) is not None
        if is_own and file.identity.key != state_key(own.storage, own.name):
            yield file


def _unrecorded(
    sources: Collection[SourceReference], listing: Listing
) -> dict[str, CacheFileRecord]:
    """Return files without a record, by key, that lie in folders of sources and are surely of these."""
    usual = defaults()
    found: dict[str, CacheFileRecord] = {}
    for source in sources:
        folder = namers.folder_of(source.name)
        # Other namers put the files of a source beside those of others.
        folders = [folder] if usual.has_folders else [folder, posixpath.dirname(folder)]
        for each in folders if folder and _is_alone(source, listing) else ():
            for basename in listing.names(usual.storage, each) or ():
                name = posixpath.join(each, basename)
                if f"{conf.CACHEFILE_DIR.rstrip('/')}/{namers.source_stem(name)}" == folder:
                    record = CacheFileRecord(
                        name=name,
                        storage=usual.reference,
                        status=Status.MISSING,
                        source=str(source),
                    )
                    found[state_key(usual.reference, name)] = record
    recorded = get_state_access().get_many(found)
    return {key: record for key, record in found.items() if key not in recorded}


def _is_alone(source: SourceReference, listing: Listing) -> bool:
    """Return whether no other source, in any storage of the project, has the name but for the extension."""
    folder, basename = posixpath.split(source.name)
    stem = posixpath.splitext(basename)[0]
    own = (basename, _place_of(source.storage))
    for reference, storage in _storages().items():
        names = listing.names(storage, folder)
        if names is None:
            return False
        for name in names:
            is_like = stem in {name, posixpath.splitext(name)[0]}
            if is_like and (name, _place_of(reference)) != own:
                return False
    return True


def _place_of(reference: str) -> str:
    """Return what is equal for storages of the same files, such as two aliases of one folder."""
    return storage_place(reference) or reference


def _storages() -> dict[str, Storage]:
    """Return the storages that have aliases or fields, by reference; not those that cannot be made."""
    built = [answer_or(None, storages.__getitem__, alias) for alias in storages.backends]
    fields = (field for model in apps.get_models() for field in model._meta.local_concrete_fields)
    built += [field.storage for field in fields if isinstance(field, FileField)]
    return {storage_reference(storage): storage for storage in built if storage is not None}
