"""Aliases: which one holds for what, and what is registered for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from imagekit_registry import ImageSpec, get_image
from imagekit_registry.contrib.easy.alias import Aliases, aliases, fields_of, spec_id_of
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.registry import generator_registry, register
from tests.storages import content_of
from tests.testapp.models import Photo, PhotoChild, PhotoProxy, Plain

ALIASES: dict[str, dict[str, Any]] = {
    "": {"large": {"size": (500, 500)}, "small": {"size": (100, 100)}},
    "testapp": {"side": {"size": (15, 25)}},
    "testapp.Photo": {"large": {"size": (200, 200)}, "banner": {"size": (60, 8), "crop": True}},
    "testapp.Photo.original_image": {"small": {"size": (20, 20), "crop": True}},
}
FIELD = "testapp.Photo.original_image"


@pytest.fixture(autouse=True)
def _settings(settings: Any) -> None:
    settings.THUMBNAIL_ALIASES = ALIASES


@pytest.mark.parametrize(
    ("alias", "target", "size"),
    [
        ("large", None, (500, 500)),
        ("large", "testapp.Photo", (200, 200)),
        ("large", FIELD, (200, 200)),
        ("large", "testapp.Plain.image", (500, 500)),
        ("small", FIELD, (20, 20)),
        ("side", FIELD, (15, 25)),
        ("side", "", None),
        ("banner", "testapp", None),
        ("nothing", FIELD, None),
    ],
)
def test_the_nearest_target_has_its_say(alias: str, target: Any, size: Any) -> None:
    """The field, then its model, then the app, then the project."""
    options = aliases.get(alias, target)
    assert (options and options["size"]) == size


def test_all_aliases_of_a_target_are_told() -> None:
    """With those for all the project, or without."""
    known = aliases.all(FIELD)
    assert {alias: options["size"] for alias, options in known.items()} == {
        "banner": (60, 8),
        "large": (200, 200),
        "side": (15, 25),
        "small": (20, 20),
    }
    assert "small" not in aliases.all("testapp.Plain", include_global=False)
    assert aliases.all() == ALIASES[""]
    assert Aliases(populate_from_settings=False).all() == {}


def test_the_file_of_a_field_is_a_target() -> None:
    """Of a row that may not be saved."""
    photo = Photo(original_image="photos/a.jpg")
    assert aliases.spec_id("small", photo.original_image) == f"easy:{FIELD}:small"
    assert aliases.spec_id("small", Plain(image="a.jpg").image) == "easy:small"


def test_an_alias_is_a_registered_spec(name: str) -> None:
    """By the id of its target; a changed alias takes the place of the former."""
    assert {spec_id_of(alias, target) for target in ALIASES for alias in ALIASES[target]} <= set(
        generator_registry.get_ids()
    )
    assert get_image(f"easy:{FIELD}:small", source=name).width == 20
    aliases.set("small", {"size": (30, 30), "crop": True}, target=FIELD)
    assert get_image(f"easy:{FIELD}:small", source=name).width == 30
    changed = aliases.get("small", FIELD)
    assert changed is not None
    changed["size"] = (1, 1)
    assert aliases.get("small", FIELD) == {"size": (30, 30), "crop": True}


def test_a_spec_of_the_project_stays_in_the_place_of_an_alias(name: str) -> None:
    """Who registers the id wants another recipe."""

    class Own(ImageSpec):
        processors = [ResizeToFill(7, 7)]

    generator_registry.unregister("easy:small")
    register.generator("easy:small", Own)
    aliases.populate_from_settings()
    assert get_image("easy:small", source=name).width == 7


@pytest.mark.django_db
def test_commands_make_the_images_of_aliases_for_fields(photos: Path) -> None:
    """Of rows that are there already: of fields, models and apps, each as the nearest alias has it."""
    photo = Photo.objects.create(original_image=content_of(photos / "rocket.jpg"))
    ids = [f"easy:{FIELD}:small", "easy:testapp.Photo:banner", "easy:testapp:side"]
    call_command("generateimages", *ids)
    for spec_id in ids:
        file = get_image(spec_id, source=photo.original_image)
        assert file.storage.exists(str(file.name)), spec_id


@pytest.mark.django_db
@pytest.mark.parametrize("model", [PhotoChild, PhotoProxy])
@pytest.mark.parametrize("field", ["", ".original_image"])
def test_commands_make_the_images_of_aliases_for_children_and_proxies(
    model: Any, field: str, photos: Path
) -> None:
    """Of their parent's field; once nothing fed their specs."""
    target = f"testapp.{model.__name__}{field}"
    aliases.set("kin", {"size": (31, 31)}, target)
    photo = model.objects.create(original_image=content_of(photos / "rocket.jpg"))
    call_command("generateimages", f"easy:{target}:kin")
    file = get_image(str(aliases.spec_id("kin", photo.original_image)), source=photo.original_image)
    assert file.storage.exists(str(file.name))


def test_an_app_has_each_field_once() -> None:
    """A child and a proxy have the rows of their parent."""
    found = [model for model, field in fields_of("testapp") if field.name == "original_image"]
    assert Photo in found
    assert not {PhotoChild, PhotoProxy} & {*found}


@pytest.mark.parametrize("target", ["no", "testapp.No", "testapp.Photo.no"])
def test_a_target_that_does_not_exist_is_passed_over(target: str) -> None:
    """Until the checks tell of it; a project may be without an app."""
    with pytest.raises(LookupError):
        fields_of(target)
    aliases.set("odd", {"size": (9, 9)}, target)
    assert aliases.get("odd", target) == {"size": (9, 9)}
