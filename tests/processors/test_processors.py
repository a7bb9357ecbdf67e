"""All processors: on every mode, with the size they promise, as values."""

# mypy: disable-error-code="arg-type, attr-defined, operator, index, union-attr, misc"
# Wrong arguments are given on purpose.
from __future__ import annotations

import random
import re
from typing import Any

import attrs
import pytest
from django.utils.module_loading import import_string
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from imagekit_registry import processors
from imagekit_registry.exceptions import ImageKitError, InvalidArgument, InvalidArgumentType
from imagekit_registry.processors import (
    AddBorder,
    Adjust,
    Anchor,
    AutoContrast,
    BasicCrop,
    ColorOverlay,
    Convert,
    Crop,
    Detail,
    EdgeCrop,
    GaussianBlur,
    Grayscale,
    Invert,
    MakeOpaque,
    Posterize,
    ProcessorPipeline,
    Reflection,
    Resize,
    ResizeCanvas,
    ResizeToCover,
    ResizeToFill,
    ResizeToFit,
    Rotate,
    RoundedCorners,
    Sharpen,
    SmartCrop,
    SmartResize,
    Thumbnail,
    Transpose,
    TrimBorderColor,
    UnsharpMask,
)
from imagekit_registry.processors.utils import (
    color_count,
    has_alpha,
    histogram_entropy_py,
)
from imagekit_registry.specs import digest
from tests.processors.conftest import MODES, make_image

EXAMPLES = [
    AddBorder(3),
    AddBorder((1, 2), color="#f00"),
    Adjust(color=0.5, brightness=1.2, contrast=1.2, sharpness=1.1),
    AutoContrast(2),
    BasicCrop(5, 5, 20, 20),
    ColorOverlay("#ff0000", 0.3),
    Convert("L"),
    Convert("RGBA"),
    Crop(20, 10),
    Crop(20, 10, x=3, y=4),
    Detail(),
    EdgeCrop(20, 10, left=10, bottom=5),
    GaussianBlur(1),
    Grayscale(),
    Invert(),
    MakeOpaque(),
    Posterize(3),
    Reflection(size=0.3),
    Resize(30, 31),
    ResizeCanvas(100, 30),
    ResizeToCover(30, 30),
    ResizeToFill(30, 30, anchor="tl"),
    ResizeToFill(30, 30, target=(0.1, 0.9), zoom=40),
    ResizeToFit(30, 30),
    ResizeToFit(30, 30, zoom=40),
    ResizeToFit(90, 30, mat_color="#fff"),
    Rotate(30),
    Rotate(90),
    RoundedCorners(8),
    Sharpen(),
    SmartCrop(20, 20),
    SmartResize(20, 20),
    Thumbnail(20, 20),
    Thumbnail(20),
    Transpose(),
    Transpose(Transpose.ROTATE_90),
    TrimBorderColor(),
    UnsharpMask(),
]

#: What makes every pixel opaque, or promises another mode.
LOSES_ALPHA = (MakeOpaque, Convert)


def _name(value: Any) -> str:
    return re.sub(r" at 0x\w+", "", repr(value))[:60]


