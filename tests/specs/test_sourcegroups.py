"""Source groups: where sources come from, and when they come and go."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import django
import pytest
from django.core import serializers
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage, storages
from django.db import connection, models, transaction
from django.db.models.signals import (
    class_prepared,
    post_delete,
    post_init,
    post_save,
    pre_delete,
    pre_save,
)
from django.test.utils import isolate_apps

from imagekit_registry.models import ImageSpecField
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.signals import source_deleted, source_saved
from imagekit_registry.specs.sourcegroups import (
    ImageFieldSourceGroup,
    SourceGroupFilesGenerator,
)
from imagekit_registry.utils import get_nonabstract_descendants
from tests.storages import CountingStorage, content_of
from tests.testapp.models import (
    AbstractPhoto,
    Album,
    AlbumPhoto,
    Concrete,
    ConcreteChild,
    Photo,
    PhotoChild,
    PhotoProxy,
)

pytestmark = pytest.mark.django_db(transaction=True)


class Log:
    """What the signals have announced: what happened, to which name."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.sources: list[Any] = []
        self.groups: list[Any] = []

    def saved(self, sender: Any, source: Any, **kwargs: Any) -> None:
        self._note("saved", sender, source)

    def deleted(self, sender: Any, source: Any, **kwargs: Any) -> None:
        self._note("deleted", sender, source)

    def _note(self, event: str, sender: Any, source: Any) -> None:
        if sender.image_field != "other":
            self.events.append((event, Path(source.name).stem))
            self.sources.append(source)
            self.groups.append(sender)

    def take(self) -> list[tuple[str, str]]:
        """Return what was announced since the last time."""
        events, self.events = self.events, []
        return events


@pytest.fixture
def log() -> Iterator[Log]:
    """Listen to the signals while the test runs."""
    made = Log()
    source_saved.connect(made.saved)
    source_deleted.connect(made.deleted)
    yield made
    source_saved.disconnect(made.saved)
    source_deleted.disconnect(made.deleted)


@pytest.fixture
def item(photos: Path, log: Log) -> AlbumPhoto:
    """Return a saved instance, as a query gives it, of which nothing is left to announce."""
    made = AlbumPhoto.objects.create(title="a", image=content_of(photos / "rocket.jpg", "one.jpg"))
    log.take()
    return AlbumPhoto.objects.get(pk=made.pk)


@pytest.fixture
def overwriting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the storage put a new file in the place of an old one of the same name."""
    field = AlbumPhoto._meta.get_field("image")
    monkeypatch.setattr(field, "storage", FileSystemStorage(allow_overwrite=True))


class Wrapper:
    """Stands in the place of a field's descriptor, which it has inside: as field trackers do."""

    def __init__(self, descriptor: Any) -> None:
        self.descriptor = descriptor

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self if instance is None else self.descriptor.__get__(instance, owner)

    def __set__(self, instance: Any, value: Any) -> None:
        self.descriptor.__set__(instance, value)


class Tracker:
    """Wraps the descriptor of ``image`` when the model is complete."""

    def contribute_to_class(self, cls: Any, name: str) -> None:
        class_prepared.connect(self._wrap, sender=cls)

    def _wrap(self, sender: Any, **kwargs: Any) -> None:
        sender.image = Wrapper(sender.image)


def _assign_and_save(item: Any, file: Any) -> None:
    item.image = file
    item.save()


def _given_in_storage(model: Any) -> Any:
    row = model()
    row.image.save("late.png", _late(), save=False)
    return row


def _late() -> Any:
    return ContentFile(b"not looked at", "late.png")


#: How a new row has been given its image, which is in the storage or not.
_GIVEN: dict[str, Callable[[Any], Any]] = {
    "to the constructor": lambda model: model(image=_late()),
    "by its name": lambda model: model(image=default_storage.save("late.png", _late())),
    "to the storage": _given_in_storage,
}


def _put_back(row: Any, image: Any, **options: Any) -> None:
    row.image = image
    row.save(**options)


def _read_again_and_put_back(row: Any, image: Any) -> None:
    row.refresh_from_db()
    _put_back(row, image)


def _put_into_another(row: Any, image: Any) -> None:
    _put_back(type(row).objects.get(pk=row.pk), image)


def _put_into_a_deferred_column(row: Any, image: Any) -> None:
    _put_back(type(row).objects.defer("image").get(pk=row.pk), image)


