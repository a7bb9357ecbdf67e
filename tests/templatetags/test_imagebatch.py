"""`{% imagebatch %}`: many tags, one round trip."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import django
import pytest
from django.core.cache import caches
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.template import Context, Engine, Library, Node, Template, TemplateDoesNotExist, engines
from django.template.defaulttags import WithNode

from imagekit_registry.cachefiles import ImageCacheFile
from imagekit_registry.cachefiles.backends import BaseAsync
from imagekit_registry.exceptions import NotRegistered, UnreadableImage
from imagekit_registry.html import active_batch
from imagekit_registry.specs import StoredFile
from imagekit_registry.state import state_scope
from imagekit_registry.testing import forget_state
from tests.pages import be_fresh, elements, forget_everything, render
from tests.storages import CountingStorage, StrictStorage
from tests.testapp.models import Concrete, ConcreteChild, Photo

BATCH = (
    "{% imagebatch %}{% for name in names %}{% if name %}"
    "{% thumbnail '30x20' name %}{% include inner %}{% endif %}{% endfor %}{% endimagebatch %}"
)


class TestBatches:
    """``{% imagebatch %}``."""

    def test_a_batch_costs_one_round_trip_in_a_fresh_process(
        self, names: list[str], cache_calls: Counter[str]
    ) -> None:
        """However many tags are in it, in loops and included templates."""
        inner = Template("{% load imagekit %}{% thumbnail '20x20' name srcset='2' %}")
        expected = render(BATCH, names=names, inner=inner)
        assert len(elements(expected)) == 20
        be_fresh()
        assert render(BATCH, names=names, inner=inner) == expected
        assert dict(cache_calls) == {"get_many": 1}

    def test_a_batch_costs_nothing_in_a_process_that_knows_its_images(
        self, names: list[str], cache_calls: Counter[str]
    ) -> None:
        """A warm page, with and without a batch."""
        inner = Template("")
        expected = render(BATCH, names=names, inner=inner)
        cache_calls.clear()
        assert render(BATCH, names=names, inner=inner) == expected
        plain = BATCH.replace("{% imagebatch %}", "").replace("{% endimagebatch %}", "")
        assert render(plain, names=names, inner=inner) == expected
        assert dict(cache_calls) == {}

    def test_a_batch_shows_the_same_as_without(self, names: list[str]) -> None:
        """Whatever lies around and between the tags."""
        body = (
            "{% load cache %}{% for name in names %}{% filter upper %}"
            "{% thumbnail '30x20' name %}{% endfilter %}"
            "{% cache 60 part name %}{% thumbnail '20x30' name %}{% endcache %}"
            "{% imagebatch %}{% thumbnail '10x10' name -- alt='{}' %}{% endimagebatch %}"
            "{% with other=name %}{% spaceless %} {% thumbnail '9x9' other %} {% endspaceless %}"
            "{% endwith %}{% endfor %}"
        )
        plain = render(
            body.replace("{% imagebatch %}", "").replace("{% endimagebatch %}", ""), names=names
        )
        caches["default"].clear()
        forget_state()
        batch = render("{% imagebatch %}" + body + "{% endimagebatch %}", names=names)
        assert batch == plain
        assert render("{% imagebatch %}" + body + "{% endimagebatch %}", names=names) == plain

    def test_a_cached_fragment_holds_the_real_thing(self, names: list[str]) -> None:
        """Also one in an included template, and a batch within a fragment."""
        inner = Template(
            "{% load imagekit cache %}{% cache 60 deep name %}{% imagebatch %}"
            "{% thumbnail '21x21' name %}{% endimagebatch %}{% endcache %}"
        )
        for _ in range(2):
            forget_state()
            html = render(
                "{% imagebatch %}{% for name in names %}{% include inner %}{% endfor %}"
                "{% endimagebatch %}",
                names=names,
                inner=inner,
            )
            assert len(elements(html)) == 10
            assert not re.search("[\ue000-\uf8ff]", html)

    def test_a_batch_works_in_templates_that_extend_others(
        self, names: list[str], cache_calls: Counter[str]
    ) -> None:
        """The batch in the base, the tags in the block."""
        base = Template(
            "{% load imagekit %}{% imagebatch %}{% block body %}{% endblock %}{% endimagebatch %}"
        )
        page = Template(
            "{% extends base %}{% load imagekit %}{% block body %}"
            "{% for name in names %}{% thumbnail '30x20' name %}{% endfor %}{% endblock %}"
        )
        expected = page.render(Context({"names": names, "base": base}))
        be_fresh()
        assert page.render(Context({"names": names, "base": base})) == expected
        assert dict(cache_calls) == {"get_many": 1}

    def test_a_batch_ends_with_an_exception(self, names: list[str]) -> None:
        """What comes after it is not held back."""
        with pytest.raises(ZeroDivisionError):
            render(
                "{% imagebatch %}{% thumbnail '30x20' names.0 %}{{ boom.now }}{% endimagebatch %}",
                names=names,
                boom=_Boom(),
            )
        assert elements(render("{% thumbnail '30x21' names.0 %}", names=names))

    def test_a_batch_works_outside_of_a_request_and_without_memory(
        self, names: list[str], cache_calls: Counter[str], settings: Any
    ) -> None:
        """With the process's memory off, a batch still costs one round trip."""
        settings.IMAGEKIT_LOCAL_STATE_TTL = 0
        expected = render(BATCH, names=names, inner=Template(""))
        cache_calls.clear()
        with state_scope():
            assert render(BATCH, names=names, inner=Template("")) == expected
        assert dict(cache_calls) == {"get_many": 1}


