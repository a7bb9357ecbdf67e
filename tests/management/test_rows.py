"""``generateimages --model --filter --limit``: a part of all images, and where to go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from imagekit_registry import ImageSpec, register
from imagekit_registry.cachefiles.publishing import publish
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.specs import Picture
from imagekit_registry.specs.sourcegroups import ImageFieldSourceGroup
from tests.management.conftest import Group, Result, cached
from tests.storages import content_of
from tests.testapp.models import Photo

Run = Callable[..., Result]

pytestmark = pytest.mark.django_db

MODEL = "--model=testapp.Photo"
THUMBNAIL = "testapp:photo:thumbnail"


@pytest.fixture
def rows(photos: Path) -> list[Photo]:
    """Return five rows with photographs."""
    files = ("rocket.jpg", "coffee.png", "chelsea.png", "astronaut.png", "rocket.jpg")
    return [
        Photo.objects.create(title=f"row {at}", original_image=content_of(photos / file))
        for at, file in enumerate(files)
    ]


def names(rows: list[Photo]) -> set[str]:
    """Return the names of the thumbnails of rows."""
    return {str(row.thumbnail.name) for row in rows}


def test_only_the_images_of_a_models_rows_are_made(
    rows: list[Photo], group: Group, run: Run
) -> None:
    """Of all its specs; other sources are left."""
    report = run("generateimages", MODEL, "--json").document
    assert report["made"] == 15
    assert not any("shop" in name for name in cached())
    assert run("generateimages", MODEL, THUMBNAIL, "--json").document["existing"] == 5


@pytest.mark.parametrize(
    ("lookups", "which"),
    [
        (["pk__gte={1}"], [1, 2, 3, 4]),
        (["pk__gte={1}", "pk__lt={3}"], [1, 2]),
        (["title__in=row 0,row 3"], [0, 3]),
        (["title=row 2"], [2]),
        (["pk__gte={3}", "pk__gte={1}"], [3, 4]),
        (["pk={0}", "pk={1}"], []),
        (["original_image__isnull=true"], []),
        (["original_image__isnull=no", "pk={2}"], [2]),
    ],
    ids=str,
)
def test_filters_choose_the_rows(
    rows: list[Photo], run: Run, lookups: list[str], which: list[int]
) -> None:
    """As a queryset's do; several of them all hold."""
    keys = [row.pk for row in rows]
    options = [f"--filter={lookup.format(*keys)}" for lookup in lookups]
    run("generateimages", THUMBNAIL, MODEL, *options)
    assert cached() == names([rows[at] for at in which])


def test_a_limit_is_gone_on_from_by_calling_again(rows: list[Photo], run: Run) -> None:
    """Each call makes the next ones, until there is nothing left; it says so, and where."""
    first = run("generateimages", THUMBNAIL, MODEL, "--limit=2")
    assert cached() == names(rows[:2])
    go_on = f"Call the command again with --filter pk__gte={rows[2].pk} for the rest."
    assert f"The limit is reached. {go_on}" in first.out
    second = run("generateimages", THUMBNAIL, MODEL, "--limit=2", "--json").document
    assert (second["made"], second["existing"]) == (2, 2)
    assert second["next"] == f"pk__gte={rows[4].pk}"
    third = run("generateimages", THUMBNAIL, MODEL, "--limit=2", "--json").document
    assert (third["made"], third["existing"], third["next"]) == (1, 4, "")
    assert cached() == names(rows)


def test_a_limit_parts_no_images_of_one_source(rows: list[Photo], run: Run) -> None:
    """They are made of one decode."""
    assert run("generateimages", MODEL, "--limit=1", "--json").document["made"] == 3


