"""What a page and a batch may ask of caches, databases, storages and decoders, as counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from typing import Any

import django
import pytest
from django.core.cache import caches
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import models

from imagekit_registry import ImageSpec, prefetch_images
from imagekit_registry.admin import AdminThumbnail
from imagekit_registry.cachefiles import ImageCacheFile, generate_many
from imagekit_registry.cachefiles.dimensions import size_to_come
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.specs import StoredFile
from imagekit_registry.testing import forget_state
from tests.caches import CountingCache
from tests.conftest import PHOTOS as PHOTOGRAPHS
from tests.pages import Banner, elements, registered, render
from tests.storages import CountingStorage, RemoteStorage
from tests.testapp.models import Photo

PHOTOS = 10
WIDTHS = (500, 400, 300, 200, 100)


def by_generateimage(photos: list[Photo]) -> str:
    """Return a page that shows the photographs by ``{% generateimage %}``."""
    tag = "{% generateimage 'tests:banner' source=p.original_image %}"
    return render("{% for p in photos %}" + tag + "{% endfor %}", photos=photos)


def by_thumbnail(photos: list[Photo]) -> str:
    """Return a page that shows them by ``{% thumbnail %}``."""
    tag = "{% thumbnail '50x40' p.original_image %}"
    return render("{% for p in photos %}" + tag + "{% endfor %}", photos=photos)


def by_field(photos: list[Photo]) -> str:
    """Return a page that shows the URL, width and height of a spec field."""
    tag = (
        '<img src="{{ p.with_spec.url }}" width="{{ p.with_spec.width }}"'
        ' height="{{ p.with_spec.height }}">'
    )
    return render("{% for p in photos %}" + tag + "{% endfor %}", photos=photos)


def by_admin(photos: list[Photo]) -> str:
    """Return what a list in the admin shows."""
    column = AdminThumbnail("with_spec")
    return "".join(column(photo) for photo in photos)


def in_batch(tag: str) -> Callable[[list[Photo]], str]:
    """Return what renders *tag* for each photograph in one ``{% imagebatch %}``."""
    loop = "{% imagebatch %}{% for p in photos %}" + tag + "{% endfor %}{% endimagebatch %}"
    return lambda photos: render(loop, photos=photos)


PAGES = {
    "generateimage": by_generateimage,
    "thumbnail": by_thumbnail,
    "spec field": by_field,
    "AdminThumbnail": by_admin,
}
BATCHES = {
    "generateimage": in_batch("{% generateimage 'tests:banner' source=p.original_image %}"),
    "thumbnail": in_batch("{% thumbnail '50x40' p.original_image %}"),
}

every_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)


@pytest.fixture(autouse=True)
def counting_storage(cache_calls: Counter[str], settings: Any) -> Iterator[None]:
    """Use a storage that counts as well, and a process memory that no slow run outlives."""
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "tests.storages.CountingStorage"},
    }
    settings.IMAGEKIT_LOCAL_STATE_TTL = 600
    with registered(banner=Banner):
        yield


@pytest.fixture
def photos(stored_photo: Any, db: None) -> list[Photo]:
    """Store ten photographs, and their rows."""
    names = [stored_photo(name=f"photos/{number}.jpg") for number in range(PHOTOS)]
    return Photo.objects.bulk_create(Photo(original_image=name) for name in names)


def storage_calls() -> Any:
    """Return what the default storage has counted."""
    storage = storages["default"]
    assert isinstance(storage, CountingStorage)
    return storage.calls


def forget_counts() -> None:
    """Begin to count."""
    CountingCache.calls.clear()
    storage_calls().clear()


@pytest.mark.usefixtures("photos")
class TestWarmPage:
    """A page whose images exist, in a process that has rendered it before."""

    @every_page
    def test_a_warm_page_asks_for_nothing_but_urls(
        self, page: Callable[[list[Photo]], str], django_assert_num_queries: Any
    ) -> None:
        """No cache round trip, no SQL, no storage call but ``url()``, and so no file opened."""
        page(list(Photo.objects.all()))
        fresh = list(Photo.objects.all())
        forget_counts()
        with django_assert_num_queries(0):
            html = page(fresh)
        assert all(img["width"] and img["height"] for img in elements(html))
        assert len(elements(html)) == PHOTOS
        assert CountingCache.calls == {}
        assert set(storage_calls()) == {"url"}


@pytest.mark.usefixtures("photos")
class TestFreshProcess:
    """A process that has shown none of the images, which exist."""

    @pytest.mark.parametrize("page", BATCHES.values(), ids=BATCHES)
    def test_a_fresh_process_asks_the_cache_once_in_a_batch(
        self, page: Callable[[list[Photo]], str]
    ) -> None:
        """Exactly one ``get_many``, for all of the images."""
        page(list(Photo.objects.all()))
        forget_state()
        forget_counts()
        assert len(elements(page(list(Photo.objects.all())))) == PHOTOS
        assert CountingCache.calls == {"get_many": 1}
        assert set(storage_calls()) == {"url"}

    @pytest.mark.parametrize("page", [by_field, by_admin], ids=["spec field", "AdminThumbnail"])
    def test_a_fresh_process_asks_the_cache_once_after_a_prefetch(
        self, page: Callable[[list[Photo]], str]
    ) -> None:
        """``prefetch_images`` makes the one round trip."""
        page(list(Photo.objects.all()))
        forget_state()
        forget_counts()
        page(prefetch_images(Photo.objects.all(), "with_spec"))
        assert CountingCache.calls == {"get_many": 1}
        assert set(storage_calls()) == {"url"}

    @pytest.mark.skipif(django.VERSION < (6, 1), reason="fetch modes came with Django 6.1")
    @pytest.mark.parametrize("page", [by_field, by_admin], ids=["spec field", "AdminThumbnail"])
    def test_a_fresh_process_asks_the_cache_once_for_peers(
        self, page: Callable[[list[Photo]], str]
    ) -> None:
        """With ``FETCH_PEERS``, the first image brings the state of the others."""
        page(list(Photo.objects.all()))
        forget_state()
        rows: Any = Photo.objects.all()
        fresh = list(rows.fetch_mode(models.FETCH_PEERS))
        forget_counts()
        page(fresh)
        assert CountingCache.calls == {"get_many": 1}
        assert set(storage_calls()) == {"url"}


def test_five_widths_are_made_of_one_open_and_one_decode(
    stored_photo: Any, decodes: list[object]
) -> None:
    """`generate_many` reads the source once, and its pixels once."""
    name = stored_photo()
    specs = [
        type(f"Wide{width}", (ImageSpec,), {"processors": [ResizeToFit(width)]}) for width in WIDTHS
    ]
    files = [ImageCacheFile(spec(source=name)) for spec in specs]
    forget_counts()
    outcome = generate_many(files)
    assert (len(outcome.made), outcome.failures) == (len(WIDTHS), ())
    assert storage_calls()["open"] == 1
    assert len(decodes) == 1


class CountingRemoteStorage(RemoteStorage):
    """A storage without paths, each of whose calls is a request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.calls: Counter[str] = Counter()

    def _open(self, name: str, mode: str = "rb") -> Any:
        self.calls["GET"] += 1
        return super()._open(name, mode)

    def _save(self, name: str, content: Any) -> str:
        self.calls["PUT"] += 1
        return super()._save(name, content)

    def exists(self, name: str) -> bool:
        self.calls["HEAD"] += 1
        return super().exists(name)

    def size(self, name: str) -> int:
        self.calls["HEAD"] += 1
        return super().size(name)

    def get_modified_time(self, name: str) -> Any:
        self.calls["HEAD"] += 1
        return datetime(2026, 1, 1, tzinfo=UTC)


