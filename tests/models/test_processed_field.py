"""Processed image fields: uploads that go through a spec before they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.core import serializers
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.images import get_image_dimensions
from django.core.files.storage import storages
from django.core.validators import FileExtensionValidator
from django.db import connection, models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.writer import MigrationWriter
from django.db.models.signals import pre_save
from django.forms import modelform_factory
from django.test.utils import isolate_apps
from django.utils.module_loading import import_string
from PIL import Image

from imagekit_registry.checks import check_field
from imagekit_registry.exceptions import (
    GenerationError,
    LimitExceeded,
    NotRegistered,
    UnreadableImage,
)
from imagekit_registry.forms import ProcessedImageField as ProcessedFormField
from imagekit_registry.imaging import Limits
from imagekit_registry.models import ProcessedImageField
from imagekit_registry.models.fields import ProcessedImageField as SameProcessedImageField
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.signals import generated
from tests.storages import ClosingStorage, StrictStorage, content_of
from tests.testapp.models import Badge, Cover, Plain, Profile, ProfileChild

pytestmark = pytest.mark.django_db


class CountingResize:
    """A processor that counts its work."""

    count = 0

    def process(self, image: Image.Image) -> Image.Image:
        type(self).count += 1
        return image.resize((8, 8))


@pytest.fixture(autouse=True)
def reset_count() -> None:
    """Begin each test at zero."""
    CountingResize.count = 0


def stored_files() -> list[str]:
    """Return the names of all files in the default storage."""
    root = Path(storages["default"].path(""))
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


class TestSaving:
    """What is stored is what the spec has made."""

    def test_a_storage_may_close_what_it_has_saved(
        self, photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Clients of clouds do; the dimensions are those of what was stored."""
        storage = ClosingStorage()
        monkeypatch.setattr(Profile._meta.get_field("avatar"), "storage", storage)
        made = Profile.objects.create(avatar=content_of(photos / "rocket.jpg"))
        again = Profile()
        again.avatar.save("again.jpg", content_of(photos / "rocket.jpg"))
        for profile in (made, again):
            assert (profile.width, profile.height) == (64, 48)
            assert (profile.avatar.width, profile.avatar.height) == (64, 48)
            assert profile.avatar.size == len(storage.contents[str(profile.avatar.name)])

    @pytest.mark.parametrize(
        "save",
        [
            pytest.param(lambda file: Profile.objects.create(avatar=file), id="create"),
            pytest.param(lambda file: _save_by_field(Profile(), file), id="field file"),
            pytest.param(lambda file: ProfileChild.objects.create(avatar=file), id="child"),
        ],
    )
    def test_saving_processes_the_upload(self, save: Any, photos: Path) -> None:
        """Size and format are the recipe's, and the extension follows the format."""
        profile = save(content_of(photos / "coffee.png"))
        assert profile.avatar.name == "avatars/coffee.jpg"
        with Image.open(profile.avatar.path) as image:
            assert (image.format, image.size) == ("JPEG", (64, 48))
        assert stored_files() == ["avatars/coffee.jpg"]

    @pytest.mark.parametrize("model", [Profile, ProfileChild])
    def test_saving_fills_in_the_dimensions_of_the_result(self, model: Any, photos: Path) -> None:
        """Whether their fields come before or after the image, in the instance and in the row."""
        profile = model.objects.create(avatar=content_of(photos / "coffee.png"))
        assert (profile.width, profile.height) == (64, 48)
        profile.refresh_from_db()
        assert (profile.width, profile.height) == (64, 48)
        profile.avatar.delete()
        profile.refresh_from_db()
        assert (profile.width, profile.height) == (None, None)

    @pytest.mark.parametrize("model", [Profile, ProfileChild])
    def test_saving_fills_in_the_dimensions_of_an_image_from_a_receiver(
        self, model: Any, photos: Path
    ) -> None:
        """One that gives it just before the row is saved, whichever receiver comes first."""

        def give(instance: Any, **kwargs: object) -> None:
            instance.avatar = content_of(photos / "coffee.png")

        profile = model.objects.create()
        pre_save.connect(give, sender=model)
        try:
            profile.save()
            fresh = model.objects.create()
        finally:
            pre_save.disconnect(give, sender=model)
        for row in (profile, fresh):
            row.refresh_from_db()
            assert (row.width, row.height) == (64, 48)

    def test_saving_fills_in_the_dimensions_of_rows_that_are_created_in_bulk(
        self, photos: Path
    ) -> None:
        """No signal is sent of them."""
        Profile.objects.bulk_create([Profile(avatar=content_of(photos / "coffee.png"))])
        profile = Profile.objects.get()
        assert (profile.avatar.name, profile.width, profile.height) == (
            "avatars/coffee.jpg",
            64,
            48,
        )

    @isolate_apps("tests.testapp")
    def test_a_field_that_is_added_to_a_finished_model_processes_uploads(
        self, photos: Path
    ) -> None:
        """It processes before the columns of the dimensions are saved as well."""

        class Extended(models.Model):
            w = models.IntegerField(null=True)

            class Meta:
                app_label = "testapp"

        field = ProcessedImageField([ResizeToFill(9, 9)], upload_to="x", width_field="w")
        field.contribute_to_class(Extended, "image")
        row: Any = Extended(image=content_of(photos / "coffee.png"))
        assert Extended._meta.get_field("w").pre_save(row, True) == 9

    @pytest.mark.parametrize(
        "save",
        [
            pytest.param(lambda file: Badge.objects.create(image=file, edge=30), id="create"),
            pytest.param(
                lambda file: Badge.objects.bulk_create([Badge(image=file, edge=30)])[0], id="bulk"
            ),
            pytest.param(lambda file: _form_for_badge(file, edge=30).save(), id="form"),
        ],
    )
    def test_a_recipe_may_depend_on_the_row(self, save: Any, photos: Path) -> None:
        """The spec is told of the row that the upload is given to."""
        assert save(_upload((photos / "coffee.png").read_bytes())).image.width == 30

    def test_an_upload_is_processed_by_the_row_as_it_is_when_it_is_saved(
        self, photos: Path
    ) -> None:
        """What was validated before the row was changed is not kept."""
        badge = Badge(image=content_of(photos / "coffee.png"))
        badge.full_clean()
        badge.edge = 40
        badge.save()
        assert badge.image.width == 40

    def test_a_spec_class_may_be_given_to_a_processed_field(self, photos: Path) -> None:
        """A spec may be given in place of attributes."""
        cover = Cover.objects.create(image=content_of(photos / "coffee.png"))
        assert (cover.image.width, cover.image.height) == (100, 60)
        assert cover.image.name == "covers/coffee.jpg"

    def test_saving_keeps_an_extension_that_fits(self, photos: Path) -> None:
        """``.jpeg`` is as good as ``.jpg``."""
        cover = Cover.objects.create(image=content_of(photos / "rocket.jpg", "a.b/c.jpeg"))
        assert cover.image.name == "covers/a.b/c.jpeg"

    @isolate_apps("tests.testapp")
    def test_saving_without_a_format_keeps_that_of_the_content(self, photos: Path) -> None:
        """A PNG that is called .jpg is stored as the PNG that it is."""
        model = _model("Keeps", ProcessedImageField([CountingResize()], upload_to="k"))
        file = model().image.field.process(content_of(photos / "coffee.png"), "a.jpg")
        assert (file.name, file.content_type) == ("a.png", "image/png")

    def test_saving_again_leaves_a_processed_upload_alone(self, photos: Path) -> None:
        """Saving the row again, with or without changes, leaves the file alone."""
        profile = Profile.objects.create(avatar=content_of(photos / "coffee.png"))
        before = Path(profile.avatar.path).stat()
        profile.name = "changed"
        profile.save()
        Profile.objects.get(pk=profile.pk).save()
        profile.avatar = profile.avatar.name
        profile.save()
        after = Path(profile.avatar.path).stat()
        assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
        assert stored_files() == ["avatars/coffee.jpg"]

    def test_saving_a_new_upload_replaces_the_image(self, photos: Path) -> None:
        """A new upload goes through the spec, too."""
        profile = Profile.objects.create(avatar=content_of(photos / "coffee.png"))
        profile.avatar = content_of(photos / "rocket.jpg")
        profile.save(update_fields=["avatar"])
        profile.refresh_from_db()
        assert (profile.avatar.name, profile.avatar.width) == ("avatars/rocket.jpg", 64)

    def test_saving_other_fields_leaves_an_upload_alone(self, photos: Path) -> None:
        """An image that is not part of the save is neither stored nor worked on."""
        profile = Profile.objects.create()
        profile.avatar = content_of(photos / "rocket.jpg")
        profile.save(update_fields=["name"])
        assert stored_files() == []
        profile.save()
        assert stored_files() == ["avatars/rocket.jpg"]

    def test_fixtures_name_files_that_are_processed_already(self) -> None:
        """Loading raw data reads no file."""
        data = '[{"model": "testapp.cover", "pk": 5, "fields": {"image": "covers/x.jpg"}}]'
        for item in serializers.deserialize("json", data):
            item.save()
        assert Cover.objects.get(pk=5).image.name == "covers/x.jpg"

    @pytest.mark.parametrize("validates", [False, True])
    @pytest.mark.parametrize("model", [Plain, Cover])
    def test_an_upload_of_another_field_is_processed_by_this_one(
        self, model: Any, validates: bool, photos: Path
    ) -> None:
        """Whether or not that field has a recipe."""
        profile = Profile(avatar=model(image=content_of(photos / "rocket.jpg")).image)
        if validates:
            profile.full_clean()
        profile.save()
        assert profile.avatar.name == "avatars/rocket.jpg"
        read = Profile.objects.get()
        with read.avatar.open() as file:
            assert (read.width, read.height) == get_image_dimensions(file) == (64, 48)

    def test_a_file_object_that_was_kept_gives_the_result(self, photos: Path) -> None:
        """It does not go on reading the upload."""
        profile = Profile(avatar=content_of(photos / "coffee.png"))
        file = profile.avatar
        profile.save()
        assert (file.name, file.width) == ("avatars/coffee.jpg", 64)

    def test_saving_closes_the_image_that_it_replaces(self, photos: Path) -> None:
        """A file object that was read before does not keep the old file open."""
        cover = Cover.objects.create(image=content_of(photos / "coffee.png"))
        file = cover.image
        handle = file.open().file
        file.save("other.png", content_of(photos / "rocket.jpg"))
        assert handle.closed
        assert file.read(3) == b"\xff\xd8\xff"

    def test_saving_leaves_the_upload_open(self, photos: Path) -> None:
        """Who opens, closes; no handle of the storage is left open either."""
        storage = StrictStorage()
        field = Cover._meta.get_field("image")
        original, field.storage = field.storage, storage
        try:
            with (photos / "rocket.jpg").open("rb") as upload:
                from django.core.files import File

                Cover.objects.create(image=File(upload, "rocket.jpg"))
                assert not upload.closed
        finally:
            field.storage = original
        storage.assert_clean()


