"""The gallery in the admin."""

from __future__ import annotations

from django.contrib import admin

from demo.gallery.models import Photo
from imagekit_registry.admin import AdminThumbnail, ImageAdminMixin, make_images_anew


@admin.register(Photo)
class PhotoAdmin(ImageAdminMixin, admin.ModelAdmin):
    """A thumbnail in the list, a preview in the form."""

    list_display = ["thumbnail", "title", "size", "credit", "rights"]
    list_display_links = ["title"]
    list_filter = ["rights"]
    actions = [make_images_anew]
    search_fields = ["title", "description", "credit"]
    readonly_fields = ["size", "created"]
    fieldsets = [
        (None, {"fields": ["image", "focal_point", "title", "description"]}),
        ("Origin", {"fields": ["credit", "rights", "size", "created"]}),
    ]
    thumbnail = AdminThumbnail("list_thumbnail")

    @admin.display(description="Size", ordering="width")
    def size(self, photo: Photo) -> str:
        """Return width and height, in pixels."""
        return f"{photo.width}\u00a0×\u00a0{photo.height}" if photo.width else "-"  # noqa: RUF001
