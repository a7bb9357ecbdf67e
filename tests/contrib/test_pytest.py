"""The fixtures for pytest, in the tests of a project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

#: What a project writes; it imports nothing of ours but its own specs.
TESTS = """
import pytest
from django.template import Context, Template
from tests.testapp.models import Photo

pytestmark = pytest.mark.django_db


def test_page(fake_images, make_image, assert_storage_calls, assert_state_trips):
    photo = Photo.objects.create(original_image=make_image(size=(300, 200)))
    page = Template("{% load imagekit %}{% thumbnail '30x20' photo.original_image %}")
    html = page.render(Context({"photo": photo}))
    assert 'width="30" height="20"' in html
    assert [(file.width, file.height) for file in fake_images] == [(30, 20)]
    with assert_storage_calls(0), assert_state_trips(0):
        assert page.render(Context({"photo": photo})) == html


def test_each_test_begins_with_nothing(fake_images):
    assert fake_images == []


def test_real_image(make_image):
    photo = Photo.objects.create(original_image=make_image())
    assert photo.thumbnail.url
    assert photo.thumbnail.storage.exists(photo.thumbnail.name)
"""


def test_fixtures_are_there_and_work(tmp_path: Path) -> None:
    """The plug-in is loaded before Django has settings, and needs none then."""
    (tmp_path / "test_photos.py").write_text(TESTS)
    (tmp_path / "own_settings.py").write_text(
        f"from tests.settings import *\nMEDIA_ROOT = {str(tmp_path / 'media')!r}\n"
    )
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "own_settings",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
    }
    plugins = ["-p", "imagekit_registry.contrib.pytest", "-p", "pytest_django.plugin"]
    command = [sys.executable, "-m", "pytest", "-q", *plugins, "-p", "no:cacheprovider", "."]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr
    listed = subprocess.run(
        [*command, "--fixtures"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert "fake_images -- " in listed.stdout
