import io
import re
import shutil
import tempfile
from pathlib import Path

from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.cache import cache
from django.core.files.storage import default_storage
from django.test import TestCase, override_settings
from django.urls import reverse
from PIL import Image

from .models import Author, Post


def picture(width, height, format="JPEG"):
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    content = io.BytesIO()
    image.save(content, format)
    return ContentFile(content.getvalue(), name=f"picture.{format.lower()}")


class JournalTestCase(TestCase):
    def setUp(self):
        cache.clear()
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        media = override_settings(MEDIA_ROOT=folder)
        media.enable()
        self.addCleanup(media.disable)
        self.author = Author.objects.create(name="Ada", portrait=picture(300, 400))
        self.post = Post.objects.create(author=self.author, title="Sea", cover=picture(1600, 900))

    def image(self, url):
        self.assertTrue(url.startswith("/media/"), url)
        with default_storage.open(url.removeprefix("/media/")) as file:
            image = Image.open(file)
            image.load()
            return image

    def found(self, html, name):
        (tag,) = re.findall(rf'<img class="{name}"[^>]*>', html)
        return dict(re.findall(r'(\w+)="([^"]*)"', tag))


class PageTests(JournalTestCase):
    def test_teasers_are_cropped(self):
        html = self.client.get(reverse("index")).content.decode()
        teaser = self.found(html, "teaser")
        self.assertEqual((teaser["width"], teaser["height"]), ("240", "160"))
        self.assertEqual(self.image(teaser["src"]).size, (240, 160))
        avatar = self.image(self.found(html, "avatar")["src"])
        self.assertEqual((avatar.size, avatar.format), ((48, 48), "PNG"))

    def test_a_post_without_a_cover_says_so(self):
        Post.objects.create(author=self.author, title="Bare")
        self.assertContains(self.client.get(reverse("index")), "No picture", count=1)

    def test_a_cover_whose_file_is_gone_breaks_no_page(self):
        default_storage.delete(self.post.cover.name)
        self.assertEqual(self.client.get(reverse("index")).status_code, 200)

    def test_landscapes_have_their_width(self):
        html = self.client.get(self.post.get_absolute_url()).content.decode()
        shown = self.found(html, "landscape")
        self.assertEqual((shown["width"], shown["height"]), ("640", "360"))
        preview = re.search(r'property="og:image" content="([^"]+)"', html)[1]
        self.assertEqual(self.image(preview).size, (1200, 630))

    def test_portraits_have_their_height(self):
        self.post.cover = picture(600, 900)
        self.post.save()
        html = self.client.get(self.post.get_absolute_url()).content.decode()
        self.assertEqual(self.image(self.found(html, "portrait")["src"]).size, (267, 400))

    def test_pictures_in_texts_are_made_smaller(self):
        name = default_storage.save("inline/map.jpg", picture(1000, 500))
        self.post.body = f'<p><img alt="Map" src="/media/{name}" /></p>'
        self.post.save()
        html = self.client.get(self.post.get_absolute_url()).content.decode()
        url = re.search(r'<img alt="Map" src="([^"]+)"', html)[1]
        self.assertEqual(self.image(url).size, (320, 160))

    def test_the_feed_has_absolute_addresses(self):
        (item,) = self.client.get(reverse("feed")).json()["items"]
        self.assertTrue(item["image"].startswith("http://testserver/media/"))
        self.assertEqual((item["width"], item["height"]), (600, 315))


class FileTests(JournalTestCase):
    def test_covers_go_with_their_posts(self):
        self.client.get(reverse("index"))
        cover = Path(self.post.cover.path)
        before = self.count()
        self.post.delete()
        self.assertFalse(cover.exists())
        self.assertEqual(self.count(), before - 2)

    def count(self):
        root = Path(default_storage.path(""))
        return len([path for path in root.rglob("*") if path.is_file()])


class AdminTests(JournalTestCase):
    def setUp(self):
        super().setUp()
        self.client.force_login(User.objects.create_superuser("root"))

    def test_forms_show_what_is_stored(self):
        url = reverse("admin:journal_author_change", args=[self.author.pk])
        html = self.client.get(url).content.decode()
        self.assertGreaterEqual(html.count("<img "), 2)
        self.assertIn('type="file"', html)

    def test_an_upload_that_is_no_image_is_refused(self):
        upload = ContentFile(b"no image", name="a.jpg")
        data = {"name": "Eve", "portrait": upload, "posts-TOTAL_FORMS": 0, "posts-INITIAL_FORMS": 0}
        response = self.client.post(reverse("admin:journal_author_add"), data)
        self.assertContains(response, "valid image")
