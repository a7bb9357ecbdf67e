"""Progressive JPEGs, of which a small decode reads less: nobody sees it, and damage goes the ordinary way."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat
from PIL.JpegImagePlugin import JpegImageFile

from imagekit_registry.exceptions import UnreadableImage
from imagekit_registry.imaging import Plan, get_decoder

from .conftest import LIMITS, PHOTOS, encode
from .test_render import psnr

#: What Pillow's encoder writes, each with scans of its own.
KINDS: dict[str, dict[str, Any]] = {
    "4:2:0": {"subsampling": 2},
    "4:2:2": {"subsampling": 1},
    "4:4:4": {"subsampling": 0},
    "with restarts": {"restart_marker_blocks": 7},
    "with metadata": {"comment": b"\xff\xda" * 20, "icc_profile": b"\xff\xd9" * 40},
    "grey": {"mode": "L"},
    "CMYK": {"mode": "CMYK"},
    "RGB": {"keep_rgb": True},
}


def progressive(mode: str = "RGB", size: tuple[int, int] = (403, 301), **options: Any) -> bytes:
    """Return a photograph, of a size that no block divides."""
    with Image.open(PHOTOS / "chelsea.png") as photo:
        image = photo.convert("RGB").resize(size).convert(mode)
    return encode(image, "JPEG", progressive=True, **{"quality": 80, **options}).getvalue()


def decode(data: bytes, scale: int) -> Image.Image:
    """Return what the default decoder makes of a file at a *scale*-th of its size."""
    with get_decoder("pillow").open(io.BytesIO(data), LIMITS) as image:
        minimum = image.header.width // scale, image.header.height // scale
        return image.decode(Plan(minimum, color="keep"))


@pytest.fixture
def ordinarily(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, int], Image.Image]:
    """Return `decode` that reads all of a file."""

    def decode_all(data: bytes, scale: int) -> Image.Image:
        with monkeypatch.context() as patch:
            patch.setattr("imagekit_registry.imaging._pixels.SCALES", {})
            return decode(data, scale)

    return decode_all


@pytest.fixture
def read_by_libjpeg(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the size in bytes of each JPEG that is decoded."""
    sizes: list[int] = []
    load = JpegImageFile.load

    def count(self: JpegImageFile) -> Any:
        if self.tile and self.fp is not None:
            sizes.append(self.fp.seek(0, io.SEEK_END))
        return load(self)

    monkeypatch.setattr(JpegImageFile, "load", count)
    return sizes


@pytest.mark.parametrize("kind", KINDS)
def test_an_eighth_is_the_same_picture_from_a_part_of_the_file(
    kind: str,
    ordinarily: Callable[[bytes, int], Image.Image],
    read_by_libjpeg: list[int],
) -> None:
    """Bit for bit: what is left out is what no pixel depends on."""
    data = progressive(**KINDS[kind])

    small = decode(data, 8)

    assert read_by_libjpeg[-1] < len(data) * 0.6
    assert ImageChops.difference(small, ordinarily(data, 8)).getbbox(alpha_only=False) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_quarter_is_nearly_the_same_picture_from_a_part_of_the_file(
    kind: str,
    ordinarily: Callable[[bytes, int], Image.Image],
    read_by_libjpeg: list[int],
) -> None:
    """At the size of a thumbnail, which is less than half of what is decoded for it."""
    data = progressive(**KINDS[kind])

    small = decode(data, 4).reduce(2)

    assert read_by_libjpeg[-1] < len(data) * 0.6
    assert psnr(small, ordinarily(data, 4).reduce(2)) > 40


@pytest.mark.parametrize("scale", [1, 2])
def test_a_half_is_decoded_from_all_of_the_file(scale: int, read_by_libjpeg: list[int]) -> None:
    """It uses nearly every scan."""
    data = progressive()

    decode(data, scale)

    assert read_by_libjpeg == [len(data)]


def outcome(
    decoder: Callable[[bytes, int], Image.Image], data: bytes, scale: int
) -> tuple[Image.Image | None, str]:
    """Return the picture, or the cause why there is none."""
    try:
        return decoder(data, scale), ""
    except UnreadableImage as error:
        return None, error.cause


