from django.db import models
from pictures.models import PictureField


class Photo(models.Model):
    title = models.CharField(max_length=100)
    image = PictureField(
        upload_to="photos",
        aspect_ratios=[None, "16/9"],
        width_field="width",
        height_field="height",
    )
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
