"""Those of sorl-thumbnail's settings that are read, and what takes the place of the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings as django_settings

from imagekit_registry._rules import (
    Rule,
    boolean,
    name,
    not_negative,
    one_or_more,
    optional,
    positive,
    rule_for,
    text,
)
from imagekit_registry.conf import conf

__all__ = ["READ", "REPLACED", "get", "settings"]

_quality = rule_for(
    "a whole number from 0 to 100", lambda value: type(value) is int and 0 <= value <= 100
)

#: Defaults and rules, by name.
READ: Mapping[str, tuple[object, Rule]] = {
    "THUMBNAIL_BLUR": (0, not_negative),
    "THUMBNAIL_COLORSPACE": ("RGB", optional(name)),
    "THUMBNAIL_DUMMY": (False, boolean),
    "THUMBNAIL_DUMMY_RATIO": (1.5, positive),
    # sorl-thumbnail's own default is an address of another site.
    "THUMBNAIL_DUMMY_SOURCE": ("", text),
    "THUMBNAIL_FILTER_WIDTH": (500, one_or_more),
    "THUMBNAIL_FORMAT": ("JPEG", name),
    "THUMBNAIL_ORIENTATION": (True, boolean),
    "THUMBNAIL_PADDING": (False, boolean),
    "THUMBNAIL_PADDING_COLOR": ("#ffffff", name),
    "THUMBNAIL_PRESERVE_FORMAT": (False, boolean),
    "THUMBNAIL_PROGRESSIVE": (True, boolean),
    "THUMBNAIL_QUALITY": (95, _quality),
    "THUMBNAIL_UPSCALE": (True, boolean),
}

_STATE = "the state has a store of its own: IMAGEKIT_STATE_STORE and IMAGEKIT_CACHE_BACKEND"
_REDIS = ("DB", "HOST", "PASSWORD", "PORT", "SSL", "TIMEOUT", "UNIX_SOCKET_PATH")
_OF_STORES = ("DBM_FILE", "DBM_MODE", *(f"REDIS_{name}" for name in _REDIS))
_DECODER = "write IMAGEKIT_DECODER = 'vips' for libvips"
_NAMES = "files are replaced, and named by their recipe"
#: What to write instead, by name; these have no effect.
REPLACED: Mapping[str, str] = {
    "THUMBNAIL_ALTERNATIVE_RESOLUTIONS": (
        "the filter 'resolution' makes a larger image when it is asked for; its name has no '@2x'"
    ),
    "THUMBNAIL_BACKEND": "a name is a namer's: IMAGEKIT_SPEC_CACHEFILE_NAMER",
    "THUMBNAIL_CACHE_TIMEOUT": "write IMAGEKIT_CACHE_TIMEOUT",
    "THUMBNAIL_COMMAND_TIMEOUT": "write IMAGEKIT_MAX_SECONDS",
    "THUMBNAIL_DEBUG": "write IMAGEKIT_ON_ERROR = 'raise'",
    "THUMBNAIL_ENGINE": f"{_DECODER}; what an engine of your own does is a processor's",
    "THUMBNAIL_FLATTEN": "what is transparent is laid on white where the format has no transparency",
    "THUMBNAIL_FORCE_OVERWRITE": _NAMES,
    "THUMBNAIL_KEY_PREFIX": "write IMAGEKIT_CACHE_PREFIX",
    "THUMBNAIL_LOG_HANDLER": "configure the logger 'imagekit_registry' in LOGGING",
    "THUMBNAIL_PREFIX": "write IMAGEKIT_CACHEFILE_DIR",
    "THUMBNAIL_REMOVE_URL_ARGS": "what stands after a '?' in the name of a source is left out",
    "THUMBNAIL_STORAGE": "write IMAGEKIT_DEFAULT_FILE_STORAGE",
    "THUMBNAIL_URL_TIMEOUT": "images of other sites are not fetched",
    **{f"THUMBNAIL_{name}": _DECODER for name in ("CONVERT", "IDENTIFY", "VIPS_CACHE_MAX")},
    **{f"THUMBNAIL_{name}": _STATE for name in ("CACHE", "KEY_DBCOLUMN", "KVSTORE", *_OF_STORES)},
}


def get(setting: str) -> Any:
    """Return the value of a setting that is read, or its default.

    Args:
        setting: Its full name.
    """
    default, _ = READ[setting]
    return getattr(django_settings, setting, default)


class Settings:
    """Django's settings, with the defaults of those that sorl-thumbnail has and that are read."""

    @property
    def THUMBNAIL_PREFIX(self) -> str:  # noqa: N802 -- as it is called
        """The folder of the images: that of all cache files."""
        return f"{conf.CACHEFILE_DIR}/"

    def __getattr__(self, name: str) -> Any:
        return get(name) if name in READ else getattr(django_settings, name)


settings = Settings()