class TestEveryMode:
    """No mode that Pillow opens is a problem for any processor."""

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("processor", EXAMPLES, ids=_name)
    def test_every_processor_gives_an_image_of_the_promised_size(
        self, processor: Any, mode: str
    ) -> None:
        """What a processor says of the result's size holds exactly."""
        image = make_image(mode)
        result = processor.process(image)
        result.load()
        promise = getattr(processor, "output_size", lambda size: None)(image.size)
        assert promise is None or result.size == promise

    @pytest.mark.parametrize("mode", ["LA", "RGBA", "P+transparency", "RGB+transparency", "PA"])
    @pytest.mark.parametrize(
        "processor",
        [item for item in EXAMPLES if not isinstance(item, LOSES_ALPHA)],
        ids=_name,
    )
    def test_every_processor_keeps_transparency(self, processor: Any, mode: str) -> None:
        """An alpha band, or a transparent colour, is not lost on the way."""
        assert has_alpha(processor.process(make_image(mode)))

    @pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "YCbCr"])
    @pytest.mark.parametrize(
        "processor",
        [Resize(30, 31), ResizeToFill(30, 30), ResizeToFit(30, 30), Crop(20, 10), Thumbnail(9, 9)],
        ids=_name,
    )
    def test_scaling_and_cutting_keep_the_mode(self, processor: Any, mode: str) -> None:
        """A photograph does not get an alpha band by being made smaller."""
        assert processor.process(make_image(mode)).mode == mode

    @pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
    def test_wide_values_are_scaled_right(self, mode: str) -> None:
        """Sixteen bits stay sixteen bits, with the same brightness."""
        image = make_image(mode, (256, 64))
        result = Resize(128, 32).process(image).convert("I")
        for x in (10, 64, 120):
            expected = image.convert("I").getpixel((x * 2, 32))
            assert abs(result.getpixel((x, 16)) - expected) < 600

    def test_bytes_in_a_wide_mode_stay_bright(self) -> None:
        """Scaling overshoots 255 at sharp edges; the picture does not turn black for that."""
        checks = Image.new("I", (60, 60), 0)
        checks.paste(255, (0, 0, 30, 60))
        assert Resize(41, 41).process(checks).getextrema()[1] > 255
        result = ResizeToFit(41, 50, mat_color="red").process(checks)
        assert result.getpixel((5, 25)) == (255, 255, 255)

    def test_no_colour_bleeds_out_of_transparent_parts(self) -> None:
        """Pixels are multiplied by their alpha before they are mixed."""
        image = Image.new("RGBA", (100, 100), (255, 0, 0, 0))
        image.paste((0, 0, 255, 255), (50, 0, 100, 100))
        result = Resize(25, 25).process(image)
        assert all(
            pixel[0] < 10 for pixel in (result.getpixel((x, 12)) for x in range(25)) if pixel[3]
        )

    def test_the_image_that_came_in_is_left_as_it_was(self) -> None:
        """Several recipes may work on one decoded image."""
        for mode in MODES:
            for processor in EXAMPLES:
                image = make_image(mode, (20, 16))
                before = (image.mode, image.size, image.tobytes())
                processor.process(image)
                assert (image.mode, image.size, image.tobytes()) == before


