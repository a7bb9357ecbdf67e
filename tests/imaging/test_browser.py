"""Odd sources and our animations as a real Chromium shows them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import pytest
from PIL import Image, ImageChops, ImageStat
from playwright.sync_api import Browser

from tests.browser import chromium_started

from . import conftest as made
from .test_files import ODD

pytestmark = pytest.mark.browser

#: Gives size and pixels of an image as a page shows it, transparent ones as they are.
SHOWN = """async data => {
    const image = new Image();
    image.src = 'data:;base64,' + data;
    await image.decode();
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    return [canvas.width, canvas.height, Array.from(pixels)];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium once."""
    with chromium_started() as started:
        yield started


def shown(browser: Browser, data: bytes) -> Image.Image:
    """Return an image file as Chromium shows it."""
    page = browser.new_page()
    width, height, pixels = page.evaluate(SHOWN, base64.b64encode(data).decode())
    page.close()
    return Image.frombytes("RGBA", (width, height), bytes(pixels))


@pytest.mark.parametrize("name", [name for name in ODD if made.HAS_AVIF or "AVIF" not in name])
def test_an_odd_source_is_made_into_what_chromium_shows(name: str, browser: Browser) -> None:
    """Turned as it is there, with the same pixels transparent."""
    result = made.opened(made.make(io.BytesIO(ODD[name]), format="PNG", animated=False))
    there = shown(browser, ODD[name])
    assert result.size == there.size
    here = Image.alpha_composite(Image.new("RGBA", result.size, "white"), result.convert("RGBA"))
    there = Image.alpha_composite(Image.new("RGBA", result.size, "white"), there)
    assert max(ImageStat.Stat(ImageChops.difference(here, there)).mean) < 3


@pytest.mark.parametrize("format", ["AVIF", "GIF", "PNG", "WEBP"])
def test_an_animation_has_its_colours_in_chromium(format: str, browser: Browser) -> None:
    """The range of an AVIF's values is not heeded there in animations, so it is the one that is supposed."""
    if format == "AVIF" and not made.HAS_AVIF:
        pytest.skip("this Pillow has no AVIF")
    colors = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    frames = [colors, colors.rotate(90)]
    source = made.encode(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=60_000)
    result = made.make(source, format=format)
    difference = ImageChops.difference(shown(browser, result.getvalue()).convert("RGB"), colors)
    assert max(ImageStat.Stat(difference).mean) < 2.5
