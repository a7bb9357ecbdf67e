"""The admin: thumbnails in lists, and a file input that shows the image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, models
from django.template import engines
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.datastructures import MultiValueDict

from imagekit_registry import get_image, register, unregister
from imagekit_registry.admin import (
    AdminThumbnail,
    FocalPointWidget,
    ImageAdminMixin,
    ImageAdminWidget,
)
from imagekit_registry.exceptions import InvalidArgument
from imagekit_registry.generatorlibrary import ADMIN_PREVIEW_ID, AdminPreview
from imagekit_registry.models import CacheFileRecordRow, FocalPoint
from imagekit_registry.processors import Adjust
from imagekit_registry.registry import generator_registry
from imagekit_registry.state import forget_local_states
from imagekit_registry.testing import assert_storage_calls
from tests.pages import elements
from tests.storages import CountingStorage, content_of
from tests.testapp.models import Album, AlbumPhoto, Photo, Portrait, Profile

pytestmark = pytest.mark.django_db

HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture
def photo(photos: Path) -> Photo:
    """Return a saved instance with a real photograph."""
    return Photo.objects.create(title="rocket", original_image=content_of(photos / "rocket.jpg"))


@pytest.fixture
def broken(stored_photo: Any) -> Photo:
    """Return an instance whose image was damaged on the disk."""
    name = storages["default"].save("photos/broken.jpg", ContentFile(b"no image"))
    return Photo.objects.create(title="broken", original_image=name)


@pytest.fixture
def superuser(client: Client) -> Client:
    """Return a client that may do everything."""
    client.force_login(User.objects.create_superuser("admin", "admin@example.com", "admin"))
    return client


class TestThumbnail:
    """`AdminThumbnail`, by itself."""

    def test_an_admin_thumbnail_shows_the_image_and_links_to_the_original(
        self, photo: Photo
    ) -> None:
        """With its dimensions, loaded when it is seen, and named after the row."""
        html = AdminThumbnail("thumbnail")(photo)
        assert html.strip() == (
            f'<a href="/media/photos/rocket.jpg"><img class="imagekit-thumbnail"'
            f' src="{photo.thumbnail.url}" width="50" height="50" alt="rocket" loading="lazy"></a>'
        )

    def test_an_admin_thumbnail_of_an_image_field_links_to_itself(self, photo: Photo) -> None:
        """A plain image is shown as it is, and not opened for that."""
        html = AdminThumbnail("original_image")(photo)
        assert html.count("/media/photos/rocket.jpg") == 2
        assert "width" not in html

    def test_an_admin_thumbnail_takes_a_callable(self, photo: Photo) -> None:
        """Whatever the callable returns is shown."""
        html = AdminThumbnail(lambda item: item.banner)(photo)
        assert photo.banner.url in html

    def test_an_admin_thumbnail_links_to_the_page_of_the_object_if_there_is_one(
        self, photo: Photo
    ) -> None:
        """A model with a page of its own links there, as in django-imagekit."""
        photo.get_absolute_url = lambda: "/rocket/?a=1&b=2"  # type: ignore[attr-defined]
        assert '<a href="/rocket/?a=1&amp;b=2">' in AdminThumbnail("thumbnail")(photo)

    def test_an_admin_thumbnail_gives_its_template_what_it_needs(
        self, photo: Photo, settings: Any
    ) -> None:
        """A template of one's own gets model, thumbnail and original."""
        text = "{{ model.title }} {{ thumbnail.width }} {{ original_image.url }}"
        templates = {"mine.html": text}
        settings.TEMPLATES = [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", templates)]},
            }
        ]
        assert engines.all()
        html = AdminThumbnail("thumbnail", template="mine.html")(photo)
        assert html == "rocket 50 /media/photos/rocket.jpg"
        templates["imagekit/admin/thumbnail.html"] = "[{{ image }}]"
        html = AdminThumbnail("thumbnail")(photo)
        assert html.startswith("[<a href=")
        assert html.endswith("</a>]")

    def test_an_admin_thumbnail_escapes_what_users_have_written(self, photos: Path) -> None:
        """Neither a title nor a file name can add markup."""
        photo = Photo(title=HOSTILE)
        photo.original_image.save("a'b.jpg", content_of(photos / "rocket.jpg"))
        html = AdminThumbnail("thumbnail")(photo)
        assert "<script>" not in html
        assert "&lt;script&gt;" in html

    @pytest.mark.parametrize("field", ["thumbnail", "original_image"])
    def test_an_admin_thumbnail_of_no_image_is_empty(self, field: str) -> None:
        """An empty column is no error."""
        assert AdminThumbnail(field)(Photo(title="none")).strip() == ""
        assert AdminThumbnail(lambda item: None)(Photo()).strip() == ""

    def test_an_admin_thumbnail_of_an_unknown_field_names_field_and_model(
        self, photo: Photo
    ) -> None:
        """A typo is told apart from an empty image."""
        with pytest.raises(InvalidArgument, match=r"'thumbnial'.*Photo"):
            AdminThumbnail("thumbnial")(photo)

    def test_an_admin_thumbnail_of_a_broken_image_obeys_the_settings(
        self, broken: Photo, settings: Any
    ) -> None:
        """Production shows what stands in, development tells the cause."""
        show = AdminThumbnail("thumbnail")
        settings.IMAGEKIT_ON_ERROR = "placeholder"
        assert 'src="data:image/svg+xml' in show(broken)
        assert 'width="50" height="50"' in show(broken)
        settings.IMAGEKIT_ON_ERROR = "source"
        assert 'src="/media/photos/broken.jpg"' in show(broken)
        settings.IMAGEKIT_ON_ERROR = "empty"
        assert show(broken).strip() == ""
        settings.IMAGEKIT_ON_ERROR = "raise"
        assert show(broken) == (
            '<span class="imagekit-missing">No thumbnail: the file is not an image, or is'
            " damaged</span>"
        )

    def test_an_admin_thumbnail_tells_a_cause_as_text(
        self, photo: Photo, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Markup in the message of a processor stays text."""

        def fail(self: Any, image: Any) -> Any:
            raise ValueError(HOSTILE)

        settings.IMAGEKIT_ON_ERROR = "raise"
        monkeypatch.setattr(Adjust, "process", fail)
        html = AdminThumbnail("thumbnail")(photo)
        assert "No thumbnail:" in html
        assert "<script>" not in html
        assert "&lt;script&gt;" in html

    def test_a_storage_that_fails_is_no_failure_of_the_list(
        self, photo: Photo, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A storage without its network costs the pictures, not the page."""

        def fail(name: str) -> str:
            raise ConnectionError("no route to host")

        assert photo.thumbnail.url
        monkeypatch.setattr(photo.thumbnail.storage, "url", fail)
        settings.IMAGEKIT_ON_ERROR = "placeholder"
        assert AdminThumbnail("thumbnail")(photo) == ""

    def test_an_admin_thumbnail_is_named_in_the_list(self) -> None:
        """And the name can be changed."""
        assert str(AdminThumbnail("thumbnail").short_description) == "Thumbnail"

    def test_an_admin_thumbnail_asks_a_warm_storage_for_urls_alone(
        self, photo: Photo, settings: Any, django_assert_num_queries: Any
    ) -> None:
        """No file is opened, nothing is looked up, no query is made."""
        show = AdminThumbnail("thumbnail")
        show(photo)
        storage = CountingStorage()
        photo.thumbnail.storage = storage
        with django_assert_num_queries(0):
            assert "img" in show(photo)
        assert set(storage.calls) == {"url"}


class TestPages:
    """The admin's own pages."""

    def test_the_list_shows_a_thumbnail_in_each_row(
        self, superuser: Client, photo: Photo, broken: Photo
    ) -> None:
        """A thumbnail in each row, whatever its image is like."""
        Photo.objects.create(title="none")
        html = superuser.get("/admin/testapp/photo/").text
        assert html.count('class="imagekit-thumbnail"') == 2
        assert html.count('href="/static/imagekit/admin.css"') == 1, "which has their style"
        assert photo.thumbnail.url in html
        assert 'class="column-admin_thumbnail"' in html

    def test_the_list_looks_up_all_its_columns_by_one_query(
        self, superuser: Client, photo: Photo, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However many rows and columns, with names or without; one that fails keeps nothing back."""
        settings.IMAGEKIT_STATE_STORE = "database"
        photo_admin = admin.site.get_model_admin(Photo)
        columns = {
            "first": AdminThumbnail("thumbnail"),
            "second": AdminThumbnail("banner"),
            "third": AdminThumbnail("with_spec"),
            "fourth": AdminThumbnail(
                lambda row: get_image("imagekit:thumbnail", source=row.original_image, width=30)
            ),
        }
        for name, column in columns.items():
            monkeypatch.setattr(photo_admin, name, column, raising=False)
        itself = AdminThumbnail(lambda row: row.banner)
        monkeypatch.setattr(photo_admin, "list_display", ["title", *columns, itself])
        for number in range(9):
            Photo.objects.create(title=str(number), original_image=photo.original_image.name)
        superuser.get("/admin/testapp/photo/")  # makes them
        forget_local_states()

        with CaptureQueriesContext(connection) as queries:
            html = superuser.get("/admin/testapp/photo/").text

        assert html.count('class="imagekit-thumbnail"') == 50
        table = CacheFileRecordRow._meta.db_table
        assert sum(table in query["sql"] for query in queries) == 1

    def test_the_admin_form_shows_preview_and_thumbnail(
        self, superuser: Client, photo: Photo
    ) -> None:
        """The preview stands beside Django's own link and clear box."""
        html = superuser.get(f"/admin/testapp/photo/{photo.pk}/change/").text
        preview = re.search(r'<a class="imagekit-preview"[^>]*><img[^>]*>', html)
        assert preview is not None
        assert 'href="/media/photos/rocket.jpg"' in preview[0]
        assert 'width="240" height="160"' in preview[0]
        assert ".webp" in preview[0]
        assert 'name="original_image-clear"' in html
        assert "Currently" in html
        assert "imagekit/admin.css" in html
        assert 'class="imagekit-thumbnail"' in html

    @pytest.mark.parametrize("page", ["add/", "{}/change/"])
    def test_the_admin_form_labels_the_input(
        self, superuser: Client, photo: Photo, page: str
    ) -> None:
        """Who cannot see the page is told what the file is for, with a stored image or without."""
        html = superuser.get(f"/admin/testapp/photo/{page.format(photo.pk)}").text
        assert re.search(r'<label[^>]* for="id_original_image"[^>]*>\s*Original image', html)

    def test_the_admin_form_of_a_new_object_shows_no_preview(self, superuser: Client) -> None:
        """There is nothing to show yet."""
        html = superuser.get("/admin/testapp/photo/add/").text
        assert "imagekit-preview" not in html
        assert 'type="file"' in html

    @pytest.mark.parametrize("on_error", ["placeholder", "raise"])
    def test_list_and_form_of_a_broken_image_open(
        self, superuser: Client, broken: Photo, settings: Any, on_error: str
    ) -> None:
        """Where else could the image be replaced? The cause is told."""
        settings.IMAGEKIT_ON_ERROR = on_error
        html = superuser.get("/admin/testapp/photo/").text
        assert f"/admin/testapp/photo/{broken.pk}/change/" in html
        response = superuser.get(f"/admin/testapp/photo/{broken.pk}/change/")
        assert response.status_code == 200
        assert "No preview: the file is not an image, or is damaged" in response.text

    def test_the_admin_form_with_a_bad_upload_shows_what_is_stored(
        self, superuser: Client, photo: Photo
    ) -> None:
        """Nothing is shown of an upload that was refused."""
        response = superuser.post(
            f"/admin/testapp/photo/{photo.pk}/change/",
            {"title": "x", "original_image": SimpleUploadedFile("bad.jpg", b"text")},
        )
        assert "Upload a valid image." in response.text
        assert 'href="/media/photos/rocket.jpg"' in response.text
        assert "bad.jpg" not in response.text

    def test_the_admin_form_replaces_and_clears_an_image(
        self, superuser: Client, photo: Photo, photos: Path
    ) -> None:
        """The input does what Django's does."""
        address = f"/admin/testapp/photo/{photo.pk}/change/"
        content = (photos / "coffee.png").read_bytes()
        upload = SimpleUploadedFile("new.png", content)
        assert superuser.post(address, {"title": "x", "original_image": upload}).status_code == 302
        photo.refresh_from_db()
        assert photo.original_image.name == "photos/new.png"
        superuser.post(address, {"title": "x", "original_image-clear": "on"})
        photo.refresh_from_db()
        assert not photo.original_image

    def test_a_processed_field_gets_the_input_and_its_errors(
        self, superuser: Client, photos: Path
    ) -> None:
        """An upload that cannot be processed is a message beside the field."""
        profile = Profile.objects.create(name="p", avatar=content_of(photos / "coffee.png"))
        address = f"/admin/testapp/profile/{profile.pk}/change/"
        assert "imagekit-preview" in superuser.get(address).text
        truncated = (photos / "rocket.jpg").read_bytes()[:5000]
        upload = SimpleUploadedFile("t.jpg", truncated)
        response = superuser.post(address, {"name": "p", "avatar": upload})
        assert "Upload a valid image." in response.text

    def test_inlines_have_previews(self, superuser: Client, photos: Path) -> None:
        """In a table of related objects as well."""
        album = Album.objects.create(title="a")
        AlbumPhoto.objects.create(album=album, image=content_of(photos / "rocket.jpg"))
        html = superuser.get(f"/admin/testapp/album/{album.pk}/change/").text
        assert html.count('class="imagekit-preview"') == 1


class TestWidget:
    """The input with a preview, by itself."""

    def test_the_input_shows_nothing_of_an_upload_that_is_not_stored(self, photos: Path) -> None:
        """It has no address yet."""
        photo = Photo(original_image=content_of(photos / "rocket.jpg"))
        html = ImageAdminWidget().render("image", photo.original_image)
        assert "imagekit-preview" not in html
        assert "Currently" not in html

    def test_the_input_escapes_names(self, stored_photo: Any) -> None:
        """A name in the storage is text, whatever it holds."""
        photo = Photo(original_image=f"photos/{HOSTILE}.jpg")
        html = ImageAdminWidget().render("image", photo.original_image)
        assert "<script>" not in html
        assert "imagekit-preview-missing" in html

    def test_the_input_takes_an_upload_as_djangos_does(self) -> None:
        """The preview changes nothing about what is sent."""
        upload = SimpleUploadedFile("a.jpg", b"x")
        files: Any = MultiValueDict({"image": [upload]})
        assert ImageAdminWidget().value_from_datadict({}, files, "image") is upload
        cleared = ImageAdminWidget()
        cleared.is_required = False
        files.clear()
        assert cleared.value_from_datadict({"image-clear": "on"}, files, "image") is False

    def test_a_site_can_replace_the_preview(self, photo: Photo) -> None:
        """It is a generator like any other."""

        class Large(AdminPreview):
            format = "PNG"

        assert generator_registry.lookup(ADMIN_PREVIEW_ID) is AdminPreview
        unregister.generator(ADMIN_PREVIEW_ID)
        register.generator(ADMIN_PREVIEW_ID, Large)
        try:
            assert ".png" in ImageAdminWidget().render("image", photo.original_image)
        finally:
            unregister.generator(ADMIN_PREVIEW_ID)
            register.generator(ADMIN_PREVIEW_ID, AdminPreview)


class TestMixin:
    """`ImageAdminMixin`."""

    def widget_of(self, **members: Any) -> Any:
        bases = (ImageAdminMixin, admin.ModelAdmin)
        made: Any = type("SomeAdmin", bases, members)(Photo, admin.site)
        form = made.get_form(request=None, fields=["title", "original_image"])
        return form.base_fields["original_image"].widget

    def test_the_mixin_gives_image_fields_the_input(self) -> None:
        """Nothing else is needed."""
        assert isinstance(self.widget_of(), ImageAdminWidget)

    def test_the_mixin_keeps_the_overrides_of_the_class(self) -> None:
        """Those for other fields leave the input in place; one for images comes first."""
        others = {models.CharField: {"help_text": "text"}}
        assert isinstance(self.widget_of(formfield_overrides=others), ImageAdminWidget)

        class Own(ImageAdminWidget):
            pass

        own = {models.ImageField: {"widget": Own}}
        assert isinstance(self.widget_of(formfield_overrides=own), Own)


class TestFocalPoint:
    """The input for a focal point, without JavaScript."""

    @pytest.fixture
    def portrait(self, photos: Path) -> Portrait:
        """Return a row with a point that has a box."""
        return Portrait.objects.create(
            image=content_of(photos / "rocket.jpg"), focal_point="0.25,0.333,0.1,0.2"
        )

    def test_the_form_has_two_labelled_numbers(self, superuser: Client, portrait: Portrait) -> None:
        """In per cent; and says what the script needs: the image's field and the crops."""
        page = superuser.get(f"/admin/testapp/portrait/{portrait.pk}/change/").content.decode()
        inputs = {each.get("name"): each for each in elements(page, "input")}
        labels = {each.get("for") for each in elements(page, "label")}
        for name, value in (("focal_point_x", "25"), ("focal_point_y", "33.3")):
            assert (inputs[name]["type"], inputs[name]["value"]) == ("number", value)
            assert inputs[name]["id"] in labels
        assert inputs["focal_point_box"]["value"] == "0.100,0.200"
        (root,) = [each for each in elements(page, "div") if each.get("class") == "imagekit-focal"]
        assert root["data-image-field"] == "image"
        assert root["data-crops"] == "40x20 40x40"
        scripts = [each.get("src", "") for each in elements(page, "script")]
        assert "/static/imagekit/admin.js" in scripts

    @pytest.mark.parametrize(
        ("sent", "point"),
        [
            ({"x": "10", "y": "99.9"}, FocalPoint(0.1, 0.999)),
            ({"x": "10", "y": "20", "box": "0.100,0.200"}, FocalPoint(0.1, 0.2, 0.1, 0.2)),
            ({"x": "", "y": "", "box": "0.100,0.200"}, None),
        ],
    )
    def test_numbers_are_saved_with_the_box(
        self, sent: dict[str, str], point: Any, superuser: Client, portrait: Portrait
    ) -> None:
        """The box is no number of the form, and stays."""
        data = {f"focal_point_{name}": value for name, value in sent.items()}
        url = f"/admin/testapp/portrait/{portrait.pk}/change/"
        assert superuser.post(url, {"title": "a", **data}).status_code == 302
        portrait.refresh_from_db()
        assert portrait.focal_point == point

    @pytest.mark.parametrize("sent", [("10", ""), ("", "5"), ("a", "b"), ("101", "5"), ("-1", "5")])
    def test_numbers_that_make_no_point_are_refused(
        self, sent: tuple[str, str], superuser: Client, portrait: Portrait
    ) -> None:
        """At the field; nothing is saved."""
        data = {"focal_point_x": sent[0], "focal_point_y": sent[1]}
        url = f"/admin/testapp/portrait/{portrait.pk}/change/"
        answer = superuser.post(url, {"title": "a", **data})
        assert "Enter two numbers from 0 to 1" in answer.content.decode()
        assert Portrait.objects.get().focal_point == FocalPoint(0.25, 0.333, 0.1, 0.2)

    @pytest.mark.parametrize("box", ["", "0.100,0.200"])
    @pytest.mark.parametrize("sent", [("10", ""), ("", "5"), ("a", "b"), ("101", "5"), ("-1", "5")])
    def test_numbers_that_are_refused_come_back_as_they_were_typed(
        self, sent: tuple[str, str], box: str, superuser: Client, portrait: Portrait
    ) -> None:
        """With the box beside them, and with nothing in place of the one that is missing."""
        data = dict(zip(("focal_point_x", "focal_point_y"), sent, strict=True))
        data["focal_point_box"] = box
        url = f"/admin/testapp/portrait/{portrait.pk}/change/"
        answer = superuser.post(url, {"title": "a", **data})
        inputs = {each.get("name"): each for each in elements(answer.content.decode(), "input")}
        assert {name: inputs[name]["value"] for name in data} == data

    def test_a_form_that_leaves_the_input_out_leaves_the_point(self) -> None:
        """And the text alone is taken, as an API sends it."""
        widget = FocalPointWidget()
        assert widget.value_omitted_from_data({}, {}, "point")
        assert widget.value_from_datadict({"point": "0.1,0.2"}, {}, "point") == "0.1,0.2"
        assert widget.value_from_datadict({}, {}, "point") is None


class TestSuggestion:
    """What a detector has found, beside the input for a focal point."""

    @pytest.fixture
    def row(self, photos: Path) -> Iterator[Portrait]:
        """Return a row without a point, while there is a detector that finds a box to the left."""
        cache.clear()
        register.detector("left", lambda image: [(0, 0, image.width / 5, image.height / 2, 1)])
        yield Portrait.objects.create(image=content_of(photos / "rocket.jpg"))
        unregister.detector("left")

    def suggestion(self, client: Client, row: Portrait) -> tuple[dict[str, Any] | None, str]:
        """Return the element that tells of it on the page of a row, and the page."""
        page = client.get(f"/admin/testapp/portrait/{row.pk}/change/").text
        found = [each for each in elements(page, "p") if "suggestion" in (each.get("class") or "")]
        return (found[0] if found else None), page

    def test_a_form_tells_what_a_detector_has_suggested(
        self, superuser: Client, row: Portrait
    ) -> None:
        """In words, and with what the script takes over; from what is kept: nothing is opened for it."""
        assert self.suggestion(superuser, row)[0] is None, "nobody has looked yet"
        row.card.generate()
        opened: list[str] = []
        storage = row.image.storage
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(storage, "open", lambda name, *_: opened.append(name))
            told, page = self.suggestion(superuser, row)
        assert told is not None
        assert {name: told[f"data-{name}"] for name in ("x", "y", "box")} == {
            "x": "10",
            "y": "25",
            "box": "0.200,0.500",
        }
        assert "hidden" not in told
        assert "Suggested: 10% from the left, 25% from the top." in page
        assert opened == []

    def test_the_point_of_an_editor_is_not_covered(self, superuser: Client, row: Portrait) -> None:
        """The suggestion waits until that point is taken back."""
        row.card.generate()
        row.focal_point = FocalPoint(0.5, 0.5)
        row.save()
        told, page = self.suggestion(superuser, row)
        assert told is not None
        assert "hidden" in told
        assert [each["value"] for each in elements(page, "input") if each["type"] == "number"] == [
            "50",
            "50",
        ]

    def test_another_row_has_no_suggestion(
        self, superuser: Client, row: Portrait, photos: Path
    ) -> None:
        """Nor has one whose image is gone, or that has none yet."""
        row.card.generate()
        other = Portrait.objects.create(image=content_of(photos / "coffee.png"))
        without = Portrait.objects.create()
        row.image.storage.delete(str(row.image.name))
        for each in (other, without, row):
            assert self.suggestion(superuser, each)[0] is None

    def test_without_detectors_a_form_asks_for_nothing(
        self, superuser: Client, row: Portrait
    ) -> None:
        """Neither the cache nor the storage."""
        row.card.generate()
        self.suggestion(superuser, row)
        unregister.detector("left")
        with assert_storage_calls(0):
            assert self.suggestion(superuser, row)[0] is None
        register.detector("left", lambda image: [])
