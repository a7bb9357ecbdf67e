"""What tags say of mistakes, and what they show of nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.template import TemplateSyntaxError

from imagekit_registry.exceptions import (
    InvalidArgument,
    InvalidArgumentType,
    MissingSource,
    NotRegistered,
    SourceNotFound,
)
from tests.pages import Banner, elements, registered, render
from tests.testapp.models import Photo


class TestMistakes:
    """Misuse is told by tag and argument, when the template is compiled."""

    @pytest.mark.parametrize(
        ("tag", "message"),
        [
            ("{% thumbnail '100x100' %}", r"thumbnail.*dimensions and source.*not: '100x100'"),
            ("{% thumbnail 'a' '1x1' img 'x' %}", r"thumbnail.*dimensions and source"),
            ("{% thumbnail '100x100' img -- %}", r"thumbnail.*nothing after '--'"),
            ("{% thumbnail '1x1' img -- alt='a' as th %}", r"thumbnail.*'as th'"),
            ("{% thumbnail '1x1' img -- 'alt' %}", r"thumbnail.*after '--'.*name=value"),
            ("{% thumbnail '1x1' img -- a=1 a=2 %}", r"thumbnail.*'a' twice after '--'"),
            ("{% thumbnail '1x1' img crop=1 crop=0 %}", r"thumbnail.*'crop' twice"),
            ("{% thumbnail '1x1' crop=1 img %}", r"thumbnail.*'img' after named arguments"),
            ("{% generateimage %}", r"generateimage.*the generator's id.*not: none"),
            ("{% generateimage 'a' 'b' %}", r"generateimage.*the generator's id"),
            ("{% thumbnail '1x1' img -- on'x=1 %}", r"thumbnail.*\"on'x=1\" after '--'"),
            (
                "{% thumbnail '1x1' img -- a/b=1 %}",
                r"thumbnail.*'a/b' after '--'.*no name of an HTML",
            ),
            ("{% thumbnail '1x1' img -- Src='x' %}", r"thumbnail.*'src' after '--'"),
            ("{% thumbnail '1x1' img source=img %}", r"thumbnail.*'source' by name"),
            ("{% thumbnail '1x1' img width=5 %}", r"thumbnail.*'width' by name"),
            ("{% thumbnail '1x1' img as %}", r"thumbnail.*nothing after 'as'"),
            ("{% thumbnail '1x1' img as a.b %}", r"thumbnail.*into 'a\.b'.*name of a variable"),
            ("{% thumbnail '1x1' img as 'x' %}", r"thumbnail.*name of a variable"),
            ("{% generateimage 'a' id='b' %}", r"generateimage.*'id' by name"),
            ("{% generateimage 'a' source=img -- alt %}", r"generateimage.*'alt' after '--'"),
            ("{% picture %}", r"picture.*the spec's id.*not: none"),
            ("{% generateimage 'a' p.image %}", r"Name the source: source=p\.image\."),
            (
                "{% thumbnail '1x1' source=p.image %}",
                r"has no name here: write p\.image after the dimensions",
            ),
            (
                "{% picture 'tests:banner' p.image %}",
                r"in place of dimensions\. Write: 'tests:banner' source=p\.image\.",
            ),
            (
                "{% thumbnail 'tests:banner' p.image %}",
                r"in place of dimensions\. Write: 'tests:banner' '100x100' p\.image\.",
            ),
            (
                "{% generateimage 'tests:banner' source=img class='a' %}",
                r"'class', which 'tests:banner' does not take.*attributes stand after '--'",
            ),
            (
                "{% generateimage 'a' source=img data-x=1 %}",
                r"'data-x' before '--': HTML attributes stand after '--'",
            ),
            (
                "{% generateimage 'tests:banner' source=img formats='WEBP' %}",
                r"generateimage %} has 'formats', which 'tests:banner' does not take. picture can",
            ),
            (
                "{% generateimage 'tests:banner' source=img srcset='2' %}",
                r"generateimage.*'srcset'.*thumbnail can have it",
            ),
            (
                "{% thumbnail '1x1' img formats='WEBP' as im %}",
                r"thumbnail.*'formats'.*picture can",
            ),
            (
                "{% thumbnail 'tests:banner' '1x1' img sources='1' %}",
                r"thumbnail.*'tests:banner'.*picture can have it",
            ),
            ("{% thumbnail '1x1' img crpo=1 %}", r"thumbnail.*'crpo'.*Perhaps 'crop' is meant"),
            ("{% picture 'tests:banner' sorce=img %}", r"picture.*'sorce'.*Perhaps 'source'"),
            ("{% picture '1x1' img width='1' %}", r"picture.*'width' by name"),
            ("{% picture 'tests:banner' source=img srcset='2' %}", r"picture.*'srcset'.*thumbnail"),
            (
                "{% thumbnail '1x1' img alt='x' %}",
                r"thumbnail.*'alt'.*It takes anchor, closeness, crop, decoding, densities, format",
            ),
            (
                "{% thumbnail '1x1' img loading='lazy' as im %}",
                r"thumbnail %} has 'loading', which is of an element: write that yourself",
            ),
            (
                "{% generateimage 'tests:banner' source=img widths='9' priority=1 as im %}",
                r"generateimage %} has 'priority', 'widths', which is of an element",
            ),
            ("{% picture '9x9' img height=5 %}", r"picture.*'height' by name"),
            ("{% imagebatch 1 %}{% endimagebatch %}", r"imagebatch"),
        ],
    )
    def test_misuse_of_a_tag_is_a_template_error(self, tag: str, message: str) -> None:
        """The message says what to write."""
        with pytest.raises(TemplateSyntaxError, match=message):
            render(tag)

    @pytest.mark.parametrize(
        "tag",
        [
            "{% generateimage 'tests:any' source=name widths=1 alt=2 %}",
            "{% generateimage variable source=name %}",
            "{% picture '9x9' name srcset='2' formats='WEBP' %}",
            "{% thumbnail variable '9x9' name crop=1 %}",
        ],
    )
    def test_what_a_generator_takes_is_no_misuse(self, tag: str, name: str) -> None:
        """Some take anything; which one a variable names is known when the page is rendered."""

        class Anything(Banner):
            def __init__(self, source: Any = None, **options: Any) -> None:
                super().__init__(source)

        with registered(any=Anything):
            assert len(elements(render(tag, name=name, variable="tests:any"))) == 1

    def test_an_unknown_id_is_a_programmers_error(self, name: str) -> None:
        """It is raised whatever the settings say."""
        with pytest.raises(NotRegistered, match="Did you mean 'tests:banner'"):
            render("{% generateimage 'tests:baner' source=name %}", name=name)

    def test_a_file_is_no_id(self, name: str) -> None:
        """Where its dimensions or its generator's id are forgotten."""
        for tag in ("generateimage", "picture"):
            with pytest.raises(NotRegistered, match=r"r\.jpg.* is no id.*the image as source="):
                render(f"{{% {tag} photo.original_image %}}", photo=Photo(original_image="r.jpg"))

    def test_an_image_that_is_made_takes_attributes_behind_the_dashes(
        self, name: str, settings: Any
    ) -> None:
        """What stands before them is for generators."""
        settings.IMAGEKIT_ON_ERROR = "raise"
        photo = Photo(original_image=name)
        for tag in ("generateimage", "picture"):
            with pytest.raises(InvalidArgumentType, match=r"takes no class\..*stand after '--'"):
                render(f"{{% {tag} photo.thumbnail class='a' %}}", photo=photo)

    def test_an_image_of_another_site_is_told_from_a_lost_file(self, settings: Any) -> None:
        """It was never there."""
        settings.IMAGEKIT_ON_ERROR = "raise"
        url = "https://example.com/a.jpg"
        with pytest.raises(SourceNotFound, match="Images of other sites are not fetched"):
            render("{% thumbnail '9x9' url %}", url=url)
        with pytest.raises(SourceNotFound, match="Restore the file"):
            render("{% thumbnail '9x9' 'lost.jpg' %}")

    @pytest.mark.django_db
    @pytest.mark.parametrize("on_error", ["raise", "placeholder"])
    @pytest.mark.parametrize(
        "tag",
        [
            "{% generateimage 'tests:banner' source=photo.original_image -- alt='x' %}",
            "{% thumbnail '9x9' photo.original_image srcset='2' %}",
            "{% picture 'tests:banner' source=photo.original_image formats='WEBP' widths='9 19' %}",
            "{% picture '9x9' photo.original_image formats='WEBP' %}",
            "{% thumbnail '9x9' photo.original_image as im %}{{ im.url }}",
            "{% imagebatch %}{% thumbnail '9x9' photo.original_image %}{% endimagebatch %}",
            "{{ photo.thumbnail.url }}",
        ],
    )
    def test_an_empty_image_field_shows_nothing_whoever_looks(
        self, tag: str, on_error: str, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A row may have no image: neither an error while one develops, nor a line in the log."""
        settings.IMAGEKIT_ON_ERROR = on_error
        assert render(f"[{tag}]", photo=Photo()) == "[]"
        assert caplog.records == []

    def test_no_source_shows_nothing(self, settings: Any) -> None:
        """A name that stands for nothing is no error of the page; a developer wants to see it."""
        assert render("a{% generateimage 'tests:banner' source=none %}b", none=None) == "ab"
        assert render("{% thumbnail '9x9' none as im %}{{ im.url }}", none=None) == ""
        settings.IMAGEKIT_ON_ERROR = "raise"
        with pytest.raises(
            MissingSource, match=r"no source: that is None.*by a variable that there is"
        ):
            render("{% generateimage 'tests:banner' source=none %}", none=None)

    @pytest.mark.parametrize(
        "attribute", ['a"b', "a>b", "on/click", "a'b", "a=b"], ids=lambda text: repr(text)
    )
    def test_an_attribute_name_cannot_inject(self, attribute: str, name: str) -> None:
        """A name that is none is refused."""
        from imagekit_registry.html import build_attributes

        with pytest.raises(InvalidArgument, match="no name of an HTML attribute"):
            build_attributes({attribute: "x"})

    @pytest.mark.parametrize(
        "text", ["{{ secret }}", "{% load x %}", "%(secret)s", "{0.__class__}", '"><script>']
    )
    def test_text_of_users_is_never_evaluated(self, text: str, name: str) -> None:
        """Neither as a template nor as a format string, and it is escaped."""
        html = render(
            "{% generateimage 'tests:banner' source=name -- alt=text %}",
            name=name,
            text=text,
            secret="swordfish",
        )
        (img,) = elements(html)
        assert img["alt"] == text
        assert "swordfish" not in html
