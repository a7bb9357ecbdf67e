"""What models, views and the admin of sorl-thumbnail's users import."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import override_settings

from imagekit_registry.contrib.sorl import ImageField, default, delete
from imagekit_registry.contrib.sorl.admin import AdminImageMixin, AdminInlineImageMixin
from imagekit_registry.contrib.sorl.admin.current import AdminImageWidget
from imagekit_registry.contrib.sorl.conf import settings
from imagekit_registry.contrib.sorl.fields import ImageFormField
from imagekit_registry.contrib.sorl.helpers import ThumbnailError
from tests.contrib.sorl.conftest import thumb

pytestmark = [pytest.mark.usefixtures("sorl"), pytest.mark.django_db]


class TestPython:
    """What models, views and the admin import."""

    def test_deleting_takes_the_images_and_the_source(self, name: str, media: Path) -> None:
        """Or the images alone."""
        for size in ("20x20", "30x30"):
            thumb(name, size, crop="center")
        delete(name, delete_file=False)
        left = [str(path.relative_to(media)) for path in media.rglob("*") if path.is_file()]
        assert left == [name]
        delete(name)
        assert not [path for path in media.rglob("*") if path.is_file()]

    def test_fields_and_the_mixin_of_the_admin_are_there(self) -> None:
        """They are Django's own, so that no migration is to be made; and ours."""
        path = ImageField().deconstruct()[1]
        assert path == "django.db.models.ImageField"
        assert isinstance(ImageField().formfield(), ImageFormField)
        assert AdminInlineImageMixin is AdminImageMixin
        assert AdminImageWidget().render("image", None).startswith("<")

    def test_what_is_raised_is_caught_by_its_former_name(self, name: str) -> None:
        """Of an empty field, of options that make no sense, and of what is no image."""
        storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        with override_settings(IMAGEKIT_ON_ERROR="raise"):
            for source, geometry in ((None, "20x20"), (name, "20by20"), ("photos/bad.jpg", "20")):
                with pytest.raises(ThumbnailError):
                    default.backend.get_thumbnail(source, geometry)

    def test_settings_have_the_defaults_that_they_had(self) -> None:
        """Tests of projects look where the images are."""
        with override_settings(THUMBNAIL_QUALITY=70, IMAGEKIT_CACHEFILE_DIR="made/here"):
            assert settings.THUMBNAIL_QUALITY == 70
            assert settings.THUMBNAIL_PREFIX == "made/here/"
        assert settings.THUMBNAIL_FORMAT == "JPEG"
        assert settings.MEDIA_URL == "/media/"
        with pytest.raises(AttributeError):
            settings.THUMBNAIL_NOTHING  # noqa: B018

    def test_an_image_is_kept_by_caches(self, name: str) -> None:
        """With its URL as a plain text."""
        file = thumb(name, "20x20")
        again, url = pickle.loads(pickle.dumps([file, file.url]))
        assert (again.url, again.size, type(url)) == (file.url, [20, 13], str)
        assert json.loads(json.dumps(file.url)) == url
