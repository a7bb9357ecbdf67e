"""Every image of a source, found by records, names and folders: to know of them, or to delete them."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator
from typing import Any

from django.apps import apps
from django.core.files.storage import storages
from django.db.models import FileField

from imagekit_registry._loading import storage_place, storage_reference
from imagekit_registry.cachefiles import namers
from imagekit_registry.cachefiles._made import Look, defaults, delete, records_of
from imagekit_registry.cachefiles.existence import known
from imagekit_registry.cachefiles.files import ImageCacheFile, get_image
from imagekit_registry.cachefiles.identity import state_key
from imagekit_registry.cachefiles.listing import Listing
from imagekit_registry.cachefiles.rendering import log_failure
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import GenerationError, PublishError, answer_or
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import ImageSpec, SourceReference, has_source, refer_to
from imagekit_registry.state import CacheFileRecord, Status, get_state_access

__all__ = ["delete_images", "find_images"]


def delete_images(source: Any) -> None:
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
        found = _unrecorded(sources, listing) | look.find(sources)
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


def find_images(source: Any) -> list[CacheFileRecord]:
    """Return the records of the images that were made of a source, as far as that is known.

    A database of records knows all of them. Otherwise the folder of the source's images is listed,
    if the storage can.

    Args:
        source: As for `delete_images`.
    """
    source = ImageSpec(source).source
    return records_of([refer_to(source)]) if has_source(source) else []


def _files_of(source: Any, own: SourceReference) -> Iterator[ImageCacheFile]:
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


def _storages() -> dict[str, Any]:
    """Return the storages that have aliases or fields, by reference; not those that cannot be made."""
    built = [answer_or(None, storages.__getitem__, alias) for alias in storages.backends]
    fields = (field for model in apps.get_models() for field in model._meta.local_concrete_fields)
    built += [field.storage for field in fields if isinstance(field, FileField)]
    return {storage_reference(storage): storage for storage in built if storage is not None}
