"""What may be wrong with the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from numbers import Real
from typing import Any

from django.conf import settings as django_settings
from django.core.cache import InvalidCacheBackendError, caches
from django.core.cache.backends.dummy import DummyCache
from django.core.checks import CheckMessage, Warning
from django.core.files.storage import storages

from imagekit_registry._loading import get_by_qname, resolve_storage
from imagekit_registry.cachefiles.backends import load_backend
from imagekit_registry.cachefiles.fallbacks import KINDS
from imagekit_registry.cachefiles.namers import is_folder
from imagekit_registry.cachefiles.strategies import load_strategy
from imagekit_registry.checks._messages import error, guarded, nearest
from imagekit_registry.checks._trial import refusal
from imagekit_registry.conf import all_settings, conf
from imagekit_registry.exceptions import ImageKitError, InvalidConfiguration
from imagekit_registry.imaging.formats import can_write
from imagekit_registry.specs import load_decoder
from imagekit_registry.state import get_state_store

__all__ = ["check_settings", "check_storage"]

_Messages = Iterator[CheckMessage]


def check_settings() -> list[CheckMessage]:
    """Return what is wrong with the settings whose names start with ``IMAGEKIT_``."""
    found = list(_unknown_settings())
    for full_name in all_settings():
        name = full_name.removeprefix("IMAGEKIT_")
        rule = _RULES.get(name)
        if rule is not None:
            found += guarded(full_name, None, rule, name, getattr(conf, name))
    return found


def _unknown_settings() -> _Messages:
    known = all_settings()
    for name in dir(django_settings):
        if name.startswith("IMAGEKIT_") and name not in known:
            hint = nearest(name, known, "Remove it, or look its name up in the reference.")
            yield Warning(
                f"There is no setting {name}; it has no effect.", hint=hint, id="imagekit.W001"
            )


# One function for each kind of value; each takes the setting's short name and its value.


def _wrong(name: str, value: Any, expected: str, example: str) -> CheckMessage:
    return error(
        "E009", f"IMAGEKIT_{name} is {value!r}; it must be {expected}", f"Write {example}."
    )


def _number(
    low: float, high: float | None = None, *, none: bool = False, open: bool = False
) -> Callable[[str, Any], _Messages]:
    """Return a rule for a number of at least *low* (more, if *open*) and at most *high*."""

    def rule(name: str, value: Any) -> _Messages:
        if value is None and none:
            return
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        above = is_number and (value > low if open else value >= low)
        if not above or (high is not None and value > high):
            bounds = f"more than {low:g}" if open else f"{low:g} or more"
            bounds = bounds if high is None else f"from {low:g} to {high:g}"
            default = all_settings()[f"IMAGEKIT_{name}"].default
            yield _wrong(
                name,
                value,
                f"a number, {bounds}" + (", or None" if none else ""),
                f"IMAGEKIT_{name} = {default!r}, which is the default",
            )

    return rule


def _kind(kind: type, called: str, example: str) -> Callable[[str, Any], _Messages]:
    def rule(name: str, value: Any) -> _Messages:
        if not isinstance(value, kind):
            yield _wrong(name, value, called, f"IMAGEKIT_{name} = {example}")

    return rule


def _imported(name: str, value: Any, what: str) -> tuple[Any, list[CheckMessage]]:
    """Return what the dotted path *value* names, or what is wrong with it."""
    example = f"IMAGEKIT_{name} = {all_settings()[f'IMAGEKIT_{name}'].default!r}"
    if not isinstance(value, str):
        return None, [_wrong(name, value, f"the dotted path of a {what}", example)]
    try:
        return get_by_qname(value, what), []
    except InvalidConfiguration as problem:
        hint = f"Write the dotted path of a {what} that can be imported, such as {example}."
        return None, [error("E005", f"IMAGEKIT_{name}: {problem}", hint)]


def _namer(name: str, value: Any) -> _Messages:
    found, problems = _imported(name, value, "namer")
    yield from problems
    if not problems and not callable(found):
        hint = "A namer is a function that takes a generator and returns the name of its file."
        yield error("E006", f"IMAGEKIT_{name} is {value!r}, which cannot be called", hint)


def _built(what: str, build: Callable[[Any], Any], needs: str) -> Callable[[str, Any], _Messages]:
    """Return a rule for the dotted path of something that *build* makes usable."""

    def rule(name: str, value: Any) -> _Messages:
        if value is None and all_settings()[f"IMAGEKIT_{name}"].default is None:
            return
        if isinstance(value, str):
            _, problems = _imported(name, value, what)
            if problems:
                yield from problems
                return
        try:
            build(value)
        except Exception as problem:  # noqa: BLE001 -- the project's class is made in here
            yield error("E006", f"IMAGEKIT_{name} is {value!r}: {_reason(problem)}", needs)

    return rule


def _reason(problem: Exception) -> str:
    own = isinstance(problem, ImageKitError)
    return str(problem) if own else f"{type(problem).__name__}: {problem}"


def _folder(name: str, value: Any) -> _Messages:
    if not is_folder(value):
        yield _wrong(
            name,
            value,
            "the name of a folder inside the storage: relative, without '..'",
            "IMAGEKIT_CACHEFILE_DIR = 'CACHE/images'",
        )


def check_storage(value: Any, where: str, id: str, obj: Any = None) -> _Messages:
    """Yield an error if *value* is neither a storage nor the alias or dotted path of one."""
    try:
        storage = resolve_storage(value)
    except Exception as problem:  # noqa: BLE001 -- the project's class is made in here
        if isinstance(value, str) and "." not in value:
            text = f"{where} is {value!r}, which is no alias in STORAGES"
            near = nearest(value, storages.backends, f"Write one of {_listed(storages.backends)}.")
            yield error(id, text, near, obj)
        else:
            hint = "Write an alias from STORAGES, or the dotted path of a storage class."
            yield error(id, f"{where} is {value!r}: {_reason(problem)}", hint, obj)
        return
    missing = [n for n in ("open", "save", "exists", "delete", "url") if not hasattr(storage, n)]
    if missing:
        hint = "Write an alias from STORAGES, or the dotted path of a storage class."
        yield error(id, f"{where} is {value!r}, which has no {missing[0]}()", hint, obj)


def _storage(name: str, value: Any) -> _Messages:
    yield from check_storage(value, f"IMAGEKIT_{name}", "E007")


def _cache(name: str, value: Any) -> _Messages:
    try:
        cache = caches[value]
    except (InvalidCacheBackendError, ImportError, AttributeError, TypeError) as problem:
        aliases = list(caches)
        hint = nearest(value, aliases, f"Write one of {_listed(aliases)}.")
        known = isinstance(value, str) and value in aliases
        text = f"whose cache cannot be used: {problem}" if known else "which is no alias in CACHES"
        yield error("E008", f"IMAGEKIT_{name} is {value!r}, {text}", hint)
        return
    if isinstance(cache, DummyCache) and conf.STATE_STORE == "cache":
        yield Warning(
            f"IMAGEKIT_{name} is {value!r}, a dummy cache: every page asks the storage for every"
            " image.",
            hint="Name another cache, or set IMAGEKIT_STATE_STORE = 'database'.",
            id="imagekit.W002",
        )


def _listed(words: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(words)))


def _store(name: str, value: Any) -> _Messages:
    if conf.STATE_STORE == "cache":
        return  # what may be wrong with the cache is said of the cache
    try:
        get_state_store()
    except Exception as problem:  # noqa: BLE001 -- the project's class is made in here
        path = isinstance(value, str) and "." in value
        hint = (
            "Write 'cache', 'database', or the dotted path of a class with get_many, set_many and"
            " delete_many."
        )
        cannot_import = path and isinstance(problem.__cause__, ImportError)
        yield error(
            "E005" if cannot_import else "E006", f"IMAGEKIT_{name}: {_reason(problem)}", hint
        )


def _on_error(name: str, value: Any) -> _Messages:
    if callable(value) or value in KINDS:
        return
    hint = f"Write one of {', '.join(map(repr, KINDS))}, a function, or the dotted path of one."
    if not isinstance(value, str) or "." not in value:
        yield error("E009", f"IMAGEKIT_{name} is {value!r}, which is unknown", hint)
        return
    try:
        found = get_by_qname(value, "fallback")
    except InvalidConfiguration as problem:
        yield error("E005", f"IMAGEKIT_{name}: {problem}", hint)
        return
    if not callable(found):
        yield error("E006", f"IMAGEKIT_{name} is {value!r}, which cannot be called", hint)


def _decoder(name: str, value: Any) -> _Messages:
    try:
        load_decoder(value)
    except Exception as problem:  # noqa: BLE001 -- a library that is half installed
        hint = "Write IMAGEKIT_DECODER = 'pillow', or install what the other one needs."
        yield error("E010", f"IMAGEKIT_{name} is {value!r}: {_reason(problem)}", hint)


def _format(name: str, value: Any) -> _Messages:
    if value is None:
        return
    if not isinstance(value, str) or not can_write(value):
        hint = f"Write IMAGEKIT_{name} = 'JPEG', or another format that Pillow can write."
        yield error("E011", f"IMAGEKIT_{name} is {value!r}, which Pillow cannot write", hint)


def _formats(name: str, value: Any) -> _Messages:
    is_list = not isinstance(value, str | bytes | Mapping) and hasattr(value, "__iter__")
    if not is_list or not all(isinstance(item, str) for item in value):
        yield _wrong(
            name,
            value,
            "a list of Pillow's names of formats",
            f"IMAGEKIT_{name} = ['JPEG', 'PNG', 'WEBP']",
        )


def _scales(name: str, value: Any) -> _Messages:
    if value is None:
        return
    is_list = not isinstance(value, str | bytes) and hasattr(value, "__iter__")
    if not is_list or not all(isinstance(item, int | float) and item > 0 for item in value):
        yield _wrong(name, value, "a list of numbers above 0, or None", f"IMAGEKIT_{name} = [2, 3]")


def _format_options(name: str, value: Any) -> _Messages:
    example = f"IMAGEKIT_{name} = {{'JPEG': {{'quality': 80}}}}"
    if not isinstance(value, Mapping):
        yield _wrong(name, value, "a dict of formats and their options", example)
        return
    for format, options in value.items():
        where = f"IMAGEKIT_{name}[{format!r}]"
        if not isinstance(options, Mapping):
            text = f"{where} is {options!r}; it must be a dict"
            yield error("E009", text, f"Write {example}.")
        elif not isinstance(format, str) or not can_write(format):
            text = f"{where} is for a format that Pillow cannot write"
            yield error("E011", text, f"Write {example}.")
        elif problem := refusal(format, options):
            hint = "Give the options of Image.save that Pillow documents for the format."
            yield error("E012", f"{where} is {dict(options)!r}: {problem}", hint)


def _queue(name: str, value: Any) -> _Messages:
    if value is not None and not (isinstance(value, str) and value):
        yield _wrong(name, value, "the name of a queue, or None", "IMAGEKIT_QUEUE = 'images'")


def _image_cache_backend(value: Any) -> Any:
    return load_backend(get_by_qname(value, "image cache backend"))


def _cachefile_backend(value: Any) -> Any:
    backend = get_by_qname(value, "cache file backend") if isinstance(value, str) else value
    return load_backend(backend)


def _strategy(value: Any) -> Any:
    strategy = load_strategy(value)
    if not any(callable(getattr(strategy, method, None)) for method in _STRATEGY_METHODS):
        methods = ", ".join(_STRATEGY_METHODS)
        raise InvalidConfiguration(f"it has none of the methods of a strategy: {methods}")
    return strategy


_STRATEGY_METHODS = (
    "on_existence_required",
    "on_content_required",
    "on_source_saved",
    "on_source_deleted",
)
_BOOL = _kind(bool, "True or False", "True")
_RULES: Mapping[str, Callable[[str, Any], Iterable[CheckMessage]]] = {
    "CACHEFILE_NAMER": _namer,
    "SPEC_CACHEFILE_NAMER": _namer,
    "CACHEFILE_DIR": _folder,
    "DEFAULT_CACHEFILE_BACKEND": _built(
        "cache file backend",
        _cachefile_backend,
        "A backend has generate(file, force) and exists(file); install what it needs.",
    ),
    "DEFAULT_IMAGE_CACHE_BACKEND": _built(
        "image cache backend",
        _image_cache_backend,
        "An image cache backend has validate(file), invalidate(file) and clear(file).",
    ),
    "DEFAULT_CACHEFILE_STRATEGY": _built(
        "cache file strategy",
        _strategy,
        "A strategy has on_existence_required(file) or another of the strategy's methods.",
    ),
    "DEFAULT_FILE_STORAGE": _storage,
    "CACHE_BACKEND": _cache,
    "CACHE_PREFIX": _kind(str, "a string", "'imagekit:'"),
    "CACHE_TIMEOUT": _number(0, none=True),
    "USE_MEMCACHED_SAFE_CACHE_KEY": _BOOL,
    "DEFAULT_THUMBNAIL_FORMAT": _format,
    "DEFAULT_THUMBNAIL_SRCSET_SCALES": _scales,
    "FORMAT_OPTIONS": _format_options,
    "DECODER": _decoder,
    "STATE_STORE": _store,
    "LOCAL_STATE_TTL": _number(0),
    "LOCAL_STATE_SIZE": _number(0),
    "ON_ERROR": _on_error,
    "MAX_PIXELS": _number(1, none=True),
    "MAX_OUTPUT_PIXELS": _number(1, none=True),
    "MAX_FRAMES": _number(1, none=True),
    "MAX_BYTES": _number(1, none=True),
    "MAX_SECONDS": _number(0, none=True, open=True),
    "ALLOWED_FORMATS": _formats,
    "QUEUE": _queue,
    "LOCK_TIMEOUT": _number(0, open=True),
    "LOCK_WAIT": _number(0),
    "RETRY_AFTER": _number(0),
    "RETRY_AFTER_MAX": _number(0),
}
