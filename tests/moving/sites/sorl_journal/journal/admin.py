from django.contrib import admin
from sorl.thumbnail.admin import AdminImageMixin, AdminInlineImageMixin

from .models import Author, Post


class PostInline(AdminInlineImageMixin, admin.TabularInline):
    model = Post
    extra = 0


@admin.register(Author)
class AuthorAdmin(AdminImageMixin, admin.ModelAdmin):
    inlines = [PostInline]


@admin.register(Post)
class PostAdmin(AdminImageMixin, admin.ModelAdmin):
    list_display = ["title", "author"]
