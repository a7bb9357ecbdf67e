from django.db import models
from imagekit.models import ImageSpecField, ProcessedImageField
from imagekit.processors import Adjust, ResizeToFill, SmartResize, Transpose

from .processors import card


class Article(models.Model):
    name = models.CharField(max_length=50)
    banner_width = models.PositiveIntegerField(default=300)
    photo = models.ImageField(upload_to="articles")
    cover = ProcessedImageField(
        upload_to="covers", processors=[ResizeToFill(120, 160)], format="JPEG", options={"quality": 60}, blank=True
    )
    small = ImageSpecField(source="photo", processors=[Transpose(), SmartResize(80, 80)], format="PNG")
    sharp = ImageSpecField(source="photo", processors=[ResizeToFill(100, 50), Adjust(contrast=1.2)])
    banner = ImageSpecField(source="photo", id="store:banner")
    card = ImageSpecField(source="photo", processors=[card(90)], format="JPEG", options={"quality": 90})

    def __str__(self):
        return self.name