class TestGeometry:
    """Sizes and places."""

    @pytest.mark.parametrize(
        ("processor", "source", "expected"),
        [
            (ResizeToFill(100, 60), (640, 427), (100, 60)),
            (ResizeToFill(300, 200), (20000, 1), (300, 200)),
            (ResizeToFill(300, 200), (1, 20000), (300, 200)),
            (SmartResize(300, 200), (20000, 1), (300, 200)),
            (Thumbnail(300, 200, upscale=True), (20000, 1), (300, 200)),
            (ResizeToFit(100, 100), (20000, 1), (100, 1)),
            (ResizeToFit(100), (640, 427), (100, 67)),
            (ResizeToFit(None, 100), (640, 427), (150, 100)),
            (ResizeToFit(1000, 1000, upscale=False), (640, 427), (640, 427)),
            (ResizeToFit(100, 100, mat_color="#000"), (640, 427), (100, 100)),
            (ResizeToFill(800, 800, upscale=False), (640, 427), (640, 427)),
            (Thumbnail(1000, 1000), (640, 427), (640, 427)),
            (ResizeToCover(100, 100), (640, 427), (150, 100)),
            (Crop(1000, 100), (640, 427), (640, 100)),
            (ResizeToFill(100, 100, zoom=40), (640, 427), (100, 100)),
            (ResizeToFill(300, 200, target=(1, 1)), (20000, 1), (300, 200)),
            (ResizeToFill(100, 100, upscale=False, zoom=40), (120, 120), (100, 100)),
            (ResizeToFill(100, 100, upscale=False, zoom=40), (90, 120), (90, 100)),
            (ResizeToFit(100, 100, zoom=40), (2400, 3620), (66, 100)),
            (ResizeToFit(100, 100, upscale=False, zoom=40), (80, 60), (80, 60)),
            (ResizeToCover(100, 100, zoom=40), (200, 100), (280, 140)),
            (SmartResize(100, 100, zoom=40), (200, 100), (100, 100)),
            (EdgeCrop(100, 100, top=10), (150, 80), (100, 80)),
            (AddBorder((1, 2, 3, 4)), (10, 10), (16, 14)),
        ],
        ids=_name,
    )
    def test_results_have_the_size_that_was_asked_for(
        self, processor: Any, source: tuple[int, int], expected: tuple[int, int]
    ) -> None:
        """In promise and in fact, for thin images too."""
        assert processor.output_size(source) == expected
        assert processor.process(Image.new("RGB", source)).size == expected

    @pytest.mark.parametrize(
        "anchor", ["tl", "t", "tr", "l", "c", "r", "bl", "b", "br", (0.2, 0.8)]
    )
    def test_filling_is_scaling_and_then_cutting(self, anchor: Any) -> None:
        """Cutting before scaling saves work, and shows in no pixel."""
        image = make_image("RGB", (301, 203))
        covering = ResizeToCover(50, 50).process(image)
        expected = Crop(50, 50, anchor=anchor).process(covering)
        result = ResizeToFill(50, 50, anchor=anchor).process(image)
        differences = zip(expected.tobytes(), result.tobytes(), strict=True)
        assert max(abs(one - other) for one, other in differences) <= 2

    @pytest.mark.parametrize(
        ("words", "letters"),
        [
            ("top", "t"),
            ("left", "l"),
            ("center", "c"),
            ("Top Left", "tl"),
            ("right top", "tr"),
            ("bottom-right", "br"),
            ("center top", "t"),
        ],
    )
    def test_an_anchor_in_words_is_the_same_recipe(self, words: str, letters: str) -> None:
        """As an argument, and to whoever asks for its fractions."""
        told = ResizeToFill(9, 9, anchor=words)
        assert told == ResizeToFill(9, 9, anchor=letters)
        assert digest(told) == digest(ResizeToFill(9, 9, anchor=letters))
        assert Anchor.get_tuple(words) == Anchor.get_tuple(letters)

    @pytest.mark.parametrize(
        ("text", "fractions"),
        [
            ("20% 80%", (0.2, 0.8)),
            ("0% 100%", (0, 1)),
            ("12.5%  50%", (0.125, 0.5)),
            ("Right 20%", (1, 0.2)),
            ("20% center", (0.2, 0.5)),
        ],
    )
    def test_percentages_are_the_same_recipe_as_fractions(
        self, text: str, fractions: tuple[float, float]
    ) -> None:
        """From the left first, and from the top second; as CSS places an image."""
        told = ResizeToFill(9, 9, anchor=text)
        assert told == ResizeToFill(9, 9, anchor=fractions)
        assert digest(told) == digest(ResizeToFill(9, 9, anchor=fractions))

    def test_the_anchor_says_what_stays(self) -> None:
        """The left part is kept by an anchor to the left."""
        image = Image.new("RGB", (200, 100), "red")
        image.paste("blue", (100, 0, 200, 100))
        assert ResizeToFill(50, 50, anchor=Anchor.LEFT).process(image).getpixel((25, 25)) == (
            255,
            0,
            0,
        )
        right = ResizeToFill(50, 50, anchor=(1, 0.5)).process(image)
        assert right.getpixel((25, 25)) == (0, 0, 255)

    @pytest.mark.parametrize(
        ("target", "left"), [((0, 0.5), 0), ((0.29, 0), 19), ((0.5, 1), 40), ((1, 1), 80)]
    )
    def test_a_target_comes_into_the_middle_as_far_as_edges_allow(
        self, target: tuple[float, float], left: int
    ) -> None:
        """Of 100 pixels 20 are kept, half of them before the point."""
        image = make_image("RGB", (100, 20))
        result = ResizeToFill(20, 20, target=target).process(image)
        assert result.tobytes() == image.crop((left, 0, left + 20, 20)).tobytes()

    def test_zoom_shows_less_of_the_picture(self) -> None:
        """By 100 per cent: a quarter of what there would be, around target or middle."""
        image = make_image("RGB", (80, 80))
        expected = image.crop((20, 20, 60, 60)).tobytes()
        assert ResizeToFill(40, 40, zoom=100).process(image).tobytes() == expected
        assert ResizeToFit(40, 40, zoom=100).process(image).tobytes() == expected
        cornered = ResizeToFit(40, 40, zoom=100, target=(0, 1)).process(image)
        assert cornered.tobytes() == image.crop((0, 40, 40, 80)).tobytes()
        assert ResizeToFill(80, 80, upscale=False, zoom=50).process(image) is image

    @pytest.mark.parametrize(
        ("edges", "start"),
        [
            ({}, (30, 20)),
            ({"left": 0, "top": 0}, (0, 0)),
            ({"right": 0, "bottom": 0}, (60, 40)),
            ({"left": 10}, (4, 20)),
            ({"right": 25, "top": 5}, (50, 2)),
            ({"left": 100, "bottom": 100}, (40, 0)),
        ],
        ids=str,
    )
    def test_an_edge_crop_starts_at_its_distance(
        self, edges: dict[str, int], start: tuple[int, int]
    ) -> None:
        """In per cent of what is kept; where nothing is said, in the middle; never outside."""
        image = make_image("RGB", (100, 80))
        box = (*start, start[0] + 40, start[1] + 40)
        assert EdgeCrop(40, 40, **edges).process(image).tobytes() == image.crop(box).tobytes()

    def test_a_crop_by_coordinates_starts_there(self) -> None:
        """Positive distances, or the negative offsets that pilkit wants."""
        image = make_image("RGB", (64, 48))
        for x, y in ((10, 5), (-10, -5)):
            assert Crop(20, 20, x=x, y=y).process(image).tobytes() == (
                image.crop((10, 5, 30, 25)).tobytes()
            )

    def test_smart_crop_keeps_the_detail(self) -> None:
        """The empty part goes."""
        image = Image.new("RGB", (400, 100), "white")
        image.paste(Image.effect_noise((100, 100), 80).convert("RGB"), (250, 0))
        left, _, right, _ = SmartCrop(100, 100).find_box(image)
        assert left >= 230
        assert right <= 370

    def test_smart_crop_compares_slices_of_the_whole_image(self) -> None:
        """What one axis cuts off still counts for the other, as it does for pilkit."""
        chance = random.Random(1)

        def noise(levels: int) -> Image.Image:
            data = bytes(value % levels for value in chance.randbytes(100 * 100))
            return Image.frombytes("L", (100, 100), data)

        image = Image.new("L", (200, 200), 0)
        image.paste(noise(256), (0, 0))
        image.paste(noise(32), (100, 0))
        image.paste(noise(128), (100, 100))
        assert SmartCrop(100, 100).find_box(image) == (100, 0, 200, 100)

    def test_a_border_is_trimmed(self) -> None:
        """On the sides that are asked for, and only as far as it reaches."""
        image = Image.new("RGB", (100, 80), "white")
        image.paste("black", (30, 20, 60, 50))
        assert TrimBorderColor().process(image).size == (30, 30)
        assert TrimBorderColor(sides=("t",)).process(image).size == (100, 60)
        assert TrimBorderColor().process(Image.new("RGB", (9, 9), "red")).size == (9, 9)

    @pytest.mark.parametrize("color", [None, (255, 255, 255, 0)], ids=["found", "given"])
    @pytest.mark.parametrize("mode", ["RGBA", "LA"])
    def test_a_transparent_border_is_trimmed_whatever_is_hidden_in_it(
        self, mode: str, color: Any
    ) -> None:
        """Nobody sees the colours of transparent pixels."""
        logo = Image.effect_noise((100, 100), 64).convert(mode)
        alpha = Image.new("L", logo.size, 0)
        alpha.paste(255, (20, 30, 80, 80))
        logo.putalpha(alpha)
        assert TrimBorderColor(color).process(logo).size == (60, 50)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_transposing_by_exif_makes_it_upright(self, orientation: int) -> None:
        """Each of the eight orientations of the EXIF standard."""
        image = Image.new("RGB", (40, 20), "red")
        image.paste("blue", (0, 0, 10, 10))
        exif = image.getexif()
        exif[0x0112] = orientation
        import io

        buffer = io.BytesIO()
        image.save(buffer, "PNG", exif=exif)
        with Image.open(buffer) as opened:
            result = Transpose().process(opened)
        assert result.size == ((40, 20) if orientation < 5 else (20, 40))

    def test_a_reduced_decode_gives_the_same_size_and_picture(self, photos: Any) -> None:
        """A resizer that is given a smaller decode answers for the whole image."""
        with Image.open(photos / "hubble_deep_field.jpg") as source:
            image = source.convert("RGB")
        small = image.resize((501, 436), Image.Resampling.LANCZOS)
        for processor in (
            Resize(90, 71),
            ResizeToFill(100, 60),
            ResizeToFit(77),
            SmartResize(50, 50),
            ResizeToCover(60, 60),
            Thumbnail(60, 40, anchor="br"),
            ResizeToFill(40, 40, target=(0.2, 0.8), zoom=40),
            ResizeToFit(40, 40, zoom=40),
        ):
            full = processor.process(image)
            reduced = processor.process_reduced(small, image.size)
            assert reduced.size == full.size
            assert reduced.size == processor.output_size(image.size)


