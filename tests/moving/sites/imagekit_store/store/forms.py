from django import forms
from imagekit.forms import ProcessedImageField
from imagekit.processors import ResizeToFit

from .models import Article


class ArticleForm(forms.ModelForm):
    photo = ProcessedImageField(spec_id="store:upload", processors=[ResizeToFit(400, 400)], format="JPEG")

    class Meta:
        model = Article
        fields = ["name", "photo"]
