"""Templates written for sorl-thumbnail."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from django.template import TemplateSyntaxError
from django.utils.translation import gettext_lazy
from PIL import Image

from imagekit_registry.contrib.sorl.images import DummyImage
from imagekit_registry.exceptions import GenerationError, InvalidArgument
from imagekit_registry.testing import forget_state
from tests.contrib.sorl.conftest import Render, store, thumb
from tests.pages import served
from tests.storages import CountingStorage, content_of
from tests.testapp.models import Plain

pytestmark = [pytest.mark.usefixtures("sorl"), pytest.mark.django_db]


class TestTag:
    """``{% thumbnail %}``: a block with an image in a variable, or a URL."""

    def test_the_block_of_a_tag_has_the_image(self, name: str, sorl: Render) -> None:
        """By all the names that sorl-thumbnail has for its parts."""
        tag = (
            '{% thumbnail source "100x50" crop="center" as im %}{{ im.url }} {{ im.src }}'
            " {{ im.x }}x{{ im.y }} {{ im.width }}x{{ im.height }} {{ im.size.0 }} {{ im.ratio }}"
            " {{ im.is_portrait }} {{ im.exists }}{% endthumbnail %}{{ im }}"
        )
        url = thumb(name, "100x50", crop="center").url
        assert sorl(tag, source=name) == f"{url} {url} 100x50 100x50 100 2.0 False True"
        assert served(url).size == (100, 50)

    def test_a_tag_without_a_variable_is_the_url(self, name: str, sorl: Render) -> None:
        """And takes no end."""
        url = sorl('<img src="{% thumbnail source geometry %}">', source=name, geometry="x40")
        assert url == f'<img src="{thumb(name, "x40").url}">'

    def test_the_other_library_name_has_the_same_tags(self, name: str, sorl: Render) -> None:
        """For projects where another library is called ``thumbnail``."""
        tag = "{% load sorl_thumbnail %}{% thumbnail source '20x20' %}"
        assert sorl(tag, source=name) == thumb(name, "20x20").url

    def test_options_of_a_variable_come_in_their_order(self, name: str, sorl: Render) -> None:
        """Later ones win; the order of the others makes no difference."""
        options = {"crop": "left", "quality": 40, "upscale": True}
        first = sorl("{% thumbnail f '30x30' crop='top' options=o quality=70 %}", f=name, o=options)
        assert first == sorl(
            "{% thumbnail f '30x30' quality=70 upscale=True crop='left' %}", f=name
        )
        assert first != sorl("{% thumbnail f '30x30' options=o %}", f=name, o=options)

    def test_blocks_lie_in_each_other(self, name: str, sorl: Render) -> None:
        """Each with its own variable, which is gone after it."""
        tag = (
            "{% thumbnail f '10x10' as a %}{% thumbnail f '20x20' as b %}{{ a.x }},{{ b.x }}"
            "{% endthumbnail %}[{{ b }}]{% endthumbnail %}"
        )
        assert sorl(tag, f=name) == "10,20[]"

    @pytest.mark.parametrize("on_error", ["empty", "placeholder", "source"])
    def test_the_empty_block_is_for_no_image(
        self, on_error: str, sorl: Render, settings: Any, broken: str
    ) -> None:
        """For an empty field, a file that is gone, and one that is no image."""
        settings.IMAGEKIT_ON_ERROR = on_error
        tag = "{% thumbnail f '9x9' as im %}{{ im.url }}{% empty %}none{{ im }}{% endthumbnail %}"
        for nothing in ("", None, Plain().image, "photos/gone.jpg", broken):
            assert sorl(tag, f=nothing) == "none"

    def test_without_the_empty_block_a_failed_image_is_shown_as_everywhere(
        self, sorl: Render, settings: Any, broken: str
    ) -> None:
        """By its fallback; nothing if there is none."""
        tag = "{% thumbnail f '9x9' as im %}{{ im.url }} {{ im.x }}{% endthumbnail %}"
        settings.IMAGEKIT_ON_ERROR = "placeholder"
        assert sorl(tag, f=broken).startswith("data:image/svg+xml")
        settings.IMAGEKIT_ON_ERROR = "empty"
        assert sorl(tag, f=broken) == sorl(tag, f="") == ""

    def test_an_image_that_a_worker_is_to_make_is_no_failure(
        self, name: str, sorl: Render, settings: Any
    ) -> None:
        """Its block is shown, with the size that it will have."""
        settings.IMAGEKIT_ON_ERROR = "placeholder"
        settings.IMAGEKIT_DEFAULT_CACHEFILE_BACKEND = "tests.management.conftest.Later"
        tag = (
            "{% thumbnail f '60x40' crop='top' as im %}{{ im.x }}{% empty %}none{% endthumbnail %}"
        )
        assert sorl(tag, f=name) == "60"

    def test_errors_are_raised_where_the_settings_say_so(
        self, sorl: Render, settings: Any, broken: str
    ) -> None:
        """In place of ``THUMBNAIL_DEBUG``."""
        settings.IMAGEKIT_ON_ERROR = "raise"
        tag = "{% thumbnail f g as im %}{{ im.url }}{% empty %}none{% endthumbnail %}"
        with pytest.raises(GenerationError, match="not an image"):
            sorl(tag, f=broken, g="9x9")
        with pytest.raises(InvalidArgument, match="dimensions 'nine'"):
            sorl(tag, f=broken, g="nine")

    @pytest.mark.parametrize("value", [None, "crop", {"crop": ["left", ["top"]]}])
    def test_options_that_make_no_sense_are_told_as_other_mistakes_are(
        self, name: str, sorl: Render, settings: Any, value: object
    ) -> None:
        """Once Python's own errors ended the page."""
        tag = "{% thumbnail f '9x9' options=o as im %}{{ im.url }}{% empty %}none{% endthumbnail %}"
        settings.IMAGEKIT_ON_ERROR = "placeholder"
        assert sorl(tag, f=name, o=value) == "none"
        settings.IMAGEKIT_ON_ERROR = "raise"
        with pytest.raises(InvalidArgument, match=r"must be a dictionary|flat lists"):
            sorl(tag, f=name, o=value)

    @pytest.mark.parametrize(
        "source",
        [
            "{% thumbnail %}",
            "{% thumbnail f %}",
            "{% thumbnail f as im %}{% endthumbnail %}",
            "{% thumbnail as im %}{% endthumbnail %}",
            "{% thumbnail f '9x9' crop as im %}{% endthumbnail %}",
            "{% thumbnail f '9x9' as im %}{% thumbnail f '9x9' as im %}{% endthumbnail %}",
        ],
    )
    def test_a_tag_that_cannot_be_read_is_refused(self, source: str, sorl: Render) -> None:
        """When the template is compiled."""
        with pytest.raises(TemplateSyntaxError):
            sorl(source)

    def test_a_batch_around_many_costs_one_round_trip(
        self, sorl: Render, cache_calls: Counter[str], broken: str, settings: Any
    ) -> None:
        """Each image is shown as without the batch; one that cannot be made, by its fallback."""
        settings.IMAGEKIT_ON_ERROR = "placeholder"
        names = [store(Image.new("L", (90, 60)), f"photos/{n}.png") for n in range(20)]
        tags = (
            "{% for f in files %}{% thumbnail f '30x30' as im %}{{ im.url }} {{ im.x }}{% empty %}none"
            "{% endthumbnail %},{% endfor %}"
        )
        plain = sorl(tags, files=[*names, ""])
        batch = "{% load imagebatch from imagekit %}{% imagebatch %}" + tags + "{% endimagebatch %}"
        forget_state()
        cache_calls.clear()
        assert sorl(batch, files=[*names, ""]) == plain
        assert sum(cache_calls.values()) == 1
        assert sorl(batch, files=[broken, ""]).startswith("data:image/svg+xml")

    def test_a_warm_page_opens_nothing(self, sorl: Render, settings: Any, photos: Path) -> None:
        """Neither for the image nor for the size of its source."""
        backend = {"BACKEND": "tests.storages.CountingStorage"}
        settings.STORAGES = {**settings.STORAGES, "default": backend}
        storage = storages["default"]
        assert isinstance(storage, CountingStorage)
        name = storage.save("photos/a.jpg", content_of(photos / "rocket.jpg"))
        tag = (
            "{% thumbnail f '90x90' as im %}{{ im.url }} {{ im.x }} {{ im|margin:'99x99' }}"
            "{% endthumbnail %}{{ f|is_portrait }} {{ f|margin:'999x999' }}"
        )
        cold = sorl(tag, f=name)
        forget_state()
        storage.calls.clear()
        assert sorl(tag, f=name) == cold
        assert not storage.calls.keys() - {"url", "get_modified_time", "size"}


