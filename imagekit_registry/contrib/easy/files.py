"""Thumbnailers: files that images are made of."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, Self

from django.core.files.base import File
from django.core.files.storage import Storage, storages
from django.db.models.fields.files import FieldFile, ImageFieldFile
from django.utils.functional import LazyObject

from imagekit_registry._loading import resolve_storage, storage_reference
from imagekit_registry.cachefiles import delete_images
from imagekit_registry.cachefiles.deletion import find_images
from imagekit_registry.contrib.easy.alias import aliases
from imagekit_registry.contrib.easy.exceptions import (
    EasyThumbnailsError,
    NoSourceGenerator,
)
from imagekit_registry.contrib.easy.images import ThumbnailFile
from imagekit_registry.contrib.easy.options import ThumbnailOptions
from imagekit_registry.contrib.easy.signals import thumbnail_missed
from imagekit_registry.contrib.easy.specs import OVERRIDES, THUMBNAIL_ID
from imagekit_registry.exceptions import GenerationError, MissingSource
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import StoredFile, has_generator
from imagekit_registry.state import Status

__all__ = [
    "ThumbnailFile",
    "Thumbnailer",
    "ThumbnailerFieldFile",
    "ThumbnailerImageFieldFile",
    "generate_all_aliases",
    "get_thumbnailer",
]


class Thumbnailer(File):  # type: ignore[type-arg]
    """A file that images are made of.

    Args:
        file: The content, of a file that lies in no storage; None for one that does.
        name: Its name.
        source_storage: The storage that it lies in; None: the default one.
        thumbnail_storage: The storage of its images; None: that of the settings.
        remote_source: Not looked at: what has content lies in no storage.
        generate: Whether images that are not there are made.

    Attributes:
        thumbnail_quality, thumbnail_extension, thumbnail_preserve_extensions,
        thumbnail_transparency_extension: In place of the settings with these names.

    Example:
        >>> Thumbnailer(name="photos/bulldog.jpg").get_thumbnail({"size": (100, 100)}).url
        '/media/CACHE/images/photos/bulldog/5ff3233527c5ac3e4b596343b440ff67.jpg'
    """

    thumbnail_quality: int | None = None
    thumbnail_extension: str | None = None
    thumbnail_preserve_extensions: Any = None
    thumbnail_transparency_extension: str | None = None
    thumbnail_storage: Any = None
    generate: bool = True

    def __init__(
        self,
        file: Any = None,
        name: str | None = None,
        source_storage: Any = None,
        thumbnail_storage: object = None,
        remote_source: bool = False,
        generate: bool = True,
    ) -> None:
        super().__init__(file, name)
        self._content = file
        # A name for the default storage would be pickled as a storage that has none.
        self._source_storage = None if isinstance(source_storage, LazyObject) else source_storage
        self.thumbnail_storage = thumbnail_storage
        self.generate = generate

    @property
    def source_storage(self) -> Any:
        """The storage that it lies in."""
        return self._source_storage or storages["default"]

    @property
    def source(self) -> Any:
        """What specs take as their source."""
        if self._content is None:
            return StoredFile(str(self.name), self.source_storage)
        return self._content if has_generator(self._content) else File(self._content, self.name)

    @property
    def alias_target(self) -> Any:
        """What aliases are looked up for."""
        return None

    @property
    def _storage(self) -> Any:
        return self.thumbnail_storage

    def __getitem__(self, alias: str) -> ThumbnailFile | None:
        """Return the image of an alias.

        Raises:
            KeyError: There is no such alias.
            InvalidImageFormatError: There is no source, or it is no image.
        """
        return self._show(self.image_of_alias(alias), self.generate)

    def image_of_alias(self, alias: str) -> ThumbnailFile:
        """Return the image of an alias, and make nothing; errors as of ``thumbnailer[alias]``."""
        spec_id = aliases.spec_id(alias, self.alias_target)
        if spec_id is None:
            raise KeyError(alias)
        if self._overrides() or self._own_quality:
            return self.image_for(aliases.get(alias, self.alias_target) or {})
        return self._image_of(spec_id, {})

    def get_options(
        self, thumbnail_options: Mapping[str, object], **kwargs: object
    ) -> ThumbnailOptions:
        """Return options with the defaults of this thumbnailer and of the settings."""
        return ThumbnailOptions({**self._own_quality, **thumbnail_options, **kwargs})

    def get_thumbnail(
        self,
        thumbnail_options: Mapping[str, object],
        save: bool = True,
        generate: bool | None = None,
        silent_template_exception: bool = False,
    ) -> ThumbnailFile | None:
        """Return an image, which is made if it is not there.

        Args:
            thumbnail_options: Its options.
            save: Whether it is stored; if not, it is made anew.
            generate: Whether it is made; None: as the thumbnailer says.
            silent_template_exception: Not looked at.

        Returns:
            The image; None if it is not there and is not to be made.

        Raises:
            EasyThumbnailsError: The options have no size.
            InvalidImageFormatError: There is no source, or it is no image.
        """
        generates = self.generate if generate is None else generate
        if generates and not save:
            return self.generate_thumbnail(thumbnail_options)
        return self._show(self.image_for(thumbnail_options), generates)

    def get_existing_thumbnail(
        self, thumbnail_options: Mapping[str, object]
    ) -> ThumbnailFile | None:
        """Return an image, if it is there."""
        file = self.image_for(thumbnail_options)
        return file if file.exists() else None

    def generate_thumbnail(
        self, thumbnail_options: Mapping[str, object], silent_template_exception: bool = False
    ) -> ThumbnailFile:
        """Make an image, and store it nowhere.

        Args:
            thumbnail_options: Its options.
            silent_template_exception: Not looked at.

        Raises:
            EasyThumbnailsError: The options have no size.
            InvalidImageFormatError: There is no source, or it is no image.
        """
        file = self.image_for(thumbnail_options)
        try:
            file.file = file.spec.generate()
        except (GenerationError, MissingSource) as error:
            raise NoSourceGenerator(str(error)) from error
        return file

    def save_thumbnail(self, thumbnail: ThumbnailFile) -> None:
        """Store an image that was made by `generate_thumbnail`."""
        thumbnail.close()
        thumbnail.generate(force=True)

    def get_thumbnail_name(
        self, thumbnail_options: Mapping[str, object], transparent: bool = False
    ) -> str:
        """Return the name of an image in its storage.

        Args:
            thumbnail_options: Its options.
            transparent: Not looked at: the source says whether it may be.
        """
        return str(self.image_for(thumbnail_options).name)

    def get_thumbnails(self) -> Iterator[StoredFile]:
        """Yield the images that were made of this file, as far as is known."""
        storage_reference(_unwrapped(self._storage))  # so that it is found by that
        for record in find_images(self.source):
            if record.status == Status.EXISTS:
                storage = resolve_storage(record.storage or "default")
                yield StoredFile(record.published_name or record.name, storage)

    def delete_thumbnails(self) -> int:
        """Delete every image that was made of this file.

        Returns:
            How many were known of.

        Raises:
            PublishError: A storage did not delete an image.
        """
        count = sum(1 for _ in self.get_thumbnails())
        delete_images(self.source)
        return count

    delete_thumbnails.alters_data = True  # type: ignore[attr-defined]

    def open(self, mode: str | None = None, *args: Any, **kwargs: Any) -> Self:
        """Open the file for reading, at its start."""
        if self.closed:
            self.file = self.source_storage.open(str(self.name), mode or "rb")
        else:
            self.seek(0)
        return self

    open.alters_data = True  # type: ignore[attr-defined]

    def image_for(self, options: Mapping[str, object]) -> ThumbnailFile:
        """Return an image by its options, and make nothing; errors as of `get_thumbnail`."""
        named = {name: value for name, value in options.items() if not name.isupper()}
        return self._image_of(THUMBNAIL_ID, {**self._own_quality, **named, **self._overrides()})

    def _image_of(self, spec_id: str, options: Mapping[str, object]) -> ThumbnailFile:
        storage, arguments = _unwrapped(self._storage), dict(options)
        alias = None if storage is None else storage_reference(storage) or "default"
        if alias in storages.backends and spec_id == THUMBNAIL_ID:
            # A worker finds it there as well.
            arguments["thumbnail_storage"], storage = alias, None
        generator = generator_registry.get(spec_id, source=self.source, **arguments)
        return ThumbnailFile(generator, storage=storage)

    @property
    def _own_quality(self) -> dict[str, Any]:
        return {} if self.thumbnail_quality is None else {"quality": self.thumbnail_quality}

    def _overrides(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in OVERRIDES}
        return {name: value for name, value in values.items() if value is not None}

    def _show(self, file: ThumbnailFile, generates: bool) -> ThumbnailFile | None:
        """Return *file*, after its strategy had its chance to make it."""
        if not generates:
            if file.name and file.exists():
                return file
            thumbnail_missed.send(sender=self, options=file.thumbnail_options)
            return None
        try:
            file.shown()
        except (GenerationError, MissingSource) as error:
            raise NoSourceGenerator(str(error)) from error
        record = file.state if file.fallback is not None else None
        if record is not None and record.status == Status.FAILED:
            raise NoSourceGenerator(record.error)
        return file


class ThumbnailerFieldFile(FieldFile, Thumbnailer):  # type: ignore[misc]
    """The file of a field, of which images are made."""

    @property
    def source(self) -> Any:
        """What specs take as their source: this file."""
        return self

    @property
    def alias_target(self) -> Any:
        """What aliases are looked up for: the field."""
        return self

    @property
    def _storage(self) -> Any:
        # A field of Django's has none of its own.
        return self.thumbnail_storage or vars(self.field).get("thumbnail_storage")

    def delete(self, save: bool = True) -> None:
        """Delete the file, and the images that were made of it.

        Args:
            save: Whether the row is saved.
        """
        if self:
            self.delete_thumbnails()
        super().delete(save)

    delete.alters_data = True  # type: ignore[attr-defined]


class ThumbnailerImageFieldFile(ImageFieldFile, ThumbnailerFieldFile):  # type: ignore[misc]
    """The same for an image field, which may make uploads smaller."""

    def save(self, name: str, content: Any, save: bool = True) -> None:
        """Store what the field's ``resize_source`` makes of an upload, or the upload.

        Args:
            name: The file's name; its extension will follow the format.
            content: The upload.
            save: Whether the row is saved.

        Raises:
            InvalidImageFormatError: There is something to make of the upload, and it is no image.
        """
        options = self.field.resize_source  # type: ignore[attr-defined]
        if options:
            made = Thumbnailer(content, name).generate_thumbnail(options)
            content = File(made.file, name)
            stem, extension = posixpath.splitext(name)
            written = posixpath.splitext(str(made.name))[1]
            name = name if written.lower() == extension.lower() else f"{stem}{written}"
        super().save(name, content, save)

    save.alters_data = True  # type: ignore[attr-defined]


def _unwrapped(storage: object) -> Any:
    """Return a storage, and not what is a name for it until it is used."""
    return storages["default"] if isinstance(storage, LazyObject) else storage


def get_thumbnailer(obj: Any, relative_name: str | None = None) -> Any:
    """Return the thumbnailer of a file.

    Args:
        obj: The file of a field; the name of a file in the default storage; a storage or an open
            file, each with *relative_name*; or a thumbnailer, or what has one as its attribute
            ``easy_thumbnails_thumbnailer``.
        relative_name: The name of the file.

    Raises:
        EasyThumbnailsError: There is no name.

    Example:
        >>> get_thumbnailer("photos/bulldog.jpg").get_thumbnail(
        ...     {"size": (50, 50), "crop": True}
        ... ).width
        50
    """
    own = getattr(obj, "easy_thumbnails_thumbnailer", None)
    if own is not None:
        return own
    if isinstance(obj, Thumbnailer):
        return obj
    if isinstance(obj, FieldFile):
        return ThumbnailerFieldFile(obj.instance, obj.field, relative_name or obj.name)
    if isinstance(obj, str):
        return Thumbnailer(name=obj)
    if isinstance(obj, StoredFile) or has_generator(obj):
        relative_name = relative_name or obj.name
    if not relative_name:
        raise EasyThumbnailsError(
            f"There is no name for {obj!r}: give the file of a field, the name of a file, or a"
            " relative name besides."
        )
    if isinstance(obj, StoredFile):
        return Thumbnailer(name=relative_name, source_storage=obj.storage)
    if isinstance(obj, Storage | LazyObject):
        return Thumbnailer(name=relative_name, source_storage=obj)
    return Thumbnailer(obj, relative_name)


def generate_all_aliases(fieldfile: object, include_global: bool) -> None:
    """Make the images of all aliases for a file.

    Args:
        fieldfile: The file of a field.
        include_global: Whether those for all the project are among them.

    Raises:
        InvalidImageFormatError: It is no image.
    """
    thumbnailer = get_thumbnailer(fieldfile)
    for alias in aliases.all(fieldfile, include_global=include_global):
        thumbnailer[alias]
