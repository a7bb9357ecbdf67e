"""HTML that was written before: shown again for no longer than it is true."""

from __future__ import annotations

import io
import itertools
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.template import Context, Template
from django.test import override_settings
from django.utils import translation
from django.utils.functional import lazy
from PIL import Image

from imagekit_registry import ImageSpec, Picture, get_image, register, unregister
from imagekit_registry.cachefiles import existence
from imagekit_registry.cachefiles.urls import Prefix
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.signals import existence_required
from imagekit_registry.testing import forget_state
from tests.pages import Banner, elements, registered, render
from tests.testapp.models import Photo

COMPREHENSIONS = {"<dictcomp>", "<listcomp>", "<setcomp>"}
BANNER = "{% generateimage 'tests:banner' source=name -- alt=alt %}"
THUMBNAIL = "{% thumbnail '90x70' name -- alt=alt %}"
PICTURE = "{% picture 'tests:banner' source=name formats='WEBP' widths='40 80' -- alt=alt %}"


@pytest.fixture(autouse=True)
def banner(settings: Any) -> Any:
    """Register a spec, and trust what is remembered for the length of a slow test."""
    settings.IMAGEKIT_LOCAL_STATE_TTL = 600
    with registered(banner=Banner):
        yield


def calls_of(show: Callable[[], object]) -> int:
    """Return how many functions are called, Python's and Django's included."""
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        # Before Python 3.12 comprehensions are functions of their own.
        is_inlined = event == "call" and frame.f_code.co_name in COMPREHENSIONS
        calls += event in {"call", "c_call"} and not is_inlined

    sys.setprofile(count)
    try:
        show()
    finally:
        sys.setprofile(None)
    return calls


def make_jpeg(size: tuple[int, int], color: str) -> bytes:
    """Return an image of one colour."""
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, "JPEG")
    return out.getvalue()


class TestCosts:
    """What a warm image costs in function calls, beside those of its page."""

    @pytest.mark.parametrize(
        ("tag", "most", "signed"),
        [
            ("{% generateimage 'tests:banner' source=p.original_image %}", 50, 0),
            ("{% thumbnail '90x70' p.original_image %}", 60, 0),
            ("{% generateimage 'tests:banner' source=p.original_image %}", 50, 66),
            ("{% thumbnail '90x70' p.original_image %}", 60, 66),
        ],
    )
    def test_a_warm_tag_calls_few_functions(
        self, tag: str, most: int, signed: int, stored_photo: Any, db: None, settings: Any
    ) -> None:
        """Less than half of what its source's URL costs in a template, but for a URL that is made anew."""
        if signed:
            settings.STORAGES = {
                **settings.STORAGES,
                "default": {"BACKEND": f"{__name__}.SigningStorage"},
            }
        rows = [Photo(original_image=stored_photo(name=f"photos/{n}.jpg")) for n in range(10)]
        Photo.objects.bulk_create(rows)
        loop = "{% for p in photos %}" + tag + "{% endfor %}"
        for _ in range(1 + bool(signed)):
            render(loop, photos=list(Photo.objects.all()))
        photos, none = list(Photo.objects.all()), list[Photo]()
        page = calls_of(lambda: render(loop, photos=photos))
        calls = (page - calls_of(lambda: render(loop, photos=none))) / len(rows)
        assert calls <= most + signed

    def test_a_warm_picture_whose_urls_are_signed_costs_little_beside_these(
        self, name: str, settings: Any
    ) -> None:
        """However many files a browser may choose from."""
        settings.STORAGES = {
            **settings.STORAGES,
            "default": {"BACKEND": f"{__name__}.SigningStorage"},
        }
        loop = "{% for name in names %}{% picture '90x70' name widths='20 45 90' %}{% endfor %}"
        for _ in range(2):
            html = render(loop, names=[name])
        page = calls_of(lambda: render(loop, names=[name]))
        calls = page - calls_of(lambda: render(loop, names=[]))
        assert html.count("/media/CACHE/") > 4
        assert calls <= 100 + 80 * html.count("/media/CACHE/")

    def test_a_warm_tag_behind_a_cdn_calls_few_functions(self, name: str, settings: Any) -> None:
        """Wherever the files are stored: a prefix and a name make the URL."""
        settings.STORAGES = {
            **settings.STORAGES,
            "default": {"BACKEND": f"{__name__}.SigningStorage"},
        }
        settings.IMAGEKIT_URL_PROVIDER = Prefix("https://cdn.example.com/")
        template = Template("{% load imagekit %}{% generateimage 'tests:banner' source=name %}")
        context = Context({"name": name})
        first = template.render(context)
        assert elements(first)[0]["src"].startswith("https://cdn.example.com/")
        assert template.render(context) == first
        assert calls_of(lambda: template.render(context)) <= 62

    @pytest.mark.parametrize(
        "tag",
        [
            "{% picture 'tests:directed' source=name -- alt='x' %}",
            "{% picture image -- alt='x' %}",
            "{% picture 'tests:directed' source=name sources=crops -- alt='x' %}",
        ],
        ids=["spec", "image", "crops"],
    )
    def test_a_warm_picture_of_16_files_calls_few_functions(self, tag: str, name: str) -> None:
        """Eight or so for each: none is looked up, and nothing is planned again."""

        class Directed(Banner):
            picture = Picture(
                formats=["WEBP"],
                widths=[20, 40, 80, 240],
                sources=[("(max-width: 9px)", "tests:banner")],
            )

        crops = Directed.picture.sources
        with registered(directed=Directed):
            image = get_image("tests:directed", source=name)
            context = Context({"name": name, "crops": crops, "image": image})
            template = Template("{% load imagekit %}" + tag)
            html = template.render(context)
            assert len(re.findall(r"\.(?:jpg|webp) \d+w", html)) == 16
            assert calls_of(lambda: template.render(context)) <= 200

    def test_a_warm_spec_field_calls_few_functions(self, stored_photo: Any, db: None) -> None:
        """For URL, width and height together."""
        Photo.objects.create(original_image=stored_photo())

        def show(photo: Photo) -> tuple[str, int | None, int | None]:
            file = photo.with_spec
            return file.url, file.width, file.height

        show(Photo.objects.get())
        photo = Photo.objects.get()
        assert calls_of(lambda: show(photo)) - calls_of(lambda: None) <= 90


