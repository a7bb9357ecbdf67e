"""System checks: mistakes are told before the first page, each with what to type instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.checks import WARNING, CheckMessage, run_checks
from django.core.signals import request_started
from django.db import connection
from django.test import Client

from imagekit_registry.checks import check_all, log_errors
from imagekit_registry.exceptions import InvalidConfiguration
from imagekit_registry.state import CacheStateStore
from tests.checks.conftest import ids, spec
from tests.pages import render


class Failing:
    """A backend that cannot be made."""

    def __init__(self) -> None:
        raise ImportError("No module named 'broker'")


def about(setting: str) -> list[CheckMessage]:
    """Return what the checks say of one setting."""
    return [message for message in check_all(None) if setting in str(message.msg)]


class TestAll:
    """What holds for every check."""

    def test_checks_find_nothing_wrong_with_the_defaults(self) -> None:
        """A project that sets nothing hears nothing."""
        assert check_all(None) == []

    def test_checks_run_with_djangos_own(self) -> None:
        """`manage.py check` runs them."""
        assert run_checks(tags=["imagekit"]) == []

    def test_checks_always_say_what_to_type(self, settings: Any, registered: Any) -> None:
        """Every message has a hint."""
        settings.IMAGEKIT_DECODER = "x"
        settings.IMAGEKIT_MAX_BYTES = "much"
        registered("tests:bad", spec(format="XYZ"))
        messages = check_all(None)
        assert len(messages) == 3
        assert all(message.hint for message in messages)


class TestServers:
    """What servers hear, which run no checks."""

    @pytest.mark.parametrize(
        ("name", "value", "text"),
        [
            ("CACHE_BACKEND", "defualt", "IMAGEKIT_CACHE_BACKEND is 'defualt': it is no alias"),
            ("DEFAULT_FILE_STORAGE", "s3", "IMAGEKIT_DEFAULT_FILE_STORAGE is 's3': There is no"),
            ("DEFAULT_CACHEFILE_BACKEND", "a.B", "IMAGEKIT_DEFAULT_CACHEFILE_BACKEND is 'a.B'"),
            ("LOCK_WAIT", None, "IMAGEKIT_LOCK_WAIT is None; it must be a number"),
        ],
    )
    def test_errors_in_settings_are_logged_at_the_first_request_of_a_process(
        self, settings: Any, client: Client, caplog: Any, name: str, value: Any, text: str
    ) -> None:
        """Once, with the name of the setting, what is wrong with it and what to write."""
        setattr(settings, f"IMAGEKIT_{name}", value)
        request_started.connect(log_errors, dispatch_uid="imagekit_registry.log_errors")
        for _ in range(2):
            client.get("/")
        (record,) = [each for each in caplog.records if each.name == "imagekit_registry.checks"]
        assert record.levelname == "ERROR"
        assert text in record.getMessage()
        assert f"Write IMAGEKIT_{name} = " in record.getMessage()

    def test_settings_that_work_are_not_logged(self, client: Client, caplog: Any) -> None:
        """Nor is what is silenced."""
        request_started.connect(log_errors, dispatch_uid="imagekit_registry.log_errors")
        client.get("/")
        assert [each for each in caplog.records if each.name == "imagekit_registry.checks"] == []

    @pytest.mark.parametrize("alias", ["s3", "broken"])
    def test_a_page_names_the_setting_of_a_storage_that_is_not_there(
        self, settings: Any, name: str, alias: str
    ) -> None:
        """Or that cannot be made: its own error is told."""
        settings.STORAGES = {**settings.STORAGES, "broken": {"BACKEND": "no.such.Storage"}}
        settings.IMAGEKIT_DEFAULT_FILE_STORAGE = alias
        with pytest.raises(InvalidConfiguration) as caught:
            render("{% thumbnail '9x9' name %}", name=name)
        assert f"IMAGEKIT_DEFAULT_FILE_STORAGE is {alias!r}" in str(caught.value)
        assert ("no.such" in str(caught.value)) == (alias == "broken")
        assert "'default', 'staticfiles'" in str(caught.value)


class TestSettings:
    """What is said of settings."""

    @pytest.mark.parametrize(
        ("name", "value", "id", "text"),
        [
            pytest.param("SPEC_CACHEFILE_NAMER", "no.such.namer", "E005", "no.such", id="namer"),
            pytest.param("CACHEFILE_NAMER", "os.sep", "E006", "cannot be called", id="no-namer"),
            pytest.param("PICTURE", {"layout": "wide"}, "E009", "'wide'", id="layout"),
            pytest.param("PICTURE", ["full"], "E009", "a dict", id="picture"),
            pytest.param("IMG", "lazy", "E009", "a dict", id="img"),
            pytest.param("IMG", {"src": "a.jpg"}, "E009", "beside 'src'", id="img's source"),
            pytest.param("IMG", {"a b": "x"}, "E009", "a dict of attributes", id="img's name"),
            pytest.param("ALT", True, "E009", "'require'", id="alt"),
            pytest.param("WIDTH_STEP", 1, "E009", "more than 1", id="step"),
            pytest.param("SERVING", {"MODE": "fast"}, "E009", "'MODE' is one of", id="mode"),
            pytest.param("SERVING", {"MODES": 1}, "E009", "none but these keys", id="no-option"),
            pytest.param("SERVING", {"WAITING": -1}, "E009", "'WAITING' is a", id="waiting"),
            pytest.param("SERVING", {"PERMISSION": "no.such"}, "E005", "no.such", id="permission"),
            pytest.param("WIDTHS", [320, "640"], "E009", "whole numbers", id="widths"),
            pytest.param("CACHEFILE_NAMER", 5, "E009", "dotted path of a namer", id="number"),
            pytest.param("DEFAULT_CACHEFILE_BACKEND", "a.B", "E005", "'a.B'", id="backend"),
            pytest.param(
                "DEFAULT_CACHEFILE_BACKEND", "os.path", "E006", "no cache file", id="no-backend"
            ),
            pytest.param(
                "DEFAULT_CACHEFILE_BACKEND",
                "tests.checks.test_settings.Failing",
                "E006",
                "broker",
                id="backend-not-installed",
            ),
            pytest.param("DEFAULT_IMAGE_CACHE_BACKEND", "a.B", "E005", "'a.B'", id="old-backend"),
            pytest.param("DEFAULT_CACHEFILE_STRATEGY", "a.B", "E005", "'a.B'", id="strategy"),
            pytest.param(
                "DEFAULT_CACHEFILE_STRATEGY", "os.path", "E006", "none of the", id="no-strategy"
            ),
            pytest.param(
                "DEFAULT_FILE_STORAGE", "defualt", "E007", "STORAGES, which has", id="alias"
            ),
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
            pytest.param("RESIZER", "magick", "E010", "auto, pillow, simd", id="resizer"),
            pytest.param("RESIZER", "no.such.Resizer", "E010", "no.such", id="resizer's path"),
            pytest.param("RESIZER", "io.BytesIO", "E010", "is no resizer", id="no resizer"),
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
            pytest.param("MAX_MISSING", 10, "E009", "from 0 to 1", id="percents"),
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
        """Each mistake has its id, names setting and value once, and raises nothing."""
        setattr(settings, f"IMAGEKIT_{name}", value)
        (message,) = about(f"IMAGEKIT_{name}")
        assert message.id == f"imagekit.{id}"
        assert text in str(message.msg)
        assert str(message.msg).count(f"IMAGEKIT_{name} is ") <= 1
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

    @pytest.mark.parametrize("backend", ["locmem.LocMemCache", "filebased.FileBasedCache"])
    def test_settings_of_a_cache_that_holds_few_entries_are_warned_of(
        self, backend: str, settings: Any, tmp_path: Path
    ) -> None:
        """Django's default is 300; what is forgotten is asked of the storage."""
        cache = {"BACKEND": f"django.core.cache.backends.{backend}", "LOCATION": str(tmp_path)}
        settings.CACHES = {"default": cache}
        (message,) = check_all(None)
        assert message.id == "imagekit.W005"
        assert "'default' holds 300 entries" in str(message.msg)
        assert "MAX_ENTRIES" in str(message.hint)
        settings.CACHES = {"default": {**cache, "OPTIONS": {"MAX_ENTRIES": 10_000}}}
        assert check_all(None) == []
        settings.CACHES = {"default": cache}
        settings.IMAGEKIT_STATE_STORE = "database"
        assert check_all(None) == []