def test_a_cold_image_on_a_storage_without_paths_costs_few_requests(
    photos: list[Photo], settings: Any
) -> None:
    """One more than the two of its source, what is asked of its name, and its reading and writing."""
    remote = {"BACKEND": f"{__name__}.CountingRemoteStorage"}
    settings.STORAGES = {**settings.STORAGES, "remote": remote}
    storage: Any = storages["remote"]
    storage.save("a.jpg", ContentFile(Path(photos[0].original_image.path).read_bytes()))

    class Remote(Banner):
        cachefile_storage = "remote"

    def make(*widths: int) -> dict[str, int]:
        storage.calls.clear()
        specs = [Remote(source=StoredFile("a.jpg", storage)) for _ in widths]
        for spec, width in zip(specs, widths, strict=True):
            spec.processors = [ResizeToFit(width, width)]
        assert generate_many(map(ImageCacheFile, specs)).failures == ()
        return dict(storage.calls)

    # One HEAD of those for each name is Django's, for storages that do not overwrite.
    assert make(10) == {"HEAD": 4, "GET": 1, "PUT": 1}
    assert make(20, 30, 40, 50) == {"HEAD": 10, "GET": 1, "PUT": 4}


def test_an_image_on_a_storage_without_paths_is_made_once_however_many_ask(
    photos: list[Photo], settings: Any
) -> None:
    """One by one or in batches: the storage is looked at under the lock, by one after the other."""
    remote = {"BACKEND": f"{__name__}.CountingRemoteStorage"}
    settings.STORAGES = {**settings.STORAGES, "remote": remote}
    storage: Any = storages["remote"]
    storage.save("a.jpg", ContentFile(Path(photos[0].original_image.path).read_bytes()))
    asking = 8
    barrier = Barrier(asking)

    def ask(number: int, widths: range) -> None:
        files = [
            ImageCacheFile(Shrunk(StoredFile("a.jpg", storage), width), storage=storage)
            for width in widths
        ]
        barrier.wait()
        if number % 2:
            assert generate_many(files).failures == ()
        assert all(file.url for file in files)

    storage.calls.clear()
    for start in range(10, 100, 10):
        with ThreadPoolExecutor(asking) as threads:
            list(threads.map(ask, range(asking), [range(start, start + 3)] * asking))
    assert storage.calls["PUT"] == 9 * 3