#: How it is put back.
_PUT_BACK: dict[str, Callable[[Any, Any], None]] = {
    "and all is saved": _put_back,
    "and it alone is saved": partial(_put_back, update_fields=["image"]),
    "after the row was read": _read_again_and_put_back,
    "into another instance": _put_into_another,
    "where it was not loaded": _put_into_a_deferred_column,
    "to its field": lambda row, image: row.image.save("late.png", _late()),
}
_BLOCKS = (nullcontext, transaction.atomic)


class TestSaved:
    """A new image is announced once, and nothing else is."""

    def test_a_row_with_an_image_is_announced(self, photos: Path, log: Log) -> None:
        """The source belongs to the instance and its group."""
        made = AlbumPhoto.objects.create(image=content_of(photos / "rocket.jpg"))
        assert log.take() == [("saved", "rocket")]
        assert log.sources[0].instance == made
        assert log.groups[0] is ImageFieldSourceGroup.shared(AlbumPhoto, "image")

    def test_a_row_without_an_image_is_not_announced(self, log: Log) -> None:
        """There is nothing to announce."""
        AlbumPhoto.objects.create()
        assert log.take() == []

    def test_an_unsaved_instance_is_not_announced(self, photos: Path, log: Log) -> None:
        """Neither making nor changing it is an event."""
        made = AlbumPhoto(image=content_of(photos / "rocket.jpg"))
        made.image = content_of(photos / "coffee.png")
        assert made.small.name
        assert log.take() == []

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda item: None, id="nothing"),
            pytest.param(lambda item: setattr(item, "title", "b"), id="another field"),
            pytest.param(lambda item: item.image.url, id="the image is looked at"),
            pytest.param(lambda item: item.refresh_from_db(), id="refreshed"),
            pytest.param(
                lambda item: (item.refresh_from_db(), item.image.url), id="refreshed, looked at"
            ),
            pytest.param(
                lambda item: setattr(item, "image", item.image.name), id="its own name is assigned"
            ),
            pytest.param(
                lambda item: setattr(item, "image", item.image), id="its own file is assigned"
            ),
        ],
    )
    def test_a_row_whose_image_is_the_same_is_not_announced(
        self, item: Any, change: Any, log: Log
    ) -> None:
        """Counting a page view must not make all images anew."""
        change(item)
        item.save()
        assert log.take() == []

    def test_another_image_is_announced_and_the_old_one_as_gone(
        self, item: AlbumPhoto, photos: Path, log: Log
    ) -> None:
        """The old one has gone, the new one is there."""
        item.image = content_of(photos / "coffee.png", "two.png")
        item.save()
        assert log.take() == [("deleted", "one"), ("saved", "two")]
        item.save()
        assert log.take() == []

    def test_another_name_is_announced_as_another_image(self, item: AlbumPhoto, log: Log) -> None:
        """A name that is assigned is another image."""
        item.image = "albums/two.jpg"
        item.save()
        assert log.take() == [("deleted", "one"), ("saved", "two")]

    def test_a_name_that_was_assigned_and_read_back_is_announced_as_another_image(
        self, item: AlbumPhoto, log: Log
    ) -> None:
        """The file of an instance is not what its row holds."""
        item.image = "albums/two.jpg"
        item.image = item.image
        item.save()
        assert log.take() == [("deleted", "one"), ("saved", "two")]

    @pytest.mark.parametrize("look", [False, True], ids=["", "looked at before"])
    @pytest.mark.parametrize(
        "replace",
        [
            pytest.param(lambda item, file: item.image.save("one.jpg", file), id="save"),
            pytest.param(
                lambda item, file: (item.image.save("one.jpg", file, save=False), item.save()),
                id="save later",
            ),
            pytest.param(
                lambda item, file: (
                    item.image.save("one.jpg", file, save=False),
                    item.image.url,
                    item.save(),
                ),
                id="look, save later",
            ),
            pytest.param(_assign_and_save, id="assign"),
        ],
    )
    def test_another_image_under_the_same_name_is_announced(
        self,
        item: AlbumPhoto,
        photos: Path,
        log: Log,
        overwriting: None,
        replace: Any,
        look: bool,
    ) -> None:
        """What was made of the old content is out of date, though the name is the same."""
        assert not look or item.image.url
        replace(item, content_of(photos / "coffee.png", "one.jpg"))
        assert item.image.name == "albums/one.jpg"
        assert log.take() == [("saved", "one")]
        item.save()
        assert log.take() == []

    def test_an_image_that_is_cleared_is_announced_as_gone(
        self, item: AlbumPhoto, log: Log
    ) -> None:
        """By assignment, as forms do it, or by deleting the file."""
        item.image = ""
        item.save()
        assert log.take() == [("deleted", "one")]
        item.image = "albums/two.jpg"
        item.save()
        item.image.delete()
        assert log.take() == [("saved", "two"), ("deleted", "two")]

    def test_a_save_of_other_fields_does_not_announce_the_image(
        self, item: AlbumPhoto, photos: Path, log: Log
    ) -> None:
        """The image is announced when it is saved, not before."""
        item.image = content_of(photos / "coffee.png", "two.png")
        item.save(update_fields=["title"])
        assert log.take() == []
        item.save(update_fields=["image"])
        assert log.take() == [("deleted", "one"), ("saved", "two")]

    def test_a_signal_that_a_project_sends_itself_is_understood(
        self, item: AlbumPhoto, photos: Path, log: Log
    ) -> None:
        """With no more than the row: as a save and a deletion in the default database."""
        post_save.send(sender=AlbumPhoto, instance=item)
        assert log.take() == []
        item.image.save("two.png", content_of(photos / "coffee.png"), save=False)
        post_save.send(sender=AlbumPhoto, instance=item)
        assert log.take() == [("saved", "two")], "the table has the other one yet"
        post_delete.send(sender=AlbumPhoto, instance=item)
        assert log.take() == [("deleted", "two")]

    @pytest.mark.parametrize("way", list(_PUT_BACK))
    def test_an_image_that_is_put_back_into_a_row_saved_without_it_is_announced(
        self, way: str, log: Log
    ) -> None:
        """Paths that name the row's key are had in this way; into another instance, it was lost."""
        for given, model, block in product(_GIVEN, (Concrete, ConcreteChild), _BLOCKS):
            row = _GIVEN[given](model)
            with block():
                kept, row.image = row.image, None if model is Concrete else ""
                row.save()
                _PUT_BACK[way](row, kept)
            saved = Path(model.objects.get(pk=row.pk).image.name).stem
            assert set(log.take()) == {("saved", saved)}, (given, model, block)

    def test_raw_fixtures_are_not_announced(self, log: Log) -> None:
        """Loading data says nothing of images: their files may come later."""
        fields = {"title": "f", "image": "albums/fixture.jpg", "other": ""}
        data = json.dumps([{"model": "testapp.albumphoto", "pk": 77, "fields": fields}])
        for loaded in serializers.deserialize("json", data):
            loaded.save()
        assert log.take() == []
        AlbumPhoto.objects.get(pk=77).save()
        assert log.take() == []

    def test_a_copied_instance_knows_what_its_row_holds(
        self, item: AlbumPhoto, photos: Path, log: Log, duplicate: Any
    ) -> None:
        """It knows what its row holds, and tells nobody else of its changes."""
        other = duplicate(item)
        other.save()
        assert log.take() == []
        other.image = content_of(photos / "coffee.png", "two.png")
        item.save()
        assert log.take() == []
        other.save()
        assert log.take() == [("deleted", "one"), ("saved", "two")]