def _compare(body: str, **context: Any) -> str:
    """Render *body* in a batch and without one, each as a process that knows nothing.

    Returns:
        The page, which must be the same, without marks, and the same again when all is known.
    """
    forget_everything()
    plain = render(body, **context)
    batch = "{% imagebatch %}" + body + "{% endimagebatch %}"
    forget_everything()
    assert render(batch, **context) == plain
    be_fresh()
    assert render(batch, **context) == plain
    assert render(batch, **context) == plain
    assert not re.search("[\ue000-\uf8ff]", plain)
    return plain


class _CountingNode(Node):
    """A tag of another app, which does with its content what it likes."""

    def __init__(self, nodelist: Any) -> None:
        self.nodelist = nodelist

    def render(self, context: Context) -> str:
        return str(len(self.nodelist.render(context)))


class _KeepingWith(WithNode):
    """A tag of another app that derives from one of Django's."""

    def render(self, context: Context) -> str:
        return super().render(context).upper()


def _library() -> Library:
    library = Library()

    @library.tag
    def lengthof(parser: Any, token: Any) -> Node:
        nodelist = parser.parse(["endlengthof"])
        parser.delete_first_token()
        return _CountingNode(nodelist)

    @library.tag
    def upperwith(parser: Any, token: Any) -> Node:
        nodelist = parser.parse(["endupperwith"])
        parser.delete_first_token()
        return _KeepingWith(None, None, nodelist, extra_context={})

    return library


