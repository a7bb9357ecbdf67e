"""What easy-thumbnails has made is found by its names, and taken over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from PIL import Image

from imagekit_registry.contrib.easy.alias import aliases
from imagekit_registry.contrib.easy.files import get_thumbnailer
from imagekit_registry.testing import forget_state
from tests.management.conftest import Result
from tests.storages import content_of
from tests.testapp.models import Plain

Run = Callable[..., Result]

pytestmark = pytest.mark.django_db

MADE = [
    ("100x100_q85.jpg", {"size": (100, 100)}),
    ("100x0_q60ss0.jpg", {"size": (100, 0), "quality": 60, "subsampling": 0}),
    ("60x60_q85_crop-smart_upscale.jpg", {"size": (60, 60), "crop": "smart", "upscale": True}),
    ("60x60_q85_crop_target-20,80.jpg", {"size": (60, 60), "crop": True, "target": (20, 80)}),
    ("60x60_q85_background-#fff_bw.jpg", {"size": (60, 60), "background": "#fff", "bw": True}),
    (
        "60x60_q85_replace_alpha-#fff_zoom-40.jpg",
        {"size": (60, 60), "replace_alpha": "#fff", "zoom": 40},
    ),
]


@pytest.fixture
def row(photos: Path) -> Any:
    """Return a row with an image."""
    return Plain.objects.create(image=content_of(photos / "rocket.jpg"))


def put(row: Any, end: str, color: str = "magenta", beside: str = "") -> Path:
    """Put a file where easy-thumbnails would have put it, of another colour than the source."""
    path = Path(storages["default"].path(row.image.name))
    path = path.parent / beside / f"{path.name}.{end}"
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (60, 60), color).save(path)
    return path


@pytest.mark.parametrize(("end", "options"), MADE, ids=[end for end, _ in MADE])
@pytest.mark.parametrize("way", ["--copy", "--link"])
def test_what_was_made_with_options_is_not_made_again(
    end: str,
    options: dict[str, Any],
    way: str,
    row: Any,
    run: Run,
) -> None:
    """As version 2.10 has named it; the very file is shown, and the former one stays."""
    old = put(row, end)
    document = run("adoptimages", "--from", "easy", way, "--json").document
    assert (document["adopted"], document["notes"]) == (1, [])
    forget_state()
    new = Path(get_thumbnailer(row.image).get_thumbnail(options).path)
    assert new.read_bytes() == old.read_bytes()
    assert new.samefile(old) == (way == "--link")
    assert run("adoptimages", "--from", "easy", "--json").document["existing"] == 1


def test_a_former_image_whose_options_have_an_alias_belongs_to_that(row: Any, run: Run) -> None:
    """So that the commands know it by its id."""
    aliases.set("badge", {"size": (60, 60), "crop": True}, target="testapp.Plain.image")
    old = put(row, "60x60_q85_crop.jpg")
    assert run("adoptimages", "easy:**", "--from", "easy", "--json").document["adopted"] == 1
    assert Path(get_thumbnailer(row.image)["badge"].path).read_bytes() == old.read_bytes()


def test_a_transparent_image_keeps_its_extension(row: Any, run: Run) -> None:
    """What may be either is taken as what it is."""
    row.image = content_of(Path(row.image.path), "logo.png")
    row.save()
    put(row, "60x60_q85.png")
    assert run("adoptimages", "--from", "easy", "--json").document["adopted"] == 1
    forget_state()
    file = get_thumbnailer(row.image).get_thumbnail({"size": (60, 60)})
    assert (file.width, file.url[-4:]) == (60, ".png")


def test_files_that_easy_thumbnails_has_not_made_are_left(row: Any, run: Run) -> None:
    """Those of other formats than are made now, of unknown options, and of other sources."""
    for end in ("60x60_q85.png", "60x60_q85_mirrored.jpg", "small.jpg", "60x60.jpg", "x_q85.jpg"):
        put(row, end)
    assert run("adoptimages", "--from", "easy", "--json").document["adopted"] == 0


def test_folders_of_the_settings_are_looked_into(row: Any, run: Run, settings: Any) -> None:
    """With what stands before the names."""
    settings.THUMBNAIL_SUBDIR = "thumbs"
    old = put(row, "60x60_q85.jpg", beside="thumbs")
    put(row, "50x50_q85.jpg")
    assert run("adoptimages", "--from", "easy", "--json").document["adopted"] == 1
    settings.THUMBNAIL_PREFIX = "t_"
    old.rename(old.with_name(f"t_{old.name}".replace("60x60", "50x50")))
    assert run("adoptimages", "--from", "easy", "--json").document["adopted"] == 1


@pytest.mark.parametrize(
    ("setting", "value"),
    [("NAMER", "easy_thumbnails.namers.hashed"), ("SUBDIR", "%(opts)s")],
)
def test_names_that_tell_no_options_are_told_of(
    setting: str,
    value: str,
    row: Any,
    run: Run,
    settings: Any,
) -> None:
    """In words."""
    setattr(settings, f"THUMBNAIL_{setting}", value)
    put(row, "60x60_q85.jpg")
    document = run("adoptimages", "--from", "easy", "--json").document
    (note,) = document["notes"]
    assert (document["adopted"], "is made again" in note) == (0, True)
