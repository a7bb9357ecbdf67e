"""Settings: their defaults, what is told of them at check, and of aliases and templates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages

from imagekit_registry.contrib.easy.conf import REPLACED, RULES, Settings
from imagekit_registry.contrib.easy.conf import settings as easy_settings
from imagekit_registry.contrib.easy.files import get_thumbnailer
from imagekit_registry.contrib.easy.moving import check_settings, check_templates


def test_a_setting_of_the_project_comes_before_the_default(settings: Any) -> None:
    """Each time it is asked for; the class has the defaults, for settings that build on them."""
    assert easy_settings.THUMBNAIL_QUALITY == Settings.THUMBNAIL_QUALITY == 85
    settings.THUMBNAIL_QUALITY = 40
    assert (easy_settings.THUMBNAIL_QUALITY, Settings.THUMBNAIL_QUALITY) == (40, 85)
    assert all(rule(getattr(Settings, name)) is None for name, rule in RULES.items())


@pytest.mark.parametrize("name", sorted(REPLACED))
def test_a_setting_without_a_counterpart_is_told(name: str, settings: Any) -> None:
    """With what takes its place."""
    assert check_settings(None) == []
    setattr(settings, name, "x")
    (message,) = check_settings(None)
    assert (message.id, name in message.msg) == ("imagekit.W031", True)
    assert REPLACED[name] in str(message.hint)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("THUMBNAIL_QUALITY", "high"),
        ("THUMBNAIL_ALIASES", {"": {"small": (1, 1)}}),
        ("THUMBNAIL_ALIASES", ["small"]),
        ("THUMBNAIL_DEBUG", "yes"),
        ("THUMBNAIL_PROGRESSIVE", "yes"),
        ("THUMBNAIL_IMAGE_SAVE_OPTIONS", {"JPEG": 85}),
    ],
)
def test_a_setting_of_the_wrong_kind_is_told(name: str, value: Any, settings: Any) -> None:
    """With the default."""
    if name != "THUMBNAIL_ALIASES":
        setattr(settings, name, value)
        (message,) = check_settings(None)
        assert (message.id, name in message.msg) == ("imagekit.E009", True)
    assert RULES[name](value)


@pytest.mark.parametrize(
    ("target", "options", "problem"),
    [
        ("", {"crop": True}, "The size None is none"),
        ("", {"size": (9, 9), "shapren": True}, "the unknown option 'shapren'"),
        ("", {"size": (9, 9), "zoom": "much"}, "gives no image"),
        ("testapp.Phot", {"size": (9, 9)}, "there is not"),
        ("testapp.Photo.no", {"size": (9, 9)}, "there is not"),
    ],
)
def test_an_alias_that_gives_no_image_is_told(
    target: str, options: dict[str, Any], problem: str, settings: Any
) -> None:
    """With its name and its target."""
    settings.THUMBNAIL_ALIASES = {"testapp": {"good": {"size": (9, 9)}}, target: {"small": options}}
    (message,) = check_settings(None)
    assert message.id == "imagekit.W032"
    assert "'small'" in message.msg
    assert problem in message.msg


@pytest.fixture
def template(tmp_path: Path, settings: Any) -> Callable[[str], list[Any]]:
    """Return a function that gives what is told of a template of the project."""
    settings.THUMBNAIL_ALIASES = {"": {"small": {"size": (9, 9)}}}
    library = "imagekit_registry.contrib.easy.templatetags.thumbnail"
    settings.TEMPLATES = [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [tmp_path],
            "OPTIONS": {"libraries": {"thumbnail": library}},
        }
    ]

    def check(text: str) -> list[Any]:
        (tmp_path / "page.html").write_text("{% load thumbnail %}\n\n" + text)
        return check_templates(None)

    return check


@pytest.mark.parametrize(
    ("tag", "problem"),
    [
        ("{% thumbnail f 80x80 HIGH_RESOLUTION %}", "srcset='2'"),
        ("{% thumbnail f 80x80 shapren %}", "Did you mean 'sharpen'"),
        ("{% thumbnail f 'smal' %}", "'smal'"),
        ("{% thumbnail f 80x80 zoom='much' %}", "much"),
        ("{% thumbnail f 80x80 background='no colour' %}", "no colour"),
    ],
)
def test_a_tag_without_a_counterpart_is_told_with_its_line(
    tag: str, problem: str, template: Callable[[str], list[Any]]
) -> None:
    """When the project is checked, and not when the page is shown."""
    (message,) = template(tag)
    assert message.id == "imagekit.W033"
    assert "page.html, line 3" in message.msg
    assert problem in message.msg


def test_a_template_that_works_is_not_told_of(template: Callable[[str], list[Any]]) -> None:
    """Whatever variables will hold."""
    tags = "{% thumbnail f 'small' crop %}{% thumbnail f s crop=c as im %}{% thumbnail f 9x0 bw %}"
    assert template(tags) == []


def test_images_may_have_a_folder_of_their_own(name: str, tmp_path: Path, settings: Any) -> None:
    """Its storage is called easy_thumbnails, and takes folder and URL from settings."""
    settings.THUMBNAIL_MEDIA_ROOT, settings.THUMBNAIL_MEDIA_URL = str(tmp_path / "t"), "/thumbs/"
    backend = "imagekit_registry.contrib.easy.storage.ThumbnailFileSystemStorage"
    settings.STORAGES = {**settings.STORAGES, "easy_thumbnails": {"BACKEND": backend}}
    thumb = get_thumbnailer(name).get_thumbnail({"size": (9, 9)})
    assert thumb.url == f"/thumbs/{thumb.name}"
    assert (tmp_path / "t" / thumb.name).exists()
    settings.THUMBNAIL_MEDIA_ROOT = settings.THUMBNAIL_MEDIA_URL = ""
    settings.STORAGES = {**settings.STORAGES, "easy_thumbnails": {"BACKEND": backend}}
    assert storages["easy_thumbnails"].path("a") == storages["default"].path("a")


def test_the_storage_of_images_may_have_another_alias(
    name: str, tmp_path: Path, settings: Any
) -> None:
    """A setting names it; an alias that ``STORAGES`` lacks is that of no storage."""
    backend = "django.core.files.storage.FileSystemStorage"
    options = {"location": str(tmp_path / "small"), "base_url": "/small/"}
    settings.STORAGES = {**settings.STORAGES, "small": {"BACKEND": backend, "OPTIONS": options}}
    urls = []
    for alias in ("small", "no such"):
        settings.THUMBNAIL_DEFAULT_STORAGE_ALIAS = alias
        urls.append(get_thumbnailer(name).get_thumbnail({"size": (9, 9)}).url)
    assert [url.split("/")[1] for url in urls] == ["small", "media"]
