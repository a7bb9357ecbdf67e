"""URLs of cache files that exist: their storages', or those of what stands before the storage."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import cache, partial
from hashlib import blake2b
from typing import Any, Protocol

import attrs
from django.core.files.storage import FileSystemStorage, Storage
from django.utils.encoding import filepath_to_uri

from imagekit_registry._breaker import breaker_of
from imagekit_registry._loading import get_by_qname, get_cache, storage_place, storage_reference
from imagekit_registry.conf import conf
from imagekit_registry.exceptions import InvalidConfiguration, answer_or
from imagekit_registry.signals import retired

__all__ = [
    "Located",
    "Memoised",
    "Prefix",
    "StorageURL",
    "URLProvider",
    "has_fixed_url",
    "has_storage_url",
    "has_url_by_name",
    "load_provider",
    "retire",
    "url_of",
]

_MOST_REMEMBERED = 10_000


class Located(Protocol):
    """**Protocol:** what has a URL: a cache file, or what is left of one that is deleted."""

    @property
    def storage(self) -> Storage:
        """The storage in which it lies."""


class URLProvider(Protocol):
    """**Protocol:** gives the URLs of images that exist, where these are not their storages' own.

    Called for each image of a page, from any thread, several at a time; it must be quick. Any
    exception may leave it: the storage's own URL is shown then, and the log says so once a minute.

    Example:
        >>> class Versioned:
        ...     def url(self, file, name):
        ...         return file.storage.url(name) + "?v=2"
    """

    def url(self, file: Any, name: str) -> str:
        """Return the URL of *file*, which has *name* in ``file.storage``."""


@attrs.frozen
class StorageURL:
    """Gives the URLs that the storages give: the default."""

    def url(self, file: Located, name: str) -> str:
        """Return the storage's own URL."""
        return file.storage.url(name)


def _with_slash(prefix: str) -> str:
    return prefix.rstrip("/") + "/"


@attrs.frozen
class Prefix:
    """Gives URLs that begin with those of a CDN, and go on with the names of the files.

    Args:
        prefix: What they begin with; a slash ends it.

    Example:
        >>> Prefix("https://cdn.example.com").url(None, "CACHE/a b.jpg")
        'https://cdn.example.com/CACHE/a%20b.jpg'
    """

    prefix: str = attrs.field(converter=_with_slash)

    def url(self, file: object, name: str) -> str:
        """Return the URL."""
        return f"{self.prefix}{filepath_to_uri(name)}"


@attrs.frozen(eq=False)
class Memoised:
    """Gives the same URL for some time, where a storage signs another one each time.

    So browsers keep the image. What was signed first is kept in the cache, for all processes.

    Args:
        bucket: The time, in seconds; shorter than that for which a URL is good.
        provider: What gives the URLs.

    Example:
        >>> class Private(ImageSpec):
        ...     url_provider = Memoised(bucket=900)
    """

    bucket: int = attrs.field(default=900, validator=attrs.validators.ge(1))
    provider: URLProvider = attrs.field(factory=StorageURL)
    _remembered: dict[str, str] = attrs.field(factory=dict, init=False)

    def url(self, file: Located, name: str) -> str:
        """Return the URL, which is the same until the end of the bucket."""
        reference = storage_reference(file.storage)
        what = f"{reference}\n{storage_place(reference)}\n{name}".encode("utf-8", "surrogatepass")
        number = int(time.time() // self.bucket)
        digest = blake2b(what, digest_size=16).hexdigest()
        key = f"{conf.CACHE_PREFIX}url:{self.bucket}:{number}:{digest}"
        shared = get_cache()
        # Tenants are told apart as the cache does it.
        own_key = shared.make_key(key)
        url = self._remembered.get(own_key)
        if url is None:
            url = shared.get_or_set(key, partial(self.provider.url, file, name), self.bucket)
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[own_key] = str(url)
        return str(url)


@cache
def _built(provider: type) -> Any:
    """Return the one provider of a class: it may remember URLs."""
    return provider()


def load_provider(provider: Any) -> URLProvider:
    """Return a provider of URLs from one, its class or the dotted path of either.

    Raises:
        InvalidConfiguration: The path leads nowhere, or to something without ``url``.
    """
    if isinstance(provider, str):
        provider = get_by_qname(provider, "URL provider")
    if isinstance(provider, type):
        provider = _built(provider)
    loaded: URLProvider = provider
    if not callable(getattr(loaded, "url", None)):
        raise InvalidConfiguration(
            f"{provider!r} is no provider of URLs: it needs url(file, name), which returns a text."
        )
    return loaded


def has_fixed_url(file: Any) -> bool:
    """Return whether the URL of *file* is the same as long as settings and storage are."""
    # Other storages sign their URLs, or have a new one for each content.
    return has_storage_url(file) and type(file.storage).url is FileSystemStorage.url


def has_url_by_name(file: Any) -> bool:
    """Return whether the URL of *file* is told by its name alone, wherever it is stored."""
    wanted = file.spec.url_provider or conf.URL_PROVIDER
    return bool(wanted) and type(load_provider(wanted)) is Prefix


def has_storage_url(file: Any) -> bool:
    """Return whether the URL of *file* is what its storage says."""
    return not (file.spec.url_provider or conf.URL_PROVIDER)


def url_of(file: Located, name: str, provider: object = None) -> str:
    """Return the URL of a file by its provider; the storage's own if that raises.

    Args:
        file: The file.
        name: Its name in its storage.
        provider: What its spec names; None: what ``IMAGEKIT_URL_PROVIDER`` names.

    Raises:
        InvalidConfiguration: There is no such provider.
    """
    wanted = provider or conf.URL_PROVIDER
    url = None
    if wanted:
        loaded = load_provider(wanted)
        breaker = breaker_of(
            f"The URL provider {type(loaded).__qualname__}",
            meanwhile="pages show the URLs of the storage",
            pause=0.0,
        )
        url = breaker.call(partial(loaded.url, file, name), None)
    return url or file.storage.url(name)


def retire(files: Iterable[tuple[Located, str, object]]) -> None:
    """Announce that the URLs of files are not right any more, by `retired`.

    Args:
        files: Files, their names in their storages, and what their specs name as providers.
    """
    if retired.receivers:
        urls = filter(None, (answer_or("", url_of, *each) for each in files))
        if known := list(dict.fromkeys(urls)):
            retired.send_robust(sender=None, urls=known)
