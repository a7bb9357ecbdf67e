"""On-demand URLs in a real Chromium, which shows what it has been sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from playwright.sync_api import Route

from imagekit_registry import get_image
from imagekit_registry.serving import ImageView
from tests.browser import chromium_started
from tests.serving.test_views import BEST, FIREFOX, SAFARI

pytestmark = pytest.mark.browser

ADDRESS = "http://site.test"


def test_a_browser_shows_the_format_that_it_has_asked_for(
    name: str, serve: Callable[..., None]
) -> None:
    """Chromium by itself, and with what other browsers say of themselves."""
    serve(ImageView.as_view(negotiate=True))
    url = get_image("serving:wide", source=name).demand_url()
    sent: Counter[str] = Counter()

    def answer(route: Route) -> None:
        if route.request.resource_type != "image":
            route.fulfill(body=f'<img alt="" src="{url}">', content_type="text/html")
            return
        # Playwright's loop runs in this thread, and nothing is made in a loop.
        accept = route.request.headers["accept"]
        response: Any = threads.submit(lambda: _ask(url, accept)).result()
        sent[response["Content-Type"]] += 1
        route.fulfill(body=response.content, content_type=response["Content-Type"])

    with ThreadPoolExecutor(1) as threads, chromium_started() as browser:
        for accept in (None, FIREFOX, SAFARI):
            headers = {"Accept": accept} if accept else None
            page = browser.new_context(extra_http_headers=headers).new_page()
            page.route(f"{ADDRESS}/**", answer)
            page.goto(f"{ADDRESS}/")
            assert page.evaluate("document.images[0].naturalWidth") == 100
    assert sent == Counter([f"image/{BEST.lower()}"] * 2 + ["image/webp"])


def _ask(url: str, accept: str) -> HttpResponse:
    response: Any = Client().get(url, headers={"Accept": accept})
    assert response.status_code == 200
    found: HttpResponse = response
    return found
