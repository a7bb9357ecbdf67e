"""What an operator sees of images in the admin: the list of their records, and the overview."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import Client
from django.urls import reverse

from imagekit_registry import ImageSpec, get_image, register
from imagekit_registry.admin import CacheFileRecordAdmin, make_images_anew
from imagekit_registry.admin._records import MOST_AT_ONCE
from imagekit_registry.maintenance.overview import count_records
from imagekit_registry.models import CacheFileRecordRow
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.specs import Picture
from imagekit_registry.state import DatabaseStateStore, get_state_access
from imagekit_registry.testing import forget_state
from tests.conftest import require_service
from tests.pages import render
from tests.storages import content_of
from tests.testapp.models import Photo

# What is written in a transaction reaches the table when that is committed.
pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/imagekit_registry/cachefilerecordrow/"
OVERVIEW = f"{LIST}overview/"


@pytest.fixture
def table(settings: Any) -> None:
    """Keep the state in the database."""
    settings.IMAGEKIT_STATE_STORE = "database"
    forget_state()


@pytest.fixture
def operator(client: Client) -> Client:
    """Return a client that may do everything."""
    client.force_login(User.objects.create_superuser("admin"))
    return client


@pytest.fixture
def viewer(client: Client) -> Client:
    """Return a client that may look at records, and no more."""
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_cachefilerecordrow"))
    client.force_login(user)
    return client


@pytest.fixture
def photo(table: None, photos: Path) -> Photo:
    """Return a saved row with a photograph and one image of it."""
    photo = Photo.objects.create(title="rocket", original_image=content_of(photos / "rocket.jpg"))
    photo.thumbnail.generate()
    return photo


def row_of(file: Any) -> CacheFileRecordRow:
    """Return the row of a file."""
    return CacheFileRecordRow.objects.get(name=file.name)


def act(client: Client, action: str, *rows: Any, url: str = LIST) -> str:
    """Choose rows of a list, call an action, and return the page that is shown then."""
    data = {"action": action, "_selected_action": [row.pk for row in rows]}
    return client.post(url, data, follow=True).content.decode()


@pytest.mark.usefixtures("table")
class TestList:
    """The list, where the state is in the database."""

    def test_the_list_shows_what_is_known_of_each_image(
        self, photo: Photo, operator: Client
    ) -> None:
        """Status, spec, source and bytes; of one that failed, why and when it is tried again."""
        broken = Photo.objects.create(original_image=ContentFile(b"no image", name="broken.jpg"))
        assert broken.thumbnail.url
        html = operator.get(LIST).content.decode()
        assert "photos/rocket.jpg" in html
        assert "testapp:photo:thumbnail" in html
        assert "the file is not an image, or is damaged" in html
        assert html.index("photos/broken.jpg") < html.index("photos/rocket.jpg")

    @pytest.mark.parametrize(
        ("query", "shown"),
        [
            ("status=exists", True),
            ("status=failed", False),
            ("spec=testapp:photo:thumbnail", True),
            ("spec=testapp:photo:banner", False),
            ("q=rocket", True),
            ("q=somethingelse", False),
        ],
    )
    def test_the_list_is_filtered_and_searched(
        self, photo: Photo, operator: Client, query: str, shown: bool
    ) -> None:
        """By status, by spec, and by what stands in names and errors."""
        html = operator.get(f"{LIST}?{query}").content.decode()
        assert (f"{row_of(photo.thumbnail).pk}/change/" in html) is shown

    def test_a_record_is_shown_and_cannot_be_written_to(
        self, photo: Photo, operator: Client
    ) -> None:
        """All of it as text: no input, no button to save or delete."""
        url = f"{LIST}{row_of(photo.thumbnail).pk}/change/"
        html = operator.get(url).content.decode()
        assert str(photo.thumbnail.name) in html
        assert 'name="_save"' not in html
        assert "deletelink" not in html
        assert operator.post(url, {"name": "x"}).status_code == 403
        assert operator.get(f"{LIST}add/").status_code == 403

    def test_who_may_only_view_has_no_actions(self, photo: Photo, viewer: Client) -> None:
        """Nor does it help to send one."""
        assert "Make again" not in viewer.get(LIST).content.decode()
        act(viewer, "forget", row_of(photo.thumbnail))
        assert CacheFileRecordRow.objects.filter(name=photo.thumbnail.name).exists()

    def test_who_may_not_view_records_sees_nothing(self, table: None, client: Client) -> None:
        """Neither the list nor the overview."""
        client.force_login(User.objects.create_user("editor", is_staff=True))
        assert client.get(LIST).status_code == 403
        assert client.get(OVERVIEW).status_code == 403


@pytest.mark.usefixtures("table")
class TestActions:
    """What mends."""

    def test_an_image_of_a_field_is_made_again_at_once(
        self, photo: Photo, operator: Client
    ) -> None:
        """Its file was damaged; it is whole again, and the page says how many were made."""
        path = Path(photo.thumbnail.path)
        whole = path.read_bytes()
        path.write_bytes(b"damaged")
        assert "1 image was made anew." in act(operator, "make_again", row_of(photo.thumbnail))
        assert path.read_bytes() == whole

    def test_what_failed_is_tried_again_and_told(self, photo: Photo, operator: Client) -> None:
        """Before its time has come; the cause stands on the page."""
        broken = Photo.objects.create(original_image=ContentFile(b"no image", name="broken.jpg"))
        assert broken.thumbnail.url
        html = act(operator, "make_again", row_of(broken.thumbnail))
        assert "the file is not an image, or is damaged" in html
        assert row_of(broken.thumbnail).failures == 2

    def test_an_image_of_a_tag_is_made_again_by_the_next_page(
        self, photo: Photo, operator: Client
    ) -> None:
        """Nobody can tell from its record what it was made with; the page can."""
        tag = "{% thumbnail '30x30' photo.original_image as small %}{{ small.path }}"
        path = Path(render(tag, photo=photo))
        whole = path.read_bytes()
        path.write_bytes(b"damaged")
        html = act(operator, "make_again", CacheFileRecordRow.objects.get(width=30))
        assert "1 image is made anew by the next page that shows it." in html
        forget_state()
        assert render(tag, photo=photo) == str(path)
        assert path.read_bytes() == whole

    def test_an_image_that_a_picture_of_its_spec_offers_is_made_again_at_once(
        self, photo: Photo, operator: Client
    ) -> None:
        """What the picture offers stands in the spec."""

        @register.generator("tests:offered")
        class Offered(ImageSpec):
            processors = [ResizeToFit(200)]
            format = "JPEG"
            picture = Picture(formats=["WEBP"])

        render("{% picture 'tests:offered' source=photo.original_image %}", photo=photo)
        row = CacheFileRecordRow.objects.filter(spec_id="tests:offered", format="WEBP")[0]
        path = Path(storages["default"].path(row.name))
        path.write_bytes(b"damaged")
        assert "1 image was made anew." in act(operator, "make_again", row)
        assert path.read_bytes() != b"damaged"

    def test_an_image_of_a_worker_is_handed_to_one(self, photo: Photo, operator: Client) -> None:
        """The page says so, and does not say that it was made."""

        @register.generator("tests:later")
        class Later(ImageSpec):
            processors = [ResizeToFit(40)]
            cachefile_backend = "tests.management.conftest.Later"

        file = get_image("tests:later", source=photo.original_image)
        file.generate()
        html = act(operator, "make_again", row_of(file))
        assert "1 image was handed to a worker." in html
        assert "made anew" not in html

    def test_a_forgotten_record_is_gone_and_the_file_stays(
        self, photo: Photo, operator: Client
    ) -> None:
        """For every layer of the state: the next page looks into the storage."""
        html = act(operator, "forget", row_of(photo.thumbnail))
        assert "1 record was forgotten." in html
        assert not CacheFileRecordRow.objects.exists()
        assert get_state_access().get(photo.thumbnail.identity.key) is None
        assert Path(photo.thumbnail.path).exists()

    def test_the_images_of_chosen_rows_are_made_anew(
        self, photo: Photo, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In the list of their own model: of every spec field; and tags make theirs when shown."""
        tag = "{% thumbnail '30x30' photo.original_image as small %}{{ small.path }}"
        small, own = Path(render(tag, photo=photo)), Path(photo.thumbnail.path)
        for path in (small, own):
            path.write_bytes(b"damaged")
        monkeypatch.setattr(admin.site.get_model_admin(Photo), "actions", [make_images_anew])
        html = act(operator, "make_images_anew", photo, url="/admin/testapp/photo/")
        assert "3 images were made anew." in html
        assert own.read_bytes() != b"damaged"
        forget_state()
        render(tag, photo=photo)
        assert small.read_bytes() != b"damaged"

    def test_more_rows_than_a_browser_can_wait_for_are_refused(
        self, photo: Photo, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With the command that makes any number."""
        monkeypatch.setattr("imagekit_registry.admin._records.MOST_AT_ONCE", 0)
        assert MOST_AT_ONCE > 0
        html = act(operator, "make_again", row_of(photo.thumbnail))
        assert "manage.py generateimages --force" in html


class TestOverview:
    """The page with the numbers."""

    def test_the_overview_counts_by_spec_and_status(self, photo: Photo, operator: Client) -> None:
        """By one query; each spec leads to its list."""
        broken = Photo.objects.create(original_image=ContentFile(b"no image", name="broken.jpg"))
        assert broken.thumbnail.url
        html = operator.get(OVERVIEW).content.decode()
        row = html[html.index(">testapp:photo:thumbnail<") :]
        assert "<td>1</td><td>0</td><td>0</td><td>1</td>" in row[: row.index("</tr>")]
        assert "?spec=testapp%3Aphoto%3Athumbnail" in html
        assert "No image waits for a worker." in html
        assert f'<a href="{LIST}">All records</a>' in html
        assert f'<a href="{OVERVIEW}">Overview</a>' in operator.get(LIST).content.decode()
        assert "DatabaseStateStore (default)" in html
        assert "keeps apart the processes of one host" in html

    @pytest.mark.django_db(databases="__all__")
    @pytest.mark.parametrize("alias", ["default", "postgresql", "mariadb"])
    def test_the_numbers_and_the_order_are_the_same_in_every_database(self, alias: str) -> None:
        """What was made last comes after what is yet to be made; bytes are of what is there."""
        require_service(alias, alias in django_settings.DATABASES)
        rows = DatabaseStateStore(using=alias).rows()
        values: list[tuple[str, str, int | None, float | None]] = [
            ("a", "exists", 10, 1.0),
            ("a", "exists", 20, 3.0),
            ("a", "failed", 99, None),
            ("b", "exists", None, 2.0),
        ]
        rows.bulk_create(
            rows.model(
                key=str(at),
                key_digest=at,
                source_digest=0,
                spec_id=spec,
                status=status,
                size=size,
                made_at=made_at,
            )
            for at, (spec, status, size, made_at) in enumerate(values)
        )
        a, b = count_records(rows)
        assert (a.spec_id, a.numbers["exists"], a.numbers["failed"], a.size) == ("a", 2, 1, 30)
        assert (b.spec_id, b.numbers["exists"], b.numbers["failed"], b.size) == ("b", 1, 0, 0)
        ordered = rows.order_by(*CacheFileRecordAdmin.ordering)
        assert list(ordered.values_list("key", flat=True)) == ["2", "1", "3", "0"]

    def test_the_overview_shows_what_has_waited_longest(
        self, photo: Photo, operator: Client, settings: Any
    ) -> None:
        """Also when its worker should have been done long ago."""
        settings.IMAGEKIT_LOCK_TIMEOUT = 30
        waits = CacheFileRecordRow.objects.filter(name=photo.thumbnail.name)
        waits.update(status="generating", retry_at=time.time() - 3 * 3600 + 25)
        html = operator.get(OVERVIEW).content.decode().replace("\xa0", " ")
        assert "testapp:photo:thumbnail of photos/rocket.jpg, for 3 hours." in html

    def test_without_a_table_of_states_the_overview_says_so(self, operator: Client) -> None:
        """In place of the list, for no other store can list; and shows what it can."""
        for url in (LIST, OVERVIEW):
            html = operator.get(url).content.decode()
            assert "Images are not listed here" in html
            assert "CacheStateStore (default)" in html
            assert "All records" not in html

    def test_a_server_that_does_not_answer_is_shown_with_its_error(
        self, table: None, operator: Client, settings: Any
    ) -> None:
        """The page opens: that is what it is for."""
        settings.CACHES = {
            **settings.CACHES,
            "gone": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": "redis://127.0.0.1:1/0",
            },
        }
        settings.IMAGEKIT_CACHE_BACKEND = "gone"
        pytest.importorskip("redis")
        assert "ConnectionError" in operator.get(OVERVIEW).content.decode()

    def test_the_overview_has_its_place_in_the_urls_of_the_admin(self) -> None:
        """For who links to it."""
        assert reverse("admin:imagekit_registry_cachefilerecordrow_overview") == OVERVIEW
