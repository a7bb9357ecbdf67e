"""The input for a file, with a preview of the stored image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.files.storage import Storage
from django.forms import ClearableFileInput
from django.forms.renderers import BaseRenderer
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from imagekit_registry.contrib.easy.conf import settings
from imagekit_registry.contrib.easy.exceptions import EasyThumbnailsError
from imagekit_registry.contrib.easy.files import ThumbnailFile, get_thumbnailer
from imagekit_registry.specs import StoredFile, is_stored, storage_of

__all__ = ["ImageClearableFileInput"]


class ImageClearableFileInput(ClearableFileInput):
    """Django's own input, followed by the image as a link to the original.

    Args:
        thumbnail_options: Options of the image, 80 by 80 pixels if they have no size; None:
            ``THUMBNAIL_WIDGET_OPTIONS``.
        attrs: HTML attributes of the input.

    Example:
        >>> class ProfileAdmin(admin.ModelAdmin):
        ...     formfield_overrides = {models.ImageField: {"widget": ImageClearableFileInput}}
    """

    #: What is written; ``template`` is the input, ``thumb`` the image.
    template_with_thumbnail = (
        '%(template)s<br /><a href="%(source_url)s" target="_blank">%(thumb)s</a>'
    )

    def __init__(
        self,
        thumbnail_options: Mapping[str, object] | None = None,
        attrs: dict[str, object] | None = None,
    ) -> None:
        super().__init__(attrs)
        given = thumbnail_options or settings.THUMBNAIL_WIDGET_OPTIONS
        self.thumbnail_options = {"size": (80, 80), **given}

    def thumbnail_id(self, name: str) -> str:
        """Return the id of the image's element."""
        return f"{name}_thumb_id"

    def get_thumbnail(self, value: Any) -> ThumbnailFile:
        """Return the image of a stored file."""
        thumbnailer = get_thumbnailer(StoredFile(value.name, value.storage))
        thumbnailer.thumbnail_storage = getattr(value, "thumbnail_storage", None)
        file: ThumbnailFile = thumbnailer.get_thumbnail(self.thumbnail_options)
        return file

    def render(
        self,
        name: str,
        value: Any,
        attrs: dict[str, object] | None = None,
        renderer: BaseRenderer | None = None,
    ) -> SafeString:
        """Return the HTML; without an image if there is none, or none can be made."""
        html = super().render(name, value, attrs, renderer)
        if not value or not isinstance(storage_of(value), Storage) or not is_stored(value):
            return html
        try:
            thumb = self.get_thumbnail(value).tag(id=self.thumbnail_id(name))
        except EasyThumbnailsError:
            # The form must open, so that the broken image can be replaced.
            return html
        url = escape(value.storage.url(value.name))
        parts = {"template": html, "thumb": thumb, "source_url": url}
        return mark_safe(self.template_with_thumbnail % parts)  # noqa: S308 -- each part is HTML
