"""Static files as sources."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.files.storage import storages
from django.core.management import call_command
from django.template import Context, Template, TemplateSyntaxError
from django.test import Client
from django.utils.html import escape

from imagekit_registry import ImageSpec, get_image, register, static_image
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.exceptions import InvalidArgumentType, SourceNotFound
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.specs.static import StaticSourceGroup
from imagekit_registry.testing import forget_state

TAG = (
    "{% load imagekit %}{% static_image 'img/hero.jpg' as hero %}"
    "{% thumbnail '60x40' hero -- alt='' %}"
)
FILTER = "{% load imagekit %}{% thumbnail '60x40' 'img/hero.jpg'|static_image -- alt='' %}"


class Hero(ImageSpec):
    """A spec for a file of the site's own."""

    processors = [ResizeToFill(60, 40)]
    format = "WEBP"


@pytest.fixture(autouse=True)
def static(tmp_path: Path, settings: Any, photos: Path) -> Path:
    """Return the folder of an app's static files, with a photograph, not yet collected."""
    folder = tmp_path / "assets"
    (folder / "img").mkdir(parents=True)
    shutil.copy(photos / "rocket.jpg", folder / "img" / "hero.jpg")
    settings.STATICFILES_DIRS = [folder]
    settings.STATIC_ROOT = tmp_path / "collected"
    settings.STATIC_URL = "/static/"
    finders.get_finder.cache_clear()  # type: ignore[attr-defined]
    register.generator("tests:hero", Hero)
    return folder


def hero() -> ImageCacheFile:
    """Return the image of the photograph."""
    return get_image("tests:hero", source=static_image("img/hero.jpg"))


class TestWhereItIs:
    """Where a static file is read."""

    def test_a_static_file_is_found_before_it_is_collected(self, settings: Any) -> None:
        """As by ``runserver``: with DEBUG on."""
        settings.DEBUG = True
        assert (hero().width, hero().height) == (60, 40)
        assert hero().url.startswith("/media/CACHE/images/img/hero/")

    @pytest.mark.parametrize(
        "storage",
        [
            "django.contrib.staticfiles.storage.StaticFilesStorage",
            "django.contrib.staticfiles.storage.ManifestStaticFilesStorage",
        ],
        ids=["plain", "hashed"],
    )
    def test_a_collected_file_has_images_of_the_same_name(
        self, settings: Any, storage: str
    ) -> None:
        """On the server, as on the developer's machine."""
        settings.DEBUG = True
        name = hero().name
        settings.DEBUG = False
        settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": storage}}
        call_command("collectstatic", interactive=False, verbosity=0)
        shutil.rmtree(settings.STATICFILES_DIRS[0])
        assert hero().name == name
        assert hero().width == 60

    @pytest.mark.parametrize("debug", [True, False])
    def test_a_static_file_that_does_not_exist_is_told_by_its_name(
        self, settings: Any, debug: bool
    ) -> None:
        """As any source that is gone."""
        settings.DEBUG, settings.IMAGEKIT_ON_ERROR = debug, "raise"
        image = get_image("tests:hero", source=static_image("img/none.jpg"))
        with pytest.raises(SourceNotFound, match=r"'img/none\.jpg'"):
            image.generate()

    @pytest.mark.parametrize("path", ["../secret.jpg", "/etc/passwd", "img/../../secret.jpg"])
    @pytest.mark.parametrize("debug", [True, False])
    def test_no_path_leads_out_of_the_static_files(
        self, settings: Any, static: Path, debug: bool, path: str
    ) -> None:
        """Whatever a template is given."""
        settings.DEBUG, settings.IMAGEKIT_ON_ERROR = debug, "raise"
        shutil.copy(static / "img" / "hero.jpg", static.parent / "secret.jpg")
        image = get_image("tests:hero", source=static_image(path))
        with pytest.raises(Exception, match=r"secret|passwd"):
            image.generate()

    def test_a_static_file_that_has_changed_has_another_fingerprint(
        self, settings: Any, static: Path, photos: Path
    ) -> None:
        """So that its images are made anew when it is looked at again."""
        settings.DEBUG, settings.IMAGEKIT_VERIFY_SOURCES_EVERY = True, 0.000_001
        with hero().open() as file:
            before = file.read()
        shutil.copy(photos / "hubble_deep_field.jpg", static / "img" / "hero.jpg")
        forget_state()
        with hero().open() as file:
            assert file.read() != before

    def test_a_static_source_itself_has_the_url_of_static(self) -> None:
        """What a page shows in the image's place, if it is told to."""
        assert static_image("img/hero.jpg").url == "/static/img/hero.jpg"
        assert not static_image("")

    def test_an_on_demand_url_finds_a_static_file_again(
        self, settings: Any, client: Client
    ) -> None:
        """A worker or a view knows no more than the name."""
        settings.DEBUG = True
        response = client.get(hero().demand_url())
        assert response.headers["Content-Type"] == "image/webp"


