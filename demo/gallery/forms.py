"""The gallery's form."""

from __future__ import annotations

from django import forms

from demo.gallery.models import Photo
from imagekit_registry.admin import FocalPointWidget, ImageAdminWidget


class UploadForm(forms.ModelForm):
    """An upload; the image is processed by the model's `ProcessedImageField` before it is stored."""

    class Meta:
        model = Photo
        fields = ["image", "title", "description", "credit", "rights"]
        widgets = {"image": ImageAdminWidget(attrs={"accept": "image/*"})}


class PointForm(forms.ModelForm):
    """What a photograph is about: the inputs of the admin, which work in any form."""

    class Meta:
        model = Photo
        fields = ["image", "focal_point"]
        widgets = {"image": ImageAdminWidget, "focal_point": FocalPointWidget}
