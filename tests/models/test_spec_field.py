"""Image spec fields: images made of another field's image."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import django
import pytest
from django.apps.registry import Apps
from django.core.cache import caches
from django.db import models
from django.db.models.signals import class_prepared
from django.template import Context, Template
from django.test.utils import isolate_apps
from django.utils.translation import get_language, override

from imagekit_registry import ImageSpec, register, unregister
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.checks import check_field
from imagekit_registry.exceptions import (
    AlreadyRegistered,
    InvalidArgumentType,
    InvalidConfiguration,
    MissingSource,
    NotRegistered,
)
from imagekit_registry.models import ImageSpecField, ProcessedImageField
from imagekit_registry.models.fields import ImageSpecField as SameImageSpecField
from imagekit_registry.models.fields import spec_fields_of
from imagekit_registry.models.fields.utils import ImageSpecFileDescriptor
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.registry import cachefile_registry, generator_registry, source_group_registry
from imagekit_registry.specs import SpecHost
from imagekit_registry.specs.sourcegroups import ImageFieldSourceGroup
from imagekit_registry.testing import forget_state
from tests.storages import content_of
from tests.testapp.models import (
    Concrete,
    ConcreteChild,
    Cover,
    Photo,
    PhotoChild,
    PhotoProxy,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def photo(photos: Path) -> Photo:
    """Return a saved instance with a real photograph, as a query gives it."""
    made = Photo.objects.create(title="a", original_image=content_of(photos / "rocket.jpg"))
    return Photo.objects.get(pk=made.pk)


class Replacement(ImageSpec):
    """What a site puts in the place of another app's spec."""

    processors = [ResizeToFill(7, 7)]
    format = "PNG"


class TestAccess:
    """What the attribute gives."""

    def test_a_spec_field_on_an_instance_gives_the_image(self, photo: Photo) -> None:
        """URL and dimensions are those of a real image of the recipe."""
        assert isinstance(photo.thumbnail, ImageCacheFile)
        assert (photo.thumbnail.width, photo.thumbnail.height) == (50, 50)
        assert photo.thumbnail.url.startswith("/media/CACHE/images/photos/rocket/")
        assert photo.banner.url.endswith(".webp")
        assert photo.with_spec.width == 100

    def test_a_spec_field_on_the_model_gives_the_field(self) -> None:
        """The field itself can be inspected."""
        assert isinstance(Photo.thumbnail, ImageSpecField)
        assert Photo.thumbnail.spec_id == "testapp:photo:thumbnail"
        assert SameImageSpecField is ImageSpecField

    def test_a_spec_field_leaves_the_original_unchanged(self, photo: Photo, photos: Path) -> None:
        """The source is what was uploaded."""
        photo.thumbnail.generate()
        with photo.original_image.open() as file:
            assert file.read() == (photos / "rocket.jpg").read_bytes()

    def test_a_spec_field_without_a_source_is_false(self) -> None:
        """An empty image field is no error until its image is asked for."""
        photo = Photo.objects.create()
        assert not photo.thumbnail
        with pytest.raises(MissingSource, match="testapp:photo:thumbnail"):
            _ = photo.thumbnail.url

    def test_an_image_of_an_unsaved_upload_is_made_of_it(self, photos: Path) -> None:
        """A preview before saving needs no row."""
        photo = Photo(original_image=content_of(photos / "rocket.jpg"))
        assert photo.thumbnail.generator.generate().width == 50

    def test_a_spec_field_is_no_column(self) -> None:
        """The field is not Django's: neither tables nor migrations know it."""
        assert "thumbnail" not in [field.name for field in Photo._meta.get_fields()]

    def test_a_spec_field_may_be_made_of_a_processed_field(self, photos: Path) -> None:
        """A ProcessedImageField is an ImageField, so it can be a source."""
        cover = Cover.objects.create(image=content_of(photos / "rocket.jpg"))
        assert (cover.image.width, cover.small.width) == (100, 16)


