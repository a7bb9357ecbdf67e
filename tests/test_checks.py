"""System checks: mistakes are told before the first page, each with what to type instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.cache import caches
from django.core.checks import WARNING, CheckMessage, run_checks
from django.core.files.storage import FileSystemStorage

from imagekit_registry import ImageSpec, register, unregister
from imagekit_registry.checks import MESSAGES, check_all
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.registry import generator_registry, source_group_registry
from imagekit_registry.state import CacheStateStore
from tests.storages import CountingStorage
from tests.testapp.models import Photo


class Opaque:
    """A processor that holds what nobody can write down."""

    def __init__(self) -> None:
        self.callback: Callable[[Any], Any] = lambda image: image

    def process(self, image: Any) -> Any:
        return self.callback(image)


class Sorry(ImageSpec):
    """A spec whose processors depend on its source."""

    format = "JPEG"

    @property
    def processors(self) -> Any:
        return [ResizeToFill(self.source.instance.width, 100)]


class Exploding(ImageSpec):
    """A spec whose options fail in their own way."""

    def get_hash(self) -> str:
        raise RuntimeError("no digest today")


class Failing:
    """A backend that cannot be made."""

    def __init__(self) -> None:
        raise ImportError("No module named 'broker'")


def ids(messages: list[CheckMessage]) -> list[str | None]:
    return [message.id for message in messages]


def about(setting: str) -> list[CheckMessage]:
    """Return what the checks say of one setting."""
    return [message for message in check_all(None) if setting in str(message.msg)]


@pytest.fixture
def registered() -> Iterator[Callable[[str, Any], None]]:
    """Return a function that registers a generator until the end of the test."""
    known: list[str] = []

    def add(id: str, generator: Any) -> None:
        register.generator(id, generator)
        known.append(id)

    yield add
    for id in known:
        unregister.generator(id)


def spec(**attributes: Any) -> type[ImageSpec]:
    """Return a spec class with these attributes."""
    return type("Declared", (ImageSpec,), attributes)


class TestAll:
    """What holds for every check."""

    def test_checks_find_nothing_wrong_with_the_defaults(self) -> None:
        """A project that sets nothing hears nothing."""
        assert check_all(None) == []

    def test_checks_run_with_djangos_own(self) -> None:
        """`manage.py check` runs them."""
        assert run_checks(tags=["imagekit"]) == []

    def test_checks_have_ids_of_one_table(self) -> None:
        """The table is what the documentation prints; no id in the code is missing from it."""
        folder = Path(check_all.__code__.co_filename).parent
        texts = [path.read_text() for path in folder.glob("*.py")]
        texts += [path.read_text() for path in (folder.parent / "models").rglob("*.py")]
        used = {id for text in texts for id in re.findall(r"\b[EW]0\d\d\b", text)}
        assert {f"imagekit.{id}" for id in used} == set(MESSAGES)
        assert list(MESSAGES) == sorted(MESSAGES)

    def test_checks_always_say_what_to_type(self, settings: Any, registered: Any) -> None:
        """Every message has a hint."""
        settings.IMAGEKIT_DECODER = "x"
        settings.IMAGEKIT_MAX_BYTES = "much"
        registered("tests:bad", spec(format="XYZ"))
        messages = check_all(None)
        assert len(messages) == 3
        assert all(message.hint for message in messages)


class TestSettings:
    """What is said of settings."""

    @pytest.mark.parametrize(
        ("name", "value", "id", "text"),
        [
            pytest.param("SPEC_CACHEFILE_NAMER", "no.such.namer", "E005", "no.such", id="namer"),
            pytest.param("CACHEFILE_NAMER", "os.sep", "E006", "cannot be called", id="no-namer"),
            pytest.param("CACHEFILE_NAMER", 5, "E009", "dotted path of a namer", id="number"),
            pytest.param("DEFAULT_CACHEFILE_BACKEND", "a.B", "E005", "'a.B'", id="backend"),
            pytest.param(
                "DEFAULT_CACHEFILE_BACKEND", "os.path", "E006", "no cache file", id="no-backend"
            ),
            pytest.param(
                "DEFAULT_CACHEFILE_BACKEND",
                "tests.test_checks.Failing",
                "E006",
                "broker",
                id="backend-not-installed",
            ),
            pytest.param("DEFAULT_IMAGE_CACHE_BACKEND", "a.B", "E005", "'a.B'", id="old-backend"),
            pytest.param("DEFAULT_CACHEFILE_STRATEGY", "a.B", "E005", "'a.B'", id="strategy"),
            pytest.param(
                "DEFAULT_CACHEFILE_STRATEGY", "os.path", "E006", "none of the", id="no-strategy"
            ),
            pytest.param("DEFAULT_FILE_STORAGE", "defualt", "E007", "no alias", id="alias"),
            pytest.param("DEFAULT_FILE_STORAGE", "a.Storage", "E007", "'a.Sto", id="storage"),
            pytest.param("CACHE_BACKEND", "defualt", "E008", "no alias in CACHES", id="cache"),
            pytest.param("STATE_STORE", "redis", "E006", "'cache', 'database'", id="store"),
            pytest.param("STATE_STORE", "a.Store", "E005", "a.Store", id="store-path"),
            pytest.param("STATE_STORE", "os.sep", "E006", "get_many", id="no-store"),
            pytest.param("ON_ERROR", "ignore", "E009", "'ignore'", id="on-error"),
            pytest.param("ON_ERROR", "a.b", "E005", "'a.b'", id="on-error-path"),
            pytest.param("ON_ERROR", "os.sep", "E006", "called", id="on-error-no-function"),
            pytest.param("DECODER", "magick", "E010", "magick", id="decoder"),
            pytest.param("DECODER", "no.such.Decoder", "E010", "no.such", id="decoder's path"),
            pytest.param("DECODER", "io.BytesIO", "E010", "is no decoder", id="no decoder"),
            pytest.param("DEFAULT_THUMBNAIL_FORMAT", "XYZ", "E011", "XYZ", id="format"),
            pytest.param("FORMAT_OPTIONS", {"XYZ": {}}, "E011", "XYZ", id="options-format"),
            pytest.param(
                "FORMAT_OPTIONS", {"JPEG": {"quality": "x"}}, "E012", "quality", id="options"
            ),
            pytest.param("FORMAT_OPTIONS", ["JPEG"], "E009", "a dict", id="options-list"),
            pytest.param("FORMAT_OPTIONS", {"JPEG": 80}, "E009", "a dict", id="options-number"),
            pytest.param("CACHEFILE_DIR", "../up", "E009", "relative", id="folder-above"),
            pytest.param("CACHEFILE_DIR", "/var/cache", "E009", "relative", id="folder-absolute"),
            pytest.param("CACHEFILE_DIR", "", "E009", "folder", id="folder-empty"),
            pytest.param("LOCAL_STATE_TTL", -1, "E009", "0 or more", id="negative"),
            pytest.param("LOCAL_STATE_TTL", None, "E009", "a number", id="none"),
            pytest.param("LOCK_TIMEOUT", 0, "E009", "more than 0", id="zero"),
            pytest.param("MAX_PIXELS", "100", "E009", "or None", id="text"),
            pytest.param("MAX_SECONDS", 0, "E009", "more than 0, or None", id="no time"),
            pytest.param("MAX_FRAMES", True, "E009", "a number", id="true"),
            pytest.param("USE_MEMCACHED_SAFE_CACHE_KEY", "yes", "E009", "True or False", id="bool"),
            pytest.param("QUEUE", "", "E009", "a name, or None", id="queue"),
            pytest.param("DEFAULT_CACHEFILE_BACKEND", object(), "E009", "dotted path", id="object"),
            pytest.param("CACHE_PREFIX", None, "E009", "a string", id="prefix"),
            pytest.param("ALLOWED_FORMATS", "JPEG", "E009", "a list", id="formats"),
            pytest.param("DEFAULT_THUMBNAIL_SRCSET_SCALES", [0], "E009", "above 0", id="scales"),
        ],
    )
    def test_settings_that_cannot_work_are_errors(
        self, settings: Any, name: str, value: Any, id: str, text: str
    ) -> None:
        """Each mistake has its id, names the setting and the value, and raises nothing."""
        setattr(settings, f"IMAGEKIT_{name}", value)
        (message,) = about(f"IMAGEKIT_{name}")
        assert message.id == f"imagekit.{id}"
        assert text in str(message.msg)
        assert message.hint

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            pytest.param("MAX_PIXELS", None, id="no limit"),
            pytest.param("MAX_SECONDS", 2.5, id="parts of a second"),
            pytest.param("LOCAL_STATE_TTL", 0, id="off"),
            pytest.param("ON_ERROR", lambda file, error: "", id="function"),
            pytest.param("ON_ERROR", "os.path.join", id="path of a function"),
            pytest.param("DEFAULT_THUMBNAIL_SRCSET_SCALES", (1.5, 2), id="scales"),
            pytest.param("ALLOWED_FORMATS", ["JPEG"], id="formats"),
            pytest.param("STATE_STORE", "database", id="store"),
            pytest.param("FORMAT_OPTIONS", {"jpeg": {"quality": 70}}, id="options"),
            pytest.param(
                "DEFAULT_FILE_STORAGE", "django.core.files.storage.FileSystemStorage", id="storage"
            ),
        ],
    )
    def test_settings_that_work_are_not_mentioned(
        self, settings: Any, name: str, value: Any
    ) -> None:
        """What is allowed passes."""
        setattr(settings, f"IMAGEKIT_{name}", value)
        assert check_all(None) == []

    def test_settings_with_a_slip_of_the_pen_are_told(self, settings: Any) -> None:
        """A setting that does not exist has no effect; the nearest name is the hint."""
        settings.IMAGEKIT_CACHEFILES_DIR = "thumbs"
        (message,) = check_all(None)
        assert message.id == "imagekit.W001"
        assert "IMAGEKIT_CACHEFILE_DIR" in str(message.hint)

    def test_settings_of_a_cache_that_forgets_are_warned_of(self, settings: Any) -> None:
        """A dummy cache remembers nothing, unless the state is kept elsewhere."""
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
        assert ids(check_all(None)) == ["imagekit.W002"]
        settings.IMAGEKIT_STATE_STORE = "database"
        assert check_all(None) == []


class TestSpecs:
    """What is said of registered specs."""

    @pytest.mark.parametrize(
        ("attributes", "id", "text"),
        [
            pytest.param({"format": "XYZ"}, "E011", "format='XYZ'", id="format"),
            pytest.param(
                {"format": "JPEG", "options": {"quality": "very"}}, "E012", "quality", id="options"
            ),
            pytest.param({"options": {"quality": "very"}}, "E012", "quality", id="options-alone"),
            pytest.param({"options": "fast"}, "E012", "'fast'", id="options-text"),
            pytest.param({"processors": [Opaque()]}, "E013", "canonical", id="digest"),
            pytest.param({"processors": [ResizeToFill]}, "E014", "class", id="class"),
            pytest.param({"processors": [42]}, "E014", "no processor", id="no-processor"),
            pytest.param({"processors": 42}, "E016", "processors=42", id="no-list"),
            pytest.param({"cachefile_storage": "defualt"}, "E015", "'defualt'", id="storage"),
            pytest.param({"cachefile_backend": "a.B"}, "E015", "'a.B'", id="backend"),
            pytest.param({"cachefile_strategy": "a.B"}, "E015", "'a.B'", id="strategy"),
            pytest.param(
                {"cachefile_strategy": {"on_source_saved": 1}}, "E015", "called", id="dict"
            ),
            pytest.param({"namer": "a.b"}, "E015", "'a.b'", id="namer"),
            pytest.param({"namer": 5}, "E015", "called", id="no-namer"),
            pytest.param({"color": "p3"}, "E016", "color", id="color"),
            pytest.param({"metadata": "all"}, "E016", "metadata", id="metadata"),
            pytest.param({"limits": 5}, "E016", "limits=5", id="limits"),
            pytest.param({"fallback": "nothing"}, "E016", "'nothing'", id="fallback"),
            pytest.param({"fallback": "a.b"}, "E016", "'a.b'", id="fallback-path"),
        ],
    )
    def test_specs_that_cannot_work_are_errors(
        self, registered: Any, attributes: dict[str, Any], id: str, text: str
    ) -> None:
        """Each mistake has its id, names the spec and the class."""
        cls = spec(**attributes)
        registered("tests:bad", cls)
        (message,) = check_all(None)
        assert message.id == f"imagekit.{id}"
        assert "'tests:bad'" in str(message.msg)
        assert text in str(message.msg)
        assert message.hint
        assert message.obj is cls

    def test_specs_without_a_digest_hear_what_to_add(self, registered: Any) -> None:
        """A processor whose state cannot be written down is told to say what it is."""
        registered("tests:bad", spec(processors=[Opaque()]))
        (message,) = check_all(None)
        assert "digest_state()" in str(message.hint)

    def test_specs_that_need_their_source_are_passed_over(self, registered: Any) -> None:
        """A property that reads the source is no mistake."""
        registered("tests:sorry", Sorry)
        registered("tests:function", lambda source: Sorry(source))
        registered("tests:exploding", Exploding)
        assert check_all(None) == []

    def test_checks_of_specs_open_no_source(self, registered: Any, tmp_path: Path) -> None:
        """Checks run before every command, and must cost nothing."""
        storage = CountingStorage(location=str(tmp_path))
        registered("tests:fine", spec(cachefile_storage=storage, format="PNG"))
        assert check_all(None) == []
        assert not storage.calls

    def test_specs_with_a_broken_class_do_not_end_the_checks(self, registered: Any) -> None:
        """What a check stumbles over is an error as well, and the others are still told."""

        class Rude:
            @property
            def process(self) -> Any:
                raise RuntimeError("not today")

        registered("tests:rude", spec(processors=[Rude()]))
        registered("tests:bad", spec(format="XYZ"))
        assert sorted(map(str, ids(check_all(None)))) == ["imagekit.E011", "imagekit.E018"]

    def test_specs_whose_storage_fails_when_it_is_asked_are_errors(self, registered: Any) -> None:
        """The storage is the project's code."""

        class Rude(FileSystemStorage):
            @property
            def open(self) -> Any:
                raise RuntimeError("not today")

        registered("tests:rude", spec(cachefile_storage=Rude()))
        (message,) = check_all(None)
        assert message.id == "imagekit.E015"
        assert "not today" in str(message.msg)

    def test_specs_that_are_fed_must_be_registered(self) -> None:
        """A source group for an id that nobody has would fail when an image is saved."""
        group: Any = object()
        register.source_group("imagekit:thumbnial", group)
        try:
            (message,) = check_all(None)
        finally:
            unregister.source_group("imagekit:thumbnial", group)
        assert message.id == "imagekit.E017"
        assert "imagekit:thumbnail" in str(message.hint)
        assert source_group_registry.groups_of("imagekit:thumbnial") == []