class TestSame:
    """What was asked for before."""

    @pytest.mark.parametrize("tag", [BANNER, THUMBNAIL, PICTURE])
    def test_the_second_showing_writes_what_the_first_wrote(self, tag: str, name: str) -> None:
        """Byte for byte, with attributes of its own."""
        first = render(tag, name=name, alt="a 'cat'")
        assert render(tag, name=name, alt="a 'cat'") == first
        assert "a &#x27;cat&#x27;" in first
        assert render(tag, name=name, alt="a dog") == first.replace("a &#x27;cat&#x27;", "a dog")

    @pytest.mark.parametrize(
        ("one", "other"), [(1, True), (True, 1), (1, 1.0), (0, False), ("", None), ("1", 1)]
    )
    def test_equal_values_of_other_types_are_written_each_in_their_way(
        self, one: object, other: object, name: str
    ) -> None:
        """As without anything remembered."""
        tag = "{% generateimage 'tests:banner' source=name -- data-x=value %}"
        wanted = []
        for value in (one, other):
            forget_state()
            with override_settings(IMAGEKIT_LOCAL_STATE_SIZE=0):
                wanted.append(render(tag, name=name, value=value))
        for _ in range(2):
            assert [render(tag, name=name, value=value) for value in (one, other)] == wanted

    def test_a_lazy_text_is_written_in_the_language_of_the_moment(self, name: str) -> None:
        """One that was translated before is not shown to the next visitor."""
        alt = lazy(translation.get_language, str)()
        for language in ("de", "fr", "de"):
            with translation.override(language):
                (img,) = elements(render(BANNER, name=name, alt=alt))
                assert img["alt"] == language

    def test_a_lazy_text_of_all_images_is_written_in_the_language_of_the_moment(
        self, name: str, settings: Any
    ) -> None:
        """As one of the tag."""
        settings.IMAGEKIT_IMG = {"alt": lazy(translation.get_language, str)()}
        for tag in ("thumbnail '9x9' name", "picture '9x9' name formats=''"):
            for language in ("de", "fr", "de"):
                with translation.override(language):
                    (img,) = elements(render("{% " + tag + " %}", name=name))
                    assert img["alt"] == language


