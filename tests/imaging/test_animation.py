"""Animations: every frame, its time and what is behind it."""

from __future__ import annotations

from typing import Any

import PIL
import pytest
from PIL import Image, ImageSequence

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
def test_frames_and_durations_are_kept(source: str, target: str) -> None:
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
def test_loop_is_kept(format: str, loop: int) -> None:
    """How often it plays stays as it was."""
    with Image.open(make(made.animation(format, loop=loop), ResizeToFit(20))) as image:
        assert image.info["loop"] == loop


@pytest.mark.parametrize("source", ["AVIF"])
@pytest.mark.parametrize("target", ["GIF", "WEBP", "PNG"])
def test_what_does_not_say_how_often_plays_for_ever(source: str, target: str) -> None:
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
def test_a_long_time_is_rounded_or_cut(target: str, given: int, shown: int) -> None:
    """A time that a format cannot hold does not cost the animation."""
    if target == "PNG" and tuple(map(int, PIL.__version__.split(".")[:2])) < (12, 1):
        shown = 65_500  # Pillow wrote no fractions yet
    source = made.animation("WEBP", 2, duration=[given, 100])
    assert round(frames(make(source, format=target))[0][0]) == shown
