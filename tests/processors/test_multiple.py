"""What a processor makes, larger."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imagekit_registry.processors import (
    AddBorder,
    Grayscale,
    Resize,
    ResizeToCover,
    ResizeToFill,
    ResizeToFit,
    SmartResize,
    Thumbnail,
)
from imagekit_registry.processors.anchors import FocalPoint, place
from imagekit_registry.processors.multiple import Multiple, multiplied

SCALERS = [
    Resize(60, 40),
    ResizeToCover(60, 40),
    ResizeToFill(60, 40),
    ResizeToFill(60, 40, anchor="tl", upscale=False),
    ResizeToFit(60, 40),
    ResizeToFit(None, 40, upscale=False),
    ResizeToFit(60, 40, mat_color="red"),
    SmartResize(60, 40),
    Thumbnail(60, 40),
    Thumbnail(60),
]
sides = st.integers(1, 400)


class TestMultiple:
    """Larger, as far as nothing is enlarged."""

    @pytest.mark.parametrize("scaler", SCALERS, ids=repr)
    @given(width=sides, height=sides, times=st.floats(1, 9))
    def test_a_multiple_enlarges_nothing_that_was_not_enlarged(
        self, scaler: Any, width: int, height: int, times: float
    ) -> None:
        """It is scaled to no more than its own size, or than the processor itself scales it to."""
        multiple = Multiple(scaler, times)
        scaled, own = multiple.required_size((width, height)), scaler.required_size((width, height))
        assert scaled[0] <= max(width, own[0])
        assert scaled[1] <= max(height, own[1])
        assert multiple.output_size((width, height)) >= scaler.output_size((width, height))

    @pytest.mark.parametrize("scaler", SCALERS, ids=repr)
    @pytest.mark.parametrize("size", [(500, 400), (90, 90), (30, 300)], ids=str)
    def test_a_multiple_has_the_size_that_it_tells_before(
        self, scaler: Any, size: tuple[int, int]
    ) -> None:
        """Also if it is made of a smaller decode."""
        multiple = Multiple(scaler, 2.5)
        assert multiple.process(Image.new("RGB", size)).size == multiple.output_size(size)
        small = Image.new("RGB", multiple.required_size(size))
        assert multiple.process_reduced(small, size).size == multiple.output_size(size)

    @pytest.mark.parametrize("size", [(640, 427), (1000, 872), (427, 640), (801, 333)], ids=str)
    def test_a_source_that_is_too_small_is_used_to_its_last_pixel(
        self, size: tuple[int, int]
    ) -> None:
        """In the proportions of the processor."""
        width, height = Multiple(ResizeToFill(160, 100), 50).output_size(size)
        assert width == size[0] or height == size[1]
        assert abs(width / height - 1.6) < 0.01

    def test_a_focal_point_is_kept(self) -> None:
        """The anchor is that of the processor within; the same object each time."""
        focal = multiplied([ResizeToFill(60, 40, anchor="focal")], 2)
        one, other = (place(focal, lambda: FocalPoint(0.2, 0.3)) for _ in range(2))
        assert one[0] is other[0]
        assert one[0] == Multiple(ResizeToFill(60, 40, anchor=(0.2, 0.3, 0, 0)), 2)


class TestMultiplied:
    """Processors of a spec, for a larger image."""

    def test_the_last_processor_that_scales_makes_a_multiple_larger(self) -> None:
        """What comes before it bounds the image as before."""
        first, last = ResizeToFit(300, 300), ResizeToFill(60, 40)
        expected: list[Any] = [first, Multiple(last, 2), Grayscale()]
        assert multiplied([first, last, Grayscale()], 2) == expected

    def test_proportions_are_kept_however_large_the_image_is_to_be(self) -> None:
        """A multiple is made larger itself, up to what the source has."""
        (wide,) = multiplied([Multiple(ResizeToFill(16, 9), 75)], 2)
        assert wide == Multiple(ResizeToFill(16, 9), 150)

    @pytest.mark.parametrize(
        ("source", "size"),
        [((3000, 2000), (1200, 675)), ((800, 800), (800, 450)), ((500, 2000), (500, 281))],
        ids=str,
    )
    def test_a_multiple_of_proportions_is_never_enlarged(
        self, source: tuple[int, int], size: tuple[int, int]
    ) -> None:
        """It is as large as the source has pixels, and of its proportions."""
        assert Multiple(ResizeToFill(16, 9), 75).output_size(source) == size

    @pytest.mark.parametrize("last", [AddBorder(3), object()], ids=["border", "own"])
    def test_processors_before_one_that_cannot_be_multiplied_stay_as_they_are(
        self, last: Any
    ) -> None:
        """A border would be half as wide, and what a project's own processor does, who knows."""
        processors: list[Any] = [ResizeToFill(60, 40), last]
        assert multiplied(processors, 2) == processors

    def test_a_subclass_of_a_project_is_left_as_it_is(self) -> None:
        """It has a constructor of its own."""

        class Own(ResizeToFill):
            pass

        processors: list[Any] = [Own(60, 40)]
        assert multiplied(processors, 2) == processors
