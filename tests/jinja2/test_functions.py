"""The tags in Jinja2."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.exceptions import InvalidArgument, InvalidArgumentType, NotRegistered
from tests.pages import Banner, Wide, be_fresh, elements, forget_everything, registered, render

jinja2 = pytest.importorskip("jinja2", reason="Jinja2 is not installed")

EXTENSION = "imagekit_registry.jinja2.ImagekitExtension"


@pytest.fixture(autouse=True)
def specs() -> Iterator[None]:
    """Register the specs while the test runs."""
    with registered(banner=Banner, wide=Wide):
        yield


@pytest.fixture
def environment() -> Any:
    """Return an environment with the extension."""
    return jinja2.Environment(autoescape=True, extensions=[EXTENSION])


class TestFunctions:
    """The tags of Django's templates, as functions."""

    def test_functions_show_the_same_html_as_tags(self, environment: Any, name: str) -> None:
        """As the tags of Django's templates."""
        jinja = environment.from_string(
            "{{ generateimage('tests:banner', source=name, html={'alt': '<b>'}) }}"
            "{{ thumbnail('100x', name, srcset='2') }}"
            "{{ picture('tests:wide', source=name, formats='WEBP', widths='100 200') }}"
        )
        django = (
            "{% generateimage 'tests:banner' source=name -- alt='<b>' %}"
            "{% thumbnail '100x' name srcset='2' %}"
            "{% picture 'tests:wide' source=name formats='WEBP' widths='100 200' %}"
        )
        assert elements(jinja.render(name=name)) == elements(render(django, name=name))

    def test_a_function_gives_cache_files(self, environment: Any, name: str) -> None:
        """For elements of one's own."""
        template = environment.from_string("{{ get_image('tests:banner', source=name).width }}")
        assert template.render(name=name) == "120"

    def test_functions_give_cache_files_of_thumbnails(self, environment: Any, name: str) -> None:
        """With the arguments of the function that shows them."""
        template = environment.from_string(
            "{% set im = get_thumbnail('100x', photo, format='PNG') %}{{ im.url }} {{ im.width }}"
        )
        assert template.render(photo=name).endswith(".png 100")

    def test_functions_take_a_generators_id_first(self, environment: Any, name: str) -> None:
        """As the tags do."""
        template = environment.from_string(
            "{{ thumbnail('imagekit:thumbnail', '50x40', photo) }}"
            "{{ picture('imagekit:thumbnail', '50x40', photo, formats='WEBP') }}"
            "{{ picture('50x40', photo, formats='WEBP') }}"
            "{{ thumbnail('50x40', photo, id='imagekit:thumbnail') }}"
        )
        sizes = [(img["width"], img["height"]) for img in elements(template.render(photo=name))]
        assert sizes == [("50", "40")] * 4

    @pytest.mark.parametrize("autoescape", [True, False])
    def test_functions_are_safe_whatever_the_environment_escapes(
        self, autoescape: bool, name: str
    ) -> None:
        """Attributes are escaped, elements are not."""
        environment = jinja2.Environment(autoescape=autoescape, extensions=[EXTENSION])
        template = environment.from_string(
            "{{ thumbnail('9x9', photo, html={'alt': text}) }}{{ text }}"
        )
        html = template.render(photo=name, text='"><b>')
        (img,) = elements(html)
        assert img["alt"] == '"><b>'
        assert html.endswith("&#34;&gt;&lt;b&gt;" if autoescape else '"><b>')

    @pytest.mark.parametrize(
        "call",
        [
            "thumbnail('9x9', missing.image)",
            "generateimage('tests:banner', source=nothing)",
            "thumbnail('junk', photo)",
            "thumbnail('9x9', photo, srcset=junk)",
            "picture('9x9', photo, formats='XYZ')",
            "picture('tests:banner', source=nothing)",
            "get_thumbnail('junk', photo) or ''",
        ],
    )
    def test_functions_show_nothing_for_what_cannot_be_shown(
        self, call: str, environment: Any, name: str
    ) -> None:
        """An empty field, an undefined name, a size from a query string."""
        template = environment.from_string("[{{ " + call + " }}]")
        assert template.render(photo=name, missing={}, junk="<>") == "[]"

    def test_an_undefined_source_is_an_error_in_a_strict_environment(self) -> None:
        """The environment decides, as for other names."""
        environment = jinja2.Environment(undefined=jinja2.StrictUndefined, extensions=[EXTENSION])
        with pytest.raises(jinja2.UndefinedError, match="'photo' is undefined"):
            environment.from_string("{{ thumbnail('9x9', photo) }}").render()

    def test_mistakes_in_calls_of_functions_are_told(
        self, environment: Any, name: str, settings: Any
    ) -> None:
        """By name, in words that say what to write."""
        with pytest.raises(InvalidArgumentType, match=r"thumbnail\(\) takes dimensions and source"):
            environment.from_string("{{ thumbnail('9x9') }}").render()
        with pytest.raises(InvalidArgumentType, match=r"picture\(\) takes the spec's id, or dimen"):
            environment.from_string("{{ picture() }}").render()
        with pytest.raises(NotRegistered, match="'tests:no'"):
            environment.from_string("{{ generateimage('tests:no') }}").render()
        for html in ("'class=a'", "[('class', 'a')]"):
            with pytest.raises(InvalidArgumentType, match=r"thumbnail\(\) takes a dict .* as html"):
                environment.from_string("{{ thumbnail('9x9', n, html=" + html + ") }}").render(
                    n=name
                )
        with pytest.raises(InvalidArgumentType, match=r"thumbnail\(\) has 'formats'.*picture can"):
            environment.from_string("{{ thumbnail('9x9', n, formats='WEBP') }}").render(n=name)
        with pytest.raises(InvalidArgumentType, match=r"get_image\(\) has 'srcset'.*thumbnail"):
            environment.from_string("{{ get_image('tests:banner', srcset='2') }}").render()
        settings.IMAGEKIT_ON_ERROR = "raise"
        with pytest.raises(InvalidArgumentType, match="'width' of a thumbnail is given by name"):
            environment.from_string("{{ thumbnail('9x9', n, width=5) }}").render(n=name)
        with pytest.raises(InvalidArgument, match="no name of an HTML attribute"):
            environment.from_string("{{ thumbnail('9x9', n, html={'a b': 1}) }}").render(n=name)