class TestChanged:
    """What ends what was written."""

    @pytest.fixture
    def show(self, name: str) -> Callable[[], dict[str, Any]]:
        """Return what shows the image, which was shown before."""

        def show() -> dict[str, Any]:
            (img,) = elements(render(BANNER, name=name, alt="x"))
            return img

        show()
        return show

    def test_a_removed_image_is_made_again(
        self, show: Callable[[], dict[str, Any]], name: str
    ) -> None:
        """As soon as its record is gone."""
        file = get_image("tests:banner", source=name)
        file.delete()
        show()
        assert file.storage.exists(str(file.name))

    def test_a_recorded_failure_is_shown_at_once(
        self, show: Callable[[], dict[str, Any]], name: str, settings: Any
    ) -> None:
        """What stands in for the image, not the image that was."""
        settings.IMAGEKIT_ON_ERROR = "placeholder"
        show()
        file = get_image("tests:banner", source=name)
        retry_at = 4e9
        failed = existence.new_record(file, "failed", error="broken", retry_at=retry_at)
        settings.IMAGEKIT_RETRY_AFTER_MAX = 10**10
        show()
        existence.remember([(file, failed)])
        assert show()["src"].startswith("data:image/svg+xml")

    def test_another_spec_under_the_id_is_shown_at_once(
        self, show: Callable[[], dict[str, Any]]
    ) -> None:
        """A site replaces the spec of an app."""

        class Square(ImageSpec):
            processors = [ResizeToFill(50, 50)]
            format = "PNG"

        unregister.generator("tests:banner")
        register.generator("tests:banner", Square)
        assert (show()["width"], show()["height"]) == ("50", "50")

    def test_another_attribute_of_the_class_is_shown_at_once(
        self, show: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The spec has other processors from now on."""
        monkeypatch.setattr(Banner, "processors", [ResizeToFill(60, 20)])
        assert (show()["width"], show()["height"]) == ("60", "20")

    def test_another_setting_is_shown_at_once(
        self, show: Callable[[], dict[str, Any]], settings: Any
    ) -> None:
        """Names are given in another way."""
        settings.IMAGEKIT_CACHEFILE_DIR = "ELSEWHERE"
        assert "/ELSEWHERE/" in show()["src"]

    def test_another_media_url_is_shown_at_once(
        self, show: Callable[[], dict[str, Any]], settings: Any
    ) -> None:
        """Without a new process."""
        settings.MEDIA_URL = "https://cdn.example.com/"
        assert show()["src"].startswith("https://cdn.example.com/")

    def test_an_overwritten_source_is_shown_when_its_time_has_come(
        self, name: str, media: Path, settings: Any
    ) -> None:
        """As `IMAGEKIT_VERIFY_SOURCES_EVERY` says: here, each time."""
        settings.IMAGEKIT_VERIFY_SOURCES_EVERY = 1e-9
        for _ in range(3):
            render(BANNER, name=name, alt="x")
        (media / name).write_bytes(make_jpeg((200, 100), "red"))
        render(BANNER, name=name, alt="x")
        file = get_image("tests:banner", source=name)
        with Image.open(str(file.path)) as image:
            assert image.getpixel((60, 20)) == pytest.approx((254, 0, 0), abs=2)

    def test_receivers_are_told_of_each_showing(self, show: Callable[[], dict[str, Any]]) -> None:
        """Those of ``existence_required`` that came after the image was shown."""
        told: list[object] = []

        def note(file: Any, **kwargs: Any) -> None:
            told.append(file.name)

        existence_required.connect(note)
        try:
            show()
            show()
        finally:
            existence_required.disconnect(note)
        assert len(told) == 2


class TestNotKept:
    """What may be another thing each time."""

    def test_urls_of_a_storage_that_signs_them_are_asked_for_each_time(
        self, name: str, settings: Any
    ) -> None:
        """Each has an end of its own."""
        settings.STORAGES = {
            **settings.STORAGES,
            "signed": {"BACKEND": f"{__name__}.SigningStorage"},
        }

        class Signed(Banner):
            cachefile_storage = "signed"

        with registered(signed=Signed):
            tag = "{% generateimage 'tests:signed' source=name -- alt=alt %}"
            shown = [elements(render(tag, name=name, alt=' src="x" &'))[0] for _ in range(4)]
        urls = [img.pop("src") for img in shown]
        assert len(set(urls)) == 4
        assert all(url.startswith("/media/CACHE/") and "?a&b='" in url for url in urls)
        assert shown == [shown[0]] * 4

    @pytest.mark.parametrize(
        "tag",
        [
            "{% picture '90x70' name widths='20 45 90' formats='WEBP' -- alt=alt %}",
            "{% picture '90x70' name densities='1 2' -- alt=alt %}",
            "{% thumbnail '90x70' name srcset='2' -- alt=alt %}",
            "{% imagepreload '90x70' name widths='20 45 90' %}",
        ],
    )
    def test_urls_to_choose_from_are_asked_for_each_time_and_each_once(
        self, tag: str, name: str, settings: Any
    ) -> None:
        """Each has an end of its own; what is around them is written once."""
        settings.STORAGES = {
            **settings.STORAGES,
            "default": {"BACKEND": f"{__name__}.SigningStorage"},
        }
        ending = re.compile(r"\?a&amp;b=&#x27;&amp;expires=(\d+)")
        shown, counts = [], []
        for _ in range(4):
            before = next(SigningStorage.number)
            shown.append(render(tag, name=name, alt=' src="\ue0000\ue001" &'))
            counts.append(next(SigningStorage.number) - before - 1)
        names = [set(re.findall(r"/media/CACHE/[^?]+", html)) for html in shown]
        assert len(names[0]) > 1
        assert names == [names[0]] * 4
        assert {ending.sub("", html) for html in shown} == {ending.sub("", shown[0])}
        assert not set(ending.findall(shown[2])) & set(ending.findall(shown[3]))
        assert counts[3] == len(names[0])

    @pytest.mark.parametrize("on_error", ["empty", "placeholder"])
    def test_a_storage_that_gives_no_url_any_more_is_a_failure(
        self, name: str, settings: Any, monkeypatch: pytest.MonkeyPatch, on_error: str
    ) -> None:
        """What stands in for the image is shown, and the image again afterwards."""
        settings.IMAGEKIT_ON_ERROR = on_error
        settings.STORAGES = {
            **settings.STORAGES,
            "signed": {"BACKEND": f"{__name__}.SigningStorage"},
        }

        class Signed(Banner):
            cachefile_storage = "signed"

        def fail(storage: object, name: str) -> str:
            raise ConnectionError("no keys")

        with registered(signed=Signed):
            tag = "{% generateimage 'tests:signed' source=name %}"
            before = render(tag, name=name)
            with monkeypatch.context() as broken:
                broken.setattr(SigningStorage, "url", fail)
                assert "CACHE" not in render(tag, name=name)
            assert render(tag, name=name)[:20] == before[:20]

    def test_a_spec_whose_property_changes_is_shown_as_it_is(self, name: str) -> None:
        """Such as one that asks what day it is."""
        day = [10]

        class Changing(ImageSpec):
            format = "JPEG"

            @property
            def processors(self) -> list[ResizeToFill]:
                return [ResizeToFill(day[0], day[0])]

        with registered(changing=Changing):
            tag = "{% generateimage 'tests:changing' source=name %}"
            for day[0] in (10, 20, 10, 20):
                assert elements(render(tag, name=name))[0]["width"] == str(day[0])

    def test_a_generator_that_is_a_function_is_called_each_time(self, name: str) -> None:
        """It may give another spec."""
        sizes = itertools.cycle([10, 20])

        def choose(source: Any = None) -> ImageSpec:
            spec = ImageSpec(source)
            size = next(sizes)
            spec.processors = [ResizeToFill(size, size)]
            spec.format = "JPEG"
            return spec

        with registered(chosen=choose):
            tag = "{% generateimage 'tests:chosen' source=name %}"
            widths = [elements(render(tag, name=name))[0]["width"] for _ in range(4)]
        assert widths == ["10", "20", "10", "20"]

    def test_a_spec_that_is_made_in_its_own_way_is_made_each_time(self, name: str) -> None:
        """Its ``__init__`` may look at anything."""
        sizes = itertools.cycle([10, 20])

        class Own(ImageSpec):
            format = "JPEG"

            def __init__(self, source: Any = None) -> None:
                super().__init__(source)
                size = next(sizes)
                self.processors = [ResizeToFill(size, size)]

        with registered(own=Own):
            tag = "{% generateimage 'tests:own' source=name %}"
            widths = [elements(render(tag, name=name))[0]["width"] for _ in range(4)]
        assert widths == ["10", "20", "10", "20"]

    def test_an_open_file_is_looked_at_each_time(self, photos: Any) -> None:
        """Two uploads may have one name."""
        tag = "{% generateimage 'tests:banner' source=file %}"
        urls = set()
        for photo in sorted(photos.glob("*.jpg"))[:2]:
            file = ContentFile(photo.read_bytes(), name="same.jpg")
            urls.add(elements(render(tag, file=file))[0]["src"])
        assert len(urls) == 2

    def test_each_tenant_sees_the_urls_of_its_own_place(
        self, name: str, settings: Any, tmp_path: Any
    ) -> None:
        """A storage that says at each moment where it is."""
        settings.STORAGES = {
            **settings.STORAGES,
            "tenants": {"BACKEND": f"{__name__}.TenantStorage"},
        }

        class Tenants(Banner):
            cachefile_storage = "tenants"

        with registered(tenants=Tenants):
            tag = "{% generateimage 'tests:tenants' source=name %}"
            for tenant in ("one", "two", "one", "two", "two"):
                TenantStorage.tenant, TenantStorage.root = tenant, str(tmp_path)
                (img,) = elements(render(tag, name=name))
                assert img["src"].startswith(f"/{tenant}/")


class SigningStorage(FileSystemStorage):
    """A storage whose URLs have an end."""

    number = itertools.count()

    def url(self, name: str | None) -> str:
        return f"{super().url(name)}?a&b='&expires={next(self.number)}"


class TenantStorage(FileSystemStorage):
    """A storage with a place for each tenant."""

    tenant = root = ""

    @property
    def base_location(self) -> str:
        return f"{self.root}/{self.tenant}"

    @property
    def location(self) -> str:
        return self.base_location

    @property
    def base_url(self) -> str:
        return f"/{self.tenant}/"
