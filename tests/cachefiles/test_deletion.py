"""Every image of a source is deleted, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.files.storage import FileSystemStorage, storages

from imagekit_registry import ImageSpec, delete_images, get_image
from imagekit_registry.exceptions import PublishError
from imagekit_registry.specs import StoredFile
from imagekit_registry.state import DatabaseStateStore
from imagekit_registry.testing import forget_state
from tests.pages import Banner, registered, render
from tests.storages import BrokenStorage
from tests.testapp.models import Photo

pytestmark = pytest.mark.django_db(transaction=True)

TAGS = (
    "{% generateimage 'tests:banner' source=photo %}{% thumbnail '30x20' photo srcset='2' %}"
    "{% picture 'tests:banner' source=photo formats='WEBP' widths='9 20' %}"
    "{% generateimage 'tests:banner' source=photo as first %}{% thumbnail '9x9' first %}"
    "{% thumbnail '30x20' photo as first %}{% thumbnail '9x9' first %}"
)
#: The image itself, two thumbnails, two widths and two of WebP, and two of images.
COUNT = 9


@pytest.fixture(params=["cache", "database"])
def store(request: Any, settings: Any) -> Iterator[str]:
    """Keep the state in each store, and register a spec."""
    settings.IMAGEKIT_STATE_STORE = request.param
    with registered(banner=Banner):
        yield str(request.param)


@pytest.fixture
def cached(store: str, media: Path) -> Callable[[], set[str]]:
    """Return a function that gives the names of all cache files."""
    return lambda: {
        str(path.relative_to(media)) for path in (media / "CACHE").rglob("*") if path.is_file()
    }


@pytest.fixture
def cloud(settings: Any) -> Any:
    """Keep images in a storage that cannot list."""
    settings.STORAGES = {**settings.STORAGES, "cloud": {"BACKEND": "tests.storages.BrokenStorage"}}
    settings.IMAGEKIT_DEFAULT_FILE_STORAGE = "cloud"
    return storages["cloud"]


def test_every_image_of_a_source_goes_and_no_other(
    cached: Callable[[], set[str]], stored_photo: Any
) -> None:
    """Those of specs, of tags, renditions, and images of images; a page makes them again."""
    one, other = stored_photo("rocket.jpg", "photos/a.jpg"), stored_photo(name="photos/b.jpg")
    render(TAGS, photo=other)
    kept = cached()
    assert len(kept) == COUNT
    html = render(TAGS, photo=one)
    assert len(cached()) == 2 * COUNT
    forget_state()
    delete_images(one)
    assert cached() == kept
    assert storages["default"].exists(one)
    delete_images(one)
    forget_state()
    assert render(TAGS, photo=one) == html
    assert len(cached()) == 2 * COUNT


def test_images_of_a_field_go_with_what_fields_made(
    cached: Callable[[], set[str]], name: str
) -> None:
    """The file of an image field is a source as well; an empty one has no images."""
    photo = Photo.objects.create(original_image=name)
    assert photo.thumbnail.url
    render(TAGS, photo=photo.original_image)
    delete_images(photo.original_image)
    assert cached() == set()
    assert storages["default"].exists(name)
    delete_images(Photo().original_image)
    delete_images("")
    delete_images(None)


def test_images_of_which_nothing_is_known_go_by_their_folder(
    cached: Callable[[], set[str]], stored_photo: Any
) -> None:
    """A cache that was flushed, or files from another store: if no other source can have made them."""
    one = stored_photo(name="photos/a.jpg")
    render(TAGS, photo=one)
    forget_everything()
    storages["default"].delete(one)
    delete_images(one)
    # The folder of an image of an image is known by its own name alone.
    assert cached() == set()


@pytest.mark.parametrize("place", ["beside", "elsewhere"])
def test_images_that_may_be_of_another_source_stay(
    cached: Callable[[], set[str]],
    stored_photo: Any,
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of "a.png" beside "a.jpg", or of a file of that name in the storage of a field."""
    one, other = stored_photo(name="photos/a.jpg"), stored_photo("coffee.png", "photos/a.png")
    if place == "elsewhere":
        private = FileSystemStorage(location=str(tmp_path / "private"), base_url="/private/")
        with storages["default"].open(one) as file:
            private.save(one, file)
        storages["default"].delete(other)
        monkeypatch.setattr(Photo._meta.get_field("original_image"), "storage", private)
        other = StoredFile(one, private)
    page = "{% thumbnail '30x20' photo %}"
    render(page, photo=other)
    kept = cached()
    render(page, photo=one)
    delete_images(one)
    assert cached() == kept
    render(page, photo=one)
    both = cached()
    forget_everything()
    delete_images(one)
    assert kept <= cached() <= both


