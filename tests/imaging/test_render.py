"""Rendering: orientation, decoding small, several results of one decode, files and formats."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from PIL import Image, ImageChops, ImageFile, ImageStat

from imagekit_registry.exceptions import (
    GenerationError,
    LimitExceeded,
    ProcessingError,
    UnknownFormat,
    UnreadableImage,
)
from imagekit_registry.imaging import (
    Encoded,
    Header,
    PillowDecoder,
    Plan,
    Recipe,
    plan_decode,
    render_many,
)
from imagekit_registry.processors import (
    Adjust,
    Crop,
    GaussianBlur,
    ProcessorPipeline,
    Resize,
    ResizeToCover,
    ResizeToFill,
    ResizeToFit,
    SmartResize,
    Thumbnail,
    TrimBorderColor,
)

from . import conftest as made
from .conftest import LIMITS, make, opened

LARGE = Header(4000, 3000, "RGB", "JPEG")


class Paint:
    """A processor as users write them: it paints on the image that it is given."""

    def process(self, image: Image.Image) -> Image.Image:
        image.paste((255, 0, 0), (0, 0, image.size[0], image.size[1]))
        return image


class Spy:
    """A processor that remembers what it saw."""

    def __init__(self) -> None:
        self.seen: list[Image.Image] = []

    def process(self, image: Image.Image) -> Image.Image:
        self.seen.append(image)
        return image


def psnr(one: Image.Image, other: Image.Image) -> float:
    """Return the peak signal to noise ratio of two images, in dB."""
    squares = ImageStat.Stat(ImageChops.difference(one, other)).sum2
    mean = sum(squares) / (one.size[0] * one.size[1] * len(squares))
    return 99.0 if mean == 0 else 10 * math.log10(255**2 / mean)


def many(data: bytes, recipes: list[Recipe], **options: Any) -> list[Any]:
    """Render several recipes of one source."""
    return render_many(io.BytesIO(data), recipes, limits=LIMITS, format_options={}, **options)


class TestOrientation:
    """The camera's tag."""

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
    @pytest.mark.parametrize("scaled", [False, True], ids=["full", "scaled"])
    def test_a_turned_picture_stands_upright(
        self, orientation: int, format: str, scaled: bool
    ) -> None:
        """However the pixels are stored, the result is upright and has no tag."""
        upright = made.sample(size=(640, 480))
        stored = made.as_stored(upright, orientation)
        exif = Image.Exif()
        exif[0x0112] = orientation
        file = made.encode(
            stored, format, exif=exif, **({"quality": 95} if format != "PNG" else {})
        )
        processors = [ResizeToFit(80, 80)] if scaled else []
        result = opened(make(file, *processors, format="PNG"))
        expected = upright.resize((80, 60), Image.Resampling.LANCZOS) if scaled else upright
        assert result.size == expected.size
        assert psnr(result.convert("RGB"), expected) > 30
        assert 0x0112 not in result.getexif()

    def test_the_orientation_may_be_left_alone(self) -> None:
        """With `auto_orient=False` the pixels come as they are stored."""
        exif = Image.Exif()
        exif[0x0112] = 6
        file = made.encode(made.sample(), "JPEG", exif=exif)
        assert opened(make(file, auto_orient=False)).size == (64, 48)


