"""Animated GIFs as they are written: what they show, by a reader of our own, and how small they are."""

from __future__ import annotations

import io
import random
import struct
from typing import Any

import attrs
import pytest
from PIL import Image, ImageChops, ImageFilter, ImageStat

from imagekit_registry.exceptions import EncodingError
from imagekit_registry.processors import ResizeToFit

from . import conftest as made
from .conftest import make

CLEAR = (0, 0, 0, 0)


@attrs.frozen
class Shown:
    """What a viewer shows for one frame of a GIF, and what the file says of it."""

    image: Image.Image
    duration: int
    place: tuple[int, int, int, int]
    has_palette: bool


def shown(file: io.BytesIO) -> list[Shown]:
    """Compose a GIF by its standard; Pillow only unpacks the numbers of each block."""
    data = file.getvalue()
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    place = 13 + (3 << (flags & 7) + 1)
    table = data[13:place]
    canvas = Image.new("RGBA", (width, height), CLEAR)
    result: list[Shown] = []
    disposal, duration, hole = 0, 0, -1

    def end_of_blocks(place: int) -> int:
        while data[place]:
            place += 1 + data[place]
        return place + 1

    while data[place] != 0x3B:
        if data[place] == 0x21:
            if data[place + 1] == 0xF9:
                packed, duration, number = struct.unpack_from("<BHB", data, place + 3)
                disposal, hole = packed >> 2 & 7, number if packed & 1 else -1
            place = end_of_blocks(place + 2)
            continue
        left, top, wide, high, flags = struct.unpack_from("<HHHHB", data, place + 1)
        pixels = place + 10 + (3 << (flags & 7) + 1 if flags & 128 else 0)
        colors = (data[place + 10 : pixels] if flags & 128 else table).ljust(768, b"\0")
        end = end_of_blocks(pixels + 1)
        alone = b"GIF89a" + struct.pack("<HHBBB", wide, high, 0xF7, 0, 0)
        alone += bytes(band for number in range(256) for band in (number,) * 3)
        alone += b"," + struct.pack("<HHHHB", 0, 0, wide, high, 0) + data[pixels:end] + b";"
        with Image.open(io.BytesIO(alone)) as opened:
            numbers = opened.convert("L")
        picture = Image.frombytes("P", numbers.size, numbers.tobytes())
        picture.putpalette(colors)
        drawn = numbers.point([0 if number == hole else 255 for number in range(256)])
        canvas.paste(picture.convert("RGBA"), (left, top), drawn)
        box = (left, top, left + wide, top + high)
        result.append(Shown(canvas.copy(), duration * 10, box, bool(flags & 128)))
        if disposal == 2:
            canvas.paste(CLEAR, box)
        place = end
    return result


def source(pictures: list[Image.Image], duration: Any = 100) -> io.BytesIO:
    """Return an animation of just these pictures."""
    return made.encode(
        pictures[0],
        "WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=duration,
        lossless=True,
        exact=True,
        minimize_size=False,
    )


def photo(width: int, height: int) -> Image.Image:
    """Return a photograph in this size."""
    with Image.open(made.PHOTOS / "coffee.png") as image:
        return image.convert("RGB").resize((width, height))


def moving(count: int = 12, size: tuple[int, int] = (240, 160)) -> list[Image.Image]:
    """Return a photograph over which a part of it moves."""
    ground = photo(*size)
    part = ground.crop((100, 60, 140, 100)).transpose(Image.Transpose.ROTATE_90)
    pictures = []
    for number in range(count):
        picture = ground.copy()
        picture.paste(part, (10 + 12 * number, 20))
        pictures.append(picture)
    return pictures


def flat(count: int = 12, size: tuple[int, int] = (240, 160)) -> list[Image.Image]:
    """Return a few plain shapes that move."""
    pictures = []
    for number in range(count):
        picture = Image.new("RGB", size, (250, 250, 245))
        picture.paste((40, 90, 160), (0, 0, size[0], 20))
        picture.paste((220, 60, 60), (5 + 11 * number, 40, 45 + 11 * number, 80))
        picture.paste((60, 180, 90), (150 - 9 * number, 100, 190 - 9 * number, 140))
        pictures.append(picture)
    return pictures