class Shrunk(ImageSpec):
    """An image of a width, which the storage of its source keeps as well."""

    format = "JPEG"

    def __init__(self, source: Any = None, width: int = 100) -> None:
        self.processors = [ResizeToFit(width)]
        super().__init__(source)


class TestS3:
    """Amazon's protocol: django-storages and boto3, as they are, and a server."""

    @pytest.fixture(params=[True, False], ids=["overwriting", "careful"])
    def requests(
        self, request: pytest.FixtureRequest, settings: Any, s3: Any, s3_requests: Counter[str]
    ) -> Counter[str]:
        """Return the counts of requests to a bucket with a photograph."""
        s3["file_overwrite"] = request.param
        options = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": s3}
        settings.STORAGES = {**settings.STORAGES, "default": options}
        content = (PHOTOGRAPHS / "rocket.jpg").read_bytes()
        storages["default"].save("a.jpg", ContentFile(content))
        s3_requests.clear()
        return s3_requests

    def make(self, *widths: int) -> list[ImageCacheFile]:
        """Make images of these widths together."""
        files = [ImageCacheFile(Shrunk("a.jpg", width)) for width in widths]
        assert generate_many(files).failures == ()
        return files

    def test_a_cold_image_costs_two_heads_one_get_and_one_put(self, requests: Counter[str]) -> None:
        """Is it there? And is the source, when it is done, the one that was read?"""
        file = ImageCacheFile(Shrunk("a.jpg"))
        assert (file.url.startswith("http"), file.width, file.height) == (True, 100, 67)
        assert requests == {"HEAD": 2, "GET": 1, "PUT": 1}
        forget_state()
        assert ImageCacheFile(Shrunk("a.jpg")).url
        assert requests.total() == 4

    def test_five_images_of_a_source_cost_six_heads_and_one_get(
        self, requests: Counter[str]
    ) -> None:
        """Each is looked for, and the source is read once for all of them."""
        self.make(10, 20, 30, 40, 50)
        assert requests == {"HEAD": 6, "GET": 1, "PUT": 5}

    def test_an_image_whose_state_is_lost_costs_one_head(self, requests: Counter[str]) -> None:
        """The storage knows."""
        (file,) = self.make(10)
        requests.clear()
        caches["default"].clear()
        forget_state()
        assert ImageCacheFile(Shrunk("a.jpg", 10)).url == file.url
        assert requests == {"HEAD": 1}

    def test_the_size_of_an_image_to_come_costs_one_get(self, requests: Counter[str]) -> None:
        """Of the source, whose header tells it; the state keeps it."""
        for _ in range(2):
            assert size_to_come(ImageCacheFile(Shrunk("a.jpg"))) == (100, 67)
        assert requests == {"GET": 1}


@pytest.mark.parametrize(("every", "requests"), [(None, 1), (60, 4)])
def test_an_image_on_a_storage_without_paths_whose_state_is_lost_costs_one_request(
    photos: list[Photo], settings: Any, every: int | None, requests: int
) -> None:
    """As with django-imagekit; whether its source is newer is asked if the setting wants it."""
    settings.IMAGEKIT_VERIFY_SOURCES_EVERY = every
    remote = {"BACKEND": f"{__name__}.CountingRemoteStorage"}
    settings.STORAGES = {**settings.STORAGES, "remote": remote}
    storage: Any = storages["remote"]
    storage.save("a.jpg", ContentFile(Path(photos[0].original_image.path).read_bytes()))
    for _ in range(2):
        storage.calls.clear()
        caches["default"].clear()
        forget_state()
        assert ImageCacheFile(Banner(StoredFile("a.jpg", storage)), storage=storage).url
    assert storage.calls == {"HEAD": requests}
