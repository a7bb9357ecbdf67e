"""The steps in which images are made: what who measures them is told, and what it costs nobody."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from PIL import Image

from imagekit_registry.imaging import Limits, Recipe, observe_steps, render_many, step

Seen = list[tuple[str, Mapping[str, object]]]


@pytest.fixture
def seen() -> Iterator[Seen]:
    """Return the steps that were observed, as they end."""
    found: Seen = []

    @contextmanager
    def observe(name: str, attributes: Mapping[str, object]) -> Iterator[Any]:
        yield lambda error: None
        found.append((name, attributes))

    observe_steps(observe)
    yield found
    observe_steps(None)


def test_a_step_that_nobody_observes_makes_nothing() -> None:
    """Each is the same object, which does nothing."""
    assert step("decode") is step("encode", format="JPEG", width=1, height=1)
    with step("decode") as note:
        note(ValueError("nobody hears of it"))


def test_results_of_one_source_share_its_decode(seen: Seen) -> None:
    """One step for the source, and one for each result with its format and size."""
    file = io.BytesIO()
    Image.new("RGB", (40, 30)).save(file, "PNG")
    recipes = [Recipe(format="JPEG"), Recipe(format="PNG")]
    render_many(file, recipes, limits=Limits(), format_options={})
    assert [name for name, _ in seen] == ["decode", "encode", "encode"]
    size = {"width": 40, "height": 30}
    assert seen[1:] == [("encode", {"format": each.format, **size}) for each in recipes]


def test_an_animation_is_decoded_and_encoded_in_one_step_each(seen: Seen) -> None:
    """However many frames it has."""
    file = io.BytesIO()
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "green", "blue")]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    render_many(file, [Recipe(format="WEBP")], limits=Limits(), format_options={})
    assert seen == [("decode", {}), ("encode", {"format": "WEBP", "width": 40, "height": 30})]