class TestFilters:
    """What templates ask of sizes and of texts."""

    @pytest.mark.parametrize(
        ("size", "geometry", "margin", "background"),
        [
            ((500, 500), "1000x1000", "250px 250px 250px 250px", "250px 250px"),
            ((500, 500), "800x1000", "250px 150px 250px 150px", "150px 250px"),
            ((500, 500), "500x500", "0px 0px 0px 0px", "0px 0px"),
            ((500, 500), "500x501", "0px 0px 1px 0px", "0px 0.5px"),
            ((500, 500), "503x500", "0px 2px 0px 1px", "1.5px 0px"),
            ((500, 500), "300x300", "-100px -100px -100px -100px", "-100px -100px"),
            ((200, 100), "300", "25px 50px 25px 50px", "50px 25px"),
        ],
    )
    def test_margins_centre_an_image_in_a_box(
        self, size: tuple[int, int], geometry: str, margin: str, background: str, sorl: Render
    ) -> None:
        """A source as well as a thumbnail, by width and height."""
        name = store(Image.new("L", size), "photos/grey.png")
        tag = "{{ f|margin:g }}|{{ f|background_margin:g }}"
        assert sorl(tag, f=name, g=geometry) == f"{margin}|{background}"
        same = thumb(name, f"{size[0]}x{size[1]}")
        assert sorl(tag, f=same, g=geometry) == f"{margin}|{background}"

    def test_a_number_is_taken_as_its_text_is(self, name: str, sorl: Render) -> None:
        """Templates write them without quotes, too."""
        for number, text in (
            ("f|margin:300", "f|margin:'300'"),
            ("f|background_margin:300", "f|background_margin:'300'"),
            ("im.url|resolution:2", "im.url|resolution:'2'"),
        ):
            tag = "{% thumbnail f 90 as im %}{{ A }}#{{ B }}{% endthumbnail %}"
            one, other = sorl(tag.replace("A", number).replace("B", text), f=name).split("#")
            assert one == other

    def test_portraits_are_told_as_they_are_shown(self, sorl: Render, broken: str) -> None:
        """With the camera's mark followed; what is no image is none."""
        exif = Image.Exif()
        exif[0x0112] = 6
        turned = store(Image.new("RGB", (200, 100)), "photos/turned.jpg", exif=exif)
        wide = store(Image.new("RGB", (200, 100)), "photos/wide.jpg")
        tag = "{{ f|is_portrait }}"
        found = [sorl(tag, f=each) for each in (turned, wide, "", None, "gone.jpg", broken)]
        assert found == ["True", "False", "False", "False", "False", "False"]
        assert (
            sorl("{{ f|margin:'9x9' }}", f=broken) == sorl("{{ f|margin:'9x9' }}", f="") == "auto"
        )

    def test_a_larger_image_is_made_when_it_is_asked_for(self, name: str, sorl: Render) -> None:
        """With lengths that grow with it."""
        tag = (
            '{% thumbnail f "100x60" crop="10px 50%" rounded=5 blur=1 as im %}'
            "{{ im.url|resolution:'2x' }} {{ im.url|resolution:'1.5x' }}{% endthumbnail %}"
        )
        options = {"crop": "20px 50%", "rounded": 10, "blur": 2}
        double, half = sorl(tag, f=name).split()
        assert double == thumb(name, "200x120", **options).url
        assert (served(double).size, served(half).size) == ((200, 120), (150, 90))

    def test_a_url_that_says_nothing_of_its_image_stays(self, sorl: Render) -> None:
        """Whatever is asked of it; so does one of which no number is asked."""
        assert sorl("{{ u|resolution:'2x' }}", u="/media/a.jpg") == "/media/a.jpg"
        assert sorl("{{ u|resolution:'huge' }}", u=DummyImage(9, 9).url).startswith("data:")

    def test_images_in_html_become_thumbnails(
        self, name: str, sorl: Render, settings: Any, broken: str
    ) -> None:
        """Those below ``MEDIA_URL``; what cannot be made, or is elsewhere, stays as it is."""
        settings.THUMBNAIL_FILTER_WIDTH = 50
        url = thumb(name, "50").url
        text = (
            '<img alt="A > B" src="{}"> <img class=\'x\' src=\'{}\'/> <img src="/media/{}">'
            '<img src="https://example.com/a.jpg"> <a href="/media/b.jpg">'
        )
        before = text.format(f"/media/{name}", f"/media/{name}", broken)
        after = text.format(url, url, broken)
        assert sorl("{{ t|html_thumbnails|safe }}", t=before) == after
        assert sorl("{{ t|safe|html_thumbnails }}", t=before) == after
        assert "&lt;img" in sorl("{{ t|html_thumbnails }}", t=before)

    def test_images_in_markdown_become_thumbnails(self, name: str, sorl: Render) -> None:
        """With the width that sorl-thumbnail has by default."""
        text = "![A (b)!]({}) ![]({} 'title') ![x](https://example.com/a.jpg) [y](/media/b.jpg)"
        url = thumb(name, "500").url
        before = text.format(f"/media/{name}", f"/media/{name}")
        found = sorl("{{ t|markdown_thumbnails|safe }}", t=before)
        assert found == text.format(url, url)

    def test_a_text_that_names_the_folder_of_all_media_stays(
        self, sorl: Render, settings: Any
    ) -> None:
        """Somebody has written it; so does what is no text."""
        settings.IMAGEKIT_ON_ERROR = "raise"
        for text in ('<img src="/media/">', "<img src='/media/?x=1'>", "", 5, gettext_lazy("x")):
            assert sorl("{{ t|html_thumbnails|safe }}", t=text) == str(text)
        assert sorl("{{ t|markdown_thumbnails }}", t="![x](/media/)") == "![x](/media/)"
        assert sorl("{{ t|markdown_thumbnails }}", t=None) == "None"

    def test_a_text_of_begun_images_alone_is_read_in_no_time(self, sorl: Render) -> None:
        """Once 100 KB of these took five seconds."""
        begun = time.process_time()
        assert sorl("{{ t|markdown_thumbnails }}", t="![" * 50_000) == "![" * 50_000
        assert time.process_time() - begun < 2

    def test_a_text_with_many_images_costs_one_round_trip(
        self, name: str, sorl: Render, cache_calls: Counter[str]
    ) -> None:
        """When they have been made."""
        names = [store(Image.new("L", (9, 9)), f"photos/{number}.png") for number in range(9)]
        text = "".join(f'<img src="/media/{each}">' for each in names)
        warm = sorl("{{ t|html_thumbnails }}", t=text)
        forget_state()
        cache_calls.clear()
        assert sorl("{{ t|html_thumbnails }}", t=text) == warm
        assert sum(cache_calls.values()) == 1
