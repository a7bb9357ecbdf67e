"""What commands do about the renditions of pictures: they are made, kept and removed as images are."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from PIL import Image

from imagekit_registry import ImageSpec, Picture, register, unregister
from imagekit_registry.models import FocalPoint
from imagekit_registry.processors import ResizeToFill, ResizeToFit
from imagekit_registry.registry import generator_registry
from tests.conftest import PHOTOS
from tests.management.conftest import Group, Result, cached
from tests.pages import elements, render, served
from tests.testapp.models import Portrait

Run = Callable[..., Result]

pytestmark = pytest.mark.django_db(databases="__all__")


class Hero(ImageSpec):
    """A spec with a picture, and another crop."""

    processors = [ResizeToFit(200, 200, upscale=False)]
    format = "JPEG"
    picture = Picture(formats=["WEBP"], sources=[("(max-width: 9px)", "shop:photo:square")])


class Square(ImageSpec):
    """The other crop, which nothing feeds."""

    processors = [ResizeToFill(50, 50)]
    format = "JPEG"


@pytest.fixture(params=["cache", "database"])
def store(request: pytest.FixtureRequest, settings: Any, db: None) -> None:
    """Keep the state in either store."""
    settings.IMAGEKIT_STATE_STORE = request.param


@pytest.fixture
def heroes(stored_photo: Any) -> Iterator[Group]:
    """Return a group of two sources that feed the spec."""
    group = Group([stored_photo("rocket.jpg"), stored_photo("chelsea.png")])
    register.generator("shop:photo:hero", Hero)
    register.generator("shop:photo:square", Square)
    register.source_group("shop:photo:hero", group)
    yield group
    unregister.source_group("shop:photo:hero", group)


def age() -> None:
    """Make all cached files a minute older."""
    then = time.time() - 60
    for name in cached():
        os.utime(storages["default"].path(name), (then, then))


def clean(run: Run, *args: str) -> set[str]:
    """Return what ``cleanimages`` removes."""
    age()
    return {item["name"] for item in run("cleanimages", "--json", *args).document["removed"]}


@pytest.mark.usefixtures("store")
class TestPictures:
    """A spec that says how its picture is offered."""

    def test_generateimages_makes_all_that_pages_offer(self, run: Run, heroes: Group) -> None:
        """In every format and size, other crops included: pages make nothing more."""
        report = run("generateimages", "--json").document
        made = cached()
        assert report["made"] == len(made)
        assert report["failed"] == 0
        for name in heroes.names:
            html = render("{% picture 'shop:photo:hero' source=name %}", name=name)
            srcset = elements(html)[0]["srcset"]
            assert [served(part.split()[0]).width for part in srcset.split(", ")] == [200, 283, 400]
            assert {each["type"] for each in elements(html, "source") if "type" in each} == {
                "image/webp"
            }
        assert cached() == made
        again = run("generateimages", "--json").document
        assert (again["made"], again["existing"]) == (0, len(made))

    def test_nothing_is_made_that_the_source_has_no_pixels_for(
        self, run: Run, heroes: Group
    ) -> None:
        """Of a small source there are fewer."""
        heroes.names = [storages["default"].save("small.jpg", ContentFile(_small(210)))]
        run("generateimages", "--json")
        sizes = sorted({served(f"/media/{name}").size for name in cached()})
        assert sizes == [(50, 50), (71, 71), (100, 100), (200, 200), (210, 210)]

    def test_cleanimages_keeps_what_pictures_offer(self, run: Run, heroes: Group) -> None:
        """Also when the state is lost; and removes it with the image."""
        run("generateimages", "--json")
        made = cached()
        assert clean(run) == set()
        gone = heroes.names.pop()
        storages["default"].delete(gone)
        left = clean(run)
        assert left
        assert all(gone.rpartition(".")[0] in name for name in left)
        assert cached() == made - left

    def test_a_changed_recipe_leaves_none_of_its_former_files(
        self, run: Run, heroes: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those of the other crop are the same, and so are those in a format without its options."""
        run("generateimages", "--json")
        made = cached()
        monkeypatch.setattr(Hero, "options", {"quality": 33})
        run("generateimages", "--json")
        former = {
            name for name in made if name.endswith(".jpg") and served(f"/media/{name}").width > 100
        }
        assert len(former) == 6
        assert clean(run) == former


@pytest.mark.usefixtures("store")
def test_renditions_of_a_row_with_a_focal_point_are_kept(run: Run) -> None:
    """Only the row tells where their point is: a picture that only a template knows is kept as well.

    Their names were asked of specs without the row, which gave others; so they were removed.
    """
    content = ContentFile((PHOTOS / "rocket.jpg").read_bytes(), "focal.jpg")
    row = Portrait.objects.create(image=content, focal_point=FocalPoint(0.9, 0.2))
    spec_id = Portrait.card.spec_id
    assert spec_id in generator_registry.get_ids()
    page = "{% picture spec source=row.image formats='WEBP' %}{{ row.card.url }}"
    for code in (page, "{% generateimage row.card widths='20 40 60' %}"):
        render(code, row=row, spec=spec_id)
    made = cached()
    assert len(made) >= 7
    assert clean(run) == set()
    Portrait.objects.update(focal_point=FocalPoint(0.1, 0.2))
    assert made & clean(run) == made


def _small(side: int) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((side, side)).save(out, "JPEG")
    return out.getvalue()
