"""Colours: profiles become sRGB, deep pixels are scaled, alpha and palettes stay where they can."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageCms

from imagekit_registry.imaging import Recipe, get_decoder, render
from imagekit_registry.processors import ResizeToFit

from . import conftest as made
from .conftest import make, opened

#: White, red, green and blue of Display P3, as a PNG says it.
PRIMARIES_OF_P3 = [31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000]


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
    def test_a_profile_becomes_srgb(self, kind: str, mode: str, format: str) -> None:
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

    def test_a_profile_leaves_alpha_as_it_is(self) -> None:
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

    def test_colours_that_are_to_be_kept_keep_values_and_profile(self) -> None:
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

    def test_colours_that_are_to_be_kept_keep_their_depth(self) -> None:
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
        """Processors mix colours, which a palette cannot; what is written may have another one."""
        modes: list[str] = []

        class Noting:
            def process(self, image: Image.Image) -> Image.Image:
                modes.append(image.mode)
                return image

        make(made.encode(made.sample("P"), "PNG"), ResizeToFit(20), Noting())
        assert modes == ["RGB"]

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


def named(format: str, primaries: int, transfer: int, color: tuple[int, int, int]) -> bytes:
    """Return a picture of one colour, of which code points say what it means."""
    image = Image.new("RGB", (16, 16), color)
    if format == "PNG":
        chunk = made.png_chunk(b"cICP", bytes([primaries, transfer, 0, 1]))
        return with_chunks(image, chunk)
    data = made.encode(image, "AVIF", quality=100, subsampling="4:4:4").getvalue()
    place = data.index(b"colrnclx") + 8
    return data[:place] + struct.pack(">HH", primaries, transfer) + data[place + 4 :]


def with_chunks(image: Image.Image, *chunks: bytes) -> bytes:
    """Return a PNG with more chunks behind its header."""
    data = made.encode(image, "PNG").getvalue()
    return data[:33] + b"".join(chunks) + data[33:]


def is_near(result: Image.Image, color: tuple[int, int, int], most: int) -> bool:
    """Return whether a picture has a colour, with up to *most* of 255 more or less in each band."""
    shown = result.convert("RGB").getpixel((8, 8))
    assert isinstance(shown, tuple)
    return all(abs(one - other) <= most for one, other in zip(shown, color, strict=True))


class TestNamedColours:
    """Colours that no profile tells of, as Chromium shows them."""

    @pytest.mark.parametrize("format", ["PNG", "AVIF"])
    @pytest.mark.parametrize(
        ("primaries", "transfer", "color", "shown"),
        [
            pytest.param(1, 13, (200, 120, 60), (200, 120, 60), id="srgb"),
            pytest.param(12, 13, (200, 120, 60), (213, 115, 42), id="p3"),
            pytest.param(9, 13, (200, 120, 60), (237, 105, 40), id="rec2020"),
            pytest.param(1, 8, (128, 60, 200), (188, 133, 229), id="linear"),
            pytest.param(9, 16, (64, 64, 64), (30, 30, 30), id="pq-dark"),
            pytest.param(9, 16, (148, 148, 148), (187, 187, 187), id="pq-paper"),
            pytest.param(9, 16, (255, 255, 255), (255, 255, 255), id="pq-peak"),
            pytest.param(1, 16, (60, 120, 100), (25, 116, 76), id="pq-srgb"),
            pytest.param(9, 18, (96, 96, 96), (71, 71, 71), id="hlg-dark"),
            pytest.param(9, 18, (192, 192, 192), (189, 189, 189), id="hlg-paper"),
            pytest.param(9, 18, (200, 120, 60), (230, 76, 29), id="hlg"),
            pytest.param(2, 2, (200, 120, 60), (200, 120, 60), id="unspecified"),
            pytest.param(77, 99, (200, 120, 60), (200, 120, 60), id="unknown"),
        ],
    )
    def test_code_points_are_heeded(
        self, format: str, primaries: int, transfer: int, color: Any, shown: Any
    ) -> None:
        """Bright ones (PQ and HLG) get room below the screen's white."""
        result = opened(make(named(format, primaries, transfer, color), format="PNG"))
        assert is_near(result, shown, 4)
        assert "icc_profile" not in result.info

    def test_film_is_shown_as_screens_show_it_in_a_png(self) -> None:
        """So browsers take it."""
        assert is_near(opened(make(named("PNG", 9, 1, (200, 120, 60)))), (235, 96, 22), 4)

    def test_film_is_srgb_in_AVIF(self) -> None:  # noqa: N802 - conftest looks for the format
        """So browsers take it."""
        data = named("AVIF", 9, 1, (200, 120, 60))
        assert is_near(opened(make(data, format="PNG")), (235, 105, 38), 4)

    @pytest.mark.parametrize("decoder", ["pillow", "vips"])
    def test_bright_colours_are_mapped_by_every_decoder(self, decoder: str) -> None:
        """Also where a decoder of its own could scale the picture."""
        result = render(
            io.BytesIO(named("PNG", 9, 16, (148, 148, 148))),
            Recipe([ResizeToFit(12)], format="PNG", color="keep"),
            limits=made.LIMITS,
            format_options={},
            decoder=get_decoder(decoder),
        )
        assert is_near(opened(result), (187, 187, 187), 4)

    @pytest.mark.parametrize(
        ("chunks", "shown"),
        [
            pytest.param({"gAMA": [100000]}, (229, 183, 133), id="gamma"),
            pytest.param({"gAMA": [45455]}, (200, 120, 60), id="gamma-of-srgb"),
            pytest.param({"cHRM": PRIMARIES_OF_P3}, (200, 120, 60), id="primaries-alone"),
            pytest.param(
                {"gAMA": [45455], "cHRM": PRIMARIES_OF_P3}, (214, 116, 38), id="gamma-and-primaries"
            ),
            pytest.param({"sRGB": [], "gAMA": [100000]}, (200, 120, 60), id="srgb-comes-first"),
            pytest.param({"gAMA": [0]}, (200, 120, 60), id="no-gamma"),
            pytest.param({"gAMA": [1]}, (200, 120, 60), id="no-such-gamma"),
            pytest.param(
                {"gAMA": [45455], "cHRM": [0] * 8}, (200, 120, 60), id="no-such-primaries"
            ),
        ],
    )
    def test_gamma_and_primaries_of_a_png_are_heeded(
        self, chunks: dict[str, list[int]], shown: Any
    ) -> None:
        """Unless numbers make no sense."""
        data = [
            made.png_chunk(
                name.encode(), struct.pack(f">{len(values)}I", *values) if values else b"\0"
            )
            for name, values in chunks.items()
        ]
        source = with_chunks(Image.new("RGB", (16, 16), (200, 120, 60)), *data)
        assert is_near(opened(make(source)), shown, 2)

    def test_named_colours_are_kept_as_a_profile(self) -> None:
        """Which says the same in every format."""
        result = opened(make(named("PNG", 12, 13, (200, 120, 60)), format="WEBP", color="keep"))
        assert is_near(result, (200, 120, 60), 4)
        assert is_near(
            by_little_cms(result.convert("RGB"), result.info["icc_profile"]), (213, 115, 42), 4
        )


