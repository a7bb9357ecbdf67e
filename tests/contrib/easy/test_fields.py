"""Fields whose files give images, and the signals of their saving."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage, storages
from django.db import connection, models
from django.db.migrations.writer import MigrationWriter
from django.db.models.signals import post_save, pre_save
from django.test.utils import isolate_apps
from PIL import Image

from imagekit_registry.cachefiles import ImageCacheFile, get_image
from imagekit_registry.cachefiles.strategies import JustInTime
from imagekit_registry.contrib.easy import signal_handlers
from imagekit_registry.contrib.easy.alias import aliases
from imagekit_registry.contrib.easy.exceptions import InvalidImageFormatError
from imagekit_registry.contrib.easy.fields import ThumbnailerField, ThumbnailerImageField
from imagekit_registry.contrib.easy.files import ThumbnailFile, get_thumbnailer
from imagekit_registry.contrib.easy.signals import saved_file, thumbnail_created
from imagekit_registry.signals import generated
from tests.storages import content_of

pytestmark = pytest.mark.django_db(transaction=True)

ELSEWHERE = InMemoryStorage()


@pytest.fixture
def model() -> Iterator[Any]:
    """Return a model with the fields, and a table for it."""
    with isolate_apps("tests.testapp"):

        class Person(models.Model):
            photo = ThumbnailerImageField(upload_to="people", blank=True)
            paper = ThumbnailerField(upload_to="people", blank=True)
            away = ThumbnailerField(upload_to="people", blank=True, thumbnail_storage=ELSEWHERE)
            small = ThumbnailerImageField(
                upload_to="people",
                resize_source={"size": (100, 100), "quality": 60},
                width_field="width",
                blank=True,
            )
            width = models.PositiveIntegerField(null=True)

            class Meta:
                app_label = "testapp"

    with connection.schema_editor() as editor:
        editor.create_model(Person)
    yield Person
    with connection.schema_editor() as editor:
        editor.delete_model(Person)


@pytest.fixture
def signals() -> Iterator[None]:
    """Connect what the app connects."""
    pre_save.connect(signal_handlers.find_uncommitted_filefields)
    post_save.connect(signal_handlers.signal_committed_filefields)
    generated.connect(signal_handlers.tell_of_generated)
    yield
    pre_save.disconnect(signal_handlers.find_uncommitted_filefields)
    post_save.disconnect(signal_handlers.signal_committed_filefields)
    generated.disconnect(signal_handlers.tell_of_generated)


def test_the_file_of_a_field_gives_images_by_alias(model: Any, photos: Path) -> None:
    """By the field's own, by options, and none for an empty one."""
    aliases.set("small", {"size": (20, 20), "crop": True}, "testapp.Person.photo")
    person = model.objects.create(photo=content_of(photos / "rocket.jpg"))
    assert person.photo["small"].width == 20
    assert person.photo.get_thumbnail({"size": (40, 40)}).width == 40
    assert model.objects.get().photo["small"].url == person.photo["small"].url
    with pytest.raises(InvalidImageFormatError):
        person.paper.get_thumbnail({"size": (40, 40)})


def test_images_lie_in_the_storage_of_the_field(model: Any, photos: Path) -> None:
    """Which needs no alias."""
    person = model.objects.create(away=content_of(photos / "rocket.jpg"))
    thumb = person.away.get_thumbnail({"size": (40, 40)})
    assert thumb.storage is ELSEWHERE
    assert ELSEWHERE.exists(thumb.name)
    assert not storages["default"].exists(thumb.name)


def test_an_upload_is_made_smaller_before_it_is_stored(model: Any, photos: Path) -> None:
    """Its name gets the extension of its format, and the row its size."""
    person = model(small=content_of(photos / "coffee.png"))
    person.save()
    assert person.small.name == "people/coffee.jpg"
    assert (person.width, person.small.width) == (100, 100)
    with storages["default"].open(person.small.name) as file:
        assert Image.open(file).size == (100, 67)
    person.small.save("other.jpg", content_of(photos / "rocket.jpg"))
    assert model.objects.get().small.width == 100
    with pytest.raises(InvalidImageFormatError):
        model(small=ContentFile(b"Lorem ipsum", "a.jpg")).save()


def test_images_of_a_replaced_file_go(model: Any, photos: Path) -> None:
    """Also of a field that is no image field for Django."""
    person = model.objects.create(paper=content_of(photos / "rocket.jpg"))
    thumb = person.paper.get_thumbnail({"size": (40, 40)})
    person.paper = content_of(photos / "coffee.png")
    person.save()
    assert not thumb.storage.exists(thumb.name)
    assert person.paper.get_thumbnail({"size": (40, 40)}).url != thumb.url


