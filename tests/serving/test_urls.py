"""On-demand URLs: what pages show of images that nobody has made yet."""

from __future__ import annotations

from types import ModuleType
from typing import Any
from urllib.parse import quote

import pytest
from django.core.files.storage import storages
from django.template import Context, Template
from django.test import Client, override_settings
from django.urls import include, path, set_script_prefix

from imagekit_registry import get_image
from imagekit_registry.exceptions import InvalidConfiguration, MissingSource
from imagekit_registry.serving import ImageView
from imagekit_registry.serving.signing import Demand
from tests.serving.conftest import SPEC
from tests.storages import CountingStorage

SHOW = Template("{% load imagekit %}{% generateimage 'serving:small' source=name %}")
PICTURE = Template(
    "{% load imagekit %}{% picture 'serving:small' source=name widths='50 80' formats='PNG' %}"
)


class TestPages:
    """The page makes nothing."""

    def test_a_page_shows_the_on_demand_url_until_the_image_exists(
        self, small: Any, client: Client
    ) -> None:
        """From then on that of the storage."""
        url = small().url
        assert url.startswith("/images/")
        assert url.endswith("/rocket.webp")
        assert not small().exists()
        assert client.get(url).status_code == 200
        assert small().url == storages["default"].url(small().name)

    def test_width_and_height_are_those_of_the_image_to_come(self, small: Any) -> None:
        """By the header of its source."""
        file = small()
        assert (file.width, file.height) == (100, 67)
        shown = small().shown()
        assert (shown.url, shown.width, shown.height) == (file.url, 100, 67)
        assert file.fallback is None
        assert file

    def test_a_tag_shows_what_is_to_come(self, name: str, small: Any, client: Client) -> None:
        """And writes the storage's URL as soon as it is there."""
        html = SHOW.render(Context({"name": name}))
        assert html == f'<img width="100" height="67" src="{small().url}">'
        client.get(small().url)
        url = storages["default"].url(small().name)
        html = SHOW.render(Context({"name": name}))
        assert html == f'<img width="100" height="67" src="{url}">'

    def test_a_picture_offers_what_is_to_come(self, name: str, small: Any, client: Client) -> None:
        """In each format and width; each of them is made when it is asked for."""
        html = PICTURE.render(Context({"name": name}))
        urls = [word.strip('",') for word in html.replace('"', '" "').split() if "/images/" in word]
        assert len(urls) == 5
        types = [client.get(url)["Content-Type"] for url in urls]
        assert sorted(types) == ["image/png"] * 2 + ["image/webp"] * 3
        assert not any(url in PICTURE.render(Context({"name": name})) for url in urls)

    def test_a_page_asks_the_storage_nothing_and_the_source_once(
        self, settings: Any, stored_photo: Any
    ) -> None:
        """The size of the image to come is remembered with its state."""
        path = f"{CountingStorage.__module__}.{CountingStorage.__qualname__}"
        settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": path}}
        name = stored_photo()
        storage: Any = storages["default"]
        calls = []
        for _ in range(3):
            storage.calls.clear()
            SHOW.render(Context({"name": name}))
            calls.append(dict(storage.calls))
        assert calls == [{"open": 1}, {}, {}]

    def test_an_image_that_no_url_can_tell_of_is_made_by_the_page(self, small: Any) -> None:
        """It could not be shown at all otherwise."""
        outer = get_image(SPEC, source=small())
        assert outer.url == storages["default"].url(outer.name)
        assert outer.exists()

    def test_a_page_without_a_source_shows_nothing(self) -> None:
        """As for all other strategies."""
        assert not get_image(SPEC, source="")
        with pytest.raises(MissingSource):
            get_image(SPEC, source="").demand_url()

    def test_the_image_of_an_overwritten_source_is_on_demand_again(
        self, small: Any, client: Client, name: str, settings: Any, photos: Any
    ) -> None:
        """It is made anew when it is asked for."""
        settings.IMAGEKIT_VERIFY_SOURCES_EVERY = 0.000001
        client.get(small().url)
        assert small().url.startswith("/media/")
        storages["default"].delete(name)
        with (photos / "astronaut.png").open("rb") as content:
            storages["default"].save(name, content)
        shown = small().shown()
        assert shown.url.startswith("/images/")
        assert (shown.width, shown.height) == (100, 100)
        client.get(shown.url)
        assert small().url.startswith("/media/")
        assert (small().width, small().height) == (100, 100)


class TestUrls:
    """What leads to an image."""

    def test_every_file_of_a_registered_spec_has_an_on_demand_url(
        self, name: str, client: Client
    ) -> None:
        """Whatever its strategy, and whether or not it exists."""
        file = get_image("imagekit:thumbnail", source=name, width=40)
        for _ in range(2):
            assert client.get(file.demand_url()).status_code == 200
            file.generate()

    def test_urls_follow_the_place_of_the_project(self, small: Any) -> None:
        """A prefix of the script comes first."""
        try:
            set_script_prefix("/site/")
            assert small().demand_url().startswith("/site/images/")
        finally:
            set_script_prefix("/")

    @pytest.mark.parametrize("script", ["/", "/äpp/", "/my app/"])
    @pytest.mark.parametrize("prefix", ["größen/", "my images/"])
    def test_prefixes_may_have_any_letters(
        self, prefix: str, script: str, small: Any, settings: Any, client: Client
    ) -> None:
        """They are quoted, and lead to the image."""
        urls: Any = ModuleType(f"urls below {prefix}")
        urls.urlpatterns = [path(prefix, include("imagekit_registry.serving.urls"))]
        settings.ROOT_URLCONF = urls
        try:
            set_script_prefix(script)
            url = small().demand_url()
        finally:
            set_script_prefix("/")
        assert url.startswith(quote(f"{script}{prefix}"))
        assert client.get(url.removeprefix(quote(script).rstrip("/"))).status_code == 200

    def test_names_that_are_no_names_of_urls_are_left_out(self, stored_photo: Any) -> None:
        """The last segment is for people."""
        odd = get_image(SPEC, source=stored_photo(name="photos/Ünder 100% ?#.jpg"))
        assert odd.demand_url().endswith("/under-100.webp")
        foreign = get_image(SPEC, source=stored_photo(name="photos/写真.jpg"))
        assert foreign.demand_url().endswith("/image.webp")
        assert all(Client().get(file.demand_url()).status_code == 200 for file in (odd, foreign))

    def test_a_project_without_the_urls_is_told_so(self, small: Any) -> None:
        """With what to write, and where."""
        with (
            override_settings(ROOT_URLCONF="django.contrib.auth.urls"),
            pytest.raises(
                InvalidConfiguration, match=r"include\('imagekit_registry.serving.urls'\)"
            ),
        ):
            small().demand_url()

    def test_a_url_that_is_negotiated_has_no_extension(self, small: Any, serve: Any) -> None:
        """Its format is not known yet."""
        serve(ImageView.as_view(negotiate=True))
        assert small().demand_url().endswith("/rocket")

    def test_a_url_that_expires_stays_the_same_for_a_while(
        self, small: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """So that browsers can keep the image; it is never good for longer than it was said."""
        settings.IMAGEKIT_SERVING = {"EXPIRES": 3600}
        urls, ends = set(), []
        for second in range(1_000_000, 1_000_720, 40):
            monkeypatch.setattr("time.time", lambda second=second: float(second))
            urls.add(small().demand_url())
            expires = Demand.decode(SPEC, small().demand_url().split("/")[4]).expires
            ends.append((expires or 0) - second)
        assert len(urls) <= 3
        assert 3200 <= min(ends) <= max(ends) <= 3600