class TestBuiltOnce:
    """The file is built once for an instance and a value of its source."""

    def test_a_spec_field_gives_the_same_object_twice(self, photo: Photo) -> None:
        """A page that asks for URL, width and height builds one spec."""
        assert photo.thumbnail is photo.thumbnail

    def test_a_spec_field_costs_no_query(
        self, photo: Photo, django_assert_num_queries: Any
    ) -> None:
        """All it needs is on the instance."""
        with django_assert_num_queries(0):
            assert photo.thumbnail.width

    @pytest.mark.parametrize("query", ["only", "defer"])
    def test_a_spec_field_loads_a_deferred_source_once(
        self, query: str, photo: Photo, django_assert_num_queries: Any
    ) -> None:
        """One query for the column that was left out, and no recursion."""
        argument = "title" if query == "only" else "original_image"
        with django_assert_num_queries(1):
            deferred = getattr(Photo.objects, query)(argument).get(pk=photo.pk)
        with django_assert_num_queries(1):
            assert deferred.thumbnail.width == 50
            assert deferred.thumbnail is deferred.thumbnail

    def test_another_image_gives_another_file(self, photo: Photo, photos: Path) -> None:
        """An assignment to the source is seen at once, before and after it is saved."""
        first = photo.thumbnail.name
        photo.original_image = content_of(photos / "coffee.png")
        assert photo.thumbnail.name != first
        photo.save()
        assert photo.thumbnail.name
        assert "photos/coffee/" in photo.thumbnail.name

    def test_a_deleted_image_gives_a_false_file(self, photo: Photo) -> None:
        """``photo.original_image.delete()`` changes the file object in place."""
        assert photo.thumbnail
        photo.original_image.delete(save=False)
        assert not photo.thumbnail

    def test_a_spec_field_sees_what_was_refreshed_from_the_database(
        self, photo: Photo, photos: Path
    ) -> None:
        """What somebody else has saved takes effect."""
        assert "rocket" in str(photo.thumbnail.name)
        other = Photo.objects.get(pk=photo.pk)
        other.original_image.save("other.png", content_of(photos / "coffee.png"))
        photo.refresh_from_db()
        assert "other" in str(photo.thumbnail.name)

    def test_a_spec_registered_meanwhile_is_used(self, photo: Photo) -> None:
        """A site replaces the spec by its id."""
        original = generator_registry.lookup("testapp:photo:thumbnail")
        assert photo.thumbnail.width == 50
        unregister.generator("testapp:photo:thumbnail")
        register.generator("testapp:photo:thumbnail", Replacement)
        try:
            assert (photo.thumbnail.width, photo.thumbnail.media_type) == (7, "image/png")
        finally:
            unregister.generator("testapp:photo:thumbnail")
            register.generator("testapp:photo:thumbnail", original)

    def test_an_assignment_overrides_a_spec_field(self, photo: Photo) -> None:
        """What is assigned is what one gets, until it is deleted."""
        photo.thumbnail = "something else"
        assert photo.thumbnail == "something else"
        del photo.thumbnail
        assert photo.thumbnail.width == 50

    def test_a_spec_field_asks_a_property_once_for_an_access(self) -> None:
        """It may make a query each time that it is asked."""
        asked: list[int] = []

        class Derived(Photo):
            class Meta:
                app_label = "testapp"
                proxy = True
                apps = Apps()

            @property
            def best(self) -> str:
                asked.append(1)
                return "photos/best.jpg"

            icon = ImageSpecField([ResizeToFill(8, 8)], source="best", id="tests:derived")

        row = Derived()
        assert (row.icon.source.name, len(asked)) == ("photos/best.jpg", 1)
        assert (row.icon.source.name, len(asked)) == ("photos/best.jpg", 2)

    def test_a_spec_field_reads_the_source_through_what_lies_over_the_column(self) -> None:
        """Such as a translated field, which gives another image with another language."""

        class Translated:
            def __get__(self, instance: Any, owner: object = None) -> Any:
                return f"photos/{get_language()}.jpg" if instance else self

            def __set__(self, instance: Any, value: object) -> None:
                instance.__dict__["original_image"] = value

        class Sign(Photo):
            original_image = Translated()

            class Meta:
                app_label = "testapp"
                proxy = True
                apps = Apps()

        row = Sign(original_image="photos/column.jpg")
        with override("de"):
            assert row.banner.source.name == "photos/de.jpg"
        with override("fr"):
            assert row.banner.source.name == "photos/fr.jpg"


