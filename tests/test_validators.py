"""Limits of image fields that process nothing."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.migrations.writer import MigrationWriter
from django.utils.translation import override
from PIL import Image

from imagekit_registry.testing import make_image
from imagekit_registry.validators import ImageLimits
from tests.storages import content_of
from tests.testapp.models import Limited


def picture(format: str = "PNG", size: tuple[int, int] = (300, 200), **options: Any) -> bytes:
    """Return the bytes of a picture."""
    buffer = BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(buffer, format, **options)
    return buffer.getvalue()


def upload(content: bytes, name: str = "a.png") -> SimpleUploadedFile:
    """Return what Django makes of an upload."""
    return SimpleUploadedFile(name, content)


def form_of(content: bytes, name: str = "a.png") -> Any:
    """Return the model's form, filled in with an upload."""
    form_class: Any = forms.modelform_factory(Limited, fields=["title", "image"])
    return form_class({"title": "a"}, {"image": upload(content, name)})


def damaged_animation() -> bytes:
    """Return an animation of five frames whose third cannot be decoded."""
    data = bytes(make_image(format="PNG", size=(60, 60), frames=5).read())
    third = [each.start() for each in re.finditer(b"fdAT", data)][1]
    return data[: third + 8] + b"damaged" + data[third + 15 :]


#: What the model's field refuses, and why.
REFUSED = {
    "too_many_pixels": picture("JPEG", (600, 501), quality=10),
    "too_many_bytes": picture("PNG", (540, 540)),
    "too_small": picture("PNG", (60, 30)),
    "too_large": picture("PNG", (60, 801)),
    "wrong_format": picture("BMP"),
}


class TestUploads:
    """What is refused, wherever the upload comes from."""

    @pytest.mark.parametrize("code", REFUSED)
    def test_a_model_form_says_what_is_wrong_with_an_upload(self, code: str) -> None:
        """Beside the input."""
        form = form_of(REFUSED[code])
        assert [error.code for error in form.errors.as_data()["image"]] == [code]

    @pytest.mark.parametrize("code", REFUSED)
    def test_full_clean_refuses_what_the_form_refuses(self, code: str) -> None:
        """As for code that fills in a row."""
        with pytest.raises(ValidationError) as raised:
            Limited(image=upload(REFUSED[code])).full_clean()
        assert [error.code for error in raised.value.error_dict["image"]] == [code]

    @pytest.mark.parametrize("code", REFUSED)
    def test_a_serializer_refuses_what_the_form_refuses(self, code: str) -> None:
        """A ModelSerializer takes the validators of the model."""
        serializers = pytest.importorskip(
            "rest_framework.serializers", reason="needs REST framework"
        )

        class Serializer(serializers.ModelSerializer):  # type: ignore[misc, name-defined]
            class Meta:
                model = Limited
                fields = ["image"]

        serializer = Serializer(data={"image": upload(REFUSED[code])})
        assert not serializer.is_valid()
        assert [error.code for error in serializer.errors["image"]] == [code]

    @pytest.mark.django_db
    def test_the_admin_refuses_what_the_form_refuses(self, admin_client: Any) -> None:
        """The page is shown again, with the message."""
        data = {"title": "a", "image": upload(REFUSED["too_small"])}
        page = admin_client.post("/admin/testapp/limited/add/", data)
        assert "The image is too small. It must have at least 50 by 40 pixels." in page.text
        assert not Limited.objects.exists()

    @pytest.mark.django_db
    def test_an_upload_within_the_limits_is_stored_as_it_came(self) -> None:
        """The validator reads it, and leaves it where it was."""
        content = picture("JPEG")
        form = form_of(content, "a.jpg")
        assert form.is_valid(), form.errors
        with form.save().image.open() as file:
            assert file.read() == content

    @pytest.mark.django_db
    def test_a_stored_image_that_is_beyond_the_limits_keeps_no_row_from_being_saved(
        self, photos: Path
    ) -> None:
        """It came before the limits; nobody has uploaded anything."""
        row = Limited.objects.create(image=content_of(photos / "hubble_deep_field.jpg"))
        form_class = forms.modelform_factory(Limited, fields=["title", "image"])
        form = form_class({"title": "b"}, instance=row)
        assert form.is_valid(), form.errors
        row.full_clean()

    def test_the_size_that_counts_is_that_of_the_upright_image(self) -> None:
        """A telephone stores a high picture as a wide one."""
        exif = Image.Exif()
        exif[0x0112] = 6
        content = picture("JPEG", (300, 200), exif=exif)
        ImageLimits(min_size=(200, 300))(upload(content))
        with pytest.raises(ValidationError):
            ImageLimits(min_size=(300, 200))(upload(content))
        ImageLimits(max_size=(200, 300))(upload(content))
        with pytest.raises(ValidationError):
            ImageLimits(max_size=(300, 200))(upload(content))

    def test_a_jpeg_of_two_views_is_a_jpeg(self) -> None:
        """Some telephones write MPO under the name of JPEG."""
        content = picture("MPO", save_all=True, append_images=[Image.new("RGB", (300, 200))])
        ImageLimits(formats=["jpg"])(upload(content, "a.jpg"))


