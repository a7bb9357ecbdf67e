"""Every setting in one place: its name, its default and what it means.

Values are fetched from Django's settings on each access, so that ``override_settings`` works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from django.conf import settings

from imagekit_registry import _rules as rules
from imagekit_registry._rules import (
    SERVING_DEFAULTS,
    SERVING_MODES,
    RequestBudget,
    ServingOptions,
)

__all__ = [
    "SERVING_DEFAULTS",
    "SERVING_MODES",
    "Conf",
    "RequestBudget",
    "ServingOptions",
    "Setting",
    "all_settings",
    "conf",
    "publish_defaults",
    "settings",
]

T = TypeVar("T")

_SAME: Any = object()

#: Pillow save options per output format, before a spec's own ``options`` are added.
FORMAT_OPTIONS: Mapping[str, Mapping[str, object]] = {
    "JPEG": {"quality": 85, "progressive": False},
    "PNG": {"optimize": False},
    "WEBP": {"quality": 80, "method": 4},
    "AVIF": {"quality": 65, "speed": 8},
    "GIF": {"optimize": False},
}

#: The same for results of more than half the pixels that are allowed, which would take too long.
LARGE_FORMAT_OPTIONS: Mapping[str, Mapping[str, object]] = {
    "PNG": {"compress_level": 1},
    "WEBP": {"method": 0},
}

#: Formats that are read. What runs a program or reads other files (EPS, PS, PDF, WMF) is not here.
ALLOWED_FORMATS = frozenset(
    ["AVIF", "BMP", "DIB", "GIF", "HEIF", "ICO", "JPEG", "JPEG2000", "MPO"]
    + ["PCX", "PNG", "PPM", "SGI", "TGA", "TIFF", "WEBP"]
)


class Setting(property, Generic[T]):
    """One setting: a property that asks Django's settings each time it is read.

    Args:
        default: The value if the project sets none.
        doc: What the setting means, in one line, with units.
        rule: What a value must be, as far as it can be told without importing anything.
        example: A value that is right, for what says that another one is not; the default if that
            is no example.
        debug_default: The value if the project sets none and ``DEBUG`` is on.
    """

    def __init__(
        self,
        default: T,
        doc: str,
        rule: rules.Rule = lambda value: None,
        *,
        example: T | None = None,
        debug_default: T = _SAME,
    ) -> None:
        super().__init__(doc=doc)
        self.default = default
        self.debug_default = default if debug_default is _SAME else debug_default
        self.rule = rule
        self.example = default if example is None else example
        self.doc = doc
        self.name = ""

    def __set_name__(self, owner: type[Conf], name: str) -> None:
        self.name = f"IMAGEKIT_{name}"
        # In C: a page reads two dozen settings for each of its images.
        super().__init__(attrgetter(f"_django.{self.name}"), doc=self.doc)

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type | None = None) -> Setting[T]: ...

        @overload
        def __get__(self, instance: Conf, owner: type | None = None) -> T: ...

        def __get__(self, instance: object, owner: type | None = None) -> Any: ...


class Conf:
    """The settings of imagekit_registry, as attributes without their ``IMAGEKIT_`` prefix.

    Example:
        >>> conf.CACHEFILE_DIR
        'CACHE/images'
    """

    _django = settings

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """Return the default of a setting, which Django's settings do not have."""
            setting = vars(Conf).get(name)
            if not isinstance(setting, Setting):
                raise AttributeError(f"There is no setting IMAGEKIT_{name}.")
            return setting.debug_default if settings.DEBUG else setting.default

    CACHEFILE_NAMER = Setting(
        "imagekit_registry.cachefiles.namers.hash",
        "Dotted path of the namer for generators that are not specs.",
        rules.dotted_path("namer"),
    )
    SPEC_CACHEFILE_NAMER = Setting(
        "imagekit_registry.cachefiles.namers.source_name_as_path",
        "Dotted path of the namer for specs.",
        rules.dotted_path("namer"),
    )
    CACHEFILE_DIR = Setting(
        "CACHE/images",
        "Folder in the cache file storage under which all cache files lie.",
        rules.folder,
    )
    DEFAULT_CACHEFILE_BACKEND = Setting(
        "imagekit_registry.cachefiles.backends.Simple",
        "Dotted path of the cache file backend.",
        rules.dotted_path("cache file backend"),
    )
    DEFAULT_IMAGE_CACHE_BACKEND = Setting[str | None](
        None,
        "Dotted path of an old three-method backend (validate, invalidate, clear);"
        " takes the place of the cache file backend.",
        rules.optional(rules.dotted_path("image cache backend")),
    )
    DEFAULT_CACHEFILE_STRATEGY = Setting(
        "imagekit_registry.cachefiles.strategies.JustInTime",
        "Dotted path of the strategy that decides when a cache file must exist.",
    )
    DEFAULT_FILE_STORAGE = Setting(
        "default", "Storage of the cache files: an alias from STORAGES, or a dotted path."
    )
    CACHE_BACKEND = Setting("default", "Alias, from CACHES, of the cache that holds the state.")
    CACHE_PREFIX = Setting("imagekit:", "What the keys in the cache start with.", rules.text)
    CACHE_TIMEOUT = Setting[int | None](
        None,
        "Seconds for which the state of an existing file is kept; None: for ever (300 under DEBUG).",
        rules.optional(rules.not_negative),
        debug_default=300,
    )
    USE_MEMCACHED_SAFE_CACHE_KEY = Setting(
        True,
        "Whether cache keys are shortened to what memcached accepts.",
        rules.boolean,
    )
    DEFAULT_THUMBNAIL_FORMAT = Setting[str | None](
        None, "Format of the thumbnail tag's images; None: that of the source."
    )
    DEFAULT_THUMBNAIL_SRCSET_SCALES = Setting[list[float] | None](
        None,
        "Pixel densities that the thumbnail tag adds as srcset, such as [2, 3].",
        rules.optional(rules.scales),
        example=[2, 3],
    )
    DEFAULT_ANCHOR = Setting[str | Sequence[float] | None](
        None,
        "Which part is kept where nothing is said of it: 'focal', 'entropy', words such as"
        " 'top left', percentages such as '20% 80%', or fractions of width and height; None: what"
        " each processor keeps.",
        rules.optional(rules.anchor),
        example="focal",
    )
    FORMAT_OPTIONS = Setting[Mapping[str, Mapping[str, Any]]](
        {},
        "Pillow save options per format; laid over the built-in ones, under those of a spec.",
        rules.format_options,
        example={"JPEG": {"quality": 80}},
    )
    DECODER = Setting("pillow", "What decodes sources: 'pillow', 'vips' or a dotted path.")
    RESIZER = Setting("auto", "What scales: 'auto', 'pillow', 'simd' or a dotted path.")
    STATE_STORE = Setting("cache", "Where the state is kept: 'cache', 'database' or a dotted path.")
    LOCAL_STATE_TTL = Setting(
        10.0,
        "Seconds for which a process trusts the state that it has read; 0: not at all.",
        rules.not_negative,
    )
    LOCAL_STATE_SIZE = Setting(
        10_000, "Number of cache files whose state a process remembers.", rules.not_negative
    )
    VERIFY_SOURCES_EVERY = Setting[float | None](
        None,
        "Seconds after which the source of a shown image is looked at again; None: 60 on file"
        " systems, never elsewhere; 0: never.",
        rules.optional(rules.not_negative),
    )
    ON_ERROR = Setting[str | Callable[..., Any]](
        "placeholder",
        "What a page shows for an image that cannot be made: 'raise' (the default under DEBUG),"
        " 'placeholder', 'source', 'empty', or a callable (also by dotted path).",
        rules.one_of("empty", "placeholder", "raise", "source"),
        debug_default="raise",
    )
    PLACEHOLDER_DELIVERY = Setting(
        "style",
        "How pages get the placeholders of images: 'style' (an attribute), 'nonce' (one <style> of"
        " each {% imagebatch %}) or 'class' (the project writes the rules).",
        rules.rule_for(
            "one of 'class', 'nonce', 'style'", ("class", "nonce", "style").__contains__
        ),
    )
    SMALLEST = Setting[Sequence[str]](
        ("AVIF", "WEBP", "JPEG"),
        "Formats of which format='smallest' writes the one with the fewest bytes.",
        rules.names,
    )
    MAX_PIXELS = Setting[int | None](
        100_000_000,
        "Largest source that is decoded, in pixels: width x height.",
        rules.optional(rules.one_or_more),
    )
    MAX_OUTPUT_PIXELS = Setting[int | None](
        25_000_000,
        "Largest image that is made, in pixels of width x height.",
        rules.optional(rules.one_or_more),
    )
    MAX_FRAMES = Setting[int | None](
        500, "Largest number of frames of an animation.", rules.optional(rules.one_or_more)
    )
    MAX_BYTES = Setting[int | None](
        100 * 1024 * 1024, "Largest source file, in bytes.", rules.optional(rules.one_or_more)
    )
    MAX_SECONDS = Setting[float | None](
        10.0,
        "Longest time, in seconds, for making the images of one source.",
        rules.optional(rules.positive),
    )
    MAX_MISSING = Setting[float | None](
        0.1,
        "Largest share of its rows that a still may lack because its file is cut off.",
        rules.optional(rules.share),
    )
    ALLOWED_FORMATS = Setting[Iterable[str]](
        ALLOWED_FORMATS,
        "Formats, by Pillow's names, that sources may have.",
        rules.names,
        example=["JPEG", "PNG", "WEBP"],
    )
    OPENER_PROCESS = Setting(
        False,
        "Whether files that an opener reads are opened in a process of their own, which is killed"
        " when its time is over.",
        rules.boolean,
    )
    URL_PROVIDER = Setting[str | None](
        None,
        "Dotted path of what gives the URLs of images that exist; None: their storages.",
        rules.optional(rules.dotted_path("URL provider")),
        example="imagekit_registry.cachefiles.urls.Memoised",
    )
    QUEUE = Setting[str | None](
        None,
        "Name of the queue for workers; None: the default one of the backend's library.",
        rules.optional(rules.name),
        example="images",
    )
    LOCK_TIMEOUT = Setting(
        30.0,
        "Seconds after which the lock of a process that died while making an image ends.",
        rules.positive,
    )
    LOCK_WAIT = Setting(
        20.0,
        "Seconds for which a request waits while somebody else makes the image it needs.",
        rules.not_negative,
    )
    RETRY_AFTER = Setting(
        60.0,
        "Seconds before a failed image is tried again; doubles with each failure.",
        rules.not_negative,
    )
    RETRY_AFTER_MAX = Setting(
        86_400.0, "Longest time, in seconds, between two tries.", rules.not_negative
    )
    REQUEST_BUDGET = Setting[RequestBudget](
        {},
        "What a request may spend on making images: a number of images, and of seconds.",
        rules.options(rules.BUDGET_RULES),
        example={"images": 4, "seconds": 2.0},
    )
    SERVING = Setting[ServingOptions](
        {},
        "How on-demand URLs are answered: MODE, PERMISSION, CONCURRENCY, WAITING, EXPIRES.",
        rules.options(rules.SERVING_RULES),
        example={"MODE": "accel"},
    )
    WIDTHS = Setting[Iterable[int]](
        (),
        "Widths, in pixels, that may be asked for without a signature of their own, and to which"
        " those that pictures offer are rounded up.",
        rules.widths,
        example=(320, 640, 1280),
    )
    WIDTH_STEP = Setting(
        1.4,
        "How many times as wide as the one before each width is that a picture offers.",
        rules.more_than_one,
    )
    PICTURE = Setting[Mapping[str, Any]](
        {},
        "What pictures have that say nothing else: arguments of Picture.",
        rules.picture,
        example={"formats": ("WEBP",)},
    )
    IMG = Setting[Mapping[str, Any]](
        {},
        "Attributes of each <img> that the tags write, unless it has others.",
        rules.attributes,
        example={"loading": "lazy", "decoding": "async"},
    )
    ALT = Setting(
        "optional",
        "What becomes of an <img> without alt: it is 'optional', the tags 'warn' (the default under"
        " DEBUG), or 'require' it.",
        rules.rule_for(
            "'optional', 'warn' or 'require'", ("optional", "warn", "require").__contains__
        ),
        debug_default="warn",
    )


def all_settings() -> dict[str, Setting[object]]:
    """Return every setting by its full name, in the order in which they are declared."""
    return {item.name: item for item in vars(Conf).values() if isinstance(item, Setting)}


conf = Conf()


def publish_defaults() -> None:
    """Let ``django.conf.settings`` answer for what the project has not set.

    Code written for django-imagekit reads ``settings.IMAGEKIT_CACHEFILE_DIR`` there. Nothing that
    the project has set is touched. Defaults that hang on ``DEBUG`` are left to `conf`, which looks
    at it each time.
    """
    for key, setting in all_settings().items():
        is_constant = setting.debug_default is setting.default
        if is_constant and not hasattr(settings, key):
            setattr(settings, key, setting.default)
