"""The views behind on-demand URLs: they make an image when it is first asked for, and send it."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from inspect import isawaitable
from typing import Any, ClassVar

from asgiref.sync import async_to_sync, sync_to_async
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.http import http_date
from django.views import View

from imagekit_registry._loading import get_by_qname
from imagekit_registry.cachefiles import ImageCacheFile, existence
from imagekit_registry.cachefiles.urls import url_of
from imagekit_registry.conf import SERVING_DEFAULTS, SERVING_MODES, ServingOptions, conf
from imagekit_registry.exceptions import (
    ImageKitError,
    InvalidArgument,
    PublishError,
    answer_or,
    located,
)
from imagekit_registry.generatorlibrary import Rendition
from imagekit_registry.imaging.formats import can_write, format_to_mimetype
from imagekit_registry.serving import _answers
from imagekit_registry.serving.signing import Demand, is_signed, version_of
from imagekit_registry.state import CacheFileRecord, Status

__all__ = ["AsyncImageView", "ImageView", "Permission"]

#: Says whether whoever sends a request may see an image.
Permission = Callable[[HttpRequest, ImageCacheFile], bool | Awaitable[bool]]

_YEAR = 31_536_000
_FORBIDDEN = "private, no-store"
#: Formats that are offered to browsers that name them, the best ones first.
_OFFERED = ("AVIF", "WEBP")
_CONDITIONS = frozenset(
    [f"HTTP_IF_{name}" for name in ("MATCH", "MODIFIED_SINCE", "NONE_MATCH", "UNMODIFIED_SINCE")]
)
#: Bytes of an answer that is read at once; a longer one is sent in pieces.
_SMALL = 1 << 20
_OK = 200

#: What threads of this process make, by key, and how many others wait for their turn.
_making: set[str] = set()
_condition = threading.Condition()
_waiting = 0


class _Refused(Exception):
    """The URL leads to no image, or to none for who asks."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__(response)
        self.response = response