class TestBatches:
    """``{% imagebatch %}``."""

    def test_batches_cost_one_round_trip(
        self, environment: Any, name: str, cache_calls: Counter[str]
    ) -> None:
        """As in Django's templates."""
        template = environment.from_string(
            "{% imagebatch %}{% for width in widths %}{{ thumbnail(width ~ 'x', name) }}"
            "{% endfor %}{% endimagebatch %}"
        )
        expected = template.render(name=name, widths=[10, 20, 30])
        assert len(elements(expected)) == 3
        be_fresh()
        assert template.render(name=name, widths=[10, 20, 30]) == expected
        assert dict(cache_calls) == {"get_many": 1}

    def test_functions_take_part_in_a_batch_where_nothing_comes_between(
        self, environment: Any, name: str, cache_calls: Counter[str]
    ) -> None:
        """Loops, conditions and scopes; a batch directly in another one."""
        template = environment.from_string(
            "{% imagebatch %}{{ thumbnail('9x9', n) }}{% for i in [1, 2] %}{% if i == 1 %}"
            "{{ thumbnail('8x8', n) }}{% elif i == 2 %}{{ thumbnail('7x7', n) }}{% endif %}"
            "{% else %}-{% endfor %}{% with m = n %}{{ thumbnail('6x6', m) }}{% endwith %}"
            "{% imagebatch %}{{ generateimage('tests:banner', source=n) }}{% endimagebatch %}"
            "{% autoescape false %}{{ picture('5x5', n, formats='WEBP') }}{% endautoescape %}"
            "{% endimagebatch %}"
        )
        expected = template.render(n=name)
        assert len(elements(expected)) == 6
        be_fresh()
        assert template.render(n=name) == expected
        # How wide the picture's image is, only its record says: in which widths it is offered is next.
        assert dict(cache_calls) == {"get_many": 2}

    @pytest.mark.parametrize(
        "body",
        [
            "{{ thumbnail('9x8', n)|upper }}",
            "{{ thumbnail('9x8', n)|length }}",
            "{{ thumbnail('9x8', n) ~ 'x' }}",
            "{% filter upper %}{{ thumbnail('9x8', n) }}{% endfilter %}",
            "{% set x %}{{ thumbnail('9x8', n) }}{% endset %}{{ x|length }}",
            "{% set x = thumbnail('9x8', n) %}{{ x|length }}",
            "{% macro m() %}{{ thumbnail('9x8', n) }}{% endmacro %}{{ m()|length }}",
            "{% filter upper %}{% imagebatch %}{{ thumbnail('9x8', n) }}{% endimagebatch %}{% endfilter %}",
            "{% for a in [['x']] recursive %}{% if a is string %}{{ thumbnail('9x8', n) }}{% else %}{{ loop(a)|length }}{% endif %}{% endfor %}",
            "{% set thumbnail = lower %}{{ thumbnail('A') }}",
        ],
    )
    def test_the_real_html_stands_where_something_comes_between(
        self, body: str, environment: Any, name: str
    ) -> None:
        """In filters, blocks that are kept, macros, and under a name that means something else."""
        context = {"n": name, "lower": str.lower}
        forget_everything()
        plain = body.replace("{% imagebatch %}", "").replace("{% endimagebatch %}", "")
        expected = environment.from_string(plain).render(context)
        batch = environment.from_string("{% imagebatch %}" + body + "{% endimagebatch %}")
        forget_everything()
        assert batch.render(context) == expected
        be_fresh()
        assert batch.render(context) == expected
        assert "\ue000" not in expected

    @pytest.mark.parametrize(
        "source",
        [
            "{% macro card() %}<[{{ caller() }}]>{% endmacro %}{% call card() %}<b>{% endcall %}",
            "{% macro card() %}<{{ varargs|length }}{{ kwargs }}>{% endmacro %}{{ card(1, 2, a=3) }}",
            "{% macro card() %}<<{{ varargs }}>>{% endmacro %}{{ card(n) }}",
            "{% macro card() %}<{{ kwargs }}>{% endmacro %}<{{ card(a=n) }}>",
            "<{{ kwargs }}>",
        ],
    )
    def test_a_batch_in_a_macro_has_what_the_macro_is_given(
        self, source: str, environment: Any, name: str
    ) -> None:
        """Its caller, and the arguments that it does not name."""
        in_batch = source.replace("<b>", "B").replace(
            "<", "{% imagebatch %}{{ thumbnail('9x9', n) }}"
        )
        expected = source.replace("<b>", "B").replace("<", "{{ thumbnail('9x9', n) }}")
        html = environment.from_string(in_batch.replace(">", "{% endimagebatch %}")).render(n=name)
        assert html == environment.from_string(expected.replace(">", "")).render(n=name)

    def test_a_function_of_the_project_by_the_name_of_a_tag_is_called_as_outside_of_a_batch(
        self, environment: Any
    ) -> None:
        """With the context, if it asks for that."""
        environment.globals["picture"] = jinja2.pass_context(lambda c, x: f"{x} {c['z']}")
        source = "{{ picture('<a>') }}"
        batch = f"{{% imagebatch %}}{source}{{% endimagebatch %}}"
        found = [environment.from_string(each).render(z=1) for each in (source, batch)]
        assert found == ["&lt;a&gt; 1"] * 2

    def test_batches_work_in_an_environment_that_renders_asynchronously(self, name: str) -> None:
        """Such a page is rendered in pieces: there each image fetches its own state."""
        environment = jinja2.Environment(autoescape=True, enable_async=True, extensions=[EXTENSION])
        template = environment.from_string(
            "{% imagebatch %}{% for w in widths %}{{ thumbnail(w ~ 'x', n) }}{% endfor %}"
            "{% endimagebatch %}"
        )
        html = asyncio.run(template.render_async(n=name, widths=[10, 20]))
        assert [img["width"] for img in elements(html)] == ["10", "20"]

    def test_a_batch_of_django_keeps_out_of_a_page_of_jinja(
        self, environment: Any, name: str
    ) -> None:
        """What another engine makes of the HTML is not known."""
        template = environment.from_string("{{ thumbnail('9x8', n)|length }}")

        class Page:
            def __str__(self) -> str:
                return str(template.render(n=name))

        expected = str(Page())
        forget_everything()
        assert render("{% imagebatch %}{{ page }}{% endimagebatch %}", page=Page()) == expected


def test_get_image_gives_a_cache_file_to_other_functions(environment: Any, name: str) -> None:
    """For whatever takes one."""
    found: list[Any] = []
    environment.globals["keep"] = found.append
    environment.from_string("{{ keep(get_image('tests:banner', source=n)) }}").render(n=name)
    assert isinstance(found[0], ImageCacheFile)
