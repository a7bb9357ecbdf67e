"""What a cache file is: worked out once, and never anything else than it would be without memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.test import override_settings
from PIL import Image

from imagekit_registry import ImageSpec, get_image, register
from imagekit_registry.cachefiles import ImageCacheFile, namers
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.specs import StoredFile
from tests.cachefiles.conftest import Thumbnail
from tests.storages import CountingStorage


class Small(ImageSpec):
    """A recipe."""

    processors = [ResizeToFill(20, 20)]
    format = "JPEG"


@pytest.fixture(autouse=True)
def spec_id() -> str:
    """Register the recipe."""
    register.generator("tests:identity", Small)
    return "tests:identity"


def forgotten(file: ImageCacheFile) -> Any:
    """Return what the file of the same spec is, worked out anew."""
    with override_settings(IMAGEKIT_CACHE_TIMEOUT=1):
        pass
    return ImageCacheFile(file.generator, storage=file.storage).identity


def test_an_identity_says_what_a_file_is(name: str, spec_id: str) -> None:
    """Name, storage, spec, source, digest and key; for each file the same."""
    identity = get_image(spec_id, source=name).identity
    assert identity.name == get_image(spec_id, source=name).name
    assert (identity.spec_id, identity.source, identity.source_name) == (spec_id, name, name)
    assert identity.digest in identity.name
    assert identity.key.endswith(f"{identity.name}-state")
    assert identity.name_is_unique


def test_the_second_file_of_a_spec_and_a_source_digests_nothing(
    name: str, spec_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process remembers what the two come to."""
    first = get_image(spec_id, source=name).identity

    def fail(spec: Any) -> str:
        raise AssertionError("digested again")

    with monkeypatch.context() as patch:
        patch.setattr("imagekit_registry.specs._spec.digest_of", fail)
        # A URL, for one, spells the id in another object.
        for spelling in (spec_id, "".join(list(spec_id))):
            assert get_image(spelling, source=name).identity == first


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("processors", [ResizeToFill(10, 10)]),
        ("format", "PNG"),
        ("options", {"quality": 50}),
        ("background", "#ff0000"),
        ("namer", "imagekit_registry.cachefiles.namers.source_name_dot_hash"),
    ],
)
def test_a_changed_recipe_is_another_file(
    attribute: str, value: Any, name: str, spec_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the class or on one spec; what was remembered is not believed."""
    before = get_image(spec_id, source=name).identity
    spec = Small(name)
    setattr(spec, attribute, value)
    assert ImageCacheFile(spec).name != before.name
    monkeypatch.setattr(Small, attribute, value)
    after = get_image(spec_id, source=name)
    assert after.name != before.name
    assert after.identity == forgotten(after)


def test_a_recipe_that_depends_on_the_source_is_asked_each_time(name: str) -> None:
    """A property may give another answer for each object."""
    widths = iter([10, 20, 30])

    class Fickle(ImageSpec):
        format = "JPEG"

        @property
        def processors(self) -> list[Any]:
            return [ResizeToFill(next(widths), 20)]

    assert ImageCacheFile(Fickle(name)).name != ImageCacheFile(Fickle(name)).name


def test_sources_of_one_name_in_two_storages_are_two_files(name: str, tmp_path: Any) -> None:
    """The name alone does not tell."""
    here = ImageCacheFile(Small(StoredFile(name)))
    there = ImageCacheFile(Small(StoredFile(name, FileSystemStorage(location=tmp_path))))
    assert here.identity.source == name
    assert here.name != there.name
    assert ImageCacheFile(Small(StoredFile(name))).name == here.name


def test_files_in_two_storages_have_two_keys(name: str, tmp_path: Any) -> None:
    """Though their names are one."""
    here = ImageCacheFile(Small(name))
    there = ImageCacheFile(Small(name), storage=CountingStorage(location=tmp_path))
    assert here.name == there.name
    assert here.identity.key != there.identity.key
    assert ImageCacheFile(Small(name), storage=storages["default"]).identity == here.identity


def test_changed_settings_end_what_was_remembered(name: str, spec_id: str) -> None:
    """Of names, options and keys."""
    before = get_image(spec_id, source=name).identity
    with override_settings(IMAGEKIT_CACHEFILE_DIR="elsewhere"):
        assert get_image(spec_id, source=name).name.startswith("elsewhere/")  # type: ignore[union-attr]
    with override_settings(IMAGEKIT_FORMAT_OPTIONS={"JPEG": {"quality": 30}}):
        assert get_image(spec_id, source=name).identity.digest != before.digest
    with override_settings(IMAGEKIT_CACHE_PREFIX="other:"):
        assert get_image(spec_id, source=name).identity.key.startswith("other:")
    assert get_image(spec_id, source=name).identity == before


def test_a_name_of_ones_own_is_kept(name: str, spec_id: str) -> None:
    """It is neither remembered nor overruled."""
    get_image(spec_id, source=name).identity  # noqa: B018 -- remembered from now on
    file = ImageCacheFile(Small(name), name="own/name.jpg")
    assert (file.name, file.identity.name) == ("own/name.jpg", "own/name.jpg")
    assert get_image(spec_id, source=name).name != "own/name.jpg"


def test_files_in_two_storages_are_two_files(settings: Any, tmp_path: Path, photos: Path) -> None:
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


def test_a_changed_recipe_counts_as_missing(name: str) -> None:
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
