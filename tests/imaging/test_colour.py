"""Colours: profiles become sRGB, deep pixels are scaled, alpha and palettes stay where they can."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageCms

from imagekit_registry.processors import ResizeToFit

from . import conftest as made
from .conftest import make, opened


def difference(one: Image.Image, other: Image.Image) -> int:
    """Return the largest difference of any band of any pixel."""
    bands: Any = ImageChops.difference(one, other).getextrema()
    return max(int(high) for _low, high in (bands if isinstance(bands[0], tuple) else (bands,)))


def by_little_cms(image: Image.Image, profile: bytes) -> Image.Image:
    """Return *image* in sRGB, by Pillow's own function."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    result = ImageCms.profileToProfile(
        image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert result is not None
    return result


class TestProfiles:
    """Embedded profiles."""

    @pytest.mark.parametrize(
        ("kind", "mode", "format"),
        [
            ("p3", "RGB", "JPEG"),
            ("p3", "RGB", "PNG"),
            ("adobe", "RGB", "TIFF"),
            ("adobe", "RGB", "WEBP"),
            ("cmyk", "CMYK", "JPEG"),
            ("cmyk", "CMYK", "TIFF"),
        ],
    )
    def test_profile_becomes_srgb(self, kind: str, mode: str, format: str) -> None:
        """Pixels are what LittleCMS makes of them, and no profile is left."""
        profile = made.make_profile(kind)
        file = made.encode(made.sample(mode), format, icc_profile=profile)
        with Image.open(file) as source:
            expected = by_little_cms(source, profile)
        result = opened(make(file, format="PNG"))
        assert result.mode == "RGB"
        assert difference(result, expected) <= 2
        assert difference(result, made.sample(mode).convert("RGB")) > 4
        assert "icc_profile" not in result.info

    @pytest.mark.parametrize("mode", ["L", "LA"])
    def test_grey_profile_stays_grey(self, mode: str) -> None:
        """A grey picture is grey afterwards, only lighter or darker, and keeps its alpha."""
        file = made.encode(made.sample(mode), "PNG", icc_profile=made.make_profile("grey"))
        result = opened(make(file))
        before = made.sample(mode)
        assert result.mode == mode
        assert result.getpixel((40, 20)) != before.getpixel((40, 20))
        assert result.getchannel(mode[-1]).getpixel((3, 40)) is not None
        if mode == "LA":
            assert difference(result.getchannel("A"), before.getchannel("A")) == 0

    def test_alpha_is_no_colour(self) -> None:
        """The alpha of a picture with a profile stays as it is."""
        file = made.encode(made.sample("RGBA"), "PNG", icc_profile=made.make_profile("p3"))
        result = opened(make(file))
        assert result.mode == "RGBA"
        assert difference(result.getchannel("A"), made.sample("RGBA").getchannel("A")) == 0

    @pytest.mark.parametrize(
        "profile",
        [
            b"broken",
            b"\0" * 200,
            made.make_profile("p3")[:300],
            made.make_profile("cmyk"),
            b"x" * 5_000_000,
        ],
        ids=["text", "zeros", "cut", "of other colours", "huge"],
    )
    def test_broken_profile_counts_as_none(self, profile: bytes) -> None:
        """A profile that cannot be used does not cost the picture."""
        file = made.encode(made.sample(), "TIFF", icc_profile=profile)
        assert difference(opened(make(file, format="PNG")), made.sample()) == 0

    def test_srgb_profile_changes_nothing(self) -> None:
        """Pixels in sRGB are left alone, bit by bit."""
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        file = made.encode(made.sample(), "PNG", icc_profile=profile)
        assert difference(opened(make(file)), made.sample()) == 0

    def test_keep_keeps_values_and_profile(self) -> None:
        """`color='keep'` leaves the numbers alone and embeds the profile again."""
        profile = made.make_profile("p3")
        file = made.encode(made.sample(), "PNG", icc_profile=profile)
        result = opened(make(file, color="keep"))
        assert result.info["icc_profile"] == profile
        assert difference(result, made.sample()) == 0

    def test_cmyk_without_profile_is_converted_as_pillow_does(self) -> None:
        """Without a profile CMYK is converted as Pillow does."""
        file = made.encode(made.sample("CMYK"), "JPEG")
        with Image.open(file) as source:
            expected = source.convert("RGB")
        assert difference(opened(make(file, format="PNG")), expected) == 0

    def test_lab_becomes_rgb(self) -> None:
        """LAB is converted by LittleCMS: neutral grey is grey."""
        grey = Image.new("LAB", (4, 4), (128, 128, 128))
        result = opened(make(made.encode(grey, "TIFF"), format="PNG"))
        pixel: Any = result.getpixel((1, 1))
        assert result.mode == "RGB"
        assert max(pixel) - min(pixel) <= 3


