"""The images that thumbnailers give."""

from __future__ import annotations

from io import BytesIO

from django.utils.safestring import SafeString, mark_safe
from PIL import Image

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.fallbacks import Fallback
from imagekit_registry.contrib.easy.options import ThumbnailOptions
from imagekit_registry.contrib.easy.signals import thumbnail_created
from imagekit_registry.contrib.easy.specs import EasyThumbnail
from imagekit_registry.html import build_attributes
from imagekit_registry.imaging import Encoded
from imagekit_registry.state import CacheFileRecord

__all__ = ["ThumbnailFile", "announce"]


class ThumbnailFile(ImageCacheFile):
    """An image, with what easy-thumbnails' images have besides."""

    _name_now = ""

    def announce(self, name: str) -> None:
        """Send ``thumbnail_created``, when this image was published and is not known of yet.

        Args:
            name: The name that it has in its storage.
        """
        # Receivers may ask for its URL, its size and its content.
        self._name_now = name
        try:
            thumbnail_created.send(sender=self)
        finally:
            self._name_now = ""

    def _name_by(self, record: CacheFileRecord | None) -> str:
        return self._name_now or super()._name_by(record)

    def _require_existence(self) -> Fallback | None:
        return None if self._name_now else super()._require_existence()

    def _require_content(self) -> None:
        if not self._name_now:
            super()._require_content()

    @property
    def thumbnail_options(self) -> ThumbnailOptions:
        """The options, with the defaults of the settings."""
        spec = self.generator
        return spec.thumbnail_options if isinstance(spec, EasyThumbnail) else ThumbnailOptions()

    @property
    def image(self) -> Image.Image:
        """The image, as Pillow opens it."""
        with self.open() as file:
            opened = Image.open(BytesIO(file.read()))
        opened.load()
        return opened

    def tag(self, alt: str = "", use_size: bool | None = None, **attrs: object) -> SafeString:
        """Return an ``<img>`` element.

        Args:
            alt: The text in place of the image.
            use_size: Whether width and height are among the attributes; None: they are.
            **attrs: Other attributes.
        """
        shown = self.shown()
        attributes = {**attrs, "alt": alt, "src": shown.url}
        if use_size is not False:
            attributes |= {"width": shown.width, "height": shown.height}
        written = build_attributes({name: attributes[name] for name in sorted(attributes)})
        return mark_safe(f"<img{written} />")  # noqa: S308 -- each value is escaped

    def _get_image_dimensions(self) -> tuple[int | None, int | None]:
        content = self._file
        if isinstance(content, Encoded):
            return content.width, content.height
        return super()._get_image_dimensions()


def announce(file: ImageCacheFile, name: str) -> None:
    """Send ``thumbnail_created`` for an image that was published, if it is one of this app.

    Args:
        file: The image.
        name: The name that it has in its storage.
    """
    if isinstance(file, ThumbnailFile):
        file.announce(name)
    elif isinstance(file.generator, EasyThumbnail):
        # Made by a worker or a command.
        ThumbnailFile(file.generator, storage=file.storage).announce(name)