class TestColours:
    """What is done to colours."""

    def test_a_colour_is_laid_over(self) -> None:
        """Half of each."""
        result = ColorOverlay((255, 0, 0), 0.5).process(Image.new("RGB", (4, 4), (0, 0, 255)))
        red, green, blue = result.getpixel((0, 0))
        assert abs(red - 128) <= 1
        assert (green, abs(blue - 127) <= 1) == (0, True)

    def test_what_was_transparent_gets_a_background(self) -> None:
        """A plain one, of the colour that is asked for."""
        image = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
        assert MakeOpaque((0, 255, 0)).process(image).getpixel((0, 0)) == (0, 255, 0)

    def test_nothing_to_adjust_changes_nothing(self) -> None:
        """Factors of one."""
        image = make_image("RGB")
        assert Adjust().process(image).tobytes() == image.tobytes()

    @pytest.mark.parametrize("target", ["RGBa", "La", "PA", "CMYK", "LAB", "I;16", "1", "F"])
    @pytest.mark.parametrize("mode", MODES)
    def test_any_mode_becomes_any_other(self, mode: str, target: str) -> None:
        """By way of true colours where Pillow knows no direct one."""
        assert Convert(target).process(make_image(mode)).mode == target

    def test_corners_are_cut_round(self) -> None:
        """The corner is transparent, the middle is not."""
        result = RoundedCorners(10).process(Image.new("RGB", (40, 40), "red"))
        corners = [result.getpixel(place)[3] for place in ((0, 0), (39, 0), (0, 39), (39, 39))]
        assert corners == [0, 0, 0, 0]
        assert result.getpixel((20, 20))[3] == 255
        assert result.getpixel((20, 0))[3] == 255