def test_images_under_names_that_do_not_tell_their_source_stay_if_nothing_is_known(
    cached: Callable[[], set[str]], stored_photo: Any
) -> None:
    """Only a record says whose image has such a name."""

    class Named(Banner):
        namer = "imagekit_registry.cachefiles.namers.source_name_and_field"

    one, other = stored_photo(name="photos/a.jpg"), stored_photo("coffee.png", "photos/a.png")
    with registered(named=Named):
        render("{% generateimage 'tests:named' source=photo %}", photo=other)
        delete_images(one)
        forget_everything()
        delete_images(one)
        assert len(cached()) == 1
        render("{% generateimage 'tests:named' source=photo %}", photo=other)
        delete_images(other)
        assert cached() == set()


def test_images_of_a_generator_with_a_source_of_its_own_stay(
    cached: Callable[[], set[str]], stored_photo: Any
) -> None:
    """Whatever source it is given."""

    class Logo(Banner):
        def __init__(self, source: Any = None) -> None:
            super().__init__("photos/logo.jpg")

    one, logo = stored_photo(name="photos/a.jpg"), stored_photo(name="photos/logo.jpg")
    with registered(logo=Logo):
        render("{% generateimage 'tests:logo' source=photo %}", photo=one)
        delete_images(one)
        assert len(cached()) == 1
        delete_images(logo)
        assert cached() == set()


def test_images_beside_those_of_others_go_by_their_names(
    cached: Callable[[], set[str]], stored_photo: Any, settings: Any
) -> None:
    """Of namers that give no folder to a source."""
    settings.IMAGEKIT_SPEC_CACHEFILE_NAMER = (
        "imagekit_registry.cachefiles.namers.source_name_dot_hash"
    )
    one, other = stored_photo(name="photos/a.jpg"), stored_photo(name="photos/ab.jpg")
    render("{% thumbnail '30x20' photo %}", photo=other)
    kept = cached()
    render("{% thumbnail '30x20' photo %}", photo=one)
    forget_everything()
    delete_images(one)
    assert cached() == kept


def test_the_source_stays_whatever_names_are_given(
    cached: Callable[[], set[str]], name: str
) -> None:
    """A namer may give the name of the source itself."""

    class Same(ImageSpec):
        namer = staticmethod(lambda spec: spec.source.name)

    with registered(same=Same):
        delete_images(name)
    assert storages["default"].exists(name)


def test_a_storage_that_cannot_list_is_cleaned_by_records_and_names(
    store: str, cloud: BrokenStorage, stored_photo: Any
) -> None:
    """A cache does not know what tags made there; a registered spec gives the same name again."""
    one, other = stored_photo(name="photos/a.jpg"), stored_photo(name="photos/b.jpg")
    render(TAGS, photo=other)
    kept = set(cloud.contents)
    render(TAGS, photo=one)
    delete_images(one)
    gone = get_image("tests:banner", source=one).name
    assert gone not in cloud.contents
    assert kept <= cloud.contents.keys()
    if store == "database":
        assert cloud.contents.keys() == kept
        assert {record.source for _, record in DatabaseStateStore().iter_items()}.isdisjoint({one})


def test_images_that_a_storage_does_not_let_go_are_told(
    store: str, cloud: BrokenStorage, name: str, caplog: Any
) -> None:
    """The error names the source, the log the storage's reason; the next call deletes them."""
    render("{% generateimage 'tests:banner' source=photo %}", photo=name)
    cloud.failures["delete"] = ConnectionError("no route")
    with pytest.raises(PublishError, match=r"'photos/rocket\.jpg': not all of its images"):
        delete_images(name)
    assert "no route" in caplog.text
    cloud.failures.clear()
    delete_images(name)
    assert cloud.contents == {}


def forget_everything() -> None:
    """Lose the state, in either store."""
    caches["default"].clear()
    store = DatabaseStateStore()
    store.delete_many([key for key, _ in store.iter_items()])
    forget_state()
