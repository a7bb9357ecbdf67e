"""Cache file backends: how a cache file comes to exist."""

from __future__ import annotations

from imagekit_registry._loading import build, get_singleton
from imagekit_registry.cachefiles.backends.asynchronous import BaseAsync, QueueBackend
from imagekit_registry.cachefiles.backends.base import (
    AbstractCacheFileBackend,
    CachedFileBackend,
    CacheFileState,
    Simple,
)
from imagekit_registry.cachefiles.backends.in_process import AfterResponse, Threads
from imagekit_registry.cachefiles.backends.legacy import (
    BackendAdapter,
    DatabaseImageCacheBackend,
    ImageCacheBackendAdapter,
    adapter_of,
    is_three_method_backend,
)
from imagekit_registry.cachefiles.backends.messages import Message
from imagekit_registry.cachefiles.backends.queues import RQ, Async, Celery, Dramatiq, Tasks
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidFileBackendError, answer_or
from imagekit_registry.registry import generator_registry

__all__ = [
    "RQ",
    "AbstractCacheFileBackend",
    "AfterResponse",
    "Async",
    "BackendAdapter",
    "BaseAsync",
    "CacheFileState",
    "CachedFileBackend",
    "Celery",
    "DatabaseImageCacheBackend",
    "Dramatiq",
    "ImageCacheBackendAdapter",
    "InvalidFileBackendError",
    "Message",
    "QueueBackend",
    "Simple",
    "Tasks",
    "Threads",
    "backends_in_use",
    "get_default_cachefile_backend",
    "load_backend",
]


def get_default_cachefile_backend() -> AbstractCacheFileBackend:
    """Return the backend that the settings name, one instance for the process.

    Raises:
        InvalidConfiguration: The dotted path leads nowhere.
        InvalidFileBackendError: What it leads to is no backend.
    """
    if conf.DEFAULT_IMAGE_CACHE_BACKEND:
        return load_backend(get_singleton(conf.DEFAULT_IMAGE_CACHE_BACKEND, "image cache backend"))
    return load_backend(get_singleton(conf.DEFAULT_CACHEFILE_BACKEND, "cache file backend"))


def backends_in_use() -> list[AbstractCacheFileBackend]:
    """Return the backends that the settings and registered specs name; what cannot be loaded is left out."""
    registered = map(generator_registry.lookup, generator_registry.get_ids())
    own = [getattr(generator, "cachefile_backend", None) for generator in registered]
    loaded = [answer_or(None, get_default_cachefile_backend)]
    loaded += [answer_or(None, load_backend, each) for each in own if each is not None]
    return list(dict.fromkeys(each for each in loaded if each is not None))


def load_backend(backend: object) -> AbstractCacheFileBackend:
    """Return a cache file backend from a backend, a class of one, or a dotted path.

    What it lacks is supplied here: a three-method image cache backend (``validate``,
    ``invalidate``, ``clear``), and one with ``generate`` and ``exists`` alone, are wrapped.

    Raises:
        InvalidConfiguration: A dotted path leads nowhere, or a class needs arguments.
        InvalidFileBackendError: The object is no backend.
    """
    if isinstance(backend, str):
        backend = get_singleton(backend, "cache file backend")
    elif isinstance(backend, type):
        backend = build(backend, "cache file backend")
    if isinstance(backend, AbstractCacheFileBackend):
        return backend
    if hasattr(backend, "generate") and hasattr(backend, "exists"):
        return adapter_of(backend, BackendAdapter)
    if is_three_method_backend(backend):
        return adapter_of(backend, ImageCacheBackendAdapter)
    raise InvalidFileBackendError(
        f"{backend!r} is no cache file backend: it needs generate(file, force) and exists(file),"
        " or validate(file), invalidate(file) and clear(file)."
    )