class Square(ResizeToFill):
    """A subclass as it is written for pilkit."""

    def __init__(self, side: int) -> None:
        super().__init__(side, side)
        self.side = side
        self.notes = ["anything"]


class Bare(Resize):
    """A subclass that does not call its base."""

    def __init__(self, side: int) -> None:
        self.width = self.height = side
        self.upscale = True


class Striped(MakeOpaque):
    """A subclass whose background is no colour."""

    background_color: Any

    def __init__(self) -> None:
        self.background_color = ["red", "white"]


class TestValues:
    """Processors are values; subclasses of them are what their authors make of them."""

    @pytest.mark.parametrize("processor", [*EXAMPLES, Square(9), Bare(9)], ids=_name)
    def test_a_copy_of_a_processor_is_equal(self, processor: Any, duplicate: Any) -> None:
        """Two with the same arguments are the same."""
        other = duplicate(processor)
        assert other == processor
        assert hash(other) == hash(processor)
        assert repr(other) == repr(processor)

    @pytest.mark.parametrize("processor", EXAMPLES, ids=_name)
    def test_our_processors_are_frozen(self, processor: Any) -> None:
        """What names a file cannot be changed behind its back."""
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            processor.width = 1

    @pytest.mark.parametrize("subclass", [Square, Bare])
    def test_a_subclass_may_set_attributes(self, subclass: Any) -> None:
        """It works, and is compared by all of them."""
        assert subclass(9).process(make_image("RGB")).size == (9, 9)
        assert subclass(9) == subclass(9)
        assert subclass(9) != subclass(8)
        other = subclass(9)
        other.side = 5
        assert other != subclass(9)

    def test_a_subclass_may_keep_anything_under_a_name_of_its_base(self) -> None:
        """Its attributes are its own: they are neither checked nor converted."""
        assert digest(Striped()) == digest(Striped())
        assert Striped() == Striped()

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (ResizeToFill(2.0, 2), ResizeToFill(2, 2)),
            (Adjust(contrast=2), Adjust(contrast=2.0)),
            (AddBorder([1, 2]), AddBorder((1, 2))),
            (ResizeToFill(5, 5, anchor=[0, 1]), ResizeToFill(5, 5, anchor=(0.0, 1.0))),
            (MakeOpaque([1, 2, 3]), MakeOpaque((1, 2, 3))),
            (TrimBorderColor(sides=["t"]), TrimBorderColor(sides=("t",))),
            (Thumbnail(5, 5, crop=1), Thumbnail(5, 5, crop=True)),
            (Thumbnail(5, 5, anchor="t"), Thumbnail(5, 5, anchor="t", crop=True)),
            (Thumbnail(anchor="t").crop, True),
        ],
        ids=_name,
    )
    def test_processors_that_mean_the_same_are_equal(self, one: Any, other: Any) -> None:
        """However the arguments are written."""
        assert one == other
        assert repr(one) == repr(other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (MakeOpaque("#FFF"), MakeOpaque((255, 255, 255))),
            (AddBorder(3, "red"), AddBorder(3, (255, 0, 0, 255))),
            (ResizeToFill(5, 5, anchor="tl"), ResizeToFill(5, 5, anchor=(0, 0))),
        ],
        ids=_name,
    )
    def test_what_looks_the_same_is_the_same(self, one: Any, other: Any) -> None:
        """An attribute stays as it was given, but equal recipes make one file."""
        assert one == other
        assert hash(one) == hash(other)
        assert digest(one) == digest(other)
        assert repr(one) != repr(other)

    @pytest.mark.parametrize(
        ("make", "error", "message"),
        [
            (lambda: ResizeToFill(0, 5), InvalidArgument, "ResizeToFill.*'width'.*not 0"),
            (lambda: ResizeToFill("5", 5), InvalidArgumentType, "ResizeToFill.*'width'.*'5'"),
            (lambda: ResizeToFill(5), InvalidArgumentType, "'height'"),
            (lambda: Resize(5, 10**9), InvalidArgument, "'height'.*65535"),
            (lambda: ResizeToFill(5, 5, anchor="x"), InvalidArgument, "anchor 'x'"),
            (lambda: ResizeToFill(5, 5, anchor="north"), InvalidArgument, "'top left' or 'cent"),
            (lambda: ResizeToFill(5, 5, anchor="top bottom"), InvalidArgument, "anchor 'top b"),
            (lambda: ResizeToFill(5, 5, anchor=""), InvalidArgument, "anchor ''"),
            (lambda: ResizeToFill(5, 5, anchor="20%"), InvalidArgument, "'20%'.*'20% 80%'"),
            (lambda: ResizeToFill(5, 5, anchor="20% 101%"), InvalidArgument, "'20% 101%'"),
            (lambda: ResizeToFill(5, 5, anchor="-1% 50%"), InvalidArgument, "'-1% 50%'"),
            (lambda: ResizeToFill(5, 5, anchor="top 20%"), InvalidArgument, "'top 20%'"),
            (lambda: Adjust(contrast="a"), InvalidArgumentType, "Adjust.*'contrast'"),
            (lambda: Adjust(contrast=float("nan")), InvalidArgument, "Adjust.*'contrast'"),
            (lambda: ColorOverlay("reddish"), InvalidArgument, "ColorOverlay.*'color'"),
            (lambda: MakeOpaque((1, 2)), InvalidArgument, "MakeOpaque.*'background_color'"),
            (lambda: GaussianBlur(-1), InvalidArgument, "GaussianBlur.*'radius'"),
            (lambda: AddBorder((1, 2, 3)), InvalidArgument, "AddBorder.*'thickness'"),
            (lambda: Crop(5, 5, anchor="c", x=1), InvalidArgument, "not both"),
            (
                lambda: Thumbnail(5, crop=True).process(Image.new("L", (9, 9))),
                InvalidArgument,
                "both 'width' and 'height'",
            ),
            (lambda: Thumbnail(5, 5, anchor="c", crop=False), InvalidArgument, "'crop' is False"),
            (lambda: TrimBorderColor(tolerance=2), InvalidArgument, "'tolerance'"),
            (lambda: Transpose("x"), InvalidArgument, "Transpose"),
            (lambda: Convert("XYZ"), InvalidArgument, "Convert.*'mode'"),
            (lambda: Convert(["L"]), InvalidArgument, "Convert.*'mode'"),
            (lambda: TrimBorderColor(sides=[["t"]]), InvalidArgument, "TrimBorderColor.*'sides'"),
        ],
    )
    def test_wrong_arguments_of_a_processor_are_named(
        self, make: Any, error: type[Exception], message: str
    ) -> None:
        """Processor, argument, what was expected and what came."""
        with pytest.raises(error, match=message) as caught:
            make()
        assert isinstance(caught.value, ImageKitError)
        assert isinstance(caught.value, ValueError | TypeError)


