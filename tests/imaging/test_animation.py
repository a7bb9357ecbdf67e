"""Animations: every frame, its time and what is behind it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import attrs
import PIL
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageSequence, ImageStat

from imagekit_registry.exceptions import LimitExceeded
from imagekit_registry.imaging import Encoded, Recipe, render_many
from imagekit_registry.processors import ResizeToFill, ResizeToFit

from . import conftest as made
from .conftest import make

FORMATS = ["GIF", "WEBP", "PNG", "AVIF"]
COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def frames(file: Any) -> list[tuple[float, Image.Image]]:
    """Return duration and composed pixels of each frame."""
    result = []
    with Image.open(file) as image:
        for frame in ImageSequence.Iterator(image):
            frame.load()
            result.append((frame.info.get("duration", 0), frame.convert("RGBA")))
    return result


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_an_animation_keeps_frames_and_durations(source: str, target: str) -> None:
    """From any format of animations into any other, each frame keeps its time and its picture."""
    result = make(made.animation(source), ResizeToFit(20), format=target)
    assert result.frames == 3
    shown = frames(result)
    assert [round(duration) for duration, _image in shown] == [100, 200, 300]
    for (_duration, image), color in zip(shown, COLORS, strict=True):
        assert image.size == (20, 15)
        pixel: Any = image.getpixel((10, 7))
        assert max(abs(band - want) for band, want in zip(pixel, color, strict=False)) < 12


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
@pytest.mark.parametrize("loop", [0, 1, 5])
def test_an_animation_plays_as_often_as_its_source(format: str, loop: int) -> None:
    """How often it plays stays as it was."""
    with Image.open(make(made.animation(format, loop=loop), ResizeToFit(20))) as image:
        assert image.info["loop"] == loop


@pytest.mark.parametrize("source", ["AVIF"])
@pytest.mark.parametrize("target", ["GIF", "WEBP", "PNG"])
def test_an_animation_that_does_not_say_how_often_plays_for_ever(source: str, target: str) -> None:
    """As browsers show it, whatever it becomes; it does not stop after one round."""
    with Image.open(make(made.animation(source), ResizeToFit(20), format=target)) as image:
        assert image.info["loop"] == 0


@pytest.mark.parametrize("target", ["JPEG", "BMP", "TIFF"])
def test_a_format_of_stills_gets_the_first_frame(target: str) -> None:
    """A format of stills gets the first frame."""
    result = make(made.animation("GIF"), ResizeToFit(20), format=target)
    assert result.frames == 1
    (_duration, image), *others = frames(result)
    pixel: Any = image.getpixel((5, 5))
    assert not others
    assert pixel[0] > 240


@pytest.mark.parametrize("format", FORMATS)
def test_the_first_frame_alone_can_be_asked_for(format: str) -> None:
    """`animated=False` makes a still of it."""
    assert make(made.animation(format), animated=False).frames == 1


@pytest.mark.parametrize("target", ["GIF", "WEBP", "PNG"])
def test_transparent_frames_show_no_other_frame(target: str) -> None:
    """What a frame leaves transparent is transparent, and not what stood there before."""
    pictures = []
    for left in (0, 20):
        picture = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
        picture.paste((255, 0, 0, 255), (left, 0, left + 20, 30))
        pictures.append(picture)
    source = made.encode(
        pictures[0],
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=100,
        disposal=2,
        loop=0,
    )
    shown = frames(make(source, ResizeToFit(20), format=target))
    alphas = [
        [image.getchannel("A").getpixel((x, 7)) for x in (3, 16)] for _duration, image in shown
    ]
    assert alphas == [[255, 0], [0, 255]]


def test_each_frame_goes_through_the_processors() -> None:
    """A crop is a crop of every frame, and a custom processor sees each of them once."""
    seen = []

    class Spy:
        def process(self, image: Image.Image) -> Image.Image:
            seen.append(image.size)
            return image

    result = make(made.animation("GIF", 4), ResizeToFill(10, 10), Spy())
    assert (result.width, result.height, result.frames) == (10, 10, 4)
    assert seen == [(10, 10)] * 4


def test_an_apng_s_still_is_no_frame() -> None:
    """A picture for viewers that know no animations is left out."""
    pictures = [Image.new("RGB", (40, 30), color) for color in ("white", "red", "blue")]
    source = made.encode(
        pictures[0],
        "PNG",
        save_all=True,
        append_images=pictures[1:],
        default_image=True,
        duration=100,
    )
    shown = frames(make(source, ResizeToFit(20)))
    assert [image.getpixel((5, 5)) for _duration, image in shown] == [
        (255, 0, 0, 255),
        (0, 0, 255, 255),
    ]


def test_a_frame_beyond_the_edge_is_cut_off() -> None:
    """A GIF whose second frame is larger than its canvas keeps the canvas."""
    small = made.encode(Image.new("RGB", (30, 30), "red"), "GIF").getvalue()
    large = made.encode(Image.new("RGB", (40, 30), "blue"), "GIF").getvalue()
    # The second picture, with the palette that both have the place of, follows the first.
    result = make(small[:-1] + large[large.index(b",") :], format="WEBP")
    assert (result.width, result.height) == (30, 30)


@pytest.mark.parametrize("format", FORMATS)
def test_a_frame_that_repeats_the_last_lasts_as_long(format: str) -> None:
    """Two equal frames in a row show as long as before, also if there are no others."""
    colors = ["red", "red", "blue"]
    pictures = [Image.new("RGB", (40, 30), color) for color in colors]
    for count in (2, 3):
        source = made.encode(
            pictures[0],
            "WEBP",
            save_all=True,
            append_images=pictures[1:count],
            duration=[100, 200, 300][:count],
            minimize_size=False,
        )
        result = make(source, ResizeToFit(20), format=format)
        shown = frames(result)
        assert result.frames == len(shown)
        if count == 3:
            assert sum(duration for duration, _image in shown) == 600


@pytest.mark.parametrize("format", FORMATS)
def test_frames_of_different_sizes_share_a_canvas(format: str) -> None:
    """A processor may give each frame another size; the file has one."""

    class Shrink:
        def __init__(self) -> None:
            self.calls = 0

        def process(self, image: Image.Image) -> Image.Image:
            self.calls += 1
            return image.crop((0, 0, 40 - self.calls, 30))

    result = make(made.animation(format), Shrink())
    shown = frames(result)
    assert (result.width, result.height) == (39, 30)
    assert {image.size for _duration, image in shown} == {(39, 30)}


@pytest.mark.parametrize("target", ["GIF", "PNG", "WEBP"])
@pytest.mark.parametrize(("given", "shown"), [(65_540, 65_500), (10_551_496, 600_000)])
def test_a_long_duration_of_a_frame_is_rounded_or_cut(target: str, given: int, shown: int) -> None:
    """A time that a format cannot hold does not cost the animation."""
    if target == "PNG" and tuple(map(int, PIL.__version__.split(".")[:2])) < (12, 1):
        shown = 65_500  # Pillow wrote no fractions yet
    source = made.animation("WEBP", 2, duration=[given, 100])
    assert round(frames(make(source, format=target))[0][0]) == shown


def gif_blocks(data: bytes) -> list[int]:
    """Return the palette's size of each frame, walking a GIF as strictly as its standard."""
    assert data[:6] in (b"GIF87a", b"GIF89a")
    place = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 128 else 0)
    sizes = []
    while data[place] != 0x3B:
        if data[place] == 0x21:
            place += 2
        else:
            assert data[place] == 0x2C, f"no block at {place}"
            flags = data[place + 9]
            sizes.append(2 << (flags & 7) if flags & 128 else 0)
            place += 11 + 3 * sizes[-1]
        while data[place]:
            place += 1 + data[place]
        place += 1
    assert place == len(data) - 1
    return sizes


