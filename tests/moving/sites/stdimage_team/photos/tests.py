import io
import re
import shutil
import tempfile

from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import TransactionTestCase, override_settings
from django.urls import reverse
from PIL import Image

from .models import Photo


def picture(width, height, format="JPEG"):
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    content = io.BytesIO()
    image.save(content, format)
    return ContentFile(content.getvalue(), name=f"picture.{'jpg' if format == 'JPEG' else format.lower()}")


class TeamTests(TransactionTestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.enterClassContext(override_settings(MEDIA_ROOT=folder))
        super().setUpClass()

    def setUp(self):
        cache.clear()
        Photo.objects.create(title="Ada", image=picture(800, 400))
        self.photo = Photo.objects.get()

    def image(self, url):
        with default_storage.open(url.removeprefix("/media/")) as file:
            image = Image.open(file)
            image.load()
            return image

    def shown(self, name):
        html = self.client.get(reverse("team")).content.decode()
        return self.image(re.search(rf'class="{name}" src="([^"]+)"', html)[1])

    def test_the_page_shows_every_size(self):
        sizes = {name: self.shown(name).size for name in ("thumbnail", "square", "wide")}
        self.assertEqual(sizes, {"thumbnail": (100, 50), "square": (80, 80), "wide": (640, 320)})

    def test_images_are_there_when_a_photo_is_saved(self):
        for name in (self.photo.image.thumbnail.name, self.photo.image.wide.name):
            self.assertTrue(default_storage.exists(name))

    def test_large_images_are_progressive(self):
        self.assertIn("progressive", self.shown("wide").info)

    def test_png_stays_png(self):
        self.photo.image = picture(300, 300, "PNG")
        self.photo.save()
        self.assertEqual((self.shown("square").format, self.shown("wide").size), ("PNG", (300, 300)))

    def test_the_api_tells_addresses(self):
        told = self.client.get(reverse("api")).json()
        self.assertEqual(self.image(told["Ada"]).size, (80, 80))

    def test_images_go_with_their_photo(self):
        name = self.photo.image.thumbnail.name
        self.photo.delete()
        self.assertFalse(default_storage.exists(name))
