"""What another library has made is taken over: by what sorl-thumbnail gave names to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage, storages
from django.db import OperationalError
from django.db.models import QuerySet
from PIL import Image

from imagekit_registry.contrib.sorl import get_thumbnail
from imagekit_registry.contrib.sorl.moving import name_of
from imagekit_registry.registry import register
from imagekit_registry.signals import generated
from imagekit_registry.specs import ImageSpec, StoredFile
from imagekit_registry.testing import forget_state
from tests.contrib.sorl.conftest import sorl, store  # noqa: F401 -- a fixture
from tests.management.conftest import Result
from tests.pages import render
from tests.storages import content_of
from tests.testapp.models import Plain

Run = Callable[..., Result]

pytestmark = [pytest.mark.usefixtures("sorl"), pytest.mark.django_db]


class TestCommand:
    """``adoptimages --from sorl``."""

    TAG = '{% load thumbnail %}{% thumbnail f "80x60" crop="center" quality=70 as im %}{% endthumbnail %}'

    @pytest.fixture
    def row(self, photos: Path) -> Any:
        """Return a row with an image."""
        return Plain.objects.create(image=content_of(photos / "rocket.jpg"))

    @pytest.fixture(autouse=True)
    def templates(self, settings: Any, tmp_path: Path) -> Path:
        """Give the project a template; return the folder of its templates."""
        folder = tmp_path / "templates"
        folder.mkdir()
        settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [folder]}]
        (folder / "page.html").write_text(self.TAG)
        return folder

    @pytest.fixture
    def made(self) -> Any:
        """Return a list of the names of all that is made."""
        names: list[str] = []

        def hear(file: Any, **kwargs: Any) -> None:
            names.append(file.name)

        generated.connect(hear)
        yield names
        generated.disconnect(hear)

    @staticmethod
    def former(row: Any, geometry: str = "80x60", **options: Any) -> str:
        """Put a file where sorl-thumbnail would have put it, of another colour than the source."""
        name = name_of(StoredFile(row.image.name), geometry, options)
        return store(Image.new("RGB", (80, 60), "magenta"), name, quality=70)

    @pytest.mark.parametrize("way", ["--copy", "--link"])
    def test_what_templates_ask_for_is_not_made_again(
        self, way: str, row: Any, run: Run, made: list[str]
    ) -> None:
        """The page shows the very file, whose size is known; the former file stays."""
        old = Path(storages["default"].path(self.former(row, crop="center", quality=70)))
        result = run("adoptimages", "--from", "sorl", way, "--json")
        assert (result.status, result.document["adopted"]) == (0, 1)
        forget_state()
        tag = "{% load thumbnail %}{% thumbnail f '80x60' quality=70 crop='center' as im %}{{ im.x }} {{ im.url }}{% endthumbnail %}"
        width, url = render(tag, f=row.image).split()
        new = Path(storages["default"].path(url.removeprefix("/media/")))
        assert (width, made, new.read_bytes()) == ("80", [], old.read_bytes())
        assert new.samefile(old) == (way == "--link")
        assert run("adoptimages", "--from", "sorl", "--json").document["existing"] == 1

    def test_what_functions_and_filters_ask_for_is_found(
        self, row: Any, run: Run, settings: Any, tmp_path: Path, monkeypatch: Any
    ) -> None:
        """As it stands in modules of the project; what does not is told, with its line."""
        app = tmp_path / "gallery"
        app.mkdir()
        (app / "__init__.py").touch()
        (app / "views.py").write_text(
            "def view(f, size, options):\n"
            '    a = thumbnail.get_thumbnail(f, "50x50", crop="top", upscale=False)\n'
            "    b = get_thumbnail(f, size)\n"
            '    return a, b, get_thumbnail(f, "9x9", **options)\n'
        )
        monkeypatch.syspath_prepend(tmp_path)
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "gallery"]
        self.former(row, "50x50", crop="top", upscale=False)
        self.former(row, "500")
        document = run("adoptimages", "--from", "sorl", "--json").document
        assert document["adopted"] == 2
        lines = sorted(note.split(":")[0].rpartition(", ")[2] for note in document["notes"])
        assert lines == ["line 3", "line 4"]

    def test_a_dry_run_changes_nothing(self, row: Any, run: Run, media: Path) -> None:
        """It counts."""
        self.former(row, crop="center", quality=70)
        before = sorted(media.rglob("*"))
        result = run("adoptimages", "--from", "sorl", "--dry-run")
        assert "1 image would be adopted." in result.out
        assert sorted(media.rglob("*")) == before

    def test_what_is_older_than_its_source_is_left(
        self, row: Any, run: Run, made: list[str]
    ) -> None:
        """The source was replaced since."""
        name = self.former(row, crop="center", quality=70)
        os.utime(storages["default"].path(name), (0, 0))
        assert "0 images adopted, 1 outdated." in run("adoptimages", "--from", "sorl").out

    def test_a_damaged_file_is_told_and_left(self, row: Any, run: Run) -> None:
        """The exit status is 1."""
        name = self.former(row, crop="center", quality=70)
        Path(storages["default"].path(name)).write_bytes(b"no image")
        result = run("adoptimages", "--from", "sorl", "--json")
        (error,) = result.document["errors"]
        assert (result.status, result.document["failed"]) == (1, 1)
        assert "is damaged" in error["cause"]

    def test_what_templates_leave_to_variables_is_told(
        self, row: Any, run: Run, templates: Path
    ) -> None:
        """With the line of the tag."""
        tag = "{% load thumbnail %}\n{% thumbnail f size %}{% thumbnail f '9x9' options=o %}"
        (templates / "page.html").write_text(tag)
        notes = run("adoptimages", "--from", "sorl", "--json").document["notes"]
        assert len(notes) == 2
        assert all("page.html, line 2:" in note for note in notes)

    def test_a_template_that_cannot_be_compiled_is_told(
        self, row: Any, run: Run, templates: Path
    ) -> None:
        """What it asks for is not known; once nothing was said of it."""
        (templates / "page.html").write_text("{% load thumbnail %}{% thumbnail f %}")
        (note,) = run("adoptimages", "--from", "sorl", "--json").document["notes"]
        assert "page.html cannot be compiled" in note

    @pytest.mark.parametrize("library", ["easy", "sorl", "versatile"])
    def test_a_table_that_is_not_there_is_told(
        self, row: Any, run: Run, library: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As that of a model which Django does not manage."""

        def read(rows: Any) -> Any:
            raise OperationalError("no such table: gone")

        monkeypatch.setattr(QuerySet, "iterator", read)
        result = run("adoptimages", "--from", library, "--json")
        assert result.status == 0
        text = "testapp.Plain cannot be read (OperationalError: no such table: gone)"
        assert any(text in note for note in result.document["notes"])

    def test_only_what_is_meant_is_taken(self, row: Any, run: Run) -> None:
        """An id that nothing has is refused."""
        register.generator("tests:other", ImageSpec)
        self.former(row, crop="center", quality=70)
        assert (
            run("adoptimages", "tests:other", "--from", "sorl", "--json").document["adopted"] == 0
        )
        assert run("adoptimages", "sorl", "--from", "sorl", "--json").document["adopted"] == 1
        assert run("adoptimages", "nothing", "--from", "sorl").status == 1

    def test_two_storages_are_copied_between(
        self, row: Any, run: Run, settings: Any, tmp_path: Path
    ) -> None:
        """From that of sorl-thumbnail to that of cache files; a link between them may be had, too."""
        backend = "django.core.files.storage.FileSystemStorage"
        options = {"location": str(tmp_path / "old")}
        settings.STORAGES = {**settings.STORAGES, "old": {"BACKEND": backend, "OPTIONS": options}}
        settings.THUMBNAIL_STORAGE = "old"
        storage = storages["old"]
        assert isinstance(storage, FileSystemStorage)
        name = self.former(row, crop="center", quality=70)
        Path(storage.path(name)).parent.mkdir(parents=True)
        Path(storages["default"].path(name)).rename(storage.path(name))
        assert run("adoptimages", "--from", "sorl", "--json").document["adopted"] == 1
        file = get_thumbnail(row.image, "80x60", crop="center", quality=70)
        assert file.size == [80, 60]
        assert json.dumps(file.url).startswith('"/media/CACHE/')