class TestKeptColours:
    """`color='keep'` converts what the result could not carry."""

    @pytest.mark.parametrize(
        ("kind", "mode", "source", "target"),
        [
            ("grey", "L", "PNG", "WEBP"),
            ("grey", "L", "PNG", "AVIF"),
            ("cmyk", "CMYK", "JPEG", "WEBP"),
            ("cmyk", "CMYK", "JPEG", "PNG"),
            ("p3", "RGB", "PNG", "GIF"),
            ("p3", "RGB", "PNG", "BMP"),
            (None, "LAB", "TIFF", "PNG"),
            (None, "LAB", "TIFF", "JPEG"),
        ],
    )
    def test_colours_that_a_format_cannot_carry_are_converted(
        self, kind: str | None, mode: str, source: str, target: str
    ) -> None:
        """As if it had been asked for: mode or format have no place for the profile."""
        options = {"icc_profile": made.make_profile(kind)} if kind else {}
        file = made.encode(
            Image.new("RGB", (16, 16), (200, 60, 40)).convert(mode)
            if mode != "LAB"
            else Image.new("LAB", (16, 16), (120, 150, 110)),
            source,
            **options,
        )
        kept = opened(make(file, format=target, color="keep"))
        assert "icc_profile" not in kept.info
        assert (
            difference(kept.convert("RGB"), opened(make(file, format=target)).convert("RGB")) <= 2
        )

    @pytest.mark.parametrize(
        ("kind", "mode", "source", "target"),
        [
            ("grey", "L", "PNG", "JPEG"),
            ("cmyk", "CMYK", "JPEG", "TIFF"),
            ("p3", "RGBA", "PNG", "JPEG"),
            ("p3", "P", "PNG", "WEBP"),
        ],
    )
    def test_colours_that_a_format_can_carry_are_kept(
        self, kind: str, mode: str, source: str, target: str
    ) -> None:
        """Also where bands are left out, or a palette is."""
        profile = made.make_profile(kind)
        file = made.encode(made.sample(mode), source, icc_profile=profile)
        assert opened(make(file, format=target, color="keep")).info["icc_profile"] == profile


