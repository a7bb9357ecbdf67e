"""The tags in Jinja2 as statements, written as in Django's templates."""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagekit_registry.exceptions import InvalidArgument, MissingSource, NotRegistered
from tests.pages import Banner, Wide, be_fresh, elements, forget_everything, registered, render
from tests.testapp.models import Photo

jinja2 = pytest.importorskip("jinja2", reason="Jinja2 is not installed")

EXTENSION = "imagekit_registry.jinja2.ImagekitExtension"
MARKS = {
    "percent": {},
    "angle": {"block_start_string": "<%", "block_end_string": "%>"},
    "php": {
        "block_start_string": "<?",
        "block_end_string": "?>",
        "variable_start_string": "<?=",
        "variable_end_string": "?>",
    },
}

#: Each is written the same for Django and Jinja2.
TAGS = [
    "generateimage 'tests:banner' source=photo.name",
    "generateimage id source=photo.name",
    "generateimage \"tests:banner\" source=photo['name']",
    "generateimage 'tests:banner' source='photos/rocket.jpg'",
    "generateimage 'tests:banner' source=photo.name -- alt=photo.title",
    "generateimage 'tests:banner' source=photo.name -- alt='a \"b\" <c>' class=\"a b\"",
    "generateimage 'tests:banner' source=photo.name -- alt=photo.title|upper title=none hidden=yes",
    "generateimage 'tests:banner' source=photo.name -- data-x=7 data-y=1.5 data-2x='é' aria-label=\"-\"",
    "generateimage 'tests:banner' source=photo.name -- class='' for='f' is='x-img' as='image' in=4",
    "generateimage 'tests:banner' source=photo.name -- x-on:click.prevent='go()' xml:lang='en' _a='b'",
    "generateimage 'tests:banner' source=photo.name -- width=50",
    "generateimage 'tests:banner'\n  source=photo.name\n  -- alt=photo.title\n  class='a'",
    "generateimage 'tests:banner' source=photo.missing",
    "thumbnail '100x80' photo.name",
    "thumbnail size photo.name",
    "thumbnail '100x' 'photos/rocket.jpg'",
    "thumbnail 'imagekit:thumbnail' '50x40' photo.name crop=0",
    "thumbnail 'imagekit:thumbnail' '50x40' 'photos/rocket.jpg' -- alt=''",
    "thumbnail '60x80' photo.name anchor='tr' crop=1 upscale=False format='WEBP' srcset='2 3' -- alt=''",
    "thumbnail '100x80' photo.name srcset=none",
    "thumbnail '100x80' photo.name srcset=None -- loading='lazy'",
    "thumbnail '100x80' photo.name|lower closeness=50",
    "thumbnail 'junk' photo.name",
    "picture 'tests:wide' source=photo.name formats='WEBP' widths='160 320' sizes='50vw' -- alt=''",
    "picture '100x80' photo.name formats='WEBP'",
    "picture 'imagekit:thumbnail' size photo.name formats='WEBP' -- class='hero wide'",
    "picture 'tests:wide' source=photo.name layout='full' priority=1 -- alt=''",
    "picture '60x40' photo.name layout='fixed' densities='1 2' formats='WEBP' -- alt=photo.title",
    "thumbnail '60x40' photo.name layout='constrained' quality=60 -- alt=''",
    "imagepreload 'tests:wide' source=photo.name formats='WEBP'",
]


@pytest.fixture(autouse=True)
def specs() -> Iterator[None]:
    """Register the specs while the test runs."""
    with registered(banner=Banner, wide=Wide):
        yield


def make_environment(**options: Any) -> Any:
    """Return an environment with the extension."""
    return jinja2.Environment(**{"autoescape": True, "extensions": [EXTENSION], **options})


@pytest.fixture
def context(name: str) -> dict[str, Any]:
    """Return what the tags name."""
    photo = {"name": name, "title": "Rakete & <b>"}
    return {
        "photo": photo,
        "n": name,
        "id": "tests:banner",
        "size": "33x22",
        "yes": True,
        "none": None,
    }


