"""Images in OpenAPI schemas that drf-spectacular makes."""

from __future__ import annotations

import types
from typing import Any

import pytest
from django.urls import path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from rest_framework import generics, serializers

from imagekit_registry import Picture
from imagekit_registry.cachefiles import ImageDict, PictureDict
from imagekit_registry.contrib.rest_framework import ImageSpecField
from tests.testapp.models import Photo


class PhotoSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    """A spec field of the model, a spec by its id, and several."""

    thumbnail = ImageSpecField()
    banner = ImageSpecField(spec="tests:banner", source="original_image", help_text="For the top.")
    offered = ImageSpecField(
        spec="tests:banner", source="original_image", picture=Picture(layout="full")
    )
    images = ImageSpecField(
        specs={"small": "tests:banner", "large": "tests:wide"}, source="original_image"
    )

    class Meta:
        model = Photo
        fields = ["title", "thumbnail", "banner", "offered", "images"]


class PhotoList(generics.ListCreateAPIView):  # type: ignore[misc]
    """The photographs."""

    queryset = Photo.objects.all()
    serializer_class = PhotoSerializer
    schema = AutoSchema()


@pytest.fixture
def components(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return the schemas of an API, by name; warnings of the generator are failures."""
    urls = types.SimpleNamespace(urlpatterns=[path("photos/", PhotoList.as_view())])
    schema = SchemaGenerator(urlconf=urls).get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    assert "Warning" not in capsys.readouterr().err
    return schema["components"]["schemas"]


def test_an_image_is_a_component_of_the_schema(components: Any) -> None:
    """With all that the dict of an image has, and the types of that."""
    image = components["Image"]
    assert list(image["properties"]) == list(ImageDict.__annotations__)
    assert set(image["required"]) == set(image["properties"])
    assert image["properties"]["url"] == {"type": "string", "nullable": True}
    assert image["properties"]["width"] == {"type": "integer", "nullable": True}
    assert image["properties"]["pending"] == {"type": "boolean"}


def test_an_image_in_several_sizes_is_a_component_of_its_own(components: Any) -> None:
    """With what a browser may choose from."""
    picture = components["Picture"]
    assert list(picture["properties"]) == list(PictureDict.__annotations__)
    assert picture["properties"]["srcset"] == {"type": "string"}
    source = picture["properties"]["sources"]["items"]
    assert source["properties"]["media"] == {"type": "string"}
    reference = {"$ref": "#/components/schemas/Picture"}
    assert components["Photo"]["properties"]["offered"]["allOf"] == [reference]


def test_fields_refer_to_the_component(components: Any) -> None:
    """They are read, not written, and null in a row without an image; several are an object."""
    fields = components["Photo"]["properties"]
    reference = {"$ref": "#/components/schemas/Image"}
    assert fields["thumbnail"] == {"allOf": [reference], "nullable": True, "readOnly": True}
    assert fields["banner"]["description"] == "For the top."
    assert fields["banner"]["allOf"] == [reference]
    images = fields["images"]
    assert images["properties"] == {"small": reference, "large": reference}
    assert (sorted(images["required"]), images["nullable"]) == (["large", "small"], True)