class TestDeployed:
    """What `check --deploy` says of where the site runs."""

    def test_resizer_that_is_in_use_is_told_on_deployment_only(self, settings: Any) -> None:
        """It names the resizer; one that cannot be loaded is told by the setting's own check."""
        settings.IMAGEKIT_RESIZER = "pillow"
        message = run_checks(tags=["imagekit"], include_deployment_checks=True)[0]
        assert message.id == "imagekit.I001"
        assert "resized by 'pillow'" in str(message.msg)
        assert run_checks(tags=["imagekit"]) == []
        settings.IMAGEKIT_RESIZER = "magick"
        found = run_checks(tags=["imagekit"], include_deployment_checks=True)
        assert ids(found) == ["imagekit.E010", "imagekit.I002"]

    def test_fields_that_take_uploads_of_any_size_are_told_on_deployment_in_one_line(self) -> None:
        """Not those that limit them, nor those that process them."""
        message = run_checks(tags=["imagekit"], include_deployment_checks=True)[-1]
        assert (message.id, message.is_serious()) == ("imagekit.I002", False)
        assert " testapp.Photo.original_image, testapp.Portrait.image." in str(message.msg)
        for name in ("Limited.image", "Cover.image", "Plain.image"):
            assert f"testapp.{name}" not in str(message.msg)


def test_apps_that_are_made_ready_again_are_checked_once(settings: Any) -> None:
    """As where a test changes INSTALLED_APPS."""
    settings.IMAGEKIT_RESIZER = "pillow"
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django.contrib.humanize"]
    found = run_checks(tags=["imagekit"], include_deployment_checks=True)
    assert ids(found) == ["imagekit.I001", "imagekit.I002"]


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
        settings.IMAGEKIT_STATE_STORE = "tests.checks.test_settings.Checked"
        assert ids(check_all(None)) == ["tests.W001"]

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        ("change", "what"),
        [
            ("RENAME TO elsewhere", "does not exist"),
            ("RENAME COLUMN obsolete_at TO other", "lacks columns"),
        ],
    )
    def test_a_table_of_states_that_is_not_migrated_is_told(
        self, settings: Any, change: str, what: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By whatever runs the checks but ``migrate``, with what to run; a cache needs no table."""
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE imagekit_registry_cachefilerecordrow {change}")
        assert check_all(None) == []
        settings.IMAGEKIT_STATE_STORE = "database"
        for databases in (None, ["default"]):
            found = run_checks(tags=["imagekit"], databases=databases)
            (message,) = (each for each in found if each.id == "imagekit.W006")
        assert message.level == WARNING
        assert what in message.msg
        assert message.hint == "Run manage.py migrate imagekit_registry."
        monkeypatch.setattr("sys.argv", ["manage.py", "migrate"])
        assert check_all(None) == []


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
