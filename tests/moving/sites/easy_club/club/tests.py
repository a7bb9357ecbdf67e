import io
import re
import shutil
import tempfile
from base64 import b64decode
from pathlib import Path
from urllib.parse import unquote

from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from django.template import Context, Template, TemplateSyntaxError
from django.test import TestCase, override_settings
from django.urls import reverse
from easy_thumbnails.exceptions import EasyThumbnailsError, InvalidImageFormatError
from easy_thumbnails.files import get_thumbnailer
from easy_thumbnails.options import ThumbnailOptions
from easy_thumbnails.signals import thumbnail_created, thumbnail_missed
from PIL import Image

from .models import QUEUE, Member
from .tasks import work_off


def picture(width, height, format="JPEG"):
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    content = io.BytesIO()
    image.save(content, format)
    return ContentFile(content.getvalue(), name=f"picture.{format.lower()}")


class ClubTestCase(TestCase):
    def setUp(self):
        cache.clear()
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        media = override_settings(MEDIA_ROOT=folder)
        media.enable()
        self.addCleanup(media.disable)
        self.addCleanup(shutil.rmtree, storages["easy_thumbnails"].location, ignore_errors=True)
        QUEUE.clear()
        self.member = Member.objects.create(name="Ada", photo=picture(400, 300))

    def image(self, url):
        self.assertTrue(url.startswith("/thumbs/"), url)
        with storages["easy_thumbnails"].open(unquote(url.removeprefix("/thumbs/"))) as file:
            image = Image.open(file)
            image.load()
            return image

    def shown(self, name):
        html = self.client.get(reverse("members")).content.decode()
        return re.search(rf'<img class="{name}" src="([^"]*)"', html)[1]


class PageTests(ClubTestCase):
    def test_cards_are_cut_around_the_face(self):
        left = self.image(self.shown("card"))
        self.assertEqual((left.size, left.format), ((100, 140), "WEBP"))
        Member.objects.update(crop_y=100)
        self.assertNotEqual(self.image(self.shown("card")).tobytes(), left.tobytes())

    def test_rows_have_one_width(self):
        self.assertEqual(self.image(self.shown("row")).size, (120, 90))

    def test_our_own_processor_is_used(self):
        red, green, _ = self.image(self.shown("stamped")).convert("RGB").getpixel((40, 2))
        self.assertTrue(red > 200 and green < 60)

    def test_small_pictures_are_padded(self):
        padded = self.image(self.shown("padded"))
        self.assertEqual(padded.size, (90, 90))
        self.assertGreater(padded.convert("RGB").getpixel((45, 2))[2], 200)

    def test_tiny_pictures_are_in_the_page(self):
        data = b64decode(self.shown("tiny").partition("base64,")[2])
        self.assertEqual(Image.open(io.BytesIO(data)).size, (16, 16))

    def test_png_stays_png(self):
        self.member.photo.save("a.png", picture(400, 300, "PNG"))
        self.assertEqual(self.image(self.shown("row")).format, "PNG")

    def test_badges_come_from_the_queue(self):
        self.assertIn("<b>soon</b>", self.client.get(reverse("members")).content.decode())
        self.assertEqual(QUEUE, [(Member, self.member.pk, "photo")])
        work_off()
        self.assertEqual(self.image(self.shown("badge")).size, (85, 64))

    def test_mistakes_are_told(self):
        for tag in ("{% thumbnail photo 80x80 nonsense %}", "{% thumbnail photo 'nothing' %}"):
            with self.assertRaises(TemplateSyntaxError):
                template = Template("{% load thumbnail %}" + tag)
                template.render(Context({"photo": self.member.photo}))


class CodeTests(ClubTestCase):
    def test_signals_tell_of_images(self):
        told = []

        def created(sender, **kwargs):
            told.append(sender.url)

        def missed(sender, options, **kwargs):
            told.append(options["size"])

        thumbnail_created.connect(created)
        thumbnail_missed.connect(missed)
        thumbnailer = get_thumbnailer(self.member.photo)
        options = {"size": (50, 50)}
        self.assertIsNone(thumbnailer.get_thumbnail(options, generate=False))
        thumb = thumbnailer.get_thumbnail(options)
        self.assertEqual(told, [(50, 50), thumb.url])
        self.assertEqual(thumb.thumbnail_options, ThumbnailOptions(options))
        self.assertEqual(thumb.thumbnail_options["subsampling"], 1)

    def test_other_files_can_be_made_smaller(self):
        thumb = get_thumbnailer(picture(300, 300), "upload.jpg").generate_thumbnail({"size": (30, 30)})
        self.assertEqual((thumb.width, thumb.height), (30, 30))
        self.assertEqual(Image.open(thumb).size, (30, 30))

    def test_what_is_no_picture_is_refused(self):
        self.member.photo.save("a.jpg", ContentFile(b"Lorem ipsum"))
        with self.assertRaises(EasyThumbnailsError):
            get_thumbnailer(self.member.photo).get_thumbnail({"size": (0, 0)})
        with self.assertRaises(InvalidImageFormatError):
            get_thumbnailer(self.member.photo)["badge"]

    def test_a_command_makes_cards(self):
        out = io.StringIO()
        call_command("warm", stdout=out)
        self.assertEqual(out.getvalue(), "Ada: 100\n")
        self.assertTrue(any(Path(storages["easy_thumbnails"].location).rglob("*.webp")))
