import io
import re
import shutil
from pathlib import Path

from django.core.cache import cache
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import TestCase
from django.urls import reverse
from PIL import Image

from .models import Picture, Product


def upload(name, size, mode="RGB", color=(200, 30, 30)):
    content = io.BytesIO()
    Image.new(mode, size, color).save(content, {"jpg": "JPEG", "png": "PNG"}[name[-3:]])
    return SimpleUploadedFile(name, content.getvalue())


class ShopTestCase(TestCase):
    def setUp(self):
        cache.clear()
        self.addCleanup(shutil.rmtree, default_storage.location, ignore_errors=True)
        self.product = Product.objects.create(name="Chair", slug="chair")

    def add(self, name="chair.jpg", size=(800, 600), **options):
        return Picture.objects.create(product=self.product, file=upload(name, size, **options))

    def image(self, url):
        with default_storage.open(url.removeprefix("/uploads/")) as file:
            image = Image.open(file)
            image.load()
            return image


class ListTests(ShopTestCase):
    def test_cards_are_squares_with_a_sharper_one(self):
        self.add()
        html = self.client.get(reverse("products")).content.decode()
        small, large = re.search(r'src="([^"]+)" srcset="([^"]+) 2x"', html).groups()
        self.assertEqual(self.image(small).size, (160, 160))
        self.assertEqual(self.image(large).size, (320, 320))
        self.assertIn("margin:0px 0px 0px 0px", html)

    def test_small_pictures_are_not_enlarged(self):
        self.add(size=(100, 120))
        html = self.client.get(reverse("products")).content.decode()
        self.assertIn('width="100" height="120"', html)
        self.assertIn("margin:20px 30px 20px 30px", html)

    def test_products_without_pictures_show_their_names(self):
        html = self.client.get(reverse("products")).content.decode()
        self.assertIn('<span class="empty">Chair</span>', html)

    def test_pictures_that_are_broken_show_names(self):
        picture = self.add()
        Path(picture.file.path).write_bytes(b"no image")
        self.assertContains(self.client.get(reverse("products")), "Chair</span>")


class DetailTests(ShopTestCase):
    def test_small_and_large(self):
        self.add(size=(1800, 1200))
        html = self.client.get(reverse("product", args=["chair"])).content.decode()
        self.assertIn('data-size="900x600"', html)
        self.assertRegex(html, r"background-position:0(\.0)?px 20(\.0)?px")
        large = self.image(re.search(r'href="([^"]+)"', html)[1])
        self.assertFalse(large.info.get("progressive"))

    def test_formats_are_kept(self):
        self.add("logo.png", mode="RGBA", color=(0, 0, 0, 0))
        html = self.client.get(reverse("product", args=["chair"])).content.decode()
        small = self.image(re.search(r'class="small" src="([^"]+)"', html)[1])
        self.assertEqual((small.format, small.mode), ("PNG", "RGBA"))
        self.assertEqual(small.getpixel((60, 45))[3], 0)


class ApiTests(ShopTestCase):
    def test_tiles_are_padded(self):
        self.add()
        (tile,) = self.client.get(reverse("api", args=["chair"])).json()["pictures"]
        self.assertEqual((tile["size"], tile["ratio"]), ([160, 160], 1.0))
        red, green, blue = self.image(tile["url"]).getpixel((80, 5))
        self.assertTrue(all(235 < band < 245 for band in (red, green, blue)))


class UploadTests(ShopTestCase):
    def test_pictures_are_taken_and_other_files_are_not(self):
        url = reverse("upload", args=["chair"])
        self.assertEqual(self.client.post(url, {"file": upload("a.png", (50, 50))}).status_code, 302)
        broken = SimpleUploadedFile("a.jpg", b"no image")
        self.assertContains(self.client.post(url, {"file": broken}), "valid image")
        self.assertEqual(self.product.pictures.count(), 1)

    def test_a_replaced_picture_shows_the_new_one(self):
        picture = self.add(color=(255, 0, 0))
        picture.sized("tile").url
        picture.replace(upload("chair.jpg", (800, 600), color=(0, 255, 0)))
        red, green, _ = self.image(picture.sized("tile").url).getpixel((80, 80))
        self.assertTrue(red < 10 and green > 240)


class CommandTests(ShopTestCase):
    def test_pictures_are_there_when_they_were_asked_for(self):
        self.add(size=(800, 600))
        out = io.StringIO()
        call_command("warm", stdout=out)
        widths, sizes = zip(*(line.split() for line in out.getvalue().splitlines()))
        self.assertEqual(widths, ("160", "320"))
        self.assertTrue(all(int(size) > 100 for size in sizes))