class TestDeferred:
    """Columns that were left out of a query."""

    @pytest.mark.parametrize("query", ["only", "defer"])
    def test_watching_deferred_columns_costs_no_query(
        self, item: AlbumPhoto, query: str, log: Log, django_assert_num_queries: Any
    ) -> None:
        """Watching an instance loads nothing that was not asked for."""
        argument = "title" if query == "only" else "image"
        with django_assert_num_queries(1):
            deferred = getattr(AlbumPhoto.objects, query)(argument).get(pk=item.pk)
        deferred.title = "b"
        with django_assert_num_queries(1):
            deferred.save()
        assert "image" in deferred.get_deferred_fields()
        assert log.take() == []

    def test_deferred_columns_are_no_news_when_they_are_loaded(
        self, item: AlbumPhoto, log: Log
    ) -> None:
        """Looking at an image does not make it new."""
        deferred = AlbumPhoto.objects.only("title").get(pk=item.pk)
        assert deferred.small.name
        deferred.save()
        assert log.take() == []

    def test_an_upload_to_a_deferred_column_is_announced(
        self, item: AlbumPhoto, photos: Path, log: Log
    ) -> None:
        """An upload to a column that was not loaded is new; what was there is not known."""
        deferred = AlbumPhoto.objects.only("title").get(pk=item.pk)
        deferred.image = content_of(photos / "coffee.png", "two.png")
        deferred.save()
        assert log.take() == [("saved", "two")]

    @pytest.mark.skipif(django.VERSION < (6, 1), reason="fetch modes came with Django 6.1")
    def test_deferred_columns_are_no_news_when_a_peer_loads_them(
        self, item: AlbumPhoto, log: Log
    ) -> None:
        """With FETCH_PEERS, one instance loads the column for all of them."""
        AlbumPhoto.objects.create(image="albums/two.jpg")
        log.take()
        rows: Any = AlbumPhoto.objects.only("title")
        first, second = rows.fetch_mode(models.FETCH_PEERS)
        assert first.image
        second.save()
        assert log.take() == []