class Custom:
    """A processor that says nothing of sizes."""

    def process(self, image: Image.Image) -> Image.Image:
        return image


class TestPipelines:
    """What a row of processors needs, and gives."""

    @pytest.mark.parametrize(
        ("pipeline", "expected"),
        [
            ([ResizeToFit(100, 100)], (100, 67)),
            ([Adjust(contrast=2), ResizeToFit(100, 100)], (100, 67)),
            ([Adjust(sharpness=2), ResizeToFit(100, 100)], None),
            ([GaussianBlur(2), ResizeToFit(100, 100)], None),
            ([Crop(100, 100, x=5, y=5), ResizeToFit(50, 50)], None),
            ([TrimBorderColor(), ResizeToFit(50, 50)], None),
            ([Custom(), ResizeToFit(50, 50)], None),
            ([ResizeToFill(60, 60), GaussianBlur(2)], (90, 60)),
            ([Adjust(contrast=2)], None),
            ([], None),
        ],
        ids=_name,
    )
    def test_the_first_processor_that_is_not_about_single_pixels_decides(
        self, pipeline: Any, expected: Any
    ) -> None:
        """What is pixel-exact, or says nothing, gets every pixel."""
        assert ProcessorPipeline(pipeline).required_size((640, 427)) == expected

    def test_a_pipeline_is_a_processor(self) -> None:
        """Its size is that of the last; unknown if one does not say."""
        pipeline = ProcessorPipeline([ResizeToFill(60, 60), AddBorder(2)])
        assert pipeline.output_size((640, 427)) == (64, 64)
        assert pipeline.process(make_image("RGB")).size == (64, 64)
        assert ProcessorPipeline([Custom(), AddBorder(2)]).output_size((5, 5)) is None


