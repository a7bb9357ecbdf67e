from django.contrib import admin
from imagekit.admin import AdminThumbnail

from .models import Article


@admin.register(Article)
class ArticleAdmin(admin.ModelAdmin):
    list_display = ["name", "preview"]
    preview = AdminThumbnail(image_field="small")
