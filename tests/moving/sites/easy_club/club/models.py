from django.db import models
from django.dispatch import receiver
from easy_thumbnails.alias import aliases
from easy_thumbnails.files import get_thumbnailer
from easy_thumbnails.signals import saved_file

if not aliases.get("badge"):
    aliases.set("badge", {"size": (64, 64), "crop": "scale"})

QUEUE = []


class Member(models.Model):
    name = models.CharField(max_length=100)
    photo = models.ImageField(upload_to="members", blank=True)
    crop_x = models.PositiveSmallIntegerField(default=50)
    crop_y = models.PositiveSmallIntegerField(default=50)

    def card(self):
        options = {"size": (100, 140), "crop": True, "target": (self.crop_x, self.crop_y), "zoom": 20}
        return get_thumbnailer(self.photo).get_thumbnail(options)


@receiver(saved_file)
def make_later(sender, fieldfile, **kwargs):
    QUEUE.append((sender, fieldfile.instance.pk, fieldfile.field.name))
