"""What one request may spend on making images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.template import Context, Template
from django.test import Client
from django.urls import path

from imagekit_registry import ImageSpec, get_image, register
from imagekit_registry.cachefiles import generate_many
from imagekit_registry.cachefiles.namers import source_name_and_field
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.signals import generated
from tests.pages import elements

IMAGES = 100
GREY = "data:image/svg+xml,"


class Small(ImageSpec):
    """An image of some width."""

    format = "JPEG"

    def __init__(self, source: Any = None, width: int = 1) -> None:
        self.processors = [ResizeToFit(width)]
        super().__init__(source)


LOOP = "{% for width in widths %}{% generateimage id source=name width=width %}{% endfor %}"
PAGES = {
    "one by one": LOOP,
    "in a batch": "{% imagebatch %}" + LOOP + "{% endimagebatch %}",
    "pictures": "{% for width in widths %}{% picture id source=name width=width widths='5 10' %}"
    "{% endfor %}",
}


@pytest.fixture
def made() -> Iterator[list[str]]:
    """Return the names of what was made."""
    names: list[str] = []

    def note(file: Any, **_: object) -> None:
        names.append(file.name)

    generated.connect(note)
    yield names
    generated.disconnect(note)


@pytest.fixture
def ask(settings: Any, client: Client, name: str) -> Callable[[str], list[dict[str, str]]]:
    """Return a function that asks for a page of a hundred images, and gives their elements."""
    register.generator("budget:small", Small)

    def request(template: str) -> list[dict[str, str]]:
        context = {"id": "budget:small", "name": name, "widths": range(20, 20 + IMAGES)}

        def view(request: HttpRequest) -> HttpResponse:
            return HttpResponse(Template("{% load imagekit %}" + template).render(Context(context)))

        settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [path("", view)]})
        return elements(client.get("/").content.decode())

    return request


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
class TestImages:
    """A number of images."""

    def test_a_request_makes_no_more_images_than_its_budget(
        self, page: str, ask: Any, made: list[str], settings: Any
    ) -> None:
        """Of a hundred, four; the others are pending, with their sizes, and later ones go on."""
        settings.IMAGEKIT_REQUEST_BUDGET = {"images": 4}
        images = ask(page)
        assert (len(images), len(made)) == (IMAGES, 4)
        assert sum(image["src"].startswith(GREY) for image in images) >= IMAGES - 4
        assert [int(image["width"]) for image in images] == list(range(20, 20 + IMAGES))
        ask(page)
        assert len(set(made)) == 8

    def test_a_budget_of_nothing_makes_nothing(
        self, page: str, ask: Any, made: list[str], settings: Any
    ) -> None:
        """And breaks nothing."""
        settings.IMAGEKIT_REQUEST_BUDGET = {"images": 0}
        assert len(ask(page)) == IMAGES
        assert made == []


def test_a_request_makes_no_more_images_when_its_seconds_are_over(
    ask: Any, made: list[str], settings: Any
) -> None:
    """The first image takes longer than no time at all."""
    settings.IMAGEKIT_REQUEST_BUDGET = {"images": None, "seconds": 0.000001}
    assert len(ask(LOOP)) == IMAGES
    assert len(made) == 1


def test_images_that_exist_are_shown_past_the_budget(
    ask: Any, made: list[str], settings: Any, name: str
) -> None:
    """Whether they are known, or found in the storage."""
    for width in range(20, 120):
        get_image("budget:small", source=name, width=width).generate()
    settings.IMAGEKIT_REQUEST_BUDGET = {"images": 0}
    images = ask(LOOP)
    assert [image["src"] for image in images if "/CACHE/" not in image["src"]] == []


def test_a_budget_counts_nothing_outside_of_requests(
    name: str, made: list[str], settings: Any
) -> None:
    """Commands, workers and shells make what they are asked for."""
    settings.IMAGEKIT_REQUEST_BUDGET = {"images": 1}
    register.generator("budget:small", Small)
    files = [get_image("budget:small", source=name, width=width) for width in (20, 21, 22)]
    assert files[0].url
    assert len(generate_many(files).made) == 2


def test_names_that_need_their_record_are_pending_as_well(
    ask: Any, made: list[str], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever cannot tell whether a file is this image makes none either."""
    monkeypatch.setattr(Small, "namer", source_name_and_field)
    settings.IMAGEKIT_REQUEST_BUDGET = {"images": 0}
    assert all(image["src"].startswith(GREY) for image in ask(LOOP))
    assert made == []