class ImageView(View):
    """Send the image that an on-demand URL asks for, and make it if it does not exist yet.

    Args:
        mode: How it is sent: ``"stream"`` reads and sends it, ``"redirect"`` sends the browser to
            the storage's URL, ``"accel"`` (nginx) and ``"sendfile"`` (Apache, lighttpd) have the web
            server send it; ``"auto"`` does what ``IMAGEKIT_SERVING["MODE"]`` says.
        permission: Whether who asks may see it: ``permission(request, file)``, which may be async;
            in the body of a class a ``staticmethod``, or a method. If it is None, as
            ``IMAGEKIT_SERVING["PERMISSION"]`` says.
        cache_control: The header of that name with an image; None: a year where the URL names the
            content, else a minute.
        negotiate: Whether browsers get AVIF or WebP if they accept it, under one URL without an
            extension.

    Example:
        >>> urlpatterns = [path("images/", include(image_urls(ImageView.as_view(mode="accel"))))]
    """

    mode: str = "auto"
    permission: Permission | None = None
    cache_control: str | None = None
    negotiate: bool = False

    http_method_names = ["get", "head", "options"]
    _part: ClassVar[type[_answers.SyncPart | _answers.AsyncPart]] = _answers.SyncPart

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., Any]:
        """Return the view, for ``image_urls``.

        An image may take its time: no transaction is held open meanwhile (``ATOMIC_REQUESTS``).

        Raises:
            InvalidArgument: There is no such mode.
        """
        mode = initkwargs.get("mode", cls.mode)
        if mode not in SERVING_MODES:
            known = ", ".join(map(repr, SERVING_MODES))
            raise InvalidArgument(f"There is no mode {mode!r} of serving. There are {known}.")
        return transaction.non_atomic_requests(super().as_view(**initkwargs))

    def get(self, request: HttpRequest, **parts: str) -> Any:
        """Answer a GET or HEAD request."""
        return self._respond(request, **parts)

    def _respond(
        self, request: HttpRequest, signature: str, spec_id: str, token: str, name: str
    ) -> HttpResponseBase:
        if not is_signed(signature, spec_id, token, name):
            response: HttpResponseBase = _answers.say(
                403, "The signature of this URL is wrong.", "no-store"
            )
        else:
            try:
                response = self._answer(request, spec_id, token)
            except _Refused as refusal:
                response = refusal.response
        response["X-Content-Type-Options"] = "nosniff"
        if self.negotiate:
            patch_vary_headers(response, ["Accept"])
        return response

    # The steps of an answer to a URL of ours.

    def _answer(self, request: HttpRequest, spec_id: str, token: str) -> HttpResponseBase:
        try:
            demand = Demand.decode(spec_id, token)
            if demand.is_expired():
                return _answers.say(410, "This URL has expired.")
            original = file = demand.find_file()
            if width := _chosen_width(request, file):
                file = demand.find_file(width=width)
        except (ValueError, ImageKitError):
            return _answers.say(404, _answers.UNKNOWN)
        is_private = self._check_permission(request, file)
        if self.negotiate:
            file = _negotiated(request, file)
        try:
            record = _made(file)
            headers = self._headers(demand, original, record)
            with located(file.identity, "the storage does not give it", wrap=PublishError):
                response = self._sent(request, file, record, headers)
        except _TooManyMakers:
            response = _answers.busy(file)
        except ImageKitError as error:
            response = _answers.failed(file, error)
        # Django's answer to a condition that fails has no such header.
        if is_private and not self.cache_control and "Cache-Control" in response:
            response["Cache-Control"] = response["Cache-Control"].replace("public", "private")
        return response

    def _check_permission(self, request: HttpRequest, file: ImageCacheFile) -> bool:
        """Refuse who may not see *file*; return whether others may not."""
        permission = self.permission
        path = conf.SERVING.get("PERMISSION")
        if permission is None and path:
            permission = get_by_qname(path, "function of request and file")
        if permission is None:
            return False
        try:
            is_allowed = permission(request, file)
            if isawaitable(is_allowed):
                # It is true whatever it will say.
                is_allowed = async_to_sync(_result_of)(is_allowed)
        except PermissionDenied:
            is_allowed = False
        if not is_allowed:
            raise _Refused(_answers.say(403, "You may not see this image.", _FORBIDDEN))
        return True

    def _headers(
        self, demand: Demand, original: ImageCacheFile, record: CacheFileRecord
    ) -> dict[str, str]:
        # The URL says of which content of the source, in whatever format and width.
        is_named = demand.version and demand.version == version_of(original.digest, record)
        seconds = _YEAR if is_named else _answers.MINUTE
        if demand.expires is not None:
            seconds = min(seconds, max(0, demand.expires - int(time.time())))
        age = f"public, max-age={seconds}{', immutable' if is_named else ''}"
        headers = {"Cache-Control": self.cache_control or age}
        if version := version_of(record.digest, record):
            headers["ETag"] = f'"{version}"'
        if record.made_at:
            headers["Last-Modified"] = http_date(record.made_at)
        return headers

    def _sent(
        self,
        request: HttpRequest,
        file: ImageCacheFile,
        record: CacheFileRecord,
        headers: dict[str, str],
    ) -> HttpResponseBase:
        mode = self._mode_for(file)
        if mode == "redirect":
            # A cache that ignores Vary would send one browser's format to all others.
            often = "no-store" if self.negotiate else self.cache_control or _answers.SHORTLY
            url = url_of(file, file.published_name, file.spec.url_provider)
            return _answers.send_to(url, often)
        if mode == "accel" and self.negotiate:
            # nginx drops Vary on its way, and caches behind it would not know.
            headers["Cache-Control"] = headers["Cache-Control"].replace("public", "private")
        known = record.format and format_to_mimetype(record.format)
        headers["Content-Type"] = known or file.media_type
        if not _CONDITIONS.isdisjoint(request.META):
            response = get_conditional_response(
                request,
                etag=headers.get("ETag"),
                last_modified=int(record.made_at) if record.made_at else None,
                response=HttpResponse(headers=headers),
            )
            if response is not None and response.status_code != _OK:
                return response
        if mode == "stream":
            return self._streamed(request, file, headers)
        return _answers.hand_over(file, mode, headers)

    def _mode_for(self, file: ImageCacheFile) -> str:
        mode = self.mode
        if mode == "auto":
            mode = conf.SERVING.get("MODE", SERVING_DEFAULTS["MODE"])
        if mode not in {"auto", "sendfile"}:
            return mode
        has_path = answer_or(None, file.storage.path, file.identity.name) is not None
        return {"auto": "stream"}.get(mode, mode) if has_path else "redirect"

    def _streamed(
        self, request: HttpRequest, file: ImageCacheFile, headers: dict[str, str]
    ) -> HttpResponseBase:
        content = _opened(file)
        size = content.seek(0, io.SEEK_END)
        headers["Accept-Ranges"] = "bytes"
        wanted = _answers.wanted_range(request, headers, size)
        status = _OK
        if wanted is not None:
            status = 206 if wanted else 416
            told = f"{wanted.start}-{wanted.stop - 1}" if wanted else "*"
            headers["Content-Range"] = f"bytes {told}/{size}"
            if not wanted:
                headers["Cache-Control"] = "no-store"
        part = self._part(content, range(size) if wanted is None else wanted)
        headers["Content-Length"] = str(part.left)
        if request.method == "HEAD" or part.left <= _SMALL:
            with closing(content):
                body = b"" if request.method == "HEAD" else b"".join(iter(part.read, b""))
            return HttpResponse(body, status=status, headers=headers)
        return StreamingHttpResponse(part, status=status, headers=headers)


