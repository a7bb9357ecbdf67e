"""What is sent: the content of an image, or a part of it; or what stands in its place, or words."""

from __future__ import annotations

import base64
import logging
import math
import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import IO
from urllib.parse import quote, unquote_to_bytes, urlsplit

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.utils.encoding import iri_to_uri

from imagekit_registry.cachefiles import ImageCacheFile, existence
from imagekit_registry.cachefiles.fallbacks import fallback_for
from imagekit_registry.conf import conf, settings
from imagekit_registry.exceptions import (
    GenerationError,
    ImageKitError,
    LimitExceeded,
    LockTimeout,
    NameTaken,
    PublishError,
    SourceUnavailable,
)

_logger = logging.getLogger("imagekit_registry.serving")

MINUTE = 60
SHORTLY = f"public, max-age={MINUTE}"
UNKNOWN = "There is no such image."
#: Failures of storages and of other makers, which say nothing about the image.
_PASSING = (LockTimeout, PublishError, SourceUnavailable)
_CHUNK_BYTES = 1 << 16
_RANGE = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.ASCII | re.IGNORECASE)
#: No file is longer; nor does Python read longer numbers without complaint.
_MOST_DIGITS = 18
_QUALITY = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII)
_LONGEST_ACCEPT = 4_000


def say(status: int, reason: str, cache_control: str = SHORTLY) -> HttpResponse:
    """Return an answer for a person to read."""
    headers = {"Cache-Control": cache_control}
    return HttpResponse(reason, "text/plain; charset=utf-8", status, headers=headers)


def send_to(url: str, cache_control: str) -> HttpResponse:
    """Send who asks to another URL."""
    return HttpResponse(
        status=302, headers={"Location": iri_to_uri(url), "Cache-Control": cache_control}
    )


def hand_over(file: ImageCacheFile, mode: str, headers: dict[str, str]) -> HttpResponse:
    """Return an answer whose body the web server puts in."""
    name = file.published_name
    if mode == "accel":
        headers["X-Accel-Redirect"] = urlsplit(file.storage.url(name)).path
    else:
        headers["X-Sendfile"] = quote(file.storage.path(name))
    return HttpResponse(headers=headers)


def busy(file: ImageCacheFile) -> HttpResponse:
    """Ask to come back; where the source stands in for the image, send there."""
    kind = conf.ON_ERROR if file.spec.fallback is None else file.spec.fallback
    if kind == "source" and (url := fallback_for(file, None).url):
        return send_to(url, "no-store")
    response = say(503, "The image cannot be had at this moment.", "no-store")
    response["Retry-After"] = "1"
    return response


def failed(file: ImageCacheFile, error: ImageKitError) -> HttpResponse:
    """Send what stands in for an image that cannot be made."""
    if not isinstance(error, GenerationError):
        return say(404, UNKNOWN)
    gone = NameTaken | FileNotFoundError
    is_gone = isinstance(error, gone) or isinstance(error.__cause__, gone)
    if isinstance(error, _PASSING) and not is_gone:
        if not error.is_logged:
            _logger.warning("%s", error)
        return busy(file)
    record = existence.known(file)
    seconds = float(MINUTE)
    if record is not None and record.retry_at is not None and not is_gone:
        seconds = min(seconds, max(0, record.retry_at - time.time()))
    status = 422 if isinstance(error, LimitExceeded) else 404
    cache_control = f"public, max-age={math.ceil(seconds)}"
    try:
        url = fallback_for(file, error).url
    except GenerationError:
        url = ""  # Failures are to be raised: there is nothing in the image's place.
    if not url:
        reason = str(error) if settings.DEBUG else "This image cannot be made."
        return say(status, reason, cache_control)
    if not url.startswith("data:"):
        return send_to(url, cache_control)
    media_type, content = _data_of(url)
    headers = {"Cache-Control": cache_control}
    return HttpResponse(content, content_type=media_type, status=status, headers=headers)


def _data_of(url: str) -> tuple[str, bytes]:
    """Return the media type and the content of a ``data:`` URL."""
    head, _, data = url.removeprefix("data:").partition(",")
    media_type, *parameters = head.split(";")
    content = unquote_to_bytes(data)
    return media_type, base64.b64decode(content) if "base64" in parameters else content


def parse_range(header: str, size: int) -> range | None:
    """Return the bytes that a ``Range`` header asks for.

    Args:
        header: Its value; it may be anything.
        size: The number of bytes that there are.

    Returns:
        Their positions; none of them if the range lies behind the end; None if the header is to be
        ignored: it is of another unit, asks for several ranges, or makes no sense.

    Example:
        >>> parse_range("bytes=2-3", 10), parse_range("bytes=-3", 10)
        (range(2, 4), range(7, 10))
    """
    found = _RANGE.fullmatch(header)
    if not found or max(map(len, found.groups())) > _MOST_DIGITS:
        return None
    first, last = found.groups()
    if not first:
        return range(max(0, size - int(last)), size) if last else None
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


def wanted_range(request: HttpRequest, headers: dict[str, str], size: int) -> range | None:
    """Return the bytes that are asked for; None for all of them."""
    condition = request.headers.get("If-Range")
    if condition is not None and condition not in {
        headers.get("ETag"),
        headers.get("Last-Modified"),
    }:
        return None
    return parse_range(request.headers.get("Range", ""), size)


class Part:
    """Some bytes of an open file, one chunk after the other.

    Args:
        file: The file, which is closed with the part.
        positions: Which of its bytes.
    """

    def __init__(self, file: IO[bytes], positions: range) -> None:
        self.file = file
        self.left = len(positions)
        file.seek(positions.start)

    def read(self) -> bytes:
        """Return the next chunk; nothing at the end."""
        chunk = self.file.read(min(_CHUNK_BYTES, self.left)) if self.left else b""
        self.left -= len(chunk)
        return chunk

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class SyncPart(Part):
    """A part, for servers that wait for it."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.read, b"")


class AsyncPart(Part):
    """A part that threads read, for servers that must not wait."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await sync_to_async(self.read, thread_sensitive=False)():
            yield chunk


def qualities(header: str) -> dict[str, float]:
    """Return how much each media type, or range of them, is liked: from 0, a no, to 1.

    What makes no sense is passed over.

    Args:
        header: The value of an ``Accept`` header; it may be anything.

    Example:
        >>> qualities("image/avif, image/webp;q=0.5")
        {'image/avif': 1.0, 'image/webp': 0.5}
    """
    found: dict[str, float] = {}
    for item in header[:_LONGEST_ACCEPT].lower().split(","):
        media_type, *parameters = (part.strip() for part in item.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = (part.strip() for part in parameter.partition("="))
            if name == "q":
                quality = float(value) if _QUALITY.fullmatch(value) else 0.0
        if "/" in media_type:
            found[media_type] = quality
    return found


def choose(header: str, offered: Sequence[str], own: str) -> str:
    """Return the media type that is liked best.

    Args:
        header: The value of an ``Accept`` header.
        offered: Media types that not every client knows, the best ones first: they are sent to who
            names them, whatever wildcards say.
        own: The one that is sent to all others.
    """
    liked = qualities(header)
    kind = own.partition("/")[0]
    best, most = own, liked.get(own, liked.get(f"{kind}/*", liked.get("*/*", 0.0)))
    for each in reversed(offered):
        quality = liked.get(each, 0.0)
        if quality and quality >= most:
            best, most = each, quality
    return best
