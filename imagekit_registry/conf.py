"""Every setting in one place: its name, its default and what it means.

Values are fetched from Django's settings on each access, so that ``override_settings`` works.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, overload

from django.conf import settings as django_settings
from django.utils.functional import empty

__all__ = ["Conf", "Setting", "all_settings", "conf", "publish_defaults", "settings"]

T = TypeVar("T")

_MISSING: Any = object()
_LAZY: dict[str, Any] = object.__getattribute__(django_settings, "__dict__")

#: Pillow save options per output format, before a spec's own ``options`` are added.
FORMAT_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "JPEG": {"quality": 85, "progressive": False, "optimize": False},
    # Half the time of the default, 6, for files that are less than 1% larger.
    "PNG": {"optimize": False, "compress_level": 4},
    "WEBP": {"quality": 80, "method": 4},
    "AVIF": {"quality": 65, "speed": 8},
    "GIF": {"optimize": False},
}

#: The same for results of more than half the pixels that are allowed, which would take too long.
LARGE_FORMAT_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "PNG": {"compress_level": 1},
    "WEBP": {"method": 0},
}

#: Formats that are read. What runs a program or reads other files (EPS, PS, PDF, WMF) is not here.
ALLOWED_FORMATS = frozenset(
    ["AVIF", "BMP", "DIB", "GIF", "HEIF", "ICO", "JPEG", "JPEG2000", "MPO"]
    + ["PCX", "PNG", "PPM", "SGI", "TGA", "TIFF", "WEBP"]
)


class Setting(Generic[T]):
    """One setting: a descriptor that asks Django's settings each time it is read.

    Args:
        default: The value if the project sets none.
        doc: What the setting means, in one line, with units.
        debug_default: The value if the project sets none and ``DEBUG`` is on.
    """

    def __init__(self, default: T, doc: str, **debug_default: T) -> None:
        self.default = default
        self.debug_default = debug_default.get("debug_default", default)
        self.__doc__ = doc
        self.name = ""

    def __set_name__(self, owner: type[Conf], name: str) -> None:
        self.name = f"IMAGEKIT_{name}"

    @overload
    def __get__(self, instance: None, owner: type[Conf]) -> Setting[T]: ...

    @overload
    def __get__(self, instance: Conf, owner: type[Conf]) -> T: ...

    def __get__(self, instance: Conf | None, owner: type[Conf]) -> Setting[T] | T:
        if instance is None:
            return self
        # Past the lazy object around them: a page reads settings thousands of times.
        wrapped = _LAZY["_wrapped"]
        if wrapped is empty:
            wrapped = django_settings
        value = getattr(wrapped, self.name, _MISSING)
        if value is _MISSING:
            return self._default_now(wrapped)
        found: T = value
        return found

    def _default_now(self, wrapped: Any) -> T:
        if self.debug_default is self.default:
            return self.default
        return self.debug_default if wrapped.DEBUG else self.default


class Conf:
    """The settings of imagekit_registry, as attributes without their ``IMAGEKIT_`` prefix.

    Example:
        >>> conf.CACHEFILE_DIR
        'CACHE/images'
    """

    CACHEFILE_NAMER = Setting(
        "imagekit_registry.cachefiles.namers.hash",
        "Dotted path of the namer for generators that are not specs.",
    )
    SPEC_CACHEFILE_NAMER = Setting(
        "imagekit_registry.cachefiles.namers.source_name_as_path",
        "Dotted path of the namer for specs.",
    )
    CACHEFILE_DIR = Setting(
        "CACHE/images", "Folder in the cache file storage under which all cache files lie."
    )
    DEFAULT_CACHEFILE_BACKEND = Setting(
        "imagekit_registry.cachefiles.backends.Simple", "Dotted path of the cache file backend."
    )
    DEFAULT_IMAGE_CACHE_BACKEND = Setting[str | None](
        None,
        "Dotted path of an old three-method backend (validate, invalidate, clear);"
        " takes the place of the cache file backend.",
    )
    DEFAULT_CACHEFILE_STRATEGY = Setting(
        "imagekit_registry.cachefiles.strategies.JustInTime",
        "Dotted path of the strategy that decides when a cache file must exist.",
    )
    DEFAULT_FILE_STORAGE = Setting(
        "default", "Storage of the cache files: an alias from STORAGES, or a dotted path."
    )
    CACHE_BACKEND = Setting("default", "Alias, from CACHES, of the cache that holds the state.")
    CACHE_PREFIX = Setting("imagekit:", "What the keys in the cache start with.")
    CACHE_TIMEOUT = Setting[int | None](
        None,
        "Seconds for which the state of an existing file is kept; None: for ever (300 under DEBUG).",
        debug_default=300,
    )
    USE_MEMCACHED_SAFE_CACHE_KEY = Setting(
        True, "Whether cache keys are shortened to what memcached accepts."
    )
    DEFAULT_THUMBNAIL_FORMAT = Setting[str | None](
        None, "Format of the thumbnail tag's images; None: that of the source."
    )
    DEFAULT_THUMBNAIL_SRCSET_SCALES = Setting[list[float] | None](
        None, "Pixel densities that the thumbnail tag adds as srcset, such as [2, 3]."
    )
    FORMAT_OPTIONS = Setting[Mapping[str, Mapping[str, Any]]](
        {}, "Pillow save options per format; laid over the built-in ones, under those of a spec."
    )
    DECODER = Setting("pillow", "What decodes sources: 'pillow', 'vips' or a dotted path.")
    STATE_STORE = Setting("cache", "Where the state is kept: 'cache', 'database' or a dotted path.")
    LOCAL_STATE_TTL = Setting(
        10.0, "Seconds for which a process trusts the state that it has read; 0: not at all."
    )
    LOCAL_STATE_SIZE = Setting(10_000, "Number of cache files whose state a process remembers.")
    ON_ERROR = Setting[str | Callable[..., Any]](
        "placeholder",
        "What a page shows for an image that cannot be made: 'raise' (the default under DEBUG),"
        " 'placeholder', 'source', 'empty', or a callable (also by dotted path).",
        debug_default="raise",
    )
    MAX_PIXELS = Setting[int | None](
        100_000_000, "Largest source that is decoded, in pixels: width x height."
    )
    MAX_OUTPUT_PIXELS = Setting[int | None](
        25_000_000, "Largest image that is made, in pixels of width x height."
    )
    MAX_FRAMES = Setting[int | None](500, "Largest number of frames of an animation.")
    MAX_BYTES = Setting[int | None](100 * 1024 * 1024, "Largest source file, in bytes.")
    MAX_SECONDS = Setting[float | None](
        10.0, "Longest time, in seconds, for making the images of one source."
    )
    ALLOWED_FORMATS = Setting[frozenset[str]](
        ALLOWED_FORMATS, "Formats, by Pillow's names, that sources may have."
    )
    QUEUE = Setting[str | None](
        None, "Name of the queue for workers; None: the default one of the backend's library."
    )
    LOCK_TIMEOUT = Setting(
        30.0, "Seconds after which the lock of a process that died while making an image ends."
    )
    LOCK_WAIT = Setting(
        20.0, "Seconds for which a request waits while somebody else makes the image it needs."
    )
    RETRY_AFTER = Setting(
        60.0, "Seconds before a failed image is tried again; doubles with each failure."
    )
    RETRY_AFTER_MAX = Setting(86_400.0, "Longest time, in seconds, between two tries.")


def all_settings() -> dict[str, Setting[Any]]:
    """Return every setting by its full name, in the order in which they are declared."""
    return {item.name: item for item in vars(Conf).values() if isinstance(item, Setting)}


conf = Conf()


def publish_defaults() -> None:
    """Let ``django.conf.settings`` answer for what the project has not set.

    Namers written for django-imagekit read ``settings.IMAGEKIT_CACHEFILE_DIR`` there. Nothing that
    the project has set is touched. Defaults that hang on ``DEBUG`` are left to `settings`, which
    looks at it each time.
    """
    for name, setting in all_settings().items():
        is_constant = setting.debug_default is setting.default
        if is_constant and not hasattr(django_settings, name):
            setattr(django_settings, name, setting.default)


class _SettingsWithDefaults:
    """Django's settings, with our defaults for what the project does not set.

    Code written for django-imagekit reads ``settings.IMAGEKIT_CACHEFILE_DIR`` from here.
    """

    def __getattr__(self, name: str) -> Any:
        """Return a setting of ours by way of `conf`, any other as Django has it."""
        short = name.removeprefix("IMAGEKIT_")
        if short != name and isinstance(vars(Conf).get(short), Setting):
            return getattr(conf, short)
        return getattr(django_settings, name)


settings = _SettingsWithDefaults()