def test_the_pictures_of_rows_are_made_with_their_images(rows: list[Photo], run: Run) -> None:
    """All that the spec offers, up to the limit source by source."""

    class Offered(ImageSpec):
        processors = [ResizeToFit(200)]
        format = "JPEG"
        picture = Picture(formats=["WEBP"])

    register.generator("tests:offered", Offered)
    register.source_group("tests:offered", ImageFieldSourceGroup.shared(Photo, "original_image"))
    options = ("tests:offered", MODEL, "--filter=pk__lte=" + str(rows[1].pk))
    whole = run("generateimages", *options, "--json").document["made"]
    assert whole > 2
    wiped = {name.rpartition("/")[0] for name in cached()}
    for name in cached():
        storages["default"].delete(name)
    report = run("generateimages", *options, "--missing", "--limit=1", "--json").document
    assert 1 < report["made"] < whole
    assert len({name.rpartition("/")[0] for name in cached()}) == 1 < len(wiped)


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_limit_holds_for_several_jobs_as_far_as_they_are_ahead(
    stored_photo: Any, group: Group, run: Run, jobs: int
) -> None:
    """One job makes no more; others have begun with some when the last one is done."""
    group.names = [stored_photo(name=f"photos/{number}.jpg") for number in range(30)]
    report = run("generateimages", "shop:photo:small", "--limit=4", f"--jobs={jobs}", "--json")
    made = report.document["made"]
    assert made == 4 if jobs == 1 else 4 <= made <= 4 + 4 * jobs
    assert len(cached()) == made


def test_what_is_made_by_force_is_gone_on_from_by_its_row(rows: list[Photo], run: Run) -> None:
    """The command says where; without rows it could not, and refuses."""
    run("generateimages", THUMBNAIL, MODEL)
    report = run("generateimages", THUMBNAIL, MODEL, "--force", "--limit=2", "--json").document
    assert (report["made"], report["next"]) == (2, f"pk__gte={rows[2].pk}")
    error = run("generateimages", "--force", "--limit=2").error
    assert "would make the same images each time" in str(error)


def test_ctrl_c_says_where_to_go_on(
    rows: list[Photo], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first row that may not be done: with --force, nothing else could tell."""
    monkeypatch.setattr("imagekit_registry.maintenance.inventory.BATCH", 1)

    def publish_and_interrupt(storage: Any, name: str, *args: Any, **kwargs: Any) -> str:
        published = publish(storage, name, *args, **kwargs)
        if name == rows[2].thumbnail.name:
            # As the next one begins.
            monkeypatch.setattr("imagekit_registry.cachefiles.generation.render", stop)
        return published

    def stop(*args: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("imagekit_registry.cachefiles.generation.publish", publish_and_interrupt)
    result = run("generateimages", THUMBNAIL, MODEL, "--force")
    assert result.status == 130
    assert cached() == names(rows[:3])
    assert f"Call the command again with --filter pk__gte={rows[2].pk} for the rest." in result.out


def test_rows_that_fail_keep_no_others_from_being_made(rows: list[Photo], run: Run) -> None:
    """And do not count for the limit."""
    broken = Photo.objects.create(original_image=ContentFile(b"no image", name="broken.jpg"))
    Photo.objects.filter(pk=rows[0].pk).update(original_image=broken.original_image.name)
    Photo.objects.filter(pk=broken.pk)._raw_delete("default")
    result = run("generateimages", THUMBNAIL, MODEL, "--limit=2", "--json")
    assert (result.document["made"], result.document["failed"]) == (2, 1)
    assert cached() == names(rows[1:3])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--model=testapp.Foto"], "There is no model 'testapp.Foto'"),
        (["--model=Photo"], "Write the app and the model: shop.Photo."),
        (["--model=testapp.Album"], "No image field of testapp.Album feeds"),
        (["--filter=pk=1"], "Give --model as well"),
        ([MODEL, "--filter=pk"], "'pk' is no lookup. Write one such as pk__gte=1000."),
        ([MODEL, "--filter=name=x"], "Cannot resolve keyword 'name' into field"),
        ([MODEL, "--filter=pk=x"], "cannot be chosen by pk=x"),
        ([MODEL, "--filter=pk__isnull=maybe"], "Write pk__isnull=true or =false."),
        ([MODEL, "--limit=0"], "Give a number from 1 on for --limit."),
    ],
    ids=str,
)
def test_a_slip_of_the_pen_is_told(run: Run, options: list[str], text: str) -> None:
    """With what to write."""
    assert text in str(run("generateimages", *options).error)
