import io
import re
import shutil
import tempfile
from urllib.parse import urlsplit

from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import TestCase, override_settings
from django.urls import reverse
from PIL import Image

from .models import Post


def picture(width, height, format="JPEG"):
    image = Image.linear_gradient("L").rotate(90).resize((width, height)).convert("RGB")
    content = io.BytesIO()
    image.save(content, format)
    return ContentFile(content.getvalue(), name=f"picture.{'jpg' if format == 'JPEG' else format.lower()}")


class WallTests(TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.enterClassContext(override_settings(MEDIA_ROOT=folder))
        super().setUpClass()

    def setUp(self):
        cache.clear()
        self.post = Post.objects.create(title="Sea", image=picture(800, 400))

    def image(self, url):
        with default_storage.open(urlsplit(url).path.removeprefix("/media/")) as file:
            image = Image.open(file)
            image.load()
            return image

    def shown(self, name):
        html = self.client.get(reverse("wall")).content.decode()
        return self.image(re.search(rf'<img class="{name}" src="([^"]+)"', html)[1])

    def test_the_wall_shows_every_size(self):
        sizes = {name: self.shown(name).size for name in ("card", "wide", "negative", "grey", "stretched", "badge")}
        self.assertEqual(
            sizes,
            {
                "card": (300, 300),
                "wide": (640, 320),
                "negative": (800, 400),
                "grey": (100, 50),
                "stretched": (50, 90),
                "badge": (32, 32),
            },
        )

    def test_cards_are_written_as_the_settings_say(self):
        card = self.shown("card")
        self.assertEqual((card.format, "progressive" in card.info), ("JPEG", True))

    def test_the_point_of_interest_is_in_the_middle(self):
        middle = self.shown("card").convert("L").getpixel((150, 150))
        self.post.image.ppoi = "0.25x0.5"
        self.post.save()
        self.assertEqual(Post.objects.get().ppoi, (0.25, 0.5))
        self.assertNotAlmostEqual(self.shown("card").convert("L").getpixel((150, 150)), middle, delta=20)

    def test_the_api_tells_absolute_addresses(self):
        (told,) = self.client.get(reverse("api")).json()
        self.assertEqual(set(told["image"]), {"full", "card", "wide", "grey"})
        self.assertEqual(self.image(told["image"]["card"]).size, (300, 300))
        self.assertTrue(told["badge"]["icon"].startswith("http://testserver/media/"))

    def test_images_are_made_when_a_post_is_saved(self):
        self.post.image.create_on_demand = False
        for image in (self.post.image.crop["300x300"], self.post.image.thumbnail["640x360"]):
            self.assertTrue(default_storage.exists(image.name))
        self.assertFalse(default_storage.exists(self.post.image.crop["9x9"].name))

    def test_images_go_with_their_post(self):
        card = self.post.image.crop["300x300"]
        self.post.delete()
        self.assertFalse(default_storage.exists(card.name))

    def test_png_stays_png(self):
        self.post.image = picture(400, 400, "PNG")
        self.post.save()
        self.assertEqual((self.shown("card").format, self.post.width), ("PNG", 400))
