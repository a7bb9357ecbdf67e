import io
import re
import shutil
import tempfile
from urllib.parse import unquote

from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import TestCase, override_settings
from django.urls import reverse
from PIL import Image

from .models import Artist, Work


def picture(width, height, format="JPEG"):
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    content = io.BytesIO()
    image.save(content, format)
    return ContentFile(content.getvalue(), name=f"picture.{format.lower()}")


class GalleryTestCase(TestCase):
    def setUp(self):
        cache.clear()
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        media = override_settings(MEDIA_ROOT=folder)
        media.enable()
        self.addCleanup(media.disable)
        self.artist = Artist.objects.create(name="Ada", portrait=picture(1200, 900, "PNG"))
        self.work = Work.objects.create(artist=self.artist, title="Sea", image=picture(1600, 900))

    def image(self, url):
        self.assertTrue(url.startswith("/media/"), url)
        with default_storage.open(unquote(url.removeprefix("/media/"))) as file:
            image = Image.open(file)
            image.load()
            return image

    def found(self, html, name):
        (tag,) = re.findall(rf'<img class="{name}"[^>]*>', html)
        return dict(re.findall(r'(\w+)="([^"]*)"', tag))

    def get(self, name, *args):
        response = self.client.get(reverse(name, args=args))
        self.assertEqual(response.status_code, 200)
        return response.content.decode()


class PageTests(GalleryTestCase):
    def test_cards_have_one_size(self):
        card = self.image(self.found(self.get("index"), "card")["src"])
        self.assertEqual((card.size, card.format), ((240, 160), "JPEG"))

    def test_portraits_have_aliases_of_their_own(self):
        html = self.get("index")
        icon = re.search(r'<img alt="" height="48" src="([^"]+)" width="48" />', html)[1]
        self.assertEqual(self.image(icon).size, (48, 48))
        shown = self.found(html, "round")
        self.assertEqual((shown["width"], self.image(shown["src"]).mode), ("96", "L"))

    def test_an_artist_without_a_portrait_is_named(self):
        Artist.objects.create(name="Grace")
        self.assertIn("No portrait of Grace", self.get("index"))

    def test_a_work_is_shown_in_several_sizes(self):
        html = self.get("work", self.work.pk)
        large = self.found(html, "large")
        self.assertEqual((large["width"], large["height"]), ("640", "360"))
        preview = re.search(r'property="og:image" content="([^"]+)"', html)[1]
        self.assertEqual(self.image(preview).size, (1200, 630))
        self.assertEqual(self.image(self.found(html, "strip")["src"]).size, (300, 169))
        grey = self.image(self.found(html, "grey")["src"])
        self.assertEqual((grey.size, grey.mode), ((240, 160), "L"))

    def test_a_work_whose_file_is_gone_is_not_on_show(self):
        default_storage.delete(self.work.image.name)
        self.work.image.delete_thumbnails()
        self.assertIn("Not on show", self.get("work", self.work.pk))
        self.assertIsNone(self.client.get(reverse("api")).json()["items"][0]["card"])

    def test_the_api_has_absolute_addresses(self):
        (item,) = self.client.get(reverse("api")).json()["items"]
        self.assertTrue(item["card"]["url"].startswith("http://testserver/media/"))
        self.assertEqual(item["card"]["width"], 240)

    def test_transparent_works_stay_transparent(self):
        content = io.BytesIO()
        Image.new("RGBA", (400, 400), (255, 0, 0, 0)).save(content, "PNG")
        self.work.image.save("clear.png", ContentFile(content.getvalue()))
        card = self.image(self.found(self.get("index"), "card")["src"])
        self.assertEqual((card.format, card.getchannel("A").getextrema()[0]), ("PNG", 0))


class FileTests(GalleryTestCase):
    def test_portraits_are_made_smaller_when_they_come(self):
        self.assertEqual(self.image(self.artist.portrait.url).size, (800, 600))
        self.assertEqual((self.work.width, self.work.height), (1600, 900))

    def test_aliases_of_the_app_are_made_when_a_work_is_saved(self):
        self.assertEqual(len(list(self.work.image.get_thumbnails())), 1)
        self.assertEqual(len(list(self.artist.portrait.get_thumbnails())), 3)

    def test_images_go_with_their_file(self):
        self.get("index")
        thumb = self.work.image["card"]
        self.work.image.delete(save=False)
        self.assertFalse(default_storage.exists(thumb.name))

    def test_the_admin_shows_a_preview(self):
        User.objects.create_superuser("admin", password="x")
        self.client.login(username="admin", password="x")
        html = self.client.get(reverse("admin:gallery_work_change", args=[self.work.pk])).content.decode()
        preview = re.search(r'<img alt="" height="90" id="image_thumb_id" src="([^"]+)" width="120" />', html)
        self.assertEqual(self.image(preview[1]).size, (120, 90))