def _save_by_field(profile: Profile, file: Any) -> Profile:
    profile.avatar.save(file.name, file)
    return profile


def _model(name: str, field: Any) -> Any:
    meta = type("Meta", (), {"app_label": "testapp"})
    return type(name, (models.Model,), {"image": field, "Meta": meta, "__module__": __name__})


def _form_for_badge(file: Any, **data: Any) -> Any:
    form_class: Any = modelform_factory(Badge, fields=["image", "edge"])
    return form_class(data, {"image": file})


class TestValidation:
    """Validators see what was uploaded, and what cannot be stored is refused."""

    def errors_of(self, field: ProcessedImageField, upload: Any, how: str) -> list[str]:
        """Return what is said of an upload by a form, by the model, or by others who validate."""
        with isolate_apps("tests.testapp"):
            model = _model("Validated", field)
        files: Any = {"image": upload}
        if how == "form":
            form: Any = modelform_factory(model, fields=["image"])({}, files)
            return list(form.errors.get("image", []))
        if how == "form field of its own":
            fields = {"image": ProcessedFormField(spec_id=str(field.spec_id), autoconvert=None)}
            form_class: Any = modelform_factory(model, fields=["image"])
            own_form_class: Any = type("Form", (form_class,), fields)
            form = own_form_class({}, files)
            return list(form.errors.get("image", []))
        try:
            if how == "model":
                model(image=upload).full_clean(exclude=["id"])
            else:
                # As Django REST framework does: a list of validators, and no row.
                for validate in model._meta.get_field("image").validators:
                    validate(upload)
        except ValidationError as error:
            return list(error.messages)
        return []

    @pytest.mark.parametrize("how", ["form", "form field of its own", "model", "validators"])
    def test_validation_is_of_the_upload(self, how: str, photos: Path) -> None:
        """Its name, its size in bytes and its size in pixels."""
        seen: list[object] = []

        def look(value: Any) -> None:
            seen.append((value.name, value.size, get_image_dimensions(value)))

        content = (photos / "coffee.png").read_bytes()
        field = ProcessedImageField(
            [CountingResize()],
            format="WEBP",
            upload_to="v",
            validators=[look, FileExtensionValidator(["png"])],
        )
        assert self.errors_of(field, _upload(content, "a.png"), how) == []
        assert seen == [("a.png", len(content), (600, 400))]
        assert CountingResize.count == 1

    @pytest.mark.parametrize("how", ["form", "model", "validators"])
    @pytest.mark.parametrize(
        ("content", "name"),
        [
            pytest.param(None, "a.jpg", id="truncated"),
            pytest.param(b"text", "a.jpg", id="text"),
            pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "a.eps", id="eps"),
        ],
    )
    def test_validation_refuses_what_is_no_image(
        self, content: bytes | None, name: str, how: str, photos: Path
    ) -> None:
        """In Django's words; nobody gets an exception of ours."""
        content = content or (photos / "rocket.jpg").read_bytes()[:5000]
        field = ProcessedImageField([CountingResize()], format="JPEG", upload_to="v")
        (message,) = self.errors_of(field, _upload(content, name), how)
        assert message.startswith("Upload a valid image.")

    @pytest.mark.parametrize("how", ["form", "model", "validators"])
    def test_validation_refuses_what_is_beyond_the_limits(self, how: str, photos: Path) -> None:
        """With the limit, as a form does."""
        upload = _upload((photos / "rocket.jpg").read_bytes())
        field = ProcessedImageField(limits=Limits(max_pixels=100), upload_to="v")
        (message,) = self.errors_of(field, upload, how)
        assert "At most 100 are allowed" in message

    def test_validation_refuses_what_another_form_field_lets_through(self, photos: Path) -> None:
        """A form may declare the field anew, as Django's own."""
        form_class: Any = modelform_factory(Cover, fields=["image"])
        redeclared = type("Form", (form_class,), {"image": forms.ImageField()})
        broken = (photos / "rocket.jpg").read_bytes()
        form = redeclared({}, {"image": _upload(broken[: len(broken) // 2])})
        assert form.errors.as_data()["image"][0].code == "invalid_image"

    def test_an_upload_is_processed_once_for_validation_and_storage(self, photos: Path) -> None:
        """However often the row is validated in between."""
        with isolate_apps("tests.testapp"):
            model = _model("Validated", ProcessedImageField([CountingResize()], upload_to="v"))
        row = model(image=content_of(photos / "coffee.png"))
        for _ in range(2):
            row.full_clean(exclude=["id"])
        row.image.save("b.png", row.image.file, save=False)
        assert (CountingResize.count, row.image.width) == (1, 8)

    def test_validation_leaves_stored_images_alone(self, photos: Path) -> None:
        """Validating a row again opens no file."""
        cover = Cover.objects.create(image=content_of(photos / "coffee.png"))
        Path(cover.image.path).unlink()
        Cover.objects.get(pk=cover.pk).full_clean()

    def test_validation_without_the_row_leaves_to_it_what_depends_on_it(self, photos: Path) -> None:
        """A validator that is not told of the row refuses no more than what no row could save."""
        (validate,) = Badge._meta.get_field("image").validators[-1:]
        validate(_upload((photos / "coffee.png").read_bytes()))


class TestFailures:
    """A bad upload gets one of our exceptions, and nothing is stored."""

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(b"plain text", id="text"),
            pytest.param(b"", id="empty"),
            pytest.param(None, id="truncated"),
        ],
    )
    @pytest.mark.parametrize("model", [Profile, Cover], ids=["with dimensions", "without"])
    def test_an_unreadable_upload_is_refused_with_spec_and_upload(
        self, content: bytes | None, model: Any, photos: Path
    ) -> None:
        """The error names the spec and the upload."""
        if content is None:
            content = (photos / "rocket.jpg").read_bytes()[:5000]
        field = "avatar" if model is Profile else "image"
        with pytest.raises(UnreadableImage, match=rf"testapp:{model.__name__.lower()}:{field}"):
            model.objects.create(**{field: ContentFile(content, "bad.jpg")})
        assert stored_files() == []
        assert model.objects.count() == 0

    def test_an_upload_beyond_the_limits_of_the_settings_is_refused(
        self, photos: Path, settings: Any
    ) -> None:
        """The limits of the settings hold for uploads."""
        settings.IMAGEKIT_MAX_PIXELS = 1000
        with pytest.raises(LimitExceeded, match="pixels") as caught:
            Cover.objects.create(image=content_of(photos / "rocket.jpg"))
        assert caught.value.limit == "pixels"
        assert caught.value.source == "rocket.jpg"
        assert stored_files() == []

    @isolate_apps("tests.testapp")
    def test_an_upload_beyond_the_limits_of_the_field_is_refused(self, photos: Path) -> None:
        """A field may be stricter than the settings."""
        field = ProcessedImageField(format="PNG", limits=Limits(max_bytes=10), upload_to="s")
        model = _model("Strict", field)
        with pytest.raises(GenerationError, match="bytes"):
            model().image.field.process(content_of(photos / "rocket.jpg"), "a.jpg")

    @isolate_apps("tests.testapp")
    def test_an_unknown_spec_is_an_error_when_saving_and_in_the_checks(self, photos: Path) -> None:
        """A typo in an id is an error when saving, and found by the checks before."""
        model = _model("Unknown", ProcessedImageField(spec_id="tests:typo", upload_to="u"))
        assert "imagekit.E001" in [
            error.id for error in check_field(model._meta.get_field("image"), model)
        ]
        with pytest.raises(NotRegistered, match="tests:typo"):
            model().image.save("a.jpg", content_of(photos / "rocket.jpg"), save=False)


class LongNamed(ProcessedImageField):
    """A field of a project's own, as Django's documentation has it."""

    def __init__(self, *args: Any, edge: int = 100, **kwargs: Any) -> None:
        self.edge = edge
        kwargs["max_length"] = 255
        super().__init__([ResizeToFill(edge, edge)], *args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_length"]
        return name, path, args, {**kwargs, "edge": self.edge}


class TestMigrations:
    """Migrations hold none of the recipe."""

    def field(self, **changes: Any) -> ProcessedImageField:
        arguments: dict[str, Any] = {
            "processors": [CountingResize()],
            "format": "JPEG",
            "options": {"quality": 80},
            "upload_to": "p",
            "width_field": "w",
            "verbose_name": "portrait",
        }
        return ProcessedImageField(**{**arguments, **changes})

    def test_a_field_is_deconstructed_without_the_recipe(self) -> None:
        """Only Django's own arguments are written down."""
        _, path, args, kwargs = self.field().deconstruct()
        assert (args, kwargs) == (
            [],
            {"upload_to": "p", "width_field": "w", "verbose_name": "portrait"},
        )
        again = import_string(path)(*args, **kwargs)
        assert isinstance(again, ProcessedImageField)
        assert again.deconstruct()[1:] == (path, args, kwargs)
        assert path == "imagekit_registry.models.ProcessedImageField"
        assert SameProcessedImageField is ProcessedImageField

    def test_migrations_are_written_in_words_that_run(self) -> None:
        """The text of a migration can be executed."""
        text, imports = MigrationWriter.serialize(self.field())
        scope: dict[str, Any] = {}
        exec("\n".join(imports), scope)
        assert isinstance(eval(text, scope), ProcessedImageField)
        assert "quality" not in text

    @pytest.mark.parametrize(
        ("changes", "is_new"),
        [
            pytest.param({"processors": [ResizeToFill(1, 1)]}, False, id="processors"),
            pytest.param({"format": "PNG", "options": None}, False, id="format"),
            pytest.param({"spec_id": "tests:other"}, False, id="spec id"),
            pytest.param({"limits": Limits(max_pixels=5)}, False, id="limits"),
            pytest.param({"max_length": 200}, True, id="column"),
        ],
    )
    def test_migrations_are_needed_for_columns_alone(self, changes: Any, is_new: bool) -> None:
        """``makemigrations --check`` is clean when no more than a recipe changes."""
        states = []
        for field in (self.field(), self.field(**changes)):
            state = ProjectState()
            fields = [("id", models.BigAutoField(primary_key=True)), ("image", field)]
            state.add_model(ModelState("testapp", "Changing", fields))
            states.append(state)
        detector: Any = MigrationAutodetector(states[0], states[1])
        found = detector._detect_changes()
        assert bool(found) is is_new

    def test_migrations_give_a_model_that_works(self, photos: Path) -> None:
        """The model in a data migration stores images, processed as today's recipe has it."""
        state = ProjectState()
        state.add_model(ModelState.from_model(Cover))
        historical: Any = state.apps.get_model("testapp", "Cover")
        row = historical.objects.create(image=content_of(photos / "coffee.png"))
        assert row.image.name == "covers/coffee.jpg"
        assert row.image.width == 100

    @pytest.mark.parametrize(
        ("name", "width"), [pytest.param("image", 20, id="by a base"), ("icon", 9)]
    )
    def test_migrations_give_a_model_that_processes_as_the_field_of_today(
        self, name: str, width: int, photos: Path
    ) -> None:
        """Whether it is inherited or its spec has an id of its own; the recipe sees the row."""
        state = ProjectState()
        state.add_model(ModelState.from_model(Badge))
        historical: Any = state.apps.get_model("testapp", "Badge")
        row = historical.objects.create(**{name: content_of(photos / "coffee.png")})
        assert getattr(row, name).width == width

    def test_migrations_name_a_subclass_with_its_arguments(self) -> None:
        """Its own ``deconstruct`` has the last word."""
        state = ModelState("testapp", "Sub", [("image", LongNamed(edge=5, upload_to="s"))])
        field: Any = state.fields["image"].clone()
        assert (type(field), field.max_length, field.edge) == (LongNamed, 255, 5)
        text, imports = MigrationWriter.serialize(field)
        assert text == f"{__name__}.LongNamed(edge=5, upload_to='s')"
        assert imports == {f"import {__name__}"}

    def test_migrations_give_a_model_that_works_without_a_recipe(self, photos: Path) -> None:
        """A field that has gone from the code stores its images as they are."""
        state = ProjectState()
        fields = [
            ("id", models.BigAutoField(primary_key=True)),
            ("image", ProcessedImageField(upload_to="gone")),
        ]
        state.add_model(ModelState("testapp", "Gone", fields))
        historical: Any = state.apps.get_model("testapp", "Gone")
        with _temporary_table():
            row = historical.objects.create(image=content_of(photos / "coffee.png"))
            assert (row.image.name, row.image.width) == ("gone/coffee.png", 600)


@contextmanager
def _temporary_table() -> Iterator[None]:
    sql = "CREATE TABLE testapp_gone (id integer PRIMARY KEY AUTOINCREMENT, image varchar(100))"
    with connection.cursor() as cursor:
        cursor.execute(sql)
        yield
        cursor.execute("DROP TABLE testapp_gone")


class TestForms:
    """The model's own form field."""

    def test_a_model_form_shows_the_error_beside_the_field(self, photos: Path) -> None:
        """What would fail when saving fails in the form, in Django's words."""
        truncated = (photos / "rocket.jpg").read_bytes()[:5000]
        form_class: Any = modelform_factory(Profile, fields=["avatar"])
        form = form_class({}, {"avatar": _upload(truncated)})
        assert not form.is_valid()
        assert "Upload a valid image." in str(form.errors["avatar"])

    @isolate_apps("tests.testapp")
    def test_a_form_and_its_model_process_an_upload_once(self, photos: Path) -> None:
        """The form has made the image; saving stores it as it is."""
        field = ProcessedImageField([CountingResize()], format="PNG", upload_to="once")
        model = _model("Once", field)
        form_class: Any = modelform_factory(model, fields=["image"])
        form = form_class({}, {"image": _upload((photos / "rocket.jpg").read_bytes())})
        assert form.is_valid(), form.errors
        instance: Any = form.instance
        instance.image.save(instance.image.name, instance.image.file, save=False)
        assert CountingResize.count == 1
        assert (instance.image.name, instance.image.width) == ("once/a.png", 8)

    def test_a_model_form_saves_the_dimensions_of_the_processed_upload(self, photos: Path) -> None:
        """The processed upload fills in the dimension fields."""
        form_class: Any = modelform_factory(Profile, fields=["avatar", "name"])
        form = form_class(
            {"name": "a"}, {"avatar": _upload((photos / "coffee.png").read_bytes(), "a.png")}
        )
        profile = form.save()
        profile.refresh_from_db()
        assert (profile.avatar.name, profile.width, profile.height) == ("avatars/a.jpg", 64, 48)

    def test_a_model_form_keeps_an_image_that_is_not_sent_and_clears_it_by_the_box(
        self, photos: Path
    ) -> None:
        """A form that is sent without a file keeps the image; the clear box removes it."""
        profile = Profile.objects.create(avatar=content_of(photos / "coffee.png"))
        before = Path(profile.avatar.path).stat().st_mtime_ns
        form_class: Any = modelform_factory(Profile, fields=["avatar", "name"])
        profile = form_class({"name": "b"}, {}, instance=profile).save()
        assert (profile.name, profile.avatar.name) == ("b", "avatars/coffee.jpg")
        assert Path(profile.avatar.path).stat().st_mtime_ns == before
        profile = form_class({"name": "c", "avatar-clear": "on"}, {}, instance=profile).save()
        profile.refresh_from_db()
        assert not profile.avatar
        assert (profile.width, profile.height) == (None, None)


def _upload(content: bytes, name: str = "a.jpg") -> Any:
    from django.core.files.uploadedfile import SimpleUploadedFile

    return SimpleUploadedFile(name, content)


class TestCopies:
    """Instances are pickled into caches, and copied."""

    def test_a_copied_instance_has_the_image(self, duplicate: Any, photos: Path) -> None:
        """It can be saved as well."""
        profile = Profile.objects.create(avatar=content_of(photos / "coffee.png"))
        other = duplicate(profile)
        other.save()
        assert (other.avatar.name, other.avatar.width) == ("avatars/coffee.jpg", 64)


def test_processing_an_upload_makes_no_cache_file(photos: Path) -> None:
    """Processing an upload is no generation of a cache file."""
    seen: list[Any] = []
    receiver = lambda **kwargs: seen.append(kwargs)  # noqa: E731
    generated.connect(receiver)
    try:
        Cover.objects.create(image=content_of(photos / "coffee.png"))
    finally:
        generated.disconnect(receiver)
    assert seen == []
