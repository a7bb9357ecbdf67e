"""Anchors: which part of an image is kept, and how a focal point takes their place."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.processors import (
    Adjust,
    Crop,
    ProcessorPipeline,
    ResizeCanvas,
    ResizeToFill,
    SmartCrop,
    SmartResize,
    Thumbnail,
    anchors,
)
from imagekit_registry.processors.anchors import FocalPoint, place
from tests.processors.conftest import make_image

POINT = FocalPoint(0.25, 0.75)


class Free(ResizeToFill):
    """A subclass as django-imagekit's users write it."""

    def __init__(self, side: int, anchor: str = "focal") -> None:
        vars(self).update(width=side, height=side, anchor=anchor, upscale=True)


def placed(processor: Any, point: FocalPoint | None = POINT, default: Any = None) -> Any:
    """Return a processor with its anchor."""
    (found,) = place([processor], lambda: point, default)
    return found


class TestFocalPoint:
    """The value."""

    def test_a_focal_point_is_as_exact_as_its_text(self) -> None:
        """What is read again is equal to what was written."""
        point = FocalPoint(1 / 3, 2 / 3, 0.123456, 1)
        assert str(point) == "0.333,0.667,0.123,1.000"
        assert FocalPoint.parse(str(point)) == point

    @pytest.mark.parametrize("text", ["", "1", "1,2", "a,b", "0,0,0", "0.5;0.5", "inf,0", "-0.1,0"])
    def test_text_that_is_no_focal_point_is_refused(self, text: str) -> None:
        """Rather than guessed at."""
        with pytest.raises(InvalidArgument):
            FocalPoint.parse(text)


class TestPlacing:
    """An anchor that hangs on a row becomes one that says all by itself."""

    @pytest.mark.parametrize(
        "processor",
        [ResizeToFill(9, 9, "focal"), Crop(9, 9, "focal"), Thumbnail(9, 9, "focal")],
    )
    def test_the_anchor_focal_is_the_point_or_the_other_anchor(self, processor: Any) -> None:
        """And equal to a processor that was given it."""
        cls = type(processor)
        assert placed(processor) == cls(9, 9, POINT.anchor)
        without = Thumbnail(9, 9, crop=True) if cls is Thumbnail else cls(9, 9)
        assert placed(processor, None) == without
        assert placed(cls(9, 9, "focal", otherwise="top left"), None) == cls(9, 9, "tl")

    def test_a_processor_that_needs_no_point_asks_for_none(self) -> None:
        """It may take a query."""

        def ask() -> FocalPoint | None:
            raise AssertionError

        given: list[Any] = [
            Adjust(),
            ResizeToFill(9, 9, "t"),
            Thumbnail(9),
            ProcessorPipeline([Crop(9)]),
        ]
        result: list[Any] = place(given, ask, "center")
        assert [one is other for one, other in zip(given, result, strict=True)] == [
            True,
            True,
            True,
            False,
        ]
        assert result[3] == [Crop(9, anchor="c")]
        assert given[3] == [Crop(9)]

    @pytest.mark.parametrize("default", ["left", [0, 0.5], (0, 0.5)])
    def test_the_default_anchor_is_for_processors_that_cut_without_one(self, default: Any) -> None:
        """A distance in pixels is one, too."""
        assert placed(ResizeToFill(9, 9), default=default) == ResizeToFill(9, 9, "l")
        for processor in (ResizeToFill(9, 9, "r"), Crop(9, 9, x=1), Thumbnail(9, 9, crop=False)):
            assert placed(processor, default=default) is processor

    def test_a_subclass_with_a_constructor_of_its_own_is_placed(self) -> None:
        """It was never told of focal points, and is left as it was."""
        free = Free(9)
        result = placed(free)
        assert (result.anchor, free.anchor) == (POINT.anchor, "focal")
        assert result.process(make_image("RGB", (40, 20))).size == (9, 9)
        assert placed(Free(9, "t")).anchor == "t"

    def test_an_unplaced_processor_keeps_what_it_keeps_without_a_point(self) -> None:
        """As when it is called by itself."""
        image = make_image("RGB", (64, 48))
        for processor, same in (
            (ResizeToFill(20, 9, "focal"), ResizeToFill(20, 9)),
            (ResizeToFill(20, 9, "focal", otherwise="b"), ResizeToFill(20, 9, "b")),
            (Thumbnail(20, 9, "focal"), Thumbnail(20, 9)),
        ):
            assert processor.process(image).tobytes() == same.process(image).tobytes()

    def test_a_canvas_has_no_focal_point(self) -> None:
        """Nothing is cut around it."""
        with pytest.raises(InvalidArgument, match="'focal' is unknown"):
            ResizeCanvas(9, 9, anchor="focal")


