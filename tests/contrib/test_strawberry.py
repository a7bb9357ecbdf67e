"""Images in GraphQL schemas of Strawberry."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import strawberry
import strawberry_django
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import RequestFactory

from imagekit_registry import Picture, get_image, prefetch_images
from imagekit_registry.cachefiles import ImageDict
from imagekit_registry.contrib.strawberry import ImageType, PictureType
from imagekit_registry.testing import forget_state
from tests.pages import Banner, registered
from tests.storages import content_of
from tests.testapp.models import Photo

pytestmark = pytest.mark.django_db


HERO = Picture(layout="full", formats=["WEBP"], widths=[60, 120])


@strawberry_django.type(Photo)
class PhotoType:
    """A photograph: a spec field of its model, and a spec by its id."""

    title: strawberry.auto

    @strawberry_django.field(only=["original_image"])  # type: ignore[untyped-decorator]
    def thumbnail(self, info: strawberry.Info) -> ImageType | None:
        """Return the image of the spec field."""
        photo: Any = self
        return ImageType.of(photo.thumbnail, info.context.request)

    @strawberry_django.field(only=["original_image"])  # type: ignore[untyped-decorator]
    def banner(self) -> ImageType | None:
        """Return the image of a spec by its id."""
        photo: Any = self
        return ImageType.of(get_image("tests:banner", source=photo.original_image))

    @strawberry_django.field(only=["original_image"])  # type: ignore[untyped-decorator]
    def hero(self, info: strawberry.Info) -> PictureType | None:
        """Return the image in several files."""
        photo: Any = self
        file = get_image("tests:banner", source=photo.original_image)
        return PictureType.of(file, info.context.request, HERO)


@strawberry.type
class Query:
    """What can be asked for."""

    @strawberry_django.field
    def photos(self) -> list[PhotoType]:
        """List the photographs."""
        return prefetch_images(Photo.objects.order_by("pk"), "thumbnail")


FIELDS = " ".join(ImageDict.__annotations__)


def ask(query: str) -> Any:
    """Return what the schema answers."""
    schema = strawberry.Schema(Query)
    context = SimpleNamespace(request=RequestFactory().get("/"))
    result = schema.execute_sync(query, context_value=context)
    assert not result.errors
    assert result.data
    return result.data["photos"]


@pytest.fixture(autouse=True)
def specs() -> Any:
    """Register the spec of the type."""
    with registered(banner=Banner):
        yield


def test_an_image_is_a_type_of_the_schema(photos: Path) -> None:
    """With all that the dict of an image has; with a request its URL is absolute."""
    photo = Photo.objects.create(title="a", original_image=content_of(photos / "rocket.jpg"))
    (answer,) = ask(f"{{ photos {{ title thumbnail {{ {FIELDS} }} banner {{ url width }} }} }}")
    url = f"http://testserver{photo.thumbnail.url}"
    assert answer["thumbnail"] == {**photo.thumbnail.as_dict(), "url": url}
    assert (answer["banner"]["width"], answer["banner"]["url"][:7]) == (120, "/media/")


def test_a_picture_is_told_with_the_files_to_choose_from(photos: Path) -> None:
    """As its dict tells them; None for a row without an image."""
    photo = Photo.objects.create(title="a", original_image=content_of(photos / "rocket.jpg"))
    Photo.objects.create(title="none")
    source = "srcset sizes media type width height"
    query = f"{{ photos {{ hero {{ {FIELDS} srcset sizes sources {{ {source} }} }} }} }}"
    answer, none = (row["hero"] for row in ask(query))
    file = get_image("tests:banner", source=photo.original_image)
    assert answer == file.as_dict(RequestFactory().get("/"), HERO)
    assert answer["sources"]
    assert none is None


def test_what_cannot_be_made_is_no_error_of_the_query(settings: Any) -> None:
    """A broken image has no URL; a row without an image has none."""
    settings.IMAGEKIT_ON_ERROR = "raise"
    name = storages["default"].save("photos/broken.jpg", ContentFile(b"no image"))
    Photo.objects.create(original_image=name)
    Photo.objects.create(title="none")
    broken, none = ask("{ photos { thumbnail { url pending } } }")
    assert broken["thumbnail"] == {"url": None, "pending": False}
    assert none["thumbnail"] is None


def test_a_list_of_100_that_is_prefetched_costs_one_round_trip(
    stored_photo: Any, cache_calls: Counter[str], django_assert_num_queries: Any
) -> None:
    """For all of its spec fields."""
    name = stored_photo()
    Photo.objects.bulk_create(Photo(title=str(n), original_image=name) for n in range(100))
    ask("{ photos { thumbnail { url } } }")
    forget_state()
    cache_calls.clear()
    with django_assert_num_queries(1):
        rows = ask("{ photos { thumbnail { width } } }")
    assert [row["thumbnail"]["width"] for row in rows] == [50] * 100
    assert sum(cache_calls.values()) == 1


@pytest.mark.django_db(transaction=True)
def test_images_are_told_where_a_schema_is_asked_asynchronously(photos: Path) -> None:
    """Their resolvers run in threads, as those of columns do."""
    Photo.objects.create(title="a", original_image=content_of(photos / "rocket.jpg"))
    schema = strawberry.Schema(Query)
    context = SimpleNamespace(request=RequestFactory().get("/"))
    query = "{ photos { thumbnail { width pending } } }"
    result = asyncio.run(schema.execute(query, context_value=context))
    assert not result.errors
    assert result.data == {"photos": [{"thumbnail": {"width": 50, "pending": False}}]}


def test_the_schema_tells_which_parts_may_be_null() -> None:
    """All but whether the image is pending."""
    sdl = strawberry.Schema(Query).as_str()
    image = sdl.partition("type ImageType {")[2].partition("}")[0]
    assert [line.split(":")[0] for line in image.split("\n  ")[1:]] == FIELDS.split()
    assert "url: String\n" in image
    assert "pending: Boolean!" in image
