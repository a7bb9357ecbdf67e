"""What an empty field shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.template import Context, Engine

from imagekit_registry.contrib.versatile.placeholder import OnStoragePlaceholderImage
from tests.contrib.versatile.conftest import opened

pytestmark = pytest.mark.django_db(transaction=True)


class TestPlaceholders:
    """What an empty field shows."""

    def test_an_empty_field_shows_its_placeholder(self, picture: Any) -> None:
        """Itself, and in every size; without one it shows nothing."""
        assert picture.held.url == "/media/__placeholder__/rocket.jpg"
        assert opened(picture.held.thumbnail["90x90"]).size == (90, 60)
        assert not picture.bare.thumbnail["90x90"]
        shown = Engine().from_string("[{{ image.thumbnail.90x90 }}]")
        assert shown.render(Context({"image": picture.bare})) == "[]"

    def test_an_empty_field_has_no_filtered_image(self, picture: Any) -> None:
        """A template shows nothing, as of its sizes."""
        shown = Engine().from_string("[{{ image.filters.invert }}]")
        assert shown.render(Context({"image": picture.bare})) == "[]"

    def test_a_placeholder_may_lie_in_a_storage(self, photos: Path) -> None:
        """It is called as there."""
        content = ContentFile((photos / "rocket.jpg").read_bytes())
        name = storages["default"].save("some/where.jpg", content)
        placeholder = OnStoragePlaceholderImage(name)
        assert placeholder.name == "some/where.jpg"
        assert placeholder.read().size == content.size
