"""What hostile files cost: each goes through a page and a form in a process of its own."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imagekit_registry.exceptions import LimitExceeded
from imagekit_registry.processors import (
    Crop,
    Resize,
    ResizeToCover,
    ResizeToFill,
    ResizeToFit,
    SmartCrop,
    SmartResize,
    Thumbnail,
)

from . import conftest as made

pytestmark = [
    pytest.mark.machine,
    pytest.mark.skipif(sys.platform != "linux", reason="units of ru_maxrss"),
]

ROOT = Path(__file__).resolve().parents[2]
MEMORY = 1024**3
SIDE = 10_000
RESIZERS: dict[str, Any] = {
    "ResizeToFill": ResizeToFill(300, 200),
    "ResizeToFit": ResizeToFit(300, 200),
    "ResizeToCover": ResizeToCover(300, 200),
    "Resize": Resize(300, 200),
    "SmartResize": SmartResize(300, 200),
    "Thumbnail": Thumbnail(300, 200),
    "Crop": Crop(300, 200),
    "SmartCrop": SmartCrop(300, 200),
    "mat": ResizeToFit(300, 200, mat_color="white"),
}
JPEG_OF_A_PIXEL = made.encode(Image.new("RGB", (8, 8), (200, 10, 10)), "JPEG").getvalue()


class Runner:
    """A process that shows pictures, each in a child that is measured."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "tests.imaging._bounded", str(folder)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, data: bytes, name: str, **request: Any) -> dict[str, Any]:
        """Do what is asked for with a file of *data*."""
        path = self.folder / name
        path.write_bytes(data)
        asked = {
            "kind": "page",
            "path": str(path),
            "tag": "thumbnail '300x200' {}",
            "settings": {},
            "context": {},
            **request,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        try:
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        finally:
            path.unlink()
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Return a process that shows pictures."""
    one = Runner(tmp_path_factory.mktemp("bounded"))
    yield one
    one.close()


def rows_of(width: int, height: int, bits: int, bands: int) -> bytes:
    """Return compressed rows of a PNG, of zeros, without having them all in memory."""
    packer = zlib.compressobj(1)
    left = height * (1 + (width * bits * bands + 7) // 8)
    block = 8_000_000
    packed = [packer.compress(bytes(min(block, left - start))) for start in range(0, left, block)]
    return b"".join([*packed, packer.flush()])


def whole_png(
    width: int, height: int, *, color: int = 2, bits: int = 8, before: bytes = b""
) -> bytes:
    """Return a PNG with all the pixels that it claims."""
    bands = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    head = made.png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    body = made.png_chunk(b"IDAT", rows_of(width, height, bits, bands))
    return made_png(head + before + body)


def made_png(chunks: bytes) -> bytes:
    """Return a PNG of these chunks."""
    return b"\x89PNG\r\n\x1a\n" + chunks + made.png_chunk(b"IEND", b"")


def gif_canvas(frames: int, side: int) -> bytes:
    """Return a GIF of frames of one pixel on a large canvas."""
    one = bytearray(made.encode(Image.new("P", (1, 1)), "GIF").getvalue())
    one[6:10] = struct.pack("<HH", side, side)
    start = one.index(b",")
    frame = b"!\xf9\x04\x08\x0a\0\0\0" + bytes(one[start:-1])
    return bytes(one[:start]) + frame * frames + b";"


def gif_comment(size: int) -> bytes:
    """Return a GIF with a comment of *size* bytes."""
    data = made.encode(Image.new("P", (4, 4)), "GIF").getvalue()
    start = data.index(b",")
    return data[:start] + b"!\xfe" + (b"\xff" + b"a" * 255) * (size // 255) + b"\0" + data[start:]


def apng_canvas(frames: int, side: int) -> bytes:
    """Return an APNG of frames of one pixel on a large canvas."""

    def control(number: int, size: int) -> bytes:
        place = struct.pack(">IIIIIHHBB", number, size, size, 0, 0, 1, 10, 0, 1)
        return made.png_chunk(b"fcTL", place)

    head = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    chunks = [made.png_chunk(b"IHDR", head)]
    chunks += [made.png_chunk(b"acTL", struct.pack(">II", frames, 0)), control(0, side)]
    chunks.append(made.png_chunk(b"IDAT", rows_of(side, side, 8, 4)))
    dot = zlib.compress(b"\0\1\2\3\4")
    for number in range(1, 2 * frames - 1, 2):
        chunks.append(control(number, 1))
        chunks.append(made.png_chunk(b"fdAT", struct.pack(">I", number + 1) + dot))
    return made_png(b"".join(chunks))


def tiff(entries: list[tuple[int, int, int, int]], body: bytes) -> bytes:
    """Return a TIFF of 8 x 8 pixels with further directory entries, which refer to *body*."""
    basic = [(256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    basic += [(277, 3, 1, 1)]
    wanted = {entry[0]: entry for entry in [*basic, (273, 4, 1, 8), (279, 4, 1, 64), *entries]}
    start = 8 + 2 + 12 * len(wanted) + 4
    table = b""
    for tag, kind, count, value in (wanted[tag] for tag in sorted(wanted)):
        where = start if count > 1 else value
        table += struct.pack("<HHLL", tag, kind, count, where)
    return b"II*\0" + struct.pack("<LH", 8, len(wanted)) + table + b"\0\0\0\0" + body


def shared_tags(count: int, size: int) -> bytes:
    """Return a TIFF of many tags, each of which is the same *size* bytes."""
    return tiff([(tag, 7, size, 0) for tag in range(1000, 1000 + count)], b"\1" * size)


def many_strips(count: int) -> bytes:
    """Return a TIFF of millions of strips."""
    return tiff([(273, 4, count, 0), (279, 4, count, 0)], struct.pack("<L", 8) * count)


def icon(picture: bytes) -> bytes:
    """Return an icon that claims to be small, of a picture that is not."""
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(picture), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + picture


def segments(marker: bytes, payload: bytes, count: int) -> bytes:
    """Return a JPEG with many segments before its pixels."""
    segment = b"\xff" + marker + struct.pack(">H", len(payload) + 2) + payload
    return JPEG_OF_A_PIXEL[:2] + segment * count + JPEG_OF_A_PIXEL[2:]


def claiming(data: bytes, width: int, height: int) -> bytes:
    """Return a progressive JPEG that claims another size; what it lacks is read as nothing."""
    start = data.index(b"\xff\xc2") + 5
    return data[:start] + struct.pack(">HH", height, width) + data[start + 4 :]


def scans(count: int, side: int) -> bytes:
    """Return a progressive JPEG of a claimed size whose last scan is repeated."""
    return claiming(made.many_scans(count, (64, 64)), side, side)


def progressive(width: int, height: int, subsampling: str) -> bytes:
    """Return a progressive JPEG of a claimed size."""
    small = made.encode(made.sample(), "JPEG", progressive=True, subsampling=subsampling)
    return claiming(small.getvalue(), width, height)


def animated(format: str, frames: int, side: int) -> bytes:
    """Return an animation of large frames."""
    few = [Image.new("RGB", (side, side), (number * 40, 9, 9)) for number in range(3)]
    more = [few[number % 3] for number in range(1, frames)]
    options: dict[str, Any] = {"WEBP": {"method": 0}, "AVIF": {"speed": 10}}.get(format, {})
    return made.encode(few[0], format, save_all=True, append_images=more, **options).getvalue()


def bmp_header(width: int, height: int) -> bytes:
    """Return a BMP that claims a size and holds little."""
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 1000, 0, 0, 54) + head + b"x" * 500


def runs(side: int, bits: int, runs_of_a_line: bytes, more: bytes = b"") -> bytes:
    """Return a BMP of lines that are run-length encoded, without its file header."""
    lines = runs_of_a_line * side + more
    palette = b"".join(bytes([value % 256, 0, 9, 0]) for value in range(1 << bits))
    compression = 1 if bits == 8 else 2
    head = struct.pack(
        "<IiiHHIIiiII", 40, side, side, 1, bits, compression, len(lines), 0, 0, 1 << bits, 0
    )
    return head + palette + lines


def bmp(picture: bytes) -> bytes:
    """Return a BMP with its file header."""
    start = 54 + 4 * (1 << picture[14])
    return b"BM" + struct.pack("<IHHI", 14 + len(picture), 0, 0, start) + picture


def packed_chunk(name: bytes, head: bytes) -> bytes:
    """Return a PNG with a chunk of text or profile that unpacks to 100 MB."""
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(bytes(1_000_000)) for _ in range(100)) + packer.flush()
    return made.png(made.png_chunk(name, head + packed))


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "PNG of 30000 x 30000": (lambda: made.png(size=(30_000, 30_000)), "more than the 100000000"),
    "PNG of 30000 x 30000 with its pixels": (
        lambda: whole_png(30_000, 30_000, color=0, bits=1),
        "more than the 100000000",
    ),
    "PNG of 1 x 90000000": (
        lambda: whole_png(1, 90_000_000, color=0, bits=1),
        "would take 5876 MB of memory",
    ),
    "JPEG header of 65500 x 65500": (lambda: made.jpeg_header(65_500, 65_500), "more than the"),
    "JPEG 2000 of 10000 x 10000": (
        lambda: jpeg_2000_header(SIDE, SIDE),
        "would take 2100 MB of memory",
    ),
    "progressive JPEG of 16320 x 12240 with the colour of every pixel": (
        lambda: progressive(16_320, 12_240, "4:4:4"),
        "would take 1211 MB of memory",
    ),
    "BMP of 2147483647 x 2147483647": (lambda: bmp_header(2**31 - 1, 2**31 - 1), "more than the"),
    "BMP of 9000 x -9000 and no pixels": (lambda: bmp_header(9000, -9000), "damaged"),
    "BMP of 9900 lines of one run each": (
        lambda: bmp(runs(9900, 8, b"\x01\x07\0\0")),
        "too many runs",
    ),
    "BMP of 30 million runs of no pixel": (
        lambda: bmp(runs(200, 8, b"\xff\x12", b"\x01\x01" * 30_000_000)),
        "too many runs",
    ),
    "DIB of 9900 lines of one run each": (
        lambda: runs(9900, 4, b"\x01\x70\0\0"),
        "too many runs",
    ),
    "icon of 9900 lines of one run each": (
        lambda: icon(runs(9900, 8, b"\x01\x07\0\0")),
        "too many runs",
    ),
    "GIF of 20000 frames": (lambda: gif_canvas(20_000, 1), "more than the 500 frames"),
    "GIF of 500 frames on 10000 x 10000": (lambda: gif_canvas(500, SIDE), "for one"),
    "GIF of 500 frames on 3000 x 3000": (lambda: gif_canvas(500, 3000), "together more than"),
    "GIF with a comment of 8 MB": (lambda: gif_comment(8_000_000), "a comment of more than"),
    "APNG of 20000 frames": (lambda: apng_canvas(20_000, 1), "more than the 500 frames"),
    "APNG of 500 frames on 3000 x 3000": (lambda: apng_canvas(500, 3000), "together more than"),
    "WebP of 600 frames": (lambda: animated("WEBP", 600, 2), "more than the 500 frames"),
    "PNG of a million chunks": (
        lambda: made_png(made.png_chunk(b"abCd", b"") * 10**6),
        "more than 200000 chunks",
    ),
    "JPEG of a million segments": (lambda: segments(b"\xef", b"", 10**6), "10000 segments"),
    "JPEG of 50 MB of fill bytes": (lambda: b"\xff\xd8" + b"\xff" * 50_000_000, "10000 segments"),
    "JPEG with 60 MB of EXIF data": (
        lambda: segments(b"\xe1", b"Exif\0\0" * 10_000, 1000),
        "bytes of EXIF data",
    ),
    "JPEG of 5000 scans": (lambda: made.many_scans(5000, (64, 64)), "more than the 100 scans"),
    "JPEG of 90 scans of 9900 x 9900": (lambda: scans(90, 9900), "more than the 20 scans"),
    "TIFF of tags that share their bytes": (
        lambda: shared_tags(4000, 1_000_000),
        "tags that are larger than the file",
    ),
    "TIFF of 2 million strips": (lambda: many_strips(2_000_000), "more than 250000 numbers"),
    "icon of a picture of 13000 x 13000": (
        lambda: icon(made.png(size=(13_000, 13_000))),
        "13000 x 13000 pixels",
    ),
    "PPM of 40 MB of text": (lambda: b"P3 3000 3000 255\n" + b"9 8 " * 10_000_000, "in text"),
    "PPM with a comment of 20 MB": (lambda: b"P6 #" + b"a" * 20_000_000, "a header of more than"),
    "truncated JPEG": (lambda: made.encode(made.sample(), "JPEG").getvalue()[:-300], "damaged"),
    "truncated PNG": (lambda: made.encode(made.sample(), "PNG").getvalue()[:-60], "damaged"),
    "99 MB of zeros": (lambda: bytes(99_000_000), "not an image"),
    "101 MiB of a JPEG": (lambda: JPEG_OF_A_PIXEL.ljust(101 * 1024**2, b"\0"), "bytes, more than"),
    "empty file": (lambda: b"", "empty"),
    "text": (lambda: b"hello world\n" * 9, "not an image"),
    "SVG that reads a file": (
        lambda: (
            b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
            b'<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/>&x;</svg>'
        ),
        "images of the format SVG are not read",
    ),
    "EPS": (lambda: made.encode(made.sample(), "EPS").getvalue(), "EPS are not allowed"),
    "PostScript that starts a program": (
        lambda: (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(%pipe%id) (r) file\n"
        ),
        "EPS are not allowed",
    ),
    "PDF": (lambda: made.encode(made.sample(), "PDF").getvalue(), "PDF documents are not read"),
    "ICNS": (lambda: made.encode(made.sample(size=(64, 64)), "ICNS").getvalue(), "ICNS are not"),
    "GIF that is a script": (lambda: b"GIF89a/*\0\0\0*/=1;alert(1)//", "not an image"),
}


def jpeg_2000_header(width: int, height: int) -> bytes:
    """Return a JPEG 2000 that claims a size and holds next to no data."""
    data = bytearray(made.encode(made.sample(), "JPEG2000", no_jp2=True).getvalue())
    start = data.index(b"\xff\x51") + 6
    data[start : start + 8] = struct.pack(">II", width, height)
    data[start + 16 : start + 24] = struct.pack(">II", width, height)
    return bytes(data)


def shown_within_bounds(answer: dict[str, Any]) -> None:
    """Check what holds for every picture."""
    assert "crash" not in answer, answer["crash"]
    assert answer["signal"] == 0, "it took more than 10 seconds of a processor, or was killed"
    assert answer["memory"] < MEMORY
    assert answer["programs"] == []


@pytest.mark.parametrize("name", list(REFUSED))
def test_a_hostile_file_costs_a_placeholder(runner: Runner, name: str) -> None:
    """The page is up, the log names spec, source and cause; no program is started."""
    build, cause = REFUSED[name]
    answer = runner.ask(build(), "hostile.jpg")
    shown_within_bounds(answer)
    assert answer["made"] is None
    assert answer["html"].startswith('<p><img width="')
    assert 'src="data:image/svg+xml,' in answer["html"]
    assert {level for level, _ in answer["logged"]} <= {"WARNING", "ERROR"}
    text = answer["logged"][0][1]
    assert text.startswith("imagekit:thumbnail of 'hostile.jpg': ")
    assert cause in text


#: Texts and profiles that nobody needs: left out before they are unpacked.
OVERLONG = {"iTXt": b"k\0\1\0\0\0", "zTXt": b"k\0\0", "iCCP": b"k\0\0"}


@pytest.mark.parametrize("name", OVERLONG)
def test_a_picture_with_a_chunk_of_100_mb_is_shown(runner: Runner, name: str) -> None:
    """Without the text or the profile, within the same bounds."""
    answer = runner.ask(packed_chunk(name.encode(), OVERLONG[name]), "hostile.png")
    shown_within_bounds(answer)
    assert answer["made"] == ["PNG", 8, 8]


LARGE: dict[str, Callable[[], bytes]] = {
    "RGBA": lambda: whole_png(SIDE, SIDE, color=6),
    "palette with alpha": lambda: whole_png(
        SIDE,
        SIDE,
        color=3,
        before=made.png_chunk(b"PLTE", bytes(768)) + made.png_chunk(b"tRNS", bytes(256)),
    ),
}


@pytest.mark.parametrize(
    ("name", "decoder", "resizer"),
    [*product(LARGE, ["pillow"], ["pillow", "auto"]), ("RGBA", "vips", "auto")],
)
def test_the_largest_source_is_shown(runner: Runner, name: str, decoder: str, resizer: str) -> None:
    """A picture of 100 million pixels is made into a thumbnail, within the same bounds."""
    settings = {"IMAGEKIT_DECODER": decoder, "IMAGEKIT_RESIZER": resizer}
    answer = runner.ask(LARGE[name](), f"{decoder}.png", settings=settings)
    shown_within_bounds(answer)
    assert answer["made"] == ["PNG", 300, 200]


@pytest.mark.parametrize(
    ("size", "subsampling", "wanted", "shown"),
    [
        pytest.param((12_000, 9000), "4:2:0", "1600x1200", [1600, 1200], id="108 million"),
        pytest.param((12_000, 9000), "4:4:4", "1600x1200", [1600, 1200], id="in full colour"),
        pytest.param((16_320, 12_240), "4:2:0", "300x225", [300, 225], id="200 million"),
    ],
)
@pytest.mark.parametrize("decoder", ["pillow", "vips"])
def test_progressive_photographs_of_telephones_are_shown(
    runner: Runner,
    size: tuple[int, int],
    subsampling: str,
    wanted: str,
    shown: list[int],
    decoder: str,
) -> None:
    """All their coefficients are held while they are read, and no more than these are counted."""
    answer = runner.ask(
        progressive(*size, subsampling),
        f"{decoder}.jpg",
        tag=f"thumbnail '{wanted}' {{}}",
        settings={"IMAGEKIT_DECODER": decoder},
    )
    shown_within_bounds(answer)
    assert answer["made"] == ["JPEG", *shown]


FORM = {
    "JPEG header of 65500 x 65500": "The image has too many pixels. At most 100,000,000 are allowed"
    ", such as 10,000 by 10,000: make it smaller and upload it again.",
    "GIF of 20000 frames": "The animation has too many frames. At most 500 are allowed: shorten it"
    " and upload it again.",
    "101 MiB of a JPEG": "The file is too large. At most 100.0\xa0MB are allowed.",
    "JPEG of 5000 scans": "The image is too large or too complex to be processed. Upload a smaller"
    " one.",
    "GIF of 500 frames on 3000 x 3000": "The image is too large or too complex to be processed."
    " Upload a smaller one.",
    "JPEG 2000 of 10000 x 10000": "The image is too large or too complex to be processed. Upload a"
    " smaller one.",
    "TIFF of tags that share their bytes": "The image is too large or too complex to be processed."
    " Upload a smaller one.",
    "PostScript that starts a program": "Upload a valid image. The file you uploaded was either"
    " not an image or a corrupted image.",
    "SVG that reads a file": "Upload a valid image. The file you uploaded was either not an image"
    " or a corrupted image.",
    "empty file": "The submitted file is empty.",
}


@pytest.mark.parametrize("name", list(FORM))
def test_a_form_says_in_words_what_is_wrong(runner: Runner, name: str) -> None:
    """A visitor reads what to do, in the words of the form."""
    answer = runner.ask(REFUSED[name][0](), "hostile.jpg", kind="form")
    shown_within_bounds(answer)
    assert answer["form"] == [FORM[name]]


def striped(width: int, height: int, format: str) -> bytes:
    """Return a thin picture, red in its first half and blue in the other."""
    image = Image.new("RGB", (width, height), (255, 0, 0))
    box = (width // 2, 0) if width > height else (0, height // 2)
    image.paste((0, 0, 255), (*box, width, height))
    return made.encode(image, format).getvalue()


class TestThin:
    """Pictures of 20000 x 1 pixels, which would need gigabytes if they were scaled before cropping."""

    @pytest.mark.parametrize("decoder", ["pillow", "vips"])
    @pytest.mark.parametrize("size", [(20_000, 1), (1, 20_000)], ids=["wide", "tall"])
    @pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "GIF"])
    def test_thin_pictures_are_shown(
        self, runner: Runner, format: str, size: tuple[int, int], decoder: str
    ) -> None:
        """The tag crops them to the wanted size, in little memory."""
        answer = runner.ask(
            striped(*size, format),
            f"{decoder}-{format}-{size[0]}.{format.lower()}",
            tag="thumbnail '300x200' {} crop=1 upscale=1 format='PNG'",
            settings={"IMAGEKIT_DECODER": decoder},
        )
        shown_within_bounds(answer)
        assert answer["made"] == ["PNG", 300, 200]
        assert answer["memory"] < 200 * 1024**2

    @pytest.mark.parametrize("name", list(RESIZERS))
    @pytest.mark.parametrize("size", [(20_000, 1), (1, 20_000)], ids=["wide", "tall"])
    def test_thin_pictures_have_the_right_size_and_colours(
        self, name: str, size: tuple[int, int]
    ) -> None:
        """Every resizer gives its size; what is kept of them is red and blue, and nothing else."""
        processor = RESIZERS[name]
        predicted = processor.output_size(size)
        if name == "ResizeToCover":
            # This one does not crop: what it is to give has millions of pixels on one side.
            with pytest.raises(LimitExceeded, match="the result would be"):
                made.make(striped(*size, "PNG"), processor, format="PNG")
            return
        image = made.opened(made.make(striped(*size, "PNG"), processor, format="PNG"))
        assert image.size == predicted
        colors: Any = image.convert("RGB").getcolors(1_000_000)
        seen = {color for _, color in colors}
        if name != "mat":
            # Between red and blue there is nothing but what resampling gives.
            assert all(green == 0 and 253 <= red + blue <= 257 for red, green, blue in seen)