sides = st.integers(1, 90)
shares = st.floats(0, 1)
anchors = st.one_of(
    st.sampled_from(["tl", "t", "tr", "l", "c", "r", "bl", "b", "br", None]),
    st.tuples(shares, shares),
)
colors = st.one_of(
    st.none(),
    st.sampled_from(["#123", "white", "rgba(1, 2, 3, 0)"]),
    st.tuples(*[st.integers(0, 255)] * 3),
    st.tuples(*[st.integers(0, 255)] * 4),
)
some_color = colors.filter(lambda color: color is not None)
factors = st.floats(-2, 3)
any_scaler = st.one_of(
    st.builds(Resize, sides, sides, st.booleans()),
    st.builds(ResizeToFill, sides, sides, anchors, st.booleans()),
    st.builds(
        ResizeToFill, sides, sides, target=st.tuples(shares, shares), zoom=st.integers(0, 200)
    ),
    st.builds(ResizeToFit, sides, sides, zoom=st.integers(0, 200)),
    st.builds(SmartResize, sides, sides, st.booleans()),
    st.builds(ResizeToFit, sides, st.one_of(st.none(), sides), st.booleans()),
    st.builds(ResizeToFit, st.none(), sides, st.booleans(), colors, anchors),
    st.builds(ResizeToFit, sides, sides, st.booleans(), colors, anchors),
    st.builds(ResizeToCover, sides, sides, st.booleans()),
    st.builds(Thumbnail, sides, sides, anchors, st.none(), st.booleans()),
    st.builds(Thumbnail, sides, st.one_of(st.none(), sides), st.none(), st.just(False)),
)
any_processor = st.one_of(
    any_scaler,
    st.builds(Crop, sides, sides, anchors),
    st.builds(Crop, sides, sides, st.none(), st.integers(-90, 90), st.integers(-90, 90)),
    st.builds(SmartCrop, sides, sides),
    st.builds(EdgeCrop, sides, sides, left=st.integers(0, 100), bottom=st.integers(0, 100)),
    st.builds(BasicCrop, sides, sides, sides, sides),
    st.builds(ResizeCanvas, sides, sides, colors, anchors),
    st.builds(ResizeCanvas, sides, sides, colors, st.none(), st.integers(-90, 90)),
    st.builds(AddBorder, st.lists(st.integers(0, 9), min_size=4, max_size=4), colors),
    st.builds(Reflection, some_color, shares, shares),
    st.builds(Rotate, st.sampled_from([0, 90, 180, -90, 45, 12.5]), st.booleans(), colors),
    st.builds(TrimBorderColor, colors, shares, st.sets(st.sampled_from("trbl"))),
    st.builds(Adjust, factors, factors, factors, factors),
    st.builds(ColorOverlay, some_color, shares),
    st.builds(MakeOpaque, some_color),
    st.builds(Convert, st.sampled_from(["1", "L", "LA", "P", "RGBA", "CMYK", "LAB", "I;16", "F"])),
    st.builds(Transpose, st.sampled_from(list(Image.Transpose)), st.just(Transpose.ROTATE_90)),
    st.builds(GaussianBlur, st.floats(0, 20)),
    st.builds(UnsharpMask, st.floats(0, 20), st.integers(0, 500), st.integers(0, 255)),
    st.builds(RoundedCorners, sides),
    st.builds(Posterize, st.integers(1, 8)),
    st.builds(AutoContrast, st.floats(0, 49)),
)
fast = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


