"""``manage.py check`` tells what has no counterpart."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.template import defaulttags

pytestmark = [pytest.mark.usefixtures("sorl"), pytest.mark.django_db]


class TestChecks:
    """``manage.py check`` tells what has no counterpart."""

    @pytest.fixture
    def told(self, settings: Any, tmp_path: Path) -> Callable[..., list[str]]:
        """Return a function that gives what is said of a template and of settings."""
        settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

        def check(template: str = "", **values: Any) -> list[str]:
            (tmp_path / "shop").mkdir(exist_ok=True)
            (tmp_path / "shop" / "page.html").write_text(template)
            for name, value in values.items():
                setattr(settings, name, value)
            return [
                f"{message.id} {message.msg} {message.hint}"
                for message in run_checks(tags=["imagekit"])
                if "THUMBNAIL_" in str(message.msg) or "page.html" in str(message.msg)
            ]

        return check

    def test_a_project_in_order_is_told_nothing(self, told: Any) -> None:
        """Whatever options it uses, also where variables have them."""
        tags = (
            "{% extends 'base.html' %}{% load i18n thumbnail %}{% block a %}{% if b %}"
            "{% thumbnail f '9x9' crop='center' options=o flatten=False image_info=1 as im %}{% empty %}"
            "{% endthumbnail %}{% thumbnail f g crop=c quality=q %}{% endif %}{% endblock %}"
        )
        assert told(tags, THUMBNAIL_QUALITY=80, THUMBNAIL_DUMMY=True) == []

    @pytest.mark.parametrize(
        ("tag", "message"),
        [
            ("{% thumbnail f '9x9' density=300 %}", "has the option 'density', which has no"),
            ("{% thumbnail f '9x9' sharpen=1 as im %}{% endthumbnail %}", "option 'sharpen'"),
            ("{% thumbnail 'http://a.b/c.jpg' '9x9' %}", "other sites are not fetched"),
            ("{% thumbnail f 'big' %}", "dimensions 'big'"),
            ("{% thumbnail f '9x9' crop='middle' %}", "'crop' cannot be 'middle'"),
            ("{% thumbnail f '9x9' format='%}", "cannot be compiled"),
            ("{% thumbnail f 9x9 crop %}", "cannot be compiled.*'crop', which is no option=value"),
        ],
    )
    def test_a_tag_is_told_with_its_line(self, tag: str, message: str, told: Any) -> None:
        """Also inside of other tags and blocks."""
        text = "{% load thumbnail %}\n{% block a %}\n{% if f %}" + tag + "{% endif %}{% endblock %}"
        (found,) = told(text)
        assert re.search(message, found)
        assert "cannot be compiled" in found or "page.html, line 3: {% thumbnail" in found
        assert found.startswith("imagekit.W022")

    def test_a_template_is_known_by_its_name_within_its_folder(
        self, told: Any, tmp_path: Path
    ) -> None:
        """So it may extend one beside its own folder."""
        (tmp_path / "outer.html").write_text("{% block a %}{% endblock %}")
        assert (
            told("{% extends '../outer.html' %}{% load thumbnail %}{% thumbnail f '9x9' %}") == []
        )

    def test_whatever_a_tag_raises_is_told_with_its_line(
        self, told: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It ends no check."""

        def compile_tag(parser: Any, token: Any) -> Any:
            raise KeyError("a setting of mine")

        monkeypatch.setitem(defaulttags.register.tags, "now", compile_tag)
        (found,) = told("{% load thumbnail %}\n{% now %}{% thumbnail f '9x9' %}")
        assert "page.html, line 2, cannot be compiled: 'a setting of mine'" in found

    def test_our_own_thumbnail_tag_is_none_of_sorls(self, told: Any) -> None:
        """It has the same name."""
        assert told("{% load imagekit %}{% thumbnail '9x9' f -- alt='' %}") == []

    @pytest.mark.parametrize(
        ("setting", "instead"),
        [
            ("THUMBNAIL_STORAGE", "IMAGEKIT_DEFAULT_FILE_STORAGE"),
            ("THUMBNAIL_PREFIX", "IMAGEKIT_CACHEFILE_DIR"),
            ("THUMBNAIL_DEBUG", "IMAGEKIT_ON_ERROR = 'raise'"),
            ("THUMBNAIL_ENGINE", "IMAGEKIT_DECODER = 'vips'"),
            ("THUMBNAIL_KVSTORE", "IMAGEKIT_STATE_STORE"),
            ("THUMBNAIL_CACHE", "IMAGEKIT_CACHE_BACKEND"),
            ("THUMBNAIL_CACHE_TIMEOUT", "IMAGEKIT_CACHE_TIMEOUT"),
            ("THUMBNAIL_KEY_PREFIX", "IMAGEKIT_CACHE_PREFIX"),
            ("THUMBNAIL_BACKEND", "IMAGEKIT_SPEC_CACHEFILE_NAMER"),
            ("THUMBNAIL_ALTERNATIVE_RESOLUTIONS", "'resolution'"),
            ("THUMBNAIL_FLATTEN", "laid on white"),
            ("THUMBNAIL_FORCE_OVERWRITE", "replaced"),
            ("THUMBNAIL_REMOVE_URL_ARGS", "left out"),
            ("THUMBNAIL_URL_TIMEOUT", "not fetched"),
            ("THUMBNAIL_CONVERT", "IMAGEKIT_DECODER"),
            ("THUMBNAIL_IDENTIFY", "IMAGEKIT_DECODER"),
            ("THUMBNAIL_KEY_DBCOLUMN", "IMAGEKIT_STATE_STORE"),
            ("THUMBNAIL_REDIS_HOST", "IMAGEKIT_STATE_STORE"),
            ("THUMBNAIL_DBM_FILE", "IMAGEKIT_STATE_STORE"),
        ],
    )
    def test_a_setting_without_effect_is_told_with_what_takes_its_place(
        self, setting: str, instead: str, told: Any
    ) -> None:
        """One message for each."""
        (found,) = told(**{setting: ""})
        assert found.startswith(f"imagekit.W021 {setting} has no effect")
        assert instead in found

    @pytest.mark.parametrize(
        ("setting", "value"),
        [("THUMBNAIL_QUALITY", "high"), ("THUMBNAIL_DUMMY_RATIO", 0), ("THUMBNAIL_UPSCALE", None)],
    )
    def test_a_setting_with_a_wrong_value_is_an_error(
        self, setting: str, value: Any, told: Any
    ) -> None:
        """With what it must be."""
        (found,) = told(**{setting: value})
        assert found.startswith(f"imagekit.E009 {setting} is {value!r}; it must be ")
