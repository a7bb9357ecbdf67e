"""Detectors: what an image is about where no editor has said so."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.base import ContentFile
from PIL import Image

from imagekit_registry import register, unregister
from imagekit_registry.exceptions import AlreadyRegistered
from imagekit_registry.models import FocalPoint
from imagekit_registry.testing import forget_state, make_image
from tests.testapp.models import Portrait

pytestmark = pytest.mark.django_db

Boxes = list[tuple[float, float, float, float, float]]


class Spots:
    """Finds the red spot, and keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Image.Image] = []

    def __call__(self, image: Image.Image) -> Boxes:
        self.shown.append(image)
        red, green, _ = image.split()
        spot = Image.eval(red, lambda value: 255 if value > 200 else 0)
        spot.paste(0, None, Image.eval(green, lambda value: 255 if value > 100 else 0))
        box = spot.getbbox()
        return [(box[0], box[1], box[2] - box[0], box[3] - box[1], 1.0)] if box else []


@pytest.fixture
def detect() -> Iterator[Callable[[Callable[[Any], Boxes]], None]]:
    """Return what registers a detector until the end of the test."""
    cache.clear()
    yield lambda function: register.detector("spots", function)
    unregister.detector("spots")


def portrait(
    *spots: tuple[int, int], size: tuple[int, int] = (400, 100), **fields: Any
) -> Portrait:
    """Return a row with a grey image that has red spots of 20 x 20 pixels."""
    image = Image.new("RGB", size, "grey")
    for left, top in spots:
        image.paste("red", (left, top, left + 20, top + 20))
    out = io.BytesIO()
    image.save(out, "PNG")
    return Portrait.objects.create(image=ContentFile(out.getvalue(), "spot.png"), **fields)


def reds(file: Any) -> int:
    """Return how many pixels of an image are red, once it is made."""
    file.generate()
    with file.storage.open(file.name) as opened, Image.open(opened) as image:
        colors: Any = image.convert("RGB").getcolors(1 << 16)
    return sum(count for count, (red, green, _) in colors if red > 200 and green < 100)


class TestSuggestions:
    """They stand in for the point of a row."""

    def test_a_crop_keeps_what_was_found(self, detect: Any) -> None:
        """In a row without a point; the middle, where nobody looks, is cut off."""
        row = portrait((360, 40))
        assert reds(row.card) == 0
        detect(Spots())
        assert reds(Portrait.objects.get(pk=row.pk).card) > 50

    def test_the_point_of_an_editor_comes_first(self, detect: Any) -> None:
        """Nobody else is asked."""
        detect(spots := Spots())
        row = portrait((360, 40), focal_point=FocalPoint(0.1, 0.5))
        assert reds(row.card) == 0
        assert spots.shown == []

    def test_a_source_is_shown_to_a_detector_once(self, detect: Any) -> None:
        """Whatever is made of it, in whatever process: what is kept lies in the cache."""
        detect(spots := Spots())
        row = portrait((360, 40))
        row.card.generate()
        forget_state()
        row.near.generate()
        row.card.generate(force=True)
        row.whole.generate()
        assert len(spots.shown) == 1

    def test_another_content_is_shown_to_a_detector_anew(self, detect: Any) -> None:
        """Under the very same name."""
        detect(spots := Spots())
        row = portrait((360, 40))
        assert reds(row.card) > 50
        with row.image.storage.open(str(row.image.name), "wb") as file:
            image = Image.new("RGB", (410, 100), "grey")
            image.paste("red", (20, 40, 40, 60))
            image.save(file, "PNG")
        row.card.generate(force=True)
        assert reds(row.card) > 50
        assert len(spots.shown) == 2

    def test_a_source_in_which_nothing_is_found_has_the_usual_crop(self, detect: Any) -> None:
        """The one that ``otherwise`` names, or the middle; and that is kept, too."""
        detect(spots := Spots())
        row = portrait((195, 0), size=(200, 200))
        with row.image.storage.open(str(row.image.name), "wb") as file:
            Image.linear_gradient("L").save(file, "PNG")
        row.near.generate()
        with row.near.storage.open(str(row.near.name)) as opened, Image.open(opened) as image:
            brightest: Any = image.convert("L").getextrema()
        assert brightest[1] < 150, "the top is dark"
        row.card.generate()
        assert len(spots.shown) == 1

    def test_a_detector_that_fails_keeps_no_image_from_being_made(
        self, detect: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The log says so, and the next image of the source has it asked again."""
        calls = []

        def broken(image: Image.Image) -> Boxes:
            calls.append(image)
            raise RuntimeError("no model")

        detect(broken)
        row = portrait((190, 40))
        assert reds(row.card) > 50
        assert "No point is suggested for portraits/spot" in caplog.text
        assert "no model" in caplog.text
        row.near.generate()
        assert len(calls) == 2

    def test_the_heavier_one_of_two_boxes_is_nearer_to_the_middle(self, detect: Any) -> None:
        """If there is no room for both."""
        detect(lambda image: [(10, 40, 20, 20, 1), (370, 40, 20, 20, 20)])
        assert reds(portrait((370, 40)).card) > 50

    def test_boxes_that_reach_out_of_the_image_are_cut(self, detect: Any) -> None:
        """As those of faces at the edge do; and weights may be nothing."""
        detect(lambda image: [(380, -30, 90, 200, 0)])
        assert reds(portrait((375, 40)).card) > 50

    def test_a_detector_is_shown_a_small_upright_picture(self, detect: Any) -> None:
        """As browsers show it, in RGB and of at most 640 pixels to a side."""
        detect(spots := Spots())
        photo = make_image(size=(1600, 800), exif={"Orientation": 6})
        Portrait.objects.create(image=photo).card.generate()
        (shown,) = spots.shown
        assert (shown.mode, shown.size) == ("RGB", (320, 640))


class TestNames:
    """Who is asked is a part of the recipe."""

    def test_a_new_detector_makes_other_files(self, detect: Any) -> None:
        """Of the images in which it has a say, and of no others."""
        row, with_point = portrait((0, 0)), portrait((0, 0), focal_point="0.1,0.1")
        before = [row.card.name, row.whole.name, with_point.card.name]
        detect(Spots())
        row, with_point = Portrait.objects.order_by("pk")
        assert row.card.name != before[0]
        assert [row.whole.name, with_point.card.name] == before[1:]
        unregister.detector("spots")
        assert Portrait.objects.get(pk=row.pk).card.name == before[0]

    def test_two_detectors_cannot_have_one_name(self, detect: Any) -> None:
        """The message says how to replace one."""
        detect(Spots())
        with pytest.raises(AlreadyRegistered, match=r"call unregister.detector\('spots'\) first"):
            detect(Spots())