class TestTemplates:
    """What a template writes."""

    def test_width_and_height_have_no_separators_between_their_digits(
        self, photo: Photo, settings: Any
    ) -> None:
        """A browser reads ``1,200`` as 1; numbers that are no sizes are written as Django does."""
        settings.USE_THOUSAND_SEPARATOR = True
        template = Template(
            "{{ im.width }} {{ im.height }} {% if im.width > 999 %}{{ n }}{% endif %}"
        )
        spec = type("Wide", (ImageSpec,), {"processors": [ResizeToFill(1200, 1000)]})
        image = ImageCacheFile(spec(photo.original_image))
        context = Context({"im": image, "n": 1200})
        assert template.render(context) == "1200 1000 1,200"
        assert (image.width, json.dumps(image.width), f"{image.width:,}") == (1200, "1200", "1,200")


class TestCopies:
    """Instances are pickled into caches, and copied."""

    def test_a_constructor_takes_what_an_instance_holds(self, photo: Photo) -> None:
        """Nothing but values of fields is among them."""
        assert photo.thumbnail.width == 50
        values = {key: value for key, value in vars(photo).items() if key != "_state"}
        assert Photo(**values).thumbnail.url == photo.thumbnail.url

    def test_a_copied_instance_has_a_file_of_its_own(
        self, duplicate: Any, photo: Photo, photos: Path
    ) -> None:
        """It gives the same image, and another one once its source differs."""
        url = photo.thumbnail.url
        other = duplicate(photo)
        assert other.thumbnail.url == url
        assert other.thumbnail is not photo.thumbnail
        assert other.thumbnail.source.instance is other
        other.original_image = content_of(photos / "coffee.png")
        assert "coffee" in other.thumbnail.name
        assert photo.thumbnail.url == url

    def test_an_instance_with_a_spec_field_survives_djangos_cache(self, photo: Photo) -> None:
        """A cached instance gives its image, and so does a cached file."""
        caches["default"].set("photo", photo)
        caches["default"].set("file", photo.thumbnail)
        url = photo.thumbnail.url
        assert caches["default"].get("photo").thumbnail.url == url
        assert caches["default"].get("file").url == url
        assert caches["default"].get("file").generate() is None

    def test_a_pickled_instance_does_not_hold_the_file(self, photo: Photo) -> None:
        """What is built quickly is not dragged through the cache."""
        assert photo.original_image
        before = len(pickle.dumps(photo))
        assert photo.thumbnail.url
        assert len(pickle.dumps(photo)) < before + 150


class TestInheritance:
    """Bases, proxies and children give the image of their rows."""

    def test_proxy_and_child_inherit_a_spec_field(self, photos: Path) -> None:
        """One spec, and one name, for a row however it is looked at."""
        child = PhotoChild.objects.create(original_image=content_of(photos / "rocket.jpg"))
        proxy = PhotoProxy.objects.get(pk=child.pk)
        parent = Photo.objects.get(pk=child.pk)
        assert child.thumbnail.url == proxy.thumbnail.url == parent.thumbnail.url
        assert child.thumbnail.spec_id == "testapp:photo:thumbnail"

    @pytest.mark.parametrize("model", [Concrete, ConcreteChild])
    def test_an_abstract_base_declares_for_all(self, model: Any, photos: Path) -> None:
        """A source may be named or not; the spec has the base's id."""
        item = model.objects.create(image=content_of(photos / "rocket.jpg"))
        assert (item.small.width, item.implicit.width) == (40, 30)
        assert model.small.spec_id == "testapp:abstractphoto:small"

    def test_fields_of_a_model_can_be_listed(self) -> None:
        """Commands and checks find the fields, inherited ones too."""
        names = [field.name for field in spec_fields_of(ConcreteChild)]
        assert sorted(names) == ["implicit", "small"]