class TestCaptured:
    """Where something comes between a tag and the page, the real HTML stands."""

    @pytest.mark.parametrize(
        "body",
        [
            "{% for x in 'ab' %}{% ifchanged %}{% thumbnail '9x8' names.0 %}{% endifchanged %}{% endfor %}",
            "{% filter cut:'e' %}{% thumbnail '9x8' names.0 %}{% endfilter %}",
            "{% spaceless %}<p> {% thumbnail '9x8' names.0 %} </p>{% endspaceless %}",
            "{% spaceless %}{% include inner with n=names.3 %}{% endspaceless %}",
            "{% cache 60 a %}{% for n in names %}{% include inner %}{% endfor %}{% endcache %}",
            "{% cache 60 b %}{% imagebatch %}{% include inner with n=names.4 %}{% endimagebatch %}{% endcache %}",
            "{% autoescape off %}{% thumbnail '9x8' names.0 %}{{ '<b>' }}{% endautoescape %}",
            "{% with a=names.0 %}{% if a %}{% thumbnail '9x8' a %}{% else %}no{% endif %}{% endwith %}",
            "{% for n in nothing %}{% empty %}{% thumbnail '9x8' names.0 %}{% endfor %}",
            "{% include inner only %}{% include inner with n=names.1 only %}",
            "{% include choice %}",
        ],
    )
    def test_tags_that_capture_a_batch_show_the_same_as_without(
        self, body: str, names: list[str]
    ) -> None:
        """In every tag of Django's that keeps, compares or changes what it contains."""
        inner = Template("{% load imagekit %} {% thumbnail '7x7' n %}")
        choice = engines["django"].from_string("{% load imagekit %}{% thumbnail '6x7' names.2 %}")
        html = _compare(
            "{% load cache %}" + body, names=names, nothing=[], inner=inner, choice=choice
        )
        assert html

    def test_tags_of_other_apps_get_the_real_html(self, names: list[str]) -> None:
        """Also those that derive from a tag that is known to pass on what it contains."""
        engine = Engine(libraries={"imagekit": "imagekit_registry.templatetags.imagekit"})
        engine.template_libraries["others"] = _library()
        source = (
            "{% load imagekit others %}{% imagebatch %}"
            "{% lengthof %}{% thumbnail '9x7' names.0 %}{% endlengthof %}"
            "{% upperwith %}{% thumbnail '9x8' names.0 %}{% endupperwith %}{% endimagebatch %}"
        )
        context = {"names": names}
        plain = re.sub("{% (end)?imagebatch %}", "", source)
        expected = engine.from_string(plain).render(Context(context))
        assert "<IMG " in expected
        forget_everything()
        assert engine.from_string(source).render(Context(context)) == expected

    def test_a_filter_of_the_block_above_sees_the_real_html(self, names: list[str]) -> None:
        """``{{ block.super }}`` is a variable like others."""
        base = Template(
            "{% load imagekit %}{% imagebatch %}{% block a %}{% thumbnail '9x8' names.0 %}"
            "{% block b %}{% thumbnail '7x8' names.1 %}{% endblock %}{% endblock %}"
            "{% endimagebatch %}"
        )
        page = Template(
            "{% extends base %}{% load imagekit %}{% block a %}{{ block.super|length }}"
            "{{ block.super }}{% thumbnail '8x8' names.2 %}{% endblock %}"
            "{% block b %}{{ block.super }}{% thumbnail '6x6' names.3 %}{% endblock %}"
        )
        context = {"base": base, "names": names}
        expected = page.render(Context(context))
        assert len(elements(expected)) == 4
        forget_everything()
        assert page.render(Context(context)) == expected


class TestVariables:
    """Files that tags in a batch put into variables."""

    LOOP = (
        "{% imagebatch %}{% for n in names %}{% thumbnail '9x8' n as im %}"
        "{{ im.url }} {{ im.width|add:'1' }} {{ im.missing|default:'-' }}{% endfor %}{% endimagebatch %}"
    )

    def test_variables_printed_in_a_loop_cost_one_round_trip(
        self, names: list[str], cache_calls: Counter[str]
    ) -> None:
        """What is printed of them waits, too."""
        expected = render(self.LOOP, names=names)
        assert expected.count(" 10 -") == 10
        be_fresh()
        assert render(self.LOOP, names=names) == expected
        assert dict(cache_calls) == {"get_many": 1}

    def test_variables_used_later_cost_one_round_trip(
        self, names: list[str], cache_calls: Counter[str]
    ) -> None:
        """The first use of one fetches the state of all."""
        body = (
            "{% imagebatch %}{% thumbnail '9x8' names.0 as a %}{% thumbnail '9x8' names.1 as b %}"
            "{% if a %}{% with width=b.width %}{{ width }}{% endwith %}{{ a.url|add:b.url }}{% endif %}"
            "{% endimagebatch %}{{ b.height }}"
        )
        expected = render(body, names=names)
        assert expected.startswith("9/media/")
        assert expected.endswith("8")
        be_fresh()
        assert render(body, names=names) == expected
        assert dict(cache_calls) == {"get_many": 1}

    ROWS = (
        "{% imagebatch %}{% for row in rows %}{{ row.thumbnail.url }} {{ row.banner.width }}"
        "{{ row.thumbnail.height|add:'1' }}{{ row.title.url }}{% endfor %}{% endimagebatch %}"
    )

    def test_fields_of_rows_cost_one_round_trip_and_one_decode_of_each_source(
        self,
        db: None,
        stored_photo: Any,
        cache_calls: Counter[str],
        decodes: list[object],
    ) -> None:
        """What a template asks of spec fields waits for the others, and is made together."""
        names = [stored_photo(name=f"photos/{number}.jpg") for number in range(3)]

        made = render(self.ROWS, rows=[Photo(original_image=name) for name in names])
        assert len(decodes) == 3
        be_fresh()
        cache_calls.clear()
        shown = render(self.ROWS, rows=[Photo(original_image=name) for name in names])

        assert made == shown
        assert shown.count("30051") == 3
        assert shown.count("/media/CACHE/") == 3
        assert dict(cache_calls) == {"get_many": 1}

    def test_fields_of_related_rows_wait_if_these_are_there(
        self, db: None, stored_photo: Any, cache_calls: Counter[str], django_assert_num_queries: Any
    ) -> None:
        """No query is made earlier than the template makes it."""
        body = (
            "{% imagebatch %}{% for row in rows %}{{ row.concrete_ptr.small.url }} "
            "{{ row.album.small.url|default:'-' }}{% endfor %}{% endimagebatch %}"
        )
        parents = [Concrete.objects.create(image=stored_photo(name=f"{n}.jpg")) for n in range(3)]
        rows = [ConcreteChild(concrete_ptr=parent) for parent in parents]
        expected = render(body, rows=rows)
        assert expected.count("/media/CACHE/images/") == expected.count("-") == 3
        be_fresh()
        rows = [ConcreteChild(concrete_ptr=Concrete(image=parent.image)) for parent in parents]
        with django_assert_num_queries(0):
            assert render(body, rows=rows) == expected
        assert dict(cache_calls) == {"get_many": 1}

    def test_variables_of_a_batch_are_cache_files(self, names: list[str]) -> None:
        """For whatever takes one."""
        forget_everything()
        context = Context({"names": names})
        Template(
            "{% load imagekit %}{% imagebatch %}{% thumbnail '9x8' names.0 as a %}{% endimagebatch %}"
        ).render(context)
        # The variable of the outermost scope outlives the batch.
        assert isinstance(context["a"], ImageCacheFile)
        assert context["a"].width == 9

    @pytest.mark.parametrize(
        "body",
        [
            "{% thumbnail '9x8' n as im %}{% if im %}{{ im.url }}{% endif %}",
            "{% thumbnail '9x8' n as im %}{{ im.url|add:im.name }}{{ im }}",
            "{% thumbnail 'junk' n as im %}{{ im.url }}[{{ im }}]",
            "{% thumbnail '9x8' nothing as im %}{{ im.url }}{{ im.width }}",
            "{% thumbnail '9x8' n as im %}{% filter upper %}{{ im.url }}{% endfilter %}",
        ],
    )
    def test_variables_of_a_batch_show_the_same_as_without(
        self, body: str, names: list[str]
    ) -> None:
        """In conditions, with filters, and if there is none."""
        _compare("{% for n in names %}" + body + "{% endfor %}", names=names, nothing=None)


