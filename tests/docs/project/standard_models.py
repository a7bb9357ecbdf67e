"""What `photos/models.py` holds where a page does not write it itself."""

from __future__ import annotations

from django.db import models

from imagekit_registry.models import ImageSpecField
from imagekit_registry.processors import ResizeToFill, ResizeToFit


class Photo(models.Model):
    title = models.CharField(max_length=80, blank=True)
    image = models.ImageField(upload_to="photos")
    thumbnail = ImageSpecField([ResizeToFill(200, 150)], format="JPEG")
    banner = ImageSpecField([ResizeToFit(800, None)], format="WEBP")

    def __str__(self) -> str:
        return self.title
