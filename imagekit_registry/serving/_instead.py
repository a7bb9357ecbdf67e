"""What is sent in place of an image: the source, what stands in for it, or words."""

from __future__ import annotations

import base64
import logging
import math
import time
from urllib.parse import unquote_to_bytes

from django.http import HttpResponse
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


def say(status: int, reason: str, cache_control: str = SHORTLY) -> HttpResponse:
    """Return an answer for a person to read."""
    headers = {"Cache-Control": cache_control}
    return HttpResponse(reason, "text/plain; charset=utf-8", status, headers=headers)


def send_to(url: str, cache_control: str) -> HttpResponse:
    """Send who asks to another URL."""
    return HttpResponse(
        status=302, headers={"Location": iri_to_uri(url), "Cache-Control": cache_control}
    )


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
