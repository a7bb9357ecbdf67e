"""``tunequality``: the qualities at which a site's own photographs look as wanted."""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from PIL import Image

from imagekit_registry.imaging.formats import can_write
from imagekit_registry.maintenance import tuning
from tests.management.conftest import Group, Result

Run = Callable[..., Result]
FORMATS = list(filter(can_write, tuning.FORMATS))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at small images: it takes less time."""
    pytest.importorskip("ssimulacra2", reason="the extra quality is not installed")
    monkeypatch.setattr(tuning, "SIDE", 160)


class TestFinding:
    """What is printed."""

    def test_settings_are_printed_that_keep_what_the_project_has(
        self, run: Run, group: Group, settings: Any
    ) -> None:
        """They can be copied as they are."""
        settings.IMAGEKIT_FORMAT_OPTIONS = {"JPEG": {"optimize": True, "quality": 30}}
        lines = run("tunequality", "shop", "--score", "60", "--photos", "1").out.splitlines()
        assert lines[0].startswith("# Mean scores over 1 photograph: ")
        name, _, value = "\n".join(lines[1:]).partition(" = ")
        found = ast.literal_eval(value)
        assert name == "IMAGEKIT_FORMAT_OPTIONS"
        assert list(found) == FORMATS
        assert set(found["JPEG"]) == {"optimize", "quality"}

    def test_the_quality_is_the_least_with_the_score(
        self, run: Run, group: Group, photos: Path
    ) -> None:
        """By every photograph that the specs have, each once."""
        document = run("tunequality", "shop", "--score", "30", "--json").document
        assert document["photos"] == len(group.names)
        tuner = tuning.Tuner(
            tuning.photographs(["shop:photo:small"], 20), {"JPEG": {}, "WEBP": {"method": 4}}
        )
        quality = document["qualities"]["JPEG"]
        assert tuner.score("JPEG", quality - 1) < 30 <= tuner.score("JPEG", quality)
        assert document["scores"]["JPEG"] == pytest.approx(tuner.score("JPEG", quality), abs=0.1)

    def test_what_cannot_be_reached_is_nearly_the_best(self, photos: Path) -> None:
        """WebP never has the colour of every pixel."""
        with (photos / "coffee.png").open("rb") as file:
            tuner = tuning.Tuner([tuning.prepared(file)], {})
        assert tuner.score("WEBP", 100) < 99
        assert tuner.score("WEBP", tuner.find("WEBP", 99)) >= tuner.score("WEBP", 100) - 0.5

    def test_sources_that_cannot_be_read_are_left_out(self, run: Run, group: Group) -> None:
        """And nothing else is said of them."""
        group.names[1:] = [storages["default"].save("no.jpg", ContentFile(b"no image"))]
        assert run("tunequality", "shop", "--json").document["photos"] == 1

    def test_photographs_are_looked_at_upright_and_scaled_down(self, tmp_path: Path) -> None:
        """As they are shown."""
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (400, 200)).save(tmp_path / "a.jpg", exif=exif)
        with (tmp_path / "a.jpg").open("rb") as file:
            found = tuning.prepared(file)
        assert Image.open(io.BytesIO(found)).size == (80, 160)


class TestMistakes:
    """What is told, with a status of its own."""

    def test_no_source_is_an_error(self, run: Run, group: Group) -> None:
        """Of a site without photographs."""
        group.names.clear()
        result = run("tunequality", "shop")
        assert (result.status, "no source" in str(result.error)) == (1, True)

    def test_a_missing_library_is_told(
        self, run: Run, group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With the command that installs it."""
        monkeypatch.setitem(sys.modules, "ssimulacra2", None)
        assert "imagekit-registry[quality]" in str(run("tunequality", "shop").error)

    @pytest.mark.parametrize("arguments", [("--photos", "0"), ("--score", "100")])
    def test_numbers_that_make_no_sense_are_told(
        self, run: Run, group: Group, arguments: tuple[str, str]
    ) -> None:
        """Before anything is looked at."""
        assert "--photos must be 1 or more" in str(run("tunequality", "shop", *arguments).error)
