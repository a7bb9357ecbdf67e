"""Fixtures that every room's tests share."""

from __future__ import annotations

import copy
import os
import pickle
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.checks.registry import registry as check_registry
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from imagekit_registry.imaging import Plan
from imagekit_registry.imaging._decoder_pillow import PillowImage
from imagekit_registry.registry import generator_registry, source_group_registry
from imagekit_registry.specs.sourcegroups import ImageFieldSourceGroup, _watcher
from imagekit_registry.testing import forget_state, wait_for_images
from tests.caches import CountingCache

PHOTOS = Path(__file__).resolve().parent.parent / "demo" / "photos"


def require(available: bool, reason: str) -> None:
    """Skip the test for *reason* if what it needs is absent; fail when the run demands it."""
    if available:
        return
    if os.environ.get("IMAGEKIT_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{reason}, and IMAGEKIT_REQUIRE_SERVICES is 1")
    pytest.skip(reason)


def require_service(name: str, available: bool) -> None:
    """Skip the test if a server is absent; fail instead when the run demands servers."""
    require(available, f"{name} is not running on this machine")


@pytest.fixture(autouse=True)
def media(tmp_path: Path, settings: Any) -> Iterator[Path]:
    """Give every test a media folder and caches of its own."""
    root = tmp_path / "media"
    root.mkdir()
    settings.MEDIA_ROOT = root
    caches["default"].clear()
    forget_state()
    yield root
    # A thread that is left over would work on in the next test, half in its folder.
    wait_for_images()
    caches["default"].clear()


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """Take out of the registries what a test has put there: checks and commands read all of it.

    An app that a test has installed has put its checks there.
    """
    generators = dict(generator_registry._generators)
    offers = dict(generator_registry._offers)
    groups = list(source_group_registry._groups)
    shared = dict(ImageFieldSourceGroup._shared)
    watching = list(_watcher._groups)
    checks = set(check_registry.registered_checks)
    yield
    check_registry.registered_checks = checks
    generator_registry._generators = generators
    generator_registry._offers = offers
    generator_registry.version += 1
    source_group_registry._groups = groups
    ImageFieldSourceGroup._shared.clear()
    ImageFieldSourceGroup._shared.update(shared)
    # A group that stayed would announce all again beside the one that is made in its place.
    _watcher._groups[:] = watching


@pytest.fixture
def photos() -> Path:
    """Return the folder of real photographs."""
    return PHOTOS


@pytest.fixture
def stored_photo() -> Any:
    """Return a function that puts a real photograph into the default storage and gives its name."""

    def store(photo: str = "rocket.jpg", name: str | None = None) -> str:
        content = ContentFile((PHOTOS / photo).read_bytes())
        return storages["default"].save(name or f"photos/{photo}", content)

    return store


@pytest.fixture
def name(stored_photo: Any) -> str:
    """Return the name of a stored photograph, of 640 x 427 pixels."""
    return str(stored_photo())


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Return the address of a server that speaks Amazon's protocol, for the time of all tests."""
    server_of = pytest.importorskip("moto.server", reason="moto is not installed")
    server = server_of.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def s3(s3_server: str) -> dict[str, Any]:
    """Return the options of django-storages for an empty bucket."""
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    keys = {"aws_access_key_id": "tests", "aws_secret_access_key": "only"}
    bucket = f"bucket-{secrets.token_hex(8)}"
    client = boto3.client("s3", endpoint_url=s3_server, region_name="us-east-1", **keys)
    client.create_bucket(Bucket=bucket)
    return {
        "bucket_name": bucket,
        "endpoint_url": s3_server,
        "region_name": "us-east-1",
        "access_key": "tests",
        "secret_key": "only",
    }


@pytest.fixture
def s3_requests(s3: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return what counts the requests that boto3 sends for the bucket from now on, by their methods."""
    session = import_module("botocore.httpsession").URLLib3Session
    counts: Counter[str] = Counter()
    send = session.send

    def counted(self: Any, request: Any) -> Any:
        # A thread of another test may have something left to do.
        counts[request.method] += s3["bucket_name"] in request.url
        return send(self, request)

    monkeypatch.setattr(session, "send", counted)
    return counts


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a list that gets what is decoded, once for each decode."""
    found: list[object] = []
    decode = PillowImage.decode

    def counted(self: PillowImage, plan: Plan) -> Any:
        found.append(self)
        return decode(self, plan)

    monkeypatch.setattr(PillowImage, "decode", counted)
    return found


@pytest.fixture
def cache_calls(settings: Any) -> Iterator[Counter[str]]:
    """Keep the state in a cache that counts its round trips, and return the counts."""
    settings.CACHES = {"default": {"BACKEND": "tests.caches.CountingCache", "LOCATION": "counting"}}
    caches["default"].clear()
    CountingCache.calls.clear()
    yield CountingCache.calls
    caches["default"].clear()


@pytest.fixture(
    params=[copy.copy, copy.deepcopy, lambda item: pickle.loads(pickle.dumps(item))],
    ids=["copy", "deepcopy", "pickle"],
)
def duplicate(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Return each way to copy an object."""
    made: Callable[[Any], Any] = request.param
    return made