class TestSource:
    """Which image field a spec field acts on."""

    @isolate_apps("tests.testapp")
    def test_a_source_may_come_after_the_spec_field(self) -> None:
        """Fields can be declared in any order."""

        class Later(models.Model):
            small = ImageSpecField([ResizeToFill(5, 5)])
            image = models.ImageField(upload_to="later")

            class Meta:
                app_label = "testapp"

        assert Later.small.source_of(Later) == "image"

    @isolate_apps("tests.testapp")
    def test_a_source_may_come_with_a_child_of_an_abstract_base(self) -> None:
        """A mixin adds a thumbnail to whatever image its models have."""

        class Base(models.Model):
            small = ImageSpecField([ResizeToFill(5, 5)])

            class Meta:
                app_label = "testapp"
                abstract = True

        class One(Base):
            picture = models.ImageField(upload_to="one")

            class Meta:
                app_label = "testapp"

        class Two(Base):
            drawing = models.ImageField(upload_to="two")

            class Meta:
                app_label = "testapp"

        assert (One.small.source_of(One), Two.small.source_of(Two)) == ("picture", "drawing")
        assert One(picture="a.jpg").small.source.name == "a.jpg"

    @isolate_apps("tests.testapp")
    def test_a_source_is_found_by_a_field_that_is_added_to_a_finished_model(self) -> None:
        """And by one that is added to an abstract base of such a model."""

        class Base(models.Model):
            class Meta:
                app_label = "testapp"
                abstract = True

        class Finished(Base):
            image = models.ImageField(upload_to="finished")

            class Meta:
                app_label = "testapp"

        own, inherited = (ImageSpecField([ResizeToFill(n, n)], format="PNG") for n in (5, 6))
        Finished.add_to_class("own", own)
        Base.add_to_class("inherited", inherited)
        assert (own.source_of(Finished), inherited.source_of(Finished)) == ("image", "image")
        assert [*check_field(own, Finished), *check_field(inherited, Finished)] == []
        for field in (own, inherited):
            (group,) = source_group_registry.groups_of(str(field.spec_id))
            assert group is ImageFieldSourceGroup.shared(Finished, "image")

    @pytest.mark.parametrize(
        ("number", "message", "check"),
        [
            pytest.param(0, "no ImageField", "imagekit.E002", id="none"),
            pytest.param(2, r"several ImageFields \(image0, image1\)", "imagekit.E002", id="two"),
        ],
    )
    @isolate_apps("tests.testapp")
    def test_a_source_must_be_named_unless_there_is_one_image_field(
        self, number: int, message: str, check: str
    ) -> None:
        """The error, and the check, say which field lacks what."""
        members: dict[str, Any] = {
            f"image{i}": models.ImageField(upload_to="a") for i in range(number)
        }
        members["small"] = ImageSpecField([ResizeToFill(5, 5)])
        members["Meta"] = type("Meta", (), {"app_label": "testapp"})
        members["__module__"] = __name__
        model = type(f"Ambiguous{number}", (models.Model,), members)
        with pytest.raises(InvalidConfiguration, match=message):
            _ = model().small
        (error,) = check_field(model.small, model)  # type: ignore[attr-defined]
        assert (error.id, str(error.hint).startswith(("Add", "Name"))) == (check, True)

    @pytest.mark.parametrize(
        ("source", "check"),
        [
            pytest.param("absent", "imagekit.E003", id="absent"),
            pytest.param("title", "imagekit.E004", id="text"),
            pytest.param("document", "imagekit.W003", id="file"),
            pytest.param("hidden", "imagekit.W004", id="cannot be watched"),
            pytest.param("image", None, id="image"),
        ],
    )
    @isolate_apps("tests.testapp")
    def test_a_source_is_checked_before_the_first_request(
        self, source: str, check: str | None
    ) -> None:
        """A source that is misspelt or no image is found before the first request."""
        members: dict[str, Any] = {
            "title": models.CharField(max_length=9),
            "image": models.ImageField(upload_to="a"),
            "hidden": models.ImageField(upload_to="a"),
            "document": models.FileField(upload_to="a"),
            "small": ImageSpecField([ResizeToFill(5, 5)], source=source),
            "Meta": type("Meta", (), {"app_label": "testapp"}),
            "__module__": __name__,
        }

        def hide(sender: Any, **kwargs: Any) -> None:
            sender.hidden = property(lambda instance: None)

        class_prepared.connect(hide)
        model = type(f"Checked{source}", (models.Model,), members)
        class_prepared.disconnect(hide)
        assert [error.id for error in check_field(model.small, model)] == ([check] if check else [])  # type: ignore[attr-defined]

    def test_spec_fields_of_one_source_share_one_group(self) -> None:
        """Three spec fields of one source are told of a new image by one announcement."""
        ids = [f"testapp:photo:{name}" for name in ("thumbnail", "banner", "with_spec")]
        groups = [source_group_registry.groups_of(id) for id in ids]
        assert groups[0] == groups[1] == groups[2]
        assert len(groups[0]) == 1

    def test_rows_are_the_sources_of_commands(self, photo: Photo) -> None:
        """``generateimages`` finds the files of every row."""
        (file,) = cachefile_registry.get("testapp:photo:banner")
        assert file.name == photo.banner.name


