"""Qualities: one word looks the same in every format, and a target is met."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image, JpegImagePlugin

from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.imaging import Encoded, Recipe, Target, render
from imagekit_registry.imaging.qualities import QUALITIES
from imagekit_registry.processors import ResizeToFit

from .conftest import HAS_AVIF, LIMITS

FORMATS = ["JPEG", "WEBP", *(["AVIF"] if HAS_AVIF else [])]


def made_of(photo: Path, quality: Any, format: str = "JPEG", **recipe: Any) -> Encoded:
    """Return what a recipe of this quality makes of a photograph."""
    with photo.open("rb") as file:
        return render(
            file,
            Recipe(format=format, quality=quality, **recipe),
            limits=LIMITS,
            format_options={"AVIF": {"speed": 8, "quality": 65}, "JPEG": {"quality": 85}},
        )


def quality_of(data: Encoded) -> int:
    """Return the quality that a JPEG was written in, by its tables."""
    with Image.open(data) as image:
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        first = image.quantization[0][0]
    tables = {q: _first_number(q) for q in range(1, 101)}
    return max(q for q, number in tables.items() if number == first)


def _first_number(quality: int) -> int:
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        return int(image.quantization[0][0])


def ssim(one: Image.Image, other: Image.Image) -> float:
    """Return the mean SSIM, by numpy."""
    windows = []
    for image in (one, other):
        pixels = numpy.asarray(image.convert("L"), dtype=float)
        height, width = (side // 8 * 8 for side in pixels.shape)
        cut = pixels[:height, :width].reshape(height // 8, 8, width // 8, 8)
        windows.append(cut.swapaxes(1, 2).reshape(-1, 64))
    x, y = windows
    mx, my = x.mean(1), y.mean(1)
    covariance = (x * y).mean(1) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mx * my + c1) * (2 * covariance + c2)
    return float((top / ((mx**2 + my**2 + c1) * (x.var(1) + y.var(1) + c2))).mean())


class TestWords:
    """Words and numbers."""

    @pytest.mark.parametrize("format", FORMATS)
    def test_each_word_for_a_quality_is_better_and_larger_than_the_one_before(
        self, format: str, photos: Path
    ) -> None:
        """In every format that has them."""
        sizes = [len(made_of(photos / "coffee.png", word, format).read()) for word in QUALITIES]
        assert sizes == sorted(set(sizes))
        assert list(QUALITIES) == ["low", "medium", "high", "max"]

    @pytest.mark.parametrize("word", ["low", "medium", "high"])
    def test_a_word_for_a_quality_looks_the_same_in_every_format(
        self, word: str, photos: Path
    ) -> None:
        """By the measure that the table was made with, within what photographs differ."""
        module = pytest.importorskip("ssimulacra2", reason="the extra quality is not installed")
        scores = []
        for format in FORMATS:
            made = made_of(photos / "coffee.png", word, format)
            scores.append(module.compute_ssimulacra2(photos / "coffee.png", made))
        assert max(scores) - min(scores) < 6
        assert scores[0] == pytest.approx({"low": 60, "medium": 70, "high": 78}[word], abs=5)

    def test_a_quality_in_numbers_is_that_of_the_format(self, photos: Path) -> None:
        """As in the options, which are stronger."""
        assert quality_of(made_of(photos / "coffee.png", 40)) == 40
        assert quality_of(made_of(photos / "coffee.png", 40, options={"quality": 60})) == 60
        assert quality_of(made_of(photos / "coffee.png", None)) == 85

    @pytest.mark.parametrize("format", ["PNG", "GIF"])
    @pytest.mark.parametrize("quality", ["low", 10, Target(bytes=500)])
    def test_formats_without_a_quality_are_as_they_are(
        self, format: str, quality: Any, photos: Path
    ) -> None:
        """What is written without losses has no less."""
        small = (ResizeToFit(60),)
        made = made_of(photos / "coffee.png", quality, format, processors=small)
        assert made.read() == made_of(photos / "coffee.png", None, format, processors=small).read()
        assert made.tries is None

    @pytest.mark.parametrize("quality", ["good", 101, -1, True, 0.5, ["low"]])
    def test_what_is_no_quality_is_told(self, quality: Any) -> None:
        """When the recipe is made."""
        with pytest.raises(InvalidArgument, match="quality must be one of 'low', 'medium'"):
            Recipe(quality=quality)


class TestTargets:
    """Qualities that are searched for."""

    @pytest.mark.parametrize("format", FORMATS)
    @pytest.mark.parametrize("share", [0.3, 1.5])
    def test_an_image_has_no_more_bytes_than_wanted_and_not_much_less(
        self, format: str, share: float, photos: Path
    ) -> None:
        """Within four tries, whatever the format."""
        usual = len(made_of(photos / "coffee.png", None, format).read())
        goal = round(usual * share)
        made = made_of(photos / "coffee.png", Target(bytes=goal), format)
        size = len(made.read())
        assert 0.85 * goal <= size <= goal
        assert made.tries is not None
        assert made.tries <= 4
        again = made_of(photos / "coffee.png", made.quality, format)
        assert len(again.read()) == size

    @pytest.mark.parametrize("format", FORMATS)
    @pytest.mark.parametrize("goal", [0.9, 0.97])
    def test_an_image_is_as_like_the_original_as_wanted_and_not_much_more(
        self, format: str, goal: float, photos: Path
    ) -> None:
        """By a measure that is calculated anew here."""
        made = made_of(photos / "coffee.png", Target(ssim=goal, tries=6), format)
        with Image.open(photos / "coffee.png") as original, Image.open(made) as image:
            assert goal - 0.002 <= ssim(original, image) <= goal + 0.012

    def test_a_target_that_cannot_be_met_gives_the_nearest_that_was_tried(
        self, photos: Path
    ) -> None:
        """The smallest that was tried; the best that was tried."""
        made = made_of(photos / "coffee.png", Target(bytes=100))
        assert made.quality is not None
        assert made.quality <= 5
        assert made_of(photos / "coffee.png", Target(ssim=0.9999)).quality == 95

    def test_a_search_of_a_single_try_gives_the_usual_quality(self, photos: Path) -> None:
        """As without a target."""
        made = made_of(photos / "coffee.png", Target(bytes=100, tries=1))
        assert (made.quality, made.tries, quality_of(made)) == (85, 1, 85)

    def test_the_search_for_a_quality_ends_when_the_time_is_over(
        self, photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And what it has found by then counts."""
        monkeypatch.setattr("imagekit_registry.imaging.Deadline.is_over", True)
        monkeypatch.setattr("imagekit_registry.imaging.Deadline.check", lambda _: None)
        made = made_of(photos / "coffee.png", Target(bytes=100))
        assert made.tries == 1

    def test_options_are_stronger_than_a_target(self, photos: Path) -> None:
        """As they are stronger than words."""
        made = made_of(photos / "coffee.png", Target(bytes=100), options={"quality": 60})
        assert (quality_of(made), made.tries) == (60, None)

    @pytest.mark.parametrize(
        "arguments",
        [{}, {"bytes": 9, "ssim": 0.9}, {"bytes": 0}, {"ssim": 1}, {"ssim": 0}]
        + [{"bytes": 9, "tries": 0}, {"bytes": 9, "tries": 99}],
    )
    def test_a_target_that_makes_no_sense_is_told(self, arguments: Any) -> None:
        """By its arguments."""
        with pytest.raises(InvalidArgument, match="Target"):
            Target(**arguments)
