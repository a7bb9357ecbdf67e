"""Placeholders in pages: under the image until it has loaded, whatever the policy of the page is."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import django
import jinja2
import pytest
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import RequestFactory, override_settings
from django.utils.module_loading import import_string
from PIL import Image, ImageChops, ImageStat
from playwright.sync_api import Page, Route

from imagekit_registry import ImageSpec, get_image, register
from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.backends.messages import describe, generator_of
from imagekit_registry.exceptions import AlreadyRegistered
from imagekit_registry.html import image_file
from imagekit_registry.imaging import Placeholder
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.state import get_state_access
from tests.browser import chromium_started
from tests.html.test_written import calls_of
from tests.pages import be_fresh, elements, registered, render, served

TAG = "{% generateimage 'tests:hero' source=name %}"
BATCH = "{% imagebatch %}" + TAG + TAG + "{% endimagebatch %}"
#: Under it, no attribute of an element styles anything.
POLICY = "default-src 'none'; img-src 'self' data:; style-src 'nonce-k1'"


class Hero(ImageSpec):
    """A large image with a placeholder."""

    processors = [ResizeToFill(360, 240)]
    format = "JPEG"
    placeholder: Any = ("lqip", "color")


@pytest.fixture(autouse=True)
def specs(settings: Any) -> Iterator[None]:
    """Register the spec, and trust what is remembered for the length of a slow test."""
    settings.IMAGEKIT_LOCAL_STATE_TTL = 600
    with registered(hero=Hero):
        yield


def placeholder_of(name: str) -> Placeholder:
    """Return the placeholders of the image of the spec."""
    return get_image("tests:hero", source=name).placeholder


class TestStyle:
    """Placeholders in an attribute, as by default."""

    def test_an_image_has_its_placeholder_behind_it(self, name: str) -> None:
        """Before anything of the project's own, which is stronger."""
        (img,) = elements(render(TAG[:-2] + "-- style='border:0' class='a' %}", name=name))
        css = placeholder_of(name).css
        assert css.startswith("background:center/cover url(data:image/webp;base64,")
        assert img["style"] == f"{css};border:0"
        assert img["class"] == "a"

    @pytest.mark.parametrize(
        "tag",
        [
            "{% picture 'tests:hero' source=name formats='WEBP' widths='90 180' %}",
            "{% thumbnail '90x60' name placeholder='css' %}",
            "{% picture '90x60' name placeholder='css' formats='WEBP' %}",
        ],
    )
    def test_every_tag_shows_placeholders(self, tag: str, name: str) -> None:
        """On the one element that is always there."""
        first = render(tag, name=name)
        (img,) = elements(first)
        assert img["style"].startswith("background:")
        assert first.count("background:") == 1
        assert render(tag, name=name) == first

    def test_hashes_are_for_scripts(self, name: str) -> None:
        """CSS cannot show them."""
        with registered(hashed=type("Hashed", (Hero,), {"placeholder": ("thumbhash", "blurhash")})):
            (img,) = elements(render("{% generateimage 'tests:hashed' source=name %}", name=name))
            found = get_image("tests:hashed", source=name).placeholder
        assert found.thumbhash
        assert (img["data-thumbhash"], img["data-blurhash"]) == (found.thumbhash, found.blurhash)
        assert "style" not in img

    def test_what_stands_in_for_a_missing_image_has_no_placeholder(
        self, name: str, settings: Any
    ) -> None:
        """It is no image that could load."""
        settings.IMAGEKIT_ON_ERROR = "placeholder"
        (img,) = elements(render(TAG, name="photos/none.jpg"))
        assert "style" not in img
        file = get_image("tests:hero", source="photos/none.jpg")
        assert not file.placeholder
        assert file.as_dict()["placeholder"] is None

    def test_a_spec_without_placeholders_shows_none(self, name: str) -> None:
        """Whatever records have from earlier."""
        render(TAG, name=name)
        with registered(plain=type("Plain", (Hero,), {"placeholder": None})):
            (img,) = elements(render("{% generateimage 'tests:plain' source=name %}", name=name))
        assert "style" not in img

    def test_a_variable_tells_of_placeholders(self, name: str) -> None:
        """For elements of one's own."""
        own = (
            "{% imagebatch %}{% generateimage 'tests:hero' source=name as im %}"
            "{{ im.placeholder.css }}|{{ im.placeholder.color }}{% endimagebatch %}"
        )
        found = placeholder_of(name)
        be_fresh()
        assert render(own, name=name) == f"{found.css}|{found.color}"

    def test_a_project_registers_kinds_of_its_own(self, name: str) -> None:
        """By name, or as the function itself, which may stand in the class body."""
        register.placeholder("edge", lambda image: f"#{image.crop((0, 0, 1, 1)).tobytes().hex()}")
        with pytest.raises(AlreadyRegistered, match="'edge' is already registered"):
            register.placeholder("edge", str)

        class Own(Hero):
            placeholder = "edge"

        class Function(Hero):
            format = "WEBP"

            def placeholder(image: Any) -> str:  # noqa: N805
                return "#123456"

        with registered(own=Own, function=Function):
            own = get_image("tests:own", source=name)
            corner = served(own.url).convert("RGB").resize((32, 21)).getpixel((0, 0))
            shown = bytes.fromhex(own.placeholder.values["edge"][1:])
            assert tuple(shown) == pytest.approx(corner, abs=12)
            function = get_image("tests:function", source=name)
            assert function.placeholder.css == "background:#123456"

    def test_a_function_that_fails_is_told_as_its_images_failure(
        self, name: str, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """By spec, source and cause."""
        settings.IMAGEKIT_ON_ERROR = "empty"
        with registered(bad=type("Bad", (Hero,), {"placeholder": staticmethod(lambda _: 1 / 0)})):
            assert render("{% generateimage 'tests:bad' source=name %}", name=name) == ""
        assert "tests:bad" in caplog.text
        assert "ZeroDivisionError" in caplog.text


class TestCosts:
    """What placeholders cost where nothing is made."""

    def test_a_warm_page_asks_nothing_for_placeholders(
        self, name: str, cache_calls: Counter[str], media: Any
    ) -> None:
        """The text that is kept holds them; a fresh process reads them with the state."""
        first = render(TAG, name=name)
        be_fresh()
        assert render(TAG, name=name) == first
        assert dict(cache_calls) == {"get_many": 1}
        for file in (media / "CACHE").rglob("*.jpg"):
            file.unlink()
        assert render(TAG, name=name) == first
        assert dict(cache_calls) == {"get_many": 1}

    @pytest.mark.parametrize("delivery", ["style", "nonce", "class"])
    def test_a_warm_tag_with_a_placeholder_calls_as_many_functions_as_one_without(
        self, delivery: str, name: str, settings: Any
    ) -> None:
        """However they are delivered."""
        settings.IMAGEKIT_PLACEHOLDER_DELIVERY = delivery
        plain = TAG.replace("hero", "plain")
        with registered(plain=type("Plain", (Hero,), {"placeholder": None})):
            calls = []
            for tag in (plain, TAG):
                page = engines["django"].from_string("{% load imagekit %}" + tag)
                page.render({"name": name})
                calls.append(calls_of(partial(page.render, {"name": name})))
        assert calls[0] == calls[1]

    @pytest.mark.parametrize(
        "tag",
        [
            "generateimage 'tests:plain' source=name placeholder='color'",
            "generateimage 'tests:plain' source=name widths='90 180' placeholder='color'",
            "generateimage plain placeholder='color' quality=90",
            "picture 'tests:plain' source=name formats='WEBP' widths='90 180' placeholder='color'",
            "picture plain formats='' placeholder='color'",
            "picture 'tests:plain' source=name formats='' quality=90 placeholder='color'",
        ],
    )
    def test_a_tag_may_ask_for_a_placeholder(self, tag: str, name: str) -> None:
        """Of an image whose spec has none; the image is the one that it would be without."""
        with registered(plain=type("Plain", (Hero,), {"placeholder": None})):
            context = {"name": name, "plain": get_image("tests:plain", source=name)}
            for _ in range(3):
                (img,) = elements(render("{% " + tag + " %}", **context))
                assert img["style"].startswith("background:#")
            (plain,) = elements(
                render("{% " + tag.replace("placeholder='color'", "") + " %}", **context)
            )
            assert (img["src"], "style" in plain) == (plain["src"], False)

    def test_a_site_may_ask_for_placeholders_of_its_pictures(
        self, name: str, settings: Any
    ) -> None:
        """What a spec says comes first; images that are no pictures show what they are told."""
        small = {"placeholder": None, "processors": [ResizeToFill(90, 60)]}
        settings.IMAGEKIT_PICTURE = {"placeholder": "color"}
        with registered(plain=type("Plain", (Hero,), small)):
            tags = (
                "{% picture 'tests:plain' source=name formats='' %}"
                "{% generateimage 'tests:plain' source=name %}"
            )
            picture, image = elements(render(tags, name=name))
            assert picture["style"].startswith("background:#")
            assert "style" not in image
        (img,) = elements(render("{% picture 'tests:hero' source=name formats='' %}", name=name))
        assert "data:image/webp" in img["style"]

    def test_a_worker_is_told_which_placeholder_a_tag_asks_for(self, name: str) -> None:
        """It makes that with the image."""
        with registered(plain=type("Plain", (Hero,), {"placeholder": None})):
            file = image_file(["tests:plain"], {"source": name, "placeholder": "color"})
            message = describe(file)
            assert message is not None
            told = generator_of(message, source=name)
            assert told.shown_placeholder == "color"
            assert (
                ImageCacheFile(told).name == file.name == get_image("tests:plain", source=name).name
            )

    def test_placeholders_change_no_names_and_no_digests(self, name: str) -> None:
        """A placeholder is no part of the image."""
        plain = type("Plain", (Hero,), {"placeholder": None})(name)
        assert Hero(name).cachefile_name == plain.cachefile_name


class TestPolicies:
    """Placeholders under a Content-Security-Policy."""

    @pytest.fixture(autouse=True)
    def nonces(self, settings: Any) -> None:
        """Deliver them in a style sheet of each batch."""
        settings.IMAGEKIT_PLACEHOLDER_DELIVERY = "nonce"

    @pytest.mark.parametrize("is_warm", [False, True], ids=["cold", "warm"])
    def test_a_batch_writes_one_style_sheet(self, is_warm: bool, name: str) -> None:
        """Before its images, and each rule once."""
        if is_warm:
            render(BATCH, name=name, csp_nonce="first")
        html = render(BATCH, name=name, csp_nonce='k"1')
        found = placeholder_of(name)
        assert html.startswith(f'<style nonce="k&quot;1">{found.rule}</style><img ')
        assert html.count("<style") == 1
        assert [img["class"] for img in elements(html)] == [found.class_name] * 2
        assert "style=" not in html

    def test_a_batch_without_placeholders_asks_for_no_nonce(self, name: str) -> None:
        """Which would be put into the policy of the page."""

        class Nonce:
            def __str__(self) -> str:
                raise AssertionError("asked for")

        html = render("{% imagebatch %}{% thumbnail '9x9' name %}{% endimagebatch %}", name=name,
                      csp_nonce=Nonce())  # fmt: skip
        assert html.startswith("<img ")

    @pytest.mark.skipif(django.VERSION < (6, 0), reason="Django has policies since 6.0")
    def test_the_nonce_is_that_of_djangos_policy(self, name: str, settings: Any) -> None:
        """Which its middleware sends, and which is not made before it is asked for."""
        template = settings.TEMPLATES[0]
        processor = "django.template.context_processors.csp"
        options = {**template["OPTIONS"], "context_processors": [processor]}
        settings.TEMPLATES = [{**template, "OPTIONS": options}]
        settings.SECURE_CSP = {"style-src": ["<CSP_NONCE_SENTINEL>"]}

        def view(request: HttpRequest) -> HttpResponse:
            page = engines["django"].from_string("{% load imagekit %}" + BATCH)
            return HttpResponse(page.render({"name": name}, request))

        middleware = import_string("django.middleware.csp.ContentSecurityPolicyMiddleware")
        response = middleware(view)(RequestFactory().get("/"))
        (style,) = elements(response.content.decode(), "style")
        assert response["Content-Security-Policy"] == f"style-src 'nonce-{style['nonce']}'"

    def test_without_a_policy_the_style_sheet_has_no_nonce(self, name: str) -> None:
        """As while a project is developed."""
        assert render(BATCH, name=name).startswith("<style>.imagekit-")

    def test_a_cached_fragment_keeps_no_style_sheet(self, name: str) -> None:
        """Its nonce would be that of another page, or its rules would be missing."""
        page = (
            "{% load cache %}{% imagebatch %}{% cache 60 part %}" + TAG + "{% endcache %}"
            "{% endimagebatch %}"
        )
        html = [render(page, name=name, csp_nonce=nonce) for nonce in ("a", "b")]
        assert html[0] == html[1]
        assert "<style" not in html[0]

    def test_jinja_writes_the_style_sheet_of_placeholders_that_django_writes(
        self, name: str
    ) -> None:
        """With the nonce that the context has under the same name."""
        environment = jinja2.Environment(
            autoescape=True, extensions=["imagekit_registry.jinja2.ImagekitExtension"]
        )
        tag = "{{ generateimage('tests:hero', source=name) }}"
        page = environment.from_string(
            "{% imagebatch %}{% imagebatch %}"
            + tag
            + "{% endimagebatch %}"
            + tag
            + "{% endimagebatch %}"
        )
        expected = render(BATCH, name=name, csp_nonce="k1")
        assert page.render(name=name, csp_nonce="k1") == expected

    @pytest.mark.browser
    def test_chromium_shows_placeholders_until_images_have_loaded(
        self, stored_photo: Any, settings: Any
    ) -> None:
        """Under a policy that lets no attribute style anything."""
        pages, kinds = {}, ("lqip", "css", "color")
        for kind in kinds:
            with registered(other=type("Other", (Hero,), {"placeholder": kind})):
                tag = TAG.replace("hero", "other")
                name = stored_photo("coffee.png", f"{kind}.png")
                batch = "{% imagebatch %}" + tag + "{% endimagebatch %}"
                pages[kind] = render(batch, name=name, csp_nonce="k1")
        image = served(elements(pages["lqip"])[0]["src"]).convert("RGB")
        with override_settings(IMAGEKIT_PLACEHOLDER_DELIVERY="style"):
            pages["refused"] = render(TAG, name="lqip.png")
        data = io.BytesIO()
        image.save(data, "PNG")
        found = {}
        with chromium_started() as browser:
            for kind, html in pages.items():
                page = browser.new_page(viewport={"width": 360, "height": 240})
                found[kind] = _load(page, html, data.getvalue())
        assert "Content Security Policy" in "".join(found.pop("refused")[2])
        for kind, (before, after, complaints) in found.items():
            assert complaints == [], kind
            assert _difference(before, image) < 50, kind
            assert kind == "color" or _spread(before) > 15, kind
            assert _difference(after, image) < 1, kind


def _load(page: Page, html: str, data: bytes) -> tuple[Image.Image, Image.Image, list[str]]:
    """Return what a page shows before and after its image has come, and what the browser says."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    held: list[Route] = []

    def answer(route: Route) -> None:
        if "/media/" in route.request.url:
            held.append(route)
        else:
            body = f"<!doctype html><title>-</title>{html}"
            headers = {"content-type": "text/html", "content-security-policy": POLICY}
            route.fulfill(body=body, headers=headers)

    page.route("**/*", answer)
    page.goto("http://images.test/", wait_until="commit")
    page.wait_for_selector("img")
    shots = [page.locator("img").screenshot(animations="disabled", timeout=5000)]
    held[0].fulfill(body=data, headers={"content-type": "image/png"})
    page.wait_for_load_state("load")
    shots.append(page.locator("img").screenshot())
    before, after = (Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots)
    return before, after, complaints


def _difference(one: Image.Image, other: Image.Image) -> float:
    return max(ImageStat.Stat(ImageChops.difference(one, other.resize(one.size))).mean)


def _spread(image: Image.Image) -> float:
    return max(ImageStat.Stat(image).stddev)


class TestClasses:
    """Placeholders whose rules the project writes."""

    def test_an_image_with_a_placeholder_has_a_class_and_the_template_the_rule(
        self, name: str, settings: Any
    ) -> None:
        """For a style sheet in the head of the page, say."""
        settings.IMAGEKIT_PLACEHOLDER_DELIVERY = "class"
        page = (
            "<style>{{ file.placeholder.rule }}</style>{% imagebatch %}"
            + TAG.replace("%}", "-- class='a b' %}", 1)
            + "{% endimagebatch %}"
        )
        file = get_image("tests:hero", source=name)
        html = render(page, name=name, file=file)
        rule, class_name = file.placeholder.rule, file.placeholder.class_name
        assert html.startswith(f"<style>{rule}</style><img ")
        assert elements(html)[0]["class"] == f"{class_name} a b"


class TestRecords:
    """Where placeholders are kept."""

    def test_a_record_keeps_placeholders_and_a_new_image_has_new_ones(
        self, name: str, media: Any, photos: Any
    ) -> None:
        """Of the very image that the file holds."""
        file = get_image("tests:hero", source=name)
        first = file.placeholder
        record = get_state_access().get(file.identity.key)
        assert record is not None
        assert Placeholder.decode(record.placeholder) == first
        assert len(record.placeholder) <= 600
        (media / name).write_bytes((photos / "coffee.png").read_bytes())
        file.generate(force=True)
        assert get_image("tests:hero", source=name).placeholder.color != first.color

    def test_a_generator_that_makes_its_file_itself_has_placeholders_too(self, name: str) -> None:
        """Read from what it has made."""

        class Drawn(Hero):
            def generate(self) -> io.BytesIO:
                file = io.BytesIO()
                Image.new("RGB", (400, 300), "teal").save(file, "PNG")
                return file

        with registered(drawn=Drawn):
            found = get_image("tests:drawn", source=name).placeholder
        assert bytes.fromhex(found.color[1:]) == pytest.approx((0, 128, 128), abs=2)
        assert found.data_uri