@pytest.mark.parametrize("source", ["GIF", "WEBP", "PNG"])
@pytest.mark.parametrize("kinds", ["oo", "tt", "ot", "oot", "to"])
def test_a_gif_of_frames_with_and_without_alpha_is_whole(source: str, kinds: str) -> None:
    """Comparing frames does not change their palettes, which became ones of 512 colours."""
    pictures = []
    for number, kind in enumerate(kinds):
        ground = (255, 240, 200, 255) if kind == "o" else (0, 0, 0, 0)
        picture = Image.new("RGBA", (120, 80), ground)
        picture.paste((200, 30 + number * 20, 40, 255), (10 + number * 8, 10, 60, 60))
        pictures.append(picture)
    kinds_of: dict[str, Any] = {"GIF": {"disposal": 2}, "WEBP": {"lossless": True}}
    options = kinds_of.get(source, {})
    file = made.encode(
        pictures[0], source, save_all=True, append_images=pictures[1:], duration=100, **options
    )
    result = make(file, ResizeToFit(60), format="GIF")
    assert len(gif_blocks(result.getvalue())) == result.frames == len(kinds)
    # Pillow reads "to background" as the palette's first colour, where viewers clear it.
    shown = frames(make(result, format="PNG"))
    corners = [image.getpixel((59, 0))[3] for _duration, image in shown]  # type: ignore[index]
    assert corners == [255 if kind == "o" else 0 for kind in kinds]