@pytest.mark.parametrize("autoescape", [True, False], ids=["escaping", "plain"])
@pytest.mark.parametrize("marks", MARKS.values(), ids=MARKS)
@pytest.mark.parametrize("tag", TAGS)
def test_a_statement_gives_the_bytes_of_djangos_tag(
    tag: str, marks: dict[str, str], autoescape: bool, context: dict[str, Any]
) -> None:
    """However it is written, in the marks of its environment, with and without a batch."""
    expected = render(
        f"{{% {tag.replace(chr(10), ' ')} %}}".replace("['name']", ".name"), **context
    )
    assert expected or "missing" in tag or "junk" in tag
    environment = make_environment(autoescape=autoescape, **marks)
    begin, end = environment.block_start_string, environment.block_end_string
    source = f"{begin} {tag} {end}"
    assert environment.from_string(source).render(context) == expected
    assert environment.from_string(f"{begin}- {tag} -{end}").render(context) == expected
    batch = f"{begin} imagebatch {end}{source}{begin} endimagebatch {end}"
    assert environment.from_string(batch).render(context) == expected


@pytest.mark.parametrize(
    ("jinja", "django"),
    [
        ("thumbnail (9 ~ 'x9') n", "thumbnail '9x9' n"),
        ("thumbnail '9x9' photos[0]['name']", "thumbnail '9x9' photos.0.name"),
        ("thumbnail '9x9' (missing or n)", "thumbnail '9x9' n"),
        ("thumbnail '9x9' n srcset=[2, 3]", "thumbnail '9x9' n srcset='2 3'"),
        (
            "thumbnail '9x9' n -- alt=photo.title.upper()",
            "thumbnail '9x9' n -- alt=photo.title.upper",
        ),
        ("thumbnail '9x9' n -- alt=missing|default('a b')", "thumbnail '9x9' n -- alt='a b'"),
        (
            "thumbnail '9x9' n -- alt=('a' if yes else 'b') id='c'",
            "thumbnail '9x9' n -- alt='a' id='c'",
        ),
        (
            "thumbnail '9x9' n -- '@click'='go()' alt=''",
            "thumbnail '9x9' n -- @click='go()' alt=''",
        ),
    ],
)
def test_values_of_statements_are_expressions_of_jinja(
    jinja: str, django: str, context: dict[str, Any]
) -> None:
    """With its filters; in parentheses whatever it knows."""
    context["photos"] = [context["photo"]]
    expected = render(f"{{% {django} %}}", **context)
    assert make_environment().from_string(f"{{% {jinja} %}}").render(context) == expected


@pytest.mark.parametrize("begin", ["{%", "<%"])
def test_a_statement_puts_a_file_into_a_variable(begin: str, context: dict[str, Any]) -> None:
    """As it does for Django; in a loop a new one each time."""
    end = begin[::-1].replace("{", "}").replace("<", ">")
    marks = {"block_start_string": begin, "block_end_string": end}
    source = (
        "{% generateimage 'tests:banner' source=n as im %}{{ im.url }} {{ im.width }}"
        "{% for size in sizes %}{% thumbnail size n crop=0 as im %}|{{ im.url }} {{ im.width }}"
        "{% endfor %}{% thumbnail 'junk' n as no %}[{{ no }}]"
        "{% picture 'tests:wide' source=n formats='WEBP' as pic %}{{ pic.url }} {{ pic.sources|length }}"
        "{{ pic }}"
    )
    context["sizes"] = ["30x", "40x"]
    expected = render(source, **context)
    assert expected.count("/media/") > 5
    batched = f"{{% imagebatch %}}{source}{{% endimagebatch %}}"
    source = source.replace("{%", begin).replace("%}", end)
    template = make_environment(**marks).from_string(source)
    assert template.render(context) == expected
    # What pays is offered: how many bytes files have is told by the records that made them.
    forget_everything()
    expected = render(batched, **context)
    forget_everything()
    batched = batched.replace("{%", begin).replace("%}", end)
    assert make_environment(**marks).from_string(batched).render(context) == expected


