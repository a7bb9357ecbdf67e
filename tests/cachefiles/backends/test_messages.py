"""What is said to workers, and what they believe."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage, storages
from django.core.signing import Signer
from django.db import models
from django.test.utils import isolate_apps

from imagekit_registry import ImageSpec
from imagekit_registry.cachefiles import ImageCacheFile, get_image
from imagekit_registry.cachefiles.backends import Message
from imagekit_registry.cachefiles.backends.messages import describe, generator_of
from imagekit_registry.exceptions import InvalidMessage
from imagekit_registry.generatorlibrary import Rendition
from imagekit_registry.models import ImageSpecField
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.workers import make_images
from tests.pages import Banner, registered
from tests.testapp.models import Photo


def through_json(value: Any) -> Any:
    """Return *value* as it comes out of a queue."""
    return json.loads(json.dumps(value))


@pytest.fixture
def name(stored_photo: Any) -> str:
    """Return the name of a stored photograph."""
    return str(stored_photo())


class TestMessage:
    """What is put into a queue and comes out of it."""

    def test_a_message_comes_out_as_it_was_put_in(self) -> None:
        """By way of JSON."""
        message = Message([{"spec": "a:b", "arguments": {"width": 1.5}}], force=True)
        assert Message.decode(through_json(message.encode())) == message

    @pytest.mark.parametrize(
        "value", [None, 7, "text", b"\x80\x04", [], {}, {"signature": None}, {"signature": 5}]
    )
    def test_a_message_of_another_shape_is_refused(self, value: Any) -> None:
        """Whatever lies in the queue, the worker gets one of our exceptions."""
        with pytest.raises(InvalidMessage):
            Message.decode(value)

    @pytest.mark.parametrize(
        "change",
        [{"force": True}, {"images": []}, {"version": 7}, {"more": 1}, {"signature": "0" * 43}],
        ids=str,
    )
    def test_a_message_that_was_changed_is_refused(self, change: dict[str, Any]) -> None:
        """Who can write into the queue, and does not know the key, can have nothing made."""
        encoded = Message([{"spec": "a:b"}]).encode()
        with pytest.raises(InvalidMessage, match="SECRET_KEY"):
            Message.decode({**encoded, **change})

    def test_a_message_of_another_version_says_what_to_do(self, monkeypatch: Any) -> None:
        """While sites and workers are upgraded they may not understand each other."""
        monkeypatch.setattr("imagekit_registry.cachefiles.backends.messages.VERSION", 2)
        encoded = Message([]).encode()
        monkeypatch.undo()
        with pytest.raises(InvalidMessage, match="Restart the workers"):
            Message.decode(encoded)

    def test_a_message_of_the_version_before_is_understood(self, name: str) -> None:
        """It knew no renditions: over a deployment, queues hold what the former hosts have sent."""
        with registered(banner=Banner):
            file = get_image("tests:banner", source=name)
            image = {
                "spec": "tests:banner",
                "arguments": {},
                "digest": file.digest,
                "source": {"storage": "default", "name": name},
            }
            body = {"version": 1, "force": False, "images": [image]}
            text = json.dumps(body, sort_keys=True, separators=(",", ":"))
            signer = Signer(salt="imagekit_registry.messages")
            make_images({**body, "signature": signer.signature(text)})
            assert file.exists()

    def test_a_message_signed_by_a_former_key_is_read(self, settings: Any) -> None:
        """The key is changed without losing what lies in the queue."""
        encoded = Message([]).encode()
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [settings.SECRET_KEY]
        assert Message.decode(encoded) == Message([])


class Framed(ImageSpec):
    """A spec with arguments."""

    format = "PNG"

    def __init__(self, source: Any = None, width: int = 10, more: Any = None) -> None:
        self.processors = [ResizeToFit(width, width)]
        self.more = more
        super().__init__(source)


def _fresh_storage() -> FileSystemStorage:
    """Give a storage of its own to whoever asks."""
    return FileSystemStorage(location="/srv/thumbnails", base_url="/thumbnails/")


class Elsewhere(Banner):
    """A spec whose storage comes from a callable."""

    cachefile_storage = staticmethod(_fresh_storage)


class TestDescribe:
    """How a cache file is described to another process."""

    def test_a_file_of_a_storage_is_named(self, name: str) -> None:
        """By the alias of the storage and by its name."""
        with registered(banner=Banner):
            file = get_image("tests:banner", source=name)
            assert describe(file) == {
                "spec": "tests:banner",
                "arguments": {},
                "digest": file.digest,
                "source": {"storage": "default", "name": name},
            }

    @pytest.mark.django_db
    def test_a_file_of_a_model_is_told_by_its_row(self, name: str) -> None:
        """Specs may look at the instance, so that the worker needs it."""
        photo = Photo.objects.create(original_image=name)
        found = describe(photo.thumbnail)
        assert found is not None
        assert found["source"] == {
            "model": "testapp.photo",
            "pk": str(photo.pk),
            "database": "default",
            "field": "original_image",
            "name": name,
        }

    def test_a_message_tells_the_arguments_of_a_generator(self, name: str) -> None:
        """Those that the generator was made with."""
        with registered(framed=Framed):
            found = describe(get_image("tests:framed", source=name, width=20))
        assert found is not None
        assert found["arguments"] == {"width": 20}

    def test_a_rendition_is_told_by_its_spec_and_its_changes(self, name: str) -> None:
        """Also the rendition of a rendition, and with the arguments of the spec."""
        with registered(framed=Framed):
            spec = get_image("tests:framed", source=name, width=20).generator
            found = describe(ImageCacheFile(Rendition(Rendition(spec, width=9), format="WEBP")))
        assert found is not None
        assert (found["spec"], found["arguments"]) == ("tests:framed", {"width": 20})
        assert found["rendition"] == {"format": "WEBP", "width": 9}

    def test_a_larger_rendition_is_told_by_how_much_it_is_larger(self, name: str) -> None:
        """A worker makes the very same file: its name and digest are those of the page's."""
        with registered(banner=Banner):
            spec = get_image("tests:banner", source=name).generator
            file = ImageCacheFile(Rendition(spec, times=170 / 120, quality=50, format="WEBP"))
            found = describe(file)
            assert found is not None
            assert ImageCacheFile(generator_of(found, source=name)).name == file.name

    def test_an_image_of_an_image_is_told_whole(self, name: str) -> None:
        """The worker makes the first one, if it must."""
        with registered(banner=Banner, framed=Framed):
            first = get_image("tests:banner", source=name)
            found = describe(get_image("tests:framed", source=first))
            assert found is not None
            assert found["source"] == {"image": describe(first)}

    def test_a_message_tells_nothing_but_json(self, name: str) -> None:
        """The thumbnail tag's anchor may be a pair."""
        file = get_image("imagekit:thumbnail", source=name, width=9, height=9, anchor=(0.2, 0.7))
        found = describe(file)
        assert found is not None
        assert through_json(found) == found

    def test_a_storage_that_comes_from_a_callable_is_told(self, name: str) -> None:
        """It is another object each time, and the same storage."""
        with registered(elsewhere=Elsewhere):
            file = get_image("tests:elsewhere", source=name)
            assert describe(file) is not None
            other = FileSystemStorage(location="/srv/other", base_url="/thumbnails/")
            aside = ImageCacheFile(file.generator, storage=other)
            assert aside.name == file.name
            assert describe(aside) is None

    @isolate_apps("tests.testapp")
    @pytest.mark.parametrize("key", ["default", "given", "composite"])
    def test_a_row_that_is_not_saved_is_not_described(self, key: str, name: str) -> None:
        """Its primary key is known, but no worker would find it."""

        class Image(models.Model):
            if key == "composite":
                pk = models.CompositePrimaryKey("one", "two")
                one = models.IntegerField(default=1)
                two = models.IntegerField(default=2)
            else:
                id = models.UUIDField(primary_key=True, default=uuid.uuid4)
            image = models.ImageField()
            small = ImageSpecField([ResizeToFit(9, 9)], source="image")

            class Meta:
                app_label = "testapp"

        row = Image(image=name, **({"id": uuid.UUID(int=5)} if key == "given" else {}))
        assert describe(row.small) is None
        row._state.adding = False
        assert describe(row.small) is not None

    @pytest.mark.django_db
    @pytest.mark.parametrize("case", ["class", "named", "argument", "storage", "upload", "unsaved"])
    def test_what_no_other_process_finds_is_not_described(
        self, case: str, name: str, media: Any
    ) -> None:
        """Such a file must be made where it was asked for."""
        upload = ContentFile((media / name).read_bytes(), "upload.jpg")
        aside = InMemoryStorage()
        aside.save(name, ContentFile(upload.read()))
        with registered(banner=Banner, framed=Framed):
            stored = get_image("tests:banner", source=name).generator.source
            elsewhere = type(stored)(name, aside)
            files = {
                "class": lambda: ImageCacheFile(Banner(source=name)),
                "named": lambda: ImageCacheFile(
                    get_image("tests:banner", source=name).generator, name="own.jpg"
                ),
                "argument": lambda: get_image("tests:framed", source=name, more=object()),
                "storage": lambda: get_image("tests:banner", source=elsewhere),
                "upload": lambda: get_image("tests:banner", source=upload),
                "unsaved": lambda: Photo(original_image=name).thumbnail,
            }
            assert storages["default"].exists(name)
            assert describe(files[case]()) is None
