"""Storages of django-storages, over the protocol that they speak, and doubles of those without a server."""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage, storages
from django.utils.module_loading import import_string
from PIL import Image

from imagekit_registry import ImageSpec
from imagekit_registry.cachefiles import ImageCacheFile, generate_many
from imagekit_registry.cachefiles.publishing import publish
from imagekit_registry.contrib.storages import reader_of, with_headers
from imagekit_registry.exceptions import SourceNotFound, SourceUnavailable
from imagekit_registry.models import ImageSpecField
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.specs import StoredFile, fingerprint
from imagekit_registry.state import Status
from tests.conftest import PHOTOS
from tests.contrib._sink import Sink


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
        assert not file.state.is_of_former(fingerprint(file.source) or "unknown")

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

    def test_custom_generators_read_in_their_own_ways(
        self, bucket: Any, s3_requests: Counter[str]
    ) -> None:
        """Nothing is read for them beforehand."""

        class Own(Small):
            def generate(self) -> Any:
                with bucket.open("a.jpg") as content:
                    return ContentFile(content.read())

        s3_requests.clear()
        ImageCacheFile(Own(StoredFile("a.jpg", bucket))).generate()
        assert s3_requests["GET"] == 1


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


HEADERS = {"CacheControl": "max-age=31536000, immutable", "ContentDisposition": "inline"}


class TestHeaders:
    """``storage_headers`` of a spec."""

    def told_of(self, bucket: Any, file: ImageCacheFile) -> tuple[Any, ...]:
        """Return what S3 sends with an image."""
        file.generate()
        told = bucket.bucket.Object(f"some/folder/{file.name}")
        return told.cache_control, told.content_disposition, told.content_type

    def test_s3_sends_the_headers_of_a_spec(self, bucket: Any) -> None:
        """And no others those of it: the storage is what it was."""

        class Kept(Small):
            storage_headers = HEADERS

        kept = ImageCacheFile(Kept(StoredFile("a.jpg", bucket)))
        plain = Small(StoredFile("a.jpg", bucket))
        plain.processors = [ResizeToFit(30)]
        assert self.told_of(bucket, kept) == (*HEADERS.values(), "image/webp")
        assert self.told_of(bucket, ImageCacheFile(plain)) == (None, None, "image/webp")
        assert kept.name == image_of(bucket).name

    def test_s3_is_told_what_a_file_is_whatever_its_name_says(self, bucket: Any) -> None:
        """Some names say nothing."""
        file = ImageCacheFile(Small(StoredFile("a.jpg", bucket)), name="CACHE/images/odd")
        assert self.told_of(bucket, file)[2] == "image/webp"

    def test_a_field_takes_headers_for_the_default_storage(
        self, settings: Any, bucket: Any, s3: Any, s3_requests: Counter[str]
    ) -> None:
        """Which Django wraps, until it is used."""
        options = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": s3}
        settings.STORAGES = {**settings.STORAGES, "default": options}
        source = StoredFile("a.jpg", default_storage)
        field = ImageSpecField([ResizeToFit(20)], storage_headers=HEADERS, id="storages:field")
        file = ImageCacheFile(field.get_spec(source))
        s3_requests.clear()
        assert self.told_of(bucket, file)[0] == HEADERS["CacheControl"]
        # One of the HEADs is our own.
        assert s3_requests == {"GET": 1, "HEAD": 3, "PUT": 1}

    def test_google_sends_the_headers_of_a_spec(self, sink: Sink) -> None:
        """By its own names, with the type of the file."""
        gcloud = pytest.importorskip(
            "storages.backends.gcloud", reason="google-cloud-storage is not installed"
        )
        sink.statuses["GET"] = 404
        storage = gcloud.GoogleCloudStorage(bucket_name="b", project_id="p")
        storage._client = gcloud.Client(
            project="p",
            credentials=import_string("google.auth.credentials.AnonymousCredentials")(),
            client_options={"api_endpoint": sink.url},
        )
        publish(storage, "a", io.BytesIO(b"..."), media_type="image/avif", headers=HEADERS)
        (upload,) = [request for request in sink.requests if request.method == "POST"]
        told = json.loads(upload.body.split(b"\r\n")[3])
        assert told["cacheControl"] == HEADERS["CacheControl"]
        assert told["contentDisposition"] == "inline"
        assert upload.headers["x-upload-content-type"] == "image/avif"

    @pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow")
    def test_azure_sends_the_headers_of_a_spec(self, sink: Sink) -> None:
        """By its own names, with the type of the file."""
        azure = pytest.importorskip(
            "storages.backends.azure_storage", reason="azure-storage-blob is not installed"
        )
        where = f"DefaultEndpointsProtocol=http;AccountName=a;BlobEndpoint={sink.url}/a;"
        storage = azure.AzureStorage(
            azure_container="c",
            overwrite_files=True,
            connection_string=f"{where}AccountKey=a2V5;",
        )
        sink.statuses |= {"HEAD": 404, "PUT": 201}
        publish(storage, "a", io.BytesIO(b"..."), media_type="image/avif", headers=HEADERS)
        (upload,) = [request for request in sink.requests if request.method == "PUT"]
        headers = {name.lower(): value for name, value in upload.headers.items()}
        assert headers["x-ms-blob-cache-control"] == HEADERS["CacheControl"]
        assert headers["x-ms-blob-content-disposition"] == "inline"
        assert headers["x-ms-blob-content-type"] == "image/avif"

    def test_a_storage_that_never_overwrites_does_so_where_nothing_is(self, bucket: Any) -> None:
        """And asks whether a name is free where that is not known."""
        bucket.file_overwrite = False
        assert with_headers(bucket, {}, "image/webp") is bucket
        free = with_headers(bucket, {}, "image/webp", is_free=True)
        assert (free.file_overwrite, bucket.file_overwrite) == (True, False)

    def test_other_storages_are_what_they_are(self) -> None:
        """They send nothing of this kind."""
        storage = FileSystemStorage()
        assert with_headers(storage, HEADERS, "image/webp") is storage
