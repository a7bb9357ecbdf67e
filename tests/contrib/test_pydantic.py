"""Images in schemas of Pydantic, and in answers of Django Ninja."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import ninja
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from ninja.testing import TestClient
from pydantic import BaseModel, ConfigDict

from imagekit_registry import Picture, get_image, prefetch_images
from imagekit_registry.cachefiles import ImageDict, PictureDict
from imagekit_registry.contrib.pydantic import ImageSchema, PictureSchema
from imagekit_registry.testing import forget_state
from tests.pages import Banner, registered
from tests.storages import content_of
from tests.testapp.models import Photo

pytestmark = pytest.mark.django_db


class PhotoSchema(ninja.Schema):
    """A spec field of the model, and a spec by its id."""

    title: str
    thumbnail: ImageSchema
    banner: ImageSchema

    @staticmethod
    def resolve_banner(photo: Photo) -> Any:
        """Return the image of a spec by its id."""
        return get_image("tests:banner", source=photo.original_image)


router = ninja.Router()


@router.get("/photos", response=list[PhotoSchema])
def list_photos(request: Any) -> Any:
    """List the photographs."""
    return prefetch_images(Photo.objects.order_by("pk"), "thumbnail")


@pytest.fixture(autouse=True)
def specs() -> Any:
    """Register the spec of the schema."""
    with registered(banner=Banner):
        yield


@pytest.fixture
def client() -> TestClient:
    """Return a client of the API."""
    return TestClient(router)


def test_an_image_is_an_object_of_the_answer(client: TestClient, photos: Path) -> None:
    """With what `as_dict` gives; its URL is absolute."""
    photo = Photo.objects.create(title="a", original_image=content_of(photos / "rocket.jpg"))
    (answer,) = client.get("/photos").json()
    expected: dict[str, Any] = {**photo.thumbnail.as_dict()}
    assert answer["thumbnail"].pop("url").endswith(str(expected.pop("url")))
    assert answer["thumbnail"] == expected
    assert (answer["banner"]["width"], answer["banner"]["type"]) == (120, "image/jpeg")


def test_urls_are_absolute_where_the_context_has_a_request(rf: Any, photos: Path) -> None:
    """Django Ninja gives it; other callers of Pydantic may."""

    class Row(BaseModel):
        model_config = ConfigDict(from_attributes=True)
        thumbnail: ImageSchema

    photo = Photo.objects.create(original_image=content_of(photos / "rocket.jpg"))
    assert Row.model_validate(photo).thumbnail.url == photo.thumbnail.url
    row = Row.model_validate(photo, context={"request": rf.get("/")})
    assert row.thumbnail.url == f"http://testserver{photo.thumbnail.url}"
    assert Row.model_validate(row.model_dump()) == row


@pytest.mark.parametrize("on_error", ["raise", "empty", "placeholder"])
def test_what_cannot_be_made_is_no_error_of_the_api(
    on_error: str, client: TestClient, settings: Any
) -> None:
    """A broken image, and a row without one."""
    settings.IMAGEKIT_ON_ERROR = on_error
    name = storages["default"].save("photos/broken.jpg", ContentFile(b"no image"))
    Photo.objects.create(original_image=name)
    Photo.objects.create(title="none")
    broken, none = (row["thumbnail"] for row in client.get("/photos").json())
    if on_error == "placeholder":
        assert broken["url"].startswith("data:image/svg+xml")
    else:
        assert broken["url"] is None
    assert none == dict.fromkeys(ImageDict.__annotations__) | {"pending": False}


def test_a_list_of_100_that_is_prefetched_costs_one_round_trip(
    client: TestClient, stored_photo: Any, cache_calls: Counter[str], django_assert_num_queries: Any
) -> None:
    """For all of its spec fields; the banner, which is one image here, costs another."""
    name = stored_photo()
    Photo.objects.bulk_create(Photo(title=str(n), original_image=name) for n in range(100))
    client.get("/photos")
    forget_state()
    cache_calls.clear()
    with django_assert_num_queries(1):
        rows = client.get("/photos").json()
    assert [row["thumbnail"]["width"] for row in rows] == [50] * 100
    assert sum(cache_calls.values()) <= 2


def test_the_schema_tells_all_of_an_image() -> None:
    """What may be null is, and nothing is left out."""
    image = ImageSchema.model_json_schema()
    assert image["required"] == list(image["properties"]) == list(ImageDict.__annotations__)
    assert {"type": "null"} in image["properties"]["url"]["anyOf"]
    assert image["properties"]["pending"]["type"] == "boolean"


class FullSchema(PictureSchema):
    """An image as wide as the screen."""

    picture = Picture(layout="full", formats=["WEBP"], widths=[60, 120])


class TestPictures:
    """Images with the files that browsers may choose from."""

    def test_a_picture_is_told_as_its_dict(self, rf: Any, photos: Path) -> None:
        """With absolute URLs where there is a request."""
        photo = Photo.objects.create(original_image=content_of(photos / "rocket.jpg"))
        file, request = get_image("tests:banner", source=photo.original_image), rf.get("/")
        told = FullSchema.model_validate(file, context={"request": request}).model_dump()
        expected: Any = file.as_dict(request, FullSchema.picture)
        assert told == expected
        assert told["srcset"].startswith("http://testserver/media/")
        assert [source["type"] for source in told["sources"]] == ["image/webp"]

    def test_a_row_without_an_image_offers_nothing(self) -> None:
        """The schema says which parts there are."""
        told = PictureSchema.model_validate(Photo().thumbnail)
        assert (told.url, told.srcset, told.sources) == (None, "", [])
        schema = PictureSchema.model_json_schema()
        assert set(schema["required"]) == set(PictureDict.__annotations__) | set(
            ImageDict.__annotations__
        )
