"""The specs behind the names of easy-thumbnails: one for options, and one for each alias."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import attrs
from django.core.files.storage import storages
from django.core.signals import setting_changed
from django.dispatch import receiver

from imagekit_registry.contrib.easy.conf import settings
from imagekit_registry.contrib.easy.options import ThumbnailOptions, number_of, size_of
from imagekit_registry.contrib.easy.processors import processors_for
from imagekit_registry.imaging import Recipe
from imagekit_registry.imaging.formats import AUTO, AUTO_FORMATS, extension_to_format
from imagekit_registry.imaging.qualities import HIGHEST
from imagekit_registry.specs import ImageSpec

__all__ = ["OTHER_OPTIONS", "OVERRIDES", "THUMBNAIL_ID", "AliasedThumbnail", "EasyThumbnail"]

#: The id of the spec for options that have no alias.
THUMBNAIL_ID = "imagekit:easy"
#: What a thumbnailer may have of its own in place of the settings.
OVERRIDES = (
    "thumbnail_extension",
    "thumbnail_preserve_extensions",
    "thumbnail_transparency_extension",
)
#: Options that are not for processors.
OTHER_OPTIONS = frozenset(["exif_orientation", "keep_icc_profile", "quality", "subsampling"])
#: Extensions of sources that have no transparent parts.
_OPAQUE = frozenset([".bmp", ".jfif", ".jpe", ".jpeg", ".jpg"])
#: Formats of which no image moves anyway.
_STILL = frozenset([AUTO, "JPEG"])
_WITH_QUALITY = frozenset([AUTO, *HIGHEST])


class EasyThumbnail(ImageSpec):
    """An image with easy-thumbnails' options.

    Args:
        source: As for any spec.
        **options: The options: ``size``, ``crop``, ``quality`` and so on; those with capital letters
            change nothing. What a thumbnailer has of its own is among them: `OVERRIDES`, and
            ``thumbnail_storage``, an alias in ``STORAGES``.

    Raises:
        EasyThumbnailsError: There is no size among the options.
        InvalidArgument: One of them has a value that cannot be used.
    """

    def __init__(self, source: object = None, **options: object) -> None:
        super().__init__(source)
        storage = options.pop("thumbnail_storage", None)
        extension = posixpath.splitext(self.source_name or "")[1].lower()
        # As which JSON reads tuples, lists are the same.
        given = tuple(
            (name, tuple(value) if isinstance(value, list) else value)
            for name, value in options.items()
            if not name.isupper()
        )
        try:
            made, self.options = _recipe_of(extension, given)
        except TypeError:
            # An option of a project's own processor cannot be hashed.
            made, self.options = _recipe_of.__wrapped__(extension, given)
        self.processors, self.format = made.processors, made.format
        self.animated, self.color, self.auto_orient = made.animated, made.color, made.auto_orient
        alias = storage or settings.THUMBNAIL_DEFAULT_STORAGE_ALIAS
        self.cachefile_storage = alias if alias in storages.backends else None
        self._given = given

    @property
    def thumbnail_options(self) -> ThumbnailOptions:
        """The options, with the defaults of the settings."""
        return ThumbnailOptions((name, item) for name, item in self._given if name not in OVERRIDES)


@attrs.frozen(unsafe_hash=False)
class AliasedThumbnail:
    """What is registered for an alias: it makes the spec for a source.

    Args:
        options: The options of the alias.
    """

    options: Mapping[str, Any]

    def __call__(self, source: object = None) -> EasyThumbnail:
        """Return the spec, with its source."""
        return EasyThumbnail(source, **self.options)


@lru_cache(maxsize=1024, typed=True)
def _recipe_of(
    source_extension: str, given: tuple[tuple[str, object], ...]
) -> tuple[Recipe, dict[str, object]]:
    """Return what is made of a source with this extension, and save options that can be pickled.

    They are the very same for the same options, as what is known of files hangs on that.

    Args:
        source_extension: With its dot, in small letters.
        given: Names and values of options.
    """
    own = {name: value for name, value in given if name in OVERRIDES}
    options = ThumbnailOptions((name, value) for name, value in given if name not in OVERRIDES)
    format = _format_for(source_extension, own)
    written = format or _format_of(source_extension)
    saved = _save_options(written, options)
    saves_all = bool(saved.pop("save_all", False))
    recipe = Recipe(
        processors=tuple(processors_for(options)),
        format=format,
        animated=saves_all or written in _STILL,
        color="keep" if options.get("keep_icc_profile") else "srgb",
        auto_orient=bool(options.get("exif_orientation", True)),
    )
    return recipe, saved


@receiver(setting_changed, dispatch_uid="imagekit_registry.contrib.easy.specs")
def _forget_on_change(*, setting: str, **_: object) -> None:
    """Drop what was built from settings, so that ``override_settings`` works."""
    if setting.startswith("THUMBNAIL_"):
        _recipe_of.cache_clear()


def _format_for(source_extension: str, own: Mapping[str, object]) -> str | None:
    """Return the format of the image of a source with this extension; None if it is kept.

    Args:
        source_extension: With its dot, in small letters.
        own: What the thumbnailer has in place of the settings.
    """

    def setting(name: str) -> Any:
        value = own.get(f"thumbnail_{name}")
        return getattr(settings, f"THUMBNAIL_{name.upper()}") if value is None else value

    kept = setting("preserve_extensions")
    if kept is True or (kept and source_extension[1:] in kept):
        return None
    opaque = _format_of(f".{setting('extension') or 'jpg'}")
    if source_extension in _OPAQUE:
        return opaque
    transparent = _format_of(f".{setting('transparency_extension') or 'jpg'}")
    # Of others than these it is not known in time whether any part is transparent.
    return AUTO if (opaque, transparent) == AUTO_FORMATS else transparent


def _format_of(extension: str) -> str:
    return extension_to_format(extension) if extension else "JPEG"


def _save_options(format: str, options: Mapping[str, Any]) -> dict[str, object]:
    """Return Pillow's save options for a format."""
    saved = dict(settings.THUMBNAIL_IMAGE_SAVE_OPTIONS.get(format, {}))
    if format in _WITH_QUALITY:
        saved["quality"] = number_of("quality", options["quality"])
    if format in {AUTO, "JPEG"}:
        least = settings.THUMBNAIL_PROGRESSIVE
        saved["subsampling"] = number_of("subsampling", options["subsampling"])
        saved["progressive"] = bool(least) and max(size_of(options)) >= least
    return saved
