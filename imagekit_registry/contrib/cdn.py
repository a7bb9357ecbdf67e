"""Content delivery networks, which are told of URLs that are not right any more."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import Request, urlopen

import attrs
from django.db import transaction

from imagekit_registry._loading import get_by_qname
from imagekit_registry.cachefiles.threads import run_in_background
from imagekit_registry.exceptions import logged
from imagekit_registry.maintenance.inventory import in_chunks
from imagekit_registry.signals import retired

__all__ = ["CDN", "CloudFront", "Cloudflare", "Fastly"]

_logger = logging.getLogger("imagekit_registry.cdn")

#: Seconds for which a CDN may keep a thread waiting.
_PATIENCE = 10


@attrs.frozen(eq=False, kw_only=True)
class CDN:
    """The base of networks that keep images: a receiver of `retired`.

    They are told when the transaction of the default database is committed, by a thread, so that
    nobody waits for them. What goes wrong is logged.

    Args:
        base: What URLs without a host begin with, such as ``"https://example.com"``.
    """

    base: str = ""

    # What callers use, and subclasses leave alone.

    def connect(self) -> None:
        """Tell the network from now on; to be called in ``ready()`` of an app."""
        retired.connect(self._on_retired, weak=False, dispatch_uid=self)

    def disconnect(self) -> None:
        """Tell it no more."""
        retired.disconnect(dispatch_uid=self)

    def _on_retired(self, urls: Sequence[str], **_: object) -> None:
        absolute = [urljoin(self.base, url) for url in urls]
        key = f"purge {uuid.uuid4()}"
        transaction.on_commit(partial(run_in_background, key, partial(self._purge, absolute)))

    def _purge(self, urls: Sequence[str]) -> None:
        with logged(_logger, "%s keeps images that are gone", type(self).__qualname__):
            self.purge(urls)

    # What every subclass must write.

    def purge(self, urls: Sequence[str]) -> None:
        """Have the network forget what it keeps of *urls*; raise whatever goes wrong."""
        raise NotImplementedError(f"{type(self).__qualname__} must define purge()")


def _post(url: str, headers: dict[str, str], document: object = None) -> None:
    """Send a POST request.

    Raises:
        OSError: There is no answer, or one that says no.
    """
    body = json.dumps(document).encode() if document is not None else b""
    json_type = {"Content-Type": "application/json"}
    # The address is the project's own.
    request = Request(url, body, {**json_type, **headers}, method="POST")  # noqa: S310
    with urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310
        answer.read()


def _target(url: str) -> str:
    """Return the path and the query of a URL."""
    return urlsplit(url)._replace(scheme="", netloc="", fragment="").geturl()


@attrs.frozen(eq=False, kw_only=True)
class Cloudflare(CDN):
    """Cloudflare.

    Args:
        zone: The id of the zone.
        token: A token that may purge its cache.
        api: The address of the API.

    Example:
        >>> cloudflare = Cloudflare(zone="023e105f", token="...", base="https://example.com")
        >>> cloudflare.connect()
        >>> cloudflare.disconnect()
    """

    zone: str
    token: str = attrs.field(repr=False)
    api: str = "https://api.cloudflare.com/client/v4"

    def purge(self, urls: Sequence[str]) -> None:
        """Purge *urls*, 30 by one request: as many as every plan allows."""
        headers = {"Authorization": f"Bearer {self.token}"}
        for files in in_chunks(urls, 30):
            _post(f"{self.api}/zones/{self.zone}/purge_cache", headers, {"files": files})


@attrs.frozen(eq=False, kw_only=True)
class Fastly(CDN):
    """Fastly.

    Args:
        token: A token that may purge URLs.
        soft: Whether what is kept is only outdated: it is shown while the new image is fetched.
        api: The address of the API.
    """

    token: str = attrs.field(repr=False)
    soft: bool = False
    api: str = "https://api.fastly.com"

    def purge(self, urls: Sequence[str]) -> None:
        """Purge *urls*, each by a request."""
        headers = {"Fastly-Key": self.token} | ({"Fastly-Soft-Purge": "1"} if self.soft else {})
        for url in urls:
            _post(f"{self.api}/purge/{urlsplit(url).netloc}{_target(url)}", headers)


def _client() -> Any:
    return get_by_qname("boto3.client", "function of boto3")("cloudfront")


@attrs.frozen(eq=False, kw_only=True)
class CloudFront(CDN):
    """Amazon CloudFront; needs the extra ``s3``.

    Args:
        distribution: The id of the distribution.
        client: What gives the client; ``boto3.client("cloudfront")`` by default.
    """

    distribution: str
    client: Callable[[], Any] = _client

    def purge(self, urls: Sequence[str]) -> None:
        """Invalidate the paths of *urls*, 3000 by one request: as many as may be under way.

        With their queries and without, as it depends on the distribution which of them it keeps.
        """
        client = self.client()
        targets = [each for url in urls for each in (urlsplit(url).path, _target(url))]
        quoted = [quote(each, safe="/%~?&=+") for each in dict.fromkeys(targets)]
        for paths in in_chunks(quoted, 3000):
            client.create_invalidation(
                DistributionId=self.distribution,
                InvalidationBatch={
                    "Paths": {"Quantity": len(paths), "Items": paths},
                    "CallerReference": str(uuid.uuid4()),
                },
            )
