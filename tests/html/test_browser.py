"""Pictures in a real Chromium: nothing jumps, and of the files the right one is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from playwright.sync_api import Browser, Page, Route

from imagekit_registry import ImageSpec, Picture
from imagekit_registry.cachefiles.backends import BaseAsync
from imagekit_registry.processors import ResizeToFill
from tests.browser import SHIFTS, chromium_started
from tests.pages import registered, render

pytestmark = pytest.mark.browser

ADDRESS = "http://site.test"
SCREENS = [
    (width, density) for width in (360, 800, 1400) for density in (1, 2, 3)
]  # CSS pixels, device pixels to each

PAGE = """<!doctype html><html lang="en"><head><title>Pictures</title>
<style>body { margin: 0; font: 16px sans-serif } img { max-width: 100%; height: auto }
.full img { width: 100% } .box { width: 40% }</style>
{% imagepreload 'tests:hero' source=name %}</head><body>
<div class="full">{% picture 'tests:hero' source=name priority=1 -- alt='A rocket' %}</div><p>One</p>
{% picture 'tests:card' source=name -- alt='A rocket' %}<p>Two</p>
{% picture 'tests:card' source=name layout='fixed' -- alt='A rocket' %}<p>Three</p>
<div class="box">{% generateimage 'tests:card' source=name layout='full' -- alt='A rocket' %}</div><p>Four</p>
{% picture 'tests:pending' source=name -- alt='A rocket' %}<p>Five</p>
{% picture 'tests:card' source='bad.jpg' -- alt='A rocket' %}<p>Six</p>
{% thumbnail '120x' name srcset='2' loading='lazy' -- alt='A rocket' %}<p>Seven</p>
</body></html>"""


class Card(ImageSpec):
    """A spec of a fixed size."""

    processors = [ResizeToFill(240, 160)]
    format = "JPEG"
    picture = Picture(formats=["WEBP"])


class Square(Card):
    """Another crop."""

    processors = [ResizeToFill(200, 200)]


class Hero(Card):
    """A wide one, and square where there is little room."""

    processors = [ResizeToFill(600, 200)]
    picture = Picture(
        formats=["WEBP"], layout="full", sources=[("(max-width: 600px)", "tests:square")]
    )


class _Never(BaseAsync):
    def schedule_generation(self, file: Any, force: bool = False) -> None:
        """Do nothing."""


class Pending(Card):
    """One that no worker has made yet."""

    processors = [ResizeToFill(240, 120)]
    fallback = "placeholder"
    cachefile_backend = _Never()


@pytest.fixture
def site(name: str, settings: Any) -> dict[str, bytes]:
    """Return the page and its files by address.

    They are made before there is a browser: Playwright's loop runs in this thread, and nothing is
    made in a loop.
    """
    storages["default"].save("bad.jpg", ContentFile(b"no image"))
    with registered(card=Card, square=Square, hero=Hero, pending=Pending):
        render(PAGE, name=name)
        found = {"/": render(PAGE, name=name).encode()}
    media = Path(settings.MEDIA_ROOT)
    for path in media.rglob("*.*"):
        found[f"/media/{path.relative_to(media).as_posix()}"] = path.read_bytes()
    return found


@pytest.fixture
def browser(site: dict[str, bytes]) -> Iterator[Browser]:
    """Return a Chromium."""
    with chromium_started() as browser:
        yield browser


def visit(
    browser: Browser, site: dict[str, bytes], screen: tuple[int, int], *, loads: bool = True
) -> tuple[Page, list[str]]:
    """Return the page on a screen, scrolled to its end, and the addresses that it has asked for."""
    width, density = screen
    context = browser.new_context(
        viewport={"width": width, "height": 700}, device_scale_factor=density
    )
    page = context.new_page()
    asked: list[str] = []

    def answer(route: Route) -> None:
        address = route.request.url.removeprefix(ADDRESS)
        asked.append(address)
        if address == "/":
            route.fulfill(body=site["/"], content_type="text/html; charset=utf-8")
        elif loads:
            route.fulfill(body=site[address])

    page.route("**/*", answer)
    page.goto(f"{ADDRESS}/", wait_until="load" if loads else "domcontentloaded")
    page.evaluate(_SCROLL, loads)
    return page, asked


_SCROLL = """async loads => {
    for (const image of document.images) {
        image.scrollIntoView();
        await new Promise(done => requestAnimationFrame(() => setTimeout(done, 20)));
        // One that nobody answers never ends.
        if (loads) await image.decode().catch(() => {});
    }
}"""
_CHOSEN = """() => [...document.images].filter(each => each.naturalWidth).map(image => {
    const {width, height} = image.getBoundingClientRect(), url = image.currentSrc;
    const choices = [image, ...image.parentElement.querySelectorAll('source')]
        .map(each => (each.srcset || '').split(', ').map(part => part.trim().split(' ')))
        .find(parts => parts.some(part => url.endsWith(part[0]))) || [];
    return {url, width, height, choices};
})"""


def test_nothing_jumps_if_no_image_ever_comes(browser: Browser, site: dict[str, bytes]) -> None:
    """Each has its place before it is there."""
    for screen in SCREENS[::4]:
        page, _ = visit(browser, site, screen, loads=False)
        assert page.evaluate(SHIFTS) == [], screen
        page.context.close()


def test_nothing_jumps_and_the_smallest_file_that_is_large_enough_is_loaded(
    browser: Browser, site: dict[str, bytes]
) -> None:
    """On dense screens Chromium takes the nearest one by ratio, which may be a little smaller."""
    for width, density in SCREENS:
        page, asked = visit(browser, site, (width, density))
        assert page.evaluate(SHIFTS) == [], (width, density)
        hero, *others, pending, failed, thumbnail = page.evaluate(_CHOSEN)
        assert len(others) == 3
        assert pending["url"][:5] == failed["url"][:5] == "data:"
        for image in (hero, *others, thumbnail):
            offered = {
                url: float(told[:-1]) * (1 if told.endswith("w") else image["width"])
                for url, told in image["choices"]
            }
            chosen = next(offered[url] for url in offered if image["url"].endswith(url))
            needed = image["width"] * density
            fitting = [each for each in offered.values() if each >= needed - 1]
            best = min(fitting, default=max(offered.values()))
            is_near = density > 1 and chosen < best and needed < math.sqrt(chosen * best)
            assert chosen == best or is_near, (width, density, image)
        # Nothing is loaded twice: neither in two formats nor in two crops, by the preload least of all.
        assert len(asked) == len(set(asked)) <= 7
        assert (hero["height"] == hero["width"]) == (width <= 600)
        page.context.close()