class TestEngine:
    """Templates of an engine, found by name."""

    @pytest.fixture
    def engine(self) -> Engine:
        """Return an engine with a template in each of two folders."""
        templates = {
            "shop/page.html": "{% load imagekit %}{% imagebatch %}{% for n in names %}"
            "{% include './card.html' %}{% include cards %}{% endfor %}{% endimagebatch %}",
            "shop/card.html": "{% load imagekit %}{% thumbnail '9x8' n %}",
            "other.html": "{% load imagekit %}{% thumbnail '8x9' n %}{% if deep %}"
            "{% include 'other.html' with deep=0 %}{% endif %}",
        }
        return Engine(
            libraries={"imagekit": "imagekit_registry.templatetags.imagekit"},
            loaders=[("django.template.loaders.locmem.Loader", templates)],
            debug=True,
        )

    def test_templates_are_included_by_name_and_by_list(
        self, engine: Engine, names: list[str], cache_calls: Counter[str]
    ) -> None:
        """Relative names, the first of a list that exists, and a template within itself."""
        context = {"names": names, "cards": ["no.html", "other.html"], "deep": 1}
        page = engine.get_template("shop/page.html")
        expected = page.render(Context(context))
        assert len(elements(expected)) == 30
        be_fresh()
        assert page.render(Context(context)) == expected
        assert dict(cache_calls) == {"get_many": 1}

    def test_errors_say_where_they_are(self, engine: Engine) -> None:
        """The debug page shows the tag, also in a batch."""
        with pytest.raises(NotRegistered) as caught:
            engine.from_string(
                "{% load imagekit %}{% imagebatch %}{% for x in 'a' %}"
                "{% generateimage 'tests:no' %}{% endfor %}{% endimagebatch %}"
            ).render(Context())
        debug: Any = caught.value
        assert debug.template_debug["during"] == "{% generateimage 'tests:no' %}"

    def test_a_missing_template_is_an_error_as_ever(self, engine: Engine) -> None:
        """A batch hides nothing."""
        with pytest.raises(TemplateDoesNotExist, match=r"no\.html"):
            engine.from_string(
                "{% load imagekit %}{% imagebatch %}{% include 'no.html' %}{% endimagebatch %}"
            ).render(Context())

    @pytest.mark.skipif(django.VERSION < (6, 0), reason="Django has partials since 6.0")
    def test_partials_take_part_in_a_batch(
        self, engine: Engine, names: list[str], cache_calls: Counter[str]
    ) -> None:
        """Those of the template, also where they are defined."""
        page = engine.from_string(
            "{% load imagekit %}{% imagebatch %}{% partialdef card inline %}"
            "{% thumbnail '9x8' names.0 %}{% endpartialdef %}"
            "{% for n in names %}{% partial card %}{% endfor %}{% endimagebatch %}"
        )
        expected = page.render(Context({"names": names}))
        assert len(elements(expected)) == 11
        be_fresh()
        assert page.render(Context({"names": names})) == expected
        assert dict(cache_calls) == {"get_many": 1}

    def test_a_template_is_rendered_by_many_threads(self, engine: Engine, names: list[str]) -> None:
        """Each has a batch of its own."""
        page = engine.get_template("shop/page.html")
        context = {"names": names[:3], "cards": ["other.html"]}
        expected = page.render(Context(context))
        forget_everything()
        with ThreadPoolExecutor(8) as pool:
            pages = list(pool.map(lambda _: page.render(Context(context)), range(16)))
        assert set(pages) == {expected}


