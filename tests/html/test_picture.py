"""Pictures: one word gives the whole element."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from imagekit_registry import ImageSpec, Picture, Source, get_image
from imagekit_registry.cachefiles.backends import BaseAsync
from imagekit_registry.exceptions import (
    InvalidArgument,
    InvalidArgumentType,
    InvalidConfiguration,
    MissingSource,
)
from imagekit_registry.html import (
    plan_image,
    plan_picture,
    plan_preload,
    plan_thumbnail,
    preload_header,
)
from imagekit_registry.html._picture import _Offered, worth_while
from imagekit_registry.models import ImageSpecField
from imagekit_registry.processors import AddBorder, Grayscale, ResizeToFill, ResizeToFit
from imagekit_registry.specs import StoredFile, settle_picture
from imagekit_registry.testing import assert_storage_calls
from tests.management.conftest import cached
from tests.pages import be_fresh, elements, registered, render, served
from tests.storages import CountingStorage
from tests.testapp.models import Photo

#: AVIF takes its time; most tests do without.
PLAIN = Picture(formats=("WEBP",))


class Card(ImageSpec):
    """A spec with a fixed size, a fourth of the photograph's."""

    processors = [ResizeToFill(160, 100), Grayscale()]
    format = "JPEG"
    picture = PLAIN


class Large(ImageSpec):
    """A spec whose images are as wide as their sources let them be."""

    processors = [ResizeToFit(400, 400, upscale=False)]
    format = "JPEG"
    picture = PLAIN


class Square(ImageSpec):
    """Another crop."""

    processors = [ResizeToFill(100, 100)]
    format = "JPEG"


@pytest.fixture(autouse=True)
def specs() -> Iterator[None]:
    """Register the specs while the test runs."""
    with registered(card=Card, large=Large, square=Square):
        yield