class TestDeleted:
    """Images whose rows have gone."""

    @pytest.mark.parametrize(
        "delete",
        [
            pytest.param(lambda item: item.delete(), id="instance"),
            pytest.param(lambda item: AlbumPhoto.objects.all().delete(), id="queryset"),
            pytest.param(lambda item: Album.objects.all().delete(), id="cascade"),
        ],
    )
    def test_images_of_deleted_rows_are_announced_as_gone(
        self, item: AlbumPhoto, log: Log, delete: Any
    ) -> None:
        """However they went."""
        item.album = Album.objects.create()
        item.save()
        delete(item)
        assert log.take() == [("deleted", "one")]

    def test_deleted_rows_without_an_image_are_not_announced(self, log: Log) -> None:
        """An empty field had no image."""
        AlbumPhoto.objects.create().delete()
        assert log.take() == []


class TestTransactions:
    """Events of a transaction come with its commit."""

    def test_sources_are_announced_after_the_commit(self, photos: Path, log: Log) -> None:
        """Whoever is told finds the row."""
        with transaction.atomic():
            made = AlbumPhoto.objects.create(image=content_of(photos / "rocket.jpg"))
            with transaction.atomic():
                made.image = "albums/two.jpg"
                made.save()
            assert log.take() == []
        assert log.take() == [("saved", "rocket"), ("deleted", "rocket"), ("saved", "two")]

    def test_an_image_that_was_rolled_back_is_not_announced(
        self, item: AlbumPhoto, log: Log
    ) -> None:
        """What did not happen is not announced."""
        with transaction.atomic():
            item.image = "albums/two.jpg"
            item.save()
            AlbumPhoto.objects.all().delete()
            transaction.set_rollback(True)
        assert log.take() == []

    @pytest.mark.parametrize("times", [1, 2])
    def test_an_image_is_announced_by_the_save_that_comes_after_a_rollback(
        self, item: AlbumPhoto, log: Log, times: int
    ) -> None:
        """The row holds the image that it had; the instance, another one."""
        item.image = "albums/two.jpg"
        for _ in range(times):
            with transaction.atomic():
                item.save()
                item.save()
                transaction.set_rollback(True)
            assert log.take() == []
        item.save()
        assert log.take() == [("deleted", "one"), ("saved", "two")]
        item.save()
        assert log.take() == []

    def test_an_image_is_announced_by_the_save_after_a_savepoint_was_rolled_back(
        self, item: AlbumPhoto, log: Log
    ) -> None:
        """What was saved before it, in the same transaction, is announced once."""
        with transaction.atomic():
            item.image = "albums/two.jpg"
            item.save()
            item.image = "albums/three.jpg"
            with transaction.atomic():
                item.save()
                transaction.set_rollback(True)
            item.save()
            item.save()
        assert log.take() == [
            ("deleted", "one"),
            ("saved", "two"),
            ("deleted", "two"),
            ("saved", "three"),
        ]

    def test_yet_another_image_after_a_rollback_is_announced_alone(
        self, item: AlbumPhoto, log: Log
    ) -> None:
        """Those of the transaction that was rolled back were never there."""
        with transaction.atomic():
            for name in ("two", "three"):
                item.image = f"albums/{name}.jpg"
                item.save()
            transaction.set_rollback(True)
        item.image = "albums/four.jpg"
        item.save()
        assert log.take() == [("deleted", "one"), ("saved", "four")]

    def test_an_image_that_is_put_back_after_a_rollback_is_not_announced(
        self, item: AlbumPhoto, photos: Path, log: Log
    ) -> None:
        """Who puts it back after a rollback changes nothing."""
        with transaction.atomic():
            item.image = content_of(photos / "coffee.png", "two.png")
            item.save()
            transaction.set_rollback(True)
        item.image = "albums/one.jpg"
        item.save()
        assert log.take() == []

    def test_its_own_file_assigned_after_a_rollback_is_announced(
        self, item: AlbumPhoto, log: Log
    ) -> None:
        """The instance's file is not what the row holds."""
        with transaction.atomic():
            item.image = "albums/two.jpg"
            item.save()
            transaction.set_rollback(True)
        item.image = item.image
        item.save()
        assert log.take() == [("deleted", "one"), ("saved", "two")]

    def test_an_image_under_the_same_name_is_announced_after_a_rollback(
        self, item: AlbumPhoto, photos: Path, log: Log, overwriting: None
    ) -> None:
        """The file in the storage is the new one; no database takes that back."""
        with transaction.atomic():
            item.image.save("one.jpg", content_of(photos / "coffee.png"))
            transaction.set_rollback(True)
        assert log.take() == []
        item.save()
        assert log.take() == [("saved", "one")]

    def test_a_row_that_was_not_inserted_is_announced_by_the_next_save(
        self, photos: Path, log: Log
    ) -> None:
        """It is inserted by the next save."""
        made = AlbumPhoto(image=content_of(photos / "rocket.jpg"))
        with transaction.atomic():
            made.save()
            transaction.set_rollback(True)
        made.save()
        assert log.take() == [("saved", "rocket")]

    def test_what_was_loaded_after_a_rollback_is_not_announced(
        self, item: AlbumPhoto, log: Log
    ) -> None:
        """Instance and row agree again, though somebody else has changed the row since."""
        with transaction.atomic():
            item.image = "albums/two.jpg"
            item.save()
            transaction.set_rollback(True)
        AlbumPhoto.objects.update(image="albums/three.jpg")
        item.refresh_from_db()
        assert item.image.name == "albums/three.jpg"
        item.save()
        assert log.take() == []

    def test_what_was_loaded_before_a_rollback_is_announced(
        self, item: AlbumPhoto, log: Log
    ) -> None:
        """What was read in a transaction goes with it."""
        with transaction.atomic():
            item.image = "albums/two.jpg"
            item.save()
            item.refresh_from_db()
            transaction.set_rollback(True)
        item.save()
        assert log.take() == [("deleted", "one"), ("saved", "two")]

    def test_sources_are_announced_with_the_image_as_it_was(
        self, item: AlbumPhoto, log: Log
    ) -> None:
        """By the time of the commit the instance may hold another image."""
        with transaction.atomic():
            item.image = "albums/two.jpg"
            item.save()
            item.image = "albums/three.jpg"
            item.save()
        names = ["one", "two", "two", "three"]
        assert [Path(source.name).stem for source in log.sources[-4:]] == names