def grey_rows(bits: int, values: list[int], transparent: int) -> bytes:
    """Return a grey PNG of columns of 8 pixels each, one value of which is transparent."""
    width = 8 * len(values)
    head = made.png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, 8, bits, 0, 0, 0, 0))
    if bits == 16:
        row = b"".join(struct.pack(">H", value) * 8 for value in values)
    else:
        row = b"".join(bytes([value * (255 // (2**bits - 1))]) * bits for value in values)
    chunks = made.png_chunk(b"tRNS", struct.pack(">H", transparent))
    chunks += made.png_chunk(b"IDAT", zlib.compress((b"\0" + row) * 8))
    return b"\x89PNG\r\n\x1a\n" + head + chunks + made.png_chunk(b"IEND", b"")


class TestTransparentColour:
    """The one colour of a PNG that is transparent."""

    @pytest.mark.parametrize("decoder", ["pillow", "vips"])
    @pytest.mark.parametrize("scaled", [False, True])
    @pytest.mark.parametrize(
        ("bits", "values", "transparent"),
        [
            (1, [0, 1, 0], 1),
            (2, [0, 2, 3], 2),
            (4, [0, 5, 6], 5),
            (8, [0, 100, 101], 100),
            (16, [0, 25700, 25701], 25700),
            (16, [0, 65534, 65535], 65534),
        ],
    )
    def test_a_single_grey_may_be_transparent(
        self, bits: int, values: list[int], transparent: int, scaled: bool, decoder: str
    ) -> None:
        """And none beside it, however deep it is."""
        source = grey_rows(bits, values, transparent)
        with Image.open(io.BytesIO(source)) as image:
            if image.mode == "1" and image.info["transparency"] == 1:
                pytest.skip("this Pillow takes the transparent colour of one bit for another grey")
        result = render(
            io.BytesIO(source),
            Recipe([ResizeToFit(12)] if scaled else [], format="PNG"),
            limits=made.LIMITS,
            format_options={},
            decoder=get_decoder(decoder),
        )
        alpha = opened(result).convert("RGBA").getchannel("A")
        places = [alpha.width * (2 * column + 1) // 6 for column in range(3)]
        hidden = alpha.point(lambda value: 255 if value < 2 else 0)
        assert [hidden.getpixel((x, alpha.height // 2)) for x in places] == [0, 255, 0]

    def test_a_single_deep_colour_may_be_transparent(self) -> None:
        """Not those that are the same in 8 bits."""
        colors = [(25700, 1, 65535), (25701, 1, 65535), (25700, 1, 65534)]
        head = made.png_chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 1, 16, 2, 0, 0, 0))
        chunks = made.png_chunk(b"tRNS", struct.pack(">3H", *colors[0]))
        row = b"\0" + b"".join(struct.pack(">3H", *color) for color in colors)
        chunks += made.png_chunk(b"IDAT", zlib.compress(row))
        data = b"\x89PNG\r\n\x1a\n" + head + chunks + made.png_chunk(b"IEND", b"")
        result = opened(make(data))
        assert [result.getpixel((x, 0)) for x in range(3)] == [
            (100, 0, 255, 0),
            (100, 0, 255, 255),
            (100, 0, 255, 255),
        ]
