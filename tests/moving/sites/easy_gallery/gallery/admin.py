from django.contrib import admin
from easy_thumbnails.fields import ThumbnailerImageField
from easy_thumbnails.widgets import ImageClearableFileInput

from .models import Artist, Work


@admin.register(Artist, Work)
class GalleryAdmin(admin.ModelAdmin):
    formfield_overrides = {ThumbnailerImageField: {"widget": ImageClearableFileInput}}