class TestModels:
    """Which models a group covers."""

    @pytest.mark.parametrize("model", [PhotoProxy, PhotoChild])
    def test_a_group_covers_subclasses_and_proxies(
        self, model: Any, photos: Path, log: Log
    ) -> None:
        """Their images are images of the model."""
        made = model.objects.create(original_image=content_of(photos / "rocket.jpg", "one.jpg"))
        assert log.take() == [("saved", "one")]
        model.objects.get(pk=made.pk).delete()
        assert log.take() == [("deleted", "one")]
        assert set(log.groups) == {ImageFieldSourceGroup.shared(Photo, "original_image")}

    @pytest.mark.parametrize("model", [Concrete, ConcreteChild])
    def test_a_group_of_an_abstract_base_covers_what_inherits_from_it(
        self, model: Any, photos: Path, log: Log
    ) -> None:
        """A group of an abstract model covers whatever inherits from it."""
        model.objects.create(image=content_of(photos / "rocket.jpg", "one.jpg"))
        assert ("saved", "one") in log.take()
        assert ImageFieldSourceGroup.shared(AbstractPhoto, "image") in log.groups

    def test_the_image_of_a_child_that_is_deleted_as_its_parent_goes_once(
        self, photos: Path, log: Log
    ) -> None:
        """Django announces parent and child; the image goes once."""
        child = PhotoChild.objects.create(original_image=content_of(photos / "rocket.jpg", "1.jpg"))
        log.take()
        Photo.objects.get(pk=child.pk).delete()
        assert set(log.take()) == {("deleted", "1")}

    @pytest.mark.parametrize("saved_as", [Photo, PhotoProxy, PhotoChild])
    @pytest.mark.parametrize("model", [PhotoProxy, PhotoChild])
    def test_a_row_of_a_proxy_or_child_may_be_saved_as_another_of_its_classes(
        self, model: Any, saved_as: Any, log: Log
    ) -> None:
        """A spec of a proxy or a child is told of what the model or a parent has saved."""
        pk = PhotoChild.objects.create(original_image="photos/one.jpg").pk
        group = ImageFieldSourceGroup(model, "original_image")
        log.groups.clear()
        row = saved_as.objects.get(pk=pk)
        row.original_image = "photos/two.jpg"
        row.save()
        assert group.is_told_of(row.original_image)
        assert log.groups.count(group) == 2
        assert log.take()[-1] == ("saved", "two")
        log.groups.clear()
        row.delete()
        assert group in log.groups

    def test_a_parent_without_a_child_is_no_row_of_the_childs(self, log: Log) -> None:
        """Nothing is made for the children's specs."""
        group = ImageFieldSourceGroup(PhotoChild, "original_image")
        row = Photo.objects.create(original_image="photos/one.jpg")
        assert group not in log.groups
        assert not group.is_told_of(row.original_image)

    def test_descendants_are_all_models_that_derive_from_one(self) -> None:
        """All models with tables or proxies that derive from one."""
        assert list(get_nonabstract_descendants(AbstractPhoto)) == [Concrete, ConcreteChild]
        assert PhotoProxy in list(get_nonabstract_descendants(Photo))

    @isolate_apps("tests.testapp")
    def test_a_model_declared_later_is_covered(self, log: Log) -> None:
        """A subclass that comes after the group is covered as well."""

        class Late(Photo):
            class Meta:
                app_label = "testapp"
                proxy = True

        Late.objects.create(original_image="photos/late.jpg")
        assert log.take() == [("saved", "late")]

    @pytest.mark.parametrize("tracks", ["parent", "child"])
    @isolate_apps("tests.testapp")
    def test_an_image_whose_descriptor_is_wrapped_is_announced(self, tracks: str, log: Log) -> None:
        """Field trackers wrap it, on the model or on a child; whichever class is saved."""

        class Tracked(models.Model):
            image = models.ImageField(upload_to="a")
            if tracks == "parent":
                tracker = Tracker()

            class Meta:
                app_label = "testapp"

        class Child(Tracked):
            if tracks == "child":
                tracker = Tracker()

            class Meta:
                app_label = "testapp"

        ImageFieldSourceGroup(Child, "image")
        with connection.schema_editor() as editor:
            editor.create_model(Tracked)
            editor.create_model(Child)
        pk = Child._default_manager.create(image="a/one.jpg").pk
        for model, old, new in ((Child, "one", "two"), (Tracked, "two", "three")):
            row = model._default_manager.get(pk=pk)
            _assign_and_save(row, f"a/{new}.jpg")
            assert log.take()[-2:] == [("deleted", old), ("saved", new)]
        with connection.schema_editor() as editor:
            editor.delete_model(Child)
            editor.delete_model(Tracked)