def test_a_palette_is_the_same_for_every_result() -> None:
    """A result with processors does not spoil the palette of one without them."""
    picture = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
    picture.paste((255, 0, 0, 255), (10, 10, 20, 20))
    source = made.encode(picture, "GIF")
    recipes = [Recipe([ResizeToFit(20)], format="PNG"), Recipe(format="GIF"), Recipe(format="PNG")]
    results = render_many(source, recipes, limits=made.LIMITS, format_options={})
    for result in results:
        assert isinstance(result, Encoded)
        image = made.opened(result).convert("RGBA")
        scale = image.width // 20
        red: Any = image.getpixel((7 * scale, 7 * scale))
        assert red[:3] == (255, 0, 0)
        assert red[3] > 240
        assert image.getpixel((15 * scale, 12 * scale))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize("as_option", [False, True])
def test_an_avif_animation_with_an_orientation_is_written_without_it(as_option: bool) -> None:
    """The codec ends the process at the second frame of one that has the tag: AVIF."""
    if not made.HAS_AVIF:
        pytest.skip("this Pillow has no AVIF")
    exif = Image.Exif()
    exif[0x0112], exif[0x8298] = 6, "somebody"
    source = made.animation("PNG", exif=exif.tobytes())
    kept: dict[str, Any] = {"options": {"exif": exif}} if as_option else {"metadata": "keep"}
    result = make(source, ResizeToFit(20), format="AVIF", auto_orient=False, **kept)
    with Image.open(result) as image:
        assert image.n_frames == 3  # type: ignore[attr-defined]
        assert image.getexif().get(0x0112, 1) == 1
        assert image.getexif()[0x8298] == "somebody"


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
@pytest.mark.parametrize("recipe", [{"format": "JPEG"}, {"format": "PNG", "animated": False}])
def test_a_still_of_more_frames_than_are_allowed_is_made(format: str, recipe: Any) -> None:
    """Only the first frame is decoded, so the others are not counted."""
    limits = attrs.evolve(made.LIMITS, max_frames=4)
    assert make(made.animation(format, 6), limits=limits, **recipe).frames == 1
    with pytest.raises(LimitExceeded, match="more than the 4 frames"):
        make(made.animation(format, 6), limits=limits)


