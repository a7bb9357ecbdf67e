"""Placeholders: a few characters that look like the image."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageStat

from imagekit_registry.exceptions import (
    InvalidConfiguration,
    ProcessingError,
    how_to_install,
)
from imagekit_registry.imaging import Limits, Placeholder, Recipe, render
from imagekit_registry.imaging.placeholders import KINDS, get_maker, make_placeholder
from imagekit_registry.processors import ResizeToFill

PHOTO = "coffee.png"


def placeholder_of(image: Image.Image, *kinds: str) -> Placeholder:
    """Return the placeholders of an image."""
    return Placeholder.decode(make_placeholder(image, {kind: get_maker(kind) for kind in kinds}))


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return by how much two images differ when one looks at them from afar, of 255."""
    size = (6, 4)
    bands = [
        each.convert("RGB").resize(size, Image.Resampling.BOX).tobytes() for each in (one, other)
    ]
    total: int = sum(abs(a - b) for a, b in zip(*bands, strict=True))
    return total / len(bands[0])


def average_of_thumbhash(text: str) -> list[float]:
    """Return the average colour that is in a thumbhash, by the library that makes them."""
    thumbhash = pytest.importorskip("thumbhash", reason="the extra thumbhash is not installed")
    *color, alpha = thumbhash.thumb_hash_to_average_rgba(list(base64.b64decode(text)))
    assert alpha == 1
    return [band * 255 for band in color]


def from_blurhash(text: str) -> Image.Image:
    """Return the image that a blurhash stands for."""
    blurhash = pytest.importorskip("blurhash_rs", reason="the extra blurhash is not installed")
    image: Image.Image = blurhash.blurhash_decode(text, 60, 40)
    return image