class TestDepth:
    """More than 8 bits."""

    @pytest.mark.parametrize(
        ("mode", "format"), [("I;16", "PNG"), ("I;16", "TIFF"), ("I", "TIFF"), ("F", "TIFF")]
    )
    @pytest.mark.parametrize("scaled", [False, True], ids=["full", "scaled"])
    def test_deep_pixels_are_scaled(self, mode: str, format: str, scaled: bool) -> None:
        """Deep grey becomes the same grey in 8 bits: nothing is clipped to white."""
        processors = [ResizeToFit(16)] if scaled else []
        result = opened(make(made.encode(made.sample(mode), format), *processors, format="PNG"))
        expected = opened(make(made.encode(made.sample("L"), "PNG"), *processors))
        assert result.mode == "L"
        assert difference(result, expected) <= 1

    def test_floats_from_zero_to_one_span_black_to_white(self) -> None:
        """Floats within 0 and 1 span black to white."""
        image = made.sample("F").point(lambda value: value * (1 / 255) + 0)
        result = opened(make(made.encode(image, "TIFF"), format="PNG"))
        assert difference(result, made.sample("L")) <= 1

    def test_keep_keeps_the_depth(self) -> None:
        """`color='keep'` leaves 16 bits to a format that holds them."""
        result = opened(make(made.encode(made.sample("I;16"), "PNG"), color="keep"))
        assert result.mode in ("I;16", "I")


class TestAlphaAndPalette:
    """What formats hold and what they do not."""

    @pytest.mark.parametrize("target", ["PNG", "WEBP", "AVIF", "TIFF", "JPEG2000"])
    def test_alpha_is_kept(self, target: str) -> None:
        """A format with alpha gets it."""
        file = made.encode(made.sample("RGBA"), "PNG")
        result = opened(make(file, ResizeToFit(32), format=target)).convert("RGBA")
        alpha: Any = result.getchannel("A").getextrema()
        assert alpha[0] < 20
        assert alpha[1] > 235

    @pytest.mark.parametrize(
        ("background", "expected"),
        [(None, 255), ("black", 0), ("#808080", 128), ((0, 0, 0), 0)],
        ids=["white", "name", "code", "tuple"],
    )
    @pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
    def test_alpha_is_laid_on_the_background(
        self, background: Any, expected: int, mode: str
    ) -> None:
        """A format without alpha shows the background, white by default."""
        clear = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
        source = clear.quantize(4) if mode == "P" else clear.convert(mode)
        result = opened(make(made.encode(source, "PNG"), format="JPEG", background=background))
        assert difference(result.convert("L"), Image.new("L", (16, 16), expected)) <= 2

    def test_gif_has_one_transparent_colour(self) -> None:
        """Half transparent pixels become opaque or transparent, whichever is nearer."""
        file = made.encode(made.sample("RGBA"), "PNG")
        alpha = opened(make(file, format="GIF")).convert("RGBA").getchannel("A")
        assert set(alpha.tobytes()) == {0, 255}
        assert alpha.getpixel((5, 2)) == 0
        assert alpha.getpixel((5, 45)) == 255

    @pytest.mark.parametrize("format", ["PNG", "GIF"])
    def test_palette_stays_without_processors(self, format: str) -> None:
        """What nobody touches keeps its palette, to the colour."""
        file = made.encode(made.sample("P"), format)
        result = opened(make(file))
        assert result.mode == "P"
        assert difference(result.convert("RGB"), made.sample("P").convert("RGB")) == 0

    def test_palette_becomes_true_colour_for_processors(self) -> None:
        """Processors mix colours, which a palette cannot."""
        assert opened(make(made.encode(made.sample("P"), "PNG"), ResizeToFit(20))).mode == "RGB"

    @pytest.mark.parametrize("mode", ["L", "RGB"])
    def test_single_transparent_colour_is_alpha(self, mode: str) -> None:
        """A PNG may declare one colour transparent; scaled, that is alpha."""
        color: Any = 0 if mode == "L" else (0, 0, 0)
        image = Image.new(mode, (32, 32), color)
        image.paste(200 if mode == "L" else (200, 200, 200), (0, 0, 32, 16))
        file = made.encode(image, "PNG", transparency=color)
        result = opened(make(file, ResizeToFit(8))).convert("RGBA")
        alpha = result.getchannel("A")
        assert (alpha.getpixel((4, 0)), alpha.getpixel((4, 7))) == (255, 0)

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
    @pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP", "PDF"])
    def test_every_mode_goes_into_every_format(self, mode: str, target: str) -> None:
        """Whatever comes in can be written, without a word about modes."""
        file = made.encode(made.sample(mode), "TIFF" if mode == "CMYK" else "PNG")
        made_file = make(file, ResizeToFit(32), format=target)
        assert (made_file.format, made_file.width, made_file.height) == (target, 32, 24)


def test_a_profile_is_judged_by_its_content() -> None:
    """One that calls itself sRGB and is another is converted; sRGB under any name is left alone."""
    profile = made.make_profile("p3")
    lying = profile.replace(b"test p3\0", b"sRGB p3\0")
    assert lying != profile
    image = Image.new("RGB", (8, 8), (200, 60, 40))
    honest = made.opened(make(made.encode(image, "PNG", icc_profile=profile)))
    shown = made.opened(make(made.encode(image, "PNG", icc_profile=lying)))
    assert shown.getpixel((4, 4)) == honest.getpixel((4, 4)) != (200, 60, 40)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for data in (srgb, srgb.replace(b"s\0R\0G\0B", b"o\0w\0n\0x")):
        plain = made.opened(make(made.encode(image, "PNG", icc_profile=data)))
        assert plain.getpixel((4, 4)) == (200, 60, 40)
