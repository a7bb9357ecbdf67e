"""Focal points: rows say what their images are about, and crops keep it."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core import serializers
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from django.db import models, transaction
from django.db.migrations.writer import MigrationWriter
from django.db.models.functions import Cast
from django.forms import modelform_factory
from django.test.utils import isolate_apps
from PIL import Image

from imagekit_registry import get_image, prefetch_images
from imagekit_registry.cachefiles.backends import Message
from imagekit_registry.cachefiles.backends.messages import describe
from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.models import FocalPoint, FocalPointField
from imagekit_registry.processors import Adjust, Crop, ProcessorPipeline, ResizeToFill
from imagekit_registry.processors import Thumbnail as ThumbnailProcessor
from imagekit_registry.specs import ImageSpec, StoredFile
from imagekit_registry.testing import forget_state
from imagekit_registry.workers import make_images
from tests.pages import elements, registered, render
from tests.testapp.models import Portrait

pytestmark = pytest.mark.django_db(databases="__all__")

#: Where the red spot of the test image is.
SPOT = FocalPoint(0.9, 0.5)


def reds(file: Any) -> int:
    """Return how many pixels of an image are red."""
    with file.storage.open(file.name) as opened, Image.open(opened) as image:
        colors: Any = image.convert("RGB").getcolors(1 << 16)
    return sum(count for count, (red, green, _) in colors if red > 200 and green < 100)


def spotted() -> ContentFile[bytes]:
    """Return a grey image of 400 x 100 pixels with a red spot to the right."""
    image = Image.new("RGB", (400, 100), "grey")
    image.paste("red", (350, 40, 370, 60))
    out = io.BytesIO()
    image.save(out, "PNG")
    return ContentFile(out.getvalue(), "spot.png")


def shows_spot(file: Any) -> bool:
    """Return whether any pixel of an image is red."""
    return reds(file) > 0


def generated(file: Any) -> Any:
    """Return the file, made."""
    file.generate()
    return file


def is_stored(file: Any) -> bool:
    """Return whether a file is in its storage."""
    return bool(file.storage.exists(file.name))


@pytest.fixture
def portrait(django_capture_on_commit_callbacks: Any) -> Portrait:
    """Return a committed row as a query gives it, with its point at the spot."""
    with django_capture_on_commit_callbacks(execute=True):
        made = Portrait.objects.create(image=spotted(), focal_point=SPOT)
    return Portrait.objects.get(pk=made.pk)


class Square(ImageSpec):
    """A crop around the point, for tags."""

    processors = [ResizeToFill(30, 30, anchor="focal")]
    format = "PNG"


class TestValue:
    """What the field holds."""

    @pytest.mark.parametrize(
        ("given", "text"),
        [
            (FocalPoint(0.5, 1 / 3), "0.500,0.333"),
            ("0.5, 0.25", "0.500,0.250"),
            ((0, 1), "0.000,1.000"),
            ([0.5, 0.5, 0.2, 0.1], "0.500,0.500,0.200,0.100"),
            ("", ""),
            (None, ""),
        ],
    )
    def test_a_point_is_one_column_of_text(self, given: Any, text: str) -> None:
        """Whatever it was given as; it is read as it was written."""
        row = Portrait.objects.create(focal_point=given)
        row.full_clean()
        assert Portrait.objects.filter(focal_point=given).exists()
        read = Portrait.objects.get()
        assert read.focal_point == row.focal_point
        assert read.focal_point == (FocalPoint.parse(text) if text else None)
        columns = Portrait.objects.values_list(Cast("focal_point", models.TextField()), flat=True)
        assert columns.get() == text

    @pytest.mark.parametrize("bad", ["middle", "0.5", "0.5,1.5", "0.5,nan", (1, 2, 3), 7])
    def test_what_is_no_point_is_refused(self, bad: Any) -> None:
        """By forms, and at last when it is saved."""
        row = Portrait(focal_point=bad)
        with pytest.raises(ValidationError, match="two numbers from 0 to 1"):
            row.full_clean()
        with pytest.raises(InvalidArgument):
            row.save()

    def test_text_that_somebody_broke_counts_as_none(self, portrait: Portrait) -> None:
        """A page shows the image all the same."""
        Portrait.objects.update(focal_point=models.Value("broken"))
        assert Portrait.objects.get().focal_point is None

    def test_fixtures_hold_the_text(self, portrait: Portrait) -> None:
        """As dumpdata writes it and loaddata reads it."""
        data = serializers.serialize("json", [portrait])
        assert json.loads(data)[0]["fields"]["focal_point"] == "0.900,0.500"
        (read,) = serializers.deserialize("json", data)
        assert str(read.object.serializable_value("focal_point")) == "0.900,0.500"

    def test_migrations_name_the_field_and_its_image(self) -> None:
        """And nothing of its column, which the field knows."""
        field = Portrait._meta.get_field("focal_point")
        text, imports = MigrationWriter.serialize(field)
        assert text.startswith("imagekit_registry.models.FocalPointField(")
        assert "image_field='image'" in text
        assert "max_length" not in text
        assert imports == {"import imagekit_registry.models"}

    def test_a_form_takes_the_text(self, portrait: Portrait) -> None:
        """And says what has changed."""
        form_class = modelform_factory(Portrait, fields=["focal_point"])
        form = form_class({"focal_point": "0.1,0.2"}, instance=portrait)
        assert form.is_valid()
        form.save()
        assert portrait.focal_point == FocalPoint(0.1, 0.2)
        assert not form_class({"focal_point": "0.100,0.200"}, instance=portrait).has_changed()
        assert not form_class({"focal_point": "x"}, instance=portrait).is_valid()

    @isolate_apps("tests.testapp")
    def test_a_check_finds_a_field_without_an_image(self) -> None:
        """It would never be asked."""

        class Lost(models.Model):
            point = FocalPointField(image_field="picture")

            class Meta:
                app_label = "testapp"

        (error,) = Lost._meta.get_field("point").check()
        assert (error.id, "'picture'" in error.msg) == ("imagekit.E022", True)


class TestCrops:
    """What a point does."""

    def test_a_crop_keeps_the_point(self, portrait: Portrait) -> None:
        """Where the middle of the image has nothing."""
        assert shows_spot(generated(portrait.card))
        assert shows_spot(generated(portrait.near))
        portrait.focal_point = None
        assert not shows_spot(generated(portrait.card))

    def test_a_focal_point_with_a_closeness_crops_to_its_box(self, portrait: Portrait) -> None:
        """A box of 40 x 20 pixels, cropped to that without being scaled."""
        portrait.focal_point = FocalPoint(0.9, 0.5, 0.1, 0.2)
        file = generated(portrait.near)
        assert (file.width, file.height) == (40, 20)
        # The spot is 20 x 20 pixels, half of the box.
        assert 380 <= reds(file) <= 420

    def test_a_name_says_the_point(self, portrait: Portrait) -> None:
        """The same point the same name; another point another; what crops nothing has one name."""
        card, whole = portrait.card.name, portrait.whole.name
        portrait.focal_point = "0.1,0.5"
        assert portrait.card.name != card
        assert portrait.whole.name == whole
        portrait.focal_point = SPOT
        assert portrait.card.name == card
        explicit = get_image("testapp:portrait:card", source=portrait.image)
        assert explicit.name == card

    def test_a_row_without_a_point_has_the_other_anchor(self, portrait: Portrait) -> None:
        """The very file that a spec with that anchor has; so has a source without a row."""
        portrait.focal_point = None
        with registered(
            middle=type("Middle", (Square,), {"processors": [ResizeToFill(40, 40)]}),
            top=type("Top", (Square,), {"processors": [ResizeToFill(40, 20, "t", closeness=100)]}),
        ):
            middle = get_image("tests:middle", source=portrait.image)
            assert portrait.card.name == middle.name
            assert portrait.near.name == get_image("tests:top", source=portrait.image).name
            stored = StoredFile(str(portrait.image.name))
            assert get_image("testapp:portrait:card", source=stored).name == middle.name

    def test_a_list_costs_no_query_for_points(
        self, portrait: Portrait, django_assert_num_queries: Any
    ) -> None:
        """They come with the rows."""
        Portrait.objects.create(image=spotted(), focal_point="0.2,0.2")
        with django_assert_num_queries(1):
            rows = list(Portrait.objects.all())
            prefetch_images(rows, "card", "near")
            assert all(row.card.url for row in rows)

    @pytest.mark.parametrize(
        "processor",
        [
            ThumbnailProcessor(30, 30, anchor="focal"),
            Crop(30, 30, anchor="focal"),
            ProcessorPipeline([Adjust(contrast=1.1), ResizeToFill(30, 30, anchor="focal")]),
        ],
    )
    def test_every_processor_that_cuts_knows_the_point(
        self, processor: Any, portrait: Portrait
    ) -> None:
        """Within a pipeline as well."""
        with registered(square=type("Other", (Square,), {"processors": [processor]})):
            assert shows_spot(generated(get_image("tests:square", source=portrait.image)))
            portrait.focal_point = "0,0"
            assert not shows_spot(generated(get_image("tests:square", source=portrait.image)))


class TestSaving:
    """Moving a point is like giving the row another image."""

    @pytest.mark.parametrize("update_fields", [None, ["focal_point"], ["title", "focal_point"]])
    def test_moving_the_point_drops_the_old_file(
        self, portrait: Portrait, update_fields: Any, django_capture_on_commit_callbacks: Any
    ) -> None:
        """The page has the new one then."""
        old = generated(portrait.card)
        portrait.focal_point = FocalPoint(0.1, 0.5)
        with django_capture_on_commit_callbacks(execute=True):
            portrait.save(update_fields=update_fields)
        assert not is_stored(old)
        forget_state()
        read = Portrait.objects.get()
        assert read.card.url == portrait.card.url != old.name
        assert not shows_spot(read.card)

    def test_moving_the_point_keeps_what_is_not_cropped(
        self, portrait: Portrait, django_capture_on_commit_callbacks: Any
    ) -> None:
        """Its file has the same name, and is the same."""
        whole = generated(portrait.whole)
        portrait.focal_point = None
        with django_capture_on_commit_callbacks(execute=True):
            portrait.save()
        assert is_stored(whole)

    def test_another_image_with_another_point_drops_the_files_of_both(
        self, portrait: Portrait, django_capture_on_commit_callbacks: Any
    ) -> None:
        """As the admin saves them: the old image's file was made around the old point."""
        old, whole = generated(portrait.card), generated(portrait.whole)
        portrait.image, portrait.focal_point = spotted(), "0.2,0.2"
        with django_capture_on_commit_callbacks(execute=True):
            portrait.save()
        assert (is_stored(old), is_stored(whole)) == (False, False)
        new = generated(portrait.card)
        portrait.focal_point = SPOT
        with django_capture_on_commit_callbacks(execute=True):
            portrait.delete()
        assert not is_stored(new)

    def test_a_strategy_makes_the_file_when_the_point_is_saved(
        self, portrait: Portrait, django_capture_on_commit_callbacks: Any, settings: Any
    ) -> None:
        """As it does for another image."""
        settings.IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY = (
            "imagekit_registry.cachefiles.strategies.Optimistic"
        )
        old = generated(Portrait.objects.get().card)
        portrait.focal_point = "0.2,0.2"
        with django_capture_on_commit_callbacks(execute=True):
            portrait.save()
        assert (is_stored(old), is_stored(Portrait.objects.get().card)) == (False, True)

    def test_a_point_that_was_not_loaded_is_moved_as_any_other(
        self, portrait: Portrait, django_capture_on_commit_callbacks: Any, settings: Any
    ) -> None:
        """The old file goes and the new one comes."""
        settings.IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY = (
            "imagekit_registry.cachefiles.strategies.Optimistic"
        )
        old = generated(Portrait.objects.get().card)
        row = Portrait.objects.defer("focal_point").get()
        row.focal_point = "0.2,0.2"
        with django_capture_on_commit_callbacks(execute=True):
            row.save()
        assert (is_stored(old), is_stored(Portrait.objects.get().card)) == (False, True)

    def test_a_point_that_was_not_loaded_is_asked_for_once(
        self, portrait: Portrait, django_assert_num_queries: Any
    ) -> None:
        """Whether it is read or set; and not at all where it cannot be."""
        rows = list(Portrait.objects.defer("focal_point"))
        with django_assert_num_queries(1):
            assert rows[0].focal_point == SPOT
        row = Portrait.objects.defer("focal_point").get()
        with django_assert_num_queries(1):
            row.focal_point = row.focal_point = None
        row = Portrait.objects.defer("focal_point").get()
        Portrait.objects.all().delete()
        row.focal_point = SPOT
        assert row.focal_point == SPOT

    @pytest.mark.parametrize("point", [SPOT, "0.900,0.500", (0.9, 0.5)])
    def test_a_point_that_stays_drops_nothing(
        self, portrait: Portrait, point: Any, django_capture_on_commit_callbacks: Any
    ) -> None:
        """However it is written; nor does saving something else."""
        old = generated(portrait.card)
        portrait.focal_point = point
        with django_capture_on_commit_callbacks(execute=True):
            portrait.save()
            portrait.title = "another"
            portrait.save(update_fields=["title"])
        assert is_stored(old)

    def test_a_move_that_is_rolled_back_drops_nothing(self, portrait: Portrait) -> None:
        """Pages go on with the file of the row."""
        old = generated(portrait.card)
        portrait.focal_point = FocalPoint(0.1, 0.5)
        with transaction.atomic():
            portrait.save()
            transaction.set_rollback(True)
        assert is_stored(old)
        assert Portrait.objects.get().card.url.endswith(str(old.name))

    def test_the_command_cleans_images_of_points_that_a_query_has_moved(
        self, portrait: Portrait, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Nobody is told of an update by a query; the pages have the new file all the same."""
        old, whole = generated(portrait.card), generated(portrait.whole)
        Portrait.objects.update(focal_point="0.1,0.5")
        new = generated(Portrait.objects.get().card)
        assert new.name != old.name
        call_command("cleanimages")
        assert (is_stored(old), is_stored(new), is_stored(whole)) == (False, True, True)

    def test_the_command_makes_the_files_of_the_points(self, portrait: Portrait) -> None:
        """Sources are given to it with their rows."""
        call_command("generateimages", "testapp:portrait:card", verbosity=0)
        assert is_stored(portrait.card)
        assert shows_spot(portrait.card)

    def test_a_worker_makes_the_file_of_the_point(self, portrait: Portrait) -> None:
        """It looks the row up; a point that was moved since is another image."""
        file = portrait.card
        found = describe(file)
        assert found is not None
        make_images(Message([found]).encode())
        assert shows_spot(file)
        Portrait.objects.update(focal_point="0.1,0.5")
        file.delete()
        make_images(Message([found]).encode())
        assert not is_stored(file)


class TestTags:
    """Points in templates."""

    @pytest.mark.parametrize(
        "tag",
        [
            "{% generateimage 'tests:square' source=p.image %}",
            "{% thumbnail '30x30' p.image anchor='focal' format='PNG' %}",
            "{% thumbnail '30x30' p.image anchor=p.focal_point format='PNG' %}",
            "{% picture 'tests:square' source=p.image %}",
        ],
    )
    def test_what_is_remembered_of_a_tag_is_of_one_point(
        self, tag: str, portrait: Portrait
    ) -> None:
        """A moved point shows at once, and again when it is moved back."""

        def show() -> str:
            row = Portrait.objects.get()
            return str(elements(render(tag, p=row))[0]["src"])

        with registered(square=Square):
            first = [show(), show()]
            Portrait.objects.update(focal_point="0.1,0.5")
            second = [show(), show()]
            Portrait.objects.update(focal_point=SPOT)
            third = show()
        assert first[0] == first[1] == third
        assert second[0] == second[1] != first[0]
        storage = storages["default"]
        for url, is_there in ((first[0], True), (second[0], False)):
            file = StoredFile(url.removeprefix(storage.url("")), storage)
            assert shows_spot(file) is is_there

    def test_a_point_that_was_not_loaded_is_fetched(self, portrait: Portrait) -> None:
        """Where the image needs it."""
        with registered(square=Square):
            tag = "{% generateimage 'tests:square' source=p.image %}"
            wanted = render(tag, p=Portrait.objects.get())
            assert render(tag, p=Portrait.objects.only("image").get()) == wanted

    @pytest.mark.parametrize(
        ("default", "is_there"),
        [("focal", True), ("right", True), ("100% 50%", True), (None, False)],
    )
    def test_the_default_anchor_of_the_settings_holds_for_specs_that_give_none(
        self, default: str | None, is_there: bool, portrait: Portrait, settings: Any
    ) -> None:
        """Of specs; what says itself is left alone."""
        settings.IMAGEKIT_DEFAULT_ANCHOR = default

        class Plain(Square):
            processors = [ResizeToFill(30, 30)]

        class Left(Square):
            processors = [ResizeToFill(30, 30, anchor="left")]

        with registered(plain=Plain, left=Left):
            assert (
                shows_spot(generated(get_image("tests:plain", source=portrait.image))) is is_there
            )
            assert not shows_spot(generated(get_image("tests:left", source=portrait.image)))
