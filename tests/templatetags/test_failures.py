"""What pages show when an image cannot be had."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from imagekit_registry import get_image
from imagekit_registry.cachefiles.backends import BaseAsync
from imagekit_registry.exceptions import (
    GenerationError,
    InvalidArgument,
    InvalidArgumentType,
    MissingSource,
    NotRegistered,
    PublishError,
    UnreadableImage,
)
from imagekit_registry.processors import ResizeToFit
from imagekit_registry.specs import StoredFile
from imagekit_registry.state import state_scope
from imagekit_registry.testing import forget_state
from tests.conftest import PHOTOS
from tests.pages import Banner, elements, forget_everything, registered, render, served
from tests.storages import BrokenStorage, CountingStorage


class ClientError(Exception):
    """What clients of clouds raise, which is no OSError."""


class _Later(BaseAsync):
    """A backend whose worker comes when it is called."""

    def __init__(self) -> None:
        self.scheduled: list[Any] = []

    def schedule_generation(self, file: Any, force: bool = False) -> None:
        """Put the file into the queue."""
        self.scheduled.append(file)

    def work(self) -> None:
        """Make all that is in the queue."""
        for file in self.scheduled:
            self.generate_now(file)
        self.scheduled.clear()


class Elsewhere(Banner):
    """A spec whose files lie in a storage that may break."""

    cachefile_storage = BrokenStorage()


class Waiting(Banner):
    """A spec whose files are made by a worker."""

    cachefile_backend = _Later()


class WaitingElsewhere(Elsewhere):
    """Both, with something to show meanwhile."""

    cachefile_backend = Waiting.cachefile_backend
    fallback = "placeholder"


class Trusting(Banner):
    """A spec whose files are taken to exist."""

    cachefile_strategy = "imagekit_registry.cachefiles.strategies.Optimistic"
    cachefile_storage = Elsewhere.cachefile_storage


class Broken(ResizeToFit):
    """A processor with an error."""

    def process(self, image: Any) -> Any:
        """Fail."""
        raise RuntimeError("broken")


class Failing(Banner):
    """A spec whose size depends on its source."""

    processors = [Broken(60, 60)]


@pytest.fixture(autouse=True)
def more_specs(specs: None) -> Iterator[None]:
    """Register the specs while the test runs."""
    specs_by_name = {"waiting elsewhere": WaitingElsewhere}
    with registered(elsewhere=Elsewhere, waiting=Waiting, trusting=Trusting, **specs_by_name):
        yield
    Elsewhere.cachefile_storage.failures.clear()
    Elsewhere.cachefile_storage.contents.clear()
    Waiting.cachefile_backend.scheduled.clear()


@pytest.fixture
def bad() -> str:
    """Return the name of a stored file that is no image."""
    return storages["default"].save("photos/bad.jpg", ContentFile(b"no image"))


TAGS = [
    "{% thumbnail '30x20' photo %}",
    "{% thumbnail '30x20' photo srcset='2 3' %}",
    "{% generateimage 'tests:banner' source=photo %}",
    "{% picture '30x20' photo formats='WEBP' widths='10 20' %}",
    "{% picture 'tests:banner' source=photo formats='WEBP' %}",
]


class TestOnError:
    """``IMAGEKIT_ON_ERROR``, in each tag."""

    @pytest.mark.parametrize("tag", TAGS)
    def test_a_placeholder_of_the_right_size_is_shown_on_error(
        self, tag: str, bad: str, caplog: Any
    ) -> None:
        """A neutral image of the right size, nothing else, and a line in the log."""
        html = render(tag, photo=bad)
        (img,) = elements(html)
        assert set(img) - {"loading", "decoding"} == {"src", "width", "height"}
        assert img["src"].startswith("data:image/svg+xml,")
        assert (img["width"], img["height"]) in {("30", "20"), ("120", "40")}
        assert "picture" not in html
        assert "photos/bad.jpg" in caplog.text

    @pytest.mark.parametrize("tag", TAGS)
    def test_the_source_is_shown_on_error(self, tag: str, bad: str, settings: Any) -> None:
        """The original, once, in the room of the image: nothing moves when that is there."""
        settings.IMAGEKIT_ON_ERROR = "source"
        (img,) = elements(render(tag, photo=bad))
        assert set(img) - {"decoding", "loading"} == {"src", "width", "height"}
        assert img["src"] == "/media/photos/bad.jpg"
        assert (img["width"], img["height"]) in {("30", "20"), ("120", "40")}

    @pytest.mark.parametrize("tag", TAGS)
    def test_no_element_is_shown_on_error(self, tag: str, bad: str, settings: Any) -> None:
        """No element at all: a browser would show a broken one."""
        settings.IMAGEKIT_ON_ERROR = "empty"
        assert render(f"[{tag}]", photo=bad) == "[]"

    @pytest.mark.parametrize("tag", TAGS)
    def test_what_a_callable_says_is_shown_on_error(
        self, tag: str, bad: str, settings: Any
    ) -> None:
        """What the project says; its URL is escaped like others."""
        settings.IMAGEKIT_ON_ERROR = lambda file, error: f'/no"{type(error).__name__}'
        (img,) = elements(render(tag, photo=bad))
        assert img["src"].startswith('/no"')

    @pytest.mark.parametrize("tag", TAGS)
    def test_the_error_itself_is_raised_if_the_settings_say_so(
        self, tag: str, bad: str, settings: Any
    ) -> None:
        """The error itself, with spec and source, also if several files were to be made."""
        settings.IMAGEKIT_ON_ERROR = "raise"
        with pytest.raises(UnreadableImage, match=r"'photos/bad\.jpg'"):
            render(tag, photo=bad)

    @pytest.mark.parametrize("tag", TAGS)
    def test_errors_are_raised_by_default_under_debug(
        self, tag: str, bad: str, settings: Any
    ) -> None:
        """Who develops wants to know."""
        settings.DEBUG = True
        with pytest.raises(GenerationError):
            render(tag, photo=bad)

    @pytest.mark.parametrize("tag", TAGS)
    def test_a_missing_source_shows_nothing_or_is_raised(self, tag: str, settings: Any) -> None:
        """An empty field shows no placeholder; who develops is told."""
        for nothing in (None, ""):
            assert render(f"[{tag}]", photo=nothing) == "[]"
        settings.IMAGEKIT_ON_ERROR = "raise"
        with pytest.raises(MissingSource):
            render(tag, photo=None)

    @pytest.mark.parametrize("tag", TAGS)
    @pytest.mark.parametrize(
        "source",
        [
            5,
            object(),
            ["a"],
            b"x",
            "../../etc/passwd",
            "a\0b",
            "x" * 5000,
            "%s{{ x }}",
            {"url": "x"},
        ],
        ids=lambda value: repr(value)[:20],
    )
    def test_a_source_that_is_none_breaks_no_page(self, tag: str, source: Any) -> None:
        """Whatever a variable holds."""
        for img in elements(render(tag, photo=source)):
            assert img["src"].startswith("data:image/svg+xml,")


class TestFailed:
    """An image that is known not to be had."""

    @pytest.mark.parametrize("tag", TAGS)
    def test_a_failed_image_costs_one_try_and_not_one_a_request(
        self, tag: str, tmp_path: Any, caplog: Any
    ) -> None:
        """Not even its size is looked up again, and the log has nothing more to say."""
        storage = CountingStorage(location=str(tmp_path))
        source = StoredFile(storage.save("bad.jpg", ContentFile(b"no image")), storage)
        expected = render(tag, photo=source)
        assert storage.calls["open"] > 0
        storage.calls.clear()
        caplog.clear()
        for _ in range(3):
            assert render(tag, photo=source) == expected
        assert dict(storage.calls) == {}
        assert caplog.messages == []

    @pytest.mark.parametrize("is_batch", [False, True], ids=["each", "batch"])
    @pytest.mark.parametrize("is_there", [False, True], ids=["gone", "bad"])
    def test_a_broken_source_is_one_line_of_the_log(
        self, is_batch: bool, is_there: bool, bad: str, caplog: Any
    ) -> None:
        """However many images a page shows of it; it names the source, and what to do."""
        if not is_there:
            storages["default"].delete(bad)
        page = "".join(TAGS) + "{% thumbnail '9x9' photo as im %}{{ im.url }}{{ im.width }}"
        if is_batch:
            page = "{% imagebatch %}" + page + "{% endimagebatch %}"
        with state_scope():
            html = render(page, photo=bad)
        assert len(elements(html)) == len(TAGS)
        (message,) = caplog.messages
        assert "of 'photos/bad.jpg': " in message
        with state_scope():
            render("{% thumbnail '8x8' photo %}", photo=bad)
        assert len(caplog.messages) == 2

    def test_an_image_whose_processor_fails_has_its_size_by_the_record(self, tmp_path: Any) -> None:
        """The placeholder is as large as the image would be, which the source alone can tell."""
        storage = CountingStorage(location=str(tmp_path))
        source = StoredFile(
            storage.save("good.jpg", ContentFile((PHOTOS / "rocket.jpg").read_bytes())), storage
        )
        with registered(failing=Failing):
            for _ in range(2):
                (img,) = elements(render("{% generateimage 'tests:failing' source=s %}", s=source))
                assert (img["width"], img["height"]) == ("60", "40")
                opened, storage.calls["open"] = storage.calls["open"], 0
        assert opened == 0


class TestArguments:
    """Values that only show when the page is rendered."""

    @pytest.mark.parametrize(
        ("tag", "error"),
        [
            ("{% thumbnail value photo %}", InvalidArgument),
            ("{% thumbnail photo '9x9' %}", InvalidArgument),
            ("{% thumbnail '9x9' photo srcset=value %}", InvalidArgument),
            ("{% thumbnail '9x9' photo crop=value %}", InvalidArgument),
            ("{% thumbnail '9x9' photo anchor=value %}", InvalidArgument),
            ("{% thumbnail '9x9' photo format=number %}", InvalidArgumentType),
            ("{% thumbnail sized '9x9' photo colour=value %}", InvalidArgumentType),
            ("{% thumbnail '70000x' photo %}", InvalidArgument),
            ("{% thumbnail '60000x' photo srcset='9' %}", InvalidArgument),
            ("{% generateimage spec width=9 source=photo %}", InvalidArgumentType),
            ("{% picture 'tests:banner' source=photo formats=value %}", InvalidArgument),
            ("{% picture 'tests:banner' source=photo widths=value %}", InvalidArgument),
            ("{% picture 'tests:banner' source=photo widths='0' %}", InvalidArgument),
            ("{% picture 'x9' photo layout=value %}", InvalidArgument),
            ("{% picture 'x9' photo densities='2 99' %}", InvalidArgument),
            ("{% picture 'x9' photo sources=value %}", InvalidArgument),
            ("{% picture 'x9' photo loading=value %}", InvalidArgument),
            ("{% generateimage spec source=photo quality=value %}", InvalidArgument),
            ("{% generateimage spec source=photo quality=0 %}", InvalidArgument),
            ("{% thumbnail 'x9' photo quality=0.4 %}", InvalidArgument),
            ("{% thumbnail 'x9' photo priority=value %}", InvalidArgument),
            ("{% picture spec source=photo srcset='2' %}", InvalidArgumentType),
            ("{% picture '9x9' photo formats=number %}", InvalidArgument),
        ],
    )
    def test_wrong_arguments_show_nothing_or_raise_as_the_settings_say(
        self, tag: str, error: type[Exception], name: str, settings: Any, caplog: Any
    ) -> None:
        """The page stands; the log says what is wrong, and so does an error under "raise"."""
        context = {"photo": name, "value": "junk<b>", "number": 5}
        context |= {"spec": "tests:banner", "sized": "imagekit:thumbnail"}
        with caplog.at_level(logging.WARNING, "imagekit_registry.html"):
            assert render(f"[{tag}]", **context) == "[]"
        assert len(caplog.records) == 1
        settings.IMAGEKIT_ON_ERROR = "raise"
        with pytest.raises(error) as caught:
            render(tag, **context)
        assert str(caught.value) == caplog.records[0].getMessage()

    @pytest.mark.parametrize("value", ["junk", "EPS'", "../x", "<b>"])
    def test_an_unknown_format_is_a_failure_like_others(self, value: str, name: str) -> None:
        """It leads to no file and no link of that name."""
        (img,) = elements(render("{% thumbnail '9x9' photo format=f %}", photo=name, f=value))
        assert img["src"].startswith("data:image/svg+xml,")

    @pytest.mark.parametrize("kind", ["placeholder", "raise"])
    def test_an_unknown_id_is_a_programmers_error(self, kind: str, settings: Any) -> None:
        """It is raised whatever the settings say."""
        settings.IMAGEKIT_ON_ERROR = kind
        for tag in TAGS[2:3] + ["{% thumbnail 'no' '9x9' photo %}", "{% picture 'no' %}"]:
            with pytest.raises(NotRegistered):
                render(tag.replace("tests:banner", "no"), photo="a.jpg")


class TestStorages:
    """A storage that fails."""

    @pytest.mark.parametrize("method", ["url", "exists", "save"])
    @pytest.mark.parametrize("spec", ["elsewhere", "trusting"])
    @pytest.mark.parametrize("is_warm", [True, False], ids=["warm", "cold"])
    def test_a_storage_that_fails_breaks_no_page(
        self, method: str, spec: str, is_warm: bool, name: str
    ) -> None:
        """Down, full or read-only: the page stands."""
        tag = "{% generateimage id source=photo %}{% picture id source=photo formats='WEBP' %}"
        context = {"id": f"tests:{spec}", "photo": name}
        if is_warm:
            render(tag, **context)
        else:
            forget_everything()
        Elsewhere.cachefile_storage.failures[method] = ConnectionError("down")
        html = render(tag, **context)
        assert len(elements(html)) == 2
        for source in elements(html, "source"):
            assert source["srcset"].startswith("/remote/")

    def test_an_image_without_a_url_is_a_placeholder_of_its_size(self, name: str) -> None:
        """Of the size that the image has."""
        tag = "{% generateimage 'tests:elsewhere' source=photo %}"
        render(tag, photo=name)
        Elsewhere.cachefile_storage.failures["url"] = ConnectionError("down")
        (img,) = elements(render(tag, photo=name))
        assert img["src"].startswith("data:image/svg+xml,")
        assert (img["width"], img["height"]) == ("120", "40")

    @pytest.mark.parametrize("method", ["url", "exists", "open"])
    @pytest.mark.parametrize("spec", ["elsewhere", "trusting", "waiting elsewhere"])
    @pytest.mark.parametrize("moment", ["cold", "flushed", "warm"])
    def test_a_storage_that_fails_breaks_no_page_that_looks_at_the_image_itself(
        self, method: str, spec: str, moment: str, name: str
    ) -> None:
        """Whatever the client of the storage raises: not every one has an OSError."""
        page = (
            "{% generateimage id source=photo as im %}{% if im %}{{ im.width }}x{{ im.height }}"
            " {{ im.url }}{% endif %} {{ im.url }} {{ im.height }}"
        )
        context = {"id": f"tests:{spec}", "photo": name}
        if moment != "cold":
            get_image(f"tests:{spec}", source=name).cachefile_backend.generate_now(
                get_image(f"tests:{spec}", source=name)
            )
        if moment == "flushed":
            forget_everything()
        Elsewhere.cachefile_storage.failures[method] = ClientError("down")
        html = render(page, **context)
        assert "data:image/svg+xml," in html or "/remote/CACHE/" in html
        if moment == "warm" and method != "url":
            assert "120x40 /remote/CACHE/" in html

    @pytest.mark.parametrize("method", ["open", "size"])
    def test_a_storage_that_fails_is_our_exception_where_content_is_asked_for(
        self, method: str, name: str
    ) -> None:
        """With spec, source and cause."""
        file = get_image("tests:elsewhere", source=name)
        file.generate()
        forget_everything()
        Elsewhere.cachefile_storage.failures[method] = ClientError("down")
        with pytest.raises(
            PublishError, match=r"tests:elsewhere of '.*ClientError: down"
        ) as caught:
            _ = file.size if method == "size" else file.read()
        assert isinstance(caught.value.__cause__, ClientError)

    @pytest.mark.parametrize("tag", TAGS)
    def test_a_cache_that_is_down_breaks_no_page(self, tag: str, name: str, settings: Any) -> None:
        """Images are found in their storage."""
        expected = render(tag, photo=name)
        settings.CACHES = {
            "default": {"BACKEND": "tests.templatetags.test_failures.DownCache", "LOCATION": "x"}
        }
        forget_state()
        assert render(tag, photo=name) == expected


class DownCache(LocMemCache):
    """A cache whose server is down."""

    def _fail(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("down")

    add = get = get_many = set = set_many = _fail


class TestWorkers:
    """Images that are made later, by somebody else."""

    def test_only_what_is_there_is_offered_beside_the_image(self, name: str) -> None:
        """A browser that chooses what is not there yet shows nothing, not even the ``<img>``."""
        tag = "{% picture 'tests:waiting' source=photo formats='WEBP' widths='50 100' %}"
        html = render(tag, photo=name)
        (img,) = elements(html)
        assert set(img) == {"src", "width", "height", "loading", "decoding"}
        assert (img["width"], img["height"]) == ("120", "40")
        assert elements(html, "source") == []
        Waiting.cachefile_backend.work()
        html = render(tag, photo=name)
        (source,) = elements(html, "source")
        widths = [served(part.split()[0]).width for part in source["srcset"].split(", ")]
        assert widths == [50, 100]
        assert "srcset" in elements(html)[0]