class TestSettings:
    """What holds where a limit is left out."""

    def test_limits_that_are_left_out_are_those_of_the_settings(self, settings: Any) -> None:
        """So that no upload is stored of which no spec can make anything."""
        settings.IMAGEKIT_MAX_PIXELS = 10_000
        with pytest.raises(ValidationError) as raised:
            ImageLimits()(upload(picture()))
        assert raised.value.code == "too_many_pixels"
        assert "At most 10,000 are allowed, such as 100 by 100" in raised.value.messages[0]

    def test_a_limit_beyond_that_of_the_settings_has_no_effect(self, settings: Any) -> None:
        """The smaller one holds."""
        settings.IMAGEKIT_MAX_BYTES = 1000
        with pytest.raises(ValidationError) as raised:
            ImageLimits(max_bytes=100_000_000)(upload(picture()))
        assert raised.value.code == "too_many_bytes"


class TestFullDecode:
    """What reading all pixels finds out."""

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(picture("JPEG", (400, 400))[:-2000], id="cut"),
            pytest.param(picture("PNG")[:2000] + b"!" * 500 + picture("PNG")[2500:], id="damaged"),
            pytest.param(damaged_animation(), id="animation"),
        ],
    )
    def test_a_damaged_file_is_refused_by_a_full_decode_alone(self, content: bytes) -> None:
        """Its header says nothing of it."""
        ImageLimits()(upload(content))
        with pytest.raises(ValidationError) as raised:
            ImageLimits(full_decode=True)(upload(content))
        assert raised.value.code == "invalid_image"

    def test_a_whole_file_passes_a_full_decode(self, photos: Path) -> None:
        """A photograph, and an animation."""
        limits = ImageLimits(full_decode=True)
        limits(upload((photos / "rocket.jpg").read_bytes()))
        limits(make_image(format="GIF", size=(60, 60), frames=5))


class TestDeclaring:
    """What migrations and forms make of it."""

    def test_a_migration_writes_what_was_given(self) -> None:
        """No more than that, and it can be read again."""
        limits = ImageLimits(min_size=[50, 40], formats=["png", "jpg"])
        text, imports = MigrationWriter.serialize(limits)
        assert text == (
            "imagekit_registry.validators.ImageLimits(formats=('JPEG', 'PNG'), min_size=(50, 40))"
        )
        assert imports == {"import imagekit_registry.validators"}
        scope: dict[str, Any] = {}
        exec("\n".join([*imports, f"found = {text}"]), scope)
        assert scope["found"] == limits

    def test_messages_are_those_of_the_field(self) -> None:
        """By the code, as for any validator of Django's."""
        field = forms.ImageField(
            validators=[ImageLimits(min_size=(999, 999))],
            error_messages={"too_small": "Larger, please."},
        )
        with pytest.raises(ValidationError, match="Larger, please"):
            field.clean(upload(picture()))

    def test_messages_are_translated_when_they_are_shown(self) -> None:
        """Those of Django's own at least: the language is that of who reads them."""
        with pytest.raises(ValidationError) as raised:
            ImageLimits()(upload(b"no image"))
        with override("de"):
            assert "gültiges Bild" in raised.value.messages[0]

    @pytest.mark.parametrize(
        "arguments",
        [
            {"max_pixels": 0},
            {"max_bytes": -1},
            {"min_size": (50,)},
            {"max_size": (1, 2, 3)},
            {"formats": "JPEG"},
            {"formats": []},
            {"formats": [None]},
        ],
        ids=str,
    )
    def test_limits_that_make_no_sense_are_refused_at_once(self, arguments: Any) -> None:
        """Not by the first upload."""
        with pytest.raises(ValueError, match=next(iter(arguments))):
            ImageLimits(**arguments)
