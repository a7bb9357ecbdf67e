"""Namers: what a cache file is called.

A namer is any callable that takes a generator and returns a name with forward slashes, under
``IMAGEKIT_CACHEFILE_DIR``. Nothing of a recipe but its digest shows in the names made here.

A name should say source and recipe, as a digest does: then no two images ever have one name. A
namer whose names do not has a true attribute ``needs_record``. The state record of a file then says
whose image it is: a file without a record counts as missing, and a name under which another image
is recorded is taken until that is deleted: `NameTaken` is raised.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from imagekit_registry._loading import storage_reference
from imagekit_registry.cachefiles.verification import content_digest
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidArgumentType, UnknownFormat
from imagekit_registry.imaging.formats import (
    extension_to_mimetype,
    format_to_extension,
    suggest_extension,
)
from imagekit_registry.specs import BaseImageSpec, digest, refer_to, storage_of

__all__ = [
    "CacheTo",
    "content_hash",
    "folder_of",
    "hash",
    "is_inside",
    "source_name_and_field",
    "source_name_as_path",
    "source_name_dot_hash",
    "source_stem",
]

# What no file system and no URL gives trouble with; a name with anything else keeps to its digest.
_TROUBLE = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]|(^|/)\.{0,2}(/|$)|(^|/)\.|[. ](/|$)|//')
_RESERVED = re.compile(
    r"^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)", re.IGNORECASE
)
# File systems hold 255 bytes in one segment; a digest, its dot and an extension need some of them.
_LONGEST_SEGMENT = 150
_LONGEST_PATH = 400

# What our namers make: DIGEST.jpg, and bulldog.DIGEST12.jpg; a storage may have added a suffix.
_DIGEST_ALONE = re.compile(r"^[0-9a-f]{32}(_\w{7})?(\.\w{1,10})?$")
_DIGEST_LAST = re.compile(r"^(?P<stem>.+)\.[0-9a-f]{12}(_\w{7})?(\.\w{1,10})?$")


def source_name_as_path(generator: BaseImageSpec) -> str:
    """Name the file after its source's path: ``DIR/photos/bulldog/DIGEST.jpg``.

    Args:
        generator: A spec: ``source``, ``format`` and ``get_hash()`` are asked.

    Returns:
        The name; ``DIR/DIGEST.jpg`` for a source whose own name is no safe relative path.

    Example:
        >>> source_name_as_path(Thumbnail(source="photos/bulldog.png"))
        'CACHE/images/photos/bulldog/5ff3233527c5ac3e4b596343b440ff67.jpg'
    """
    return _in_folder(generator, generator.get_hash())


def _in_folder(generator: BaseImageSpec, digest: str) -> str:
    name, folder = digest + _extension(generator), folder_of(_source_name(generator))
    return posixpath.join(folder, name) if folder else _under_dir(name)


def folder_of(source_name: str) -> str:
    """Return the folder in which `source_name_as_path` keeps what is made of a source.

    Returns:
        The folder; empty if the source's name is no safe relative path.
    """
    stem = _safe_stem(source_name)
    return _under_dir(stem) if stem else ""


def content_hash(generator: BaseImageSpec) -> str:
    """Name the file after its source's path, with a digest of the source's content in it as well.

    A source that is overwritten under its name gets new URLs, so that browsers and CDNs may keep an
    image for ever. Each source is read once for its name; the digest is kept in the cache.

    Args:
        generator: A spec: ``source``, ``format`` and ``get_hash()`` are asked.

    Example:
        >>> content_hash(Thumbnail(source="photos/bulldog.jpg"))
        'CACHE/images/photos/bulldog/...jpg'
    """
    return _in_folder(generator, digest([generator.get_hash(), content_digest(generator.source)]))


def source_name_dot_hash(generator: BaseImageSpec) -> str:
    """Name the file beside its source's path: ``DIR/photos/bulldog.DIGEST12.jpg``.

    Args:
        generator: A spec: ``source``, ``format`` and ``get_hash()`` are asked.

    Returns:
        The name, with the first 12 characters of the digest; with all 32, and no path, for a
        source whose own name is no safe relative path: behind its last segment, if that is safe.
    """
    name = _source_name(generator)
    stem, digest = _safe_stem(name), generator.get_hash()
    if not stem:
        last = _safe_stem(posixpath.basename(name))
        return _under_dir(f"{last}.{digest}".lstrip(".") + _extension(generator))
    return _under_dir(f"{stem}.{digest[:12]}{_extension(generator)}")


def source_name_and_field(generator: BaseImageSpec) -> str:
    """Name the file as the first ImageKit did: ``DIR/photos/birthday_thumbnail.jpg``.

    The last part is the field's name: the last segment of the spec's id. A source that lies in
    another than the default storage has the storage's mark behind the field's name.

    The name does not change with the recipe, and sources that differ only in their extension get
    one name, as do specs that differ only before the last segment of their ids. The state record
    tells them apart (`needs_record`): the first one has the file, and whoever asks for the other
    one is shown its fallback, and told by `NameTaken`. Where that can happen use another namer. Keep
    the state in a store that all processes share: what one of them does not know of, it makes.

    Args:
        generator: A spec: ``source``, ``format`` and ``spec_id`` are asked.

    Example:
        >>> source_name_and_field(Thumbnail(source="photos/bulldog.png"))
        'CACHE/images/photos/bulldog_thumbnail.jpg'
    """
    spec_id = generator.spec_id or type(generator).__name__
    field = re.sub(r"[^\w-]", "_", spec_id.rsplit(":", 1)[-1]).lower()
    reference = refer_to(generator.source)
    # An upload that is not stored yet may have the name of another one.
    stem = _safe_stem(_source_name(generator)) if reference.storage != "content" else ""
    stem = stem or generator.get_hash()
    return _under_dir(f"{stem}_{field}{_storage_mark(generator.source)}{_extension(generator)}")


source_name_and_field.needs_record = True  # type: ignore[attr-defined]


def hash(generator: BaseImageSpec) -> str:
    """Name the file by its digest alone: ``DIR/DIGEST.jpg``.

    Args:
        generator: Any generator with ``get_hash()``; its ``format``, if it has one, gives the
            extension.
    """
    format = getattr(generator, "format", None)
    extension = format_to_extension(format) if format else ""
    return _under_dir(f"{generator.get_hash()}{extension}")


def _under_dir(*segments: str) -> str:
    return posixpath.join(conf.CACHEFILE_DIR, *(segment for segment in segments if segment))


def _source_name(generator: BaseImageSpec) -> str:
    name = getattr(generator.source, "name", None)
    return name if isinstance(name, str) else ""


@lru_cache(maxsize=4096)
def _safe_stem(name: str) -> str:
    """Return *name* without its extension if it is a relative path without traps, else nothing."""
    if not name or len(name) > _LONGEST_PATH or posixpath.isabs(name):
        return ""
    stem = posixpath.splitext(name)[0]
    # Without its extension it may be the name of a folder.
    if _TROUBLE.search(name) or _TROUBLE.search(stem):
        return ""
    for segment in name.split("/"):
        if _RESERVED.match(segment) or len(segment.encode(errors="replace")) > _LONGEST_SEGMENT:
            return ""
    is_plain = name.isprintable() and name.encode(errors="replace").decode() == name
    return stem if is_plain else ""


def _storage_mark(source: object) -> str:
    """Return what tells a source from one of the same name in the default storage."""
    storage = storage_of(source)
    reference = storage_reference(storage) if storage is not None else ""
    return f".{digest(reference)[:8]}" if reference else ""


def _extension(generator: BaseImageSpec) -> str:
    return _extension_for(posixpath.splitext(_source_name(generator))[1], generator.format)


@lru_cache(maxsize=512)
def _extension_for(source_extension: str, format: str | None) -> str:
    """Return the extension that suits the format; that of the source where no format is given."""
    extension = suggest_extension(f"a{source_extension}", format)
    if re.fullmatch(r"\.[A-Za-z0-9]{1,10}", extension or ""):
        return extension
    try:
        return format_to_extension(format)
    except UnknownFormat:
        return ""


# What a name tells.


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


class CacheTo:
    """A namer made of the old ImageKit's ``cache_to``, which knows the model instance.

    Args:
        target: A callable ``(instance, path, specname, extension)`` that returns the name of the
            cache file in its storage, or a folder for files with the old names, below the folders of
            their sources.

    Attributes:
        needs_record: Whether the names do not say what the files are made of; see `namers`. So it is
            for a folder, and for a callable that has such an attribute.

    Raises:
        InvalidArgumentType: *target* is neither.

    Example:
        >>> def beside(instance, path, specname, extension):
        ...     return f"thumbs/{instance.pk}_{specname}{extension}"
        >>> thumbnail = ImageSpecField(image_field="original_image", cache_to=beside)
    """

    def __init__(self, target: Callable[[Any, str, str, str], str] | str) -> None:
        if not callable(target) and not isinstance(target, str):
            raise InvalidArgumentType(
                "cache_to must be a callable (instance, path, specname, extension) that returns a"
                f" file name, or a folder's name; not {target!r}."
            )
        self.target = target
        self.needs_record = isinstance(target, str) or bool(getattr(target, "needs_record", False))

    def __call__(self, generator: BaseImageSpec) -> str:
        """Return the name of the cache file of a spec with a model field's source."""
        if isinstance(self.target, str):
            name = posixpath.relpath(source_name_and_field(generator), conf.CACHEFILE_DIR)
            return posixpath.join(self.target, name)
        source = generator.source
        path = str(source.name)
        spec_name = (generator.spec_id or type(generator).__name__).rsplit(":", 1)[-1]
        return str(
            self.target(
                getattr(source, "instance", None),
                path,
                spec_name,
                suggest_extension(path, generator.format),
            )
        )