class TestFields:
    """Spec fields are asked, which Django does not do: they are no columns."""

    def test_spec_fields_are_asked_themselves(self) -> None:
        """A field whose spec has gone is told of once, however many models inherit it."""
        id = str(Photo.thumbnail.spec_id)
        registered = generator_registry.lookup(id)
        unregister.generator(id)
        try:
            messages = check_all(None)
        finally:
            register.generator(id, registered)
        assert {"imagekit.E001", "imagekit.E017"} == set(ids(messages))
        assert any(message.obj is Photo.thumbnail for message in messages)
        assert len({str(message.msg) for message in messages}) == len(messages)

    def test_spec_fields_of_other_apps_are_left_alone(self) -> None:
        """`manage.py check APP` looks at the fields of that app."""
        id = str(Photo.thumbnail.spec_id)
        registered = generator_registry.lookup(id)
        unregister.generator(id)
        try:
            messages = check_all([apps.get_app_config("auth")])
        finally:
            register.generator(id, registered)
        assert ids(messages) == ["imagekit.E017"]


class Checked(CacheStateStore):
    """A state store that has something to say of itself."""

    def __init__(self) -> None:
        super().__init__(caches["default"])

    def check(self) -> list[CheckMessage]:
        return [CheckMessage(WARNING, "It is full.", hint="Empty it.", id="tests.W001")]


