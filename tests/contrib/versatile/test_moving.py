"""What django-versatileimagefield has made is found by its names, and taken over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from PIL import Image

from imagekit_registry.testing import forget_state
from tests.management.conftest import Result

Run = Callable[..., Result]

pytestmark = pytest.mark.django_db(transaction=True)

MADE = [
    ("__sized__/pictures", "-thumbnail-200x200-70", lambda image: image.thumbnail["200x200"]),
    ("__sized__/pictures", "-crop-c0-5__0-5-60x60-70", lambda image: image.crop["60x60"]),
    ("pictures/__filtered__", "__invert__", lambda image: image.filters.invert.file),
    (
        "__sized__/pictures/__filtered__",
        "__invert__-thumbnail-90x90-70",
        lambda image: image.filters.invert.thumbnail["90x90"],
    ),
]


def put(picture: Any, folder: str, end: str, extension: str = "") -> Path:
    """Put a file where django-versatileimagefield would have put it, of a colour of its own."""
    name = Path(picture.image.name)
    stem, extension = name.stem, extension or name.suffix
    path = Path(storages["default"].path(f"{folder}/{stem}{end}{extension}"))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (60, 60), "magenta").save(path)
    return path


@pytest.mark.parametrize(("folder", "end", "ask"), MADE, ids=[end for _, end, _ in MADE])
@pytest.mark.parametrize("way", ["--copy", "--link"])
def test_what_a_key_has_made_is_not_made_again(
    folder: str,
    end: str,
    ask: Any,
    way: str,
    picture: Any,
    run: Run,
) -> None:
    """As version 3.1 has named it; the very file is shown, and the former one stays."""
    old = put(picture, folder, end)
    document = run("adoptimages", "--from", "versatile", way, "--json").document
    assert (document["adopted"], document["notes"]) == (1, [])
    forget_state()
    new = Path(ask(picture.image).path)
    assert new.read_bytes() == old.read_bytes()
    assert new.samefile(old) == (way == "--link")
    assert run("adoptimages", "--from", "versatile", "--json").document["existing"] == 1


def test_the_point_of_interest_is_part_of_a_name(picture: Any, run: Run) -> None:
    """What was cut around another one is left."""
    picture.image.ppoi = (0.25, 0.5)
    picture.save()
    put(picture, "__sized__/pictures", "-crop-c0-5__0-5-60x60-70")
    assert run("adoptimages", "--from", "versatile", "--json").document["adopted"] == 0
    old = put(picture, "__sized__/pictures", "-crop-c0-25__0-5-60x60-70")
    assert run("adoptimages", "--from", "versatile", "--json").document["adopted"] == 1
    assert Path(picture.image.crop["60x60"].path).read_bytes() == old.read_bytes()


def test_images_of_a_source_without_an_extension_are_found(picture: Any, run: Run) -> None:
    """They are JPEGs, and called so."""
    picture.image.save("bare", ContentFile(Path(picture.image.path).read_bytes()))
    old = put(picture, "__sized__/pictures", "-thumbnail-90x90-70", ".jpg")
    assert run("adoptimages", "--from", "versatile", "--json").document["adopted"] == 1
    assert Path(picture.image.thumbnail["90x90"].path).read_bytes() == old.read_bytes()


def test_files_that_no_key_has_made_are_left(picture: Any, run: Run) -> None:
    """Those of another quality, of sizers and filters that there are not, and of other sources."""
    for folder, end in (
        ("__sized__/pictures", "-thumbnail-200x200-80"),
        ("__sized__/pictures", "-square-200x200-70"),
        ("__sized__/pictures", "-2-thumbnail-200x200-70"),
        ("__sized__/pictures", "-crop-60x60-70"),
        ("__sized__/pictures/__filtered__", "__sepia__-thumbnail-90x90-70"),
        ("pictures/__filtered__", "__sepia__"),
    ):
        put(picture, folder, end)
    assert run("adoptimages", "--from", "versatile", "--json").document["adopted"] == 0


def test_folders_of_the_settings_are_looked_into(picture: Any, run: Run, settings: Any) -> None:
    """They are no settings of ours."""
    settings.VERSATILEIMAGEFIELD_SETTINGS = {"sized_directory_name": "sized"}
    put(picture, "sized/pictures", "-thumbnail-200x200-70")
    assert run("adoptimages", "--from", "versatile", "--json").document["adopted"] == 1


def test_names_that_tell_no_keys_are_told_of(picture: Any, run: Run, settings: Any) -> None:
    """In words."""
    settings.VERSATILEIMAGEFIELD_SETTINGS = {"image_key_post_processor": "a.b"}
    put(picture, "__sized__/pictures", "-thumbnail-200x200-70")
    document = run("adoptimages", "--from", "versatile", "--json").document
    (note,) = document["notes"]
    assert (document["adopted"], "made again" in note) == (0, True)