def choice(element: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Return the sizes of the files that an element offers, by what their ``srcset`` says of them."""
    parts = (part.split() for part in element["srcset"].split(", "))
    return {told: served(url).size for url, told in parts}


class TestElement:
    """What a spec says of its picture is what every page shows."""

    def test_one_word_gives_the_whole_element(self, name: str) -> None:
        """Formats, widths up to twice the image's, sizes, loading, width and height."""
        html = render("{% picture 'tests:card' source=name -- alt='A rocket' %}", name=name)
        (source,), (img,) = elements(html, "source"), elements(html)
        assert source["type"] == "image/webp"
        widths = {"160w": (160, 100), "226w": (226, 141), "320w": (320, 200)}
        assert choice(source) == choice(img) == widths
        assert source["sizes"] == img["sizes"] == "auto, (min-width: 160px) 160px, 100vw"
        assert {name: img[name] for name in ("width", "height", "loading", "decoding", "alt")} == {
            "width": "160",
            "height": "100",
            "loading": "lazy",
            "decoding": "async",
            "alt": "A rocket",
        }
        assert img["src"] in img["srcset"]

    def test_arguments_of_the_tag_come_before_those_of_the_spec(self, name: str) -> None:
        """Each by itself: the others stay."""
        html = render(
            "{% picture 'tests:card' source=name layout='full' sizes='50vw' widths='80 160'"
            " loading='eager' decoding='sync' %}",
            name=name,
        )
        (source,), (img,) = elements(html, "source"), elements(html)
        assert list(choice(source)) == ["80w", "160w"]
        assert (img["sizes"], img["loading"], img["decoding"]) == ("50vw", "eager", "sync")

    def test_a_fixed_layout_offers_densities(self, name: str) -> None:
        """As wide as the spec says on every screen; a source of 640 pixels has no fivefold ones."""
        html = render("{% picture 'tests:card' source=name layout='fixed' %}", name=name)
        (img,) = elements(html)
        assert choice(img) == {"1x": (160, 100), "2x": (320, 200)}
        assert "sizes" not in img
        html = render("{% picture 'tests:card' source=name densities='1 1.5 5' %}", name=name)
        assert choice(elements(html)[0]) == {"1x": (160, 100), "1.5x": (240, 150), "4x": (640, 400)}

    def test_a_full_layout_goes_as_far_as_the_source(self, name: str) -> None:
        """The screen is as wide as it is."""
        html = render("{% picture 'tests:card' source=name layout='full' %}", name=name)
        (img,) = elements(html)
        assert img["sizes"] == "auto, 100vw"
        assert list(choice(img).values())[-1] == (640, 400)

    def test_an_image_of_a_model_is_shown_as_its_field_says(
        self, stored_photo: Any, db: None
    ) -> None:
        """The field's own picture; the tag takes the image itself, and shows it again at once."""
        field = ImageSpecField(
            [ResizeToFill(90, 60)], format="JPEG", source="original_image", picture=PLAIN
        )
        field.contribute_to_class(Photo, "tested_picture")
        try:
            photo = Photo.objects.create(original_image=stored_photo())
            tag = "{% picture photo.tested_picture -- alt='x' %}"
            html = render(tag, photo=photo)
            assert choice(elements(html, "source")[0])["180w"] == (180, 120)
            assert render(tag, photo=Photo.objects.get()) == html
            other = render("{% picture photo.tested_picture formats='' %}", photo=photo)
            assert elements(other, "source") == []
        finally:
            delattr(Photo, "tested_picture")

    def test_a_picture_goes_into_a_variable(self, name: str) -> None:
        """By its parts, or as the element."""
        html = render(
            "{% picture 'tests:card' source=name as card %}{{ card.url }}|{{ card.width }}|"
            "{{ card.height }}|{{ card.srcset }}|{{ card.sizes }}|"
            "{% for s in card.sources %}{{ s.type }} {{ s.srcset }}{% endfor %}|{{ card }}",
            name=name,
        )
        url, width, height, srcset, sizes, source, element = html.split("|")
        (img,) = elements(element)
        assert (url, width, height) == (img["src"], "160", "100")
        assert (srcset, sizes) == (img["srcset"], img["sizes"])
        assert source == f"image/webp {elements(element, 'source')[0]['srcset']}"

    def test_jinja_writes_the_same_bytes_of_a_picture(self, name: str) -> None:
        """Whatever is asked for."""
        calls = [
            ("picture 'tests:card' source=name", "picture('tests:card', source=name)"),
            ("picture 'tests:card' source=name priority=1",) * 2,
            ("generateimage 'tests:card' source=name layout='full' quality=40",) * 2,
            ("thumbnail '90x' name widths='50 90' sizes='5vw'",) * 2,
            ("thumbnail '90x' name srcset='2' quality='low'",) * 2,
            ("picture 'tests:card' source=name quality='low' formats='webp'",) * 2,
            ("imagepreload 'tests:card' source=name quality=30",) * 2,
        ]
        environment = jinja2.Environment(
            extensions=["imagekit_registry.jinja2.ImagekitExtension"], autoescape=True
        )
        for django, jinja in calls:
            if "(" not in jinja:
                tag, *arguments = re.findall(r"(?:'[^']*'|[^\s'])+", jinja)
                jinja = f"{tag}({', '.join(arguments)})"
            shown = environment.from_string("{{ " + jinja + " }}").render(name=name)
            assert shown == render("{% " + django + " %}", name=name)

    def test_mistakes_of_a_spec_are_told(self, name: str) -> None:
        """A dict is no picture."""

        class Wrong(Card):
            picture: Any = {"layout": "full"}

        with registered(wrong=Wrong), pytest.raises(InvalidConfiguration, match="'picture' is"):
            render("{% picture 'tests:wrong' source=name %}", name=name)


class TestImg:
    """``generateimage`` and ``thumbnail`` with a choice of sizes, in one format."""

    @pytest.mark.parametrize(
        ("tag", "widths"),
        [
            ("generateimage 'tests:card' source=name layout='constrained'", [160, 226, 320]),
            ("generateimage 'tests:card' source=name widths='80 160'", [80, 160]),
            ("generateimage 'tests:card' source=name sizes='9vw'", [160, 226, 320]),
            ("thumbnail '90x50' name widths='45 90 180'", [45, 90, 180]),
            ("thumbnail 'x60' name layout='full'", [90, 154, 262, 450, 640]),
        ],
    )
    def test_an_image_has_a_choice_of_sizes(self, tag: str, widths: list[int], name: str) -> None:
        """No ``<picture>`` around it."""
        html = render("{% " + tag + " -- alt='' %}", name=name)
        (img,) = elements(html)
        assert html.startswith("<img ")
        assert img["sizes"]
        offered = choice(img)
        assert list(offered) == [f"{width}w" for width, _ in offered.values()]
        assert [width for width, _ in offered.values()] == widths

    def test_an_image_without_arguments_of_a_picture_is_what_it_was(self, name: str) -> None:
        """Whatever the spec says of its picture."""
        html = render("{% generateimage 'tests:card' source=name -- alt='' %}", name=name)
        url = get_image("tests:card", source=name).url
        assert html == f'<img alt="" width="160" height="100" src="{url}">'

    def test_the_quality_of_an_image_is_that_of_its_format(self, name: str) -> None:
        """In place of the one among the options."""
        sizes = []
        for quality in (20, 90):
            tags = "{% thumbnail '200x' name quality=q %}{% generateimage 'tests:card' source=name quality=q %}"
            images = elements(render(tags, name=name, q=quality))
            sizes.append([_size(each["src"]) for each in images])
        assert all(low < high / 2 for low, high in zip(*sizes, strict=True))

    @pytest.mark.parametrize(
        "tag",
        [
            "picture 'tests:card' source=name sources=crops quality=q",
            "picture '200x' name srcset='2' quality=q",
            "thumbnail '200x' name srcset='2' quality=q",
            "generateimage 'tests:card' source=name widths='90 160' quality=q",
        ],
    )
    def test_the_quality_of_an_image_is_that_of_all_its_files(self, tag: str, name: str) -> None:
        """Of each format, size and crop that a browser may choose."""
        crops, sizes = [Source("(max-width: 9px)", "tests:square")], []
        for quality in ("low", "max"):
            html = render("{% " + tag + " %}", name=name, crops=crops, q=quality)
            urls = re.findall(r"/media/[^\s\",]+", html)
            sizes.append(sorted(map(_size, set(urls))))
        assert len(sizes[0]) > 1
        assert all(low < high / 1.5 for low, high in zip(*sizes, strict=True))

    @pytest.mark.parametrize(
        "tag",
        [
            "generateimage 'tests:card' source=name quality=q",
            "generateimage card quality=q",
            "thumbnail '200x' name quality=q",
            "thumbnail 'imagekit:thumbnail' '200x' name quality=q",
        ],
    )
    def test_quality_is_that_of_a_file_in_a_variable(self, tag: str, name: str) -> None:
        """The file that the tag shows without one."""
        card = get_image("tests:card", source=name)
        shown = "{% " + tag + " %}{% " + tag + " as im %}<img src='{{ im.url }}'>"
        urls = set()
        for quality in (20, "high"):
            by_tag, by_variable = elements(render(shown, name=name, card=card, q=quality))
            assert by_tag["src"] == by_variable["src"]
            urls.add(by_tag["src"])
        assert len(urls - {card.url}) == 2

    def test_arguments_of_an_element_do_nothing_to_a_file_in_a_variable(
        self, name: str, settings: Any
    ) -> None:
        """Told when the page is rendered, where the generator is known only then."""
        tag = "{% generateimage id source=name loading='lazy' as im %}[{{ im.url }}]"
        assert render(tag, id="tests:card", name=name) == "[]"
        settings.IMAGEKIT_ON_ERROR = "raise"
        with pytest.raises(InvalidArgumentType, match="'loading', which is of an element"):
            render(tag, id="tests:card", name=name)

    def test_a_generator_of_a_picture_may_have_a_quality_of_its_own(self, name: str) -> None:
        """It is given what is asked for, and does with it what it likes."""

        class Own(Card):
            def __init__(self, source: Any = None, quality: int = 1) -> None:
                super().__init__(source)
                self.processors = [ResizeToFill(10 * quality, 10)]

        with registered(own=Own):
            html = render("{% picture 'tests:own' source=name quality=5 %}", name=name)
        assert elements(html)[0]["width"] == "50"

    def test_arguments_of_a_generator_come_first(self, name: str) -> None:
        """What it calls ``widths`` or ``layout`` itself, it is given."""

        class Own(Card):
            def __init__(self, source: Any = None, layout: int = 1) -> None:
                super().__init__(source)
                self.processors = [ResizeToFill(10 * layout, 10)]

        with registered(own=Own):
            html = render("{% generateimage 'tests:own' source=name layout=5 %}", name=name)
        assert elements(html)[0]["width"] == "50"
        assert "srcset" not in html

    def test_an_image_that_visitors_wait_for_is_loaded_at_once(self, name: str) -> None:
        """Also without a choice of sizes."""
        (img,) = elements(render("{% thumbnail '90x' name priority=1 %}", name=name))
        assert (img["loading"], img["fetchpriority"]) == ("eager", "high")
        (img,) = elements(render("{% thumbnail '90x' name loading='lazy' %}", name=name))
        assert img["loading"] == "lazy"


def _size(url: str) -> int:
    return storages["default"].size(url.removeprefix("/media/"))


class TestWidths:
    """In which sizes an image is offered."""

    @pytest.mark.parametrize(
        ("width", "layout", "expected"),
        [
            (100, "constrained", (100, 141, 200)),
            (320, "constrained", (320, 453, 640)),
            (800, "constrained", (320, 434, 589, 800, 1131, 1600)),
            (1600, "constrained", (320, 442, 609, 840, 1160, 1600, 2263, 3200)),
            (320, "full", (320, 456, 651, 928, 1324, 1888, 2693, 3840)),
            (5000, "full", (320, 474, 702, 1039, 1539, 2280, 3376, 5000)),
        ],
    )
    def test_widths_are_in_even_steps(
        self, width: int, layout: str, expected: tuple[int, ...]
    ) -> None:
        """From a small screen over the image's own to a dense or a large one; eight at most."""
        assert settle_picture(Picture(layout=layout)).offered_widths(width) == expected

    @pytest.mark.parametrize("width", [1, 7, 333, 1599, 2600, 3840, 9000, 65_535])
    @pytest.mark.parametrize("layout", ["constrained", "full"])
    def test_an_image_is_offered_in_its_own_width_as_well(self, width: int, layout: str) -> None:
        """It is there anyway."""
        offered = settle_picture(Picture(layout=layout)).offered_widths(width)
        assert width in offered
        assert len(offered) <= 8
        assert offered == tuple(sorted(offered))

    def test_the_step_is_a_setting(self, settings: Any) -> None:
        """A larger one makes fewer files."""
        settings.IMAGEKIT_WIDTH_STEP = 2
        assert settle_picture(None).offered_widths(800) == (320, 800, 1600)

    def test_widths_of_a_site_are_rounded_up_to_those_that_it_has(self, settings: Any) -> None:
        """But for the image's own, which is there."""
        settings.IMAGEKIT_WIDTHS = (640, 320, 1280, 1920)
        assert settle_picture(None).offered_widths(800) == (320, 640, 800, 1280, 1920)

    def test_a_border_is_not_made_larger_than_it_is(self, name: str) -> None:
        """What cannot be made larger is offered up to its own width."""

        class Framed(Card):
            processors = [ResizeToFill(160, 100), AddBorder(5)]

        with registered(framed=Framed):
            html = render("{% picture 'tests:framed' source=name %}", name=name)
        assert "srcset" not in elements(html)[0]

    @pytest.mark.parametrize(
        "wrong",
        [
            {"layout": "wide"},
            {"formats": "WEBP AVIF"},
            {"formats": ["EPS"]},
            {"widths": "100"},
            {"widths": [0]},
            {"widths": []},
            {"densities": [True]},
            {"densities": [11]},
            {"loading": "auto"},
            {"decoding": 1},
            {"sources": ["(max-width: 9px)"]},
        ],
        ids=repr,
    )
    def test_a_picture_that_makes_no_sense_is_refused(self, wrong: dict[str, Any]) -> None:
        """By its name, when the picture is made."""
        with pytest.raises(InvalidArgument, match=f"'{next(iter(wrong))}' must be"):
            Picture(**wrong)


class TestFiles:
    """Which files there are."""

    @pytest.mark.parametrize(
        "tag",
        [
            "{% picture 'tests:large' source=name %}",
            "{% picture 'tests:large' source=name layout='full' %}",
            "{% picture 'tests:card' source=name widths='160 9999 5000' %}",
            "{% picture 'tests:card' source=name layout='fixed' densities='1 2 5 9' %}",
            "{% thumbnail '600x' name layout='constrained' %}",
        ],
    )
    def test_one_file_is_made_once(self, tag: str, name: str) -> None:
        """None of the files of a picture is the same as another one; none is enlarged."""
        render(tag, name=name)
        digests = Counter(
            hashlib.sha256(Path(storages["default"].path(file)).read_bytes()).hexdigest()
            for file in cached()
        )
        assert set(digests.values()) == {1}
        assert max(served(f"/media/{file}").width for file in cached()) == 640

    def test_a_page_of_a_fresh_process_opens_nothing(
        self, name: str, cache_calls: Counter[str], monkeypatch: Any
    ) -> None:
        """What is offered is told by records, fetched together."""
        tags = "{% picture 'tests:large' source=name %}{% picture 'tests:card' source=name %}"
        page = "{% imagebatch %}" + tags + "{% endimagebatch %}"
        html = render(page, name=name)
        be_fresh()
        storage: Any = storages["default"]
        for method in ("open", "exists", "get_modified_time"):
            monkeypatch.setattr(storage, method, None)
        assert render(page, name=name) == html
        assert dict(cache_calls) == {"get_many": 2}
        be_fresh()
        render(
            "{% imagebatch %}{% picture 'tests:card' source=name %}{% endimagebatch %}", name=name
        )
        assert dict(cache_calls) == {"get_many": 1}

    def test_a_page_of_a_fresh_process_opens_no_source_that_is_too_small(self, name: str) -> None:
        """That it has no image as wide as was asked for is remembered, though there is no file."""
        tag = "{% picture 'tests:huge' source=name widths='320 1600' %}"
        spec = type("Huge", (Large,), {"processors": [ResizeToFit(1600, 1600, upscale=False)]})
        with registered(huge=spec):
            html = render(tag, name=name)
            be_fresh()
            with assert_storage_calls(0):
                assert render(tag, name=name) == html

    @pytest.mark.parametrize("use", ["variable", "header", "dict"])
    def test_a_picture_for_other_uses_is_made_of_one_decode(
        self, use: str, tmp_path: Path, photos: Path
    ) -> None:
        """A variable, a header, an API: not file by file."""
        storage = CountingStorage(location=str(tmp_path / "sources"))
        storage.save("a.jpg", ContentFile((photos / "rocket.jpg").read_bytes()))
        source = StoredFile("a.jpg", storage)
        storage.calls.clear()
        if use == "variable":
            render("{% picture 'tests:card' source=file as im %}{{ im }}", file=source)
        elif use == "header":
            assert preload_header("tests:card", source=source)
        else:
            get_image("tests:card", source=source).as_dict(picture=Picture())
        assert len(cached()) == 6
        # The header, and the pixels; an API asks for the image itself before.
        assert storage.calls["open"] == (3 if use == "dict" else 2)

    def test_an_api_tells_of_a_picture_what_a_page_shows(self, name: str, rf: Any) -> None:
        """By parts, with absolute URLs for a request; without a picture no more than the image."""
        file = get_image("tests:card", source=name)
        told = file.as_dict(picture=Picture(layout="full"))
        html = render("{% picture 'tests:card' source=name layout='full' priority=1 %}", name=name)
        (source,), (img,) = elements(html, "source"), elements(html)
        assert told["srcset"] == img["srcset"]  # type: ignore[typeddict-item]
        assert told["sizes"] == img["sizes"]  # type: ignore[typeddict-item]
        assert told["sources"] == [  # type: ignore[typeddict-item]
            {
                "srcset": source["srcset"],
                "sizes": img["sizes"],
                "media": "",
                "type": "image/webp",
                "width": None,
                "height": None,
            }
        ]
        absolute: Any = file.as_dict(rf.get("/"), Picture())
        parts = absolute["srcset"].split(", ")
        assert all(part.startswith("http://testserver/media/") for part in parts)
        assert "srcset" not in file.as_dict()

    def test_an_api_tells_that_a_picture_cannot_be_had(self, settings: Any) -> None:
        """It is no error of the API."""
        settings.IMAGEKIT_ON_ERROR = "raise"
        storages["default"].save("bad.jpg", ContentFile(b"no image"))
        told: Any = get_image("tests:card", source="bad.jpg").as_dict(picture=Picture())
        assert (told["url"], told["srcset"], told["sources"]) == (None, "", [])

    def test_python_code_gets_a_picture_as_a_page_does(self, name: str) -> None:
        """The element, or what is in it."""
        markup = plan_picture(["tests:card"], {"source": name}, {"alt": ""})
        shown = markup.resolve()
        assert shown is not None
        assert str(shown) == markup.render()
        assert shown.sources[0].type == "image/webp"


def offered(*sizes: dict[int, int]) -> dict[str, list[int]]:
    """Return the widths that are offered by format, of files of so many bytes by width; best first.

    The last ones are in the spec's own format.
    """
    formats = [*"abcdef"[: len(sizes) - 1], ""]
    found = {
        format: {width: _Offered("x", width, size) for width, size in files.items()}
        for format, files in zip(formats, sizes, strict=True)
    }
    return {format: [each.width for each in files] for format, files in worth_while(found).items()}


class TestPays:
    """What is not worth its name in the HTML."""

    @pytest.mark.parametrize(
        ("sizes", "expected"),
        [
            ({100: 50, 200: 100}, [100, 200]),
            ({100: 91, 200: 100}, [200]),
            ({100: 90, 200: 100}, [100, 200]),
            ({100: 85, 200: 92, 400: 100}, [100, 400]),
            ({100: 0, 200: 100}, [100, 200]),
            ({100: 100}, [100]),
        ],
        ids=repr,
    )
    def test_a_file_is_at_least_a_tenth_smaller_than_the_next_larger_one(
        self, sizes: dict[int, int], expected: list[int]
    ) -> None:
        """What is not known counts as paying."""
        assert offered(sizes) == {"": expected}

    @pytest.mark.parametrize(
        ("sizes", "expected"),
        [
            ([94, 100], ["a", ""]),
            ([95, 100], [""]),
            ([89, 94, 100], ["a", "b", ""]),
            ([90, 94, 100], ["b", ""]),
            ([90, 96, 100], ["a", ""]),
            ([90, 0, 100], ["a", "b", ""]),
        ],
        ids=repr,
    )
    def test_a_format_is_at_least_a_twentieth_smaller_than_the_next(
        self, sizes: list[int], expected: list[str]
    ) -> None:
        """Of those that are offered; what is not known counts as paying."""
        assert list(offered(*({100: size} for size in sizes))) == expected

    def test_formats_are_compared_where_both_files_are_there(self) -> None:
        """A worker may not have made all files of both."""
        assert offered({100: 90}, {100: 100, 200: 400}) == {"a": [100], "": [100, 200]}
        assert offered({100: 99}, {200: 100}) == {"a": [100], "": [200]}
        assert offered({}, {100: 100}) == {"": [100]}

    def test_a_photograph_that_gains_nothing_is_offered_in_one_format(self, name: str) -> None:
        """As a PNG it is many times larger than as a JPEG."""
        html = render("{% picture 'tests:card' source=name formats='PNG WEBP' %}", name=name)
        assert [source["type"] for source in elements(html, "source")] == ["image/webp"]


class Later(BaseAsync):
    """A backend whose worker is not there yet."""

    def schedule_generation(self, file: Any, force: bool = False) -> None:
        """Do nothing."""


class TestSides:
    """Width and height are there whatever becomes of the image."""

    @pytest.mark.parametrize("fallback", [None, "placeholder", "source"])
    @pytest.mark.parametrize("spec", [Card, Large], ids=["fixed", "of source"])
    def test_an_image_that_is_not_there_yet_has_its_sides(
        self, fallback: Any, spec: Any, name: str
    ) -> None:
        """Those that it will have: nothing jumps when it is."""

        class Pending(spec):  # type: ignore[misc]
            cachefile_backend = Later()

        Pending.fallback = fallback
        with registered(pending=Pending):
            for _ in range(2):
                html = render("{% picture 'tests:pending' source=name %}", name=name)
        (img,) = elements(html)
        width, height = spec(name).expected_size()
        assert (img["width"], img["height"]) == (str(width), str(height))
        assert "srcset" not in img
        assert cached() == set()

    @pytest.mark.parametrize("kind", ["placeholder", "source"])
    @pytest.mark.parametrize("spec", ["card", "large"])
    def test_an_image_that_cannot_be_made_has_sides(
        self, kind: str, spec: str, settings: Any
    ) -> None:
        """Those that it was to have."""
        settings.IMAGEKIT_ON_ERROR = kind
        storages["default"].save("bad.jpg", ContentFile(b"no image"))
        for _ in range(2):
            html = render("{% picture spec source='bad.jpg' %}", spec=f"tests:{spec}")
            (img,) = elements(html)
            expected = ("160", "100") if spec == "card" else ("400", "400")
            assert (img["width"], img["height"]) == expected
            assert elements(html, "source") == []

    def test_a_picture_whose_source_is_bad_opens_it_once(self, tmp_path: Path, name: str) -> None:
        """Not on each page."""
        storage = CountingStorage(location=str(tmp_path / "sources"))
        storage.save("bad.jpg", ContentFile(b"no image"))
        bad = StoredFile("bad.jpg", storage)
        tags = "{% picture 'tests:large' source=bad %}{% picture 'tests:card' source=bad %}"
        render(tags, bad=bad)
        storage.calls.clear()
        render(tags, bad=bad)
        assert storage.calls["open"] == 0


class TestPriority:
    """What visitors wait for."""

    DIRECTED = (
        "{% imagepreload 'tests:card' source=name sources=s layout='full' %}"
        "{% picture 'tests:card' source=name sources=s layout='full' priority=1 -- alt='' %}"
    )

    def test_what_visitors_wait_for_is_loaded_at_once(self, name: str) -> None:
        """Its size on the screen is told by the layout: nothing waits for style sheets."""
        html = render("{% picture 'tests:card' source=name priority=1 %}", name=name)
        (img,) = elements(html)
        assert (img["loading"], img["fetchpriority"]) == ("eager", "high")
        assert img["sizes"] == "(min-width: 160px) 160px, 100vw"

    def test_the_word_auto_needs_lazy_loading_and_both_sides(self, name: str) -> None:
        """As HTML has it; what stands after ``--`` counts."""
        tag = "{% picture 'tests:card' source=name -- "
        for attribute, is_auto in (
            ("loading='eager'", False),
            ("width='80'", False),
            ("width='80' height='50'", True),
            ("class='x'", True),
        ):
            (img,) = elements(render(tag + attribute + " %}", name=name))
            assert img["sizes"].startswith("auto, ") == is_auto, attribute

    def test_a_preload_means_the_file_that_the_picture_shows(self, name: str) -> None:
        """The best format of each crop, for the screens that it is for; no URL for older browsers."""
        crop = Source("(max-width: 600px)", "tests:square")
        html = render(self.DIRECTED, name=name, s=(crop,))
        narrow, wide = elements(html, "link")
        sources = elements(html, "source")
        assert narrow == {
            "rel": "preload",
            "as": "image",
            "imagesrcset": sources[0]["srcset"],
            "imagesizes": sources[0]["sizes"],
            "media": "(max-width: 600px)",
            "type": "image/webp",
            "fetchpriority": "high",
        }
        assert wide["media"] == "(not ((max-width: 600px)))"
        (of_whole,) = [each for each in sources if "media" not in each]
        assert (wide["imagesrcset"], wide["imagesizes"]) == (of_whole["srcset"], of_whole["sizes"])

    def test_a_preload_without_a_choice_names_the_image(self, name: str) -> None:
        """More attributes are added."""
        tag = "{% imagepreload 'tests:card' source=name formats='' layout='fixed' densities='1'"
        (link,) = elements(render(tag + " -- crossorigin='anonymous' %}", name=name), "link")
        assert link["href"] == get_image("tests:card", source=name).url
        assert link["crossorigin"] == "anonymous"
        assert "imagesrcset" not in link

    def test_nothing_is_preloaded_that_cannot_be_shown(self, settings: Any) -> None:
        """Neither by the element nor by the header."""
        storages["default"].save("bad.jpg", ContentFile(b"no image"))
        assert render("{% imagepreload 'tests:card' source='bad.jpg' %}") == ""
        assert preload_header("tests:card", source="bad.jpg") == ""

    def test_a_preload_header_of_no_image_is_empty(self, settings: Any) -> None:
        """An empty field, also where errors are raised; else what is a mistake as well."""
        settings.IMAGEKIT_ON_ERROR = "placeholder"
        assert preload_header("tests:card", source=None) == ""
        assert preload_header("junk", "bad.jpg") == ""
        settings.IMAGEKIT_ON_ERROR = "raise"
        empty = Photo().original_image
        assert preload_header("tests:card", source=empty) == preload_header("9x9", empty) == ""
        with pytest.raises(MissingSource, match="that is None"):
            preload_header("tests:card", source=None)
        with pytest.raises(InvalidArgument, match="'junk' are none"):
            preload_header("junk", "bad.jpg")

    @pytest.mark.parametrize("plan", [plan_image, plan_picture, plan_preload, plan_thumbnail])
    def test_unnamed_arguments_that_are_missing_are_told(self, plan: Any) -> None:
        """Code that calls it has no template that would."""
        with pytest.raises(InvalidArgumentType, match="as unnamed arguments, not 0 of them"):
            plan([], {})

    def test_a_header_says_what_a_preload_says(self, name: str) -> None:
        """As RFC 8288 writes it."""
        (link,) = elements(render("{% imagepreload 'tests:card' source=n %}", n=name), "link")
        header = preload_header("tests:card", source=name)
        first = link["imagesrcset"].split(" ")[0]
        assert header == (
            f'<{first}>; rel="preload"; as="image"; imagesrcset="{link["imagesrcset"]}";'
            f' imagesizes="{link["imagesizes"]}"; type="image/webp"; fetchpriority="high"'
        )


class TestSite:
    """What a site says once, for all of its images."""

    def test_a_site_says_what_its_pictures_have(self, name: str, settings: Any) -> None:
        """Specs and tags come before it."""
        settings.IMAGEKIT_PICTURE = {"layout": "full", "formats": ("PNG",), "widths": (50, 100)}
        html = render("{% picture 'tests:card' source=name %}", name=name)
        assert elements(html, "source")[0]["type"] == "image/webp"
        assert elements(html)[0]["sizes"] == "auto, 100vw"
        assert list(choice(elements(html)[0])) == ["50w", "100w"]
        settings.IMAGEKIT_PICTURE = {"colour": 1}
        with pytest.raises(InvalidConfiguration, match=r"IMAGEKIT_PICTURE is.*colour"):
            render("{% picture 'tests:card' source=name %}", name=name)

    def test_a_site_says_which_attributes_its_images_have(self, name: str, settings: Any) -> None:
        """Each tag's own come before them, in whatever letters."""
        settings.IMAGEKIT_IMG = {"loading": "lazy", "class": "photo", "decoding": "sync"}
        tags = "{% thumbnail '9x9' name -- Loading='eager' %}{% picture 'tests:card' source=name %}"
        thumbnail, picture = elements(render(tags, name=name))
        assert (thumbnail["loading"], thumbnail["class"]) == ("eager", "photo")
        assert (picture["loading"], picture["class"], picture["decoding"]) == (
            "lazy",
            "photo",
            "async",
        )

    def test_a_missing_alt_is_told_of_once(self, name: str, settings: Any, caplog: Any) -> None:
        """By the spec; an empty one is one."""
        settings.IMAGEKIT_ALT = "warn"
        with registered(**{"without-alt": Card}):
            for _ in range(2):
                render("{% picture 'tests:without-alt' source=name %}", name=name)
        render("{% picture 'tests:large' source=name -- alt='' %}", name=name)
        render("{% picture 'tests:square' source=name as im %}{{ im.url }}", name=name)
        (message,) = caplog.messages
        assert message.startswith("An <img> of 'tests:without-alt' has no 'alt'. Write alt=")

    def test_a_missing_alt_is_an_error_where_it_is_required(self, name: str, settings: Any) -> None:
        """Whatever is shown on errors of images."""
        settings.IMAGEKIT_ALT = "require"
        for tag in ("generateimage 'tests:card' source=name", "thumbnail '9x9' name"):
            with pytest.raises(InvalidConfiguration, match="has no 'alt'"):
                render("{% " + tag + " -- class='x' %}", name=name)
            assert render("{% " + tag + " -- ALT='' %}", name=name)

    def test_an_alt_for_all_images_counts_as_an_alt(self, name: str, settings: Any) -> None:
        """Whatever else a tag says of its element."""
        settings.IMAGEKIT_ALT = "require"
        settings.IMAGEKIT_IMG = {"alt": ""}
        for attributes in ("", " -- class='x'"):
            (img,) = elements(render("{% thumbnail '9x9' name" + attributes + " %}", name=name))
            assert img["alt"] == ""
