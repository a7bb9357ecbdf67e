"""Images in the serializers of Django REST framework."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import RequestFactory
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer

from imagekit_registry import Picture, get_image
from imagekit_registry.contrib.rest_framework import ImageSpecField
from imagekit_registry.exceptions import InvalidArgumentType
from imagekit_registry.testing import forget_state
from tests.pages import Banner, Wide, registered
from tests.storages import content_of
from tests.testapp.models import Album, AlbumPhoto, Photo

pytestmark = pytest.mark.django_db


class PhotoSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    """A spec field of the model, a spec by its id, and several."""

    thumbnail = ImageSpecField()
    banner = ImageSpecField(spec="tests:banner", source="original_image")
    images = ImageSpecField(
        specs={"small": "tests:banner", "large": "tests:wide"}, source="original_image"
    )

    class Meta:
        model = Photo
        fields = ["title", "thumbnail", "banner", "images"]


class SmallSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    """A photograph of an album."""

    small = ImageSpecField()

    class Meta:
        model = AlbumPhoto
        fields = ["small"]


@pytest.fixture(autouse=True)
def specs() -> Any:
    """Register the specs of the serializers."""
    with registered(banner=Banner, wide=Wide):
        yield


def shown(serializer: Any) -> Any:
    """Return what an API sends, read by its client."""
    return json.loads(JSONRenderer().render(serializer.data))


def test_an_image_is_a_dict(photos: Path) -> None:
    """Of the file that a page shows; with a request its URL is absolute."""
    photo = Photo.objects.create(title="a", original_image=content_of(photos / "rocket.jpg"))
    request = RequestFactory().get("/api/photos/1/")
    answer = shown(PhotoSerializer(photo, context={"request": request}))
    assert answer["thumbnail"] == {
        "url": f"http://testserver{photo.thumbnail.url}",
        "width": 50,
        "height": 50,
        "type": "image/jpeg",
        "size": photo.thumbnail.storage.size(str(photo.thumbnail.name)),
        "placeholder": None,
        "pending": False,
    }
    assert answer["banner"] == answer["images"]["small"]
    assert answer["images"]["large"]["width"] == 600
    assert shown(PhotoSerializer(photo))["thumbnail"]["url"] == photo.thumbnail.url


def test_placeholders_are_told_by_name(photos: Path) -> None:
    """As data for apps, and as CSS for pages."""

    class Blurred(Banner):
        placeholder = ("lqip", "blurhash", "color")

    class BlurredSerializer(serializers.Serializer):  # type: ignore[misc]
        image = ImageSpecField(spec="tests:blurred", source="original_image")

    photo = Photo.objects.create(title="a", original_image=content_of(photos / "rocket.jpg"))
    with registered(blurred=Blurred):
        told = shown(BlurredSerializer(photo))["image"]["placeholder"]
        found = get_image("tests:blurred", source=photo.original_image).placeholder
    assert told == {
        "css": found.css,
        "data_uri": found.data_uri,
        "color": found.color,
        "blurhash": found.blurhash,
    }
    assert all(told.values())


def test_a_spec_field_that_is_only_named_gives_its_url(photos: Path) -> None:
    """As an image field does; nothing is to be declared."""

    class NamedSerializer(serializers.ModelSerializer):  # type: ignore[misc]
        class Meta:
            model = Photo
            fields = ["title", "thumbnail"]

    photo = Photo.objects.create(title="a", original_image=content_of(photos / "rocket.jpg"))
    assert shown(NamedSerializer(photo)) == {"title": "a", "thumbnail": photo.thumbnail.url}
    assert shown(NamedSerializer(Photo(title="b"))) == {"title": "b", "thumbnail": None}


def test_a_row_without_an_image_gives_null() -> None:
    """For each of the fields."""
    answer = shown(PhotoSerializer(Photo.objects.create(title="none")))
    assert answer == {"title": "none", "thumbnail": None, "banner": None, "images": None}


@pytest.mark.parametrize("on_error", ["raise", "empty", "placeholder", "source"])
def test_a_broken_image_is_no_error_of_the_api(on_error: str, settings: Any, photos: Path) -> None:
    """Its URL is that of the fallback, or null; the other rows are whole."""
    settings.IMAGEKIT_ON_ERROR = on_error
    name = storages["default"].save("photos/broken.jpg", ContentFile(b"no image"))
    Photo.objects.create(original_image=name)
    Photo.objects.create(original_image=content_of(photos / "rocket.jpg"))
    broken, whole = shown(PhotoSerializer(Photo.objects.order_by("pk"), many=True))
    url = broken["thumbnail"].pop("url")
    if on_error in {"raise", "empty"}:
        assert url is None
    else:
        assert url.startswith({"placeholder": "data:image/svg+xml", "source": "/media/"}[on_error])
    assert (broken["thumbnail"]["type"], broken["thumbnail"]["pending"]) == (None, False)
    assert whole["thumbnail"]["width"] == 50


def test_an_image_that_a_worker_is_to_make_is_pending(photos: Path, settings: Any) -> None:
    """With the size that it will have."""
    settings.IMAGEKIT_DEFAULT_CACHEFILE_BACKEND = "tests.management.conftest.Later"
    photo = Photo.objects.create(original_image=content_of(photos / "rocket.jpg"))
    answer = shown(PhotoSerializer(photo))["thumbnail"]
    assert (answer["pending"], answer["size"]) == (True, None)
    assert (answer["width"], answer["height"]) == (50, 50)


@pytest.mark.parametrize("as_list", [False, True], ids=["queryset", "page"])
def test_a_list_of_100_costs_one_round_trip(
    as_list: bool, stored_photo: Any, cache_calls: Counter[str], django_assert_num_queries: Any
) -> None:
    """For each field, however many specs it has."""
    name = stored_photo()
    Photo.objects.bulk_create(Photo(title=str(n), original_image=name) for n in range(100))
    for spec_id in ("tests:banner", "tests:wide"):
        get_image(spec_id, source=Photo.objects.all()[0].original_image).generate()
    Photo.objects.all()[0].thumbnail.generate()
    forget_state()
    cache_calls.clear()
    with django_assert_num_queries(1):
        rows: Any = Photo.objects.order_by("pk")
        answer = shown(PhotoSerializer(list(rows) if as_list else rows, many=True))
    assert [row["title"] for row in answer] == [str(n) for n in range(100)]
    assert all(row["images"]["large"]["width"] == 600 for row in answer)
    assert sum(cache_calls.values()) <= 3


def test_a_related_image_of_a_list_costs_one_round_trip(
    photos: Path, cache_calls: Counter[str]
) -> None:
    """By way of a nested serializer, where some rows have no relation."""

    class ThumbnailSerializer(serializers.Serializer):  # type: ignore[misc]
        thumbnail = ImageSpecField()

    class CoverSerializer(serializers.Serializer):  # type: ignore[misc]
        cover = ThumbnailSerializer()

    content = content_of(photos / "rocket.jpg")
    made = [Photo.objects.create(original_image=content) for _ in range(5)]
    assert all(photo.thumbnail for photo in made)
    forget_state()
    cache_calls.clear()
    rows: list[Any] = [{"cover": photo} for photo in Photo.objects.all()] + [{"cover": None}]
    answer = shown(CoverSerializer(rows, many=True))
    widths = [row["cover"] and row["cover"]["thumbnail"]["width"] for row in answer]
    assert widths == [50] * 5 + [None]
    assert sum(cache_calls.values()) == 1


def test_lists_inside_of_lists_are_shown(photos: Path) -> None:
    """Without being asked for before."""

    class AlbumSerializer(serializers.ModelSerializer):  # type: ignore[misc]
        photos = SmallSerializer(many=True)

        class Meta:
            model = Album
            fields = ["photos"]

    album = Album.objects.create()
    AlbumPhoto.objects.create(album=album, image=content_of(photos / "rocket.jpg"))
    ((photo,),) = [row["photos"] for row in shown(AlbumSerializer(Album.objects.all(), many=True))]
    assert photo["small"]["width"] == 20


def test_one_spec_and_several_are_not_given_together() -> None:
    """It could not be told which names are wanted."""
    with pytest.raises(InvalidArgumentType, match="not both"):
        ImageSpecField(spec="tests:banner", specs={"a": "tests:wide"})


class PictureSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    """Images in several sizes."""

    banner = ImageSpecField(
        spec="tests:banner", source="original_image", picture=Picture(formats=["WEBP"])
    )
    wide = ImageSpecField(
        spec="tests:wide", source="original_image", picture=Picture(formats=[], widths=[100, 300])
    )

    class Meta:
        model = Photo
        fields = ["banner", "wide"]


class TestPictures:
    """Images that an API offers in several sizes and formats."""

    def test_a_list_of_pictures_costs_two_round_trips(
        self, stored_photo: Any, cache_calls: Counter[str]
    ) -> None:
        """That of the images, and that of what they are offered in."""
        names = [stored_photo(name=f"photos/{number}.jpg") for number in range(5)]
        Photo.objects.bulk_create(Photo(original_image=name) for name in names)
        told = shown(PictureSerializer(Photo.objects.order_by("pk"), many=True))
        for row in told:
            assert [each["type"] for each in row["banner"]["sources"]] == ["image/webp"]
            assert row["banner"]["srcset"].endswith(" 240w")
            assert [part.split()[1] for part in row["wide"]["srcset"].split(", ")] == [
                "100w",
                "300w",
            ]
        forget_state()
        cache_calls.clear()
        assert shown(PictureSerializer(Photo.objects.order_by("pk"), many=True)) == told
        # One of each for the two fields.
        assert dict(cache_calls) == {"get_many": 4}
