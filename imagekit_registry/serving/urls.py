"""Where on-demand URLs lead, and what makes them.

``path("images/", include("imagekit_registry.serving.urls"))`` in a project's URLs is all it takes.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.urls import (
    NoReverseMatch,
    URLPattern,
    get_script_prefix,
    get_urlconf,
    re_path,
    resolve,
    reverse,
)
from django.utils.text import slugify
from django.utils.translation import get_language

from imagekit_registry.cachefiles.identity import CacheFile
from imagekit_registry.conf import SERVING_DEFAULTS, conf
from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.serving.signing import Demand, sign
from imagekit_registry.serving.views import ImageView

__all__ = ["app_name", "demand_url", "image_urls", "urlpatterns"]

app_name = "imagekit_registry"

_LONGEST_NAME = 60
#: A URL is the same for this share of the time for which it is good, so that browsers can keep it.
_STEADY = 10


def image_urls(view: Callable[..., Any]) -> tuple[list[URLPattern], str]:
    """Return what ``include`` takes, for a view with arguments of its own.

    Args:
        view: What ``ImageView.as_view(...)`` or ``AsyncImageView.as_view(...)`` gives.

    Example:
        >>> urlpatterns = [path("images/", include(image_urls(ImageView.as_view(mode="accel"))))]
    """
    # An id may hold anything; the other parts hold no slash.
    parts = r"^(?P<signature>[^/]+)/(?P<spec_id>[\s\S]+)/(?P<token>[^/]+)/(?P<name>[^/]+)\Z"
    return [re_path(parts, view, name="image")], app_name


urlpatterns, _ = image_urls(ImageView.as_view())


def demand_url(file: CacheFile, expires: float | None = None) -> str:
    """Return the URL under which *file* is made when it is asked for.

    Args:
        file: A cache file.
        expires: Seconds for which the URL is good; None: as ``IMAGEKIT_SERVING["EXPIRES"]`` says.

    Raises:
        InvalidConfiguration: The project's URLs do not include these.
        InvalidArgument: No other process could find the file again.
    """
    start, negotiates = _route(get_urlconf(), get_script_prefix(), get_language())
    demand = Demand.of(file, _moment(expires))
    # What the file would be called is of no matter, and may be no name of a URL.
    stem = posixpath.splitext(posixpath.basename(file.identity.source_name or ""))[0]
    name = slugify(stem)[:_LONGEST_NAME] or "image"
    if not negotiates:
        name += posixpath.splitext(file.identity.name)[1]
    token = demand.encode()
    signature = sign(demand.spec_id, token, name)
    return f"{start}{signature}/{quote(demand.spec_id, safe='/:@~')}/{token}/{name}"


def _moment(expires: float | None) -> int | None:
    """Return the end of a URL that is made now, in whole seconds since the epoch."""
    if expires is not None:
        return int(time.time() + expires)
    seconds = conf.SERVING.get("EXPIRES", SERVING_DEFAULTS["EXPIRES"])
    if seconds is None:
        return None
    step = max(1, int(seconds / _STEADY))
    return int(time.time() + seconds) // step * step


@lru_cache(maxsize=100)
def _route(urlconf: str | None, script_prefix: str, language: str | None) -> tuple[str, bool]:
    """Return what our URLs begin with at this moment, and whether their view negotiates formats.

    Args:
        urlconf: The module of the request's URLs; None for the project's.
        script_prefix: What lies before all URLs of the project.
        language: The language, which may be a part of them.
    """
    try:
        url = reverse(f"{app_name}:image", args=("signature", "spec", "token", "name"))
    except NoReverseMatch as error:
        raise InvalidConfiguration(
            "There are no on-demand URLs. Add path('images/',"
            " include('imagekit_registry.serving.urls')) to"
            f" {urlconf or settings.ROOT_URLCONF}."
        ) from error
    match = resolve(unquote(url).removeprefix(script_prefix.rstrip("/")), urlconf)
    negotiates = getattr(match.func, "view_initkwargs", {}).get("negotiate", False)
    return url.removesuffix("signature/spec/token/name"), bool(negotiates)


@receiver(setting_changed, dispatch_uid="imagekit_registry.serving")
def _forget_on_change(*, setting: str, **_: object) -> None:
    if setting in {"ROOT_URLCONF", "LANGUAGE_CODE", "FORCE_SCRIPT_NAME"}:
        _route.cache_clear()
