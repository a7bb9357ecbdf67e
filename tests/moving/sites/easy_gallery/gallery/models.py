from django.db import models
from easy_thumbnails.fields import ThumbnailerField, ThumbnailerImageField
from easy_thumbnails.signal_handlers import generate_aliases
from easy_thumbnails.signals import saved_file


class Artist(models.Model):
    name = models.CharField(max_length=100)
    portrait = ThumbnailerImageField(
        upload_to="artists", blank=True, resize_source={"size": (800, 800), "quality": 90}
    )

    def __str__(self):
        return self.name


class Work(models.Model):
    artist = models.ForeignKey(Artist, models.CASCADE, related_name="works")
    title = models.CharField(max_length=100)
    image = ThumbnailerImageField(upload_to="works", width_field="width", height_field="height")
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
    certificate = ThumbnailerField(upload_to="certificates", blank=True)

    def __str__(self):
        return self.title


saved_file.connect(generate_aliases)
