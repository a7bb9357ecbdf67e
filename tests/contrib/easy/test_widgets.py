"""The input with a preview."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms import ClearableFileInput

from imagekit_registry.contrib.easy.files import get_thumbnailer
from imagekit_registry.contrib.easy.widgets import ImageClearableFileInput
from tests.testapp.models import Photo


def test_a_stored_image_is_shown_as_a_link_to_the_original(name: str, settings: Any) -> None:
    """In the size of the setting, or of the widget's own options."""
    file = Photo(original_image=name).original_image
    html = ImageClearableFileInput().render("photo", file)
    assert html.startswith(ClearableFileInput().render("photo", file))
    url = get_thumbnailer(name).get_thumbnail({"size": (80, 80)}).url
    assert (
        f'<a href="/media/{name}" target="_blank"><img alt="" height="53" id="photo_thumb_id" src="{url}"'
        in html
    )
    html = ImageClearableFileInput({"crop": True}).render("photo", file)
    assert 'height="80"' in html
    settings.THUMBNAIL_WIDGET_OPTIONS = {"size": (40, 40), "crop": True}
    assert 'width="40"' in ImageClearableFileInput().render("photo", file)


def test_options_of_a_widget_are_a_copy() -> None:
    """What becomes of the given ones changes nothing."""
    options = {"size": (300, 100), "crop": True}
    widget = ImageClearableFileInput(thumbnail_options=options)
    options["crop"] = False
    assert widget.thumbnail_options == {"size": (300, 100), "crop": True}


def test_the_template_of_a_subclass_is_used(name: str) -> None:
    """As easy-thumbnails documents it."""

    class Own(ImageClearableFileInput):
        template_with_thumbnail = "%(template)s <b>%(thumb)s</b>"

    html = Own().render("photo", Photo(original_image=name).original_image)
    assert re.search(r" <b><img [^>]*></b>$", html)


@pytest.mark.parametrize("value", [None, "", SimpleUploadedFile("a.jpg", b"x"), "broken"])
def test_a_widget_without_an_image_is_the_plain_input(value: Any) -> None:
    """Nothing stored yet, an upload of a form that is shown again, or a file that is no image."""
    if value == "broken":
        broken = storages["default"].save("broken.jpg", ContentFile(b"Lorem ipsum"))
        value = Photo(original_image=broken).original_image
    plain = ClearableFileInput().render("photo", value)
    assert ImageClearableFileInput().render("photo", value) == plain
