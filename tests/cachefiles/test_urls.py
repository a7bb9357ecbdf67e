"""URLs of images that exist: their storages', or those of what stands before the storage."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest
from django.core.cache import caches
from django.core.files.storage import storages

from imagekit_registry import ImageSpec, get_image, register
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.urls import Memoised, Prefix, StorageURL, load_provider
from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.testing import forget_state
from tests.pages import elements, render

SPEC = "urls:small"
CDN = Prefix("https://cdn.example.com/media")
PICTURE = "{% picture id source=name widths='20 40' formats='WEBP' %}"


tenant = ""


def key_of_tenant(key: str, prefix: str, version: int) -> str:
    """Make a key of one tenant's, as a ``KEY_FUNCTION`` does."""
    return f"{tenant}:{prefix}:{version}:{key}"


class Small(ImageSpec):
    """A recipe."""

    processors = [ResizeToFit(60, 60)]
    format = "JPEG"


class Numbered:
    """A provider that gives another URL each time, as signatures do."""

    def __init__(self) -> None:
        self.count = 0

    def url(self, file: Any, name: str) -> str:
        """Return a URL with a number."""
        self.count += 1
        return f"{file.storage.url(name)}?number={self.count}"


class Failing:
    """A provider that fails."""

    def url(self, file: Any, name: str) -> str:
        """Raise an exception."""
        raise LookupError("no key")


@pytest.fixture(autouse=True)
def spec(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register a spec that is what it was after the test."""
    register.generator(SPEC, Small)
    monkeypatch.setattr(Small, "url_provider", None)


class TestProviders:
    """Who gives the URLs."""

    def test_a_spec_has_its_own_provider(self, name: str) -> None:
        """From Python and in HTML; where the image is not there its fallback has its own URL."""
        Small.url_provider = CDN
        file = get_image(SPEC, source=name)
        assert file.url == f"https://cdn.example.com/media/{file.name}"
        assert (file.shown().url, file.as_dict()["url"]) == (file.url, file.url)
        for _ in range(3):
            html = render("{% generateimage id source=name %}", id=SPEC, name=name)
            assert elements(html)[0]["src"] == file.url
        for each in elements(render(PICTURE, id=SPEC, name=name), "source"):
            assert each["srcset"].count("https://cdn.example.com/media/CACHE") == 2
        storages["default"].save("bad.jpg", file.open())
        file.close()
        bad = get_image(SPEC, source="gone.jpg")
        assert bad.url.startswith("data:")

    def test_a_project_has_a_provider(self, name: str, settings: Any) -> None:
        """By its dotted path; a spec's own comes before it."""
        file = get_image(SPEC, source=name)
        own = file.url
        settings.IMAGEKIT_URL_PROVIDER = f"{__name__}.CDN"
        assert get_image(SPEC, source=name).url == f"https://cdn.example.com/media/{file.name}"
        Small.url_provider = StorageURL
        assert get_image(SPEC, source=name).url == own

    def test_a_provider_that_fails_gives_way_to_the_storage(
        self, name: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """And the log says so once, for all images of a minute."""
        Small.url_provider = Failing()
        caplog.set_level(logging.WARNING)
        for _ in range(5):
            file = get_image(SPEC, source=name)
            assert file.url == file.storage.url(file.name)
            time.sleep(0.01)
        assert caplog.text.count("The URL provider Failing failed: LookupError: no key") == 1

    @pytest.mark.parametrize("provider", [object(), 5, "os.path", "no.such.path"])
    def test_a_provider_that_gives_no_urls_is_refused(self, provider: Any) -> None:
        """The message says what is missing."""
        with pytest.raises(InvalidConfiguration, match="URL"):
            load_provider(provider)


class TestMemoised:
    """The same URL for some time."""

    def urls(self, name: str, provider: Memoised) -> list[str]:
        """Return what three requests show."""
        file = ImageCacheFile(Small(name))
        file.spec.url_provider = provider
        return [file.url for _ in range(3)]

    def test_a_signed_url_is_the_same_until_its_bucket_ends(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """So that browsers keep the image."""
        now = 1_700_000_000 // 900 * 900
        monkeypatch.setattr("time.time", lambda: now)
        provider = Memoised(bucket=900, provider=Numbered())
        (first,) = set(self.urls(name, provider))
        monkeypatch.setattr("time.time", lambda: now + 899)
        assert set(self.urls(name, provider)) == {first}
        monkeypatch.setattr("time.time", lambda: now + 900)
        (second,) = set(self.urls(name, provider))
        assert second != first

    def test_all_processes_show_the_same_url(self, name: str) -> None:
        """It is in the cache, and is asked for there once."""
        first = self.urls(name, Memoised(bucket=9_000_000, provider=Numbered()))
        other = Numbered()
        other.count = 50
        forget_state()
        assert self.urls(name, Memoised(bucket=9_000_000, provider=other)) == first
        caches["default"].clear()
        assert "number=51" in self.urls(name, Memoised(bucket=9_000_000, provider=other))[0]

    def test_each_file_has_a_url_of_its_own(self, name: str, stored_photo: Any) -> None:
        """Nobody is shown another image."""
        provider = Memoised()
        other = stored_photo("coffee.png")
        assert not set(self.urls(name, provider)) & set(self.urls(other, provider))

    @pytest.mark.parametrize("told_by", ["key function", "place"])
    def test_a_tenant_is_not_given_the_url_of_another(
        self, name: str, settings: Any, monkeypatch: pytest.MonkeyPatch, told_by: str
    ) -> None:
        """Whose signature opens the other one's images."""
        if told_by == "key function":
            caching = {**settings.CACHES["default"], "KEY_FUNCTION": f"{__name__}.key_of_tenant"}
            settings.CACHES = {**settings.CACHES, "default": caching}
        provider = Memoised(bucket=9_000_000, provider=Numbered())
        storage: Any = ImageCacheFile(Small(name)).storage
        shown = []
        for each in ("a", "b", "a"):
            monkeypatch.setattr(f"{__name__}.tenant", each)
            if told_by == "place":
                monkeypatch.setattr(storage, "bucket_name", each, raising=False)
            shown.append(provider.url(ImageCacheFile(Small(name)), name))
        assert shown[0] == shown[2] != shown[1]

    def test_a_url_of_s3_is_the_same_for_some_time(
        self, settings: Any, s3: Any, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Amazon's signatures hold the second in which they are made."""
        options = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": s3}
        settings.STORAGES = {**settings.STORAGES, "bucket": options}
        file = ImageCacheFile(Small(name), storage="bucket")
        urls = []
        for provider in (None, Memoised(bucket=9_000_000)):
            file.spec.url_provider = provider
            for _ in range(2):
                urls.append(file.url)
                if provider is None:
                    time.sleep(1.1)
        assert urls[0] != urls[1]
        assert urls[2] == urls[3]
