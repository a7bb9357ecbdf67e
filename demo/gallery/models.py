"""The gallery's photographs."""

from __future__ import annotations

from django.db import models
from django.urls import reverse

from demo.gallery.processors import Duotone
from imagekit_registry.models import FocalPointField, ImageSpecField, ProcessedImageField
from imagekit_registry.processors import ResizeToFill, ResizeToFit


class Photo(models.Model):
    """A photograph, and the images that every page may want of it."""

    title = models.CharField(max_length=80)
    description = models.CharField(
        max_length=200, help_text="What is to be seen, for those who cannot see it."
    )
    credit = models.CharField(max_length=200, blank=True, help_text="Who took it.")
    rights = models.CharField(
        max_length=80, blank=True, help_text="Its licence, such as CC0 or CC BY 4.0."
    )
    # Whatever a camera sends is turned upright, loses its metadata (and with them the place where it
    # was taken) and is stored at a reasonable size.
    image = ProcessedImageField(
        [ResizeToFit(2000, 2000, upscale=False)],
        format="JPEG",
        options={"quality": 92, "progressive": True},
        upload_to="photos",
        width_field="width",
        height_field="height",
    )
    focal_point = FocalPointField(
        image_field="image", help_text="What stays where the photograph is cropped."
    )
    width = models.PositiveIntegerField(default=0, editable=False)
    height = models.PositiveIntegerField(default=0, editable=False)
    loaded_from = models.CharField(max_length=100, null=True, unique=True, editable=False)
    created = models.DateTimeField(auto_now_add=True)

    duotone = ImageSpecField(
        [ResizeToFill(320, 240, anchor="focal"), Duotone(dark="#1d1a4b", light="#ffd9a0")],
        source="image",
        format="WEBP",
    )
    list_thumbnail = ImageSpecField(
        [ResizeToFill(96, 72, anchor="focal")], source="image", format="WEBP"
    )

    class Meta:
        ordering = ["-created", "-pk"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """Return the address of the photograph's page."""
        return reverse("gallery:photo", args=[self.pk])
