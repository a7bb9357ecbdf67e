"""The tag and the filters, as templates for easy-thumbnails have them."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from django.core.files.storage import default_storage, storages
from django.template import Context, TemplateSyntaxError
from PIL import Image

from imagekit_registry.contrib.easy.alias import aliases
from imagekit_registry.contrib.easy.files import get_thumbnailer
from tests.contrib.easy.conftest import ENGINE
from tests.testapp.models import Photo

Show = Callable[..., str]


def url_of(name: str, **options: Any) -> str:
    """Return the URL of an image that a tag must have shown."""
    thumb = get_thumbnailer(name).get_existing_thumbnail(options)
    assert thumb is not None
    return str(thumb.url)


@pytest.mark.parametrize(
    ("tag", "options"),
    [
        ("100x100", {"size": (100, 100)}),
        ("100x0", {"size": (100, 0)}),
        ('"100x80"', {"size": (100, 80)}),
        ("text", {"size": (80, 90)}),
        ("pair", {"size": (90, 100)}),
        ("100x100 crop", {"size": (100, 100), "crop": True}),
        ('100x100 crop="smart" upscale', {"size": (100, 100), "crop": "smart", "upscale": True}),
        ("100x100 crop=',-10'", {"size": (100, 100), "crop": ",-10"}),
        ("100x100 crop target='20,80'", {"size": (100, 100), "crop": True, "target": "20,80"}),
        ("100x100 sharpen quality=95", {"size": (100, 100), "sharpen": True, "quality": 95}),
        ("100x100 subsampling=0 bw", {"size": (100, 100), "subsampling": 0, "bw": True}),
        ("100x100 quality=q", {"size": (100, 100), "quality": 70}),
        ('"small"', {"size": (20, 20), "crop": True}),
        ("alias", {"size": (20, 20), "crop": True}),
        ('"small" upscale bw', {"size": (20, 20), "crop": True, "upscale": True, "bw": True}),
    ],
)
def test_a_tag_shows_the_url_of_its_image(
    tag: str, options: dict[str, Any], name: str, show: Show
) -> None:
    """Size, alias or variable; options with values or without."""
    aliases.set("small", {"size": (20, 20), "crop": True})
    context = {"f": name, "text": "80x90", "pair": (90, 100), "q": "70", "alias": "small"}
    shown = show("{% thumbnail f " + tag + " %}", **context)
    assert shown == url_of(name, **options)


def test_an_image_can_be_put_into_a_variable(name: str, show: Show) -> None:
    """With its URL, its size and its element."""
    shown = show(
        "{% thumbnail f 100x100 as im %}{{ im.url }} {{ im.width }}x{{ im.height }} {{ im.tag }}",
        f=Photo(original_image=name).original_image,
    )
    url = url_of(name, size=(100, 100))
    assert shown == f'{url} 100x67 <img alt="" height="67" src="{url}" width="100" />'


def test_a_default_stands_in_for_an_empty_field(name: str, show: Show) -> None:
    """The name of a file in the default storage."""
    shown = show("{% thumbnail f.original_image|default:d 50x50 %}", f=Photo(), d=name)
    assert shown == url_of(name, size=(50, 50))


def test_the_library_has_a_second_name(name: str) -> None:
    """For projects with two apps that have tags of one name."""
    template = ENGINE.from_string("{% load easy_thumbnails_tags %}{% thumbnail f 50x50 %}")
    assert template.render(Context({"f": name})) == url_of(name, size=(50, 50))


def test_filters_give_images_by_alias(name: str, show: Show) -> None:
    """Of a field, a name, or a name in a storage."""
    aliases.set("small", {"size": (20, 20), "crop": True})
    url = get_thumbnailer(name)["small"].url
    context = {"f": Photo(original_image=name).original_image, "s": default_storage, "n": name}
    assert show('{{ f|thumbnail_url:"small" }}{{ n|thumbnail_url:"small" }}', **context) == url * 2
    assert show("{% with t=n|thumbnailer %}{{ t.small.url }}{% endwith %}", **context) == url
    assert show("{% with t=s|thumbnailer:n %}{{ t.small.url }}{% endwith %}", **context) == url
    assert show("{% with t=f|thumbnailer %}{{ t.large.url }}{% endwith %}", **context) == ""
    assert show("{% with t=e|thumbnailer %}{% if t %}1{% endif %}{% endwith %}", e="") == ""


def test_the_passive_filter_shows_what_is_there(name: str, show: Show) -> None:
    """And makes nothing."""
    aliases.set("small", {"size": (20, 20), "crop": True})
    text = "{% with t=f|thumbnailer_passive %}{{ t.generate }} {{ t.small.url }}{% endwith %}"
    assert show(text, f=name) == "False "
    url = get_thumbnailer(name)["small"].url
    assert show(text, f=name) == f"False {url}"
    assert show("{{ f|thumbnailer_passive }}", f=None) == ""


def test_a_data_uri_holds_the_image(name: str, show: Show) -> None:
    """With its media type."""
    shown = show("{% thumbnail f 25x25 crop as im %}{{ im|data_uri }}", f=name)
    found = re.fullmatch(r"data:image/jpeg;base64,(.+)", shown)
    assert found is not None
    assert Image.open(BytesIO(b64decode(found[1]))).size == (25, 25)
    assert show("{{ im|data_uri }}", im="") == ""


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{% thumbnail nothing 80x80 %}", TemplateSyntaxError),
        ("{% thumbnail empty 80x80 %}", TemplateSyntaxError),
        ("{% thumbnail f nothing %}", TemplateSyntaxError),
        ("{% thumbnail f '1notasize2' %}", TemplateSyntaxError),
        ("{% thumbnail f pair %}", ValueError),
        ("{% thumbnail f 0x0 %}", ValueError),
        ("{% thumbnail f 80x80 quality=fish %}", TemplateSyntaxError),
        ("{% thumbnail f 80x80 quality=nothing %}", TemplateSyntaxError),
        ("{% thumbnail f 80x80 zoom=fish %}", ValueError),
        ("{% thumbnail 'missing.jpg' 80x80 %}", ValueError),
        ("{{ f|thumbnail_url:'nothing' }}", KeyError),
        ("{{ empty|thumbnail_url:'small' }}", ValueError),
    ],
)
def test_what_fails_shows_nothing_unless_it_is_to_be_told(
    text: str, error: type[Exception], name: str, show: Show, settings: Any
) -> None:
    """A variable is empty then; with THUMBNAIL_DEBUG the page says what is wrong."""
    aliases.set("small", {"size": (20, 20)})
    context = {"f": name, "empty": "", "pair": (90, "fish"), "fish": "fish"}
    assert show(text, **context) == ""
    settings.THUMBNAIL_DEBUG = True
    # Django gives a filter's and a tag's errors as they are.
    with pytest.raises(error):
        show(text, **context)


def test_a_variable_is_empty_if_there_is_no_image(show: Show) -> None:
    """So that a template can ask."""
    text = "{% thumbnail f 80x80 crop as im %}[{{ im }}]{% if im %}{{ im.url }}{% endif %}"
    assert show(text, f="missing.jpg") == "[]"
    assert not storages["default"].exists("CACHE")


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("{% thumbnail %}", "takes a source and a size"),
        ("{% thumbnail f %}", "takes a source and a size"),
        ("{% thumbnail f 80x80 as variable crop %}", "no option 'as'"),
        ("{% thumbnail f 80x80 shapren %}", "Did you mean 'sharpen'"),
        ("{% thumbnail f 80x80 crop=1,quality=1 %}", "Could not parse"),
        ("{% thumbnail f 80x80 HIGH_RESOLUTION %}", "srcset='2'"),
        ("{% thumbnail f 80x80 size=1 %}", "no option 'size'"),
    ],
)
def test_a_tag_that_cannot_be_read_is_refused(tag: str, message: str, show: Show) -> None:
    """When the template is compiled, with what to write."""
    with pytest.raises(TemplateSyntaxError, match=message):
        show(tag, f="a.jpg")