def test_a_migration_names_the_field_without_its_options(model: Any) -> None:
    """They change nothing in the database."""
    for name, expected in (("small", "ThumbnailerImageField"), ("away", "ThumbnailerField")):
        field = model._meta.get_field(name)
        written, imports = MigrationWriter.serialize(field)
        assert written.startswith(f"imagekit_registry.contrib.easy.fields.{expected}(")
        assert "resize_source" not in written
        assert "thumbnail_storage" not in written
        assert imports == {"import imagekit_registry.contrib.easy.fields"}


def test_a_new_file_is_announced_when_its_row_is_saved(
    model: Any, photos: Path, signals: None
) -> None:
    """Once, if it is new, and if its column is saved."""
    told: list[Any] = []

    def note(sender: Any, fieldfile: Any, **kwargs: Any) -> None:
        told.append((sender, fieldfile.field.name, fieldfile.storage.exists(fieldfile.name)))

    saved_file.connect(note, sender=model)
    person = model.objects.create(photo=content_of(photos / "rocket.jpg"))
    assert told == [(model, "photo", True)]
    person.save()
    model.objects.only("width").get().save()
    person.paper = content_of(photos / "rocket.jpg")
    person.save(update_fields=["width"])
    assert len(told) == 1
    person.save(update_fields=["paper"])
    assert told[1:] == [(model, "paper", True)]


@pytest.mark.parametrize(
    ("handler", "count"),
    [(signal_handlers.generate_aliases, 1), (signal_handlers.generate_aliases_global, 2)],
)
def test_aliases_are_made_as_a_file_is_saved(
    handler: Any, count: int, model: Any, photos: Path, signals: None
) -> None:
    """Those of the field, or all; each image is announced."""
    aliases.set("small", {"size": (20, 20)}, "testapp.Person")
    aliases.set("large", {"size": (90, 90)})
    made: list[Any] = []

    def note(sender: Any, **kwargs: Any) -> None:
        # What is asked by who makes the file smaller still.
        content = Path(sender.path).read_bytes()
        made.append((type(sender), sender.url, sender.width, sender.size, sender.read() == content))
        sender.close()

    thumbnail_created.connect(note)
    saved_file.connect(handler, sender=model)
    person = model.objects.create(photo=content_of(photos / "rocket.jpg"))
    assert len(list(person.photo.get_thumbnails())) == len(made) == count
    thumb = person.photo["small"]
    assert (ThumbnailFile, thumb.url, 20, thumb.size, True) in made


def test_an_image_that_a_worker_makes_of_an_alias_is_announced(name: str, signals: None) -> None:
    """With its options, as those that pages make."""
    aliases.set("small", {"size": (20, 20)})
    heard: list[ThumbnailFile] = []

    def hear(sender: ThumbnailFile, **kwargs: object) -> None:
        heard.append(sender)

    thumbnail_created.connect(hear)
    try:
        made = get_image("easy:small", source=name)
        made.generate()
    finally:
        thumbnail_created.disconnect(hear)
    (told,) = heard
    assert (told.url, told.thumbnail_options["size"]) == (made.url, (20, 20))


def test_an_image_with_a_name_of_its_own_is_announced_as_that(name: str, signals: None) -> None:
    """Whoever is told gets the file that was made, and has no other one made."""
    heard: list[Any] = []

    def hear(sender: ThumbnailFile, **kwargs: object) -> None:
        heard.append((sender.url, sender.width, sender.size))

    thumbnail_created.connect(hear)
    usual = get_thumbnailer(name).image_for({"size": (20, 20)})
    file = ImageCacheFile(usual.generator, name="own/a.jpg")
    file.generate()
    assert heard == [(file.url, 20, file.size)]
    assert not storages["default"].exists(str(usual.name))


class _MakesAtEachLook(JustInTime):
    def on_existence_required(self, file: Any) -> None:
        file.generate(force=True)


def test_who_is_told_of_an_image_makes_it_no_second_time(
    name: str, settings: Any, signals: None
) -> None:
    """Whatever its strategy does when it is looked at, it was made a moment ago."""
    settings.IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY = f"{__name__}._MakesAtEachLook"
    heard: list[Any] = []

    def hear(sender: ThumbnailFile, **kwargs: object) -> None:
        heard.append((sender.width, len(sender.read())))
        sender.close()

    thumbnail_created.connect(hear)
    file = get_thumbnailer(name).image_for({"size": (20, 20)})
    file.generate()
    assert heard == [(20, file.state.size)]
