"""Storages of django-storages, over the protocol that they speak, and doubles of those without a server."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from PIL import Image

from imagekit_registry import ImageSpec
from imagekit_registry.cachefiles import ImageCacheFile, generate_many
from imagekit_registry.contrib.storages import reader_of
from imagekit_registry.exceptions import SourceNotFound, SourceUnavailable
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.specs import StoredFile, fingerprint
from imagekit_registry.state import Status
from tests.conftest import PHOTOS
from tests.storages import requests_to


class Small(ImageSpec):
    """A recipe."""

    processors = [ResizeToFit(60, 60)]
    format = "WEBP"


@pytest.fixture
def bucket(settings: Any, s3: dict[str, Any]) -> Any:
    """Return a storage of cache files and of one photograph, ``a.jpg``."""
    s3["location"] = "some/folder"
    options = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": s3}
    settings.STORAGES = {**settings.STORAGES, "bucket": options}
    settings.IMAGEKIT_DEFAULT_FILE_STORAGE = "bucket"
    storage = storages["bucket"]
    storage.save("a.jpg", ContentFile((PHOTOS / "rocket.jpg").read_bytes()))
    return storage


def image_of(bucket: Any, name: str = "a.jpg") -> ImageCacheFile:
    """Return the image of a source in the bucket."""
    return ImageCacheFile(Small(StoredFile(name, bucket)))


class TestSources:
    """What images are made of."""

    def test_an_image_is_made_of_what_one_request_gives(self, bucket: Any) -> None:
        """Also where the objects have a prefix."""
        file = image_of(bucket)
        file.generate()
        with file.open() as content, Image.open(content) as image:
            assert (image.format, image.size) == ("WEBP", (60, 40))
        assert file.state.fingerprint == fingerprint(file.source)

    def test_a_source_that_is_overwritten_has_another_fingerprint(self, bucket: Any) -> None:
        """Within one second, and of the same size."""
        source = StoredFile("a.jpg", bucket)
        before = fingerprint(source)
        content = bytearray((PHOTOS / "rocket.jpg").read_bytes())
        content[-3] ^= 1
        bucket.save("a.jpg", ContentFile(bytes(content)))
        assert before != fingerprint(source) != ""

    def test_an_image_whose_source_is_overwritten_while_it_is_made_is_made_anew(
        self, bucket: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The last request asks for that."""
        file = image_of(bucket)
        save = bucket.save

        def overwrite(name: str, content: Any) -> str:
            if name != "a.jpg":
                save("a.jpg", ContentFile((PHOTOS / "coffee.png").read_bytes()))
            return str(save(name, content))

        monkeypatch.setattr(bucket, "save", overwrite)
        file.generate()
        statuses = [file.state.status]
        monkeypatch.undo()
        file.generate()
        assert [*statuses, file.state.status] == [Status.MISSING, Status.EXISTS]
        assert file.height == 40

    def test_a_source_that_is_gone_is_said_to_be_gone(self, bucket: Any) -> None:
        """With its name and what to do."""
        with pytest.raises(SourceNotFound, match=r"gone\.jpg"):
            image_of(bucket, "gone.jpg").generate()
        assert fingerprint(StoredFile("gone.jpg", bucket)) == ""

    def test_a_bucket_that_does_not_answer_is_asked_once_for_a_source(
        self, bucket: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The error is ours."""
        client = bucket.connection.meta.client
        asked: Counter[str] = Counter()

        def refuse(**_: Any) -> None:
            asked["GET"] += 1
            raise ConnectionError("no route")

        monkeypatch.setattr(client, "get_object", refuse)
        with pytest.raises(SourceUnavailable, match="no route"):
            image_of(bucket).generate()
        assert asked == {"GET": 1}

    def test_a_failing_spec_does_not_take_the_source_from_others(self, bucket: Any) -> None:
        """They open it anew: what was read before is at its end."""

        class Bad(Small):
            @property
            def recipe(self) -> Any:
                raise ValueError("no recipe")

        good, bad = image_of(bucket), ImageCacheFile(Bad(StoredFile("a.jpg", bucket)), name="bad")
        outcome = generate_many([bad, good])
        assert (outcome.made, len(outcome.failures)) == ((good,), 1)
        with good.open() as content, Image.open(content) as image:
            assert image.size == (60, 40)

    def test_custom_generators_read_in_their_own_ways(self, bucket: Any) -> None:
        """Nothing is read for them beforehand."""

        class Own(Small):
            def generate(self) -> Any:
                with bucket.open("a.jpg") as content:
                    return ContentFile(content.read())

        requests = requests_to(bucket)
        ImageCacheFile(Own(StoredFile("a.jpg", bucket))).generate()
        assert requests["GET"] == 1


class TestReaders:
    """Which storages have one."""

    @pytest.mark.parametrize(
        "options",
        [
            {"gzip": True},
            {"object_parameters": {"SSECustomerKey": "k" * 32, "SSECustomerAlgorithm": "AES256"}},
        ],
    )
    def test_objects_that_need_more_than_their_names_are_read_by_the_storage(
        self, bucket: Any, options: dict[str, Any]
    ) -> None:
        """Which knows how."""
        assert reader_of(bucket) is not None
        for name, value in options.items():
            setattr(bucket, name, value)
        assert reader_of(bucket) is None

    def test_other_storages_have_no_reader(self) -> None:
        """They are used by Django's interface alone."""
        assert reader_of(FileSystemStorage()) is None
