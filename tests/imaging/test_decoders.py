"""Both decoders: the same sizes, nearly the same pixels, the same errors."""

from __future__ import annotations

import builtins
import io
import random
import re
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from django.core.files import File
from PIL import Image

from imagekit_registry.exceptions import (
    GenerationError,
    InvalidConfiguration,
    SourceUnavailable,
    how_to_install,
)
from imagekit_registry.imaging import Decoder, Encoded, Plan, Recipe, get_decoder, render_many
from imagekit_registry.processors import AddBorder, Adjust, Crop, Resize, ResizeToFill, ResizeToFit

from . import conftest as made
from . import test_hostile as hostile
from .conftest import LIMITS, opened
from .test_render import psnr

pytest.importorskip("pyvips")
NAMES = ["pillow", "vips"]


def render_by(name: str, data: bytes, *recipes: Recipe) -> list[Any]:
    """Render by the decoder called *name*."""
    return render_many(
        io.BytesIO(data), recipes, limits=LIMITS, format_options={}, decoder=get_decoder(name)
    )


def shown(image: Image.Image) -> Image.Image:
    """Return *image* as one sees it on white paper."""
    paper = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")


class TestBoth:
    """What does not depend on the decoder."""

    @pytest.mark.parametrize(
        ("format", "mode"),
        [
            ("JPEG", "RGB"),
            ("JPEG", "L"),
            ("JPEG", "CMYK"),
            ("PNG", "RGB"),
            ("PNG", "RGBA"),
            ("PNG", "LA"),
            ("PNG", "P"),
            ("PNG", "I;16"),
            ("PNG", "1"),
            ("WEBP", "RGB"),
            ("WEBP", "RGBA"),
            ("TIFF", "RGB"),
            ("TIFF", "CMYK"),
            ("GIF", "P"),
            ("BMP", "RGB"),
        ],
    )
    @pytest.mark.parametrize("size", [(640, 480), (637, 475)], ids=str)
    def test_both_decoders_give_the_same_picture(
        self, format: str, mode: str, size: tuple[int, int]
    ) -> None:
        """Size, mode and pixels are the same, as far as anybody can see."""
        data = made.encode(made.sample(mode, size), format).getvalue()
        recipes = [
            Recipe([ResizeToFit(100, 100)], format="PNG"),
            Recipe([ResizeToFill(60, 60)], format="PNG"),
            Recipe([Resize(50, 90)], format="PNG"),
        ]
        for recipe in recipes:
            (one,), (other,) = (render_by(name, data, recipe) for name in NAMES)
            first, second = opened(one), opened(other)
            assert (first.size, first.mode) == (second.size, second.mode)
            assert psnr(shown(first), shown(second)) > 38

    @pytest.mark.parametrize("name", NAMES)
    def test_what_follows_a_decode_in_the_wanted_size_is_judged_by_that(self, name: str) -> None:
        """A border around a small result is none around the source, whoever has scaled it."""
        (result,) = render_many(
            made.encode(made.sample(size=(640, 480)), "JPEG"),
            [Recipe([ResizeToFit(100, 75), AddBorder(2)])],
            limits=attrs.evolve(LIMITS, max_output_pixels=10_000),
            format_options={},
            decoder=get_decoder(name),
        )
        assert isinstance(result, Encoded), result
        assert opened(result).size == (104, 79)

    @pytest.mark.parametrize("name", NAMES)
    def test_points_of_a_small_decode_are_judged_by_their_number(self, name: str) -> None:
        """A processor of a project that needs few pixels, and takes them as they are, comes before."""

        class Card:
            """A processor that looks at a decode of some size or more."""

            def required_size(self, size: Any) -> tuple[int, int]:
                return 100, 75

            def process(self, image: Image.Image) -> Image.Image:
                return image.copy()

        (result,) = render_many(
            made.encode(made.sample(size=(640, 480)), "JPEG"),
            [Recipe([Card(), Adjust(contrast=1.2)])],
            limits=attrs.evolve(LIMITS, max_output_pixels=100_000),
            format_options={},
            decoder=get_decoder(name),
        )
        assert isinstance(result, Encoded), result

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_both_decoders_turn_pictures_and_convert_their_colours(self, orientation: int) -> None:
        """Both turn pictures and convert their colours."""
        exif = Image.Exif()
        exif[0x0112] = orientation
        profile = made.make_profile("p3")
        source = made.sample(size=(640, 480))
        data = made.encode(source, "JPEG", exif=exif, icc_profile=profile, quality=95).getvalue()
        recipe = Recipe([ResizeToFit(100, 100)], format="PNG")
        (one,), (other,) = (render_by(name, data, recipe) for name in NAMES)
        assert (one.width, one.height) == (other.width, other.height)
        assert psnr(opened(one), opened(other)) > 40

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
    def test_both_decoders_give_several_results_as_if_each_were_alone(
        self, name: str, format: str, large_photo: Callable[[int, int], bytes]
    ) -> None:
        """Each of several results is what it would be alone."""
        source = opened(io.BytesIO(large_photo(1600, 1200)))
        data = made.encode(source, format).getvalue()
        recipes = [Recipe([ResizeToFit(width)], format="PNG") for width in (900, 400, 100)]
        for recipe, result in zip(recipes, render_by(name, data, *recipes), strict=True):
            (alone,) = render_by("pillow", data, recipe)
            assert (result.width, result.height) == (alone.width, alone.height)
            assert psnr(opened(result), opened(alone)) > 37

    @pytest.mark.parametrize("name", NAMES)
    def test_exact_work_gets_all_pixels_of_both_decoders(self, name: str) -> None:
        """A crop of pixels is the same, bit by bit."""
        data = made.encode(made.sample(size=(640, 480)), "PNG").getvalue()
        (result,) = render_by(name, data, Recipe([Crop(50, 50, x=100, y=100)]))
        assert psnr(opened(result), made.sample(size=(640, 480)).crop((100, 100, 150, 150))) == 99

    @pytest.mark.parametrize("name", NAMES)
    def test_both_decoders_give_animations_that_move(self, name: str) -> None:
        """Animations are rendered with all their frames."""
        (result,) = render_by(name, made.animation("GIF").getvalue(), Recipe([ResizeToFit(20)]))
        assert result.frames == 3

    @pytest.mark.parametrize(
        "data",
        [*hostile.HUGE.values(), *hostile.BROKEN.values()],
        ids=[*hostile.HUGE, *hostile.BROKEN],
    )
    def test_both_decoders_refuse_the_same_files_with_the_same_words(self, data: bytes) -> None:
        """Both refuse the same files with the same words."""
        recipe = Recipe([ResizeToFit(20)], format="PNG")
        (one,), (other,) = (render_by(name, data, recipe) for name in NAMES)
        assert isinstance(one, GenerationError)
        assert type(one) is type(other)
        assert one.cause == other.cause

    @pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
    def test_a_truncated_jpeg_is_damaged(
        self, several: bool, large_photo: Callable[[int, int], bytes]
    ) -> None:
        """Neither fills a missing tail with grey."""
        data = large_photo(1600, 1200)
        recipes = [Recipe([ResizeToFit(width)]) for width in (100, 200)][: 2 if several else 1]
        for name in NAMES:
            for result in render_by(name, data[: len(data) // 2], *recipes):
                assert isinstance(result, GenerationError)
                assert "damaged" in result.cause


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_mutated_images_give_an_image_or_our_error_by_vips() -> None:
    """Damage of any kind ends in an image or in one of our errors with libvips as well."""
    chance = random.Random("vips")
    files = hostile.corpus()
    recipes = [Recipe([ResizeToFit(24, 24)], format="PNG"), Recipe([ResizeToFill(9, 30)])]
    for _ in range(hostile.MUTATIONS // 8):
        data = hostile.mutate(chance.choice(files), chance)
        for result in render_by("vips", data, *recipes):
            assert isinstance(result, Encoded | GenerationError)


class TestGetDecoder:
    """Decoders by name."""

    def test_an_unknown_decoder_is_told_the_names_there_are(self) -> None:
        """The message lists the names there are."""
        with pytest.raises(InvalidConfiguration, match="there are: pillow, vips"):
            get_decoder("magick")

    def test_a_missing_extra_says_what_to_install_and_why_it_failed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without pyvips the message says what to install, and why it failed."""
        real = builtins.__import__

        def without(name: str, *arguments: Any, **options: Any) -> Any:
            if name == "pyvips":
                raise ImportError("No module named 'pyvips'")
            return real(name, *arguments, **options)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(InvalidConfiguration, match=re.escape(how_to_install("vips"))) as caught:
            get_decoder("vips")
        assert "No module named" in str(caught.value)

    @pytest.mark.parametrize("name", NAMES)
    def test_a_decoder_gives_header_and_pixels_by_itself(self, name: str) -> None:
        """A decoder can be used by itself."""
        decoder: Decoder = get_decoder(name)
        file = made.encode(made.sample(size=(640, 480)), "JPEG")
        with decoder.open(file, LIMITS) as opened:
            assert opened.header.size == (640, 480)
            assert opened.decode(Plan((300, 225))).size >= (300, 225)
        assert decoder.name == name

    @pytest.mark.parametrize("name", NAMES)
    def test_what_is_decoded_too_late_is_an_error_of_ours(self, name: str) -> None:
        """Its file is not its own any more then."""
        file = made.encode(made.sample(size=(640, 480)), "JPEG")
        with get_decoder(name).open(file, LIMITS) as opened:
            pass
        with pytest.raises(GenerationError):
            opened.decode(Plan())

    @pytest.mark.parametrize("name", NAMES)
    def test_a_file_may_be_opened_anew_while_an_animation_is_read(self, name: str) -> None:
        """Files of object storages open themselves anew; a processor may read the source as well."""
        frames = [made.sample(size=(300, 200)).rotate(turn) for turn in (0, 90, 180)]
        whole = made.encode(frames[0], "GIF", save_all=True, append_images=frames[1:]).getvalue()

        class Reopening(File):  # type: ignore[type-arg]
            """As those of Django: what it opens takes the place of what it had."""

            def open(self, *_: object, **__: object) -> Reopening:
                self.file = io.BytesIO(whole)
                return self

        class Reads:
            """A processor that reads the source."""

            def process(self, image: Image.Image) -> Image.Image:
                file.close()
                file.open()
                return image

        file = Reopening(io.BytesIO(whole), "a.gif")
        recipes = [Recipe([Reads()], format="WEBP")]
        (result,) = render_many(
            file, recipes, limits=LIMITS, format_options={}, decoder=get_decoder(name)
        )
        assert isinstance(result, Encoded), result
        assert result.frames == 3

    @pytest.mark.parametrize("name", NAMES)
    def test_a_file_that_does_not_say_where_it_is_cannot_be_read(self, name: str) -> None:
        """It is the storage that is broken, not the picture."""

        class Lost(io.BytesIO):
            """A file whose position is known once."""

            asked = 0

            def tell(self) -> Any:
                self.asked += 1
                return super().tell() if self.asked == 1 else None

        file = Lost(made.encode(made.sample(), "PNG").getvalue())
        with pytest.raises(SourceUnavailable, match="cannot be read"):
            get_decoder(name).open(file, LIMITS).__enter__()


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_still_webp_has_the_pixels_that_pillow_gives_whole_and_scaled(
    mode: str, lossless: bool
) -> None:
    """They are taken from the codec without a copy of them all."""
    data = made.encode(made.sample(mode, (400, 320)), "WEBP", lossless=lossless, exact=True)
    with Image.open(data) as theirs:
        theirs.load()
    whole, small = render_by(
        "pillow",
        data.getvalue(),
        Recipe(format="PNG"),
        Recipe([ResizeToFit(50, 40)], format="PNG"),
    )
    assert opened(whole).mode == mode
    assert opened(whole).tobytes() == theirs.tobytes()
    assert psnr(shown(opened(small)), shown(theirs.reduce(8))) > 36


def test_the_pixels_of_a_webp_are_converted_when_they_are_fewer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The codec has them in a mode of its own, and there may be millions."""
    data = made.encode(made.sample("RGB", (800, 640)), "WEBP").getvalue()
    converted, convert = [], Image.Image.convert

    def note(image: Image.Image, *args: Any, **kwargs: Any) -> Image.Image:
        converted.append(image.size)
        return convert(image, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "convert", note)
    (result,) = render_by("pillow", data, Recipe([ResizeToFit(50, 40)], format="PNG"))
    assert opened(result).size == (50, 40)
    assert (800, 640) not in converted
    assert converted


def test_a_webp_whose_pixels_are_cut_off_is_damaged() -> None:
    """The codec gives none of them."""
    data = made.encode(made.sample("RGB", (400, 320)), "WEBP", lossless=True).getvalue()
    (result,) = render_by("pillow", data[: len(data) // 3], Recipe(format="PNG"))
    assert isinstance(result, GenerationError)
    assert "damaged" in str(result)
