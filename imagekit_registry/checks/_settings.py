"""What may be wrong with the settings.

A value is checked by the rule that stands beside its default, in `imagekit_registry.conf`; what it
names is loaded, as it would be for an image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from django.conf import settings as django_settings
from django.core.cache import BaseCache, caches
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, Warning

from imagekit_registry._loading import get_by_qname, resolve_storage
from imagekit_registry.cachefiles.backends import load_backend
from imagekit_registry.cachefiles.strategies import load_strategy
from imagekit_registry.cachefiles.urls import load_provider
from imagekit_registry.checks._messages import (
    attempt,
    error,
    guarded,
    nearest,
    reason_of,
    refusal,
    slips,
    unknown_option,
)
from imagekit_registry.conf import Conf, ServingOptions, Setting, all_settings, conf
from imagekit_registry.exceptions import InvalidConfiguration, UnknownFormat
from imagekit_registry.imaging import Recipe
from imagekit_registry.imaging.formats import can_write
from imagekit_registry.registry import ADMIN_PREVIEW_ID, THUMBNAIL_ID, generator_registry
from imagekit_registry.specs import load_decoder, load_resizer, settle_picture
from imagekit_registry.state import get_state_store

#: Entries of a cache that are few; Django's default.
_SMALL = 300
_STORAGE_METHODS = ("open", "save", "exists", "delete", "url")


def check_settings() -> Iterator[CheckMessage]:
    """Yield what is wrong with the settings whose names start with ``IMAGEKIT_``."""
    known = all_settings()
    for name in dir(django_settings):
        if name.startswith("IMAGEKIT_") and name not in known:
            text = f"There is no setting {name}; it has no effect."
            hint = nearest(name, known, "Remove it, or look its name up in the reference.")
            yield Warning(text, hint=hint, id="imagekit.W001")
    for name, setting in known.items():
        yield from guarded(name, None, partial(_check_setting, name, setting))


def _check_setting(name: str, setting: Setting[object]) -> Iterator[CheckMessage]:
    value = getattr(conf, name.removeprefix("IMAGEKIT_"))
    default = ", which is the default" if setting.example == setting.default else ""
    hint = f"{setting.doc} Write {name} = {setting.example!r}{default}."
    expected = setting.rule(value)
    if expected:
        yield error("E009", f"{name} is {value!r}; it must be {expected}", hint)
        return
    if name == "IMAGEKIT_FORMAT_OPTIONS":
        for format, options in value.items():
            for slip in slips(options):
                yield unknown_option(f"{name} has for {format!r}", slip)
    if value is not None and name in _LOADED:
        number, load = _LOADED[name]
        loaded, problem = attempt(lambda: load(value))
        if problem is not None:
            if number == "E006" and isinstance(problem.__cause__, ImportError):
                number = "E005"
            elif isinstance(problem, UnknownFormat):
                number = "E011"
            reason = reason_of(problem)
            # What is raised where the setting is used names it as well.
            if not reason.startswith(f"{name} is "):
                reason = f"{name} is {value!r}: {reason}"
            yield error(number, reason, hint)
        elif isinstance(loaded, DummyCache) and conf.STATE_STORE == "cache":
            yield Warning(
                f"{name} is {value!r}, a dummy cache: every page asks the storage for every image.",
                hint="Name another cache, or set IMAGEKIT_STATE_STORE = 'database'.",
                id="imagekit.W002",
            )
        elif isinstance(loaded, BaseCache):
            yield from _check_size(str(value), loaded)


def _check_size(alias: str, cache: BaseCache) -> Iterator[CheckMessage]:
    """Warn of a cache that forgets the state of images long before all of them are known."""
    size: int = cache._max_entries
    is_culled = isinstance(cache, DatabaseCache | FileBasedCache | LocMemCache)
    has_specs = set(generator_registry.get_ids()) - {THUMBNAIL_ID, ADMIN_PREVIEW_ID}
    # Under DEBUG it is forgotten after a few minutes anyway.
    is_meant = has_specs and conf.STATE_STORE == "cache" and not django_settings.DEBUG
    if is_culled and size <= _SMALL and is_meant:
        yield Warning(
            f"The cache {alias!r} holds {size} entries: of more images it forgets the state, and"
            " pages ask the storage for them again.",
            hint=f"Set 'OPTIONS': {{'MAX_ENTRIES': 100_000}} of CACHES[{alias!r}], name another"
            " cache by IMAGEKIT_CACHE_BACKEND, or set IMAGEKIT_STATE_STORE = 'database'.",
            id="imagekit.W005",
        )


# Loading what a setting names; what specs have in the place of it is loaded in the same way.


def load_storage(value: Any) -> object:
    """Return a storage from itself, its alias or its dotted path.

    Raises:
        InvalidConfiguration: There is none, or it lacks a method.
    """
    storage = resolve_storage(value)
    for name in _STORAGE_METHODS:
        if not hasattr(storage, name):
            raise InvalidConfiguration(f"it has no {name}()")
    return storage


def load_callable(what: str, value: object) -> object:
    """Return a function from itself or its dotted path.

    Raises:
        InvalidConfiguration: It cannot be imported, or not be called.
    """
    found = get_by_qname(value, what) if isinstance(value, str) else value
    if not callable(found):
        raise InvalidConfiguration("it cannot be called")
    return found


def load_fallback(value: object) -> object:
    """Return a fallback from one of the known words, a function or its dotted path.

    Raises:
        InvalidConfiguration: It is none of these.
    """
    expected = Conf.ON_ERROR.rule(value)
    if expected:
        raise InvalidConfiguration(f"it must be {expected}")
    return load_callable("fallback", value) if "." in str(value) else value


def load_headers(value: Any) -> object:
    """Return what is sent with files.

    Raises:
        InvalidConfiguration: It is no dict of names and texts.
    """
    is_dict = isinstance(value, Mapping)
    if not is_dict or not all(isinstance(part, str) for item in value.items() for part in item):
        raise InvalidConfiguration("it must be a dict of names and texts")
    return value


def _load_backend(what: str, path: str) -> object:
    return load_backend(get_by_qname(path, what))


def _load_cache(alias: object) -> object:
    if alias not in list(caches):
        raise InvalidConfiguration(f"it is no alias in CACHES, which has {sorted(caches)}")
    return caches[alias]


def _load_format_options(value: Mapping[str, Any]) -> object:
    for format, options in value.items():
        reason = refusal(Recipe(format=format, options=options))
        if reason:
            raise InvalidConfiguration(f"{format!r}: {reason}")
    return value


def _load_smallest(value: Iterable[str]) -> object:
    if not any(map(can_write, value)):
        raise UnknownFormat(f"Pillow can write none of {', '.join(map(repr, value))}")
    return value


def _load_permission(value: ServingOptions) -> object:
    path = value.get("PERMISSION")
    return path and load_callable("function of request and file", path)


#: What a failure to load the value of a setting is called, and what loads it.
_LOADED: Mapping[str, tuple[str, Callable[[Any], object]]] = {
    "IMAGEKIT_CACHEFILE_NAMER": ("E006", partial(load_callable, "namer")),
    "IMAGEKIT_SPEC_CACHEFILE_NAMER": ("E006", partial(load_callable, "namer")),
    "IMAGEKIT_DEFAULT_CACHEFILE_BACKEND": ("E006", partial(_load_backend, "cache file backend")),
    "IMAGEKIT_DEFAULT_IMAGE_CACHE_BACKEND": ("E006", partial(_load_backend, "image cache backend")),
    "IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY": ("E006", load_strategy),
    "IMAGEKIT_DEFAULT_FILE_STORAGE": ("E007", load_storage),
    "IMAGEKIT_CACHE_BACKEND": ("E008", _load_cache),
    "IMAGEKIT_DEFAULT_THUMBNAIL_FORMAT": ("E011", lambda value: refusal(Recipe(format=value))),
    "IMAGEKIT_SMALLEST": ("E011", _load_smallest),
    "IMAGEKIT_FORMAT_OPTIONS": ("E012", _load_format_options),
    "IMAGEKIT_PICTURE": ("E009", lambda value: settle_picture()),
    "IMAGEKIT_DECODER": ("E010", load_decoder),
    "IMAGEKIT_RESIZER": ("E010", load_resizer),
    # What may be wrong with the cache is said of the cache.
    "IMAGEKIT_STATE_STORE": ("E006", lambda value: value == "cache" or get_state_store()),
    "IMAGEKIT_ON_ERROR": ("E006", load_fallback),
    "IMAGEKIT_URL_PROVIDER": ("E006", load_provider),
    "IMAGEKIT_SERVING": ("E006", _load_permission),
}
