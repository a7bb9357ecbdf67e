"""The gallery's own tests, as a project writes them: `demo/manage.py test demo.gallery`.

Their images are fakes, which takes a fraction of the time; with `DEMO_FAKE_IMAGES=0` they are real.
"""

from __future__ import annotations

import io
import os
from tempfile import TemporaryDirectory

from django.core.cache import cache
from django.core.management import call_command
from django.test import TestCase, override_settings
from django.urls import reverse

from demo.gallery.imagegenerators import SPECS
from demo.gallery.models import Photo
from imagekit_registry.signals import generated as image_was_generated
from imagekit_registry.testing import (
    assert_storage_calls,
    fake_images,
    forget_state,
    make_image,
)

TEXTS = {"title": "Upload", "description": "What was uploaded", "credit": "", "rights": "CC0"}


class GalleryTestCase(TestCase):
    """A gallery with the photographs of the demo, in a folder of its own."""

    def setUp(self) -> None:
        media = self.enterContext(TemporaryDirectory())
        hasher = "django.contrib.auth.hashers.MD5PasswordHasher"
        self.enterContext(override_settings(MEDIA_ROOT=media, PASSWORD_HASHERS=[hasher]))
        if os.environ.get("DEMO_FAKE_IMAGES") != "0":
            self.enterContext(fake_images())
        cache.clear()
        self.made: list[str] = []
        image_was_generated.connect(self.note)
        self.addCleanup(image_was_generated.disconnect, self.note)
        with self.captureOnCommitCallbacks(execute=True):
            call_command("loaddemo", stdout=io.StringIO())
        self.photos = list(Photo.objects.all())

    def note(self, *, spec_id: str, **_: object) -> None:
        self.made.append(spec_id)


class PageTests(GalleryTestCase):
    def test_the_gallery_shows_each_photograph(self) -> None:
        response = self.client.get(reverse("gallery:gallery"))
        for photo in self.photos:
            self.assertContains(response, photo.title)
        self.assertContains(response, 'width="400" height="300"', count=len(self.photos) - 1)
        self.assertContains(response, "<picture>", count=1)

    def test_the_hero_is_another_crop_on_telephones(self) -> None:
        response = self.client.get(reverse("gallery:gallery"))
        self.assertContains(response, 'media="(max-width: 34rem)"')
        self.assertContains(response, 'width="640" height="640"')
        self.assertContains(response, 'width="1680" height="720"')

    def test_a_photograph_is_shown_in_every_variant(self) -> None:
        for photo in self.photos:
            response = self.client.get(photo.get_absolute_url())
            # The whole photograph may fill the box as well.
            filling = len(SPECS) - 2 + (photo.width * 3 == photo.height * 4)
            self.assertContains(response, 'width="480" height="360"', count=filling)
        self.assertEqual(self.made.count("gallery:smart"), len(self.photos))

    def test_the_contact_sheet_makes_no_image(self) -> None:
        response = self.client.get(reverse("gallery:sheet"))
        self.assertContains(response, 'width="240" height="180"', count=len(self.photos))
        self.assertEqual(self.made, [])

    def test_a_page_that_was_shown_asks_no_storage(self) -> None:
        for address in (reverse("gallery:gallery"), self.photos[0].get_absolute_url()):
            self.client.get(address)
            forget_state()
            with assert_storage_calls(0):
                self.client.get(address)

    def test_the_admin_lists_thumbnails(self) -> None:
        self.assertTrue(self.client.login(username="demo", password="demo"))
        response = self.client.get(reverse("admin:gallery_photo_changelist"))
        self.assertContains(response, 'width="96" height="72"', count=len(self.photos))


class UploadTests(GalleryTestCase):
    def test_an_upload_is_made_smaller_and_upright(self) -> None:
        upload = make_image(size=(3000, 2000), exif={"Orientation": 6})
        response = self.client.post(reverse("gallery:upload"), {**TEXTS, "image": upload})
        photo = Photo.objects.get(title="Upload")
        self.assertRedirects(response, photo.get_absolute_url())
        self.assertEqual((photo.width, photo.height), (1333, 2000))

    def test_what_is_no_image_is_refused(self) -> None:
        upload = make_image()
        upload.file.truncate(100)
        response = self.client.post(reverse("gallery:upload"), {**TEXTS, "image": upload})
        self.assertContains(response, "errorlist")
        self.assertFalse(Photo.objects.filter(title="Upload").exists())


class PhotoTests(GalleryTestCase):
    def test_the_point_is_moved_by_a_form(self) -> None:
        photo = self.photos[0]
        sent = {"focal_point_x": "10", "focal_point_y": "90"}
        response = self.client.post(reverse("gallery:point", args=[photo.pk]), sent)
        self.assertRedirects(response, photo.get_absolute_url())
        self.assertEqual(str(Photo.objects.get(pk=photo.pk).focal_point), "0.100,0.900")

    def test_another_point_makes_another_crop(self) -> None:
        photo = self.photos[0]
        before = photo.duotone.url
        photo.focal_point = "0.100,0.900"
        photo.save()
        self.assertNotEqual(Photo.objects.get(pk=photo.pk).duotone.url, before)

    def test_images_go_with_their_photograph(self) -> None:
        photo = self.photos[0]
        thumbnail = photo.list_thumbnail
        self.assertTrue(thumbnail.url)
        self.assertTrue(thumbnail.storage.exists(thumbnail.name))
        with self.captureOnCommitCallbacks(execute=True):
            photo.delete()
        self.assertFalse(thumbnail.storage.exists(thumbnail.name))