class TestParts:
    """Backends, the state store and the decoder check themselves."""

    def test_a_state_store_with_a_check_is_asked(self, settings: Any) -> None:
        """What it returns is told as it is."""
        settings.IMAGEKIT_STATE_STORE = "tests.test_checks.Checked"
        assert ids(check_all(None)) == ["tests.W001"]


class TestQueues:
    """Queues of backends."""

    @pytest.fixture
    def use(self, settings: Any) -> Callable[[str], None]:
        """Return a function that chooses the backend of the project."""

        def choose(name: str) -> None:
            settings.IMAGEKIT_DEFAULT_CACHEFILE_BACKEND = (
                f"imagekit_registry.cachefiles.backends.{name}"
            )

        return choose

    def test_queues_of_rq_that_unpickle_are_errors(self, use: Any, settings: Any) -> None:
        """RQ's default serializer is pickle; the hint says what to write where."""
        use("RQ")
        settings.RQ_QUEUES = {"default": {}, "images": {"SERIALIZER": "json"}}
        (message,) = check_all(None)
        assert message.id == "imagekit.E019"
        assert "rq.serializers.JSONSerializer" in str(message.hint)
        settings.IMAGEKIT_QUEUE = "images"
        assert check_all(None) == []

    def test_queues_of_rq_must_be_there(self, use: Any, settings: Any) -> None:
        """The message names those that are."""
        use("RQ")
        settings.RQ_QUEUES = {"mail": {}}
        (message,) = check_all(None)
        assert (message.id, "'mail'" in str(message.hint)) == ("imagekit.E019", True)

    def test_queues_of_celery_must_accept_json(self, use: Any, monkeypatch: Any) -> None:
        """Messages are JSON."""
        from celery import current_app

        use("Celery")
        assert check_all(None) == []
        monkeypatch.setitem(current_app.conf, "accept_content", ["pickle"])
        assert ids(check_all(None)) == ["imagekit.E019"]

    def test_queues_of_dramatiq_must_not_pickle(self, use: Any) -> None:
        """An encoder of Dramatiq's does."""
        import dramatiq

        use("Dramatiq")
        before = dramatiq.get_encoder()
        assert check_all(None) == []
        dramatiq.set_encoder(dramatiq.PickleEncoder())
        try:
            assert ids(check_all(None)) == ["imagekit.E019"]
        finally:
            dramatiq.set_encoder(before)

    def test_queues_of_tasks_must_be_there(self, use: Any, settings: Any) -> None:
        """``TASKS`` lists the queues of each alias."""
        use("Tasks")
        assert check_all(None) == []
        settings.IMAGEKIT_QUEUE = "images"
        assert ids(check_all(None)) == ["imagekit.E019"]

    def test_queues_of_specs_are_checked(self, registered: Any, settings: Any) -> None:
        """A spec may have a backend of its own."""
        settings.RQ_QUEUES = {}
        backend = "imagekit_registry.cachefiles.backends.RQ"
        registered("tests:own", spec(cachefile_backend=backend))
        assert ids(check_all(None)) == ["imagekit.E019"]