def _base(module: str, size: int, app_label: str | None = "testapp", **arguments: Any) -> Any:
    """Return an abstract model named Base, with a thumbnail of a size."""
    options = {"abstract": True, "app_label": app_label}
    members = {
        "image": models.ImageField(upload_to="base"),
        "upload": ProcessedImageField([ResizeToFill(size, size)], upload_to="base"),
        "thumb": ImageSpecField([ResizeToFill(size, size)], source="image", **arguments),
        "Meta": type("Meta", (), {key: value for key, value in options.items() if value}),
        "__module__": module,
    }
    return type("Base", (models.Model,), members)


def _size_of(field: Any) -> int:
    width: int = field.get_spec(source=None).processors[0].width
    return width


class TestIds:
    """One id stands for one recipe."""

    @isolate_apps("tests.testapp")
    def test_two_abstract_models_of_one_name_have_their_own_recipes(self) -> None:
        """The checks tell of the one that came later; upload fields of children are told, too."""
        one, other = _base("tests.testapp.models.a", 300), _base("tests.testapp.models.b", 50)
        assert (one.thumb.spec_id, _size_of(one.thumb)) == ("testapp:base:thumb", 300)
        assert other.thumb.spec_id == "testapp:tests.testapp.models.b.base:thumb"
        assert _size_of(other.thumb) == 50
        assert [*check_field(one.thumb, one)] == []
        (error,) = check_field(other.thumb, other)
        assert error.id == "imagekit.E020"
        assert "tests.testapp.models.a.Base.thumb" in error.msg
        meta = {"Meta": type("Meta", (), {"app_label": "testapp"}), "__module__": __name__}
        children: list[Any] = [type("A", (one,), {**meta}), type("B", (other,), {**meta})]
        uploads = [model._meta.get_field("upload") for model in children]
        assert [_size_of(field) for field in uploads] == [300, 50]
        assert [[error.id for error in check_field(field, field.model)] for field in uploads] == [
            [],
            ["imagekit.E020"],
        ]

    def test_models_outside_of_apps_have_ids_by_their_modules(self) -> None:
        """They have no app to be told by."""
        one, other = _base("lib_a.base", 30, None), _base("lib_b.base", 40, None)
        assert one.thumb.spec_id == "lib_a.base:base:thumb"
        assert (_size_of(one.thumb), _size_of(other.thumb)) == (30, 40)
        assert [*check_field(one.thumb, one), *check_field(other.thumb, other)] == []

    def test_an_id_that_another_field_was_given_is_refused(self) -> None:
        """When the class is made, before any image is; the message names both."""
        _base("lib_c.base", 30, None, id="tests:given")
        with pytest.raises(AlreadyRegistered, match=r"tests:given.*lib_c\.base\.Base\.thumb"):
            _base("lib_d.base", 40, None, id="tests:given")
        same = _base("lib_e.base", 30, None, id="tests:given")
        assert _size_of(same.thumb) == 30

    def test_a_model_that_is_declared_again_replaces_its_recipe(self) -> None:
        """As after its module was loaded anew."""
        _base("lib_f.base", 30, None)
        again = _base("lib_f.base", 40, None)
        assert (again.thumb.spec_id, _size_of(again.thumb)) == ("lib_f.base:base:thumb", 40)

    def test_what_a_project_registers_goes_before_a_fields_own(self) -> None:
        """It may do so before the field is declared, or replace the spec later."""
        register.generator("lib_g.base:base:thumb", Replacement)
        field = _base("lib_g.base", 30, None).thumb
        assert (_size_of(field), [*check_field(field, field.model)]) == (7, [])