class Worker(BaseAsync):
    """A backend whose workers never come to it."""

    told: ClassVar[list[int]] = []

    def schedule_together(self, files: Any, force: bool = False) -> None:
        """Take note of how many there are."""
        Worker.told.append(len(files))


class TestMaking:
    """Images that a page in a batch has to make."""

    def test_images_of_a_batch_are_made_of_one_decode_of_each_source(
        self, photos: Path, tmp_path: Path
    ) -> None:
        """However many tags show the same source."""
        storage = StrictStorage(location=str(tmp_path / "sources"))
        storage.save("a.jpg", ContentFile((photos / "rocket.jpg").read_bytes()))
        source = StoredFile("a.jpg", storage)
        html = render(
            "{% imagebatch %}{% thumbnail '30x20' photo %}{% thumbnail '60x40' photo srcset='2' %}"
            "{% generateimage 'tests:wide' source=photo %}{% endimagebatch %}",
            photo=source,
        )
        assert len(elements(html)) == 3
        assert storage.calls["open"] == 1
        storage.assert_clean()

    def test_a_bad_image_in_a_batch_leaves_the_others(
        self, names: list[str], settings: Any
    ) -> None:
        """It is shown as without a batch; under "raise" its own error is raised."""
        bad = storages["default"].save("bad.jpg", ContentFile(b"no image"))
        body = "{% for n in names %}{% thumbnail '30x20' n %}{% endfor %}"
        html = _compare(body, names=[names[0], bad, names[1]])
        sources = [img["src"].partition(":")[0] for img in elements(html)]
        assert [source == "data" for source in sources] == [False, True, False]
        settings.IMAGEKIT_ON_ERROR = "raise"
        forget_everything()
        with pytest.raises(UnreadableImage, match=r"'bad\.jpg'"):
            render("{% imagebatch %}" + body + "{% endimagebatch %}", names=[names[0], bad])
        # What was going on is over: the next page is not part of that batch.
        assert active_batch() is None
        assert elements(render("{% thumbnail '30x21' n %}", n=names[0]))

    def test_images_that_workers_make_are_looked_for_once(
        self, stored_photo: Any, settings: Any
    ) -> None:
        """By the page that hands them over; while they are pending pages ask no storage."""
        path = f"{CountingStorage.__module__}.{CountingStorage.__qualname__}"
        settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": path}}
        settings.IMAGEKIT_DEFAULT_CACHEFILE_BACKEND = f"{__name__}.Worker"
        names = [stored_photo(), stored_photo()]
        Worker.told.clear()
        calls: Counter[str] = storages["default"].calls  # type: ignore[attr-defined]
        for fresh in (True, False):
            calls.clear()
            text = "{% thumbnail '30x20' name %}{% thumbnail '40x20' name %}"
            page = f"{{% imagebatch %}}{{% for name in names %}}{text}{{% endfor %}}{{% endimagebatch %}}"
            assert len(elements(render(page, names=names))) == 4
            assert calls["exists"] == (4 if fresh else 0)
        assert Worker.told == [2, 2]


class _Boom:
    @property
    def now(self) -> str:
        raise ZeroDivisionError
