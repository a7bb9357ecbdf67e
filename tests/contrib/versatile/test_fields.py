"""The image field with keys, and the field of its point of interest."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from django.core import serializers as django_serializers
from django.core.checks import run_checks
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection
from django.db.migrations.writer import MigrationWriter
from django.template import Context, Engine
from django.test import RequestFactory
from PIL import Image, ImageChops, ImageStat
from rest_framework import serializers

from imagekit_registry import ImageSpec
from imagekit_registry.cachefiles.backends.messages import describe, generator_of
from imagekit_registry.contrib.versatile.conf import DEFAULTS, REPLACED
from imagekit_registry.contrib.versatile.datastructures import (
    FilteredImage,
    SizedImage,
    filteredimage,
    sizedimage,
)
from imagekit_registry.contrib.versatile.exceptions import (
    AlreadyRegistered,
    InvalidFilter,
    InvalidSizeKey,
    MalformedSizedImageKey,
)
from imagekit_registry.contrib.versatile.image_warmer import VersatileImageFieldWarmer
from imagekit_registry.contrib.versatile.placeholder import (
    OnStoragePlaceholderImage,
)
from imagekit_registry.contrib.versatile.registry import versatileimagefield_registry
from imagekit_registry.contrib.versatile.serializers import VersatileImageFieldSerializer
from imagekit_registry.contrib.versatile.utils import (
    build_versatileimagefield_url_set,
    get_rendition_key_set,
    validate_versatileimagefield_sizekey_list,
)
from imagekit_registry.contrib.versatile.validators import validate_ppoi
from imagekit_registry.contrib.versatile.versatileimagefield import (
    CroppedImage,
    InvertImage,
    ThumbnailImage,
)
from imagekit_registry.exceptions import (
    InvalidArgument,
    InvalidArgumentType,
    InvalidConfiguration,
    NotRegistered,
)
from imagekit_registry.processors import Invert, Processor, ResizeToFill, ResizeToFit
from imagekit_registry.processors.anchors import FocalPoint
from imagekit_registry.testing import assert_state_trips, forget_state
from tests.contrib.versatile.conftest import SETS
from tests.storages import content_of

pytestmark = pytest.mark.django_db(transaction=True)

PHOTOS = Path(__file__).resolve().parents[3] / "demo" / "photos"


def pixels_of(image: Any, processors: list[Processor]) -> Image.Image:
    """Return what processors make of the file of a field."""
    spec = ImageSpec(image)
    spec.processors, spec.options = processors, {"quality": 70, "progressive": False}
    return Image.open(spec.generate())


def opened(file: Any) -> Any:
    """Return an image, as Pillow opens it."""
    with file.storage.open(file.name) as content:
        return Image.open(io.BytesIO(content.read()))


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


class TestPlaceholders:
    """What an empty field shows."""

    def test_an_empty_field_shows_its_placeholder(self, picture: Any) -> None:
        """Itself, and in every size; without one it shows nothing."""
        assert picture.held.url == "/media/__placeholder__/rocket.jpg"
        assert opened(picture.held.thumbnail["90x90"]).size == (90, 60)
        assert not picture.bare.thumbnail["90x90"]
        shown = Engine().from_string("[{{ image.thumbnail.90x90 }}]")
        assert shown.render(Context({"image": picture.bare})) == "[]"

    def test_an_empty_field_has_no_filtered_image(self, picture: Any) -> None:
        """A template shows nothing, as of its sizes."""
        shown = Engine().from_string("[{{ image.filters.invert }}]")
        assert shown.render(Context({"image": picture.bare})) == "[]"

    def test_a_placeholder_may_lie_in_a_storage(self, photos: Path) -> None:
        """It is called as there."""
        content = ContentFile((photos / "rocket.jpg").read_bytes())
        name = storages["default"].save("some/where.jpg", content)
        placeholder = OnStoragePlaceholderImage(name)
        assert placeholder.name == "some/where.jpg"
        assert placeholder.read().size == content.size


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


def opened_or_made(file: Any) -> Any:
    """Return an image of a spec field, which is made now."""
    file.generate()
    return opened(file)


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


class Stretched(SizedImage):
    """A sizer as its documentation has it."""

    filename_key = "stretch"

    def process_image(
        self, image: Any, image_format: Any, save_kwargs: Any, width: Any, height: Any
    ) -> Any:
        made = io.BytesIO()
        image.resize((width, height)).save(made, **save_kwargs)
        return made


class Squared(CroppedImage):
    """A sizer that cuts as the usual one does, to a square."""

    filename_key = "square"

    def process_image(
        self, image: Any, image_format: Any, save_kwargs: Any, width: Any, height: Any
    ) -> Any:
        side = min(width, height)
        return super().process_image(image, image_format, save_kwargs, side, side)


class Grey(FilteredImage):
    """A filter as its documentation has it."""

    def process_image(self, image: Any, image_format: Any, save_kwargs: Any) -> Any:
        made = io.BytesIO()
        image.convert("L").save(made, **save_kwargs)
        return made


class TestOwn:
    """Sizers and filters of a project."""

    def test_a_class_that_processes_nothing_says_what_it_lacks(self) -> None:
        """The method to write is named."""
        image = Image.new("L", (1, 1))
        with pytest.raises(NotImplementedError, match="process_image"):
            SizedImage().process_image(image, "PNG", {}, 9, 9)
        with pytest.raises(NotImplementedError, match="process_image"):
            FilteredImage().process_image(image, "PNG", {})

    def test_sizers_and_filters_that_derive_from_the_usual_ones_do_as_these(
        self, picture: Any
    ) -> None:
        """Around the point of interest."""
        picture.image.ppoi = (0.1, 0.5)
        registry = versatileimagefield_registry
        registry.register_sizer("square", Squared)
        registry.register_sizer("fitted", type("Fitted", (ThumbnailImage,), {}))
        registry.register_filter("negative", type("Negative", (InvertImage,), {}))
        pairs = [
            ("square__120x90", "crop__90x90"),
            ("fitted__120x90", "thumbnail__120x90"),
            ("filters__negative__url", "filters__invert__url"),
        ]
        try:
            for keys in pairs:
                own, usual = (opened(picture.image.made(key)) for key in keys)
                assert own.size == usual.size
                assert max(ImageStat.Stat(ImageChops.difference(own, usual)).mean) < 2
        finally:
            registry.unregister_sizer("square")
            registry.unregister_sizer("fitted")
            registry.unregister_filter("negative")

    def test_classes_and_their_errors_are_where_they_were(self) -> None:
        """In a module for sizers and one for filters, and in the package of both."""
        assert sizedimage.SizedImage is SizedImage
        assert filteredimage.FilteredImage is FilteredImage
        assert sizedimage.MalformedSizedImageKey is MalformedSizedImageKey
        assert filteredimage.InvalidFilter is InvalidFilter

    def test_sizers_and_filters_of_a_project_are_used(self, picture: Any) -> None:
        """By their names, alone and together; once they are removed they are unknown."""
        registry = versatileimagefield_registry
        registry.register_sizer("stretch", Stretched)
        registry.register_filter("grey", Grey)
        try:
            assert opened(picture.image.stretch["50x90"]).size == (50, 90)
            both = opened(picture.image.filters.grey.stretch["50x90"])
            assert (both.size, both.mode) == ((50, 90), "L")
            with pytest.raises(AlreadyRegistered):
                registry.register_filter("grey", type("Other", (Grey,), {}))
            with pytest.raises(InvalidFilter):
                registry.register_filter("_grey", Grey)
        finally:
            registry.unregister_sizer("stretch")
            registry.unregister_filter("grey")
        with pytest.raises(NotRegistered):
            registry.unregister_filter("grey")
        with pytest.raises(InvalidArgument, match="'chunks'"):
            registry.register_sizer("chunks", Stretched)
        with pytest.raises(InvalidArgument, match="SizedImage"):
            registry.register_sizer("stretch", Grey)
        with pytest.raises(InvalidArgument, match="FilteredImage"):
            registry.register_filter("grey", Stretched)
        assert (sorted(registry.sizers), sorted(registry.filters)) == (
            ["crop", "thumbnail"],
            ["invert"],
        )
        with pytest.raises(AttributeError):
            picture.image.stretch  # noqa: B018 -- that it is asked for is the point


def test_settings_without_a_counterpart_are_told(settings: Any) -> None:
    """With what takes their place."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "imagekit_registry.contrib.versatile"]

    def told() -> list[str]:
        messages = run_checks(tags=["imagekit"])
        return [str(message.msg) for message in messages if message.id == "imagekit.W041"]

    assert told() == []
    settings.VERSATILEIMAGEFIELD_SETTINGS = {**DEFAULTS, **dict.fromkeys(REPLACED, "x"), "slip": 1}
    settings.VERSATILEIMAGEFIELD_USE_PLACEHOLDIT = True
    assert len(told()) == len(REPLACED) + 2