@pytest.mark.parametrize("marks", [MARKS["percent"], MARKS["angle"]], ids=["percent", "angle"])
def test_statements_stand_in_macros_includes_loops_and_blocks(
    marks: dict[str, str], context: dict[str, Any]
) -> None:
    """Wherever Jinja2 has statements; a line statement is one."""
    pages = {
        "base.html": "{% block main %}{% endblock %}",
        "part.html": "{% thumbnail size n -- alt='include' %}",
        "macros.html": "{% macro show(n, size) %}{% thumbnail size n -- alt='macro' %}{% endmacro %}",
        "page.html": "{% extends 'base.html' %}{% from 'macros.html' import show %}{% block main %}"
        "{% for size in ['9x9', '8x8'] %}{% thumbnail size n -- alt='loop' %}"
        "{% include 'part.html' %}{{ show(n, size) }}{% endfor %}\n"
        "# thumbnail '7x7' n -- alt='line'\n"
        "{% raw %}{% thumbnail %}{% endraw %}{# {% thumbnail %} #}{% endblock %}",
    }
    batched = pages["page.html"].replace("block main %}", "block main %}{% imagebatch %}", 1)
    batched = batched.replace("{% endblock %}", "{% endimagebatch %}{% endblock %}")
    environment = make_environment(line_statement_prefix="#", **marks)
    begin, end = environment.block_start_string, environment.block_end_string
    environment.loader = jinja2.DictLoader(
        {
            name: page.replace("{%", begin).replace("%}", end)
            for name, page in {**pages, "batched.html": batched}.items()
        }
    )
    html = environment.get_template("page.html").render(context)
    shown = [(img["alt"], img["width"]) for img in elements(html)]
    assert shown == [
        *[(alt, width) for width in "98" for alt in ("loop", "include", "macro")],
        ("line", "7"),
    ]
    assert html.endswith(f"{begin} thumbnail {end}")
    forget_everything()
    assert environment.get_template("batched.html").render(context) == html


def test_statements_in_a_batch_cost_two_round_trips(
    context: dict[str, Any], cache_calls: Counter[str]
) -> None:
    """With functions among them, and files in variables that are used at its end.

    The second is for the other widths of a picture, which the record of its own image tells.
    """
    template = make_environment().from_string(
        "{% imagebatch %}{% for size in ['9x9', '8x8'] %}{% if size %}{% thumbnail size n %}"
        "{% endif %}{% endfor %}{% generateimage 'tests:banner' source=n as one %}"
        "{% generateimage 'tests:wide' source=n as two %}{{ thumbnail('7x7', n) }}"
        "{% picture 'tests:wide' source=n widths='60 90' %}"
        "{% imagebatch %}{% thumbnail '6x6' n %}{% endimagebatch %}"
        "{{ one.url }}{{ two.url }}{% endimagebatch %}"
    )
    expected = template.render(context)
    assert len(elements(expected)) == 5
    be_fresh()
    assert template.render(context) == expected
    assert dict(cache_calls) == {"get_many": 2}


@pytest.mark.parametrize("autoescape", [True, False])
def test_files_in_variables_of_a_loop_cost_one_round_trip(
    autoescape: bool, context: dict[str, Any], cache_calls: Counter[str]
) -> None:
    """Where their attributes are printed as they are; what is undefined stays so."""
    template = make_environment(autoescape=autoescape).from_string(
        "{% imagebatch %}{% for size in ['9x9', '8x8', '7x7'] %}{% thumbnail size n as im %}"
        "{{ im.url }} {{ im.width }}{{ im.no }}{% autoescape false %}{{ im.height }}"
        "{% endautoescape %}{{ photo.title }}{% endfor %}{% set im = photo %}{{ im.title }}"
        "{% endimagebatch %}[{{ im }}]"
    )
    title = "Rakete &amp; &lt;b&gt;" if autoescape else "Rakete & <b>"
    expected = template.render(context)
    assert expected.count(f".jpg 99{title}/media") == 1
    assert expected.endswith(f"{title}{title}[]")
    be_fresh()
    assert template.render(context) == expected
    assert dict(cache_calls) == {"get_many": 1}


