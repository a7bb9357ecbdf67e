"""What models, views and the admin of sorl-thumbnail's users import."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from imagekit_registry.contrib.sorl import ImageField, delete
from imagekit_registry.contrib.sorl.admin import AdminImageMixin, AdminInlineImageMixin
from imagekit_registry.contrib.sorl.fields import ImageFormField
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

    def test_an_image_is_kept_by_caches(self, name: str) -> None:
        """With its URL as a plain text."""
        file = thumb(name, "20x20")
        again, url = pickle.loads(pickle.dumps([file, file.url]))
        assert (again.url, again.size, type(url)) == (file.url, [20, 13], str)
        assert json.loads(json.dumps(file.url)) == url
