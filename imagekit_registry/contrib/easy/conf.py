"""The settings that easy-thumbnails has, with its defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings

from imagekit_registry._rules import Rule, boolean, format_options, not_negative, rule_for, text

__all__ = ["REPLACED", "RULES", "Settings", "settings"]

_PROCESSORS = "imagekit_registry.contrib.easy.processors."


class Settings:
    """The defaults, as attributes of the class; an instance has what the project has set instead.

    A project's settings may import the class, to put processors of others before the usual ones.

    Example:
        >>> Settings.THUMBNAIL_QUALITY
        85
    """

    #: Whether the tag raises what goes wrong; if not, it shows nothing.
    THUMBNAIL_DEBUG: bool = False
    #: Options of images by alias, by target: ``""``, an app, a model or a field.
    THUMBNAIL_ALIASES: Mapping[str, Mapping[str, Mapping[str, object]]] | None = None
    #: Options that every image has unless it has others.
    THUMBNAIL_DEFAULT_OPTIONS: Mapping[str, object] | None = None
    #: Of JPEG and WebP, from 1 to 100.
    THUMBNAIL_QUALITY: int = 85
    #: Pixels of the longer side from which JPEGs are progressive; False: never.
    THUMBNAIL_PROGRESSIVE: int = 100
    #: Pillow's save options by format.
    THUMBNAIL_IMAGE_SAVE_OPTIONS: Mapping[str, Mapping[str, object]] = {}
    #: The extension, and so the format, of images.
    THUMBNAIL_EXTENSION: str = "jpg"
    #: Likewise of those that may be transparent.
    THUMBNAIL_TRANSPARENCY_EXTENSION: str = "png"
    #: Extensions of sources whose format is kept; True: all.
    THUMBNAIL_PRESERVE_EXTENSIONS: Sequence[str] | bool | None = None
    #: Dotted paths of functions ``(image, **options)``.
    THUMBNAIL_PROCESSORS: tuple[str, ...] = (
        f"{_PROCESSORS}colorspace",
        f"{_PROCESSORS}autocrop",
        f"{_PROCESSORS}scale_and_crop",
        f"{_PROCESSORS}filters",
        f"{_PROCESSORS}background",
    )
    #: Alias of the storage of images, if ``STORAGES`` has it.
    THUMBNAIL_DEFAULT_STORAGE_ALIAS: str = "easy_thumbnails"
    #: Folder and URL of `ThumbnailFileSystemStorage`; empty: those of the media.
    THUMBNAIL_MEDIA_ROOT: str = ""
    THUMBNAIL_MEDIA_URL: str = ""
    #: Options of the preview beside a file input.
    THUMBNAIL_WIDGET_OPTIONS: Mapping[str, object] = {"size": (80, 80)}

    if not TYPE_CHECKING:

        def __getattribute__(self, name: str) -> Any:
            """Return what Django's settings have, or the default."""
            default = object.__getattribute__(self, name)
            return getattr(django_settings, name, default) if name.isupper() else default


settings = Settings()


def _are_options(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


def _are_aliases(value: Any) -> bool:
    return _are_options(value) and all(
        _are_options(named) and all(map(_are_options, named.values())) for named in value.values()
    )


_quality = rule_for(
    "a whole number from 1 to 100", lambda value: type(value) is int and 1 <= value <= 100
)
_options = rule_for("a dict of options, or None", lambda value: not value or _are_options(value))
#: What the values must be.
RULES: Mapping[str, Rule] = {
    "THUMBNAIL_ALIASES": rule_for(
        "a dict of targets, each a dict of aliases, each a dict of options",
        lambda value: not value or _are_aliases(value),
    ),
    "THUMBNAIL_DEBUG": boolean,
    "THUMBNAIL_DEFAULT_OPTIONS": _options,
    "THUMBNAIL_EXTENSION": text,
    "THUMBNAIL_IMAGE_SAVE_OPTIONS": format_options,
    "THUMBNAIL_PROGRESSIVE": rule_for(
        "a number of pixels, or False", lambda value: value is False or not not_negative(value)
    ),
    "THUMBNAIL_QUALITY": _quality,
    "THUMBNAIL_TRANSPARENCY_EXTENSION": text,
    "THUMBNAIL_WIDGET_OPTIONS": _options,
}

_NAMES = "images lie under IMAGEKIT_CACHEFILE_DIR"
_KNOWN = "the state of images is known without it"
#: What to write in the place of settings that have no effect.
REPLACED: Mapping[str, str] = {
    "THUMBNAIL_BASEDIR": _NAMES,
    "THUMBNAIL_CACHE_DIMENSIONS": _KNOWN,
    "THUMBNAIL_CHECK_CACHE_MISS": _KNOWN,
    "THUMBNAIL_DEFAULT_STORAGE": "call the storage 'easy_thumbnails' in STORAGES",
    "THUMBNAIL_NAMER": "a name is a namer's: IMAGEKIT_SPEC_CACHEFILE_NAMER",
    "THUMBNAIL_OPTIMIZE_COMMAND": "write options of formats: IMAGEKIT_FORMAT_OPTIONS",
    "THUMBNAIL_PREFIX": _NAMES,
    "THUMBNAIL_SOURCE_GENERATORS": "what opens other kinds of files is registered: register.opener",
    "THUMBNAIL_SUBDIR": _NAMES,
}