class TestArguments:
    """What the field takes."""

    def test_arguments_of_a_spec_field_come_in_the_published_order(self) -> None:
        """Code that passes everything by position goes on working."""
        field = ImageSpecField(
            [ResizeToFill(5, 5)], "PNG", {"optimize": True}, "image", "default", False, None, None,
            None, "tests:positional",
        )  # fmt: skip
        spec = field.get_spec(source=None)
        assert (spec.format, spec.options, field.source) == ("PNG", {"optimize": True}, "image")
        assert (spec.autoconvert, spec.cachefile_storage) == (False, "default")
        assert field.spec_id == "tests:positional"

    def test_arguments_of_a_spec_field_cover_every_attribute_of_a_spec(self) -> None:
        """What a spec class can say, a field can say."""
        attributes: dict[str, Any] = {
            "namer": "imagekit_registry.cachefiles.namers.hash",
            "auto_orient": False,
            "color": "keep",
            "metadata": "copyright",
            "animated": False,
            "background": "#fff",
            "fallback": "source",
            "decode_small": False,
        }
        field = ImageSpecField(source="image", id="tests:attributes", **attributes)
        spec = field.get_spec(source=None)
        assert {name: getattr(spec, name) for name in attributes} == attributes

    def test_a_spec_and_its_attributes_exclude_each_other(self) -> None:
        """Two recipes for one image are a mistake."""
        with pytest.raises(InvalidArgumentType, match="not both"):
            ImageSpecField([ResizeToFill(5, 5)], spec=Replacement)

    def test_a_spec_may_be_any_callable(self) -> None:
        """A function that takes the source will do."""
        field = ImageSpecField(source="image", id="tests:callable", spec=_make_spec)
        assert isinstance(field.get_spec(source=None), Replacement)

    def test_an_id_that_is_taken_names_the_registered_spec(self) -> None:
        """A field that is given nothing but an id uses what is registered under it."""
        register.generator("tests:shared", Replacement)
        try:
            field = ImageSpecField(source="image", id="tests:shared")
            assert isinstance(field.get_spec(source=None), Replacement)
        finally:
            unregister.generator("tests:shared")
        with pytest.raises(NotRegistered, match="tests:shared"):
            field.get_spec(source=None)

    @isolate_apps("tests.testapp")
    def test_an_unknown_id_is_found_by_the_checks(self) -> None:
        """A typo shows when the project starts."""

        class Typo(models.Model):
            image = models.ImageField(upload_to="a")
            small = ImageSpecField(source="image", id="tests:no-such-spec")

            class Meta:
                app_label = "testapp"

        (error,) = check_field(Typo.small, Typo)
        assert error.id == "imagekit.E001"
        assert "tests:no-such-spec" in error.msg


def _make_spec(source: Any) -> Replacement:
    return Replacement(source)


@pytest.fixture
def many(photos: Path, cache_calls: Counter[str]) -> list[Photo]:
    """Generate the thumbnails of some rows, then forget what this process knows of them."""
    rows = [
        Photo.objects.create(title=str(i), original_image=content_of(photos / "rocket.jpg"))
        for i in range(5)
    ]
    for row in rows:
        row.thumbnail.generate()
    forget_state()
    cache_calls.clear()
    return rows


def fetched_as_peers(rows: Any) -> list[Photo]:
    """Return the rows of a query in Django 6.1's fetch mode."""
    return list(rows.fetch_mode(models.FETCH_PEERS))