def from_data_uri(text: str) -> Image.Image:
    """Return the image in a data URI, as a browser reads it."""
    head, data = text.split(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


class TestKinds:
    """What each kind says of a photograph."""

    @pytest.fixture
    def photo(self, photos: Path) -> Image.Image:
        """Return a photograph."""
        return Image.open(photos / PHOTO).convert("RGB")

    def test_an_lqip_is_the_photograph_in_a_few_pixels(self, photo: Image.Image) -> None:
        """In its proportions, so that it lies under it."""
        tiny = from_data_uri(placeholder_of(photo, "lqip").data_uri)
        assert max(tiny.size) == 16
        assert tiny.width / tiny.height == pytest.approx(photo.width / photo.height, rel=0.1)
        assert difference(tiny, photo) < 12

    def test_hashes_decode_to_the_photograph(self, photo: Image.Image) -> None:
        """By the decoders of their projects."""
        found = placeholder_of(photo, "thumbhash", "blurhash")
        mean = ImageStat.Stat(photo).mean
        assert average_of_thumbhash(found.thumbhash) == pytest.approx(mean, abs=8)
        assert difference(from_blurhash(found.blurhash), photo) < 25
        assert found.css == ""

    def test_a_colour_as_placeholder_is_the_average(self, photo: Image.Image) -> None:
        """As a code that CSS and every other language reads."""
        color = placeholder_of(photo, "color").color
        mean = ImageStat.Stat(photo).mean
        assert list(bytes.fromhex(color[1:])) == pytest.approx(mean, abs=4)

    def test_a_placeholder_of_css_has_no_data_uri(self, photo: Image.Image) -> None:
        """For pages whose policy lets them show none."""
        css = placeholder_of(photo, "css").css
        assert css.startswith("background:radial-gradient(")
        assert "url(" not in css

    def test_the_first_kind_that_can_be_seen_lies_on_the_colour(self, photo: Image.Image) -> None:
        """Whatever their order is."""
        found = placeholder_of(photo, "thumbhash", "color", "lqip", "css")
        assert found.css == (
            f"background:center/cover url({found.data_uri});background-color:{found.color}"
        )

    def test_all_kinds_of_any_image_fit_into_a_record(self, photo: Image.Image) -> None:
        """Noise is as long as it gets."""
        noise = Image.frombytes("RGB", (300, 200), os.urandom(300 * 200 * 3))
        for image in (photo, noise, photo.crop((0, 0, 600, 1)), photo.crop((0, 0, 1, 400))):
            text = make_placeholder(image, {kind: get_maker(kind) for kind in KINDS})
            assert len(text) <= 600
            assert all(json.loads(text).values())


class TestImages:
    """Images that are no plain photographs."""

    @pytest.mark.parametrize(
        ("mode", "color"),
        [("L", 100), ("CMYK", (0, 155, 155, 0)), ("I;16", 25700), ("1", 0), ("P", 3), ("YCbCr", 9)],
    )
    def test_every_mode_has_a_colour(self, mode: str, color: Any) -> None:
        """That which it shows."""
        image = Image.new(mode, (300, 200), color)
        shown = Image.new("L", (1, 1), 100) if mode == "I;16" else image
        expected = shown.convert("RGB").getpixel((0, 0))
        color = placeholder_of(image, "color").color
        assert tuple(bytes.fromhex(color[1:])) == pytest.approx(expected, abs=1)

    @pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
    def test_a_transparent_image_has_no_placeholder_but_its_colour(self, mode: str) -> None:
        """Others would be seen through it when it has loaded."""
        image = Image.new("RGBA", (400, 200), (200, 100, 50, 255))
        if mode == "LA":
            image = Image.new("LA", (400, 200), (100, 255))
        image.paste(0, (0, 0, 200, 200))
        if mode == "P":
            image = image.quantize(16)
        found = placeholder_of(image, "lqip", "color", "css", "thumbhash")
        expected = (100, 100, 100, 128) if mode == "LA" else (200, 100, 50, 128)
        assert tuple(bytes.fromhex(found.color[1:])) == pytest.approx(expected, abs=3)
        assert found.as_dict() == {"color": found.color}

    def test_an_opaque_image_with_an_alpha_channel_is_no_transparent_one(self) -> None:
        """What screenshots are."""
        assert placeholder_of(Image.new("RGBA", (40, 30), "teal"), "css").css

    def test_an_animation_has_the_placeholder_of_its_first_frame(self) -> None:
        """Which a page shows first."""
        file = io.BytesIO()
        frames = [Image.new("RGB", (40, 30), color) for color in ("teal", "red", "blue")]
        frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
        made = render(
            file,
            Recipe(format="WEBP", placeholder={"color": get_maker("color")}),
            limits=Limits(),
            format_options={},
        )
        assert made.frames == 3
        assert Placeholder.decode(made.placeholder).color == "#008080"

    def test_a_placeholder_is_that_of_the_finished_image(self) -> None:
        """Not of what was cropped away."""
        file, image = io.BytesIO(), Image.new("RGB", (300, 100), "red")
        image.paste("blue", (100, 0, 200, 100))
        image.save(file, "PNG")
        recipe = Recipe(
            processors=(ResizeToFill(50, 50),), placeholder={"color": get_maker("color")}
        )
        made = render(file, recipe, limits=Limits(), format_options={})
        assert Placeholder.decode(made.placeholder).color in {"#0000ff", "#0100ff"}


class TestOwn:
    """Kinds of a project's own."""

    def test_a_function_may_give_a_background_as_placeholder(self) -> None:
        """Of the image, small and in RGB."""
        seen: list[tuple[str, tuple[int, int]]] = []

        def make(image: Image.Image) -> str:
            seen.append((image.mode, image.size))
            return "linear-gradient(#111, #222)"

        text = make_placeholder(Image.new("L", (400, 200)), {"fade": make})
        found = Placeholder.decode(text)
        assert found.css == "background:linear-gradient(#111, #222)"
        assert found.values == {"fade": "linear-gradient(#111, #222)"}
        assert seen == [("RGB", (32, 16))]

    def test_a_function_may_give_a_data_uri_as_placeholder(self) -> None:
        """Which is shown as an LQIP is."""
        uri = "data:image/png;base64,iVBORw0KGgo="
        found = Placeholder.decode(make_placeholder(Image.new("L", (4, 2)), {"x": lambda _: uri}))
        assert found.css == f"background:center/cover url({uri})"

    @pytest.mark.parametrize(
        "value", ["red;position:fixed", "</style><script>", "x{}", 'url("a")', "a\nb", 7, None, [1]]
    )
    def test_a_placeholder_that_could_end_a_style_is_refused(self, value: Any) -> None:
        """It would stand in style sheets as it is."""
        with pytest.raises(ProcessingError, match=r"the placeholder 'x' is .* CSS property"):
            make_placeholder(Image.new("L", (4, 2)), {"x": lambda _: value})

    def test_a_placeholder_that_is_too_long_is_refused(self) -> None:
        """It lies in every record, and in every page."""
        with pytest.raises(ProcessingError, match="are 608 characters, more than 600"):
            make_placeholder(Image.new("L", (4, 2)), {"x": lambda _: "a" * 600})


class TestDecoding:
    """What records hold."""

    @pytest.mark.parametrize(
        "text",
        ["", "x", "[]", "7", "data:image/svg+xml,", '{"css":"9"}', '{"css":"3zz"}', '{"css":"0"}'],
    )
    def test_what_is_no_placeholder_shows_nothing(self, text: str) -> None:
        """Whoever has written it."""
        found = Placeholder.decode(text)
        assert (bool(found), found.css, found.rule, found.as_dict()) == (False, "", "", {})

    def test_a_rule_has_the_name_of_its_content(self) -> None:
        """The same image twice on a page has one rule."""
        one, same = (placeholder_of(Image.new("RGB", (4, 2), "teal"), "color") for _ in range(2))
        other = placeholder_of(Image.new("RGB", (4, 2), "red"), "color")
        assert one.rule == same.rule == f".{one.class_name}{{background:#008080}}"
        assert one.class_name != other.class_name


class TestMissing:
    """What is not there."""

    def test_an_unknown_kind_is_told_with_those_that_there_are(self) -> None:
        """A slip of the pen."""
        with pytest.raises(InvalidConfiguration, match=r"no placeholder 'lquip'.*lqip"):
            get_maker("lquip")

    @pytest.mark.parametrize(
        ("kind", "module"), [("thumbhash", "thumbhash"), ("blurhash", "blurhash_rs")]
    )
    def test_a_missing_library_is_told_with_the_command_that_installs_it(
        self, kind: str, module: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By its extra."""
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(InvalidConfiguration, match=re.escape(how_to_install(kind))):
            get_maker(kind)
