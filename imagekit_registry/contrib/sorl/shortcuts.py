"""sorl-thumbnail's functions."""

from __future__ import annotations

from imagekit_registry.cachefiles import delete_images
from imagekit_registry.contrib.sorl import conf
from imagekit_registry.contrib.sorl.images import (
    DummyImage,
    ThumbnailFile,
    dummy,
    source_of,
    thumbnail_of,
)
from imagekit_registry.specs import ImageSpec, storage_of

__all__ = ["delete", "get_thumbnail"]


def get_thumbnail(
    file_: object, geometry_string: str, **options: object
) -> ThumbnailFile | DummyImage:
    """Return the thumbnail of an image; its strategy has had its chance to make it.

    Such as ``get_thumbnail(photo.image, "100x100", crop="center", quality=90).url``.

    Args:
        file_: An image field's file, any other file, or a name in the default storage.
        geometry_string: ``"300x200"``, ``"300"`` or ``"x200"``, in pixels.
        **options: Those of sorl-thumbnail: ``crop``, ``upscale``, ``quality``, ``format`` ...

    Returns:
        The image; a placeholder if it cannot be made and ``THUMBNAIL_DUMMY`` is true.

    Raises:
        MissingSource: *file_* is empty; a ``ValueError``.
        InvalidArgument: Geometry or options make no sense, or the image is of another site.
        GenerationError: The image cannot be made, and failures are to be raised.
    """
    file = thumbnail_of(file_, geometry_string, options)
    if conf.get("THUMBNAIL_DUMMY"):
        return dummy(geometry_string) if file.has_failed else file
    file.shown()
    return file


def delete(file_: object, delete_file: bool = True) -> None:
    """Delete every image that was made of a source, and the source itself.

    Args:
        file_: As for `get_thumbnail`.
        delete_file: Whether the source is deleted as well.

    Raises:
        MissingSource: *file_* is empty.
        PublishError: A storage did not delete an image.
    """
    source = ImageSpec(source_of(file_)).source
    delete_images(source)
    storage = storage_of(source)
    if delete_file and storage is not None:
        storage.delete(source.name)
