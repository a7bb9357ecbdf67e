"""What may be given as an image, and what stands in for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages

from imagekit_registry.contrib.sorl import get_thumbnail
from imagekit_registry.contrib.sorl.images import DummyImage, ThumbnailFile
from imagekit_registry.exceptions import InvalidArgument, MissingSource
from tests.contrib.sorl.conftest import Render, thumb
from tests.storages import content_of
from tests.testapp.models import Plain

pytestmark = [pytest.mark.usefixtures("sorl"), pytest.mark.django_db]


class TestSources:
    """What may be given as an image."""

    def test_names_paths_and_urls_of_one_file_are_one_image(self, name: str, settings: Any) -> None:
        """A path within the storage, and a URL below ``MEDIA_URL``, with or without a query."""
        path = storages["default"].path(name)
        given = [name, path, f"/media/{name}", f"{name}?v=2", Path(name)]
        assert len({thumb(each, "20x20").name for each in given}) == 1

    def test_a_path_is_told_from_a_url(self, name: str, settings: Any) -> None:
        """Also where both begin in the same way, or no URL is set."""
        wanted = thumb(name, "20x20").name
        for url in (f"{settings.MEDIA_ROOT.parent}/", ""):
            settings.MEDIA_URL = url
            assert thumb(storages["default"].path(name), "20x20").name == wanted

    def test_a_field_a_stored_file_and_a_thumbnail_are_sources(self, photos: Path) -> None:
        """And an image may be made of an image."""
        row = Plain.objects.create(image=content_of(photos / "rocket.jpg"))
        first = thumb(row.image, "100x100")
        assert thumb(first, "50x50").size == [50, 34]

    @pytest.mark.parametrize(
        "url", ["https://example.com/a.jpg", "//example.com/a.jpg", "ftp://example.com/a.jpg"]
    )
    def test_images_of_other_sites_are_not_fetched(self, url: str, sorl: Render) -> None:
        """A page shows what it has for an image that is not there."""
        with pytest.raises(InvalidArgument, match="other sites are not fetched"):
            thumb(url, "20x20")
        tag = "{% thumbnail url '20x20' as im %}{{ im.url }}{% empty %}none{% endthumbnail %}"
        assert sorl(tag, url=url) == "none"

    @pytest.mark.parametrize("empty", ["", None])
    def test_an_empty_value_is_no_source(self, empty: Any) -> None:
        """It is the error that sorl-thumbnail raises: a ``ValueError``."""
        with pytest.raises(ValueError, match="without a source") as caught:
            thumb(empty, "20x20")
        assert isinstance(caught.value, MissingSource)


class TestDummies:
    """``THUMBNAIL_DUMMY``: placeholders in the size of images that are not there."""

    @pytest.fixture(autouse=True)
    def dummies(self, settings: Any) -> None:
        """Ask for them."""
        settings.THUMBNAIL_DUMMY = True
        settings.IMAGEKIT_ON_ERROR = "raise"

    def test_dummies_stand_in_for_what_cannot_be_made(self, sorl: Render, broken: str) -> None:
        """Also where failures are raised elsewhere."""
        tag = (
            "{% thumbnail f '200x100' as im %}{{ im.url }} {{ im.x }} {{ im.y }}{% endthumbnail %}"
        )
        for nothing in ("", "photos/gone.jpg", broken):
            url, *size = sorl(tag, f=nothing).rsplit(" ", 2)
            assert (url.startswith("data:image/svg+xml"), size) == (True, ["200", "100"])
        shown = get_thumbnail(broken, "9x9")
        assert isinstance(shown, DummyImage)
        assert (shown.size, shown.exists()) == ([9, 9], True)

    def test_what_can_be_made_is_shown_in_place_of_a_dummy(self, name: str) -> None:
        """It is no placeholder."""
        assert isinstance(get_thumbnail(name, "9x9"), ThumbnailFile)

    def test_dummies_may_have_an_address_of_their_own(self, sorl: Render, settings: Any) -> None:
        """With the larger sizes, and the ratio that gives a side which is left free."""
        settings.THUMBNAIL_DUMMY_SOURCE = "https://dummy.example/%(width)sx%(height)s"
        tag = "{% thumbnail '' 'x400' as im %}{{ im.url }} {{ im.url|resolution:'1.5x' }}{% endthumbnail %}"
        assert sorl(tag) == "https://dummy.example/600x400 https://dummy.example/900x600"
        assert sorl("{{ ''|is_portrait }} {{ ''|margin:'9x9' }}") == "False auto"
        settings.THUMBNAIL_DUMMY_RATIO = 0.5
        assert sorl("{{ ''|is_portrait }}") == "True"

    def test_the_empty_block_comes_before_a_dummy(self, sorl: Render) -> None:
        """Somebody has thought of what to show."""
        assert sorl("{% thumbnail '' '9x9' as im %}x{% empty %}none{% endthumbnail %}") == "none"