class AsyncImageView(ImageView):
    """The same under ASGI: threads make, look up and read, and the event loop goes on."""

    _part = _answers.AsyncPart

    async def get(self, request: HttpRequest, **parts: str) -> HttpResponseBase:
        """Answer a GET or HEAD request."""
        return await sync_to_async(self._respond)(request, **parts)


async def _result_of(awaitable: Awaitable[bool]) -> bool:
    return await awaitable


def _chosen_width(request: HttpRequest, file: ImageCacheFile) -> int | None:
    """Return the width that the query asks for, if the spec lets it; None if it asks for none."""
    text = request.GET.get("width") if "width" in file.spec.serving_arguments else None
    if text is None:
        return None
    width = next((width for width in conf.WIDTHS if str(width) == text), None)
    if width is None:
        raise _Refused(_answers.say(403, "There is no image of this width.", "no-store"))
    return width


def _negotiated(request: HttpRequest, file: ImageCacheFile) -> ImageCacheFile:
    """Return *file* in the format that the browser likes best."""
    formats = {str(format_to_mimetype(each)): each for each in _OFFERED if can_write(each)}
    best = _answers.choose(request.headers.get("Accept", ""), list(formats), file.media_type)
    if best == file.media_type:
        return file
    try:
        return ImageCacheFile(Rendition(file.spec, format=formats[best]))
    except InvalidArgument:
        # It makes its image in a way, and in a format, of its own.
        return file


class _TooManyMakers(Exception):
    """It is not known when it would be one's turn."""


@contextmanager
def _turn(key: str) -> Iterator[None]:
    """Let as many threads into the block as ``IMAGEKIT_SERVING["CONCURRENCY"]`` says.

    Those who want what somebody is making already are let in one after the other, and do not count
    among those who wait.

    Args:
        key: What tells the image from all others.

    Raises:
        _TooManyMakers: Too many wait already, or ``IMAGEKIT_LOCK_WAIT`` seconds have passed.
    """
    global _waiting  # noqa: PLW0603 -- one count for the process
    options: ServingOptions = {**SERVING_DEFAULTS, **conf.SERVING}
    most = options["CONCURRENCY"] or os.cpu_count() or 1

    def is_free() -> bool:
        return key not in _making and len(_making) < most

    with _condition:
        if not is_free():
            counts = key not in _making
            if counts and _waiting >= options["WAITING"]:
                raise _TooManyMakers
            _waiting += counts
            try:
                if not _condition.wait_for(is_free, conf.LOCK_WAIT):
                    raise _TooManyMakers
            finally:
                _waiting -= counts
        _making.add(key)
    try:
        yield
    finally:
        with _condition:
            _making.discard(key)
            _condition.notify_all()


def _made(file: ImageCacheFile) -> CacheFileRecord:
    """Return the record of *file*, which is made unless it is known to exist.

    Raises:
        _TooManyMakers: It is not, and not for a while.
        ImageKitError: It cannot be made.
    """
    if not existence.is_known_to_exist(file):
        with _turn(file.identity.key):
            file.cachefile_backend.generate_now(file)
    record = existence.known(file)
    # Some backends keep no records, and a store may be down.
    return record or existence.new_record(file, Status.EXISTS)


def _opened(file: ImageCacheFile) -> Any:
    try:
        return file.storage.open(file.published_name, "rb")
    except FileNotFoundError:
        # The record said that it exists. The storage is right.
        existence.invalidate(file)
        _made(file)
        return file.storage.open(file.published_name, "rb")
