"""The admin of the test project."""

from __future__ import annotations

from django.contrib import admin

from imagekit_registry.admin import AdminThumbnail, ImageAdminMixin
from tests.testapp.models import (
    Album,
    AlbumPhoto,
    Keyed,
    KeyedBySignals,
    KeyedChild,
    KeyedProxy,
    Limited,
    Photo,
    Portrait,
    Profile,
)


@admin.register(Photo)
class PhotoAdmin(ImageAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    """A thumbnail in the list and among the fields, a preview beside the input."""

    list_display = ["__str__", "admin_thumbnail"]
    readonly_fields = ["admin_thumbnail"]
    admin_thumbnail = AdminThumbnail("thumbnail")


class AlbumPhotoInline(ImageAdminMixin, admin.TabularInline):  # type: ignore[type-arg]
    """Previews in an inline."""

    model = AlbumPhoto
    extra = 1


@admin.register(Album)
class AlbumAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Photographs as inlines."""

    inlines = [AlbumPhotoInline]


@admin.register(Profile)
class ProfileAdmin(ImageAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    """A processed upload."""

    list_display = ["name", "picture"]
    picture = AdminThumbnail("avatar")


@admin.register(Portrait)
class PortraitAdmin(ImageAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    """A focal point."""


admin.site.register([Keyed, KeyedBySignals, KeyedChild, KeyedProxy, Limited])
