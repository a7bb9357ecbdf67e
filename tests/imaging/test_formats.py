"""Formats, extensions and media types."""

from __future__ import annotations

import pytest

from imagekit_registry.exceptions import UnknownExtension, UnknownFormat
from imagekit_registry.imaging.formats import (
    extension_to_format,
    extension_to_mimetype,
    format_to_extension,
    format_to_mimetype,
    suggest_extension,
)


@pytest.mark.parametrize(
    ("extension", "format"),
    [
        (".jpeg", "JPEG"),
        (".JPG", "JPEG"),
        (".gif", "GIF"),
        (".webp", "WEBP"),
        (".avif", "AVIF"),
        (".tif", "TIFF"),
        (".rgba", "SGI"),
    ],
)
def test_an_extension_gives_its_format(extension: str, format: str) -> None:
    """Extensions are known in any case, also those of plugins that are loaded late."""
    assert extension_to_format(extension) == format


@pytest.mark.parametrize(
    ("format", "extension", "media_type"),
    [
        ("JPEG", ".jpg", "image/jpeg"),
        ("jpeg", ".jpg", "image/jpeg"),
        ("PNG", ".png", "image/png"),
        ("WEBP", ".webp", "image/webp"),
        ("AVIF", ".avif", "image/avif"),
        ("GIF", ".gif", "image/gif"),
        ("TIFF", ".tif", "image/tiff"),
        ("JPEG2000", ".jp2", "image/jp2"),
    ],
)
def test_a_format_gives_its_extension_and_media_type(
    format: str, extension: str, media_type: str
) -> None:
    """Every format has the extension that people expect."""
    assert format_to_extension(format) == extension
    assert format_to_mimetype(format) == media_type
    assert extension_to_mimetype(extension) == media_type


def test_unknown_names_are_refused() -> None:
    """What Pillow does not know is an error of ours, which is a ValueError too."""
    with pytest.raises(UnknownExtension, match=r"'\.qwerty'"):
        extension_to_format(".qwerty")
    with pytest.raises(UnknownFormat, match="'TXT'"):
        format_to_extension("TXT")
    with pytest.raises(ValueError, match="None"):
        format_to_extension(None)
    assert extension_to_mimetype(None) is None


@pytest.mark.parametrize(
    ("name", "format", "extension"),
    [
        ("a.jpeg", "JPEG", ".jpeg"),
        ("a.JPG", "jpeg", ".JPG"),
        ("a.tiff", "JPEG", ".jpg"),
        ("photos/birthday", "JPEG", ".jpg"),
        ("a.tar.png", "WEBP", ".webp"),
        ("a.txt", "PNG", ".png"),
        ("a.txt", None, ".txt"),
        ("a.JPEG", None, ".JPEG"),
        ("a.heic", None, ".webp"),
        ("a.TIFF", None, ".webp"),
        ("a.mpo", None, ".jpg"),
        ("a.ico", None, ".png"),
    ],
)
def test_suggest_extension_keeps_an_extension_that_fits(
    name: str, format: str | None, extension: str
) -> None:
    """An extension that fits is kept; any other is replaced."""
    assert suggest_extension(name, format) == extension