def test_the_anchor_entropy_keeps_what_has_the_most_detail() -> None:
    """The very pixels of the processors that do nothing else."""
    image = Image.effect_noise((200, 100), 60).convert("RGB")
    image.paste("grey", (0, 0, 140, 100))
    fill, crop = ResizeToFill(40, 40, "entropy"), Crop(50, 50, "entropy")
    assert fill.process(image).tobytes() == SmartResize(40, 40).process(image).tobytes()
    assert crop.process(image).tobytes() == SmartCrop(50, 50).process(image).tobytes()
    assert ResizeToFill(40, 40, "entropy") == ResizeToFill(40, 40, "auto")


class TestAttention:
    """What libvips finds, where it is installed."""

    @pytest.fixture
    def image(self) -> Image.Image:
        """Return a grey image with a bright spot far to the right."""
        image = Image.new("RGB", (400, 100), "grey")
        image.paste("#f08060", (340, 30, 380, 70))
        return image

    @pytest.mark.parametrize(
        "processor",
        [
            ResizeToFill(50, 50, "attention"),
            Crop(50, 50, "attention"),
            Thumbnail(50, 50, "focal", otherwise=["attention", "left"]),
            placed(ResizeToFill(50, 50, "focal", otherwise=("attention", "left")), None),
        ],
    )
    def test_a_crop_keeps_what_people_look_at(self, processor: Any, image: Image.Image) -> None:
        """The middle is all grey; every mode can be looked at."""
        pytest.importorskip("pyvips")
        red, green, _ = (
            processor.process(image).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
        )
        assert red - green > 5
        for mode in ("P", "LA", "I;16"):
            assert processor.process(make_image(mode, (64, 64))).size == (50, 50)

    def test_without_libvips_the_anchor_after_attention_counts(
        self, image: Image.Image, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Or what has the most detail, if there is none; the name of the file is the same."""
        monkeypatch.setattr(anchors, "find_vips", lambda: None)
        left = ResizeToFill(50, 50, "left").process(image).tobytes()
        chain = placed(ResizeToFill(50, 50, "focal", otherwise=["attention", "left"]), None)
        assert chain.process(image).tobytes() == left
        assert chain == ResizeToFill(50, 50, ("attention", "l"))
        smart = SmartResize(50, 50).process(image).tobytes()
        assert ResizeToFill(50, 50, "attention").process(image).tobytes() == smart

    def test_libvips_is_looked_for_only_where_an_anchor_needs_it(
        self, image: Image.Image, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """To load it takes longer than a small image."""
        monkeypatch.delattr(anchors, "find_vips")
        assert ResizeToFill(50, 50, "left").process(image).size == (50, 50)
        assert Crop(50, 50).process(image).size == (50, 50)

    @pytest.mark.parametrize("chain", [["attention", "north"], ["focal", 1], []])
    def test_chains_of_other_anchors_are_refused(self, chain: Any) -> None:
        """When the processor is made."""
        with pytest.raises(InvalidArgument, match="anchor"):
            ResizeToFill(9, 9, "focal", otherwise=chain)