def broken(change: str) -> bytes:
    """Return a progressive JPEG that is not as expected."""
    data = progressive()
    scan = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    if change == "arithmetic coding":
        return data.replace(b"\xff\xc2", b"\xff\xca", 1)
    if change == "a scan of a component that there is not":
        return data[: scan + 5] + b"\x09" + data[scan + 6 :]
    if change == "a scan of 70 coefficients":
        return data[: scan + 8] + b"\x46" + data[scan + 9 :]
    if change == "bytes between segments":
        return data[:scan] + b"nothing" + data[scan:]
    if change == "another marker":
        return data[:scan] + b"\xff\xdf\0\x04\0\0" + data[scan:]
    if change == "two components of one number":
        return data.replace(b"\x02\x11\x01\x03\x11\x01", b"\x03\x11\x01\x03\x11\x01")
    if change == "no sampling":
        return data.replace(b"\x02\x11\x01\x03\x11\x01", b"\x02\x00\x01\x03\x11\x01")
    return data[: len(data) - 3000]


@pytest.mark.parametrize("scale", [4, 8])
@pytest.mark.parametrize(
    "change",
    [
        "arithmetic coding",
        "a scan of a component that there is not",
        "a scan of 70 coefficients",
        "bytes between segments",
        "another marker",
        "two components of one number",
        "no sampling",
        "cut off",
    ],
)
def test_what_is_not_as_expected_is_decoded_from_all_of_the_file(
    change: str, scale: int, ordinarily: Callable[[bytes, int], Image.Image]
) -> None:
    """The picture, or the error, is what it would be."""
    data = broken(change)

    expected, expected_cause = outcome(ordinarily, data, scale)
    picture, cause = outcome(decode, data, scale)

    assert cause == expected_cause
    assert picture == expected


def test_a_coarse_picture_is_decoded_from_all_of_the_file(
    ordinarily: Callable[[bytes, int], Image.Image],
) -> None:
    """The last bits of its coefficients are seen."""
    data = progressive(quality=5)

    assert decode(data, 4) == ordinarily(data, 4)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return *data* with a few bytes or pieces of it changed, behind its first marker."""
    result = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        # Half of the changes hit headers, which are few bytes.
        markers = [at for at in range(2, len(result) - 20) if result[at] == 0xFF and result[at + 1]]
        near = chance.choice(markers) + chance.randrange(12)
        at = chance.choice([near, chance.randrange(2, len(result))])
        kind = chance.randrange(6)
        if kind < 3:
            result[at : at + 1] = bytes([chance.choice([0, 255, chance.randrange(256)])])
        elif kind == 3:
            del result[at : at + chance.randrange(1, 40)]
        elif kind == 4:
            piece = chance.randrange(2, len(result))
            result[at:at] = result[piece : piece + chance.randrange(1, 400)]
        else:
            result[at : at + 2] = bytes([255, chance.randrange(0xC0, 0xFF)])
    return bytes(result)


def distance(image: Image.Image, other: Image.Image) -> float:
    """Return the mean square of the difference of two images."""
    squares = ImageStat.Stat(ImageChops.difference(image, other)).sum2
    return sum(squares) / (image.width * image.height * len(squares))


def check_mutations(ordinarily: Callable[[bytes, int], Image.Image], seed: int, count: int) -> None:
    """Compare both ways for *count* damaged files.

    Where the damage is in what is left out, the picture shows less of it, or is shown at all.
    """
    sound = progressive(size=(200, 152))
    pictures = {scale: ordinarily(sound, scale).reduce(2) for scale in (4, 8)}
    for number in range(seed, seed + count):
        chance = random.Random(number)
        data, scale = mutated(sound, chance), chance.choice([4, 8])
        (whole, _), (small, _) = outcome(ordinarily, data, scale), outcome(decode, data, scale)
        if small is None:
            assert whole is None, number
            continue
        picture, small = pictures[scale], small.reduce(2)
        if whole is None:
            assert small.size == picture.size, number
            assert distance(small, picture) < 10, number
            continue
        whole = whole.reduce(2)
        assert (small.size, small.mode) == (whole.size, whole.mode), number
        if psnr(small, whole) < 35:
            assert small.size == picture.size, number
            assert distance(small, picture) < 1.1 * distance(whole, picture) + 10, number


def test_damage_shows_no_more_than_in_the_ordinary_way(
    ordinarily: Callable[[bytes, int], Image.Image],
) -> None:
    """Whatever is done to a file, there is one of our errors or a picture no worse than that."""
    check_mutations(ordinarily, 0, 200)