class TestPeers:
    """Instances that were queried together."""

    @pytest.mark.skipif(django.VERSION < (6, 1), reason="fetch modes came with Django 6.1")
    def test_peers_fetch_their_states_in_one_round_trip(
        self, many: list[Photo], cache_calls: Counter[str], django_assert_num_queries: Any
    ) -> None:
        """With FETCH_PEERS, the first image that is asked for brings those of its siblings."""
        photos = fetched_as_peers(Photo.objects.all())
        with django_assert_num_queries(0):
            assert [photo.thumbnail.width for photo in photos] == [50] * len(many)
        assert dict(cache_calls) == {"get_many": 1}

    @pytest.mark.skipif(django.VERSION < (6, 1), reason="fetch modes came with Django 6.1")
    def test_peers_load_their_deferred_sources_together(
        self, many: list[Photo], cache_calls: Counter[str], django_assert_num_queries: Any
    ) -> None:
        """One query and one round trip for all of them."""
        photos = fetched_as_peers(Photo.objects.only("title"))
        with django_assert_num_queries(1):
            assert all(photo.thumbnail.url for photo in photos)
        assert dict(cache_calls) == {"get_many": 1}

    @pytest.mark.skipif(django.VERSION < (6, 1), reason="fetch modes came with Django 6.1")
    def test_what_was_asked_of_a_peer_is_made_of_one_decode(
        self, db: None, stored_photo: Any, decodes: list[object]
    ) -> None:
        """The first row shows which fields there are to be; what none asks for is not made."""
        for number in range(4):
            Photo.objects.create(original_image=stored_photo(name=f"photos/{number}.jpg"))
        photos = fetched_as_peers(Photo.objects.all())

        urls = {url for photo in photos for url in (photo.thumbnail.url, photo.banner.url)}

        assert len(urls) == 8
        assert len(decodes) == 2 + 3
        assert not any(photo.with_spec.exists() for photo in photos)

    @pytest.mark.skipif(django.VERSION < (6, 1), reason="fetch modes came with Django 6.1")
    def test_instances_that_were_dropped_are_no_peers(
        self, many: list[Photo], cache_calls: Counter[str]
    ) -> None:
        """Only what is still in use is looked up."""
        photos = fetched_as_peers(Photo.objects.all())[:1]
        assert photos[0].thumbnail.width == 50
        assert dict(cache_calls) == {"get_many": 1}

    def test_instances_ask_for_themselves_without_the_fetch_mode(self, many: list[Photo]) -> None:
        """Without the fetch mode, and before Django 6.1, each instance asks for itself."""
        photos = list(Photo.objects.all())
        assert photos[0].thumbnail.width == 50
        assert "_imagekit_file_thumbnail" not in photos[1]._state.__dict__


def test_the_old_descriptor_gives_the_field_and_its_cache_files() -> None:
    """For fields of a project's own that put it on a model."""
    field = vars(Photo)["thumbnail"]
    descriptor = ImageSpecFileDescriptor(field, "small", "original_image")
    photo = Photo(original_image="photos/a.jpg")
    assert descriptor.__get__(None, Photo) is field
    assert descriptor.__get__(photo, Photo) == photo.thumbnail
    descriptor.__set__(photo, "assigned")
    assert vars(photo)["small"] == "assigned"


@isolate_apps("tests.testapp")
def test_a_subclass_puts_itself_on_a_model_as_with_django_imagekit(name: str) -> None:
    """Such as one whose spec takes the row, for a crop that each row has of its own."""

    class OfInstance(ImageSpec):
        format = "JPEG"

        def __init__(self, source: Any, edge: int) -> None:
            self.processors = [ResizeToFill(edge, edge)]
            super().__init__(source)

    class InstanceSpecField(ImageSpecField):
        def __init__(self, edge: int, source: str, id: str | None = None) -> None:
            SpecHost.__init__(self, spec=OfInstance, spec_id=id)
            self.edge, self.source = edge, source

        def contribute_to_class(self, cls: Any, name: str) -> None:
            setattr(cls, name, ImageSpecFileDescriptor(self, name, str(self.source)))
            self._set_spec_id(cls, name)

        def get_spec(self, source: Any) -> Any:
            return generator_registry.get(str(self.spec_id), source=source, edge=self.edge)

    class Cropped(models.Model):
        image = models.ImageField()
        square = InstanceSpecField(24, source="image")

        class Meta:
            app_label = "testapp"

    file: Any = Cropped(image=name).square
    assert (file.width, file.height) == (24, 24)
    assert vars(Cropped)["square"].__get__(None, Cropped).spec_id == "testapp:cropped:square"
