"""Checks of specs: mistakes in recipes, and in the fields that have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.files.storage import FileSystemStorage

from imagekit_registry import ImageSpec, Picture, register, unregister
from imagekit_registry.cachefiles.strategies import OnDemand
from imagekit_registry.checks import check_all
from imagekit_registry.processors import ResizeToFill
from imagekit_registry.registry import generator_registry, source_group_registry
from tests.checks.conftest import ids, spec
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
            pytest.param({"serving_arguments": ("size",)}, "E016", "('size',)", id="serving"),
            pytest.param({"serving_arguments": ("width",)}, "E016", "width", id="no-width"),
            pytest.param({"skip_if": "small"}, "E016", "skip_if must be", id="skip"),
            pytest.param({"quality": "best"}, "E016", "quality must be", id="quality"),
            pytest.param({"placeholder": "lquip"}, "E016", "lqip", id="placeholder"),
            pytest.param(
                {"placeholder": ["css", 5]}, "E016", "5 is neither", id="placeholder-number"
            ),
            pytest.param({"fallback": "a.b"}, "E016", "'a.b'", id="fallback-path"),
            pytest.param({"picture": {"layout": "full"}}, "E016", "'picture' is", id="picture"),
            pytest.param(
                {"picture": Picture(sources=[("print", "tests:no")])},
                "E016",
                "'tests:no'",
                id="crop",
            ),
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

    def test_what_many_specs_write_is_tried_once(
        self, registered: Any, decodes: list[object]
    ) -> None:
        """However many they are; a mistake is told of each that makes it."""
        check_all(None)
        before = len(decodes)
        good = {"format": "JPEG", "options": {"quality": 61}}
        bad = {"format": "JPEG", "options": {"quality": "very"}}
        for number in range(20):
            registered(f"tests:{number}", spec(processors=[ResizeToFill(number + 9, 9)], **good))
            registered(f"tests:bad:{number}", spec(**bad))

        messages = check_all(None)

        assert ids(messages) == ["imagekit.E012"] * 20
        assert len(decodes) - before == before + 2

    @pytest.mark.parametrize(
        ("name", "meant"),
        [("qualty", "quality"), ("optimise", "optimize"), ("losless", "lossless")],
    )
    def test_a_slip_of_the_pen_among_options_is_told(
        self, name: str, meant: str, registered: Any, settings: Any
    ) -> None:
        """Pillow ignores what it does not know; what a plug-in may know is left alone."""
        registered("tests:slip", spec(format="WEBP", options={name: 1, "own_option": 2}))
        (message,) = check_all(None)
        assert (message.id, message.hint) == ("imagekit.W007", f"Did you mean {meant!r}?")
        assert message.msg.startswith(f"'tests:slip' has the option {name!r}, which has no effect")
        unregister.generator("tests:slip")
        register.generator("tests:slip", spec(format="WEBP", options={meant: 1}))
        settings.IMAGEKIT_FORMAT_OPTIONS = {"webp": {name: 1}}
        (message,) = check_all(None)
        assert message.id == "imagekit.W007"
        assert message.msg.startswith("IMAGEKIT_FORMAT_OPTIONS has for 'webp' the option")

    @pytest.mark.parametrize("field", ["banner", "avatar"])
    def test_what_is_wrong_with_the_arguments_of_a_field_points_to_the_field(
        self, field: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not to the class that it has made of them, whose name nobody has written."""
        model = "photo" if field == "banner" else "profile"
        cls = generator_registry.lookup(f"testapp:{model}:{field}")
        monkeypatch.setattr(cls, "color", "p3")
        (message,) = check_all(None)
        assert f"testapp.{model.title()}.{field}" in str(message.obj)
        assert "Dynamic" not in f"{message} {message.hint}"
        assert message.hint == "Change the argument of the field."

    @pytest.mark.parametrize(
        "attributes", [{"cachefile_strategy": OnDemand}, {"pending": "demand"}]
    )
    def test_specs_on_demand_need_urls(
        self, attributes: Any, registered: Any, settings: Any
    ) -> None:
        """Pages could show nothing else."""
        registered("tests:demanded", spec(**attributes))
        assert check_all(None) == []
        settings.ROOT_URLCONF = "django.contrib.auth.urls"
        (message,) = check_all(None)
        assert message.id == "imagekit.E021"
        assert "include('imagekit_registry.serving.urls')" in str(message.hint)

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