class TestFiles:
    """What ``files()`` yields."""

    def test_files_are_the_images_of_all_rows_that_have_one(self, photos: Path) -> None:
        """Each row once, whether it is a parent's or a child's."""
        Photo.objects.create(original_image="photos/a.jpg")
        PhotoChild.objects.create(original_image="photos/b.jpg")
        Photo.objects.create()
        group = ImageFieldSourceGroup.shared(Photo, "original_image")
        assert sorted(str(source.name) for source in group.files()) == [
            "photos/a.jpg",
            "photos/b.jpg",
        ]
        assert next(iter(group.files())).instance.pk
        assert group.count() == 2

    def test_files_are_listed_in_pages_that_hold_nothing_open(
        self, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
    ) -> None:
        """Each row once, in few queries; what is deleted and added meanwhile confuses nothing."""
        monkeypatch.setattr("imagekit_registry.specs._rows._CHUNK", 2)
        rows = [Photo.objects.create(original_image=f"photos/{name}.jpg") for name in "abcde"]
        files = ImageFieldSourceGroup.shared(Photo, "original_image").files()

        with django_assert_num_queries(1) as queries:
            seen = [str(next(files).name)]
        Photo.objects.filter(pk__in=[rows[1].pk, rows[2].pk]).delete()
        Photo.objects.create(original_image="photos/f.jpg")
        with django_assert_num_queries(2):
            seen += [str(source.name) for source in files]

        assert "LIMIT 2" in queries[0]["sql"]
        assert seen == [f"photos/{name}.jpg" for name in "abdef"]

    def test_the_generator_of_a_groups_files_gives_a_cache_file_for_each_source(self) -> None:
        """One that is equal to another is registered once."""
        Photo.objects.create(original_image="photos/one.jpg")
        group = ImageFieldSourceGroup.shared(Photo, "original_image")
        make = SourceGroupFilesGenerator(group, "testapp:photo:thumbnail")
        (file,) = make()
        assert (file.source.name, file.spec_id) == ("photos/one.jpg", "testapp:photo:thumbnail")
        assert make == SourceGroupFilesGenerator(group, "testapp:photo:thumbnail")
        assert len({make, SourceGroupFilesGenerator(group, "testapp:photo:banner")}) == 2

    def test_files_of_an_abstract_base_come_from_all_tables(self) -> None:
        """A table of its own and a child's are read once each."""
        Concrete.objects.create(image="abstract/a.jpg")
        ConcreteChild.objects.create(image="abstract/b.jpg")
        group = ImageFieldSourceGroup.shared(AbstractPhoto, "image")
        names = [str(source.name) for source in group.files()]
        assert sorted(names) == ["abstract/a.jpg", "abstract/b.jpg"]

    @isolate_apps("tests.testapp")
    def test_files_may_come_from_a_property(self) -> None:
        """A source need not be a column; then each row is asked."""

        class Derived(Photo):
            from_property = ImageSpecField([ResizeToFill(5, 5)], source="derived")

            class Meta:
                app_label = "testapp"
                proxy = True

            @property
            def derived(self) -> Any:
                return self.original_image

        Derived.objects.create(original_image="photos/a.jpg")
        Derived.objects.create()
        (source,) = ImageFieldSourceGroup.shared(Derived, "derived").files()
        assert source.name == "photos/a.jpg"


