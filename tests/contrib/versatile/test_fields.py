"""The image field with keys, and the field of its point of interest."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from django.core import serializers as django_serializers
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection
from django.db.migrations.writer import MigrationWriter
from django.template import Context, Engine
from PIL import Image, ImageChops

from imagekit_registry import ImageSpec
from imagekit_registry.cachefiles.backends.messages import describe, generator_of
from imagekit_registry.contrib.versatile.exceptions import (
    InvalidFilter,
    InvalidSizeKey,
    MalformedSizedImageKey,
)
from imagekit_registry.contrib.versatile.validators import validate_ppoi
from imagekit_registry.processors import Invert, Processor, ResizeToFill, ResizeToFit
from imagekit_registry.processors.anchors import FocalPoint
from tests.contrib.versatile.conftest import opened, opened_or_made

pytestmark = pytest.mark.django_db(transaction=True)


def pixels_of(image: Any, processors: list[Processor]) -> Image.Image:
    """Return what processors make of the file of a field."""
    spec = ImageSpec(image)
    spec.processors, spec.options = processors, {"quality": 70, "progressive": False}
    return Image.open(spec.generate())


class TestKeys:
    """Images by keys, as templates and code ask for them."""

    @pytest.mark.parametrize(
        ("text", "processors"),
        [
            ("thumbnail.200x200", [ResizeToFit(200, 200, upscale=False)]),
            ("thumbnail.900x900", [ResizeToFit(900, 900, upscale=False)]),
            ("crop.200x200", [ResizeToFill(200, 200, target=(0.5, 0.5))]),
            ("crop.700x700", [ResizeToFill(700, 700, target=(0.5, 0.5))]),
            ("filters.invert", [Invert()]),
            ("filters.invert.thumbnail.90x90", [Invert(), ResizeToFit(90, 90, upscale=False)]),
            ("filters.invert.crop.90x90", [Invert(), ResizeToFill(90, 90, target=(0.5, 0.5))]),
        ],
    )
    def test_a_key_shows_what_our_recipe_shows(
        self, text: str, processors: list[Processor], picture: Any
    ) -> None:
        """In templates: as a URL, with the attribute or without."""
        template = Engine().from_string(f"{{{{ image.{text} }}}} {{{{ image.{text}.url }}}}")
        one, other = template.render(Context({"image": picture.image})).split()
        assert one == other
        storage = storages["default"]
        with storage.open(one.removeprefix("/media/")) as content:
            shown = Image.open(io.BytesIO(content.read()))
        expected = pixels_of(picture.image, processors)
        assert shown.size == expected.size
        assert ImageChops.difference(shown, expected).getbbox() is None

    def test_a_crop_has_the_point_of_interest_in_its_middle(self, picture: Any) -> None:
        """That of the row, or of the file."""
        middle = picture.image.crop["200x200"].url
        picture.image.ppoi = (0.1, 0.5)
        assert picture.point == (0.1, 0.5)
        left = picture.image.crop["200x200"]
        assert left.url != middle
        expected = pixels_of(picture.image, [ResizeToFill(200, 200, target=(0.1, 0.5))])
        assert ImageChops.difference(opened(left), expected).getbbox() is None
        picture.point = "0.5x0.5"
        assert picture.image.crop["200x200"].url == middle
        picture.bare = picture.image.name
        picture.bare.ppoi = "0.1x0.5"
        assert picture.bare.crop["200x200"].url == left.url

    def test_a_source_without_an_extension_gives_jpegs(self, model: Any, photos: Path) -> None:
        """So that browsers are told what they load."""
        bare = ContentFile((photos / "coffee.png").read_bytes(), name="coffee")
        file = model.objects.create(image=bare).image.thumbnail["90x90"]
        assert file.url.endswith(".jpg")
        assert opened(file).format == "JPEG"

    def test_nothing_is_made_where_it_is_not_demanded(self, picture: Any, settings: Any) -> None:
        """The URL is that of the image to come; a setting says it, or the file."""
        picture.image.create_on_demand = False
        file = picture.image.thumbnail["90x90"]
        assert not file.storage.exists(file.name)
        assert file.url.endswith(file.name)
        settings.VERSATILEIMAGEFIELD_SETTINGS = {"create_images_on_demand": False}
        assert picture.bare.create_on_demand is False
        picture.image.create_on_demand = True
        assert picture.image.thumbnail["90x90"].url == file.url
        assert file.storage.exists(file.name)

    def test_options_are_those_of_the_settings(self, picture: Any, settings: Any) -> None:
        """Quality 70 for JPEG and WebP; other formats stay as well."""
        name = picture.image.thumbnail["90x90"].name
        assert "progressive" not in opened(picture.image.thumbnail["90x90"]).info
        settings.VERSATILEIMAGEFIELD_SETTINGS = {
            "jpeg_resize_quality": 30,
            "progressive_jpeg": True,
            "lossless_webp": True,
        }
        assert picture.image.thumbnail["90x90"].name != name
        assert "progressive" in opened(picture.image.thumbnail["90x90"]).info
        for extension in ("webp", "png"):
            content = io.BytesIO()
            Image.new("RGB", (200, 200), "red").save(content, extension)
            picture.image.save(f"a.{extension}", ContentFile(content.getvalue()))
            assert opened(picture.image.thumbnail["90x90"]).format == extension.upper()

    @pytest.mark.parametrize(
        ("extension", "own", "options"),
        [
            ("jpeg", {}, {"quality": 70}),
            ("jpeg", {"jpeg_resize_quality": 30}, {"quality": 30}),
            ("webp", {}, {"quality": 70}),
            ("webp", {"webp_resize_quality": 30}, {"quality": 30}),
            ("webp", {"lossless_webp": True}, {"quality": 70, "lossless": True}),
        ],
    )
    def test_a_setting_is_the_option_of_its_format(
        self,
        extension: str,
        own: dict[str, Any],
        options: dict[str, Any],
        picture: Any,
        settings: Any,
    ) -> None:
        """Byte for byte."""
        settings.VERSATILEIMAGEFIELD_SETTINGS = own
        content = io.BytesIO()
        Image.effect_noise((200, 200), 90).convert("RGB").save(content, extension)
        picture.image.save(f"a.{extension}", ContentFile(content.getvalue()))
        file = picture.image.thumbnail["90x90"]
        spec = ImageSpec(picture.image)
        spec.processors, spec.options = [ResizeToFit(90, 90, upscale=False)], options
        with file.storage.open(file.name) as made:
            assert made.read() == spec.generate().read()

    @pytest.mark.parametrize(
        ("key", "error"),
        [
            (lambda image: image.thumbnail["90"], MalformedSizedImageKey),
            (lambda image: image.crop["axb"], MalformedSizedImageKey),
            (lambda image: image.filters.sepia, InvalidFilter),
            (lambda image: image.filters["sepia"], InvalidFilter),
            (lambda image: image.made("filters__sepia__url"), InvalidFilter),
            (lambda image: image.made("stretch__9x9"), InvalidSizeKey),
            (lambda image: image.stretch, AttributeError),
            (lambda image: image.filters.invert.stretch, AttributeError),
            (lambda image: image.filters._invert, AttributeError),
        ],
    )
    def test_a_key_that_is_none_is_refused(
        self, key: Any, error: type[Exception], picture: Any
    ) -> None:
        """With what there is."""
        with pytest.raises(error) as told:
            key(picture.image)
        if error is MalformedSizedImageKey:
            assert "Write '400x300', in pixels." in str(told.value)
        shown = Engine().from_string("[{{ image.thumbnail.90 }}]")
        assert shown.render(Context({"image": picture.image})) == "[]"

    def test_a_worker_finds_an_image_by_what_json_holds(self, picture: Any) -> None:
        """The key, and the point if it is not the middle."""
        picture.image.ppoi = (0.2, 0.8)
        file = picture.image.crop["90x90"]
        message = json.loads(json.dumps(describe(file)))
        assert message["spec"] == "versatile:image"
        twin = type(file)(generator_of(message, source=picture.image))
        assert twin.name == file.name

    def test_all_images_of_a_file_are_deleted(self, picture: Any) -> None:
        """The file itself stays."""
        files = [picture.image.crop["90x90"], picture.image.filters.invert.file]
        assert all(file.storage.exists(file.name) for file in files)
        picture.image.delete_all_created_images()
        assert not any(file.storage.exists(file.name) for file in files)
        assert storages["default"].exists(picture.image.name)

    def test_one_image_is_deleted(self, picture: Any) -> None:
        """By itself; it is made again when it is asked for."""
        file = picture.image.crop["90x90"]
        file.delete()
        assert not file.storage.exists(file.name)
        assert picture.image.crop["90x90"].storage.exists(file.name)

    def test_whether_images_are_made_is_true_or_false(self, picture: Any) -> None:
        """What else may be meant is refused, and what was said survives pickling."""
        with pytest.raises(ValueError, match="create_on_demand"):
            picture.image.create_on_demand = "no"
        picture.image.create_on_demand = False
        assert pickle.loads(pickle.dumps(picture)).image.create_on_demand is False

    @pytest.mark.parametrize(("mode", "format"), [("P", "GIF"), ("CMYK", "JPEG")])
    def test_modes_that_pages_cannot_show_become_others(
        self, mode: str, format: str, picture: Any
    ) -> None:
        """A transparent GIF stays transparent, the inks of printers become colours of screens."""
        content = io.BytesIO()
        image = Image.new(mode, (120, 90))
        image.save(content, format, **({"transparency": 0} if mode == "P" else {}))
        picture.image.save(f"a.{format.lower()}", ContentFile(content.getvalue()))
        made = opened(picture.image.thumbnail["60x60"])
        assert (made.format, made.size) == (format, (60, 45))
        if mode == "P":
            assert made.convert("RGBA").getpixel((5, 5))[3] == 0
        else:
            assert made.mode == "RGB"

    def test_a_row_survives_pickling(self, picture: Any) -> None:
        """With its point, and what it was told."""
        picture.image.ppoi = (0.2, 0.8)
        file = pickle.loads(pickle.dumps(picture.image.crop["90x90"]))
        assert file.url == picture.image.crop["90x90"].url


class TestPoints:
    """The point of interest."""

    def test_a_point_is_kept_as_text(self, model: Any, picture: Any) -> None:
        """As rows of django-versatileimagefield have it."""
        picture.image.ppoi = "0.25x0.75"
        picture.save()
        with connection.cursor() as cursor:
            cursor.execute("SELECT point FROM testapp_picture")
            assert cursor.fetchone() == ("0.25x0.75",)
        again = model.objects.get()
        assert (again.point, again.image.ppoi) == ((0.25, 0.75), (0.25, 0.75))
        (told,) = json.loads(django_serializers.serialize("json", [again]))
        assert told["fields"]["point"] == "0.25x0.75"
        assert model(point=None).point == model().point == (0.5, 0.5)

    def test_a_point_of_many_digits_has_room_in_its_column(self, model: Any, picture: Any) -> None:
        """PostgreSQL once refused it; what is read again has the same images."""
        picture.image.ppoi = (1 / 3, 2 / 3)
        picture.save()
        field = model._meta.get_field("point")
        assert len(field.get_prep_value(picture.point)) <= field.max_length
        assert model.objects.get().image.crop["40x40"].name == picture.image.crop["40x40"].name

    def test_our_own_specs_know_the_point_as_focal_point(self, model: Any, picture: Any) -> None:
        """Where it is moved, what was made around it goes."""
        before = picture.focal
        assert before.storage.exists(before.name) or before.url
        picture.image.ppoi = (0.1, 0.9)
        picture.save()
        again = model.objects.get()
        assert again.focal.name != before.name
        assert opened_or_made(again.focal).size == (40, 40)

    def test_a_focal_point_field_may_have_the_point(self, picture: Any) -> None:
        """As the admin has an input for it; an empty one is the middle."""
        picture.other = picture.image.name
        assert picture.other.crop["90x90"].url == picture.image.crop["90x90"].url
        picture.middle = (0.1, 0.5)
        picture.image.ppoi = picture.other.ppoi
        assert picture.image.ppoi == (0.1, 0.5)
        assert picture.other.crop["90x90"].url == picture.image.crop["90x90"].url
        picture.other.ppoi = (0.9, 0.5)
        assert picture.middle == FocalPoint(0.9, 0.5)

    @pytest.mark.parametrize("value", ["", "0.5", "0.5x1.5", (1, 2, 3), "axb", 7])
    def test_what_is_no_point_is_refused(self, value: Any, picture: Any) -> None:
        """With what to write."""
        with pytest.raises(ValidationError, match=r"0\.5x0\.333"):
            picture.image.ppoi = value
        with pytest.raises(ValidationError):
            validate_ppoi(value)
        assert validate_ppoi("0.5x1", return_converted_tuple=True) == (0.5, 1.0)

    def test_a_point_is_validated_with_its_row(self, model: Any, picture: Any) -> None:
        """From fixtures as well."""
        picture.full_clean(exclude=["bare", "other", "held"])
        field = model._meta.get_field("point")
        assert (field.to_python("0.25x0.5"), field.to_python(None)) == ((0.25, 0.5), (0.5, 0.5))
        with pytest.raises(ValidationError):
            field.clean("2x2", picture)

    def test_migrations_name_the_fields(self, model: Any) -> None:
        """Points and placeholders are no part of them."""
        for name, kind in (("image", "VersatileImageField"), ("point", "PPOIField")):
            written, _ = MigrationWriter.serialize(model._meta.get_field(name))
            assert written.startswith(f"imagekit_registry.contrib.versatile.fields.{kind}(")
            assert "ppoi_field" not in written
            assert "placeholder" not in written