@fast
@given(processor=any_processor, mode=st.sampled_from(MODES), width=sides, height=sides)
def test_any_processor_on_any_image_keeps_its_promise(
    processor: Any, mode: str, width: int, height: int
) -> None:
    """Any argument, any mode, any size: an image of the promised size, and not without pixels."""
    image = make_image(mode, (width, height))
    result = processor.process(image)
    assert min(result.size) >= 1
    promise = getattr(processor, "output_size", lambda size: None)(image.size)
    assert promise is None or result.size == promise


@fast
@given(
    processor=any_scaler,
    mode=st.sampled_from(["L", "RGB", "RGBA", "CMYK", "I;16"]),
    width=sides,
    height=sides,
    spare=st.tuples(shares, shares),
)
def test_any_decode_that_serves_gives_the_same_size(
    processor: Any, mode: str, width: int, height: int, spare: tuple[float, float]
) -> None:
    """From the least decode that was asked for up to the whole image, sides rounded as they come."""
    source = width, height
    least = processor.required_size(source)
    decoded = [
        low + round((high - low) * share) if low < high else high
        for low, high, share in zip(least, source, spare, strict=True)
    ]
    result = processor.process_reduced(make_image(mode, tuple(decoded)), source)
    assert result.size == processor.output_size(source)


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.lists(st.integers(-5, 300), max_size=5),
    st.tuples(st.floats(), st.floats()),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
    st.builds(object),
)


def _attempt(make: Any, arguments: list[Any]) -> Any:
    try:
        return make(*arguments)
    except (TypeError, ValueError) as error:
        return error


@fast
@given(
    make=st.sampled_from([type(item) for item in EXAMPLES]),
    arguments=st.lists(st.one_of(sides, anything), max_size=4),
)
def test_any_arguments_make_a_processor_or_an_error_of_ours(make: Any, arguments: Any) -> None:
    """Nothing strange waits until the image is made; the wrong number of arguments is Python's."""
    processor = _attempt(make, arguments)
    if isinstance(processor, ImageKitError):
        assert make.__name__ in str(processor)
        return
    if isinstance(processor, TypeError):
        assert re.search(r"__init__\(\) .*argument", str(processor))
        return
    assert hash(processor) == hash(make(*arguments))
    if max(getattr(processor, "output_size", lambda size: size)((9, 9)) or (0,)) < 10_000:
        assert min(processor.process(make_image("RGB", (9, 9))).size) >= 1


def test_every_public_processor_is_in_the_examples() -> None:
    """A new processor does not escape these tests."""
    named = {
        name
        for name in processors.__all__
        if hasattr(getattr(processors, name), "process")
        and name not in {"Processor", "SizedProcessor", "ProcessorPipeline"}
    }
    assert named == {type(item).__name__ for item in EXAMPLES}


def test_anchors_are_where_pilkit_has_them() -> None:
    """Code for pilkit imports them from its module of crops."""
    assert import_string("imagekit_registry.processors.crop.Anchor") is Anchor


def test_helpers_of_pilkit_count_as_pillow_does() -> None:
    """Colour values, and the entropy of their histogram."""
    image = Image.linear_gradient("L").resize((40, 30))
    assert color_count(image.convert("RGB")) == 3 * color_count(image) == 3600
    assert histogram_entropy_py(image) == pytest.approx(image.entropy())
    assert histogram_entropy_py(Image.new("L", (9, 9), "red")) == 0