class TestCosts:
    """Watching costs nothing where there is nothing to watch."""

    @pytest.mark.parametrize(
        "signal",
        [post_init, pre_save, post_save, pre_delete, post_delete],
        ids=["post_init", "pre_save", "post_save", "pre_delete", "post_delete"],
    )
    def test_models_without_images_have_no_receivers(self, signal: Any) -> None:
        """A project of a hundred models with one image pays for one model."""
        assert not signal.has_listeners(Album)

    def test_instances_are_made_and_saved_without_storage(
        self, item: AlbumPhoto, photos: Path
    ) -> None:
        """Not a single question to the storage, from query to save."""
        field = AlbumPhoto._meta.get_field("image")
        kept, field.storage = field.storage, CountingStorage(location=storages["default"].path(""))
        try:
            again = AlbumPhoto.objects.get(pk=item.pk)
            again.save()
            AlbumPhoto(image="albums/x.jpg")
            assert dict(field.storage.calls) == {}
        finally:
            field.storage = kept

    def test_saves_without_a_new_image_leave_nothing_for_the_commit(self, item: AlbumPhoto) -> None:
        """A long transaction does not keep every row that it has saved."""
        with transaction.atomic():
            item.title = "b"
            item.save()
            assert connection.run_on_commit == []

    def test_one_announcement_serves_all_specs_of_a_source(self, photos: Path, log: Log) -> None:
        """Fields with the same source share a group."""
        AlbumPhoto.objects.create(image=content_of(photos / "rocket.jpg"))
        assert log.take() == [("saved", "rocket")]
        assert AlbumPhoto.strategy.saved[-1].endswith("rocket.jpg")