@pytest.mark.parametrize("source", ["GIF", "PNG", "WEBP"])
@pytest.mark.parametrize("through", ["GIF", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("target", ["GIF", "PNG", "WEBP"])
@pytest.mark.parametrize("plays", [0, 1, 2, 5])
def test_an_animation_plays_as_often_in_another_format(
    source: str, through: str, target: str, plays: int
) -> None:
    """A GIF says how often it is repeated, an AVIF how long it plays, the others how often."""

    def counted(format: str) -> int | None:
        if format != "GIF" or plays == 0:
            return plays
        return plays - 1 or None

    first = make(made.animation(source, loop=counted(source)), ResizeToFit(20), format=through)
    with Image.open(make(first, format=target)) as image:
        assert image.info.get("loop") == counted(target)


@pytest.mark.parametrize("has_alpha", [False, True])
def test_an_avif_says_how_often_it_plays(has_alpha: bool) -> None:
    """Its tracks, of colours and of alpha, last as long as all its rounds together: AVIF."""
    if not made.HAS_AVIF:
        pytest.skip("this Pillow has no AVIF")
    pictures = [
        Image.new("RGBA", (40, 30), (band, 0, 0, 128 if has_alpha else 255)) for band in (9, 99)
    ]
    for plays in (3, 0):
        file = made.encode(
            pictures[0],
            "WEBP",
            save_all=True,
            append_images=pictures[1:],
            duration=[100, 200],
            loop=plays,
        )
        data = make(file, format="AVIF").getvalue()
        tracks = data.split(b"tkhd\1")[1:]
        assert len(tracks) == 1 + has_alpha
        expected = (900).to_bytes(8) if plays else b"\xff" * 8
        assert [track[27:35] for track in tracks] == [expected] * len(tracks)


def test_an_avif_of_another_encoder_says_how_often_it_plays() -> None:
    """Some write for ever as half of all ones, others nothing at all: AVIF."""
    if not made.HAS_AVIF:
        pytest.skip("this Pillow has no AVIF")
    data = made.animation("AVIF", loop=None).getvalue()
    track, edit = data.index(b"tkhd"), data.index(b"elst")
    for total, flag, plays in (
        (b"\x7f" + b"\xff" * 7, 1, 0),
        ((1500).to_bytes(8), 1, 3),
        ((600).to_bytes(8), 0, 1),
    ):
        changed = bytearray(data)
        changed[track + 32 : track + 40] = total
        changed[edit + 7] = flag
        with Image.open(make(bytes(changed), format="PNG")) as image:
            assert image.info["loop"] == plays
    silent = data.replace(b"edts", b"free").replace(b"elst", b"free")
    with Image.open(make(silent, format="PNG")) as image:
        assert image.info["loop"] == 0


def apng(
    frames: list[tuple[tuple[int, int, int, int], bytes, int, int]],
    kind: int = 6,
    more: bytes = b"",
) -> bytes:
    """Return an APNG of 40 x 30: place, pixel, disposal and blending of each frame."""
    head = struct.pack(">IIBBBBB", 40, 30, 8, kind, 0, 0, 0)
    chunks = [made.png_chunk(b"IHDR", head)]
    chunks += [made.png_chunk(b"acTL", struct.pack(">II", len(frames), 0)), more]
    number = 0
    for (left, top, width, height), pixel, disposal, blend in frames:
        place = struct.pack(">IIII", width, height, left, top)
        timing = struct.pack(">HHBB", 1, 10, disposal, blend)
        chunks.append(made.png_chunk(b"fcTL", struct.pack(">I", number) + place + timing))
        rows = zlib.compress((b"\0" + pixel * width) * height)
        number += 1
        if number == 1:
            chunks.append(made.png_chunk(b"IDAT", rows))
        else:
            chunks.append(made.png_chunk(b"fdAT", struct.pack(">I", number) + rows))
            number += 1
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + made.png_chunk(b"IEND", b"")


WHOLE = (0, 0, 40, 30)
HALF_RED, NOTHING = bytes((255, 0, 0, 128)), bytes(4)


@pytest.mark.parametrize(
    ("ground", "shown"),
    [
        (NOTHING, (255, 0, 0, 128)),
        (bytes((0, 0, 255, 255)), (128, 0, 127, 255)),
        (bytes((0, 0, 255, 128)), (170, 0, 85, 192)),
    ],
    ids=["on nothing", "on blue", "on half blue"],
)
def test_half_transparent_pixels_of_an_apng_are_composed(ground: bytes, shown: Any) -> None:
    """ "Over" is the operator of that name, with each pixel's alpha: not a mixture of alphas."""
    source = apng([(WHOLE, ground, 0, 0), (WHOLE, HALF_RED, 0, 1)])
    pixel: Any = frames(make(source, format="PNG"))[1][1].getpixel((5, 5))
    assert max(abs(a - b) for a, b in zip(pixel, shown, strict=True)) < 3


def test_palette_and_grey_of_an_apng_are_composed_as_colours() -> None:
    """Not as numbers of a palette."""
    colors = made.png_chunk(b"PLTE", bytes((0, 0, 255, 9, 9, 9, 255, 0, 0)))
    colors += made.png_chunk(b"tRNS", bytes((255, 255, 128)))
    source = apng([(WHOLE, b"\0", 0, 0), (WHOLE, b"\2", 0, 1)], kind=3, more=colors)
    pixel: Any = frames(make(source, format="PNG"))[1][1].getpixel((5, 5))
    assert max(abs(a - b) for a, b in zip(pixel, (128, 0, 127, 255), strict=True)) < 3
    source = apng([(WHOLE, b"\0\xff", 0, 0), (WHOLE, b"\xc8\x80", 0, 1)], kind=4)
    result = make(source, format="PNG")
    grey: Any = frames(result)[1][1].getpixel((5, 5))
    assert max(abs(a - b) for a, b in zip(grey, (100, 100, 100, 255), strict=True)) < 3


@pytest.mark.parametrize(
    ("disposal", "shown"),
    [(0, (255, 0, 0, 255)), (1, (0, 0, 0, 0)), (2, (0, 255, 0, 255))],
    ids=["stays", "is cleared", "is undone"],
)
def test_an_apng_frame_is_disposed_of_as_it_says(disposal: int, shown: Any) -> None:
    """Also where it was laid over the one before."""
    green, red = bytes((0, 255, 0, 255)), bytes((255, 0, 0, 255))
    small = (0, 0, 1, 1)
    source = apng([(WHOLE, green, 0, 0), ((2, 2, 8, 8), red, disposal, 1), (small, NOTHING, 0, 1)])
    image = frames(make(source, format="PNG"))[-1][1]
    assert image.getpixel((5, 5)) == shown
    assert image.getpixel((20, 20)) == (0, 255, 0, 255)


def gif(parts: Sequence[tuple[tuple[int, int, int, int], int, int | None]]) -> bytes:
    """Return a GIF of 40 x 30: place, colour (black, red, green or blue) and disposal of each."""
    colors = [0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255]
    data = b"GIF89a" + struct.pack("<HHBBB", 40, 30, 0xF1, 0, 0) + bytes(colors)
    for place, color, disposal in parts:
        if disposal is not None:
            data += b"!\xf9\4" + struct.pack("<BHBB", disposal << 2, 10, 0, 0)
        picture = Image.new("P", place[2:], color)
        picture.putpalette(colors)
        pixels = made.encode(picture, "GIF", optimize=False).getvalue()[25 + 10 : -1]
        data += b"," + struct.pack("<HHHHB", *place, 0) + pixels
    return data + b";"


def test_what_no_frame_of_a_gif_covers_is_transparent() -> None:
    """In animations and in stills, whatever colour its palette begins with."""
    source = gif([((4, 4, 10, 10), 1, 1), ((20, 4, 10, 10), 2, 1)])
    shown = frames(make(source, format="PNG"))
    assert [image.getpixel((38, 28))[3] for _time, image in shown] == [0, 0]  # type: ignore[index]
    assert shown[1][1].getpixel((5, 5)) == (255, 0, 0, 255)
    for data in (source, gif([((4, 4, 10, 10), 1, None)])):
        still = made.opened(make(data, format="PNG", animated=False)).convert("RGBA")
        assert still.getpixel((38, 28)) == (0, 0, 0, 0)
        assert still.getpixel((5, 5)) == (255, 0, 0, 255)


@pytest.mark.parametrize(
    ("disposal", "alpha"),
    [(0, (0, 0, 255, 255)), (1, (0, 0, 255, 255)), (2, (0, 0, 0, 0)), (3, (255, 0, 0, 255))],
    ids=["nothing said", "stays", "is cleared", "is undone"],
)
def test_a_gif_frame_is_disposed_of_as_it_says(disposal: int, alpha: Any) -> None:
    """To background means transparent; and what one frame says does not count for the next."""
    source = gif(
        [((0, 0, 40, 30), 1, 1), ((4, 4, 10, 10), 3, disposal), ((30, 0, 5, 5), 2, 0)]
        + [((35, 0, 5, 5), 3, 0)]
    )
    shown = frames(make(source, format="PNG"))
    assert shown[2][1].getpixel((8, 8)) == alpha
    assert [shown[index][1].getpixel((32, 2)) for index in (2, 3)] == [(0, 255, 0, 255)] * 2


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_an_apng_with_a_palette_keeps_one(mode: str) -> None:
    """For all its frames: it takes no more bytes at its size, and where edges are smooth a third."""
    frames = []
    for number in range(8):
        frame = Image.new(mode, (160, 120), (250, 250, 245) if mode == "RGB" else (0, 0, 0, 0))
        for row, color in enumerate(("red", "green", "navy")):
            left = number * 12 + row * 20
            ImageDraw.Draw(frame).ellipse((left, row * 40, left + 30, row * 40 + 30), fill=color)
        frames.append(frame.quantize(8, Image.Quantize.FASTOCTREE))
    timing: dict[str, Any] = {"save_all": True, "duration": 80}
    source = made.encode(frames[0], "PNG", append_images=frames[1:], **timing)
    whole, half = make(source), make(source, ResizeToFit(80))
    assert len(whole.getvalue()) <= len(source.getvalue())
    plain = [frame.convert(mode) for frame in frames]
    of_plain = made.encode(plain[0], "PNG", append_images=plain[1:], **timing)
    assert len(half.getvalue()) < len(make(of_plain, ResizeToFit(80)).getvalue()) / 3
    for result, size in ((whole, (160, 120)), (half, (80, 60))):
        image = Image.open(result)
        assert (image.mode, image.n_frames, image.size) == ("P", 8, size)  # type: ignore[attr-defined]
        image.seek(5)
        expected = frames[5].convert("RGBA").resize(size, Image.Resampling.HAMMING)
        difference = ImageChops.difference(image.convert("RGBA"), expected)
        assert max(ImageStat.Stat(difference).rms) < 6


def test_an_apng_holds_only_what_changes() -> None:
    """What stays as it is costs little, and every frame has all its pixels; of photographs nothing stays."""
    with Image.open(made.PHOTOS / "hubble_deep_field.jpg") as file:
        photo = file.convert("RGB").resize((160, 120))
    frames = []
    for number in range(5):
        frame = photo.copy()
        for place in ((5 + number * 20, 10), (150 - number * 20, 90)):
            ImageDraw.Draw(frame).rectangle((*place, place[0] + 8, place[1] + 20), fill="red")
        frames.append(frame)
    source = made.encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    result = make(source, format="PNG")
    assert len(result.getvalue()) < len(made.encode(photo, "PNG").getvalue()) * 2
    with Image.open(result) as image:
        for number, frame in enumerate(frames):
            image.seek(number)
            assert ImageChops.difference(image.convert("RGB"), frame).getbbox() is None
    turned = [photo, *(photo.rotate(90 * number).resize(photo.size) for number in (1, 2))]
    moving = made.encode(photo, "WEBP", save_all=True, append_images=turned[1:], lossless=True)
    assert Image.open(make(moving, format="PNG")).mode == "RGB"


def drawn(mode: str) -> list[Image.Image]:
    """Return eight frames of a disk that passes some lines."""
    frames = []
    for number in range(8):
        frame = Image.new("L", (160, 120), 255)
        draw = ImageDraw.Draw(frame)
        for top in range(0, 120, 15):
            draw.line((0, top, 160, 120 - top), fill=0)
        draw.ellipse((number * 12, 40, number * 12 + 30, 70), fill=0 if mode == "1" else 90)
        frames.append(frame.convert(mode))
    return frames


@pytest.mark.parametrize("mode", ["1", "L"])
def test_an_apng_of_greys_stays_one(mode: str) -> None:
    """In its own size without losses, and in few more bytes than its source; scaled, one bit has 16 greys."""
    frames = drawn(mode)
    source = made.encode(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=80)
    whole, half = make(source), make(source, ResizeToFit(80))
    assert len(whole.getvalue()) < len(source.getvalue()) * 1.1
    softened = Image.Resampling.HAMMING if mode == "1" else Image.Resampling.LANCZOS
    for result, modes, most in ((whole, ("1", "L"), 0), (half, ("P", "L"), 9)):
        with Image.open(result) as image:
            assert image.mode == modes[mode == "L"]
            assert image.n_frames == 8  # type: ignore[attr-defined]
            for number, frame in enumerate(frames):
                image.seek(number)
                expected = frame.convert("L").resize(image.size, softened)
                difference = ImageChops.difference(image.convert("L"), expected)
                assert ImageStat.Stat(difference).extrema[0][1] <= most, number


@pytest.mark.parametrize("frame", ["alone", "with a profile"])
def test_an_animated_webp_without_losses_stays_so(frame: str) -> None:
    """Unless a quality is asked for; one with losses stays as it is, too."""
    frames = [each.convert("RGB") for each in drawn("L")]
    options: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": 80}
    if frame == "with a profile":
        options["icc_profile"] = made.make_profile("p3")
    source = made.encode(frames[0], "WEBP", lossless=True, **options)
    result = make(source, color="keep")
    assert len(result.getvalue()) < len(source.getvalue()) * 1.1
    with Image.open(result) as image:
        for number, each in enumerate(frames):
            image.seek(number)
            assert ImageChops.difference(image.convert("RGB"), each).getbbox() is None
    lossy = make(source, color="keep", options={"quality": 80})
    with Image.open(lossy) as image:
        assert ImageChops.difference(image.convert("RGB"), frames[0]).getbbox()
    assert b"VP8L" not in make(made.encode(frames[0], "WEBP", quality=80, **options)).getvalue()
