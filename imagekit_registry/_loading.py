"""From dotted paths, aliases and settings to objects."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from hashlib import blake2b, md5
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

from django.core.cache import BaseCache, caches
from django.core.files.storage import InMemoryStorage, InvalidStorageError, Storage, storages
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.module_loading import import_string

from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidConfiguration, answer_or

_UNSAFE_IN_KEYS = re.compile("[\u0000-\u0020\u007f-\u009f\\s]+")
_LONGEST_KEY = 200

_singletons: dict[object, object] = {}
_storage_references: dict[int, tuple[Storage, str]] = {}
#: What storages say of their place, those of Django and of django-storages; tenants' may change.
_PLACES = ("location", "bucket_name", "azure_container", "root_path", "endpoint_url")
_in_memory: WeakKeyDictionary[Storage, str] = WeakKeyDictionary()
#: Storages that have all cache files, whatever settings and specs say; the last one holds.
_only_storages: list[Storage] = []
#: A callable may give another storage object for each file; they are not to be kept for ever.
_MOST_STORAGES = 200


#: The settings of Django under which nothing of what was built or remembered is right any more.
_SETTINGS = {"CACHES", "DATABASES", "MEDIA_ROOT", "STORAGES"}
_forgetting: list[Callable[[], object]] = []


def forget_on_change(forget: Callable[[], object]) -> Callable[[], object]:
    """Have *forget*, which drops what was built from settings, called when one of them changes.

    So ``override_settings`` works. Returns *forget*, as a decorator does.
    """
    _forgetting.append(forget)
    return forget


@receiver(setting_changed, dispatch_uid="imagekit_registry.loading")
def _on_change(*, setting: str, **kwargs: object) -> None:
    if setting.startswith("IMAGEKIT_") or setting in _SETTINGS:
        for forget in _forgetting:
            forget()


for _built in (_singletons, _storage_references):
    forget_on_change(_built.clear)


def get_by_qname(path: str, desc: str) -> Any:
    """Import what *path* names.

    Args:
        path: A dotted path, such as ``"shop.namers.by_product"``; what begins with ``imagekit.`` is
            ours of the same name, if there is one.
        desc: What is expected there, for the message: ``"namer"``.

    Returns:
        The object.

    Raises:
        InvalidConfiguration: There is nothing at *path*; an ``ImproperlyConfigured``.

    Example:
        >>> get_by_qname("os.path.join", "function").__name__
        'join'
    """
    try:
        return _import(path)
    except ImportError as error:
        raise InvalidConfiguration(
            f"The {desc} {path!r} cannot be imported: {error}. Give the dotted path of a {desc}."
        ) from error


# A page looks the same few up for each of its images.
@cache
def _import(path: str) -> Any:
    # Where django-imagekit is installed as well, its defaults are in Django's settings.
    if path.startswith("imagekit."):
        with suppress(ImportError):
            return import_string(path.replace("imagekit", "imagekit_registry", 1))
    return import_string(path)


forget_on_change(_import.cache_clear)


def get_singleton(class_path: str, desc: str) -> Any:
    """Return the one instance of the class that *class_path* names, built on first use.

    Args:
        class_path: The dotted path of a class or other callable without required arguments, or of
            an instance.
        desc: What is expected there, for the message.

    Raises:
        InvalidConfiguration: There is nothing at *class_path*, or what needs arguments.
    """
    found = get_by_qname(class_path, desc)
    if not callable(found):
        return found
    try:
        return _singletons[found]
    except KeyError:
        return _singletons.setdefault(found, build(found, desc))


def build(make: Callable[[], Any], desc: str) -> Any:
    """Return what a class or other callable gives without arguments.

    Raises:
        InvalidConfiguration: It needs some.
    """
    try:
        return make()
    except TypeError as error:
        raise InvalidConfiguration(
            f"The {desc} {make!r} cannot be built: {error}. Name a class that needs no arguments, or"
            " an instance."
        ) from error


def get_cache() -> BaseCache:
    """Return the cache that ``IMAGEKIT_CACHE_BACKEND`` names.

    Raises:
        InvalidCacheBackendError: There is no such alias in ``CACHES``.
    """
    return caches[conf.CACHE_BACKEND]


def get_storage(own: Storage | str | Callable[[], Storage] | None = None) -> Storage:
    """Return the storage of cache files, which ``IMAGEKIT_DEFAULT_FILE_STORAGE`` names.

    Args:
        own: What a spec or a file has instead.

    Raises:
        InvalidConfiguration: The setting is neither an alias in ``STORAGES`` nor a dotted path.
    """
    if _only_storages:
        return _only_storages[-1]
    if own:
        return resolve_storage(own)
    wanted = conf.DEFAULT_FILE_STORAGE
    try:
        return resolve_storage(wanted)
    except InvalidConfiguration as error:
        raise InvalidConfiguration(
            f"IMAGEKIT_DEFAULT_FILE_STORAGE is {wanted!r}: {error}"
        ) from error


@contextmanager
def only_storage(storage: Storage) -> Iterator[None]:
    """Keep all cache files in *storage* while the block lasts; for tests.

    Change a setting of ours around it, so that what was built from settings is built anew.
    """
    _only_storages.append(storage)
    try:
        yield
    finally:
        _only_storages.remove(storage)


def resolve_storage(value: Storage | str | Callable[[], Storage] | None) -> Storage:
    """Return a storage from an instance, an alias, a dotted path or a callable.

    Raises:
        InvalidConfiguration: A string is neither an alias in ``STORAGES`` nor a dotted path.
    """
    if value is None:
        return get_storage()
    if isinstance(value, str):
        try:
            return storages[value]
        except InvalidStorageError as error:
            # One without an alias, as a field may have, is found by its reference if it is in use.
            for used, reference in reversed(_storage_references.values()):
                if reference == value:
                    return used
            if "." not in value:
                raise InvalidConfiguration(
                    f"There is no file storage {value!r} ({str(error).rstrip('.')}). Write an alias"
                    f" in STORAGES, which has {', '.join(map(repr, storages.backends))}, or a dotted"
                    " path."
                ) from error
            storage: Storage = get_singleton(value, "file storage")
            return storage
    if isinstance(value, type) or (callable(value) and not isinstance(value, Storage)):
        return value()
    return value


def storage_reference(storage: Any) -> str:
    """Return how *storage* is written down: the same text on every host.

    Returns:
        ``""`` for the default storage; else its alias in ``STORAGES``; for a storage without an
        alias its class and the arguments that it was made with.
    """
    known = _storage_references.get(id(storage))
    if known is not None and known[0] is storage:
        return known[1]
    reference = _find_storage_reference(storage)
    if len(_storage_references) >= _MOST_STORAGES:
        _storage_references.clear()
    _storage_references[id(storage)] = (storage, reference)
    return reference


def place_of(storage: Storage) -> tuple[str, ...]:
    """Return what *storage* tells of where it keeps its files: empty texts if it tells nothing."""
    return tuple(str(getattr(storage, name, "")) for name in _PLACES)


def storage_place(reference: str) -> str:
    """Return what tells where a storage keeps its files, if its reference does not.

    An alias goes on to be the same when ``MEDIA_ROOT`` or the bucket behind it is another one. The
    class does not matter: another one may manage the same files.

    Args:
        reference: What `storage_reference` gives.

    Returns:
        Eight hexadecimal digits; empty for a storage without an alias, whose reference says it.
    """
    alias = reference or "default"
    if alias not in storages.backends:
        return ""
    storage = storages[alias]
    told = [*place_of(storage)]
    if isinstance(storage, InMemoryStorage):
        # Each is a place of its own, and goes with the process.
        told.append(_in_memory.setdefault(storage, uuid4().hex))
    return _digest_of_place(*told)


@lru_cache(maxsize=1000)
def _digest_of_place(*told: str) -> str:
    return blake2b("\n".join(told).encode(errors="replace"), digest_size=4).hexdigest()


def _find_storage_reference(storage: Any) -> str:
    aliases = sorted(storages.backends, key=lambda alias: (alias != "default", alias))
    for same in (operator.is_, operator.eq):
        for alias in aliases:
            # One that cannot be built, such as that of static files without STATIC_URL, is another.
            if answer_or(False, _compare, same, alias, storage):
                return "" if alias == "default" else alias
    cls = type(storage)
    try:
        path, args, kwargs = storage.deconstruct()
    except (AttributeError, TypeError, ValueError):
        return f"{cls.__module__}.{cls.__qualname__}"
    options = [*map(str, args), *(f"{key}={kwargs[key]!s}" for key in sorted(kwargs))]
    # Hashed: among a storage's options may be the keys to it.
    told = blake2b("\n".join(options).encode(errors="replace"), digest_size=8).hexdigest()
    return f"{path}#{told}"


def _compare(same: Callable[[object, object], bool], alias: str, storage: object) -> bool:
    return same(storages[alias], storage)


def sanitize_cache_key(key: str) -> str:
    """Return *key* as every cache accepts it.

    With ``IMAGEKIT_USE_MEMCACHED_SAFE_CACHE_KEY`` white space and control characters are removed
    and long keys are cut, and what is lost by that is completed by a hash: memcached's protocol
    allows 250 bytes, of which some are left to the project's ``KEY_FUNCTION``.
    """
    if not conf.USE_MEMCACHED_SAFE_CACHE_KEY:
        return key
    is_plain = key.isascii() and key.isprintable() and " " not in key
    safe = key if is_plain else _UNSAFE_IN_KEYS.sub("", key)
    # "a b" and "ab" are two keys.
    if safe != key or len(safe.encode(errors="replace")) >= _LONGEST_KEY:
        digest = md5(key.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()
        head = safe.encode(errors="replace")[: _LONGEST_KEY - 33].decode(errors="ignore")
        return f"{head}:{digest}"
    return safe
