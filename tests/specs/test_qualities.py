"""Qualities of specs: on classes, fields and tags, and what records say of them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from PIL import Image

from imagekit_registry import ImageSpec, Target, get_image
from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.forms import ProcessedImageField
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.state import CacheFileRecord
from imagekit_registry.testing import forget_state
from tests.pages import elements, registered, render


class Mail(ImageSpec):
    """An image of so many bytes."""

    processors = [ResizeToFit(400)]
    format = "JPEG"
    quality = Target(bytes=15_000)


@pytest.mark.parametrize("store", ["cache", "database"])
def test_a_record_says_which_quality_was_found(
    store: str, name: str, settings: Any, db: None
) -> None:
    """And of how many tries; also to who has not made it."""
    settings.IMAGEKIT_STATE_STORE = store
    with registered(mail=Mail):
        made = get_image("tests:mail", source=name)
        assert 13_000 < made.size <= 15_000
        forget_state()
        state = get_image("tests:mail", source=name).state
    assert 1 < (state.quality or 0) < 95
    assert 1 < (state.tries or 0) <= 4
    assert CacheFileRecord.decode(state.encode()) == state


def test_a_record_says_nothing_of_a_quality_that_was_given(name: str) -> None:
    """The spec says it."""
    with registered(mail=type("Given", (Mail,), {"quality": "low"})):
        state = get_image("tests:mail", source=name).state
    assert (state.quality, state.tries) == (None, None)


def test_a_thumbnail_has_the_quality_of_its_tag(name: str) -> None:
    """In a file of its own for each."""
    tag = "{% thumbnail '300x200' name quality=quality %}"
    urls = [
        elements(render(tag, name=name, quality=each))[0]["src"] for each in ("low", None, "max", 5)
    ]
    assert len(set(urls)) == 4
    low, usual, most, five = map(_size, urls)
    assert five < low < usual < most


def _size(url: str) -> int:
    return int(storages["default"].size(url.removeprefix("/media/")))


def test_a_quality_from_a_template_that_is_none_shows_nothing(name: str, settings: Any) -> None:
    """As other values from outside."""
    settings.IMAGEKIT_ON_ERROR = "empty"
    assert render("{% thumbnail '30x20' name quality='best' %}", name=name) == ""


def test_the_two_formats_of_a_picture_have_the_quality_of_the_spec(name: str) -> None:
    """Each in the number that its format has for the word."""
    tag = "{% picture 'tests:mail' source=name formats='WEBP' %}"
    sizes = []
    for quality in ("low", "max"):
        with registered(mail=type("Word", (Mail,), {"quality": quality})):
            source = elements(render(tag, name=name), "source")[0]
            sizes.append(_size(source["srcset"].split()[-2]))
    assert sizes[0] * 1.5 < sizes[1]


def test_an_upload_is_written_in_the_quality_of_its_field(photos: Any) -> None:
    """Also in one that is searched for."""
    field = ProcessedImageField(
        [ResizeToFit(400)],
        format="JPEG",
        quality=Target(bytes=9000),
        spec_id="tests:quality-upload",
    )
    content = ContentFile((photos / "rocket.jpg").read_bytes(), name="a.jpg")
    found = field.clean(content)
    assert 7000 < found.size <= 9000
    assert Image.open(io.BytesIO(found.read())).size == (400, 267)


def test_what_is_no_quality_fails_when_it_is_used(name: str) -> None:
    """And `manage.py check` tells of it before."""
    with pytest.raises(InvalidArgument, match="quality must be one of"):
        type("Bad", (Mail,), {"quality": "best"})(name).generate()


def test_an_upload_is_never_larger_than_it_was(photos: Any) -> None:
    """It is the same file, without what the camera has written into it."""
    exif = Image.Exif()
    exif[0x010E] = "somewhere at home"
    file = io.BytesIO()
    with Image.open(photos / "coffee.png") as image:
        image.save(file, "JPEG", quality=40, exif=exif)
    field = ProcessedImageField(
        [ResizeToFit(800, upscale=False)], never_larger=True, spec_id="tests:never-larger"
    )
    found = field.clean(ContentFile(file.getvalue(), name="a.jpg"))
    data = found.read()
    assert len(data) < len(file.getvalue())
    assert b"somewhere" not in data
    assert Image.open(io.BytesIO(data)).tobytes() == Image.open(file).tobytes()
