"""The functions of pilkit's `utils`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from imagekit_registry.exceptions import EncodingError, UnknownFormat, UnreadableImage
from imagekit_registry.imaging.compat import (
    img_to_fobj,
    open_image,
    prepare_image,
    process_image,
    save_image,
)
from imagekit_registry.processors import ResizeToFit

from . import conftest as made


def test_open_image_starts_at_the_start() -> None:
    """A file is opened wherever it stands."""
    file = made.encode(made.sample(), "PNG")
    file.seek(20)
    assert open_image(file).size == (64, 48)


def test_open_image_raises_our_error() -> None:
    """What is no image is `UnreadableImage`."""
    with pytest.raises(UnreadableImage):
        open_image(io.BytesIO(b"text"))


@pytest.mark.parametrize(
    ("mode", "format", "expected"),
    [
        ("RGBA", "JPEG", "RGB"),
        ("RGBA", "PNG", "RGBA"),
        ("RGBA", "GIF", "P"),
        ("CMYK", "PNG", "RGB"),
    ],
)
def test_prepare_image_gives_a_mode_that_the_format_holds(
    mode: str, format: str, expected: str
) -> None:
    """The mode becomes one that the format holds."""
    image, options = prepare_image(made.sample(mode), format)
    assert image.mode == expected
    assert options == {"JPEG": {"optimize": True}, "GIF": {"transparency": 255}}.get(format, {})


def test_save_image_writes_from_the_start() -> None:
    """The file is written from its start, and left there."""
    file = io.BytesIO()
    file.seek(5)
    assert save_image(made.sample(), file, "JPEG", {"quality": 50}) is file
    assert file.tell() == 0
    assert Image.open(file).format == "JPEG"


def test_save_image_takes_a_path(tmp_path: Path) -> None:
    """A path will do for a file."""
    save_image(made.sample(), str(tmp_path / "a.png"), "PNG")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (64, 48)


def test_a_failed_save_leaves_the_file_alone() -> None:
    """Nothing half done gets into the file."""
    file = io.BytesIO(b"before")
    with pytest.raises(EncodingError):
        save_image(made.sample(), file, "JPEG", {"quality": "best"})
    assert file.getvalue() == b"before"


def test_img_to_fobj_makes_a_file_in_memory() -> None:
    """An image becomes a file in memory."""
    assert Image.open(img_to_fobj(made.sample("RGBA"), "JPEG", quality=50)).mode == "RGB"


def test_an_unknown_format_is_refused_by_name() -> None:
    """An unknown format is refused by name."""
    with pytest.raises(UnknownFormat, match="'WOBBLE'"):
        img_to_fobj(made.sample(), "WOBBLE")


def test_process_image_keeps_the_format() -> None:
    """Without a format the source's is used."""
    source = open_image(made.encode(made.sample(), "PNG"))
    result = Image.open(process_image(source, [ResizeToFit(10)]))
    assert (result.format, result.width) == ("PNG", 10)
    assert Image.open(process_image(made.sample())).format == "JPEG"