def difference(one: Image.Image, other: Image.Image, blur: float = 0) -> float:
    """Return how far two pictures are from each other: the root of the mean square of a band."""
    images = [image.convert("RGB").filter(ImageFilter.GaussianBlur(blur)) for image in (one, other)]
    bands = ImageStat.Stat(ImageChops.difference(*images)).rms
    return float(max(bands))


@pytest.mark.parametrize("seed", range(25))
def test_few_colours_are_shown_as_they_are(seed: int) -> None:
    """Whatever changes, appears and becomes transparent, each pixel of each frame is right."""
    chance = random.Random(seed)
    size = chance.randint(1, 40), chance.randint(1, 40)
    colors = [tuple(chance.choices(range(256), k=3)) for _ in range(chance.choice([2, 9, 300]))]
    picture = Image.new("RGBA", size, chance.choice([CLEAR, (*colors[0], 255)]))
    pictures = []
    for _ in range(8):
        for _ in range(chance.randint(0, 4)):
            left, top = chance.randrange(size[0]), chance.randrange(size[1])
            color = chance.choice([CLEAR, *[(*chance.choice(colors), 255)] * 2])
            picture.paste(color, (left, top, left + chance.randint(1, 20), top + 9))
        pictures.append(picture.copy())
    result = shown(make(source(pictures), format="GIF"))
    seen = [frame.image.tobytes() for frame in result for _ in range(frame.duration // 100)]
    assert seen == [image.tobytes() for image in pictures]


def test_a_palette_of_256_colours_is_kept() -> None:
    """There is no number left for a hole then: a place is drawn as a whole, or has its own palette."""
    picture: Any = photo(120, 80).quantize(256)
    pictures: Any = [picture.copy() for _ in range(5)]
    for number, image in enumerate(pictures):
        image.paste(picture.crop((40, 40, 60, 60)), (10 + 15 * number, 5))
    pictures = [image.convert("RGB") for image in pictures]
    pictures[3] = pictures[2].copy()
    pictures[3].putpixel((0, 0), pictures[2].getpixel((110, 70)))
    pictures[3].putpixel((119, 79), pictures[2].getpixel((10, 70)))
    result = make(source(pictures), format="GIF")
    assert [frame.image.convert("RGB").tobytes() for frame in shown(result)] == [
        image.tobytes() for image in pictures
    ]


def test_frames_of_a_palette_each_keep_their_colours() -> None:
    """A GIF that is not scaled loses nothing, even if its frames have 256 other colours each."""
    pictures = [photo(120, 80).rotate(40 * turn).quantize(256).convert("RGB") for turn in range(4)]
    result = shown(make(source(pictures), format="GIF"))
    assert [frame.image.convert("RGB").tobytes() for frame in result] == [
        image.tobytes() for image in pictures
    ]


def test_all_frames_share_a_palette() -> None:
    """No frame of a photograph brings one of its own."""
    assert not any(frame.has_palette for frame in shown(make(source(moving()), format="GIF")))


def test_a_frame_of_a_gif_draws_only_what_changes() -> None:
    """Frames after the first cover the part that moves, where it was and where it is."""
    for pictures in (moving(), flat()):
        first, *others = shown(make(source(pictures), format="GIF"))
        assert first.place == (0, 0, 240, 160)
        assert all(frame.place[2] - frame.place[0] < 200 for frame in others)
    moved = shown(make(source(moving()), format="GIF"))[1].place
    assert moved == (10, 20, 62, 60)


def test_a_photograph_is_dithered() -> None:
    """Colours that a palette lacks are mixed: seen from afar, they are right."""
    # Smooth ones: without it, there would be bands.
    pictures = [image.filter(ImageFilter.GaussianBlur(3)) for image in moving(4)]
    for frame, wanted in zip(shown(make(source(pictures), format="GIF")), pictures, strict=True):
        assert difference(frame.image, wanted) < 8
        assert difference(frame.image, wanted, blur=2) < 1.5


def test_a_rare_colour_is_not_lost() -> None:
    """A small blue light on a brown photograph stays blue."""
    pictures = moving(3)
    for image in pictures:
        image.paste((20, 40, 230), (200, 100, 206, 106))
    for frame in shown(make(source(pictures), format="GIF")):
        light: Any = frame.image.crop((200, 100, 206, 106)).getextrema()
        assert light[0][1] < 60
        assert light[2][0] > 200


def test_a_plain_ground_beside_a_photograph_is_exact() -> None:
    """White stays white, on a white page."""
    pictures = []
    for image in moving(3):
        page = Image.new("RGB", (400, 300), "white")
        page.paste(image, (20, 20))
        page.paste((253, 253, 252), (300, 200, 320, 220))
        pictures.append(page)
    frame = shown(make(source(pictures), format="GIF"))[-1]
    assert frame.image.crop((0, 190, 290, 300)).getextrema() == ((255, 255),) * 4


def test_a_slow_fade_is_followed() -> None:
    """Pixels may stay as they are for a change that nobody sees, but not for the next ones too."""
    ground = photo(120, 80)
    pictures = [ground.point(lambda value, less=less: max(0, value - less)) for less in range(30)]
    result = shown(make(source(pictures), format="GIF"))
    seen = [frame.image for frame in result for _ in range(frame.duration // 100)]
    assert len(seen) == 30
    for image, wanted in zip(seen, pictures, strict=True):
        assert difference(image, wanted, blur=2) < 4


@pytest.mark.parametrize("pictures", [moving(20), flat(20)], ids=["photograph", "flat"])
@pytest.mark.parametrize("share", [0.9, 0.5])
def test_a_smaller_result_has_fewer_bytes(pictures: list[Image.Image], share: float) -> None:
    """Even if its source draws no more than what changes either."""
    first = make(source(pictures), format="GIF")
    result = make(first, ResizeToFit(round(240 * share)), format="GIF")
    assert result.frames == 20
    assert len(result.getvalue()) < len(first.getvalue())


def test_a_gif_that_is_made_again_does_not_grow() -> None:
    """In its own size, all its colours and all that it leaves out are kept."""
    for pictures in (moving(), flat()):
        first = make(source(pictures), format="GIF")
        again = make(first, ResizeToFit(500, upscale=False), format="GIF")
        assert len(again.getvalue()) <= len(first.getvalue()) * 1.02


def test_edges_in_a_gif_do_not_ring() -> None:
    """Scaled down, plain shapes get colours between their own, and none outside of those."""
    result = make(source(flat(3)), ResizeToFit(100), format="GIF")
    red = shown(result)[0].image.getchannel("R").getextrema()
    assert red == (40, 250)


def test_a_frame_may_be_wholly_transparent() -> None:
    """What was shown is cleared, and comes back."""
    picture = Image.new("RGBA", (30, 20), CLEAR)
    picture.paste((255, 0, 0, 255), (5, 5, 9, 9))
    empty = Image.new("RGBA", (30, 20), CLEAR)
    pictures = [empty, picture, empty, picture]
    result = shown(make(source(pictures), format="GIF"))
    assert [frame.image.tobytes() for frame in result] == [image.tobytes() for image in pictures]


def test_times_are_rounded_to_what_a_gif_counts() -> None:
    """Sixtieths of a second become hundredths: 10 ms and less would count as 100 ms in browsers."""
    result = shown(make(source(flat(4), duration=[17, 44, 46, 100]), format="GIF"))
    assert [frame.duration for frame in result] == [20, 40, 50, 100]


def test_options_come_before_what_the_source_says() -> None:
    """Of Pillow's options for animated GIFs, duration, loop and comment count."""
    result = make(
        source(flat(3)), format="GIF", options={"duration": 70, "loop": 4, "comment": "ours"}
    )
    with Image.open(result) as image:
        assert image.info["loop"] == 4
        assert image.info["comment"] == b"ours"
    assert [frame.duration for frame in shown(result)] == [70, 70, 70]
    with pytest.raises(EncodingError, match="GIF cannot be written"):
        make(source(flat(3)), format="GIF", options={"loop": "often"})
