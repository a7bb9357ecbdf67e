"""Sets of keys: made, told and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import RequestFactory
from rest_framework import serializers

from imagekit_registry.contrib.versatile.exceptions import InvalidSizeKey
from imagekit_registry.contrib.versatile.image_warmer import VersatileImageFieldWarmer
from imagekit_registry.contrib.versatile.serializers import VersatileImageFieldSerializer
from imagekit_registry.contrib.versatile.utils import (
    build_versatileimagefield_url_set,
    get_rendition_key_set,
    validate_versatileimagefield_sizekey_list,
)
from imagekit_registry.exceptions import InvalidArgumentType, InvalidConfiguration
from imagekit_registry.testing import assert_state_trips, forget_state
from tests.contrib.versatile.conftest import PHOTOS, SETS
from tests.storages import content_of

pytestmark = pytest.mark.django_db(transaction=True)


class TestSets:
    """Several images by name."""

    def test_a_warmer_makes_a_set(self, model: Any, picture: Any) -> None:
        """Of rows, by a set's name or by pairs; what cannot be made is named."""
        assert VersatileImageFieldWarmer(picture, "all", "image").warm() == (2, [])
        file = picture.image.file_of("crop__60x60")
        assert file.storage.exists(file.name)
        broken = model.objects.create(image=content_of(PHOTOS / "rocket.jpg"))
        Path(broken.image.path).write_bytes(b"Lorem ipsum")
        made, failed = VersatileImageFieldWarmer(
            model.objects.all(), [("cut", "crop__50x50")], "image", verbose=True
        ).warm()
        assert (made, failed) == (1, [broken.image.file_of("crop__50x50").name])
        with pytest.raises(InvalidArgumentType):
            VersatileImageFieldWarmer([picture], "all", "image")  # type: ignore[arg-type]

    def test_a_serializer_tells_the_urls_of_a_set(self, model: Any, picture: Any) -> None:
        """Absolute ones, if it knows the request; none of an empty field."""

        class PictureSerializer(serializers.ModelSerializer):  # type: ignore[misc]
            image = VersatileImageFieldSerializer(sizes="all")
            bare = VersatileImageFieldSerializer(sizes=[("small", "thumbnail__90x90")])

            class Meta:
                model = None
                fields = ("image", "bare")

        PictureSerializer.Meta.model = model
        told = PictureSerializer(picture).data
        assert told["image"]["small"] == picture.image.thumbnail["90x90"].url
        assert set(told["image"]) == {"full", "small", "cut"}
        assert told["bare"] in (None, {})
        context = {"request": RequestFactory().get("/")}
        urls = PictureSerializer(picture, context=context).data["image"].values()
        assert all(url.startswith("http://testserver/media/") for url in urls)

    def test_the_urls_of_a_set_cost_one_round_trip(self, picture: Any) -> None:
        """Whatever number of keys it has."""
        urls = build_versatileimagefield_url_set(picture.image, SETS["all"])
        for on_demand in (True, False):
            picture.image.create_on_demand = on_demand
            forget_state()
            with assert_state_trips(1):
                assert build_versatileimagefield_url_set(picture.image, SETS["all"]) == urls

    def test_a_set_that_is_none_is_refused(self) -> None:
        """With what there is."""
        with pytest.raises(InvalidConfiguration, match="'all'"):
            get_rendition_key_set("some")
        for wrong in ([("a", "b", "c")], [("small", "thumbnail")]):
            with pytest.raises(InvalidSizeKey):
                validate_versatileimagefield_sizekey_list(wrong)  # type: ignore[arg-type]
