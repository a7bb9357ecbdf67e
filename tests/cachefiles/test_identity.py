"""What a cache file is: of which storage, source and recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import storages
from PIL import Image

from imagekit_registry.cachefiles import ImageCacheFile, namers
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.specs import StoredFile
from tests.cachefiles.conftest import Thumbnail


class TestIdentity:
    """What tells two files apart."""

    def test_files_in_two_storages_are_two_files(
        self, settings: Any, tmp_path: Path, photos: Path
    ) -> None:
        """Sources of the same name in different storages never share a cache file."""
        backend = "django.core.files.storage.FileSystemStorage"
        settings.STORAGES = {
            **settings.STORAGES,
            "private": {"BACKEND": backend, "OPTIONS": {"location": str(tmp_path / "private")}},
        }
        for alias, photo in (("default", "rocket.jpg"), ("private", "coffee.png")):
            storages[alias].save("a.png", ContentFile((photos / photo).read_bytes()))
        sources = [StoredFile("a.png", storages[alias]) for alias in ("default", "private")]
        files = [ImageCacheFile(Thumbnail(source)) for source in [*sources, "a.png"]]
        assert files[0].name == files[2].name != files[1].name
        assert files[0].read() != files[1].read()
        for file in files:
            file.close()

    def test_a_changed_recipe_counts_as_missing(self, name: str) -> None:
        """The state record keeps the digest; the new image takes the old one's place."""

        class Before(Thumbnail):
            namer = namers.source_name_and_field

        class After(Before):
            processors = [ResizeToFill(40, 30)]

        before, after = Before(name), After(name)
        before.spec_id = after.spec_id = "tests:file:banner"
        assert ImageCacheFile(before).width == 100
        assert ImageCacheFile(before).name == ImageCacheFile(after).name
        assert not ImageCacheFile(after).exists()
        assert ImageCacheFile(after).width == 40
        with Image.open(ImageCacheFile(after).path) as image:
            assert image.size == (40, 30)
