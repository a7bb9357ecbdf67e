"""Which renditions of an image a picture offers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile

from imagekit_registry import ImageSpec, Picture
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.renditions import Renditions, offer_own
from imagekit_registry.exceptions import NotRegistered
from imagekit_registry.processors import ResizeToFill, ResizeToFit
from imagekit_registry.specs import StoredFile, settle_picture
from tests.conftest import PHOTOS
from tests.pages import Banner, registered
from tests.storages import StrictStorage


@pytest.fixture
def source(tmp_path: Path) -> StoredFile:
    """Return a photograph of 640 x 427 pixels in a storage that counts."""
    storage = StrictStorage(location=str(tmp_path / "sources"))
    storage.save("a.jpg", ContentFile((PHOTOS / "rocket.jpg").read_bytes()))
    return StoredFile("a.jpg", storage)


def renditions(source: Any, *processors: Any, **picture: Any) -> Renditions:
    """Return what a picture offers of an image that these processors make."""

    class Own(ImageSpec):
        format = "JPEG"

    Own.processors = list(processors)
    return Renditions(ImageCacheFile(Own(source)), settle_picture(Picture(**picture)))


def widths(found: Renditions, format: str = "") -> list[int]:
    """Return the widths in which the image is offered in a format."""
    return [each.width for each in found.offered if each.format == format]


class TestOffered:
    """What there is of an image."""

    @pytest.mark.parametrize(
        ("processors", "expected"),
        [
            ([ResizeToFill(200, 100)], [200, 283, 400]),
            # 440 and 622 pixels wide; of the 880 that are twice as many the source has 640.
            ([ResizeToFit(440, 440)], [320, 440, 880]),
            ([ResizeToFit(640, 640)], [320, 453, 640]),
            ([], [320, 453, 640]),
            ([ResizeToFill(900, 400)], [320, 452, 638, 900]),
        ],
        ids=["small", "half", "whole", "plain", "enlarged"],
    )
    def test_nothing_is_offered_that_the_source_is_too_small_for(
        self, source: StoredFile, processors: list[Any], expected: list[int]
    ) -> None:
        """The largest is as large as the source; one that is nearly as wide is left out."""
        found = renditions(source, *processors, formats=["WEBP"])
        assert widths(found) == widths(found, "WEBP") == expected

    def test_the_source_is_read_once_to_know_what_is_offered(self, source: StoredFile) -> None:
        """Its header, however many sizes there are."""
        assert widths(renditions(source, ResizeToFit(100, 100)))
        storage: Any = source.storage
        assert storage.calls["open"] == 1

    def test_the_image_itself_is_offered_too(self, source: StoredFile) -> None:
        """Not another file of the same content."""
        found = renditions(source, ResizeToFill(200, 100))
        assert found.file in [each.file for each in found.offered]

    def test_a_format_that_the_image_has_is_not_offered_again(self, tmp_path: Path) -> None:
        """Also if it is that of its source."""
        storage = StrictStorage(location=str(tmp_path))
        storage.save("a.webp", ContentFile(b""))

        class Same(ImageSpec):
            processors = [ResizeToFill(200, 100)]

        file = ImageCacheFile(Same(StoredFile("a.webp", storage)))
        found = Renditions(file, settle_picture(Picture(formats=["WEBP", "PNG"])))
        assert {each.format for each in found.possible} == {"", "PNG"}

    def test_a_source_that_tells_nothing_is_offered_as_it_is(self, tmp_path: Path) -> None:
        """It says so when its image is made."""
        storage = StrictStorage(location=str(tmp_path))
        storage.save("bad.jpg", ContentFile(b"no image"))
        found = renditions(StoredFile("bad.jpg", storage), ResizeToFit(100, 100), formats=[])
        assert [each.file for each in found.offered] == [found.file]


class TestOfferOwn:
    """What commands make."""

    def test_a_spec_without_a_picture_offers_nothing(self) -> None:
        """What templates ask for is theirs."""
        assert offer_own(ImageCacheFile(Banner("a.jpg"))) == []

    def test_other_crops_are_offered_as_well(self) -> None:
        """Before the image, as in HTML."""

        class Directed(Banner):
            picture = Picture(sources=[("(max-width: 9px)", "tests:square")])

        with pytest.raises(NotRegistered, match="'tests:square'"):
            offer_own(ImageCacheFile(Directed("a.jpg")))
        with registered(square=Banner):
            crop, whole = offer_own(ImageCacheFile(Directed("a.jpg")))
        assert (crop.media, whole.media) == ("(max-width: 9px)", "")
        assert crop.file.spec_id == "tests:square"
