"""The state of the images of many objects, in one round trip."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from imagekit_registry import prefetch_images
from imagekit_registry.cachefiles import generate_many
from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.state import state_scope
from imagekit_registry.testing import forget_state
from tests.testapp.models import Album, ConcreteChild, Photo


class TestPrefetch:
    """The state of many images in one round trip."""

    @pytest.fixture
    def rows(self, db: None, stored_photo: Any) -> list[Photo]:
        """Return three rows whose images exist."""
        names = [stored_photo(name=f"photos/{index}.jpg") for index in range(3)]
        rows = [Photo.objects.create(original_image=name) for name in names]
        generate_many([row.thumbnail for row in rows] + [row.banner for row in rows])
        return rows

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        "objects",
        [
            pytest.param(lambda: Photo.objects.all(), id="queryset"),
            pytest.param(lambda: list(Photo.objects.all()), id="list"),
            pytest.param(lambda: Photo.objects.iterator(), id="iterator"),
        ],
    )
    def test_a_prefetch_of_images_is_one_round_trip(
        self, rows: Any, cache_calls: Counter[str], objects: Any
    ) -> None:
        """However many instances and fields; the page itself then asks nothing."""
        generate_many([row.thumbnail for row in rows] + [row.banner for row in rows], force=True)
        forget_state()
        cache_calls.clear()
        with state_scope():
            photos = prefetch_images(objects(), "thumbnail", "banner")
            assert [photo.thumbnail.width for photo in photos] == [50, 50, 50]
            assert [photo.banner.width for photo in photos] == [300, 300, 300]
        assert dict(cache_calls) == {"get_many": 1}

    @pytest.mark.django_db
    def test_a_prefetch_of_images_without_names_is_one_of_all_fields(
        self, rows: Any, cache_calls: Counter[str]
    ) -> None:
        """Whoever names none wants all, and not nothing."""
        fields = ("thumbnail", "banner", "with_spec")
        generate_many([getattr(row, name) for row in rows for name in fields], force=True)
        forget_state()
        cache_calls.clear()
        with state_scope():
            for photo in prefetch_images(Photo.objects.all()):
                assert photo.thumbnail.width == 50
                assert photo.banner.width == 300
                assert photo.with_spec.width == 100
        assert dict(cache_calls) == {"get_many": 1}

    @pytest.mark.django_db
    def test_images_that_were_prefetched_together_are_made_of_one_decode(
        self, stored_photo: Any, decodes: list[object]
    ) -> None:
        """Of each source, when the first one is asked for; what was not named is not made."""
        for number in range(2):
            Photo.objects.create(original_image=stored_photo(name=f"photos/{number}.jpg"))
        photos = prefetch_images(Photo.objects.all(), "thumbnail", "banner")
        for photo in photos:
            assert photo.thumbnail.url
            assert photo.banner.url
        assert len(decodes) == len(photos)
        assert not any(photo.with_spec.exists() for photo in photos)

    @pytest.mark.django_db
    @pytest.mark.parametrize("path", ["pictures__small", "pictures.small"])
    def test_a_prefetch_of_images_follows_relations(
        self, cache_calls: Counter[str], stored_photo: Any, path: str
    ) -> None:
        """To one object or to many; what is not there is passed over."""
        album = Album.objects.create()
        row = ConcreteChild.objects.create(image=stored_photo(), album=album)
        ConcreteChild.objects.create(image="")
        generate_many([row.small])
        forget_state()
        cache_calls.clear()
        with state_scope():
            (found,) = prefetch_images(Album.objects.prefetch_related("pictures"), path)
            assert [picture.small.width for picture in found.pictures.all()] == [40]
            prefetch_images(ConcreteChild.objects.all(), "album__pictures__small")
        assert dict(cache_calls) == {"get_many": 1}

    @pytest.mark.django_db
    def test_a_prefetch_of_fields_that_do_not_exist_is_an_error(self, rows: Any) -> None:
        """A slip of the pen is told, with the name."""
        with pytest.raises(InvalidArgument, match="Photo has no attribute 'thumbnial'"):
            prefetch_images(rows, "thumbnial")
