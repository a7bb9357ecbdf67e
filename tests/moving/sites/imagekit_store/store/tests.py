import io
import re
import shutil
import tempfile
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import TransactionTestCase, override_settings
from django.urls import reverse
from imagekit.cachefiles import ImageCacheFile
from imagekit.registry import generator_registry
from PIL import Image

from .models import Article


def content(width, height, format="JPEG"):
    file = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(file, format)
    return file.getvalue()


class StoreTests(TransactionTestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.enterClassContext(override_settings(MEDIA_ROOT=folder))
        super().setUpClass()

    def setUp(self):
        cache.clear()
        self.article = Article.objects.create(name="Chair", photo=ContentFile(content(800, 600), "chair.jpg"))

    def image(self, url):
        with default_storage.open(url.removeprefix("/media/")) as file:
            image = Image.open(file)
            image.load()
            return image

    def shown(self, name):
        html = self.client.get(reverse("articles")).content.decode()
        (tag,) = [tag for tag in re.findall(r"<img[^>]*>", html) if f'class="{name}"' in tag]
        return self.image(re.search(r'src="([^"]+)"', tag)[1])

    def test_pages_show_every_size(self):
        sizes = {name: self.shown(name).size for name in ("small", "sharp", "banner", "thumb", "low")}
        self.assertEqual(
            sizes, {"small": (80, 80), "sharp": (100, 50), "banner": (300, 60), "thumb": (70, 50), "low": (53, 40)}
        )

    def test_formats_are_those_of_specs_and_sources(self):
        self.assertEqual((self.shown("small").format, self.shown("sharp").format), ("PNG", "JPEG"))

    def test_a_spec_asks_its_row(self):
        self.article.banner_width = 200
        self.article.save()
        self.assertEqual(self.shown("banner").size, (200, 60))

    def test_a_processor_of_the_project_draws(self):
        pixel = self.image(self.article.card.url).getpixel((0, 0))
        self.assertTrue(pixel[0] > 150 and pixel[1] < 100, pixel)

    def test_images_are_made_when_a_row_is_saved(self):
        made = list(Path(settings.MEDIA_ROOT, "made").rglob("chair*"))
        self.assertGreaterEqual(len([path for path in made if path.is_file()]), 4)

    def test_names_have_the_form_of_the_namer(self):
        self.assertRegex(self.article.small.name, r"^made/articles/chair[\w]*\.[0-9a-f]+\.png$")

    def test_covers_are_stored_processed(self):
        self.article.cover.save("cover.png", ContentFile(content(500, 500, "PNG")))
        cover = self.image(self.article.cover.url)
        self.assertEqual((cover.size, cover.format), ((120, 160), "JPEG"))

    def test_uploads_are_made_smaller(self):
        file = SimpleUploadedFile("big.png", content(1000, 500, "PNG"), "image/png")
        self.client.post(reverse("add"), {"name": "Table", "photo": file})
        photo = Article.objects.get(name="Table").photo
        self.assertEqual((photo.width, photo.height, self.image(photo.url).format), (400, 200, "JPEG"))

    def test_an_upload_that_is_no_image_is_refused(self):
        answer = self.client.post(reverse("add"), {"name": "x", "photo": SimpleUploadedFile("a.jpg", b"no")})
        self.assertEqual(answer.status_code, 400)

    def test_the_admin_lists_thumbnails(self):
        self.client.force_login(User.objects.create_superuser("a", password="a"))
        html = self.client.get(reverse("admin:store_article_changelist")).content.decode()
        self.assertIn(f'src="{self.article.small.url}"', html)

    def test_a_generator_is_called_by_its_id(self):
        generator = generator_registry.get("store:banner", source=self.article.photo)
        self.assertEqual(ImageCacheFile(generator).url, self.article.banner.url)

    def test_the_command_makes_what_is_missing(self):
        shutil.rmtree(Path(settings.MEDIA_ROOT, "made"))
        cache.clear()
        call_command("generateimages", stdout=io.StringIO(), stderr=io.StringIO())
        self.assertTrue(default_storage.exists(self.article.sharp.name))
