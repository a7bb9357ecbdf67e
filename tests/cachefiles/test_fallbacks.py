"""The five kinds of stand-ins, wherever an image can be shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from imagekit_registry import get_image, register, unregister
from imagekit_registry.admin import AdminThumbnail
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.fallbacks import Fallback
from imagekit_registry.exceptions import GenerationError
from tests.cachefiles.conftest import Thumbnail
from tests.pages import Banner, elements, render
from tests.testapp.models import Photo

FIELD_ID = "testapp:photo:thumbnail"


def stand_in(file: Any, error: Exception | None) -> str:
    """Return a URL that says what was given."""
    return f"/{file.spec_id}/{getattr(error, 'source', None)}"


class Chooser:
    """Chooses stand-ins, in each way in which a class may."""

    def by_method(self, file: Any, error: Exception | None) -> str:
        return stand_in(file, error)

    @classmethod
    def by_class(cls, file: Any, error: Exception | None) -> str:
        return stand_in(file, error)

    __call__ = by_method


chooser = Chooser()
method = chooser.by_method


@pytest.fixture(autouse=True)
def photo() -> Photo:
    """Return an instance whose image is none."""
    return Photo(
        title="broken",
        original_image=storages["default"].save("photos/bad.jpg", ContentFile(b"no image")),
    )


@attrs.frozen
class Shown:
    """What a surface shows: nothing, or an address with a size."""

    url: str = ""
    width: str = ""
    height: str = ""


def from_html(html: str) -> Shown:
    found = elements(html)
    assert len(found) <= 1
    assert found or not html.strip(), html
    img = found[0] if found else {}
    return Shown(img.get("src", ""), img.get("width", ""), img.get("height", ""))


def from_parts(text: str) -> Shown:
    return Shown(*(part if part != "None" else "" for part in text.split("|")))


PARTS = "{{ im.url }}|{{ im.width }}|{{ im.height }}"
AS_VARIABLE = "{% generateimage id source=photo.original_image as im %}" + PARTS


def by_jinja(photo: Photo) -> Shown:
    jinja2 = pytest.importorskip("jinja2", reason="Jinja2 is not installed")
    extension = "imagekit_registry.jinja2.ImagekitExtension"
    environment = jinja2.Environment(autoescape=True, extensions=[extension])
    template = environment.from_string("{{ generateimage(id, source=photo.original_image) }}")
    return from_html(template.render(id=FIELD_ID, photo=photo))


def tag(source: str, read: Callable[[str], Shown] = from_html) -> Callable[[Photo], Shown]:
    return lambda photo: read(render(source, id=FIELD_ID, photo=photo))


SURFACES: dict[str, Callable[[Photo], Shown]] = {
    "generateimage": tag("{% generateimage id source=photo.original_image %}"),
    "picture": tag("{% picture id source=photo.original_image formats='WEBP' %}"),
    "batch": tag(
        "{% imagebatch %}{% generateimage id source=photo.original_image %}{% endimagebatch %}"
    ),
    "variable": tag(AS_VARIABLE, from_parts),
    "variable in a batch": tag(
        "{% imagebatch %}" + AS_VARIABLE + "{% endimagebatch %}", from_parts
    ),
    "field": tag("{% with im=photo.thumbnail %}" + PARTS + "{% endwith %}", from_parts),
    "field in a batch": tag(
        "{% imagebatch %}{% with im=photo.thumbnail %}"
        + PARTS
        + "{% endwith %}{% endimagebatch %}",
        from_parts,
    ),
    "admin": lambda photo: from_html(AdminThumbnail("thumbnail")(photo)),
    "jinja2": by_jinja,
}
SIZED = Shown(f"/{FIELD_ID}/photos/bad.jpg", "120", "40")
KINDS: dict[str, tuple[Any, Shown]] = {
    "source": ("source", Shown("/media/photos/bad.jpg", "120", "40")),
    "empty": ("empty", Shown()),
    "function": (stand_in, SIZED),
}
CALLABLES: dict[str, tuple[Any, Shown]] = {
    "path": (f"{__name__}.stand_in", SIZED),
    "object": (chooser, SIZED),
    "bound method": (chooser.by_method, SIZED),
    "class method": (Chooser.by_class, SIZED),
    "path of a bound method": (f"{__name__}.method", SIZED),
    "one that has no answer": (lambda file, error: None, Shown()),
    "one with a size of its own": (lambda file, error: Fallback("/a", 3, 2), Shown("/a", "3", "2")),
}


@pytest.fixture(params=["setting", "fallback"])
def choose(request: Any, settings: Any) -> Callable[[Any], None]:
    """Return a function that says what stands in: for the project, or for the spec alone."""

    class Chosen(Banner):
        pass

    unregister.generator(FIELD_ID)
    register.generator(FIELD_ID, Chosen)

    def say(kind: Any) -> None:
        if request.param == "setting":
            settings.IMAGEKIT_ON_ERROR = kind
        else:
            settings.IMAGEKIT_ON_ERROR = "source" if kind == "raise" else "raise"
            Chosen.fallback = kind

    # The fixture of the registries puts the field's own spec back.
    return say


@pytest.mark.parametrize(("kind", "expected"), CALLABLES.values(), ids=CALLABLES)
def test_a_fallback_may_be_whatever_can_be_called(
    kind: Any, expected: Shown, photo: Photo, choose: Any
) -> None:
    """With the file and the error, and nothing before them."""
    choose(kind)
    assert SURFACES["field"](photo) == expected


@pytest.mark.parametrize("surface", SURFACES.values(), ids=SURFACES)
class TestEverySurface:
    """Whoever shows the image of a corrupt upload."""

    @pytest.mark.parametrize(("kind", "expected"), KINDS.values(), ids=KINDS)
    def test_every_surface_shows_what_stands_in(
        self, surface: Any, kind: Any, expected: Shown, photo: Photo, choose: Any
    ) -> None:
        """Address, width and height together; nothing is no element."""
        choose(kind)
        assert surface(photo) == expected

    def test_every_surface_shows_a_placeholder_of_the_right_size(
        self, surface: Any, photo: Photo, choose: Any
    ) -> None:
        """The page keeps its layout."""
        choose("placeholder")
        shown = surface(photo)
        assert shown.url.startswith("data:image/svg+xml,")
        assert (shown.width, shown.height) == ("120", "40")


#: The admin has tests of its own for this: it is where a broken image is replaced.
RAISING = {name: surface for name, surface in SURFACES.items() if name != "admin"}


@pytest.mark.parametrize("surface", RAISING.values(), ids=RAISING)
def test_failures_are_raised_where_that_is_wanted(surface: Any, photo: Photo, choose: Any) -> None:
    """With spec and source."""
    choose("raise")
    with pytest.raises(GenerationError, match=r"thumbnail of 'photos/bad\.jpg'"):
        surface(photo)


class TestChoice:
    """Which kind is shown."""

    def test_a_failure_is_shown_as_the_settings_say(self, settings: Any, spec_id: str) -> None:
        """A placeholder of the right size, the source, nothing, the error, or one's own answer."""
        name = storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        file = get_image(spec_id, source=name)
        settings.IMAGEKIT_ON_ERROR = "placeholder"
        assert file.url.startswith("data:image/svg+xml")
        assert (file.width, file.height) == (100, 60)
        settings.IMAGEKIT_ON_ERROR = "source"
        assert file.url == f"/media/{name}"
        settings.IMAGEKIT_ON_ERROR = "empty"
        assert file.url == ""
        settings.IMAGEKIT_ON_ERROR = lambda file, error: f"/broken.png?{error.spec_id}"
        assert file.url == "/broken.png?tests:file"
        settings.IMAGEKIT_ON_ERROR = "raise"
        with pytest.raises(GenerationError):
            _ = file.url

    def test_the_specs_own_fallback_comes_first(self, settings: Any) -> None:
        """A spec knows better than the settings what stands in for its images."""

        class WithSource(Thumbnail):
            fallback = "source"

        name = storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))
        settings.IMAGEKIT_ON_ERROR = "raise"
        assert ImageCacheFile(WithSource(name)).url == f"/media/{name}"
