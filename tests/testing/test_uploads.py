"""Images to upload, for the tests of projects."""

from __future__ import annotations

import pytest
from PIL import ExifTags, Image

from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.testing import make_image


@pytest.mark.parametrize(
    ("mode", "format"),
    [
        ("RGB", "JPEG"),
        ("CMYK", "jpg"),
        ("L", "JPEG"),
        ("RGBA", "PNG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("1", "PNG"),
        ("RGBA", "WEBP"),
        ("RGB", "TIFF"),
    ],
)
def test_an_image_has_mode_format_and_size(mode: str, format: str) -> None:
    """And a name, a media type, and more than one colour."""
    upload = make_image(mode, format, (30, 20))
    with Image.open(upload) as image:
        wanted = "JPEG" if format == "jpg" else format
        assert (image.mode, image.format, image.size) == (mode, wanted, (30, 20))
        assert len(image.convert("RGBA").getcolors(1000) or ()) > 1
    assert upload.content_type == f"image/{wanted.lower()}"
    assert upload.name == {"JPEG": "image.jpg", "TIFF": "image.tif"}.get(
        wanted, f"image.{format.lower()}"
    )


def test_transparency_is_there_where_the_mode_has_it() -> None:
    """From nothing above to all below."""
    with Image.open(make_image("RGBA", "PNG", (30, 20))) as image:
        assert image.getchannel("A").getextrema() == pytest.approx((0, 255), abs=8)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_an_animation_has_frames_that_differ(format: str) -> None:
    """None is taken for the one before it."""
    with Image.open(make_image("RGB", format, (30, 20), frames=3)) as image:
        assert getattr(image, "n_frames", 1) == 3


def test_exif_is_given_by_names_or_numbers() -> None:
    """Of the tags."""
    upload = make_image(exif={"Orientation": 6, ExifTags.Base.Artist: "A"}, name="me.jpg")
    with Image.open(upload) as image:
        assert image.getexif()[274] == 6
        assert image.getexif()[315] == "A"
    assert upload.name == "me.jpg"


def test_a_format_that_cannot_be_written_is_told() -> None:
    """By one of our errors: that of a tag of EXIF is another one."""
    with pytest.raises(InvalidArgument, match="cannot write the format 'XYZ'"):
        make_image(format="xyz")
