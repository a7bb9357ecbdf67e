"""Content delivery networks are told of URLs that are not right any more."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import transaction

from imagekit_registry.cachefiles.urls import Prefix
from imagekit_registry.contrib.cdn import CDN, Cloudflare, CloudFront, Fastly
from imagekit_registry.signals import retired
from imagekit_registry.testing import wait_for_images
from tests.conftest import PHOTOS
from tests.contrib._sink import Sink
from tests.testapp.models import Photo

URLS = [f"https://example.com/media/a%20{number}.jpg?v=1" for number in range(31)]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """Return the URLs that have been retired."""
    urls: list[str] = []

    def note(**arguments: Any) -> None:
        urls.extend(arguments["urls"])

    retired.connect(note)
    yield urls
    retired.disconnect(note)


def content(photo: str) -> ContentFile[bytes]:
    """Return a photograph as it is uploaded."""
    return ContentFile((PHOTOS / photo).read_bytes(), name="a.jpg")


class TestRetired:
    """The signal."""

    def test_urls_of_a_source_that_is_replaced_are_retired(self, heard: list[str]) -> None:
        """Those that somebody may have; when the images are gone."""
        photo = Photo.objects.create(original_image=content("rocket.jpg"))
        assert heard == []
        urls = {photo.thumbnail.url, photo.banner.url}
        photo.original_image = content("coffee.png")
        photo.save()
        assert set(heard) == urls
        assert len(heard) == 2

    def test_urls_of_a_row_that_is_deleted_are_retired(self, heard: list[str]) -> None:
        """Once each, by the spec's own provider of URLs."""
        photo = Photo.objects.create(original_image=content("rocket.jpg"))
        type(photo.banner.spec).url_provider = Prefix("https://cdn.example.com")
        try:
            urls = {photo.thumbnail.url, photo.banner.url}
            photo.delete()
        finally:
            type(Photo(original_image="a.jpg").banner.spec).url_provider = None
        assert set(heard) == urls
        assert sum(url.startswith("https://cdn.example.com/CACHE") for url in heard) == 1

    def test_the_url_of_an_image_that_is_made_anew_is_retired(self, heard: list[str]) -> None:
        """Under the same name, what the networks keep is the former image."""
        photo = Photo.objects.create(original_image=content("rocket.jpg"))
        photo.thumbnail.generate()
        assert heard == []
        photo.thumbnail.generate(force=True)
        assert heard == [photo.thumbnail.url]
        photo.thumbnail.delete()
        assert heard == [photo.thumbnail.url] * 2

    def test_images_that_nobody_has_seen_retire_nothing(self, heard: list[str]) -> None:
        """There is no URL that would be wrong."""
        photo = Photo.objects.create(original_image=content("rocket.jpg"))
        photo.delete()
        assert heard == []


class TestNetworks:
    """What they are sent."""

    def test_cloudflare_is_sent_thirty_urls_a_request(self, sink: Sink) -> None:
        """With the token, as JSON."""
        Cloudflare(zone="ZONE", token="TOKEN", api=sink.url).purge(URLS)
        assert [request.method for request in sink.requests] == ["POST", "POST"]
        assert {request.path for request in sink.requests} == {"/zones/ZONE/purge_cache"}
        assert {request.headers["Authorization"] for request in sink.requests} == {"Bearer TOKEN"}
        sent = [json.loads(request.body)["files"] for request in sink.requests]
        assert sent == [URLS[:30], URLS[30:]]

    @pytest.mark.parametrize("soft", [False, True])
    def test_fastly_is_sent_each_url(self, sink: Sink, soft: bool) -> None:
        """As path and query, with the key; a soft purge says so."""
        Fastly(token="TOKEN", soft=soft, api=sink.url).purge(URLS[:2])
        paths = [request.path for request in sink.requests]
        assert paths == [f"/purge/example.com/media/a%20{number}.jpg?v=1" for number in range(2)]
        headers = [
            {name.lower(): value for name, value in request.headers.items()}
            for request in sink.requests
        ]
        assert all(each["fastly-key"] == "TOKEN" for each in headers)
        assert all(each.get("fastly-soft-purge") == ("1" if soft else None) for each in headers)

    def test_cloudfront_is_sent_all_paths(self, s3_server: str) -> None:
        """By boto3, to a server that speaks Amazon's protocol; with queries and without."""
        boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
        client = boto3.client(
            "cloudfront",
            endpoint_url=s3_server,
            region_name="us-east-1",
            aws_access_key_id="tests",
            aws_secret_access_key="only",
        )
        origin = {
            "Id": "o",
            "DomainName": "bucket.s3.us-east-1.amazonaws.com",
            "S3OriginConfig": {"OriginAccessIdentity": ""},
        }
        made = client.create_distribution(
            DistributionConfig={
                "CallerReference": "tests",
                "Origins": {"Quantity": 1, "Items": [origin]},
                "DefaultCacheBehavior": {
                    "TargetOriginId": "o",
                    "ViewerProtocolPolicy": "allow-all",
                },
                "Comment": "",
                "Enabled": True,
            }
        )
        distribution = made["Distribution"]["Id"]
        CloudFront(distribution=distribution, client=lambda: client).purge(URLS[:2])
        listed = client.list_invalidations(DistributionId=distribution)["InvalidationList"]
        (found,) = listed["Items"]
        told = client.get_invalidation(DistributionId=distribution, Id=found["Id"])
        paths = told["Invalidation"]["InvalidationBatch"]["Paths"]["Items"]
        names = ("/media/a%200.jpg", "/media/a%201.jpg")
        assert paths == [f"{name}{query}" for name in names for query in ("", "?v=1")]

    def test_a_network_is_told_after_the_commit(self, sink: Sink) -> None:
        """And not at all after a rollback; by absolute URLs."""
        network = Cloudflare(zone="Z", token="T", api=sink.url, base="https://example.com")
        network.connect()
        try:
            photo = Photo.objects.create(original_image=content("rocket.jpg"))
            urls = [photo.thumbnail.url, photo.thumbnail.url]
            with transaction.atomic():
                photo.thumbnail.delete()
                wait_for_images()
                assert sink.requests == []
            wait_for_images()
            (request,) = sink.requests
            assert json.loads(request.body) == {"files": [f"https://example.com{urls[0]}"]}
            assert photo.thumbnail.url
            with transaction.atomic():
                photo.thumbnail.delete()
                transaction.set_rollback(True)
            wait_for_images()
            assert len(sink.requests) == 1
        finally:
            network.disconnect()
        photo.thumbnail.delete()
        wait_for_images()
        assert len(sink.requests) == 1

    def test_a_network_that_says_no_is_logged(
        self, sink: Sink, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Nobody waits for it."""
        sink.statuses["POST"] = 500
        network = Fastly(token="T", api=sink.url)
        network.connect()
        try:
            retired.send(sender=None, urls=URLS[:1])
            wait_for_images()
        finally:
            network.disconnect()
        assert "Fastly keeps images that are gone" in caplog.text
        assert caplog.records[-1].levelno == logging.WARNING

    def test_a_network_of_ones_own_writes_one_method(self) -> None:
        """The base says which."""
        with pytest.raises(NotImplementedError, match="purge"):
            CDN().purge([])