@pytest.mark.parametrize(
    "body",
    [
        "{% filter upper %}{% thumbnail '9x8' n %}{% endfilter %}",
        "{% set x %}{% thumbnail '9x8' n %}{% endset %}{{ x|length }}",
        "{% macro m() %}{% thumbnail '9x8' n %}{% endmacro %}{{ m()|length }}",
        "{% call(x) wrap() %}{% thumbnail '9x8' n %}{% endcall %}",
        "{% thumbnail '9x8' n as im %}{{ im.url|length }}{{ im.url ~ '?' }}",
        "{% thumbnail '9x8' n as im %}{% set im = photo %}{{ im.title }}",
        "{% thumbnail 'junk' n as im %}{{ im.url }}",
    ],
)
def test_the_real_html_of_statements_stands_where_something_comes_between(
    body: str, context: dict[str, Any]
) -> None:
    """In filters, blocks that are kept, and macros."""
    environment = make_environment()
    context["wrap"] = lambda caller: str(len(caller(1)))
    expected = environment.from_string(body).render(context)
    batch = environment.from_string("{% imagebatch %}" + body + "{% endimagebatch %}")
    for forget in (forget_everything, be_fresh):
        forget()
        assert batch.render(context) == expected


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("thumbnail '9x9'", "takes dimensions and source, .* not: '9x9'"),
        ("thumbnail photo.size n 5 7", r"not: photo\.size, n, 5, 7"),
        ("generateimage", "takes the generator's id as unnamed arguments, not: none"),
        ("generateimage 'tests:banner' source=n n", "has 'n' after named arguments"),
        ("generateimage 'tests:banner' source=n source=n", "has 'source' twice"),
        ("generateimage 'tests:banner' source=n depth=3", "'depth', which 'tests:banner' does not"),
        ("generateimage 'tests:banner' source=n alt='x'", "HTML attributes stand after '--'"),
        ("generateimage 'tests:banner' data-x=1", "HTML attributes stand after '--'"),
        ("thumbnail '9x9' n width=5", "has 'width' by name"),
        ("thumbnail '9x9' n formats='WEBP'", "picture can have it"),
        ("thumbnail '9x9' n --", "has nothing after '--'"),
        ("thumbnail '9x9' n -- hidden", "has 'hidden' after '--': write name=value"),
        ("thumbnail '9x9' n -- hidden alt=''", "has 'hidden' after '--': write name=value"),
        ("thumbnail '9x9' n -- src='x'", "has 'src' after '--', which the tag writes itself"),
        ("thumbnail '9x9' n -- alt='' alt='x'", "has 'alt' twice after '--'"),
        ("thumbnail '9x9' n -- 'a b'='x'", "no name of an HTML attribute"),
        ("thumbnail '9x9' n as", "has nothing after 'as'"),
        ("thumbnail '9x9' n as true", "cannot be put into 'true'"),
        ("thumbnail '9x9' n as im -- alt=''", "either HTML attributes after '--' or 'as im'"),
        ("thumbnail '9' ~ 'x9' n", "has '~': put an expression like that into parentheses"),
    ],
)
@pytest.mark.parametrize("marks", [MARKS["percent"], MARKS["angle"]], ids=["percent", "angle"])
def test_a_statement_that_is_written_wrongly_is_told_with_its_place(
    tag: str, message: str, marks: dict[str, str], tmp_path: Path
) -> None:
    """When the template is loaded: what is wrong, the tag in its marks, the file and the line."""
    loader = jinja2.FileSystemLoader(tmp_path)
    environment = make_environment(loader=loader, **marks)
    begin, end = environment.block_start_string, environment.block_end_string
    (tmp_path / "page.html").write_text(f"<p>\n</p>\n{begin} {tag} {end}\n")
    with pytest.raises(jinja2.TemplateSyntaxError, match=message) as caught:
        environment.get_template("page.html")
    assert caught.value.message.startswith(f"{begin} {tag.split(maxsplit=1)[0]} {end} ")
    assert (caught.value.name, caught.value.lineno) == ("page.html", 3)
    lines = "".join(traceback.format_exception(caught.value))
    assert f'File "{tmp_path / "page.html"}", line 3' in lines


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("thumbnail size n", InvalidArgument),
        ("generateimage 'tests:no-such' source=n", NotRegistered),
        ("generateimage 'tests:no-such' source=n as im", NotRegistered),
    ],
)
def test_an_error_while_a_page_is_rendered_shows_the_line_of_the_statement(
    tag: str, kind: type[Exception], tmp_path: Path, settings: Any, name: str
) -> None:
    """In the traceback, as for any line of the template."""
    settings.IMAGEKIT_ON_ERROR = "raise"
    (tmp_path / "page.html").write_text(f"<p>\n</p>\n{{% {tag} %}}\n")
    environment = make_environment(loader=jinja2.FileSystemLoader(tmp_path))
    with pytest.raises(kind) as caught:
        environment.get_template("page.html").render(n=name, size="junk")
    lines = "".join(traceback.format_exception(caught.value))
    assert f'File "{tmp_path / "page.html"}", line 3' in lines


