"""The file of a field, of which images are made by keys: ``image.thumbnail["200x200"]``."""

from __future__ import annotations

import posixpath
from typing import Any

from django.db.models.fields.files import ImageFieldFile

from imagekit_registry.cachefiles import ImageCacheFile, delete_images
from imagekit_registry.cachefiles.strategies import Optimistic
from imagekit_registry.contrib.versatile import conf
from imagekit_registry.contrib.versatile.exceptions import InvalidFilter
from imagekit_registry.contrib.versatile.registry import Point, versatileimagefield_registry
from imagekit_registry.contrib.versatile.specs import IMAGE_ID
from imagekit_registry.contrib.versatile.validators import to_ppoi
from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.registry import generator_registry
from imagekit_registry.specs import StoredFile

__all__ = ["Filtered", "Filters", "SizedFile", "Sizer", "VersatileImageFieldFile"]


class SizedFile(ImageCacheFile):
    """An image, which a template writes as its URL."""

    def __str__(self) -> str:
        return self.url if self.name else ""


class Sizer:
    """Gives images by their size: ``image.crop["400x300"]``.

    Args:
        image: The file of the field.
        prefix: The key up to the size.
    """

    def __init__(self, image: VersatileImageFieldFile, prefix: str) -> None:
        self.image = image
        self.prefix = prefix

    def __getitem__(self, size: str) -> SizedFile:
        """Return an image.

        Args:
            size: Width and height in pixels: ``"400x300"``.

        Raises:
            MalformedSizedImageKey: *size* is none.
        """
        return self.image.made(f"{self.prefix}__{size}")


class Filters:
    """Gives filtered images by the name of the filter: ``image.filters.invert.url``.

    Args:
        image: The file of the field.
    """

    def __init__(self, image: VersatileImageFieldFile) -> None:
        self._image = image

    def __getitem__(self, name: str) -> Filtered:
        """Return the image, of its full size, which has sizers.

        Raises:
            InvalidFilter: There is no such filter.
        """
        if name not in versatileimagefield_registry.filters:
            raise InvalidFilter(f"There is no filter {name!r}.")
        return Filtered(self._image, name)

    def __getattr__(self, name: str) -> Filtered:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]


class Filtered:
    """A filtered image of its full size, and what gives smaller ones of it.

    Args:
        image: The file of the field.
        name: The name of the filter.
    """

    def __init__(self, image: VersatileImageFieldFile, name: str) -> None:
        self._image = image
        self._prefix = f"filters__{name}"

    @property
    def file(self) -> SizedFile:
        """The image."""
        return self._image.made(f"{self._prefix}__url")

    @property
    def url(self) -> str:
        """The URL of the image."""
        return self.file.url

    @property
    def name(self) -> str:
        """The name of the image in its storage."""
        return str(self.file.name)

    def __str__(self) -> str:
        return str(self.file)

    def __getattr__(self, name: str) -> Sizer:
        if name not in versatileimagefield_registry.sizers:
            raise AttributeError(name)
        return Sizer(self._image, f"{self._prefix}__{name}")


class VersatileImageFieldFile(ImageFieldFile):
    """The file of a field: itself, smaller, cut and filtered.

    Attributes:
        create_on_demand: Whether images are made when they are asked for; if not, their URLs are
            given, whether they are there or not.
    """

    _create_on_demand: bool | None = None
    _ppoi: Point = (0.5, 0.5)

    @property
    def create_on_demand(self) -> bool:
        """Whether images are made when they are asked for."""
        own = self._create_on_demand
        return bool(conf.get("create_images_on_demand")) if own is None else own

    @create_on_demand.setter
    def create_on_demand(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise InvalidArgument(f"create_on_demand is True or False, not {value!r}.")
        self._create_on_demand = value

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {**state, "_create_on_demand": self._create_on_demand, "_ppoi": self._ppoi}

    @property
    def ppoi(self) -> Point:
        """The point of interest, in fractions of width and height; that of the row if it has one."""
        column = self.field.ppoi_field  # type: ignore[attr-defined]
        point = getattr(self.instance, column) if column else self._ppoi
        # A focal point field may be empty.
        return (0.5, 0.5) if point is None else to_ppoi(point)

    @ppoi.setter
    def ppoi(self, value: object) -> None:
        column = self.field.ppoi_field  # type: ignore[attr-defined]
        self._ppoi = to_ppoi(value)
        if column:
            setattr(self.instance, column, self._ppoi)

    @property
    def source(self) -> Any:
        """What images are made of: this file, or the placeholder of an empty field."""
        if self.name or not self.field.placeholder_image:  # type: ignore[attr-defined]
            return self
        return self._placeholder()

    @property
    def url(self) -> str:
        """The URL of the file; that of the placeholder, if there is one, of an empty field."""
        return super().url if self.source is self else str(self.source.url)

    @property
    def filters(self) -> Filters:
        """What gives filtered images, by the filter's name."""
        return Filters(self)

    def made(self, key: str) -> SizedFile:
        """Return an image by its key, which is made if it is to be.

        Args:
            key: Such as ``"crop__400x300"``.

        Raises:
            InvalidSizeKey: There is no such sizer.
            MalformedSizedImageKey: The size is none.
        """
        file = self.file_of(key)
        if self.create_on_demand and file.name:
            file.shown()
        return file

    def file_of(self, key: str) -> SizedFile:
        """Return an image by its key, and make nothing; arguments and errors as of `made`."""
        point = {"ppoi": self.ppoi} if self.ppoi != (0.5, 0.5) else {}
        generator = generator_registry.get(IMAGE_ID, source=self.source, key=key, **point)
        strategy = None if self.create_on_demand else Optimistic
        return SizedFile(generator, cachefile_strategy=strategy)

    def delete_all_created_images(self) -> None:
        """Delete every image that was made of the file.

        Raises:
            PublishError: A storage did not delete an image.
        """
        delete_images(self)

    delete_all_created_images.alters_data = True  # type: ignore[attr-defined]
    # What is deleted without need is made again when it is shown.
    delete_sized_images = delete_filtered_images = delete_all_created_images
    delete_filtered_sized_images = delete_all_created_images

    def __getattr__(self, name: str) -> Sizer:
        if name not in versatileimagefield_registry.sizers:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        return Sizer(self, name)

    def _placeholder(self) -> StoredFile:
        placeholder = self.field.placeholder_image  # type: ignore[attr-defined]
        folder = conf.get("placeholder_directory_name")
        file = StoredFile(posixpath.join(folder, placeholder.name), self.storage)
        stored: set[str] = self.field.stored_placeholders  # type: ignore[attr-defined]
        if file.name not in stored:
            if not self.storage.exists(str(file.name)):
                self.storage.save(str(file.name), placeholder.read())
            stored.add(str(file.name))
        return file
