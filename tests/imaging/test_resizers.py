"""Resizers: Pillow's, and one that is faster, which nobody can tell from it."""

from __future__ import annotations

import builtins
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest
from PIL import Image

from imagekit_registry.exceptions import (
    InvalidConfiguration,
    ProcessingError,
    how_to_install,
)
from imagekit_registry.imaging import Recipe, get_resizer, render
from imagekit_registry.processors import Processor, ResizeToFill, ResizeToFit
from imagekit_registry.processors.resampling import PillowResizer, Resizer, resample, resized_by
from tests.processors.conftest import MODES, make_image

from .conftest import LIMITS, encode, sample
from .test_render import psnr


class Watched(PillowResizer):
    """A resizer that keeps what it was asked for."""

    asked: ClassVar[list[tuple[int, int]]] = []

    def resize(self, image: Any, size: tuple[int, int], box: Any) -> Any:
        """Scale, and tell."""
        self.asked.append(size)
        return super().resize(image, size, box)


class Broken:
    """A resizer that fails."""

    name = "broken"

    def resize(self, image: Any, size: tuple[int, int], box: Any) -> Any:
        """Fail."""
        raise OSError("no such instruction")


class Halved:
    """A project's processor that has one of ours do its work."""

    def process(self, image: Image.Image) -> Image.Image:
        """Return *image* at half its width."""
        return ResizeToFit(width=image.width // 2).process(image)


def rendered(resizer: Resizer | None, *processors: Processor) -> Any:
    """Return a file made of a picture of 64 x 48 pixels."""
    return render(
        encode(sample(), "PNG"),
        Recipe(processors),
        limits=LIMITS,
        format_options={},
        resizer=resizer,
    )


@pytest.fixture
def simd() -> Resizer:
    """Return the fast resizer."""
    pytest.importorskip("cykooz_resizer")
    return get_resizer("simd")


class TestChoice:
    """Which resizer scales for whom."""

    def test_the_chosen_resizer_scales_for_the_processors_of_a_project_too(self) -> None:
        """It ends with the rendering: what runs elsewhere has Pillow's again."""
        Watched.asked.clear()
        rendered(Watched(), Halved(), ResizeToFill(8, 8))
        assert Watched.asked == [(32, 24), (8, 8)]
        ResizeToFill(8, 8).process(sample())
        rendered(None, ResizeToFill(8, 8))
        assert len(Watched.asked) == 2

    def test_a_resizer_that_fails_is_told_with_the_processor_that_asked(self) -> None:
        """The message says which, and why."""
        with pytest.raises(ProcessingError, match=r"ResizeToFill failed .*no such instruction"):
            rendered(Broken(), ResizeToFill(8, 8))

    def test_an_unknown_resizer_is_told_the_names_there_are(self) -> None:
        """The message lists them."""
        with pytest.raises(InvalidConfiguration, match="there are: auto, pillow, simd"):
            get_resizer("magick")

    def test_a_missing_extra_says_what_to_install_and_auto_takes_pillow(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only who asks for the fast one by name needs it."""
        real = builtins.__import__

        def without(name: str, *arguments: Any, **options: Any) -> Any:
            if name == "cykooz_resizer":
                raise ImportError("No module named 'cykooz_resizer'")
            return real(name, *arguments, **options)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(InvalidConfiguration, match=re.escape(how_to_install("simd"))):
            get_resizer("simd")
        assert get_resizer("auto").name == "pillow"

    def test_auto_takes_the_fast_one_where_it_is_installed(self, simd: Resizer) -> None:
        """Nothing else is to be set."""
        assert get_resizer("auto").name == simd.name == "simd"


class TestSimd:
    """What the fast resizer gives."""

    @pytest.mark.parametrize("mode", MODES)
    def test_every_mode_comes_out_as_from_pillow(self, simd: Resizer, mode: str) -> None:
        """The same mode, size and information, and pixels that look the same."""
        image = make_image(mode)
        for size, box in [((20, 15), None), ((7, 40), (3.5, 1.25, 40.75, 48.0)), ((99, 70), None)]:
            expected = resample(image, size, box)
            with resized_by(simd):
                made = resample(image, size, box)
            assert (made.mode, made.size, made.info) == (expected.mode, size, expected.info)
            if made.mode in {"L", "RGB", "RGBA", "CMYK"}:
                assert psnr(made.convert("RGB"), expected.convert("RGB")) > 45
            else:
                assert made.tobytes() == expected.tobytes()

    def test_no_colour_bleeds_out_of_transparent_parts(self, simd: Resizer) -> None:
        """Red that nobody sees is nowhere in the result."""
        image = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
        image.paste((0, 0, 255, 255), (21, 0, 64, 64))
        made = simd.resize(image, (10, 10), (0, 0, 64, 64))
        seen = [band.getextrema() for band in made.convert("RGBa").split()]
        assert seen == [(0, 0), (0, 0), (0, 255), (0, 255)]

    def test_what_gets_wider_and_lower_is_left_to_pillow(self, simd: Resizer) -> None:
        """In between it may need more memory than there is; Pillow raises an error then."""
        image = sample("RGB", (30, 400))
        expected = image.resize((300, 40), Image.Resampling.LANCZOS)
        assert simd.resize(image, (300, 40), (0, 0, 30, 400)).tobytes() == expected.tobytes()

    def test_rows_that_a_part_does_not_reach_change_nothing(self, simd: Resizer) -> None:
        """Those that it reaches count, as for Pillow: the part has no edge of its own."""
        image = sample("RGB", (200, 400))
        image.paste((255, 255, 255), (0, 100, 200, 300))
        for height in (10, 100, 450):
            box = (10.5, 101.25, 150.0, 298.75)
            expected = image.resize((50, height), Image.Resampling.LANCZOS, box)
            assert psnr(simd.resize(image, (50, height), box), expected) > 60

    def test_the_source_is_not_changed_and_shares_nothing(self, simd: Resizer) -> None:
        """One decoded image serves many results."""
        image = make_image("RGBA")
        image.info["note"] = 1
        before = image.tobytes()
        made = simd.resize(image, (9, 9), (0, 0, *image.size))
        made.info["note"] = 2
        assert (image.tobytes(), image.info["note"]) == (before, 1)

    def test_many_threads_share_one_resizer(self, simd: Resizer) -> None:
        """Each gets what it asked for."""
        image = sample("RGBA", (640, 480))
        sizes = [(20 + each, 15 + each) for each in range(32)]
        alone = [simd.resize(image, size, (0, 0, 640, 480)).tobytes() for size in sizes]
        with ThreadPoolExecutor(8) as pool:
            made = pool.map(lambda size: simd.resize(image, size, (0, 0, 640, 480)), sizes)
            assert [each.tobytes() for each in made] == alone