def test_a_statement_in_a_strict_environment_refuses_undefined_names(name: str) -> None:
    """The environment decides, as for other names."""
    environment = make_environment(undefined=jinja2.StrictUndefined)
    for tag in ("thumbnail '9x9' photo", "thumbnail '9x9' n -- alt=photo"):
        with pytest.raises(jinja2.UndefinedError, match="'photo' is undefined"):
            environment.from_string(f"{{% {tag} %}}").render(n=name)


@pytest.mark.parametrize("kind", ["async", "sandbox"])
def test_statements_work_in_other_kinds_of_environments(kind: str, context: dict[str, Any]) -> None:
    """In one that renders asynchronously, and in one for templates of strangers."""
    from jinja2.sandbox import SandboxedEnvironment

    source = "{% thumbnail '9x9' n as im %}{{ im.width }}{% imagebatch %}{% thumbnail '8x8' n %}{% endimagebatch %}"
    expected = render(source, **context)
    if kind == "async":
        template = make_environment(enable_async=True).from_string(source)
        assert asyncio.run(template.render_async(context)) == expected
    else:
        environment = SandboxedEnvironment(autoescape=True, extensions=[EXTENSION])
        assert environment.from_string(source).render(context) == expected


@pytest.mark.parametrize("on_error", ["raise", "fallback"])
@pytest.mark.parametrize(
    "tag",
    [
        "{% thumbnail '5x5' photo.original_image as im %}",
        "{% generateimage 'tests:banner' source=photo.original_image as im %}",
        "{% picture '5x5' photo.original_image as im %}",
        "{% set im = get_thumbnail('5x5', photo.original_image) %}",
        "{% set im = get_image('tests:banner', source=photo.original_image) %}",
    ],
)
def test_a_row_without_an_image_shows_nothing(tag: str, on_error: str, settings: Any) -> None:
    """As in Django's templates, where a variable may raise that there is no image."""
    settings.IMAGEKIT_ON_ERROR = on_error
    shown = "[{{ im.url }}{{ im.width }}{% if im %}-{% endif %}]"
    for source in (f"{tag}{shown}", f"{{% imagebatch %}}{tag}{shown}{{% endimagebatch %}}"):
        template = make_environment().from_string(source)
        assert template.render(photo=Photo()) == "[]"


def test_a_variable_of_nothing_is_handled_as_the_settings_say(settings: Any) -> None:
    """That is a mistake, and no row without an image."""
    template = make_environment().from_string("{% thumbnail '5x5' none as im %}[{{ im.url }}]")
    assert template.render() == "[]"
    settings.IMAGEKIT_ON_ERROR = "raise"
    with pytest.raises(MissingSource, match="that is None"):
        template.render()
