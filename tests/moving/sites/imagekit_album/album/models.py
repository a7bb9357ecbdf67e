from django.db import models
from imagekit import ImageSpec
from imagekit.models import ImageSpecField
from imagekit.processors import Adjust, ResizeToFill, ResizeToFit, SmartResize

from .processors import Stamp


class Wide(ImageSpec):
    processors = [ResizeToFit(400, 300, mat_color="#ffffff"), Adjust(contrast=1.2, sharpness=1.1)]
    format = "JPEG"
    options = {"quality": 70, "progressive": True}


class Picture(models.Model):
    image = models.ImageField(upload_to="pictures")
    square = ImageSpecField([ResizeToFill(90, 90, anchor="tl")], source="image", format="JPEG")
    smart = ImageSpecField([SmartResize(80, 40), Stamp("red")], source="image")
    wide = ImageSpecField(source="image", spec=Wide)
