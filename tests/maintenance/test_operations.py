"""A migration has the images of a changed spec made, and the former ones go when the new ones are there."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management.sql import emit_post_migrate_signal
from django.db import connection
from django.db.migrations.state import ProjectState
from django.db.migrations.writer import OperationWriter

from imagekit_registry import ImageSpec, get_image, register, unregister
from imagekit_registry.cachefiles.bulk import Generation
from imagekit_registry.cachefiles.deletion import find_images
from imagekit_registry.maintenance.inventory import every_batch
from imagekit_registry.maintenance.operations import AlterSpec
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.specs.sourcegroups import ImageFieldSourceGroup
from imagekit_registry.testing import forget_state
from tests.management.conftest import Result, run  # noqa: F401 -- a fixture
from tests.storages import content_of
from tests.testapp.models import Plain

# Cleaning reads the rows of all of them.
pytestmark = pytest.mark.django_db(databases="__all__")

SPEC_ID = "tests:altered"


class Recipe(ImageSpec):
    """A recipe that is changed between two deployments."""

    format = "JPEG"


@pytest.fixture
def deploy() -> Iterator[Callable[[int], None]]:
    """Return a function that has the spec make images of another size."""
    group = ImageFieldSourceGroup(Plain, "image")

    def change(side: int) -> None:
        Recipe.processors = [ResizeToFill(side, side)]
        forget_state()

    change(40)
    register.generator(SPEC_ID, Recipe)
    register.source_group(SPEC_ID, group)
    yield change
    unregister.source_group(SPEC_ID, group)
    unregister.generator(SPEC_ID)


@pytest.fixture
def row(deploy: Any, photos: Path) -> Any:
    """Return a row, whose image was made with the former recipe."""
    row = Plain.objects.create(image=content_of(photos / "rocket.jpg"))
    assert all(result.error is None for result in Generation().run(every_batch([SPEC_ID], [])))
    return row


def migrate(operation: AlterSpec, *, collects: bool = False) -> None:
    """Run an operation as a migration does, and what is sent when all are applied."""
    state = ProjectState()
    editor = connection.schema_editor(collect_sql=collects)
    operation.database_forwards("testapp", editor, state, state)
    emit_post_migrate_signal(0, False, "default")


def image_of(row: Any) -> Path:
    """Return where the image of a row lies, or would lie."""
    file = get_image(SPEC_ID, source=row.image)
    return Path(file.storage.path(str(file.name)))


def test_an_altered_spec_has_its_new_images_made_and_the_former_stay(row: Any, deploy: Any) -> None:
    """Processes with the former code go on to show these."""
    former = image_of(row)
    deploy(50)
    new = image_of(row)
    assert (former.exists(), new.exists()) == (True, False)
    migrate(AlterSpec(SPEC_ID))
    assert (former.exists(), new.exists()) == (True, True)


def test_former_images_are_obsolete_once_a_spec_is_altered(
    row: Any,
    deploy: Any,
    run: Callable[..., Result],  # noqa: F811
    monkeypatch: Any,
) -> None:
    """So that the age that cleaning asks for counts from the migration."""
    former = image_of(row)
    deploy(50)
    with monkeypatch.context() as patch:
        clock = SimpleNamespace(time=lambda: time.time() - 100_000)
        patch.setattr("imagekit_registry.maintenance.operations.time", clock)
        migrate(AlterSpec(SPEC_ID))
    run("cleanimages", SPEC_ID, "--older-than", "1d")
    assert (former.exists(), image_of(row).exists()) == (False, True)


@pytest.mark.parametrize("store", ["cache", "database"])
def test_former_images_are_removed_if_that_is_asked_for(
    store: str, row: Any, deploy: Any, settings: Any
) -> None:
    """Those of this spec, of sources whose new images are there; other files stay."""
    settings.IMAGEKIT_STATE_STORE = store
    list(Generation(force=True).run(every_batch([SPEC_ID], [])))
    former, other = image_of(row), get_image("imagekit:thumbnail", source=row.image, width=9)
    other.generate()
    broken = Plain.objects.create(image=ContentFile(b"no image", "broken.jpg"))
    deploy(50)
    migrate(AlterSpec(SPEC_ID, delete_former=True))
    assert (former.exists(), image_of(row).exists(), other.exists()) == (False, True, True)
    assert not image_of(broken).exists()


def test_no_image_of_a_spec_that_takes_more_than_a_source_is_a_former_one(
    row: Any, deploy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once one in another size, which pages show, was deleted."""

    def take_width(self: Recipe, source: object = None, width: int = 40) -> None:
        ImageSpec.__init__(self, source)
        self.processors = [ResizeToFill(width, width)]

    monkeypatch.setattr(Recipe, "__init__", take_width)
    wide = get_image(SPEC_ID, source=row.image, width=90)
    wide.generate()
    migrate(AlterSpec(SPEC_ID))
    migrate(AlterSpec(SPEC_ID, delete_former=True))
    assert Path(wide.storage.path(str(wide.name))).exists()
    assert all(record.obsolete_at is None for record in find_images(row.image))


def test_a_source_without_a_new_image_keeps_the_former(
    row: Any, deploy: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told of, and stops no deployment."""
    former = image_of(row)
    Path(row.image.path).write_bytes(b"no image")
    deploy(50)
    with caplog.at_level(logging.WARNING):
        migrate(AlterSpec(SPEC_ID, delete_former=True))
    assert former.exists()
    assert "An image that a migration asks for cannot be made" in caplog.text


def test_a_spec_is_altered_once_and_not_where_sql_is_shown(row: Any, deploy: Any) -> None:
    """Nor for a spec that is gone by now, or backwards."""
    deploy(50)
    operation = AlterSpec(SPEC_ID)
    migrate(operation, collects=True)
    migrate(AlterSpec("tests:gone"))
    operation.database_backwards("testapp", None, None, None)  # type: ignore[arg-type]
    emit_post_migrate_signal(0, False, "default")
    assert not image_of(row).exists()
    migrate(operation)
    image_of(row).unlink()
    forget_state()
    emit_post_migrate_signal(0, False, "default")
    assert not image_of(row).exists()


def test_a_migration_file_has_the_operation_as_it_was_written() -> None:
    """With its import, and what tells it in plans and names."""
    operation = AlterSpec("shop:product:thumbnail", delete_former=True)
    text, imports = OperationWriter(operation, indentation=0).serialize()
    assert "AlterSpec(" in text
    assert "delete_former=True" in text
    assert "import imagekit_registry.maintenance.operations" in imports
    assert operation.describe() == "Make the images of the spec 'shop:product:thumbnail'"
    assert operation.migration_name_fragment == "alter_spec_shop_product_thumbnail"
