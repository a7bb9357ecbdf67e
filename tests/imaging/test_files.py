"""Files as cameras, telephones and broken uploads leave them: shown as browsers show them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any
from xml.etree import ElementTree

import attrs
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from imagekit_registry.exceptions import LimitExceeded, UnreadableImage
from imagekit_registry.imaging import Recipe, get_decoder, read_header, render
from imagekit_registry.imaging.formats import extension_to_format, suggest_extension
from imagekit_registry.processors import Crop, ResizeToFit

from . import conftest as made
from .conftest import make, opened

SIZE = (320, 240)


def photo(format: str, **options: Any) -> bytes:
    """Return a photograph of 320 x 240 pixels."""
    with Image.open(made.PHOTOS / "hubble_deep_field.jpg") as image:
        return made.encode(image.convert("RGB").resize(SIZE), format, **options).getvalue()


def decoded(data: bytes, decoder: str = "pillow", **recipe: Any) -> Image.Image:
    """Return what a decoder makes of a file, as a PNG."""
    wanted = Recipe(format="PNG", **recipe)
    result = render(
        io.BytesIO(data),
        wanted,
        limits=made.LIMITS,
        format_options={},
        decoder=get_decoder(decoder),
    )
    return made.opened(result).convert("RGB")


class TestCutFiles:
    """Files whose end is missing."""

    @pytest.mark.parametrize("decoder", ["pillow", "vips"])
    @pytest.mark.parametrize("progressive", [False, True])
    @pytest.mark.parametrize("small", [False, True])
    @pytest.mark.parametrize("kept", ["without end marker", "99 %"])
    def test_a_jpeg_without_its_end_is_shown(
        self, decoder: str, progressive: bool, small: bool, kept: str
    ) -> None:
        """With all the rows that are there, whole or decoded small."""
        whole = photo("JPEG", quality=90, progressive=progressive)
        cut = whole[:-2] if kept == "without end marker" else whole[: len(whole) * 99 // 100]
        processors = [ResizeToFit(32)] if small else []
        expected = decoded(whole, decoder, processors=processors)
        upper = (0, 0, expected.width, expected.height * 8 // 10)
        shown = decoded(cut, decoder, processors=processors)
        difference = ImageChops.difference(shown.crop(upper), expected.crop(upper))
        assert max(ImageStat.Stat(difference).mean) < 2

    @pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "WEBP"])
    def test_rows_that_are_missing_are_limited(self, format: str) -> None:
        """A tenth by default; the limit may be another, or none at all."""
        whole = photo(format)
        nearly, half = whole[: len(whole) * 95 // 100], whole[: len(whole) // 2]
        assert make(nearly, format="PNG").height == SIZE[1]
        with pytest.raises(UnreadableImage, match="damaged"):
            make(half, format="PNG")
        for share in (0.9, None):
            limits = attrs.evolve(made.LIMITS, max_missing=share)
            assert make(half, format="PNG", limits=limits).height == SIZE[1]
        with pytest.raises(UnreadableImage, match="damaged"):
            make(nearly, format="PNG", limits=attrs.evolve(made.LIMITS, max_missing=0))

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
    def test_every_mode_gives_a_picture_or_our_error(self, mode: str) -> None:
        """Deep pixels are refused as before: which of them are there cannot be told."""
        noise = Image.effect_noise(SIZE, 80)
        image = Image.merge("RGB", [noise, noise, noise])
        source = (
            image.quantize(64) if mode == "P" else image.convert("L" if mode == "I;16" else mode)
        )
        if mode == "I;16":
            source = source.convert("I").convert("I;16")
        data = made.encode(source, "JPEG" if mode == "CMYK" else "PNG").getvalue()
        cut = data[: len(data) * 95 // 100]
        if mode == "I;16":
            with pytest.raises(UnreadableImage, match="truncated"):
                make(cut, format="PNG")
        else:
            assert make(cut, format="PNG").height == SIZE[1]

    def test_missing_rows_of_a_png_are_white(self) -> None:
        """And those before them are what they were."""
        whole = photo("PNG")
        shown = decoded(whole[: len(whole) * 95 // 100])
        assert shown.getpixel((10, SIZE[1] - 1)) == (255, 255, 255)
        upper = (0, 0, SIZE[0], 200)
        assert shown.crop(upper).tobytes() == decoded(whole).crop(upper).tobytes()

    def test_a_cut_gif_is_shown(self) -> None:
        """With a palette of its own; an interlaced one lacks rows all over and is refused."""
        whole = photo("GIF", interlace=0)
        upper = (0, 0, SIZE[0], 200)
        shown = decoded(whole[: len(whole) * 95 // 100])
        assert shown.crop(upper).tobytes() == decoded(whole).crop(upper).tobytes()
        with pytest.raises(UnreadableImage, match="damaged"):
            decoded(photo("GIF", interlace=1)[: len(whole) * 95 // 100])

    @pytest.mark.parametrize("decoder", ["pillow", "vips"])
    @pytest.mark.parametrize("options", [{}, {"lossless": True}], ids=["lossy", "lossless"])
    def test_a_cut_webp_is_shown(self, decoder: str, options: dict[str, Any]) -> None:
        """With all the rows that are there, which are what they were."""
        whole = photo("WEBP", **options)
        shown = decoded(whole[: len(whole) * 95 // 100], decoder)
        upper = (0, 0, SIZE[0], 200)
        assert shown.crop(upper).tobytes() == decoded(whole, decoder).crop(upper).tobytes()

    def test_a_webp_that_claims_gigabytes_is_refused(self) -> None:
        """Nothing of that size is made up, even where all may be missing."""
        whole = photo("WEBP")
        with pytest.raises(UnreadableImage, match="damaged"):
            make(
                whole[:4] + b"\xff\xff\xff\x7f" + whole[8:200],
                limits=attrs.evolve(made.LIMITS, max_missing=None),
            )

    def test_a_photograph_that_is_half_there_is_refused_in_a_progressive_file_too(self) -> None:
        """A file that ends within its first scan has too few rows; after it, it has all."""
        whole = photo("JPEG", progressive=True)
        scans = [place for place in range(len(whole)) if whole[place : place + 2] == b"\xff\xda"]
        with pytest.raises(UnreadableImage, match="damaged"):
            make(whole[: (scans[0] + scans[1]) // 2], format="PNG")
        assert make(whole[: scans[2]], format="PNG").height == SIZE[1]

    @pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
    def test_a_damaged_frame_ends_an_animation(self, format: str) -> None:
        """The frames before it are shown, and a still is made of the first."""
        size = (80, 60)
        pictures = [Image.effect_noise(size, 40 + number).convert("RGB") for number in range(4)]
        file = made.encode(
            pictures[0], format, save_all=True, append_images=pictures[1:], duration=100
        )
        data = file.getvalue()
        whole = make(data, format="PNG").getvalue()
        for share, count in ((99, 3), (80, 3), (60, 2), (30, 1)):
            cut = data[: len(data) * share // 100]
            assert make(cut, ResizeToFit(40), format="WEBP").frames == count
            assert make(cut, format="PNG", animated=False).height == 60
            if count > 1:
                again = make(cut, format="PNG")
                with Image.open(again) as shown, Image.open(io.BytesIO(whole)) as wanted:
                    shown.seek(count - 1)
                    wanted.seek(count - 1)
                    assert shown.convert("RGB").tobytes() == wanted.convert("RGB").tobytes()
        with pytest.raises(UnreadableImage, match="damaged"):
            make(data[: len(data) * 10 // 100], format="PNG")


class TestLargePhotographs:
    """JPEGs of more pixels than may be decoded."""

    @pytest.mark.parametrize("decoder", ["pillow", "vips"])
    def test_what_is_decoded_small_counts_small(self, decoder: str) -> None:
        """Up to four times the limit; in full size, the limit is what it was."""
        source, small = io.BytesIO(photo("JPEG")), Recipe([ResizeToFit(32)])
        limits = attrs.evolve(made.LIMITS, max_pixels=SIZE[0] * SIZE[1] // 3)
        options: Any = {"format_options": {}, "decoder": get_decoder(decoder)}
        assert read_header(source, limits).size == SIZE
        assert render(source, small, limits=limits, **options).width == 32
        with pytest.raises(LimitExceeded, match="320 x 240"):
            render(source, Recipe(), limits=limits, **options)
        with pytest.raises(LimitExceeded, match="320 x 240"):
            render(source, Recipe([ResizeToFit(300)]), limits=limits, **options)
        limits = attrs.evolve(limits, max_pixels=SIZE[0] * SIZE[1] // 5)
        with pytest.raises(LimitExceeded, match="320 x 240"):
            render(source, small, limits=limits, **options)

    def test_other_formats_are_not_decoded_small(self) -> None:
        """A PNG is read in full, so its header decides."""
        limits = attrs.evolve(made.LIMITS, max_pixels=SIZE[0] * SIZE[1] - 1)
        with pytest.raises(LimitExceeded, match="320 x 240"):
            make(photo("PNG"), ResizeToFit(32), limits=limits)


class TestScans:
    """Scans of a JPEG are counted as its decoder reads them."""

    def test_what_follows_the_end_is_not_counted(self) -> None:
        """A motion photo carries a video, in which any bytes may stand."""
        data = photo("JPEG", progressive=True) + b"\xff\xda" * 1000
        assert make(data, ResizeToFit(32)).width == 32

    def test_fills_before_a_marker_are_read_once(self) -> None:
        """A file of nothing else takes no longer than others of its size."""
        data = photo("JPEG", progressive=True)[:-2] + b"\xff" * 1_000_000 + b"\xd9"
        limits = attrs.evolve(made.LIMITS, max_seconds=3)
        assert make(data, ResizeToFit(32), limits=limits).width == 32

    def test_an_end_marker_within_a_comment_ends_nothing(self) -> None:
        """Nor does one of too many scans hide behind it."""
        data = made.many_scans(200)
        first = data.index(b"\xff\xda")
        second = data.index(b"\xff\xda", first + 2)
        comment = b"\xff\xfe\x00\x04\xff\xd9"
        with pytest.raises(LimitExceeded, match="scans"):
            make(data[:second] + comment + data[second:], ResizeToFit(32))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_an_orientation_that_xmp_alone_tells_of_is_not_applied(format: str) -> None:
    """Tools leave it stale, and no browser looks at it."""
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description '
        b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></x:xmpmeta>'
    )
    source = made.encode(made.sample(), "JPEG", xmp=xmp)
    if format != "JPEG":
        source = make(source, format=format, metadata="keep", auto_orient=False)
        assert b'Orientation="6"' in source.getvalue()
    result = make(source, format="PNG")
    assert (result.width, result.height) == (64, 48)


@pytest.mark.parametrize("auto_orient", [True, False])
def test_an_orientation_that_is_not_heeded_is_not_passed_on(auto_orient: bool) -> None:
    """No browser turns a WebP by its EXIF data, but all would turn the JPEG that is made of it."""
    tags = Image.Exif()
    tags[0x0112], tags[0x8298] = 6, "somebody"
    source = made.encode(made.sample(), "WEBP", exif=tags.tobytes())
    result = make(source, format="JPEG", metadata="keep", auto_orient=auto_orient)
    assert (result.width, result.height) == (64, 48)
    assert dict(opened(result).getexif()) == {0x8298: "somebody"}


class TestWebFormats:
    """Without a format, the result is what browsers show."""

    @pytest.mark.parametrize("source", ["BMP", "DIB", "MPO", "PCX", "PPM"])
    def test_a_format_that_no_browser_shows_becomes_jpeg(self, source: str) -> None:
        """Where it holds no transparency."""
        assert make(made.encode(made.sample(), source)).format == "JPEG"

    @pytest.mark.parametrize("mode", ["RGB", "RGBA"])
    @pytest.mark.parametrize("source", ["ICO", "JPEG2000", "SGI", "TGA", "TIFF"])
    def test_an_unshown_format_that_can_be_transparent_keeps_its_alpha(
        self, source: str, mode: str
    ) -> None:
        """By its format, not by its pixels, which nobody knows who names the result."""
        result = make(made.encode(made.sample(mode), source))
        assert result.format == ("PNG" if source == "ICO" else "WEBP")
        assert opened(result).has_transparency_data == (mode == "RGBA")

    @pytest.mark.parametrize(
        ("name", "source", "mode"),
        [
            ("a.tif", "TIFF", "RGBA"),
            ("a.TGA", "TGA", "RGBA"),
            ("a.bmp", "BMP", "RGB"),
            ("a.tif", "JPEG", "RGB"),
            ("a.bmp", "GIF", "P"),
            ("a.jpg", "TIFF", "RGBA"),
            ("a.png", "BMP", "RGB"),
            ("a.ico", "ICO", "RGBA"),
            ("a.mpo", "MPO", "RGB"),
        ],
    )
    def test_extension_and_bytes_agree(self, name: str, source: str, mode: str) -> None:
        """The name is known before the source is read, and may lie about it."""
        result = render(
            made.encode(made.sample(mode), source),
            Recipe(),
            limits=made.LIMITS,
            format_options={},
            source_name=name,
        )
        assert extension_to_format(suggest_extension(name, None)) == result.format
        assert opened(result).format == result.format

    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LAB", "I;16", "F"])
    def test_a_tiff_that_is_asked_for_is_compressed(self, mode: str) -> None:
        """Without loss, in every mode."""
        image = Image.new(mode, SIZE)
        result = make(made.encode(image, "TIFF", compression="raw"), format="TIFF", color="keep")
        assert len(result.getvalue()) < 5000
        assert made.opened(result).tobytes() == image.tobytes()
        raw = make(
            made.encode(image, "TIFF"), format="TIFF", color="keep", options={"compression": "raw"}
        )
        assert len(raw.getvalue()) > len(image.tobytes())


def exif_with_thumbnail(thumbnail: bytes) -> bytes:
    """Return EXIF data of a maker and a thumbnail, without an orientation."""

    def directory(entries: list[bytes], following: int) -> bytes:
        return struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", following)

    first = [struct.pack("<HHI4s", 0x10F, 2, 4, b"Can\0")]
    start = 8 + 2 + 12 * len(first) + 4
    place = start + 2 + 12 * 3 + 4
    second = [
        struct.pack("<HHII", 0x103, 3, 1, 6),
        struct.pack("<HHII", 0x201, 4, 1, place),
        struct.pack("<HHII", 0x202, 4, 1, len(thumbnail)),
    ]
    head = b"Exif\0\0II*\0" + struct.pack("<I", 8)
    return head + directory(first, start) + directory(second, 0) + thumbnail


class TestKeptMetadata:
    """What is kept of metadata is true of the result."""

    @pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "AVIF"])
    def test_no_thumbnail_shows_what_was_cut_off(self, target: str) -> None:
        """Whether EXIF data hold an orientation or not; the rest of them stays."""
        thumbnail = made.encode(made.sample(), "JPEG").getvalue()
        source = photo("JPEG", exif=exif_with_thumbnail(thumbnail))
        result = make(source, Crop(100, 100), format=target, metadata="keep")
        assert thumbnail[-100:] not in result.getvalue()
        with Image.open(result) as image:
            assert image.getexif()[0x10F] == "Can"

    @pytest.mark.parametrize("claim", ["attributes", "elements"])
    def test_xmp_promises_no_gain_map_and_no_video(self, claim: str) -> None:
        """They stand behind the source's picture, and not behind the result's."""
        claims = b'hdrgm:Version="1.0" GCamera:MotionPhoto="1"'
        within = b""
        if claim == "elements":
            claims, within = b"", b"<GCamera:MotionPhoto>1</GCamera:MotionPhoto>"
        xmp = (
            b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description rdf:about=""'
            b' xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" xmp:Rating="3" '
            + claims + b">" + within + b"</rdf:Description></rdf:RDF></x:xmpmeta>"
        )  # fmt: skip
        data = make(photo("JPEG", xmp=xmp), format="WEBP", metadata="keep").getvalue()
        assert b"hdrgm:Version" not in data
        assert b"MotionPhoto" not in data
        assert (b'xmp:Rating="3"' in data) == (claim == "attributes")

    @pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "AVIF"])
    def test_rights_are_kept_in_exif_and_xmp_and_nothing_else(self, target: str) -> None:
        """Who made it, who owns it, and how it came to be; not where, and not when."""
        kind = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
        xmp = (
            '<x:xmpmeta><rdf:RDF><rdf:Description exif:GPSLatitude="48,12.5N" xmp:Rating="3"'
            f' Iptc4xmpExt:DigitalSourceType="{kind}"><dc:creator><rdf:Seq><rdf:li>A &lt; Zo\u00eb'
            "</rdf:li></rdf:Seq></dc:creator></rdf:Description></rdf:RDF></x:xmpmeta>"
        ).encode()
        exif = Image.Exif()
        exif[0x8298] = "(c) Agency & Co"
        exif[0x010F] = "Camera"
        exif.get_ifd(0x8825)[2] = (48.0, 12.0, 30.0)
        result = make(photo("JPEG", xmp=xmp, exif=exif), format=target, metadata="rights")
        with Image.open(result) as image:
            tags = image.getexif()
            assert (tags[0x8298], dict(tags.get_ifd(0x8825))) == ("(c) Agency & Co", {})
            assert set(tags) == {0x8298, 0x013B}
            kept = image.info.get("xmp") or image.info["XML:com.adobe.xmp"].encode()
        root = ElementTree.fromstring(kept)
        texts = [element.text for element in root.iter() if element.text]
        assert texts == ["A < Zo\u00eb", "(c) Agency & Co", kind]
        assert b"GPS" not in kept
        assert b"Rating" not in kept

    @pytest.mark.parametrize(
        "said",
        [
            "<Iptc4xmpExt:DigitalSourceType>urn:x</Iptc4xmpExt:DigitalSourceType>",
            "<rdf:Description Iptc4xmpExt:DigitalSourceType = 'urn:x'/>",
        ],
        ids=["element", "attribute"],
    )
    def test_the_kind_of_source_alone_is_kept(self, said: str) -> None:
        """That a picture was made by a machine must not get lost, whoever owns it."""
        source = photo("JPEG", xmp=f"<x:xmpmeta>{said}</x:xmpmeta>".encode())
        data = make(source, metadata="rights").getvalue()
        assert b"<Iptc4xmpExt:DigitalSourceType>urn:x<" in data
        assert b"dc:creator><" not in data

    def test_a_picture_without_rights_gets_no_metadata(self) -> None:
        """The file is that of `strip`."""
        source = photo("JPEG", xmp=b"<x:xmpmeta>xmp:Rating</x:xmpmeta>")
        stripped = make(source, metadata="strip").getvalue()
        assert make(source, metadata="rights").getvalue() == stripped

    @pytest.mark.parametrize("prefix", ["Container", "GContainer"])
    def test_an_ultra_hdr_photograph_loses_the_directory_of_its_gain_map_alone(
        self, prefix: str
    ) -> None:
        """The map is gone; who made the photograph is still true."""
        xmp = (
            '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description hdrgm:Version="1.0">'
            f"<{prefix}:Directory><rdf:Seq><rdf:li><{prefix}:Item Item:Semantic='GainMap'/></rdf:li>"
            f"</rdf:Seq></{prefix}:Directory><dc:creator><rdf:Seq><rdf:li>Ada</rdf:li></rdf:Seq>"
            "</dc:creator></rdf:Description></rdf:RDF></x:xmpmeta>"
        ).encode()
        data = make(photo("JPEG", xmp=xmp), metadata="keep").getvalue()
        assert b"<rdf:li>Ada</rdf:li>" in data
        for claim in (b"GainMap", b"Directory", b"hdrgm:Version"):
            assert claim not in data

    def test_metadata_that_claims_blanks_is_read_once(self) -> None:
        """What looks for them does not start again at each of a million blanks."""
        xmp = b"<x:xmpmeta>" + b" " * 60_000 + b"hdrgm:</x:xmpmeta>"
        limits = attrs.evolve(made.LIMITS, max_seconds=3)
        assert make(photo("JPEG", xmp=xmp), metadata="keep", limits=limits).format == "JPEG"

    def test_copyright_is_taken_from_xmp(self) -> None:
        """In any letters, where EXIF data name none."""
        xmp = (
            "<x:xmpmeta><rdf:RDF><rdf:Description><dc:creator><rdf:Seq><rdf:li>Zo\u00eb</rdf:li>"
            "</rdf:Seq></dc:creator><dc:rights><rdf:Alt><rdf:li xml:lang='x-default'>"
            "\u00a9 A &amp; B</rdf:li></rdf:Alt></dc:rights></rdf:Description></rdf:RDF></x:xmpmeta>"
        ).encode()
        data = make(photo("JPEG", xmp=xmp), metadata="copyright").getvalue()
        assert "\u00a9 A & B".encode() in data
        assert "Zo\u00eb".encode() in data
        assert b"xmpmeta" not in data
        exif = Image.Exif()
        exif[0x8298] = "by EXIF"
        data = make(photo("JPEG", xmp=xmp, exif=exif), metadata="copyright").getvalue()
        assert b"by EXIF" in data
        assert b"A & B" not in data

    def test_copyright_is_taken_from_iptc(self) -> None:
        """Where agencies write it."""
        fields = {80: b"Zoe", 116: b"(c) Agency"}
        iptc = b"".join(
            struct.pack(">BBBH", 0x1C, 2, number, len(text)) + text
            for number, text in fields.items()
        )
        resource = b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(iptc)) + iptc
        segment = b"Photoshop 3.0\0" + resource + b"\0" * (len(iptc) % 2)
        data = photo("JPEG")
        data = data[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
        with Image.open(make(data, metadata="copyright")) as image:
            assert image.getexif()[0x8298] == "(c) Agency"
            assert image.getexif()[0x013B] == "Zoe"


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEI[CF] are not"),
        (b"\xff\x0a\xfa\x1f\x01\x90", "JPEG XL are not read"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL are not read"),
        (b'<svg xmlns="http://www.w3.org/2000/svg">', "SVG are not read.*register_openers"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- Made by -->\n<svg>', "SVG are not read"),
        (b"\n<!DOCTYPE svg PUBLIC>", "SVG are not read"),
        (b"<?xml version='1.0'?><html>", "not an image"),
    ],
)
def test_a_format_that_is_not_read_is_named(start: bytes, message: str) -> None:
    """By how its files begin."""
    limits = attrs.evolve(made.LIMITS, allowed_formats=["JPEG", "PNG"])
    with pytest.raises(UnreadableImage, match=message):
        make(start + b"\0" * 100, limits=limits)


def test_an_avif_has_no_dark_edges_AVIF() -> None:  # noqa: N802 - conftest looks for the format
    """Transparent pixels get the colours of those near them before they are compressed."""
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((250, 250, 250, 255), (21, 21, 43, 43))
    result = make(made.encode(image, "PNG"), format="AVIF", options={"quality": 40})
    shown = made.opened(result).convert("RGBA")
    colors = shown.convert("RGB")
    assert ImageStat.Stat(colors.crop((16, 16, 48, 48))).extrema[1][0] > 230
    assert shown.getpixel((2, 2))[3] < 3  # type: ignore[index]


def _chunk(name: bytes, data: bytes, *, wrong: bool = False) -> bytes:
    chunk = made.png_chunk(name, data)
    return chunk[:-4] + b"bad!" if wrong else chunk


@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param(_chunk(b"tEXt", b"Comment\0hello", wrong=True), id="wrong CRC"),
        pytest.param(_chunk(b"tEXt", b"Comment\0" + b"a" * 1_500_000), id="long text"),
        pytest.param(_chunk(b"tEXt", b"Comment\0" + b"a" * 900_000) * 80, id="many texts"),
        pytest.param(_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 9_000_000)), id="zTXt"),
        pytest.param(_chunk(b"zTXt", b"Comment\0\5" + b"a"), id="compression of a text"),
        pytest.param(
            _chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(b"a" * 9_000_000)), id="iTXt"
        ),
        pytest.param(_chunk(b"iCCP", b"profile\0\7" + b"x" * 20), id="compression of a profile"),
        pytest.param(
            _chunk(b"iCCP", b"p\0\0" + zlib.compress(b"a" * 9_000_000)), id="long profile"
        ),
        pytest.param(_chunk(b"iCCP", b""), id="no profile"),
        pytest.param(_chunk(b"gAMA", b"\0\0"), id="gAMA"),
        pytest.param(_chunk(b"pHYs", b"\0\0\0"), id="pHYs"),
        pytest.param(_chunk(b"cHRM", b"\0" * 6), id="cHRM"),
        pytest.param(_chunk(b"cHRM", b"\0" * 8), id="part of cHRM"),
        pytest.param(_chunk(b"tRNS", b"\0"), id="tRNS"),
        pytest.param(_chunk(b"acTL", b"\0\0"), id="acTL"),
        pytest.param(_chunk(b"acTL", b"\0" * 8), id="acTL of nothing"),
        pytest.param(_chunk(b"fcTL", b"\0"), id="fcTL"),
        pytest.param(_chunk(b"sRGB", b""), id="sRGB"),
    ],
)
@pytest.mark.parametrize("place", ["before", "behind"])
@pytest.mark.parametrize("decoder", ["pillow", "vips"])
def test_a_broken_chunk_that_does_not_matter_does_not_matter(
    chunk: bytes, place: str, decoder: str
) -> None:
    """The PNG is read without it, and the chunks beside it stay, before its pixels and behind."""
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = made.png_chunk(b"eXIf", exif.tobytes()[6:])
    data = made.png(turned, *([chunk] if place == "before" else []), size=(8, 4))
    if place == "behind":
        data = data[:-12] + chunk + data[-12:]
    assert decoded(data, decoder, processors=[ResizeToFit(4)]).size == (4, 8)


def test_a_broken_chunk_that_matters_is_an_error() -> None:
    """A header that cannot be trusted is no header."""
    data = bytearray(made.png())
    data[29] ^= 0xFF
    with pytest.raises(UnreadableImage):
        make(bytes(data))


def chart(size: tuple[int, int] = (400, 300)) -> Image.Image:
    """Return lines in some colours on white."""
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for number in range(12):
        color = (number * 20, 80, 200 - number * 9)
        draw.line((0, number * 24, size[0], size[1] - number * 20), fill=color, width=3)
    return image


class Turning:
    """A processor that makes colours that were not there."""

    def process(self, image: Image.Image) -> Image.Image:
        """Return the bands of *image*, each turned by another angle."""
        return Image.merge("RGB", [band.rotate(9 * n) for n, band in enumerate(image.split())])


class TestSourcesThatAreSmall:
    """Results are kept as their sources are, where that shows the same."""

    @pytest.mark.parametrize("processors", [[], [Crop(300, 200)], [ResizeToFit(200)]])
    def test_a_palette_stays_a_palette(self, processors: list[Any]) -> None:
        """And white stays white."""
        source = made.encode(chart().quantize(64), "PNG", optimize=True)
        result = make(source, *processors)
        assert opened(result).mode == "P"
        truth = make(source, *processors, format="PPM")
        difference = ImageChops.difference(opened(result).convert("RGB"), opened(truth))
        assert max(ImageStat.Stat(difference).rms) < 5
        assert opened(result).convert("RGB").getpixel((2, 110)) == (255, 255, 255)
        whole = make(made.encode(chart(), "PNG"), *processors)
        assert len(result.getvalue()) < len(whole.getvalue())

    def test_a_palette_with_a_hole_keeps_it(self) -> None:
        """What is hidden is hidden, and what is opaque is opaque."""
        image = chart().convert("RGBA")
        image.paste((0, 0, 0, 0), (100, 100, 200, 200))
        result = opened(make(made.encode(image.quantize(64), "PNG"), ResizeToFit(200)))
        assert result.mode == "P"
        alpha = result.convert("RGBA").getchannel("A")
        assert (alpha.getpixel((75, 75)), alpha.getpixel((10, 140))) == (0, 255)

    def test_a_palette_is_not_kept_where_colours_are_far_too_many(self) -> None:
        """Colours that are far too many get all the bits that they need."""
        noise = [Image.effect_noise((256, 256), 200) for _ in range(3)]
        source = made.encode(Image.merge("RGB", noise).quantize(256), "PNG")
        assert opened(make(source, Turning())).mode == "RGB"

    @pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP"])
    def test_one_bit_stays_one_bit(self, format: str) -> None:
        """Without a word about greys, where there are none."""
        source = made.encode(chart().convert("1"), format)
        for processors in ([], [Crop(300, 200)]):
            result = opened(make(source, *processors, format=format))
            assert result.mode == "1"
            expected = chart().convert("1").crop((50, 50, 350, 250) if processors else None)
            assert result.tobytes() == expected.tobytes()

    @pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "GIF"])
    def test_one_bit_scaled_has_sixteen_greys(self, format: str) -> None:
        """Text needs no more, and takes about half the bytes."""
        source = chart().convert("1")
        scan = made.encode(source, "TIFF", compression="group4")
        result = make(scan, ResizeToFit(200), format=format)
        usual = make(made.encode(source.convert("L"), "PNG"), ResizeToFit(200))
        assert len(result.getvalue()) < len(usual.getvalue()) * 0.7
        grey = source.convert("L").resize((200, 150), Image.Resampling.HAMMING)
        difference = ImageChops.difference(opened(result).convert("L"), grey)
        assert ImageStat.Stat(difference).extrema[0][1] <= 9

    @pytest.mark.parametrize(
        ("mode", "source", "format"),
        [
            ("1", "PNG", "PNG"),
            ("1", "TIFF", "TIFF"),
            ("1", "TIFF", "WEBP"),
            ("1", "GIF", "GIF"),
            ("P", "PNG", "PNG"),
            ("P", "GIF", "GIF"),
            ("P", "BMP", "BMP"),
        ],
    )
    @pytest.mark.parametrize("width", [300, 200])
    def test_edges_of_a_drawing_are_few_bytes_and_keep_as_much(
        self, mode: str, source: str, format: str, width: int
    ) -> None:
        """As the usual filter would: within half a decibel of the drawing, if enlarged again."""
        drawing = (
            chart().quantize(16) if mode == "P" else chart().convert("1", dither=Image.Dither.NONE)
        )
        plain = drawing.convert("RGB" if mode == "P" else "L")
        result = make(made.encode(drawing, source), ResizeToFit(width), format=format)
        usual = plain.resize(opened(result).size, Image.Resampling.LANCZOS)
        if format == "BMP":
            assert opened(result).mode == "P"
        else:
            wanted = {"1": "L", "P": "P"}[mode]
            few = usual.quantize(256) if wanted == "P" else usual
            lossless: dict[str, Any] = {"lossless": True} if format == "WEBP" else {}
            other = made.encode(few, format, **lossless)
            assert len(result.getvalue()) < len(other.getvalue()) * 0.7

        def lost(small: Image.Image) -> float:
            large = small.convert(plain.mode).resize(plain.size, Image.Resampling.BICUBIC)
            return max(ImageStat.Stat(ImageChops.difference(large, plain)).rms)

        assert lost(opened(result)) < lost(usual) * 1.06

    @pytest.mark.parametrize("format", ["BMP", "PCX", "TGA", "TIFF"])
    @pytest.mark.parametrize("processors", [[Crop(300, 200)], [ResizeToFit(200)]])
    def test_a_palette_stays_one_in_every_format_that_has_them(
        self, format: str, processors: list[Any]
    ) -> None:
        """Who asks for one of these gets a third of the bytes of true colours."""
        source = made.encode(chart().quantize(64), format)
        result = opened(make(source, *processors, format=format))
        assert result.mode == "P"
        truth = opened(make(source, *processors, format="PPM"))
        softer = ImageChops.difference(result.convert("RGB"), truth)
        assert max(ImageStat.Stat(softer).rms) < (1 if isinstance(processors[0], Crop) else 12)

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
    def test_a_tga_is_compressed(self, mode: str) -> None:
        """Without loss, in every mode that can be."""
        image = chart().convert(mode)
        result = make(made.encode(image, "TGA"), format="TGA")
        assert opened(result).convert("RGBA").tobytes() == image.convert("RGBA").tobytes()
        raw = made.encode(image, "TGA").getvalue()
        assert len(result.getvalue()) <= len(raw) * (1 if mode == "1" else 0.3)

    def test_a_soft_shadow_takes_the_bytes_of_a_good_effort(self) -> None:
        """What has alpha is drawn, as a rule; a photograph would gain nothing."""
        shadow = Image.radial_gradient("L").resize((300, 300))
        icon = Image.merge("RGBA", (shadow, shadow, Image.new("L", shadow.size, 90), shadow))
        result = make(made.encode(icon, "PNG"))
        assert len(result.getvalue()) == len(made.encode(icon, "PNG", compress_level=6).getvalue())

    @pytest.mark.parametrize("colors", [1, 3, 15, 63, 255])
    def test_a_hole_takes_one_colour_of_a_gif(self, colors: int) -> None:
        """A palette of 16 is none of 256; every other colour is kept."""
        image = Image.new("RGBA", (64, 64))
        for number in range(colors):
            image.paste(
                (number, 255 - number, 90, 255), (number % 16 * 4, number // 16 * 4, 64, 64)
            )
        image.paste((0, 0, 0, 0), (60, 60, 64, 64))
        result = make(made.encode(image, "PNG"), format="GIF")
        assert 2 << (result.getvalue()[10] & 7) == max(4, colors + 1)
        assert opened(result).convert("RGBA").tobytes() == image.tobytes()

    @pytest.mark.parametrize("width", [400, 300, 200])
    def test_a_scanned_page_does_not_outgrow_its_file(self, width: int) -> None:
        """Losses would show in its text, and take more bytes, unless a quality is asked for."""
        scan = made.encode(chart().convert("1"), "TIFF", compression="group4")
        result = make(scan, ResizeToFit(width))
        assert (result.format, result.width) == ("WEBP", width)
        lossy = make(scan, ResizeToFit(width), options={"quality": 80})
        assert len(result.getvalue()) < min(len(scan.getvalue()), len(lossy.getvalue()))

    def test_a_palette_stays_one_in_another_format(self) -> None:
        """A GIF that becomes a PNG keeps to few colours."""
        source = made.encode(chart().quantize(64), "GIF")
        assert opened(make(source, ResizeToFit(200), format="PNG")).mode == "P"

    @pytest.mark.parametrize("processors", [[], [ResizeToFit(200)]])
    def test_what_is_without_losses_stays_so(self, processors: list[Any]) -> None:
        """A WebP, with or without a profile before its pixels; unless a quality is asked for."""
        for options in ({}, {"icc_profile": made.make_profile("p3")}):
            source = made.encode(chart(), "WEBP", lossless=True, **options)
            result = make(source, *processors, color="keep")
            truth = make(source, *processors, color="keep", format="PNG")
            assert opened(result).tobytes() == opened(truth).tobytes()
        lossy = make(source, *processors, color="keep", options={"quality": 80})
        assert opened(lossy).tobytes() != opened(truth).tobytes()
        other = make(made.encode(chart(), "WEBP", quality=80), *processors)
        assert b"VP8L" not in other.getvalue()


def turned(format: str) -> bytes:
    """Return a picture in two colours whose EXIF data have it turned."""
    tags = Image.Exif()
    tags[0x0112] = 6
    image = Image.new("RGB", (40, 24), "white")
    image.paste((200, 30, 30), (0, 0, 40, 12))
    return made.encode(image, format, exif=tags.tobytes()).getvalue()


def numbered(*chunks: bytes, bits: int = 8, colors: int = 3) -> bytes:
    """Return a PNG of 16 x 16 pixels, with numbers of a palette or greys from 0, and *chunks* before them."""
    rows = {8: bytes(range(16)), 4: bytes.fromhex("0123456789abcdef")}[bits]
    head = made.png_chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, bits, colors, 0, 0, 0))
    data = made.png_chunk(b"IDAT", zlib.compress((b"\0" + rows) * 16))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + data + made.png_chunk(b"IEND", b"")


def icon(*pictures: tuple[int, bytes]) -> bytes:
    """Return an icon of pictures of 16 x 16 pixels, each with its bits a pixel."""
    head, body = struct.pack("<HHH", 0, 1, len(pictures)), b""
    start = len(head) + 16 * len(pictures)
    for bits, data in pictures:
        head += struct.pack("<4B2H2I", 16, 16, 0, 0, 1, bits, len(data), start + len(body))
        body += data
    return head + body


def bitmap(bits: int, alpha: int = 255) -> bytes:
    """Return a bitmap of an icon in 4 or 32 bits, whose mask leaves out its left quarter."""
    head = struct.pack("<3i2H6I", 40, 16, 32, 1, bits, 0, 0, 0, 0, 0, 0)
    if bits == 4:
        pixels = b"".join(bytes([grey, grey, grey, 0]) for grey in range(0, 256, 17)) + bytes(128)
    else:
        pixels = b"".join(bytes([16 * x, 16 * y, 90, alpha]) for y in range(16) for x in range(16))
    return head + pixels + b"\xf0\0\0\0" * 16


def runs(*codes: tuple[int, ...], bits: int = 8) -> bytes:
    """Return a BMP of 12 x 8 pixels in run lengths, whose first colour is orange."""
    palette = bytes([30, 140, 240, 0]) + bytes([200, 60, 20, 0]) * (1 << bits - 1)
    palette = palette.ljust(4 << bits, b"\x50")
    data = b"".join(bytes(code) for code in codes)
    head = struct.pack("<3i2H6I", 40, 12, 8, 1, bits, 3 - bits // 4, len(data), 0, 0, 0, 0)
    start = 14 + len(head) + len(palette)
    first = struct.pack("<2sI4xI", b"BM", start + len(data), start)
    return first + head + palette + data


END, NEXT = (0, 1), (0, 0)
PALETTE = made.png_chunk(b"PLTE", bytes(range(48)) + bytes(720))
HALF = made.png_chunk(b"tRNS", bytes([128] * 16))
#: What Chromium shows in a way of its own; `test_browser` asks it.
ODD = {
    **{f"{format} turned": turned(format) for format in ("JPEG", "PNG", "WEBP")},
    "palette, alpha behind it": numbered(PALETTE, HALF),
    "palette, alpha before it": numbered(HALF, PALETTE),
    "palette, too much alpha": numbered(PALETTE, made.png_chunk(b"tRNS", bytes(257))),
    "grey, transparency of too many bits": numbered(
        made.png_chunk(b"tRNS", b"\x01\x07"), bits=4, colors=0
    ),
    "icon, few colours first": icon((4, bitmap(4)), (32, bitmap(32))),
    "icon, few colours last": icon((32, bitmap(32)), (4, bitmap(4))),
    "icon, alpha of nothing": icon((32, bitmap(32, 0))),
    "runs that skip": runs(
        (4, 0), (0, 2, 3, 2), (9, 1), NEXT, (0, 3, 0, 1, 0, 0), (0, 2, 0, 4), END
    ),
    "runs that end early": runs((12, 0), NEXT, (12, 1), END),
    "runs of short rows": runs(*[(row + 1, row % 2, *NEXT) for row in range(8)], END),
    "runs that are too long": runs((200, 0), NEXT, (12, 1), NEXT, (0, 2, 200, 0), (3, 1), END),
    "runs of empty rows": runs(NEXT, NEXT, (12, 0), NEXT, NEXT, (5, 1), END),
    "runs of four bits": runs((7, 0x01), (0, 5, 0x10, 0x10, 0x10, 0), NEXT, (3, 0x10), END, bits=4),
}
if made.HAS_AVIF:
    ODD["AVIF turned"] = turned("AVIF")


class TestOddSources:
    """The same without a browser, and what is refused."""

    @pytest.mark.parametrize(
        ("name", "alpha"),
        [
            ("palette, alpha behind it", 128),
            ("palette, alpha before it", 255),
            ("palette, too much alpha", 255),
        ],
    )
    def test_alpha_of_a_palette_counts_behind_it_and_for_no_more_than_its_colours(
        self, name: str, alpha: int
    ) -> None:
        """Other alpha is left out, as in browsers."""
        for processors in ([], [ResizeToFit(8)]):
            result = opened(make(io.BytesIO(ODD[name]), *processors)).convert("RGBA")
            assert result.getchannel("A").getextrema() == (alpha, alpha)

    def test_bits_of_a_transparent_grey_that_pixels_lack_do_not_count(self) -> None:
        """The column of grey 7 of 16 is transparent, and no other."""
        source = ODD["grey, transparency of too many bits"]
        alpha = opened(make(io.BytesIO(source))).convert("RGBA").getchannel("A")
        assert [alpha.getpixel((x, 3)) == 0 for x in range(16)] == [x == 7 for x in range(16)]

    @pytest.mark.parametrize("name", ["icon, few colours first", "icon, few colours last"])
    def test_an_icon_has_the_most_colours(self, name: str) -> None:
        """Old icons hold each size in 16 and 256 colours too."""
        result = opened(make(io.BytesIO(ODD[name]))).convert("RGBA")
        assert result.getpixel((15, 0)) == (90, 240, 240, 255)

    def test_the_mask_of_an_icon_counts_where_no_pixel_has_alpha(self) -> None:
        """All of it would be transparent."""
        result = opened(make(io.BytesIO(ODD["icon, alpha of nothing"]))).convert("RGBA")
        assert result.getpixel((3, 0))[3] == 0  # type: ignore[index]
        assert result.getpixel((15, 0)) == (90, 240, 240, 255)

    @pytest.mark.parametrize(
        ("name", "rows"),
        [
            (
                "runs that skip",
                {7: "ooooKKKKKKKK", 6: "K" * 12, 5: "KKKKKKKBBBBB", 4: "oBoKKKKKKKKK"},
            ),
            ("runs that end early", {7: "o" * 12, 6: "B" * 12, 5: "K" * 12, 0: "K" * 12}),
            ("runs of empty rows", {7: "K" * 12, 5: "o" * 12, 4: "K" * 12, 3: "BBBBBKKKKKKK"}),
            ("runs of four bits", {7: "oBoBoBoBoBoB", 6: "BoBKKKKKKKKK"}),
        ],
    )
    def test_what_runs_of_a_bmp_skip_is_black(self, name: str, rows: dict[int, str]) -> None:
        """And not the palette's first colour; the last row is the first of the file."""
        result = opened(make(io.BytesIO(ODD[name]), format="PNG"))
        assert result.mode == "P"
        names = {(240, 140, 30): "o", (20, 60, 200): "B", (0, 0, 0): "K"}
        shown = result.convert("RGB")
        for y, row in rows.items():
            assert "".join(names[shown.getpixel((x, y))] for x in range(12)) == row  # type: ignore[index]

    def test_runs_that_are_cut_off_are_an_error(self) -> None:
        """How much is missing cannot be told."""
        whole = ODD["runs of short rows"]
        for cut in range(3, 20):  # without its end marker it is whole
            with pytest.raises(UnreadableImage, match="damaged"):
                make(io.BytesIO(whole[:-cut]), ResizeToFit(4))

    @pytest.mark.parametrize("source", [numbered(), icon((32, numbered()))], ids=["PNG", "ICO"])
    def test_a_missing_palette_is_an_error_of_ours(self, source: bytes) -> None:
        """It was an AssertionError."""
        for processors in ([], [ResizeToFit(8)]):
            with pytest.raises(UnreadableImage, match="no palette"):
                make(io.BytesIO(source), *processors)

    def test_a_rare_kind_is_not_called_damaged(self) -> None:
        """Two bits a pixel, which other programs read."""
        data = struct.pack("<2sIHHI", b"BM", 70, 0, 0, 70)
        data += struct.pack("<3i2H6I", 40, 4, 4, 1, 2, 0, 16, 0, 0, 0, 0) + bytes(32)
        with pytest.raises(UnreadableImage, match=r"kind of image is not supported .* Save it as"):
            make(io.BytesIO(data))

    @pytest.mark.parametrize("lossless", [False, True])
    def test_a_webp_that_claims_a_few_bytes_more_is_shown(self, lossless: bool) -> None:
        """All of it is there."""
        source = photo("WEBP", lossless=lossless)
        larger = source[:4] + (len(source) + 22).to_bytes(4, "little") + source[8:]
        assert decoded(larger).tobytes() == decoded(source).tobytes()