class TestPlan:
    """What is decoded small, and what is not."""

    @pytest.mark.parametrize(
        "processor",
        [
            ResizeToFit(300, 200),
            ResizeToFill(300, 200),
            ResizeToFill(300, 200, anchor="tr"),
            ResizeToCover(300, 200),
            Resize(300, 200),
            SmartResize(300, 200),
            Thumbnail(300, 200),
        ],
        ids=lambda processor: type(processor).__name__,
    )
    def test_a_thumbnail_is_decoded_small(self, processor: Any) -> None:
        """All resizers ask for two and a half times what they give."""
        minimum = plan_decode(LARGE, [Recipe([processor])]).minimum
        assert minimum is not None
        assert 500 <= minimum[0] <= 1000

    @pytest.mark.parametrize(
        "processors",
        [
            [Crop(100, 100, x=0, y=0), ResizeToFit(50, 50)],
            [TrimBorderColor(), ResizeToFit(50, 50)],
            [GaussianBlur(3), ResizeToFit(50, 50)],
            [Adjust(sharpness=2.0), ResizeToFit(50, 50)],
            [Spy(), ResizeToFit(50, 50)],
            [ResizeToFit(3000, 3000)],
            [],
        ],
        ids=["crop", "trim", "blur", "sharpen", "custom", "large", "nothing"],
    )
    def test_exact_work_gets_all_pixels(self, processors: list[Any]) -> None:
        """Whatever counts pixels, or says nothing of its needs, gets the full image."""
        assert plan_decode(LARGE, [Recipe(processors)]).minimum is None

    def test_a_processor_of_single_pixels_before_the_resizer_changes_no_plan(self) -> None:
        """A processor of single pixels in front of the resizer changes nothing."""
        recipe = Recipe([Adjust(contrast=1.2), ResizeToFit(300, 200)])
        assert plan_decode(LARGE, [recipe]).minimum is not None

    def test_a_subclass_with_a_process_of_its_own_gets_all_pixels(self) -> None:
        """What a user's subclass does with the image is not known, and is not skipped."""

        class Stamped(ResizeToFit):
            def process(self, image: Image.Image) -> Image.Image:
                return Paint().process(super().process(image).copy())

        assert plan_decode(LARGE, [Recipe([Stamped(300, 200)])]).minimum is None
        file = made.encode(made.sample(size=(640, 480)), "JPEG")
        assert opened(make(file, Stamped(64, 64))).getpixel((5, 5))[0] > 250  # type: ignore[index]

    def test_a_recipe_may_ask_for_all_pixels(self) -> None:
        """`decode_small=False` turns it off."""
        assert plan_decode(LARGE, [Recipe([ResizeToFit(50)], decode_small=False)]).minimum is None

    def test_the_recipe_that_needs_most_pixels_decides(self) -> None:
        """One decode serves all recipes."""
        small, large = Recipe([ResizeToFit(100)]), Recipe([ResizeToFit(400)])
        both = plan_decode(LARGE, [small, large]).minimum
        assert both == plan_decode(LARGE, [large]).minimum

    def test_turned_sources_are_planned_as_stored(self) -> None:
        """Needs are worked out upright, and asked of the decoder as stored."""
        turned = attrs.evolve(LARGE, orientation=6)
        minimum = plan_decode(turned, [Recipe([ResizeToFill(200, 400)])]).minimum
        assert minimum == (1000, 750)

    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
    @pytest.mark.parametrize("size", [(1600, 1200), (1601, 1203), (1607, 1199)], ids=str)
    def test_a_decoder_gives_no_less_than_the_plan(
        self, format: str, size: tuple[int, int]
    ) -> None:
        """The decoded image covers the minimum, and is much smaller than the source."""
        file = made.encode(Image.effect_noise(size, 50), format)
        with PillowDecoder().open(file, LIMITS) as opened:
            image = opened.decode(Plan((300, 200)))
        assert image.size[0] >= 300
        assert image.size[1] >= 200
        assert image.size[0] < 800


class TestQuality:
    """Decoding small must not be seen."""

    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
    @pytest.mark.parametrize("size", [(1000, 872), (1001, 875), (995, 867)], ids=str)
    @pytest.mark.parametrize(
        "processor",
        [
            ResizeToFit(100, 100),
            ResizeToFill(100, 75),
            ResizeToFill(60, 100, anchor="br"),
            Resize(105, 75),
            ResizeToCover(75, 50),
        ],
        ids=["fit", "fill", "anchor", "resize", "cover"],
    )
    def test_a_thumbnail_from_a_small_decode_loses_nothing(
        self, format: str, size: tuple[int, int], processor: Any, photos: Any
    ) -> None:
        """Scaled up again, a thumbnail from a small decode is as near to the source as another."""
        with Image.open(photos / "hubble_deep_field.jpg") as photo:
            source = photo.resize(size, Image.Resampling.BICUBIC)
        data = made.encode(
            source, format, **({"quality": 90} if format != "PNG" else {"compress_level": 1})
        ).getvalue()
        small = opened(make(data, processor, format="PNG"))
        full = opened(make(data, processor, format="PNG", decode_small=False))
        assert small.size == full.size
        assert psnr(small, full) > 45


