"""A real Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.conftest import require_service

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: Gives the layout shifts of a page so far, that nobody has caused by pointing or typing.
SHIFTS = """() => new Promise(done => {
    const found = [];
    new PerformanceObserver(list => found.push(...list.getEntries().filter(each => !each.hadRecentInput)))
        .observe({type: 'layout-shift', buffered: true});
    setTimeout(() => done(found.map(each => each.value)), 50);
})"""


@contextmanager
def chromium_started() -> Iterator[Browser]:
    """Start Chromium while the context lasts, in which an event loop runs: Django refuses databases."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    require_service("Chromium", path is not None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()