class TestTags:
    """Static files in templates."""

    @pytest.mark.parametrize("text", [TAG, FILTER], ids=["tag", "filter"])
    def test_the_other_tags_take_a_static_file(self, settings: Any, text: str) -> None:
        """In a variable, or in place."""
        settings.DEBUG = True
        shown = Template(text).render(Context())
        assert 'src="/media/CACHE/images/img/hero/' in shown
        assert 'width="60"' in shown

    def test_a_batch_fetches_static_files_with_the_others(self, settings: Any) -> None:
        """The tag stands in any block."""
        settings.DEBUG = True
        body = TAG.replace("{% load imagekit %}", "")
        text = f"{{% load imagekit %}}{{% imagebatch %}}{body}{{% endimagebatch %}}"
        assert 'width="60"' in Template(text).render(Context())

    @pytest.mark.parametrize(
        "written", ["", "'a.jpg'", "'a.jpg' as", "as hero", "'a.jpg' for hero"]
    )
    def test_a_tag_that_is_written_wrongly_says_how_it_is_written(self, written: str) -> None:
        """With an example."""
        with pytest.raises(TemplateSyntaxError, match=r"'img/hero\.jpg' as hero"):
            Template(f"{{% load imagekit %}}{{% static_image {written} %}}")

    def test_jinja2_has_static_image_as_a_function(self, settings: Any) -> None:
        """For its statements and functions."""
        settings.DEBUG = True
        jinja2 = pytest.importorskip("jinja2", reason="needs Jinja2")
        environment = jinja2.Environment(extensions=["imagekit_registry.jinja2.ImagekitExtension"])
        text = "{% thumbnail '60x40' static_image('img/hero.jpg') -- alt='' %}"
        shown = environment.from_string(text).render()
        assert shown == Template(TAG).render(Context())
        assert escape(shown) != shown


@pytest.mark.django_db(databases="__all__")
class TestCommands:
    """Static files that feed specs."""

    def test_images_are_made_when_static_files_are_collected(self, settings: Any) -> None:
        """By the next command of a deployment; and no cleaning takes them for orphans."""
        register.source_group("tests:hero", StaticSourceGroup("img/*.jpg"))
        call_command("collectstatic", interactive=False, verbosity=0)
        call_command("generateimages", "tests:hero", verbosity=0)
        assert hero().exists()
        call_command("cleanimages", verbosity=0)
        assert hero().storage.exists(str(hero().name))

    def test_a_group_lists_the_files_that_match_once(self, static: Path) -> None:
        """In folders below as well."""
        (static / "img" / "more").mkdir()
        for name in ("img/more/a.jpg", "img/b.png", "c.jpg"):
            shutil.copy(static / "img" / "hero.jpg", static / name)
        group = StaticSourceGroup("img/*.jpg", "img/h*")
        assert sorted(str(each.name) for each in group.files()) == [
            "img/hero.jpg",
            "img/more/a.jpg",
        ]
        assert {each.storage for each in group.files()} == {storages["staticfiles"]}
        with pytest.raises(InvalidArgumentType, match="needs a pattern"):
            StaticSourceGroup()

    def test_a_group_knows_the_prefixes_of_folders(self, settings: Any, static: Path) -> None:
        """It listed the files without these, which `static()` knows nobody by."""
        settings.STATICFILES_DIRS = [("downloads", static)]
        settings.DEBUG = True
        finders.get_finder.cache_clear()  # type: ignore[attr-defined]
        (source,) = StaticSourceGroup("downloads/img/*").files()
        assert source.name == "downloads/img/hero.jpg"
        assert get_image("tests:hero", source=source).width == 60
        assert not list(StaticSourceGroup("img/*").files())