class TestRenderMany:
    """Several results of one source."""

    def test_each_recipe_gets_its_own_result(
        self, large_photo: Callable[[int, int], bytes]
    ) -> None:
        """Results come in the order of the recipes, each as if it were alone."""
        data = large_photo(1600, 1200)
        recipes = [
            Recipe([ResizeToFit(width)], format=format)
            for width, format in ((100, "PNG"), (800, "JPEG"), (300, "WEBP"), (200, "PNG"))
        ]
        together = many(data, recipes)
        for recipe, result in zip(recipes, together, strict=True):
            alone = make(data, *recipe.processors, format=recipe.format)
            assert (result.format, result.width, result.height) == (
                alone.format,
                alone.width,
                alone.height,
            )
            assert psnr(opened(result), opened(alone)) > 38

    def test_a_larger_result_with_other_colours_is_no_start_for_a_smaller_one(
        self, large_photo: Callable[[int, int], bytes]
    ) -> None:
        """A pipeline counts for what is in it, not for its last resizer: the smaller one was grey."""
        grey = Recipe([ProcessorPipeline([Adjust(color=0), ResizeToFit(400)])], format="PNG")
        small = Recipe([ResizeToFit(100)], format="PNG")
        together = many(large_photo(1600, 1200), [grey, small])[1]
        alone = make(large_photo(1600, 1200), *small.processors, format="PNG")
        assert psnr(opened(together), opened(alone)) > 38

    def test_a_processor_whose_size_cannot_even_be_asked_for_harms_no_other_recipe(
        self, large_photo: Callable[[int, int], bytes]
    ) -> None:
        """It is named as the one at fault."""

        class Broken:
            @property
            def output_size(self) -> Any:
                raise ValueError("no size")

            def process(self, image: Image.Image) -> Image.Image:
                return image

        recipes = [Recipe([Broken()], format="PNG"), Recipe([ResizeToFit(100)], format="PNG")]
        data = io.BytesIO(large_photo(400, 300))
        failed, made = render_many(data, recipes, limits=LIMITS, format_options={})
        assert isinstance(failed, ProcessingError)
        assert failed.cause == "Broken failed (ValueError: no size)"
        assert isinstance(made, Encoded)

    def test_a_processor_whose_process_is_replaced_later_is_given_every_pixel(
        self, large_photo: Callable[[int, int], bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the sizes say is then not about what it does, whatever it did before."""

        class Framed(ResizeToFit):
            pass

        data = large_photo(400, 300)
        assert opened(make(data, Framed(50), format="PNG")).size == (50, 38)
        monkeypatch.setattr(Framed, "process", lambda self, image: image)
        assert opened(make(data, Framed(50), format="PNG")).size == (400, 300)

    def test_many_results_cost_one_open_and_one_decode(
        self, large_photo: Callable[[int, int], bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Five widths cost one decode."""
        decoded: list[tuple[int, int]] = []
        load = ImageFile.ImageFile.load

        def count(image: ImageFile.ImageFile) -> Any:
            if image.tile:
                decoded.append(image.size)
            return load(image)

        source = large_photo(1600, 1200)
        monkeypatch.setattr(ImageFile.ImageFile, "load", count)
        recipes = [Recipe([ResizeToFit(width)]) for width in (100, 200, 300, 400, 500)]
        many(source, recipes)
        assert len(decoded) == 1

    def test_a_recipe_that_fails_does_not_stop_the_others(self) -> None:
        """An error stands in the place of its result."""
        data = made.encode(made.sample(), "PNG").getvalue()
        recipes = [Recipe([ResizeToFill(9_000, 9_000)]), Recipe([ResizeToFit(8)])]
        failed, done = many(data, recipes)
        assert isinstance(failed, LimitExceeded)
        assert isinstance(done, Encoded)

    def test_an_unreadable_source_is_an_error_for_each(self) -> None:
        """Each recipe has an error of its own, that names the source."""
        first, second = many(b"no image", [Recipe(), Recipe()], source_name="photos/a.jpg")
        assert first is not second
        for error in (first, second):
            assert isinstance(error, UnreadableImage)
            assert error.source == "photos/a.jpg"
        first.located("one", None)
        assert second.located("two", None).spec_id == "two"

    def test_processors_that_paint_spoil_nothing(self) -> None:
        """A user's processor may paint on what it is given: the others do not see it."""
        data = made.encode(made.sample(), "PNG").getvalue()
        painted, plain = many(data, [Recipe([Paint()]), Recipe()])
        assert opened(painted).getpixel((60, 40)) == (255, 0, 0)
        assert psnr(opened(plain), made.sample()) == 99

    def test_recipes_may_differ_in_orientation_and_colour(self) -> None:
        """What the recipes do not share, each does for itself."""
        exif = Image.Exif()
        exif[0x0112] = 6
        profile = made.make_profile("p3")
        data = made.encode(made.sample(), "JPEG", exif=exif, icc_profile=profile).getvalue()
        options: list[dict[str, Any]] = [{}, {"auto_orient": False}, {"color": "keep"}]
        recipes = [Recipe(format="PNG", **option) for option in options]
        for recipe, option, result in zip(recipes, options, many(data, recipes), strict=True):
            assert psnr(opened(result), opened(make(data, format="PNG", **option))) == 99
            assert recipe.format == result.format

    def test_a_file_is_not_looked_at_without_recipes(self) -> None:
        """Without recipes the file is not looked at."""
        assert many(b"no image", []) == []


class TestFormat:
    """What is written."""

    @pytest.mark.parametrize(
        ("source", "expected"),
        [("JPEG", "JPEG"), ("PNG", "PNG"), ("WEBP", "WEBP"), ("GIF", "GIF"), ("MPO", "JPEG")],
    )
    def test_a_result_has_the_sources_format_by_default(self, source: str, expected: str) -> None:
        """Without a format the result has that of the source."""
        assert make(made.encode(made.sample(), source)).format == expected

    def test_a_recipe_may_spell_its_format_in_any_way(self) -> None:
        """`jpg` is JPEG."""
        assert make(made.encode(made.sample(), "PNG"), format="jpg").format == "JPEG"

    def test_an_unknown_format_is_refused_before_the_source_is_opened(self) -> None:
        """A format that Pillow cannot write is refused by name, before the source is opened."""
        with pytest.raises(UnknownFormat, match="'WOBBLE'"):
            make(b"", format="wobble")

    def test_a_result_is_a_file_at_its_start(self) -> None:
        """The result can be read at once and tells its size."""
        result = make(made.encode(made.sample(), "PNG"), ResizeToFit(32))
        assert (result.tell(), result.width, result.height, result.frames) == (0, 32, 24, 1)
        assert result.read(4) == b"\x89PNG"

    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF"])
    def test_the_same_recipe_gives_the_same_bytes(self, format: str) -> None:
        """Rendering twice gives the same file."""
        data = made.encode(made.sample("RGBA"), "PNG").getvalue()
        one, other = (make(data, ResizeToFit(32), format=format).getvalue() for _ in range(2))
        assert one == other

    def test_options_of_the_recipe_are_laid_over_those_of_the_format(self) -> None:
        """The recipe's options are laid over the format's."""
        data = made.encode(made.sample(size=(200, 150)), "PNG").getvalue()

        def size(format_options: dict[str, Any], **options: Any) -> int:
            recipe = Recipe(format="JPEG", options=options)
            (result,) = render_many(
                io.BytesIO(data), [recipe], limits=LIMITS, format_options=format_options
            )
            assert isinstance(result, Encoded)
            return len(result.getvalue())

        low, high = size({"JPEG": {"quality": 20}}), size({"jpeg": {"quality": 95}})
        assert low < high
        assert size({"JPEG": {"quality": 20}}, quality=95) == high

    def test_small_jpegs_are_written_with_tables_of_their_own(
        self, large_photo: Callable[[int, int], bytes]
    ) -> None:
        """Unless options say otherwise; to look for them takes too long for large ones."""
        source = large_photo(1000, 750)

        def written(width: int, **options: Any) -> int:
            processors = [ResizeToFit(width, width)]
            return len(make(source, *processors, format="JPEG", options=options).getvalue())

        assert written(60) == written(60, optimize=True) < written(60, optimize=False) * 0.9
        assert written(900) == written(900, optimize=False) > written(900, optimize=True)

    def test_nothing_is_converted_without_autoconvert(self) -> None:
        """`autoconvert=False` leaves the mode to Pillow, which refuses what it cannot write."""
        file = made.encode(made.sample("RGBA"), "PNG")
        with pytest.raises(GenerationError, match="cannot write mode RGBA as JPEG"):
            make(file, format="JPEG", autoconvert=False)

    @pytest.mark.parametrize("options", [{"optimize": True}, {"progressive": True}], ids=str)
    def test_noise_at_full_quality_is_written(self, options: dict[str, Any]) -> None:
        """The worst picture for a JPEG encoder is written nevertheless."""
        noise = Image.merge("RGB", [Image.effect_noise((900, 700), 255) for _ in range(3)])
        settings = {"quality": 100, "subsampling": 0, **options}
        result = make(made.encode(noise, "BMP"), format="JPEG", options=settings)
        assert result.width == 900

    @pytest.mark.parametrize("size", [(1, 1), (1, 300), (20_000, 1), (3, 5000)], ids=str)
    @pytest.mark.parametrize(
        "processor", [ResizeToFit(30, 20), ResizeToFill(30, 20)], ids=["fit", "fill"]
    )
    def test_tiny_and_thin_pictures_are_made(self, size: tuple[int, int], processor: Any) -> None:
        """Tiny and thin pictures are made as well."""
        result = make(made.encode(Image.new("RGB", size, "red"), "PNG"), processor)
        assert 1 <= result.width <= 30
        assert 1 <= result.height <= 20

    def test_a_pipeline_within_a_recipe_counts_as_its_processors(self) -> None:
        """A pipeline counts as the processors in it."""
        data = made.encode(made.sample(size=(641, 483)), "JPEG").getvalue()
        nested = opened(make(data, ProcessorPipeline([ResizeToFit(60, 60)])))
        assert psnr(nested, opened(make(data, ResizeToFit(60, 60)))) == 99


class TestMetadata:
    """What goes with the pixels."""

    @staticmethod
    def source(format: str = "JPEG") -> io.BytesIO:
        """Return a picture that tells a lot."""
        exif = Image.Exif()
        exif[0x0112] = 6
        exif[0x013B] = "Ada"
        exif[0x8298] = "(c) Ada"
        exif[0x010F] = "Camera"
        xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6" dc:title="Sea"/>'
        profile = made.make_profile("p3")
        return made.encode(
            made.sample(), format, exif=exif, xmp=xmp, icc_profile=profile, dpi=(300, 300)
        )

    @pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF"])
    def test_no_metadata_is_kept_by_default(self, target: str) -> None:
        """EXIF, XMP, profile, comments and resolution are left out."""
        result = opened(make(self.source(), format=target))
        tags = {0x013B, 0x8298, 0x010F, 0x0112}
        assert not tags & set(result.getexif())
        assert not {"icc_profile", "xmp", "comment", "exif"} & set(result.info)
        data = make(self.source(), format=target).getvalue()
        assert b"Ada" not in data
        assert b"Camera" not in data

    @pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "TIFF"])
    def test_copyright_alone_can_be_kept(self, target: str) -> None:
        """Artist and copyright are kept, and nothing else."""
        exif = opened(make(self.source(), format=target, metadata="copyright")).getexif()
        assert (exif.get(0x013B), exif.get(0x8298)) == ("Ada", "(c) Ada")
        assert 0x010F not in exif

    @pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
    def test_metadata_that_is_to_be_kept_loses_nothing_but_the_orientation(
        self, target: str
    ) -> None:
        """What is kept is still true: the picture has been turned."""
        result = opened(make(self.source(), format=target, metadata="keep"))
        exif = result.getexif()
        assert (exif.get(0x010F), exif.get(0x013B)) == ("Camera", "Ada")
        assert exif.get(0x0112, 1) == 1
        if target != "TIFF":
            assert b"Sea" in make(self.source(), format=target, metadata="keep").getvalue()

    def test_png_comments_are_left_out(self) -> None:
        """Text chunks and a GIF's comment do not pass."""
        gif = made.encode(made.sample("P"), "GIF", comment=b"secret")
        assert b"secret" not in make(gif).getvalue()
        text = made.png(made.png_chunk(b"tEXt", b"Author\0secret"))
        assert b"secret" not in make(text).getvalue()


def test_a_still_imports_nothing_that_it_does_not_need() -> None:
    """The first image of a process pays for what is imported: for animations, icons and libvips."""
    first = """
import io, sys
from PIL import Image
from imagekit_registry.imaging import Limits, Recipe, render
from imagekit_registry.processors import ResizeToFill

file = io.BytesIO()
Image.new("RGB", (60, 40)).save(file, "JPEG")
render(file, Recipe([ResizeToFill(20, 20, "left")]), limits=Limits(), format_options={})
names = ("_animation", "_bitmaps", "_decoder_vips")
print({"pyvips", *(f"imagekit_registry.imaging.{name}" for name in names)} & {*sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", first], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
