import io
import re
import shutil
import tempfile
from pathlib import Path

from django.conf import settings
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import TransactionTestCase, override_settings
from django.urls import reverse
from PIL import Image

from .models import Photo


def picture(width, height):
    image = Image.effect_noise((width // 8, height // 8), 90).resize((width, height)).convert("RGB")
    content = io.BytesIO()
    image.save(content, "JPEG")
    return ContentFile(content.getvalue(), name="picture.jpg")


class BlogTests(TransactionTestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.enterClassContext(override_settings(MEDIA_ROOT=folder))
        super().setUpClass()

    def setUp(self):
        cache.clear()
        self.photo = Photo.objects.create(title="Sea & sky", image=picture(1600, 1200))

    def offered(self):
        """Return the pictures of the page: for each, sizes by the width that it says."""
        html = self.client.get(reverse("blog")).content.decode()
        found = re.findall(r"<source[^>]*image/webp[^>]*>", html)
        return html, [re.findall(r"(/media/\S+) (\d+)w", each) for each in found]

    def image(self, url):
        with default_storage.open(url.removeprefix("/media/")) as file:
            image = Image.open(file)
            image.load()
            return image

    def test_every_offered_file_is_there_and_as_wide_as_it_says(self):
        _, pictures = self.offered()
        self.assertEqual(len(pictures), 2)
        for offered in pictures:
            self.assertGreater(len(offered), 1)
            for url, width in offered:
                self.assertEqual((self.image(url).format, self.image(url).width), ("WEBP", int(width)))

    def test_ratios_are_cut(self):
        _, (wide, whole) = self.offered()
        self.assertAlmostEqual(self.image(wide[-1][0]).width / self.image(wide[-1][0]).height, 16 / 9, delta=0.02)
        self.assertAlmostEqual(self.image(whole[-1][0]).width / self.image(whole[-1][0]).height, 4 / 3, delta=0.02)

    def test_a_small_upload_is_cut_as_well_and_not_enlarged(self):
        self.photo.image = picture(800, 800)
        self.photo.save()
        _, (wide, whole) = self.offered()
        sizes = [max((self.image(url).size for url, _ in each)) for each in (wide, whole)]
        self.assertEqual(sizes, [(800, 450), (800, 800)])

    def test_pages_describe_their_pictures(self):
        html, _ = self.offered()
        self.assertIn('alt="Sea &amp; sky"', html)
        self.assertIn('loading="lazy"', html)
        self.assertRegex(html, r"\(min-width: 992px\)")

    def test_images_are_there_when_a_photo_is_saved(self):
        self.assertGreater(len(list(Path(settings.MEDIA_ROOT).rglob("*.*"))), 2)

    def test_columns_have_the_size(self):
        self.assertEqual((self.photo.width, self.photo.height), (1600, 1200))
