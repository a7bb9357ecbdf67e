"""The gallery's form."""

from __future__ import annotations

from django import forms

from demo.gallery.models import Photo


class UploadForm(forms.ModelForm):
    """An upload; the image is processed by the model's `ProcessedImageField` before it is stored."""

    class Meta:
        model = Photo
        fields = ["image", "title", "description", "credit", "rights"]
        widgets = {"image": forms.FileInput(attrs={"accept": "image/*"})}
